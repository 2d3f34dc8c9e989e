#ifndef NARTHEX_TESTS_UNIT_LIB_DISCOVERY_COLLECTOR_H_
#define NARTHEX_TESTS_UNIT_LIB_DISCOVERY_COLLECTOR_H_

#include <functional>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"

namespace narthex::discovery {

// Gathers values that another thread reports and lets a test wait for what it expects. Thread-safe.
template <typename T>
class Collector {
 public:
  void Add(T value) {
    MutexLock lock(&mu_);
    values_.push_back(std::move(value));
    cv_.SignalAll();
  }
  // Waits (real time, at most 10 s) until `enough` holds for what has come; false when it took too
  // long.
  bool WaitFor(const std::function<bool(const std::vector<T>&)>& enough) {
    const absl::Time deadline = RealClock()->Now() + absl::Seconds(10);
    MutexLock lock(&mu_);
    while (!enough(values_)) {
      if (RealClock()->Now() > deadline) return false;
      cv_.WaitWithTimeout(&mu_, absl::Milliseconds(100));
    }
    return true;
  }
  bool WaitForCount(size_t count) {
    return WaitFor([count](const std::vector<T>& values) { return values.size() >= count; });
  }
  std::vector<T> values() {
    MutexLock lock(&mu_);
    return values_;
  }

 private:
  Mutex mu_;
  CondVar cv_;
  std::vector<T> values_;
};

}  // namespace narthex::discovery

#endif  // NARTHEX_TESTS_UNIT_LIB_DISCOVERY_COLLECTOR_H_
