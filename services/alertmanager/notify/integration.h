#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_INTEGRATION_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_INTEGRATION_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/alertmanager/notify/notification.h"

namespace narthex::notify {

// Why an attempt failed: the label `reason` of a metric.
enum class Failure {
  kOther,
  kClientError,
  kServerError,
  kContextCanceled,
  kContextDeadlineExceeded,
  kAuthError,
  kRateLimited
};
inline constexpr Failure kFailures[] = {Failure::kOther,
                                        Failure::kClientError,
                                        Failure::kServerError,
                                        Failure::kContextCanceled,
                                        Failure::kContextDeadlineExceeded,
                                        Failure::kAuthError,
                                        Failure::kRateLimited};
std::string_view FailureText(Failure failure);  // "clientError"

// What one attempt came to.
struct Outcome {
  absl::Status status;
  bool retry = false;  // Worth another attempt.
  Failure failure = Failure::kOther;
};

// Tells one outside system about a group of alerts: webhook, e-mail, …. Built from the
// configuration; immutable.
//
// Thread safety: Notify() may be called from any thread, for different groups at once.
class Integration {
 public:
  virtual ~Integration() = default;
  // Makes one attempt, which ends before notification.deadline. `done` is called exactly once, on
  // any thread, maybe before Notify() returns. `alerts` holds at least one.
  virtual void Notify(const Notification& notification, Reason reason,
                      const std::vector<alerts::AlertPtr>& alerts,
                      std::function<void(Outcome)> done) = 0;
};

// An integration in its place in a receiver.
struct Slot {
  std::string kind;    // "webhook"
  uint32_t index = 0;  // Among those of its kind.
  bool send_resolved = true;
  std::unique_ptr<Integration> integration;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_INTEGRATION_H_
