#ifndef NARTHEX_SERVICES_ALERTMANAGER_MAINTENANCE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_MAINTENANCE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"

namespace narthex::alertmanager_service {

// The one background thread: chores that come round at fixed intervals, one after another.
//
// Thread safety: Add() before Start(); Stop() from any thread.
class Maintenance {
 public:
  explicit Maintenance(Clock* clock) : clock_(clock) {}
  ~Maintenance() { Stop(); }

  void Add(absl::Duration interval, std::function<void()> chore);
  void Start();
  void Stop();

 private:
  struct Chore {
    absl::Duration interval;
    absl::Time due;
    std::function<void()> run;
  };
  void Loop();

  Clock* const clock_;
  std::vector<Chore> chores_;  // Touched by the thread alone once it runs.
  Mutex mu_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  Thread thread_;
};

}  // namespace narthex::alertmanager_service

#endif  // NARTHEX_SERVICES_ALERTMANAGER_MAINTENANCE_H_
