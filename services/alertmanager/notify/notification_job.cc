#include "services/alertmanager/notify/notification_job.h"

#include <algorithm>
#include <random>
#include <utility>

#include "lib/base/strings.h"

namespace narthex::notify {
namespace {

// Upstream's exponential back-off.
constexpr absl::Duration kPauseMin = absl::Milliseconds(500);
constexpr absl::Duration kPauseMax = absl::Seconds(60);
constexpr double kPauseGrowth = 1.5;
constexpr double kPauseJitter = 0.5;

absl::Duration Jitter(absl::Duration pause) {
  thread_local std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> factor(1 - kPauseJitter, 1 + kPauseJitter);
  return pause * factor(random);
}

}  // namespace

NotificationJob::NotificationJob(std::shared_ptr<Pipeline> pipeline, const Slot* slot,
                                 NotificationPtr notification, std::vector<alerts::AlertPtr> alerts,
                                 Pipeline::Done done)
    : pipeline_(std::move(pipeline)),
      slot_(slot),
      env_(pipeline_->env_),
      metrics_(env_.metrics->Of(slot->kind)),
      notification_(std::move(notification)),
      receiver_{pipeline_->receiver_, slot->kind, slot->index},
      alerts_(std::move(alerts)),
      done_(std::move(done)),
      pause_(kPauseMin) {
  for (const alerts::AlertPtr& alert : alerts_) {
    (IsFiring(*alert) ? hashes_.firing : hashes_.resolved)
        .push_back(alerts::AlertHash(alert->labels));
  }
  std::sort(hashes_.firing.begin(), hashes_.firing.end());
  std::sort(hashes_.resolved.begin(), hashes_.resolved.end());
}

std::string NotificationJob::Name() const {
  return StrCat(receiver_.group_name, "/", slot_->kind, "[", slot_->index, "]");
}

void NotificationJob::Start() {
  const std::optional<nflog::Entry> entry = env_.log->Query(notification_->group_key, receiver_);
  if (!NeedsUpdate(entry.has_value() ? &*entry : nullptr, hashes_, slot_->send_resolved,
                   notification_->now, notification_->repeat_interval, &reason_)) {
    return Finish(absl::OkStatus());
  }
  for (const alerts::AlertPtr& alert : alerts_) {
    if (slot_->send_resolved || IsFiring(*alert)) sent_.push_back(alert);
  }
  metrics_.notifications->Increment();
  // With only resolved alerts for somebody who does not want them there is nothing to send, but the
  // log must know.
  if (sent_.empty()) return Record();
  Attempt();
}

void NotificationJob::Attempt() {
  const absl::Time now = env_.clock->Now();
  if (now >= notification_->deadline) {
    return Fail(
        DeadlineExceeded(Name(), ": notify retry canceled after ", attempts_, " attempts: ",
                         last_error_.ok() ? "context deadline exceeded" : Message(last_error_)),
        last_error_.ok() ? Failure::kContextDeadlineExceeded : last_failure_);
  }
  if (!notification_->lifetime->Begin()) {
    return Fail(absl::CancelledError(ToAbsl(
                    StrCat(Name(), ": notify retry canceled after ", attempts_, " attempts"))),
                Failure::kContextCanceled);
  }
  ++attempts_;
  attempt_began_ = now;
  slot_->integration->Notify(
      *notification_, reason_, sent_, [self = shared_from_this()](Outcome outcome) {
        // Away from the thread that received the answer, which must not be held up.
        self->env_.executor([self, outcome = std::move(outcome)] { self->OnOutcome(outcome); });
      });
}

void NotificationJob::OnOutcome(Outcome outcome) {
  const absl::Time now = env_.clock->Now();
  metrics_.latency->Observe(absl::ToDoubleSeconds(now - attempt_began_));
  metrics_.requests->Increment();
  if (outcome.status.ok()) {
    env_.logger.Debug("Notify success", {{"receiver", receiver_.group_name},
                                         {"integration", Name()},
                                         {"aggrGroup", notification_->group_key},
                                         {"attempts", attempts_}});
    Record();
    // Only now: a dispatcher that waits for this attempt must find it in the log.
    return notification_->lifetime->End();
  }
  metrics_.requests_failed->Increment();
  notification_->lifetime->End();
  if (!outcome.retry) {
    return Fail(Annotate(outcome.status,
                         StrCat(Name(), ": notify retry canceled due to unrecoverable error after ",
                                attempts_, " attempts")),
                outcome.failure);
  }
  if (last_error_ != outcome.status) {
    env_.logger.Warn("Notify attempt failed, will retry later",
                     {{"receiver", receiver_.group_name},
                      {"integration", Name()},
                      {"aggrGroup", notification_->group_key},
                      {"attempts", attempts_},
                      {"err", outcome.status}});
  }
  last_error_ = outcome.status;
  last_failure_ = outcome.failure;
  const absl::Time next =
      std::min(std::max(now, attempt_began_ + Jitter(pause_)), notification_->deadline);
  pause_ = std::min(pause_ * kPauseGrowth, kPauseMax);
  env_.timers->Schedule(next, [self = shared_from_this()](absl::Time) {
    self->env_.executor([self] { self->Attempt(); });
  });
}

void NotificationJob::Record() {
  nflog::Entry entry;
  entry.group_key = notification_->group_key;
  entry.receiver = receiver_;
  entry.firing_alerts = hashes_.firing;
  entry.resolved_alerts = hashes_.resolved;
  const absl::Status status = env_.log->Log(std::move(entry), 2 * notification_->repeat_interval);
  if (!status.ok()) {
    // The notification is out; a restart might repeat it.
    env_.logger.Error("notification log could not be written", {{"err", status}});
  }
  Finish(absl::OkStatus());
}

void NotificationJob::Fail(const absl::Status& status, Failure failure) {
  metrics_.failed.at(failure)->Increment();
  Finish(status);
}

void NotificationJob::Finish(absl::Status status) {
  const Pipeline::Done done = std::exchange(done_, nullptr);
  done(std::move(status));
}

}  // namespace narthex::notify
