#ifndef NARTHEX_LIB_BASE_BOUNDED_QUEUE_H_
#define NARTHEX_LIB_BASE_BOUNDED_QUEUE_H_

#include <deque>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex {

// A first-in first-out queue of at most `capacity` items between threads. When it is full Push()
// waits and TryPush() refuses; which one is the caller's answer to "what happens when full". Thread
// safety: all methods may be called from any thread.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // Waits for room; false when the queue was closed.
  bool Push(T item) {
    MutexLock lock(&mu_);
    while (!closed_ && items_.size() >= capacity_) not_full_.Wait(&mu_);
    if (closed_) return false;
    items_.push_back(std::move(item));
    not_empty_.Signal();
    return true;
  }
  // False when full or closed; the item is untouched then.
  bool TryPush(T&& item) {
    MutexLock lock(&mu_);
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    not_empty_.Signal();
    return true;
  }
  // Waits for an item; nothing once the queue is closed and empty.
  std::optional<T> Pop() {
    MutexLock lock(&mu_);
    while (!closed_ && items_.empty()) not_empty_.Wait(&mu_);
    return TakeLocked();
  }
  // Nothing when none came within `timeout` (real time).
  std::optional<T> PopFor(absl::Duration timeout) {
    MutexLock lock(&mu_);
    if (!closed_ && items_.empty()) not_empty_.WaitWithTimeout(&mu_, timeout);
    return TakeLocked();
  }
  // No more pushes; what is queued can still be popped. Wakes all that wait.
  void Close() {
    MutexLock lock(&mu_);
    closed_ = true;
    not_empty_.SignalAll();
    not_full_.SignalAll();
  }
  size_t size() const {
    MutexLock lock(&mu_);
    return items_.size();
  }
  size_t capacity() const { return capacity_; }

 private:
  std::optional<T> TakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    not_full_.Signal();
    return item;
  }

  const size_t capacity_;
  mutable Mutex mu_;
  CondVar not_empty_;
  CondVar not_full_;
  std::deque<T> items_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_BOUNDED_QUEUE_H_
