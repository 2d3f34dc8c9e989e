#include "tests/support/fake_clock.h"

#include <algorithm>

namespace narthex {

absl::Time FakeClock::Now() const {
  MutexLock lock(&mu_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const {
  MutexLock lock(&mu_);
  return now_ - start_ + absl::Seconds(1);
}

bool FakeClock::WaitUntil(Mutex* mu, CondVar* cv, absl::Time deadline) {
  Waiter self{mu, cv};
  {
    MutexLock lock(&mu_);
    if (now_ >= deadline) return true;
    waiters_.push_back(&self);
    waiters_changed_.SignalAll();
  }
  // Advance() may signal between the registration and the wait only while holding *mu, which this
  // thread holds; so it is never missed. The short bound covers a waker that could not take *mu
  // (see Advance).
  cv->WaitWithTimeout(mu, absl::Milliseconds(20));
  MutexLock lock(&mu_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), &self));
  return now_ >= deadline;
}

void FakeClock::Advance(absl::Duration by) {
  MutexLock lock(&mu_);
  now_ += by;
  for (Waiter* waiter : waiters_) waiter->cv->SignalAll();
}

bool FakeClock::WaitForWaiters(size_t count) {
  const absl::Duration end = RealClock()->Monotonic() + absl::Seconds(10);
  MutexLock lock(&mu_);
  while (waiters_.size() < count) {
    const absl::Duration left = end - RealClock()->Monotonic();
    if (left <= absl::ZeroDuration()) return false;
    waiters_changed_.WaitWithTimeout(&mu_, left);
  }
  return true;
}

}  // namespace narthex
