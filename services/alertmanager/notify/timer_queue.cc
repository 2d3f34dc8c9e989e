#include "services/alertmanager/notify/timer_queue.h"

namespace narthex::notify {

void TimerQueue::Start() {
  thread_ = Thread("am-timers", [this] { Loop(); });
}

void TimerQueue::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    changed_.SignalAll();
  }
  thread_.Join();
  MutexLock lock(&mu_);
  timers_.clear();
  times_.clear();
}

TimerQueue::Id TimerQueue::Schedule(absl::Time when, Callback callback) {
  MutexLock lock(&mu_);
  const Id id = ++last_id_;
  if (stopped_) return id;
  const bool first = timers_.empty() || when < timers_.begin()->first.first;
  timers_.emplace(Key(when, id), std::move(callback));
  times_[id] = when;
  if (first) changed_.Signal();
  return id;
}

bool TimerQueue::Cancel(Id id) {
  MutexLock lock(&mu_);
  const auto found = times_.find(id);
  if (found == times_.end()) return false;
  timers_.erase(Key(found->second, id));
  times_.erase(found);
  return true;
}

bool TimerQueue::TakeDue(absl::Time now, Callback* callback) {
  MutexLock lock(&mu_);
  if (stopped_ || timers_.empty() || timers_.begin()->first.first > now) return false;
  const auto first = timers_.begin();
  *callback = std::move(first->second);
  times_.erase(first->first.second);
  timers_.erase(first);
  return true;
}

size_t TimerQueue::RunDue() {
  size_t ran = 0;
  for (;; ++ran) {
    const absl::Time now = clock_->Now();
    Callback callback;
    if (!TakeDue(now, &callback)) return ran;
    callback(now);
  }
}

absl::Time TimerQueue::next() const {
  MutexLock lock(&mu_);
  return timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first.first;
}

void TimerQueue::Loop() {
  for (;;) {
    RunDue();
    MutexLock lock(&mu_);
    if (stopped_) return;
    const absl::Time next = timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first.first;
    if (next > clock_->Now()) clock_->WaitUntil(&mu_, &changed_, next);
  }
}

}  // namespace narthex::notify
