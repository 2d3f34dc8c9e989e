#include "services/storage/tsdb/head_reader.h"

#include <algorithm>

#include "lib/base/status_macros.h"
#include "lib/chunkenc/chunk.h"

namespace narthex::tsdb {

absl::StatusOr<bool> HeadReader::ReadNewest(Slot slot, Timestamp min_time, Timestamp max_time,
                                            SeriesChunks* scratch, SampleBuffer* buffer,
                                            Timestamp* timestamp, double* value) const {
  if (head_->table().NewestSample(slot, max_time, reader_.visible, timestamp, value)) {
    return *timestamp >= min_time;
  }
  if (!ReadChunks(slot, min_time, max_time, scratch)) return false;
  NARTHEX_RETURN_IF_ERROR(scratch->damage);
  // The last chunk that overlaps has it, unless the part that overlaps is between two samples.
  for (size_t i = scratch->chunks.size(); i-- > 0;) {
    const storage::SelectChunk& chunk = scratch->chunks[i];
    buffer->Clear();
    NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(
        chunk.encoding, chunk.bytes, chunk.visible_samples, min_time, max_time, buffer));
    if (buffer->empty()) continue;
    *timestamp = buffer->timestamps().back();
    *value = buffer->values().back();
    return true;
  }
  return false;
}

std::vector<Slot> HeadReader::FindAny(std::span<const std::vector<Matcher>> matcher_sets,
                                      Timestamp min_time, Timestamp max_time) const {
  std::vector<Slot> slots;
  for (const std::vector<Matcher>& matchers : matcher_sets) {
    const std::vector<Slot> found = Find(matchers);
    slots.insert(slots.end(), found.begin(), found.end());
  }
  if (matcher_sets.size() > 1) {
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  }
  std::erase_if(slots, [&](Slot slot) {
    return !Overlaps(slot, min_time, max_time) && !OutOfOrderOverlaps(slot, min_time, max_time);
  });
  return slots;
}

std::vector<std::string> HeadReader::LabelNames(std::span<const std::vector<Matcher>> matcher_sets,
                                                Timestamp min_time, Timestamp max_time) const {
  if (!matcher_sets.empty()) {
    return head_->index().NamesOf(FindAny(matcher_sets, min_time, max_time));
  }
  return head_->index().Names([&](Slot slot) {
    return Overlaps(slot, min_time, max_time) || OutOfOrderOverlaps(slot, min_time, max_time);
  });
}

std::vector<std::string> HeadReader::LabelValues(std::string_view name,
                                                 std::span<const std::vector<Matcher>> matcher_sets,
                                                 Timestamp min_time, Timestamp max_time) const {
  if (!matcher_sets.empty()) {
    return head_->index().ValuesOf(name, FindAny(matcher_sets, min_time, max_time));
  }
  return head_->index().Values(name, [&](Slot slot) {
    return Overlaps(slot, min_time, max_time) || OutOfOrderOverlaps(slot, min_time, max_time);
  });
}

}  // namespace narthex::tsdb
