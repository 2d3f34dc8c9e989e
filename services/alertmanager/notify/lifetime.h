#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_LIFETIME_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_LIFETIME_H_

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex::notify {

// Counts the attempts that a dispatcher has under way, so that it can end: no attempt begins after
// Cancel(), and Wait() gives those under way time to finish and to be recorded. Shared, because an
// attempt can outlive the dispatcher.
//
// Thread safety: all methods may be called from any thread.
class Lifetime {
 public:
  // False once cancelled; otherwise End() must follow.
  bool Begin() {
    MutexLock lock(&mu_);
    if (cancelled_) return false;
    ++under_way_;
    return true;
  }
  void End() {
    MutexLock lock(&mu_);
    if (--under_way_ == 0) ended_.SignalAll();
  }
  void Cancel() {
    MutexLock lock(&mu_);
    cancelled_ = true;
  }
  bool cancelled() const {
    MutexLock lock(&mu_);
    return cancelled_;
  }
  // Waits (real time) until nothing is under way; false when that took longer than `grace`.
  bool Wait(absl::Duration grace) {
    MutexLock lock(&mu_);
    while (under_way_ > 0) {
      if (ended_.WaitWithTimeout(&mu_, grace)) return under_way_ == 0;
    }
    return true;
  }

 private:
  mutable Mutex mu_;
  CondVar ended_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  int under_way_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_LIFETIME_H_
