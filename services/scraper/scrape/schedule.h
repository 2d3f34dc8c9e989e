#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCHEDULE_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/model/timestamp.h"

namespace narthex::scrape {

// How close to its tick a scrape must be to carry the tick as its timestamp; a steady timestamp
// costs storage next to nothing.
struct TimestampAlignment {
  bool enabled = true;
  absl::Duration tolerance = absl::Milliseconds(2);  // At most 1 % of the interval.
};

// The first tick at or after `now` of a target whose hash is `offset_hash`: ticks lie at fixed
// places on the clock, spread over the interval by hash.
absl::Time FirstTick(absl::Time now, absl::Duration interval, uint64_t offset_hash);

// The tick that follows `tick`. When `now` is past that one already, the newest tick that is due,
// so that a late scrape is made up once and the ticks stay where they are. A clock that was set
// back does not stop the ticks.
absl::Time NextTick(absl::Time tick, absl::Time now, absl::Duration interval);

// The timestamp of a scrape that was due at `tick` and begins at `now`.
Timestamp AlignTimestamp(absl::Time tick, absl::Time now, absl::Duration interval,
                         const TimestampAlignment& alignment);

// Runs tasks at their time, on one thread and in order of time. Tasks must be short and must not
// block: a scrape is begun here, not done.
//
// Thread safety: all methods may be called from any thread; At() also from a task. Stop() drops the
// tasks that wait and joins.
class Schedule {
 public:
  explicit Schedule(Clock* clock) : clock_(clock) {}
  ~Schedule() { Stop(); }

  void Start();
  void At(absl::Time due, std::function<void()> task);
  void Stop();
  size_t waiting() const;

 private:
  struct Task {
    absl::Duration due;  // Monotonic.
    uint64_t order;      // Of two tasks for one time the earlier call goes first.
    std::function<void()> run;
  };
  // For a heap with the earliest task in front.
  static bool Later(const Task& a, const Task& b) {
    return a.due != b.due ? a.due > b.due : a.order > b.order;
  }
  void Run();

  Clock* const clock_;
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<Task> heap_ ABSL_GUARDED_BY(mu_);
  uint64_t next_order_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  Thread thread_;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCHEDULE_H_
