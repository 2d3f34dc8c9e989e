#ifndef NARTHEX_LIB_SERVICE_OPS_HANDLERS_H_
#define NARTHEX_LIB_SERVICE_OPS_HANDLERS_H_

#include <atomic>
#include <functional>
#include <string>

#include "lib/http/router.h"
#include "lib/service/env.h"

namespace narthex::service {

struct OpsOptions {
  std::string name;  // "storage": /-/healthy answers "Narthex storage is Healthy.\n"
  std::function<bool()> ready;
  // /-/reload and /-/quit; else 403 as upstream.
  bool enable_lifecycle = false;
  bool enable_quit = true;  // With the lifecycle; Alertmanager has no /-/quit.
  std::string prefix;       // "" or "/prefix", before every path.
  bool index_page = true;   // A page at "/" that says what this is; query has its own.
};

// Adds /metrics (text 0.0.4), /-/healthy, /-/ready (503 until ready), /-/reload and /-/quit to
// `router`. Also registers narthex_build_info and the process metrics.
void AddOpsHandlers(http::Router* router, const Env& env, OpsOptions options);

// The two gauges of a configuration reload under upstream's names,
// <prefix>_config_last_reload_successful and …_last_reload_success_timestamp_seconds; prefix
// "prometheus" or "alertmanager".
class ReloadMetrics {
 public:
  ReloadMetrics(metrics::Registry* registry, Clock* clock, std::string_view prefix);
  void Record(const absl::Status& status);

 private:
  Clock* const clock_;
  metrics::Gauge* const successful_;
  metrics::Gauge* const timestamp_;
};

}  // namespace narthex::service

#endif  // NARTHEX_LIB_SERVICE_OPS_HANDLERS_H_
