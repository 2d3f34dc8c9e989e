#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_JOB_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_JOB_H_

#include <memory>
#include <string>
#include <vector>

#include "services/alertmanager/notify/pipeline.h"

namespace narthex::notify {

// One notification on its way to one integration: dedup, attempts with growing pauses until the
// deadline, the record in the notification log. Keeps itself alive until it has called `done`.
//
// Thread safety: its steps follow one another, each on whatever thread the step before ended on.
class NotificationJob : public std::enable_shared_from_this<NotificationJob> {
 public:
  NotificationJob(std::shared_ptr<Pipeline> pipeline, const Slot* slot,
                  NotificationPtr notification, std::vector<alerts::AlertPtr> alerts,
                  Pipeline::Done done);
  void Start();

 private:
  void Attempt();
  void OnOutcome(Outcome outcome);
  void Record();
  void Finish(absl::Status status);
  // The end without success: counted, and told with the last error that an attempt had.
  void Fail(const absl::Status& status, Failure failure);
  std::string Name() const;

  // Constant after construction.
  const std::shared_ptr<Pipeline> pipeline_;
  const Slot* const slot_;  // In the pipeline.
  const PipelineEnv& env_;
  const IntegrationMetrics& metrics_;
  const NotificationPtr notification_;
  const nflog::ReceiverKey receiver_;
  const std::vector<alerts::AlertPtr> alerts_;

  Pipeline::Done done_;
  AlertHashes hashes_;
  std::vector<alerts::AlertPtr> sent_;
  Reason reason_ = Reason::kUnknown;
  int attempts_ = 0;
  absl::Duration pause_;
  absl::Time attempt_began_;
  absl::Status last_error_;
  Failure last_failure_ = Failure::kOther;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFICATION_JOB_H_
