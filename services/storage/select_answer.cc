#include "services/storage/select_answer.h"

#include <utility>

#include "lib/base/status_macros.h"

namespace narthex::storage_service {
namespace {

// Less than a megabyte by what one more series of ordinary size can add.
constexpr size_t kFrameBytes = (size_t{1} << 20) - (size_t{32} << 10);

}  // namespace

SelectAnswer::SelectAnswer(const tsdb::HeadReader* reader, const storage::SelectOptions* options,
                           Clock* clock, Sink sink)
    : reader_(reader), options_(options), sink_(std::move(sink)), budget_(*options, clock) {}

absl::Status SelectAnswer::AddSeries(tsdb::Slot slot, const storage::SelectHints& hints,
                                     uint64_t* samples) {
  const uint64_t id = reader_->ReferenceOf(slot);
  if (hints.labels_only) {
    if (!reader_->Overlaps(slot, hints.start, hints.end)) return absl::OkStatus();
    frame_.AddSeries(id);
    frame_.LabelsOnly();
    return absl::OkStatus();
  }
  if (hints.newest_only) {
    Timestamp timestamp;
    double value;
    NARTHEX_ASSIGN_OR_RETURN(
        const bool found,
        reader_->ReadNewest(slot, hints.start, hints.end, &chunks_, &samples_, &timestamp, &value));
    if (!found) return absl::OkStatus();
    frame_.AddSeries(id);
    frame_.Samples(std::span(&timestamp, 1), std::span(&value, 1));
    *samples = 1;
    return absl::OkStatus();
  }
  if (!reader_->ReadChunks(slot, hints.start, hints.end, &chunks_)) return absl::OkStatus();
  for (const storage::SelectChunk& chunk : chunks_.chunks) {
    *samples += tsdb::SamplesWithin(chunk, hints.start, hints.end);
  }
  frame_.AddSeries(id);
  frame_.Chunks(chunks_.chunks, {});
  return absl::OkStatus();
}

absl::Status SelectAnswer::Answer(uint32_t index, const storage::Selector& selector) {
  std::vector<tsdb::Slot> slots = reader_->Find(selector.matchers);
  if (options_->sorted) reader_->SortByLabels(&slots);
  size_t answered = 0;
  frame_.Clear();
  for (const tsdb::Slot slot : slots) {
    const size_t bytes_before = frame_.size_bytes();
    const size_t series_before = frame_.series();
    uint64_t samples = 0;
    NARTHEX_RETURN_IF_ERROR(AddSeries(slot, selector.hints, &samples));
    if (frame_.series() == series_before) continue;
    NARTHEX_RETURN_IF_ERROR(budget_.Spend(samples, frame_.size_bytes() - bytes_before));
    if (frame_.size_bytes() >= kFrameBytes) NARTHEX_RETURN_IF_ERROR(sink_(index, frame_.Take()));
    if (++answered == selector.hints.limit) break;
  }
  if (frame_.series() > 0) NARTHEX_RETURN_IF_ERROR(sink_(index, frame_.Take()));
  return absl::OkStatus();
}

}  // namespace narthex::storage_service
