#ifndef NARTHEX_SERVICES_STORAGE_TSDB_PERSISTED_SAMPLES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_PERSISTED_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_store.h"
#include "services/storage/tsdb/ooo_series.h"

namespace narthex::tsdb {

// A sample that the head can neither take nor compare with one that it has.
struct RepeatQuestion {
  size_t index = 0;        // Of the sample, for who asks.
  uint64_t reference = 0;  // Of the series; never another's.
  const Labels* labels = nullptr;
  OooSample sample;
  bool repeated = false;  // The answer: a block has it, with this value.
};

// Tells whether samples lie in blocks already: a sender that repeats what was compacted and
// truncated away since has nothing refused. Where a series lies in a block, and the chunk that was
// looked at last, are kept for the next sample of a spool; when that is too much, all of it is
// forgotten.
//
// Thread safety: Answer() may be called from any thread; one works at a time.
class PersistedSamples {
 public:
  // `store` must outlive it.
  explicit PersistedSamples(const BlockStore* store) : store_(store) {}

  // Lets go of blocks that are no more in the store.
  void Follow() {
    MutexLock lock(&mu_);
    FollowBlocksLocked();
  }
  // Sets `repeated` of each. What lies in a damaged block, or is deleted there, is not there.
  void Answer(std::span<RepeatQuestion> questions);

 private:
  // Decoded chunks are about two kilobytes.
  static constexpr size_t kSeriesMax = size_t{1} << 14;

  struct Series {
    std::optional<BlockSeries> place;  // Null: the block has none of these labels.
    Timestamp min_time = 0;            // Of the chunk that is decoded; inclusive.
    Timestamp max_time = -1;
    SampleBuffer samples;
  };
  struct OfBlock {
    std::shared_ptr<Block> block;
    absl::flat_hash_map<uint64_t, std::unique_ptr<Series>> series;  // By reference.
  };

  void FollowBlocksLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasLocked(OfBlock* of, const RepeatQuestion& question) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static std::optional<BlockSeries> FindSeries(const Block& block, const Labels& labels);
  // Decodes the chunks that have the time, one after another, until one has a sample at it. The
  // last stays in *series.
  static std::optional<OooSample> Read(const Block& block, Timestamp time, Series* series);

  const BlockStore* const store_;
  Mutex mu_;
  std::vector<OfBlock> blocks_ ABSL_GUARDED_BY(mu_);
  size_t series_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_PERSISTED_SAMPLES_H_
