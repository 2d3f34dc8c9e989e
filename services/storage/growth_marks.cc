#include "services/storage/growth_marks.h"

#include "lib/base/check.h"

namespace narthex::storage_service {

bool GrowthMarks::Due(absl::Duration now) const {
  MutexLock lock(&mu_);
  return marks_.empty() || now - marks_.back().at >= kInterval;
}

void GrowthMarks::Add(absl::Duration now, uint64_t reference) {
  MutexLock lock(&mu_);
  marks_.push_back({now, reference});
  while (now - marks_.front().at > kWindow + kInterval) marks_.pop_front();
}

GrowthMarks::Mark GrowthMarks::Oldest(absl::Duration now) const {
  MutexLock lock(&mu_);
  NARTHEX_CHECK(!marks_.empty());
  for (const Mark& mark : marks_) {
    if (now - mark.at <= kWindow + kInterval) return mark;
  }
  return marks_.back();
}

bool GrowthMarks::empty() const {
  MutexLock lock(&mu_);
  return marks_.empty();
}

}  // namespace narthex::storage_service
