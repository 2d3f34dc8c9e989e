#include "lib/base/thread.h"

#include <pthread.h>

#include <string>
#include <utility>

#include "lib/base/clock.h"

namespace narthex {

#if defined(NDEBUG) && !defined(NARTHEX_TSAN)
namespace {

// Abseil as distributions build it looks for deadlocks at every lock, in a graph that all threads
// share. Where our own assertions are off this is, too.
[[maybe_unused]] const bool kLooksForDeadlocks = [] {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return false;
}();

}  // namespace
#endif

void StopSignal::Set() {
  MutexLock lock(&mu_);
  stopped_.store(true, std::memory_order_release);
  cv_.SignalAll();
}

bool StopSignal::WaitFor(absl::Duration timeout) {
  MutexLock lock(&mu_);
  const absl::Duration end = RealClock()->Monotonic() + timeout;
  while (!stopped()) {
    const absl::Duration left = end - RealClock()->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    cv_.WaitWithTimeout(&mu_, left);
  }
  return stopped();
}

Thread::Thread(std::string_view name, std::function<void()> body)
    : thread_([short_name = std::string(name.substr(0, 15)), run = std::move(body)] {
        pthread_setname_np(pthread_self(), short_name.c_str());
        run();
      }) {}

Thread& Thread::operator=(Thread&& other) {
  Join();
  thread_ = std::move(other.thread_);
  return *this;
}

void Thread::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace narthex
