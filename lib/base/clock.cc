#include "lib/base/clock.h"

#include <ctime>

#include "absl/time/clock.h"

namespace narthex {
namespace {

class SystemClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }

  absl::Duration Monotonic() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  }

  bool WaitUntil(Mutex* mu, CondVar* cv, absl::Time deadline) override {
    return cv->WaitWithDeadline(mu, deadline);
  }
};

}  // namespace

Clock* RealClock() {
  static SystemClock* const clock = new SystemClock;
  return clock;
}

}  // namespace narthex
