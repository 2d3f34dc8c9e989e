#ifndef NARTHEX_SERVICES_QUERY_API_FEATURES_H_
#define NARTHEX_SERVICES_QUERY_API_FEATURES_H_

#include <map>
#include <string>

#include "services/query/promql/engine.h"

namespace narthex::query_api {

// Category to feature to whether it is on.
using Features = std::map<std::string, std::map<std::string, bool>>;

// What this service can do, under upstream's names: what is on under `engine` and of the API.
Features CollectFeatures(const promql::EngineOptions& engine, bool enable_admin,
                         bool enable_lifecycle, bool enable_search);

// The JSON of /features. It is the one answer in which < and > stay as they are.
std::string FeaturesJson(const Features& features);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_FEATURES_H_
