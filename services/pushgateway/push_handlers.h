#ifndef NARTHEX_SERVICES_PUSHGATEWAY_PUSH_HANDLERS_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_PUSH_HANDLERS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/http/router.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/pushgateway/metric_store.h"

namespace narthex::pushgateway {

// Parses and stores a push, over HTTP or gRPC. An error carries the text that the client sees:
// InvalidArgument for a body that cannot be read, FailedPrecondition for metrics that do not fit.
// Thread-safe.
class Pusher {
 public:
  Pusher(MetricStore* store, Logger logger, metrics::Registry* registry);
  absl::Status Push(const GroupingKey& key, std::string_view body, bool replace);
  void Delete(const GroupingKey& key);

 private:
  MetricStore* const store_;
  const Logger logger_;
  metrics::Counter* const rejected_unreadable_;
  metrics::Counter* const rejected_inconsistent_;
};

struct PushHandlerOptions {
  std::string prefix;
  // Answer 202 without a word on what the check would have said.
  bool checked = true;
};

// Adds PUT, POST and DELETE of /metrics/job/… under `prefix`. The pointers must outlive the
// router's use.
void AddPushHandlers(http::Router* router, const PushHandlerOptions& options, Pusher* pusher,
                     metrics::Registry* registry);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_PUSH_HANDLERS_H_
