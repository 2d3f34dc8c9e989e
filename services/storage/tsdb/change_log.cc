#include "services/storage/tsdb/change_log.h"

#include <algorithm>
#include <random>

#include "lib/base/coding.h"

namespace narthex::tsdb {
namespace {

uint64_t RandomNumber() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

ChangeLog::ChangeLog() : run_(RandomNumber()) {}

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
  return OldestSinceLocked(revision);
}

storage::DataChanges ChangeLog::Since(std::string_view known_revision) const {
  MutexLock lock(&mu_);
  storage::DataChanges changes;
  AppendLittle(&changes.revision, run_);
  AppendLittle(&changes.revision, revision_);
  ByteReader reader(known_revision);
  uint64_t run = 0;
  uint64_t revision = 0;
  if (reader.ReadLittle(&run) && reader.ReadLittle(&revision) && reader.done() && run == run_) {
    changes.oldest_change = OldestSinceLocked(revision);
  }
  return changes;
}

Timestamp ChangeLog::OldestSinceLocked(uint64_t revision) const {
  if (revision < known_ || revision > revision_) return kMinTimestamp;
  Timestamp oldest = kMaxTimestamp;
  for (auto span = spans_.rbegin(); span != spans_.rend() && span->last_revision > revision;
       ++span) {
    oldest = std::min(oldest, span->oldest);
  }
  return oldest;
}

}  // namespace narthex::tsdb
