#include "services/storage/tsdb/head_source.h"

#include <limits>
#include <memory>

#include "lib/base/strings.h"

namespace narthex::tsdb {
namespace {

// Every batch is seen.
constexpr BatchNumber kAll = std::numeric_limits<BatchNumber>::max();

}  // namespace

HeadSource::HeadSource(const Head* head, Timestamp min_time, Timestamp max_time)
    : head_(head), min_time_(min_time), max_time_(max_time), hold_(&head->isolation()) {
  Take(head_->index().Select({}));
}

HeadSource::HeadSource(const Head* head, Timestamp min_time, Timestamp max_time,
                       std::vector<Slot> slots)
    : head_(head), min_time_(min_time), max_time_(max_time), hold_(&head->isolation()) {
  Take(std::move(slots));
}

void HeadSource::Take(std::vector<Slot> slots) {
  slots_ = std::move(slots);
  std::erase_if(slots_, [&](Slot slot) {
    return !head_->table().Overlaps(slot, min_time_, max_time_, kAll);
  });
  head_->index().SortByLabels(&slots_);
}

absl::StatusOr<bool> HeadSource::Next() {
  while (next_ < slots_.size()) {
    const Slot slot = slots_[next_++];
    if (!head_->table().ReadChunks(slot, min_time_, max_time_, kAll, &chunks_)) continue;
    // What cannot be read must not be missing from a block without a word.
    if (!chunks_.damage.ok()) return Annotate(chunks_.damage, "read the head");
    head_->index().VisitLabels(std::span(&slot, 1), [&](size_t, std::span<const LabelView> labels) {
      labels_.assign(labels.begin(), labels.end());
    });
    head_->Deleted(slot, &deleted_);
    return true;
  }
  return false;
}

std::unique_ptr<ChunkSeriesSource> Head::Source(Timestamp min_time, Timestamp max_time) const {
  return std::make_unique<HeadSource>(this, min_time, max_time);
}

std::unique_ptr<ChunkSeriesSource> Head::Source(Timestamp min_time, Timestamp max_time,
                                                std::vector<Slot> slots) const {
  return std::make_unique<HeadSource>(this, min_time, max_time, std::move(slots));
}

}  // namespace narthex::tsdb
