#ifndef NARTHEX_SERVICES_STORAGE_TSDB_READER_GATE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_READER_GATE_H_

#include <cstddef>
#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex::tsdb {

// Lets a truncation wait for the readers that may still need what it takes away: those that began
// before the blocks which replace it were published.
//
// Thread safety: all methods may be called from any thread.
class ReaderGate {
 public:
  // A reader enters before it takes its parts. Leave() takes what Enter() gave.
  uint64_t Enter() {
    MutexLock lock(&mu_);
    ++readers_[generation_];
    return generation_;
  }
  void Leave(uint64_t generation) {
    MutexLock lock(&mu_);
    const auto found = readers_.find(generation);
    if (--found->second > 0) return;
    readers_.erase(found);
    left_.SignalAll();
  }

  // Draws a line after something was published: readers that enter from now on are above it.
  uint64_t DrawLine() {
    MutexLock lock(&mu_);
    return ++generation_;
  }
  // True once no reader below the line is left; false when `patience` (real time) is over first.
  bool WaitBelow(uint64_t line, absl::Duration patience) {
    MutexLock lock(&mu_);
    const auto cleared = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return readers_.empty() || readers_.begin()->first >= line;
    };
    if (!cleared()) left_.WaitWithTimeout(&mu_, patience);
    return cleared();
  }

 private:
  Mutex mu_;
  CondVar left_;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, size_t> readers_ ABSL_GUARDED_BY(mu_);  // How many entered at each.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_READER_GATE_H_
