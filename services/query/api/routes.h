#ifndef NARTHEX_SERVICES_QUERY_API_ROUTES_H_
#define NARTHEX_SERVICES_QUERY_API_ROUTES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/regex.h"
#include "lib/http/router.h"
#include "lib/metrics/registry.h"
#include "lib/rpc/scraper_client.h"
#include "lib/rpc/storage_client.h"
#include "lib/storage/fanout_querier.h"
#include "services/query/api/config_handlers.h"
#include "services/query/api/features.h"
#include "services/query/api/notifications.h"
#include "services/query/api/search_handlers.h"
#include "services/query/api/status_handlers.h"
#include "services/query/cache/result_cache.h"
#include "services/query/notifier/notifier.h"
#include "services/query/promql/engine.h"
#include "services/query/rules/manager.h"

namespace narthex::query_api {

// What the API is made of. The pointees outlive the router.
struct ApiParts {
  Clock* clock = nullptr;
  metrics::Registry* registry = nullptr;
  promql::Engine* engine = nullptr;
  query_cache::ResultCache* cache = nullptr;
  storage::FanoutQuerier* querier = nullptr;
  const rules::Manager* rules = nullptr;
  const notifier::Notifier* notifier = nullptr;
  std::vector<rpc::ScraperClient*> scrapers;
  std::vector<rpc::StorageClient*> storages;
  StatusSources status;
  Notifications* notifications = nullptr;
  ConfigHandlers::Source config;
  Features features;
  std::function<Labels()> external_labels;
  // False answers every API request with 503 and plain text, as upstream does while it starts.
  std::function<bool()> ready;
};

struct ApiOptions {
  std::string route_prefix;  // "" or "/prefix", before every path.
  Regex cors_origin;         // Origins that may call from a browser.
  absl::Duration query_timeout = absl::Minutes(2);
  bool enable_admin = false;  // admin/tsdb/…
  SearchHandlers::Options search;
};

// Adds /api/v1/…, /federate and /version to `router`.
void AddApiRoutes(http::Router* router, ApiParts parts, ApiOptions options);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_ROUTES_H_
