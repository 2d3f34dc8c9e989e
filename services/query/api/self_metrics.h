#ifndef NARTHEX_SERVICES_QUERY_API_SELF_METRICS_H_
#define NARTHEX_SERVICES_QUERY_API_SELF_METRICS_H_

#include <vector>

#include "lib/http/message.h"
#include "lib/metrics/registry.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// status/self_metrics: the metrics of this process as a list of MetricFamily in the JSON form of
// Protocol Buffers, those that the anchored `metric_name_pattern` matches.
//
// Thread safety: may be called from any thread.
class SelfMetrics {
 public:
  // `registry` must outlive it.
  explicit SelfMetrics(const metrics::Registry* registry) : registry_(registry) {}
  Answer Handle(const http::ServerRequest& request);

 private:
  const metrics::Registry* const registry_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_SELF_METRICS_H_
