#include "services/storage/stall_watch.h"

namespace narthex::storage_service {

StallWatch::Answer::Answer(StallWatch* watch, std::function<void()> cancel)
    : watch_(watch), cancel_(std::move(cancel)) {
  MutexLock lock(&watch_->mu_);
  watch_->answers_.insert(this);
}

StallWatch::Answer::~Answer() {
  MutexLock lock(&watch_->mu_);
  watch_->answers_.erase(this);
}

void StallWatch::Answer::Sending() {
  sending_since_ns_.store(absl::ToInt64Nanoseconds(watch_->clock_->Monotonic()),
                          std::memory_order_relaxed);
}

void StallWatch::Answer::Sent() { sending_since_ns_.store(kNotSending, std::memory_order_relaxed); }

int StallWatch::CancelStalled(absl::Duration stall_max) {
  const int64_t oldest = absl::ToInt64Nanoseconds(clock_->Monotonic() - stall_max);
  int cancelled = 0;
  MutexLock lock(&mu_);
  for (Answer* const answer : answers_) {
    const int64_t since = answer->sending_since_ns_.load(std::memory_order_relaxed);
    if (since == Answer::kNotSending || since > oldest) continue;
    answer->cancel_();
    ++cancelled;
  }
  return cancelled;
}

int StallWatch::answers() const {
  MutexLock lock(&mu_);
  return static_cast<int>(answers_.size());
}

}  // namespace narthex::storage_service
