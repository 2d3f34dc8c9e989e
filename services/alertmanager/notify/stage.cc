#include "services/alertmanager/notify/stage.h"

namespace narthex::notify {

void MuteStage::Filter(const Notification&, std::vector<alerts::AlertPtr>* alerts) {
  const size_t muted = std::erase_if(
      *alerts, [this](const alerts::AlertPtr& alert) { return mutes_(alert->labels); });
  suppressed_->Increment(static_cast<double>(muted));
}

std::string FindInterval(const NamedIntervals& intervals, const std::vector<std::string>& names,
                         absl::Time time) {
  for (const std::string& name : names) {
    const auto found = intervals.find(name);
    if (found == intervals.end()) continue;
    for (const timeinterval::TimeInterval& interval : found->second) {
      if (interval.Contains(time)) return name;
    }
  }
  return "";
}

void IntervalStage::Filter(const Notification& notification,
                           std::vector<alerts::AlertPtr>* alerts) {
  const auto drop = [alerts](metrics::Counter* counter) {
    counter->Increment(static_cast<double>(alerts->size()));
    alerts->clear();
  };
  if (!notification.active_time_intervals.empty() &&
      FindInterval(*intervals_, notification.active_time_intervals, notification.now).empty()) {
    return drop(inactive_);
  }
  if (!FindInterval(*intervals_, notification.mute_time_intervals, notification.now).empty()) {
    drop(muted_);
  }
}

}  // namespace narthex::notify
