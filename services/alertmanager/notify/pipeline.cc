#include "services/alertmanager/notify/pipeline.h"

#include <algorithm>
#include <utility>

#include "lib/base/mutex.h"
#include "services/alertmanager/notify/notification_job.h"

namespace narthex::notify {
namespace {

bool IsSubset(const std::vector<uint64_t>& part, const std::vector<uint64_t>& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

// Waits for all jobs of one run and hands on the first error.
class Gather {
 public:
  Gather(size_t jobs, Pipeline::Done done) : left_(jobs), done_(std::move(done)) {}

  void JobDone(absl::Status status) {
    Pipeline::Done done;
    {
      MutexLock lock(&mu_);
      if (first_error_.ok()) first_error_ = std::move(status);
      if (--left_ > 0) return;
      status = first_error_;
      done = std::move(done_);
    }
    done(std::move(status));
  }

 private:
  Mutex mu_;
  size_t left_ ABSL_GUARDED_BY(mu_);
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
  Pipeline::Done done_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

bool NeedsUpdate(const nflog::Entry* entry, const AlertHashes& hashes, bool send_resolved,
                 absl::Time now, absl::Duration repeat_interval, Reason* reason) {
  const auto yes = [reason](Reason why) {
    *reason = why;
    return true;
  };
  if (entry == nullptr) return !hashes.firing.empty() && yes(Reason::kFirst);
  if (!IsSubset(hashes.firing, entry->firing_alerts)) {
    return yes(entry->firing_alerts.empty() ? Reason::kFirst : Reason::kNewAlerts);
  }
  if (hashes.firing.empty()) {
    // Told even to somebody who wants no resolved alerts: nothing is sent, but the log forgets
    // them.
    return !entry->firing_alerts.empty() && yes(Reason::kAllResolved);
  }
  if (send_resolved && !IsSubset(hashes.resolved, entry->resolved_alerts)) {
    return yes(Reason::kSomeResolved);
  }
  return entry->timestamp < now - repeat_interval && yes(Reason::kRepeat);
}

void Pipeline::Run(NotificationPtr notification, std::vector<alerts::AlertPtr> alerts, Done done) {
  for (const std::shared_ptr<Stage>& stage : stages_) {
    stage->Filter(*notification, &alerts);
    if (alerts.empty()) return done(absl::OkStatus());
  }
  if (slots_.empty()) return done(absl::OkStatus());
  const auto gather = std::make_shared<Gather>(slots_.size(), std::move(done));
  for (const Slot& slot : slots_) {
    std::make_shared<NotificationJob>(
        shared_from_this(), &slot, notification, alerts,
        [gather](absl::Status status) { gather->JobDone(std::move(status)); })
        ->Start();
  }
}

}  // namespace narthex::notify
