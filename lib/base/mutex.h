#ifndef NARTHEX_LIB_BASE_MUTEX_H_
#define NARTHEX_LIB_BASE_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

// Mutex, MutexLock, ReaderMutexLock, WriterMutexLock and CondVar with Abseil's interface. Abseil is
// not instrumented for ThreadSanitizer in this distribution, so under TSan they are made of the
// standard library's instead.
#if defined(__SANITIZE_THREAD__)
#define NARTHEX_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NARTHEX_TSAN 1
#endif
#endif

#ifndef NARTHEX_TSAN

#include "absl/synchronization/mutex.h"

namespace narthex {
using Mutex = absl::Mutex;
using MutexLock = absl::MutexLock;
using ReaderMutexLock = absl::ReaderMutexLock;
using WriterMutexLock = absl::WriterMutexLock;
using CondVar = absl::CondVar;
}  // namespace narthex

#else

#include <chrono>
#include <condition_variable>
#include <shared_mutex>

#include "absl/time/clock.h"

namespace narthex {

// A reader-writer lock. Thread-safe.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mu_.try_lock(); }
  void ReaderLock() ABSL_SHARED_LOCK_FUNCTION() { mu_.lock_shared(); }
  void ReaderUnlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock_shared(); }
  void WriterLock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void WriterUnlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}
  void AssertReaderHeld() const ABSL_ASSERT_SHARED_LOCK() {}

 private:
  friend class CondVar;
  std::shared_mutex mu_;
};

// Holds a Mutex from its construction to its destruction.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};
using WriterMutexLock = MutexLock;

// Holds a Mutex beside other readers.
class ABSL_SCOPED_LOCKABLE ReaderMutexLock {
 public:
  explicit ReaderMutexLock(Mutex* mu) ABSL_SHARED_LOCK_FUNCTION(mu) : mu_(mu) { mu_->ReaderLock(); }
  ~ReaderMutexLock() ABSL_UNLOCK_FUNCTION() { mu_->ReaderUnlock(); }
  ReaderMutexLock(const ReaderMutexLock&) = delete;
  ReaderMutexLock& operator=(const ReaderMutexLock&) = delete;

 private:
  Mutex* const mu_;
};

// Waits for a signal under a Mutex. Thread-safe.
class CondVar {
 public:
  void Wait(Mutex* mu) { cv_.wait(mu->mu_); }
  // True when the time ran out before a signal.
  bool WaitWithTimeout(Mutex* mu, absl::Duration timeout) {
    if (timeout == absl::InfiniteDuration()) {
      cv_.wait(mu->mu_);
      return false;
    }
    return cv_.wait_for(mu->mu_, absl::ToChronoNanoseconds(timeout)) == std::cv_status::timeout;
  }
  bool WaitWithDeadline(Mutex* mu, absl::Time deadline) {
    return WaitWithTimeout(mu, deadline - absl::Now());
  }
  void Signal() { cv_.notify_one(); }
  void SignalAll() { cv_.notify_all(); }

 private:
  std::condition_variable_any cv_;
};

}  // namespace narthex

#endif  // NARTHEX_TSAN

#endif  // NARTHEX_LIB_BASE_MUTEX_H_
