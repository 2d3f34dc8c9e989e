#include "services/query/notifier/alert_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace narthex::notifier {

size_t AlertQueue::Push(std::vector<Alert> alerts) {
  MutexLock lock(&mu_);
  if (closed_) return alerts.size();
  alerts_.insert(alerts_.end(), std::make_move_iterator(alerts.begin()),
                 std::make_move_iterator(alerts.end()));
  size_t dropped = 0;
  if (alerts_.size() > capacity_) {
    dropped = alerts_.size() - capacity_;
    alerts_.erase(alerts_.begin(), alerts_.begin() + static_cast<ptrdiff_t>(dropped));
  }
  changed_.SignalAll();
  return dropped;
}

std::vector<Alert> AlertQueue::PopBatch(size_t count_max) {
  MutexLock lock(&mu_);
  while (alerts_.empty() && !closed_) changed_.Wait(&mu_);
  const auto end = alerts_.begin() + static_cast<ptrdiff_t>(std::min(count_max, alerts_.size()));
  std::vector<Alert> batch(std::make_move_iterator(alerts_.begin()), std::make_move_iterator(end));
  alerts_.erase(alerts_.begin(), end);
  return batch;
}

void AlertQueue::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
  changed_.SignalAll();
}

size_t AlertQueue::Clear() {
  MutexLock lock(&mu_);
  const size_t dropped = alerts_.size();
  alerts_.clear();
  return dropped;
}

size_t AlertQueue::size() const {
  MutexLock lock(&mu_);
  return alerts_.size();
}

}  // namespace narthex::notifier
