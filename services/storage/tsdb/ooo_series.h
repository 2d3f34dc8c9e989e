#ifndef NARTHEX_SERVICES_STORAGE_TSDB_OOO_SERIES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_OOO_SERIES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/chunkenc/chunk_writer.h"
#include "lib/model/histogram.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// A sample that is older than the newest of its series.
struct OooSample {
  Slot slot = kNoSlot;
  Timestamp timestamp = 0;
  Timestamp start_timestamp = 0;  // 0: none.
  double value = 0;               // When both pointers are null.
  const Histogram* histogram = nullptr;
  const FloatHistogram* float_histogram = nullptr;

  SampleKind kind() const {
    if (histogram != nullptr) return SampleKind::kHistogram;
    return float_histogram != nullptr ? SampleKind::kFloatHistogram : SampleKind::kFloat;
  }
};
// Whether they are of one kind and equal by their bits, whatever their times.
bool SameValue(const OooSample& a, const OooSample& b);
// A sample of a buffer, without its series and time; valid as long as the buffer is unchanged.
OooSample SampleAt(const SampleBuffer& samples, size_t index);

// Chunks of one series, and what keeps their bytes. Reused from series to series.
class OooChunks {
 public:
  void Clear() {
    chunks.clear();
    encoded_.clear();
    pins_.Clear();
  }
  // In order of min_time; they may overlap.
  std::vector<storage::SelectChunk> chunks;

 private:
  friend class OooSeries;
  void AddEncoded(chunkenc::ChunkWriter* writer);
  void Sort();

  std::deque<std::string> encoded_;
  ChunkPins pins_;
};

// The late samples of one series: a few that are sorted in memory, and chunks of earlier ones in
// chunks_head. Each carries the generation in which it came: what is frozen for compaction are
// those up to one of them.
//
// Thread safety: none; OooHead guards it.
class OooSeries {
 public:
  static constexpr uint64_t kAllGenerations = ~uint64_t{0};

  bool empty() const { return chunks_.empty() && open_.empty(); }
  size_t open_samples() const { return open_.size(); }
  uint64_t open_generation() const { return open_generation_; }

  // Whether the sample at the time of `sample` has the same value; nullopt when there is none.
  std::optional<bool> Compare(const OooSample& sample, const HeadChunks& files) const;

  // False when there is one at its time among the open samples. REQUIRES: open samples are of the
  // same generation.
  bool Insert(const OooSample& sample, BatchNumber batch, uint64_t generation);
  // Makes chunks of the open samples, for the series `reference`; returns where the last one is.
  // Batches up to `seen_by_all` are visible to every reader.
  ChunkPlace Flush(uint64_t reference, BatchNumber seen_by_all,
                   const chunkenc::ChunkWriterOptions& encoding, HeadChunks* files);

  // What a reader asks for; the times are inclusive.
  struct Range {
    Timestamp min_time = kMinTimestamp;
    Timestamp max_time = kMaxTimestamp;
    BatchNumber visible = ~BatchNumber{0};
    uint64_t generation_max = kAllGenerations;
    chunkenc::ChunkWriterOptions encoding;  // Of what is encoded anew.
  };
  // Whether Read() has anything to read; true also where all of that is deleted.
  bool Overlaps(const Range& range) const;
  // Adds the chunks to *out, sorted; returns how many chunk files could not be read, which are left
  // out.
  size_t Read(const Range& range, const HeadChunks& files, OooChunks* out) const;

  // Forgets what came up to that generation; or the chunks before a place.
  void Drop(uint64_t generation, HeadChunks* files);
  void DropBefore(ChunkPlace chunks_end, HeadChunks* files);

  // Deletes the samples that are there within min_time…max_time (inclusive), of chunks those before
  // a place.
  void Delete(Timestamp min_time, Timestamp max_time, ChunkPlace chunks_end, HeadChunks* files);

  // REQUIRES: !empty().
  Timestamp min_time() const;
  Timestamp max_time() const;

  // A chunk that was found in the files, which count it as held.
  void AddLoaded(ChunkPlace place, Timestamp min_time, Timestamp max_time, uint32_t samples,
                 uint64_t generation);
  // The log says that the open samples are in the chunk at `place`, or that they begin anew (0).
  // They stay when there is no such chunk.
  void OnMarker(ChunkPlace place);
  // The last one found no chunk.
  bool marker_missed() const { return marker_missed_; }

  size_t memory_bytes() const;

 private:
  // What few samples have.
  struct Extra {
    Timestamp start = 0;
    SampleKind kind = SampleKind::kFloat;
    Histogram histogram;
    FloatHistogram float_histogram;
  };
  struct Open {
    Timestamp timestamp = 0;
    double value = 0;
    BatchNumber batch = 0;
    std::unique_ptr<const Extra> extra;
    void AppendTo(chunkenc::ChunkWriter* writer) const;
    OooSample View() const;
  };
  struct Chunk {
    ChunkPlace place = 0;
    Timestamp min_time = 0;
    Timestamp max_time = 0;
    uint64_t generation = 0;
    BatchNumber newest_batch = 0;
    // Of each sample; null once every reader may see them all.
    std::shared_ptr<const std::vector<BatchNumber>> batches;
    // Null, or what is deleted of its samples; readers get the rest encoded anew.
    std::unique_ptr<std::vector<storage::DeletedInterval>> deleted;
    uint32_t samples = 0;

    bool IsDeleted(Timestamp timestamp) const;
    // A reader that sees batches up to `visible` sees all of it.
    bool IsWhole(BatchNumber visible) const {
      return (newest_batch <= visible || batches == nullptr) && deleted == nullptr;
    }
  };

  std::vector<Open>::const_iterator FindOpen(Timestamp timestamp) const;
  static bool InRange(const Chunk& chunk, const Range& range);
  static bool InRange(const Open& sample, const Range& range);

  std::vector<Chunk> chunks_;  // In the order in which they were made.
  std::vector<Open> open_;     // In order of time.
  uint64_t open_generation_ = 0;
  bool marker_missed_ = false;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_OOO_SERIES_H_
