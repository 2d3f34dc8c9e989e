#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "services/alertmanager/alerts/alert.h"
#include "services/alertmanager/notify/lifetime.h"

namespace narthex::notify {

// Why a notification goes out; shown to receivers.
enum class Reason { kUnknown, kFirst, kNewAlerts, kSomeResolved, kAllResolved, kRepeat };
std::string_view ReasonText(Reason reason);  // "first notification"

// One flush of one group, on its way to a receiver. Immutable once the pipeline runs.
struct Notification {
  std::string receiver;
  std::string group_key;
  Labels group_labels;
  absl::Time now;  // When the flush was due; intervals and repeats are measured by it.
  absl::Duration repeat_interval;
  absl::Time deadline;  // No attempt begins after it.
  std::vector<std::string> mute_time_intervals;
  std::vector<std::string> active_time_intervals;
  std::shared_ptr<Lifetime> lifetime;  // Of the dispatcher that flushed.
};
using NotificationPtr = std::shared_ptr<const Notification>;

// Firing alerts have ends_at == InfiniteFuture().
inline bool IsFiring(const alerts::Alert& alert) { return alert.ends_at == absl::InfiniteFuture(); }

// Runs a task soon, on another thread or at once; tasks may block for a moment.
using Executor = std::function<void(std::function<void()>)>;

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_H_
