#ifndef NARTHEX_TESTS_SUPPORT_FAKE_CLOCK_H_
#define NARTHEX_TESTS_SUPPORT_FAKE_CLOCK_H_

#include <vector>

#include "lib/base/clock.h"

namespace narthex {

// A clock that moves only by Advance(). Threads that wait on it wake when their deadline is reached
// or their condition variable is signalled. Thread-safe.
//
// Advance() wakes waiters but does not wait for what they do; a test that needs that uses
// WaitForWaiters() before and its own condition after.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1700000000))
      : now_(start), start_(start) {}

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  bool WaitUntil(Mutex* mu, CondVar* cv, absl::Time deadline) override;

  void Advance(absl::Duration by);
  // Waits (real time, at most 10 s) until at least `count` threads wait on this clock; false when
  // it took too long.
  bool WaitForWaiters(size_t count);

 private:
  struct Waiter {
    Mutex* mu;
    CondVar* cv;
  };
  mutable Mutex mu_;
  CondVar waiters_changed_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
  const absl::Time start_;
  std::vector<Waiter*> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex

#endif  // NARTHEX_TESTS_SUPPORT_FAKE_CLOCK_H_
