#include "lib/storage/chunk_samples.h"

#include <algorithm>
#include <utility>

#include "lib/chunkenc/chunk.h"
#include "lib/storage/merge.h"

namespace narthex::storage {
namespace {

// Puts `addition` among the samples of `out` from `base` on. Of two samples at one time the one in
// `out` stays.
void MergeInto(const SampleBuffer& addition, size_t base, SampleBuffer* out) {
  SampleBuffer present;
  present.Reserve(out->size() - base);
  for (size_t i = base; i < out->size(); ++i) present.AppendFrom(*out, i);
  out->Resize(base);
  MergeSamples(present, addition, out);
}

absl::Status Decode(std::span<const SelectChunk> chunks, Timestamp min_time, Timestamp max_time,
                    SampleBuffer* out) {
  const size_t base = out->size();
  SampleBuffer overlap;
  for (const SelectChunk& chunk : chunks) {
    if (chunk.visible_samples == 0 || chunk.max_time < min_time || chunk.min_time > max_time) {
      continue;
    }
    // Chunks mostly follow one another and are decoded in place.
    const bool follows = out->size() == base || out->timestamps().back() < chunk.min_time;
    SampleBuffer* const target = follows ? out : &overlap;
    overlap.Clear();
    if (absl::Status status = chunkenc::DecodeChunk(
            chunk.encoding, chunk.bytes, chunk.visible_samples, min_time, max_time, target);
        !status.ok()) {
      return status;
    }
    if (!follows) MergeInto(overlap, base, out);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadChunkSamples(std::span<const SelectChunk> chunks,
                              std::span<const DeletedInterval> deleted, Timestamp min_time,
                              Timestamp max_time, SampleBuffer* out) {
  const size_t base = out->size();
  if (absl::Status status = Decode(chunks, min_time, max_time, out); !status.ok()) {
    out->Resize(base);
    return status;
  }
  if (deleted.empty()) return absl::OkStatus();
  out->Filter(base, [&](size_t i) {
    const Timestamp timestamp = out->timestamps()[i];
    return std::none_of(deleted.begin(), deleted.end(), [&](const DeletedInterval& interval) {
      return timestamp >= interval.min_time && timestamp <= interval.max_time;
    });
  });
  return absl::OkStatus();
}

}  // namespace narthex::storage
