#ifndef NARTHEX_LIB_BASE_THREAD_H_
#define NARTHEX_LIB_BASE_THREAD_H_

#include <atomic>
#include <functional>
#include <string_view>
#include <thread>

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex {

// Set once; every loop that waits takes one. Thread safety: all methods may be called from any
// thread.
class StopSignal {
 public:
  void Set();
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }
  // Waits until Set() or until `timeout` has passed; true when stopped. Real time: engines wait on
  // their Clock.
  bool WaitFor(absl::Duration timeout);

 private:
  std::atomic<bool> stopped_{false};
  Mutex mu_;
  CondVar cv_;
};

// A joining thread with a name (shown by ps and gdb, cut at 15 bytes). The destructor joins, so the
// owner must have told the body to end. The only place, with WorkerPool, that starts threads.
class Thread {
 public:
  Thread() = default;
  Thread(std::string_view name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other);
  ~Thread() { Join(); }
  void Join();
  bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_THREAD_H_
