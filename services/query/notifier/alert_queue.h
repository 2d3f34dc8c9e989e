#ifndef NARTHEX_SERVICES_QUERY_NOTIFIER_ALERT_QUEUE_H_
#define NARTHEX_SERVICES_QUERY_NOTIFIER_ALERT_QUEUE_H_

#include <deque>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/alert.h"

namespace narthex::notifier {

// Alerts that wait for one Alertmanager, oldest first. When it is full the oldest are dropped: the
// rules send what still fires again, so the newest say the most.
//
// Thread safety: all methods may be called from any thread.
class AlertQueue {
 public:
  explicit AlertQueue(size_t capacity) : capacity_(capacity) {}

  // Returns how many alerts were dropped for want of room (old ones, or of `alerts` themselves).
  size_t Push(std::vector<Alert> alerts);
  // Waits for alerts and takes up to `count_max`; empty once the queue is closed and has run out.
  std::vector<Alert> PopBatch(size_t count_max);
  // Takes no more; what is queued can still be popped.
  void Close();
  // Drops what is queued; returns how much that was.
  size_t Clear();
  size_t size() const;

 private:
  const size_t capacity_;
  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Alert> alerts_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace narthex::notifier

#endif  // NARTHEX_SERVICES_QUERY_NOTIFIER_ALERT_QUEUE_H_
