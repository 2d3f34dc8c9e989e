#ifndef NARTHEX_LIB_BASE_CLOCK_H_
#define NARTHEX_LIB_BASE_CLOCK_H_

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex {

// The source of time for everything that is not a benchmark: wall time, monotonic time, and
// waiting. Production uses RealClock(); tests use FakeClock, where time moves only when the test
// says so.
//
// Thread safety: all methods may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  // Never goes back; comparable only with other values of the same Clock.
  virtual absl::Duration Monotonic() const = 0;
  // Waits on `cv` (releasing `mu`) until it is signalled or `deadline` is reached; true when the
  // deadline was reached. Like every condition variable it may wake for no reason.
  virtual bool WaitUntil(Mutex* mu, CondVar* cv, absl::Time deadline) = 0;
};

// The operating system's clocks. Never destroyed.
Clock* RealClock();

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_CLOCK_H_
