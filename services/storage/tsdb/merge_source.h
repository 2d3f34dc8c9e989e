#ifndef NARTHEX_SERVICES_STORAGE_TSDB_MERGE_SOURCE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_MERGE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/labels/labels.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/chunk_series.h"

namespace narthex::tsdb {

// Whether a comes before b (negative), after it (positive) or is the same set, in the order of
// Labels. REQUIRES: both are sorted by name.
int CompareLabels(std::span<const LabelView> a, std::span<const LabelView> b);

// Takes the samples of deleted intervals out of those of *samples from `base` on.
void DropDeleted(std::span<const storage::DeletedInterval> deleted, size_t base,
                 SampleBuffer* samples);

// A chunk of one series, where it comes from, and what is deleted of it.
struct OriginChunk {
  storage::SelectChunk chunk;
  size_t origin = 0;  // Of two samples at one time that of the lower origin counts.
  std::span<const storage::DeletedInterval> deleted;
};

// Makes of chunks that may overlap, may reach beyond the range, and may have hidden or deleted
// samples whole chunks that follow one another and have none of that. Chunks that are so already
// pass as they are, bytes and all; the others are decoded, merged and encoded anew: with the given
// options, but start timestamps are kept where there are any, and floats stay XOR2 where some are.
// Reused from series to series. Thread safety: none.
class ChunkMerger {
 public:
  explicit ChunkMerger(chunkenc::ChunkWriterOptions options = {});

  // Appends to *out what is left of `chunks` (which is sorted on the way) within min_time…max_time
  // (inclusive). The result points into the chunks' bytes and into the merger, until the next call
  // of Clear(). DataLoss when a chunk that must be decoded is damaged.
  absl::Status Merge(std::vector<OriginChunk>* chunks, Timestamp min_time, Timestamp max_time,
                     std::vector<storage::SelectChunk>* out);
  void Clear() { encoded_.clear(); }

  // Appends the samples of `chunks` (which is sorted on the way) within the range to *out, each
  // time once, without hidden and deleted ones.
  absl::Status Decode(std::vector<OriginChunk>* chunks, Timestamp min_time, Timestamp max_time,
                      SampleBuffer* out);

  uint64_t chunks_passed() const { return chunks_passed_; }
  uint64_t chunks_encoded() const { return chunks_encoded_; }

 private:
  // One sample: where it is, and what it is ordered by.
  struct Place {
    Timestamp timestamp;
    size_t origin;
    uint32_t buffer;
    uint32_t index;
  };
  // Decodes chunks that overlap into buffers_, and puts into places_ which of them count, in order.
  absl::Status Order(std::span<const OriginChunk> cluster, Timestamp min_time, Timestamp max_time);
  absl::Status Encode(std::span<const OriginChunk> cluster, Timestamp min_time, Timestamp max_time,
                      std::vector<storage::SelectChunk>* out);

  chunkenc::ChunkWriter* WriterFor(std::span<const OriginChunk> cluster);

  chunkenc::ChunkWriter writer_;
  chunkenc::ChunkWriter xor2_writer_;
  chunkenc::ChunkWriter starts_writer_;
  uint64_t chunks_passed_ = 0;
  uint64_t chunks_encoded_ = 0;
  std::vector<std::vector<chunkenc::FinishedChunk>> encoded_;  // What *out points into.
  std::vector<SampleBuffer> buffers_;
  std::vector<Place> places_;
};

// Several sources as one: each series once, its chunks as ChunkMerger leaves them, and nothing
// deleted. Series of which nothing is left are passed over.
//
// Thread safety: none.
class MergeSource : public ChunkSeriesSource {
 public:
  // Of two samples at one time that of the source further in front counts. The range is inclusive.
  MergeSource(std::vector<std::unique_ptr<ChunkSeriesSource>> sources, Timestamp min_time,
              Timestamp max_time, chunkenc::ChunkWriterOptions options = {});

  absl::StatusOr<bool> Next() override;
  std::span<const LabelView> labels() const override { return labels_; }
  std::span<const storage::SelectChunk> chunks() const override { return chunks_; }
  std::span<const storage::DeletedInterval> deleted() const override { return {}; }

  const ChunkMerger& merger() const { return merger_; }

 private:
  absl::Status Advance(size_t source);

  const std::vector<std::unique_ptr<ChunkSeriesSource>> sources_;
  const Timestamp min_time_;
  const Timestamp max_time_;
  ChunkMerger merger_;
  bool started_ = false;
  std::vector<bool> live_;       // Sources that stand at a series.
  std::vector<size_t> current_;  // Those that stand at the series of labels_.
  std::span<const LabelView> labels_;
  std::vector<OriginChunk> gathered_;
  std::vector<storage::SelectChunk> chunks_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_MERGE_SOURCE_H_
