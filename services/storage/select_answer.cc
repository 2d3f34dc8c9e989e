#include "services/storage/select_answer.h"

#include <utility>

#include "lib/base/status_macros.h"

namespace narthex::storage_service {

SelectAnswer::SelectAnswer(const tsdb::DbReader* reader, const storage::SelectOptions* options,
                           Clock* clock, Sink sink)
    : reader_(reader), options_(options), sink_(std::move(sink)), budget_(*options, clock) {}

void SelectAnswer::StartSeries(const tsdb::SeriesCursor& cursor) {
  const storage::SeriesRef id = cursor.id();
  if (id != 0) {
    frame_.AddSeries(id);
  } else {
    frame_.AddSeries(cursor.labels());
  }
}

absl::Status SelectAnswer::AddSeries(tsdb::SeriesCursor* cursor, const storage::SelectHints& hints,
                                     uint64_t* samples) {
  if (hints.labels_only) {
    NARTHEX_ASSIGN_OR_RETURN(const bool found, cursor->Overlaps());
    if (!found) return absl::OkStatus();
    StartSeries(*cursor);
    frame_.LabelsOnly();
    return absl::OkStatus();
  }
  if (hints.newest_only) {
    samples_.Clear();
    NARTHEX_ASSIGN_OR_RETURN(const bool found, cursor->ReadNewest(&samples_));
    if (!found) return absl::OkStatus();
    StartSeries(*cursor);
    *samples = 1;
    if (samples_.kind(0) == SampleKind::kFloat) {
      frame_.Samples(samples_.timestamps(), samples_.values());
      return absl::OkStatus();
    }
    // Packed samples are floats; a histogram comes as a chunk of one.
    writer_.AppendAll(samples_);
    for (const chunkenc::FinishedChunk& chunk : writer_.Finish()) {
      const storage::SelectChunk view = {chunk.encoding, chunk.min_time, chunk.max_time,
                                         chunk.samples, chunk.bytes};
      frame_.Chunks(std::span(&view, 1), {});
    }
    return absl::OkStatus();
  }
  NARTHEX_ASSIGN_OR_RETURN(const bool found, cursor->ReadChunks());
  if (!found) return absl::OkStatus();
  for (const storage::SelectChunk& chunk : cursor->chunks()) {
    *samples += tsdb::SamplesWithin(chunk, hints.start, hints.end);
  }
  StartSeries(*cursor);
  frame_.Chunks(cursor->chunks(), cursor->deleted());
  return absl::OkStatus();
}

absl::Status SelectAnswer::Answer(uint32_t index, const storage::Selector& selector) {
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::SeriesCursor> cursor,
                           reader_->Select(selector, options_->sorted));
  size_t answered = 0;
  frame_.Clear();
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) break;
    const size_t bytes_before = frame_.size_bytes();
    const size_t series_before = frame_.series();
    uint64_t samples = 0;
    NARTHEX_RETURN_IF_ERROR(AddSeries(cursor.get(), selector.hints, &samples));
    if (frame_.series() == series_before) continue;
    NARTHEX_RETURN_IF_ERROR(budget_.Spend(samples, frame_.size_bytes() - bytes_before));
    if (frame_.size_bytes() >= kFrameBytes) NARTHEX_RETURN_IF_ERROR(sink_(index, frame_.Take()));
    if (++answered == selector.hints.limit) break;
  }
  if (frame_.series() > 0) NARTHEX_RETURN_IF_ERROR(sink_(index, frame_.Take()));
  return absl::OkStatus();
}

}  // namespace narthex::storage_service
