#include "services/alertmanager/maintenance.h"

#include <algorithm>
#include <utility>

namespace narthex::alertmanager_service {

void Maintenance::Add(absl::Duration interval, std::function<void()> chore) {
  if (interval <= absl::ZeroDuration()) return;
  chores_.push_back({interval, clock_->Now() + interval, std::move(chore)});
}

void Maintenance::Start() {
  thread_ = Thread("maintenance", [this] { Loop(); });
}

void Maintenance::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    changed_.SignalAll();
  }
  thread_.Join();
}

void Maintenance::Loop() {
  for (;;) {
    absl::Time next = absl::InfiniteFuture();
    for (Chore& chore : chores_) {
      if (chore.due <= clock_->Now()) {
        chore.run();
        chore.due = clock_->Now() + chore.interval;
      }
      next = std::min(next, chore.due);
    }
    MutexLock lock(&mu_);
    if (stopped_) return;
    clock_->WaitUntil(&mu_, &changed_, next);
    if (stopped_) return;
  }
}

}  // namespace narthex::alertmanager_service
