#ifndef NARTHEX_SERVICES_PUSHGATEWAY_API_HANDLERS_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_API_HANDLERS_H_

#include <map>
#include <string>

#include "absl/time/time.h"
#include "lib/http/router.h"
#include "services/pushgateway/metric_store.h"

namespace narthex::pushgateway {

struct ApiOptions {
  std::string prefix;
  bool enable_admin = false;
  std::map<std::string, std::string> flags;
  absl::Time start_time;
};

// Adds /api/v1/status and /api/v1/metrics, and with the admin API /api/v1/admin/wipe, under
// `prefix`, in upstream's JSON. `store` must outlive the router's use.
void AddApiHandlers(http::Router* router, const ApiOptions& options, MetricStore* store);

// The body of /api/v1/metrics.
std::string MetricsJson(const std::vector<Group>& groups);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_API_HANDLERS_H_
