#ifndef NARTHEX_LIB_BASE_RATE_LIMITER_H_
#define NARTHEX_LIB_BASE_RATE_LIMITER_H_

#include "absl/time/time.h"
#include "lib/base/clock.h"

namespace narthex {

// Lets something happen at most once an `interval`: log lines about a peer that is down, warnings
// of a busy path. Thread safety: all methods may be called from any thread.
class RateLimiter {
 public:
  RateLimiter(Clock* clock, absl::Duration interval) : clock_(clock), interval_(interval) {}
  // True when the last true answer is at least an interval ago; *suppressed (may be null) gets how
  // many were refused since.
  bool Allow(uint64_t* suppressed = nullptr) {
    const absl::Duration now = clock_->Monotonic();
    MutexLock lock(&mu_);
    if (allowed_once_ && now - last_ < interval_) {
      ++suppressed_;
      return false;
    }
    allowed_once_ = true;
    last_ = now;
    if (suppressed != nullptr) *suppressed = suppressed_;
    suppressed_ = 0;
    return true;
  }

 private:
  Clock* const clock_;
  const absl::Duration interval_;
  Mutex mu_;
  bool allowed_once_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration last_ ABSL_GUARDED_BY(mu_);
  uint64_t suppressed_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_RATE_LIMITER_H_
