#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_PIPELINE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_PIPELINE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "services/alertmanager/nflog/notification_log.h"
#include "services/alertmanager/notify/integration.h"
#include "services/alertmanager/notify/notification.h"
#include "services/alertmanager/notify/notify_metrics.h"
#include "services/alertmanager/notify/stage.h"
#include "services/alertmanager/notify/timer_queue.h"

namespace narthex::notify {

// What all pipelines use. The pointees outlive them and everything under way.
struct PipelineEnv {
  Clock* clock = nullptr;
  TimerQueue* timers = nullptr;
  nflog::NotificationLog* log = nullptr;
  const NotifyMetrics* metrics = nullptr;
  Executor executor;
  Logger logger;
};

// What a notification would say: sorted hashes of its alerts.
struct AlertHashes {
  std::vector<uint64_t> firing;
  std::vector<uint64_t> resolved;
};

// Whether to notify, given what was told last (null: nothing); *reason says why.
bool NeedsUpdate(const nflog::Entry* entry, const AlertHashes& hashes, bool send_resolved,
                 absl::Time now, absl::Duration repeat_interval, Reason* reason);

// The way of a notification to one receiver: the stages, then to each integration at once: ask the
// log whether there is anything to tell, send with retries, record. A retry waits on the timer
// queue, not on a thread. Kept alive by what is under way; immutable.
//
// Thread safety: Run() may be called from any thread.
class Pipeline : public std::enable_shared_from_this<Pipeline> {
 public:
  using Done = std::function<void(absl::Status)>;

  Pipeline(std::string receiver, std::vector<std::shared_ptr<Stage>> stages,
           std::vector<Slot> slots, PipelineEnv env)
      : receiver_(std::move(receiver)),
        stages_(std::move(stages)),
        slots_(std::move(slots)),
        env_(std::move(env)) {}

  // `done` is called once, on any thread: OK when every integration succeeded or had nothing to
  // tell.
  void Run(NotificationPtr notification, std::vector<alerts::AlertPtr> alerts, Done done);

  const std::string& receiver() const { return receiver_; }
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  friend class NotificationJob;

  const std::string receiver_;
  const std::vector<std::shared_ptr<Stage>> stages_;
  const std::vector<Slot> slots_;
  const PipelineEnv env_;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_PIPELINE_H_
