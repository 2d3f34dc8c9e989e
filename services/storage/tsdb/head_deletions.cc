#include "services/storage/tsdb/head_deletions.h"

#include <algorithm>

#include "services/storage/tsdb/tombstones.h"

namespace narthex::tsdb {

void HeadDeletions::Add(Slot slot, storage::DeletedInterval interval) {
  MutexLock lock(&mu_);
  std::vector<storage::DeletedInterval>& intervals = series_[slot];
  const size_t before = intervals.size();
  AddInterval(&intervals, interval);
  intervals_.fetch_add(intervals.size() - before, std::memory_order_release);
}

void HeadDeletions::Of(Slot slot, std::vector<storage::DeletedInterval>* out) const {
  out->clear();
  if (intervals_.load(std::memory_order_acquire) == 0) return;
  MutexLock lock(&mu_);
  if (const auto found = series_.find(slot); found != series_.end()) *out = found->second;
}

bool HeadDeletions::Covers(Slot slot, Timestamp timestamp) const {
  if (intervals() == 0) return false;
  MutexLock lock(&mu_);
  const auto found = series_.find(slot);
  return found != series_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [timestamp](const storage::DeletedInterval& interval) {
                       return interval.min_time <= timestamp && timestamp <= interval.max_time;
                     });
}

void HeadDeletions::TruncateBefore(Timestamp min_time) {
  if (intervals() == 0) return;
  MutexLock lock(&mu_);
  size_t left = 0;
  for (auto at = series_.begin(); at != series_.end();) {
    std::vector<storage::DeletedInterval>& intervals = at->second;
    std::erase_if(intervals, [min_time](const storage::DeletedInterval& interval) {
      return interval.max_time < min_time;
    });
    left += intervals.size();
    if (intervals.empty()) {
      series_.erase(at++);
    } else {
      ++at;
    }
  }
  intervals_.store(left, std::memory_order_release);
}

void HeadDeletions::Forget(std::span<const Slot> slots) {
  if (intervals() == 0) return;
  MutexLock lock(&mu_);
  for (const Slot slot : slots) {
    const auto found = series_.find(slot);
    if (found == series_.end()) continue;
    intervals_.fetch_sub(found->second.size(), std::memory_order_release);
    series_.erase(found);
  }
}

}  // namespace narthex::tsdb
