#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_STAGE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_STAGE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/alertmanager/notify/notification.h"
#include "services/alertmanager/notify/notify_metrics.h"
#include "services/alertmanager/timeinterval/time_interval.h"

namespace narthex::notify {

// Takes away alerts that must not be notified. Firing and resolved alerts are treated alike, as
// upstream does.
//
// Thread safety: Filter() may be called from any thread.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void Filter(const Notification& notification, std::vector<alerts::AlertPtr>* alerts) = 0;
};

// Drops the alerts whose labels are muted: inhibited or silenced.
class MuteStage : public Stage {
 public:
  // `suppressed` counts what is dropped.
  MuteStage(std::function<bool(const Labels&)> mutes, metrics::Counter* suppressed)
      : mutes_(std::move(mutes)), suppressed_(suppressed) {}
  void Filter(const Notification& notification, std::vector<alerts::AlertPtr>* alerts) override;

 private:
  const std::function<bool(const Labels&)> mutes_;
  metrics::Counter* const suppressed_;
};

using NamedIntervals = std::map<std::string, std::vector<timeinterval::TimeInterval>, std::less<>>;

// Drops everything while a route's mute intervals hold, or while it has active intervals and none
// of them holds.
class IntervalStage : public Stage {
 public:
  IntervalStage(std::shared_ptr<const NamedIntervals> intervals, metrics::Counter* muted,
                metrics::Counter* inactive)
      : intervals_(std::move(intervals)), muted_(muted), inactive_(inactive) {}
  void Filter(const Notification& notification, std::vector<alerts::AlertPtr>* alerts) override;

 private:
  const std::shared_ptr<const NamedIntervals> intervals_;
  metrics::Counter* const muted_;
  metrics::Counter* const inactive_;
};

// The first of the named intervals that holds at `time`, or "".
std::string FindInterval(const NamedIntervals& intervals, const std::vector<std::string>& names,
                         absl::Time time);

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_STAGE_H_
