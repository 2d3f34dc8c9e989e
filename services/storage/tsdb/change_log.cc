#include "services/storage/tsdb/change_log.h"

#include <algorithm>

namespace narthex::tsdb {

void ChangeLog::Add(Timestamp oldest, Timestamp now) {
  MutexLock lock(&mu_);
  ++revision_;
  if (spans_.empty() || now - spans_.back().began >= kSpanMs || now < spans_.back().began) {
    spans_.push_back({revision_, oldest, now});
    if (spans_.size() > kSpansMax) {
      known_ = spans_.front().last_revision;
      spans_.pop_front();
    }
    return;
  }
  spans_.back().last_revision = revision_;
  spans_.back().oldest = std::min(spans_.back().oldest, oldest);
}

uint64_t ChangeLog::revision() const {
  MutexLock lock(&mu_);
  return revision_;
}

Timestamp ChangeLog::OldestSince(uint64_t revision) const {
  MutexLock lock(&mu_);
  if (revision < known_ || revision > revision_) return kMinTimestamp;
  Timestamp oldest = kMaxTimestamp;
  for (auto span = spans_.rbegin(); span != spans_.rend() && span->last_revision > revision;
       ++span) {
    oldest = std::min(oldest, span->oldest);
  }
  return oldest;
}

}  // namespace narthex::tsdb
