#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TIMER_QUEUE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TIMER_QUEUE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"

namespace narthex::notify {

// All timers of the service on one heap and one thread: group flushes and retries. Callbacks get
// the time at which they run and must not block; they may schedule and cancel. Without Start()
// nothing runs by itself and a test calls RunDue().
//
// Thread safety: all methods may be called from any thread. Stop() must not be called from a
// callback.
class TimerQueue {
 public:
  using Id = uint64_t;
  using Callback = std::function<void(absl::Time now)>;

  explicit TimerQueue(Clock* clock) : clock_(clock) {}
  ~TimerQueue() { Stop(); }

  void Start();
  // No callback runs afterwards; what was scheduled is dropped.
  void Stop();

  // Ids are never 0.
  Id Schedule(absl::Time when, Callback callback);
  // False when it has run, runs now, or was never there.
  bool Cancel(Id id);

  // Runs everything that is due, in order of time; returns how many ran.
  size_t RunDue();
  // The next time at which something is due; InfiniteFuture() when nothing is scheduled.
  absl::Time next() const;

 private:
  using Key = std::pair<absl::Time, Id>;
  void Loop();
  // Takes the first timer that is due at `now`; false when there is none.
  bool TakeDue(absl::Time now, Callback* callback);

  Clock* const clock_;
  mutable Mutex mu_;
  CondVar changed_;
  std::map<Key, Callback> timers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<Id, absl::Time> times_ ABSL_GUARDED_BY(mu_);
  Id last_id_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  Thread thread_;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TIMER_QUEUE_H_
