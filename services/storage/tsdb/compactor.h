#ifndef NARTHEX_SERVICES_STORAGE_TSDB_COMPACTOR_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_COMPACTOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/chunk_series.h"

namespace narthex::tsdb {

// Called between pieces of background work of a few milliseconds each: may wait, so that the work
// yields, and ends it with the error that it returns. Empty: go on at once.
using Pace = std::function<absl::Status()>;

// What metrics want to see of compactions. Called by the thread that compacts; any may be empty.
struct DbObserver {
  std::function<void(absl::Duration)> compaction_done;
  std::function<void(absl::Duration)> tombstones_cleaned;
  std::function<void(absl::Duration)> stale_series_compacted;
  // Of each chunk that is written into a block.
  std::function<void(size_t bytes, uint32_t samples, int64_t range_ms)> chunk_written;
  std::function<void(bool)> block_writing;             // Begun; ended, well or not.
  std::function<void(absl::Duration)> head_truncated;  // Chunks and series are gone.
  std::function<void(absl::Duration)> log_truncated;   // A checkpoint stands for its beginning.
};

// Writes blocks from what sources yield. What is written is on the disk when it returns; nothing
// that was there before is changed or removed.
//
// Thread safety: none.
class Compactor {
 public:
  struct Options {
    BlockWriterOptions block;
    chunkenc::ChunkWriterOptions chunks;
    DbObserver observer;
  };
  // The pointees must outlive it.
  Compactor(io::FileSystem* fs, Clock* clock, Logger logger, Options options);

  using Sources = std::vector<std::unique_ptr<ChunkSeriesSource>>;
  // Writes the samples of all sources within the range of `base` into one block in `directory`,
  // under a new ulid. Of two samples at one time that of the source further in front counts. When
  // nothing is there nothing is written, and the meta that it returns has no series.
  absl::StatusOr<BlockMeta> Write(const std::string& directory, Sources sources, BlockMeta base,
                                  const Pace& pace);
  // Writes blocks (sorted by min_time) into one that names them as parents.
  absl::StatusOr<BlockMeta> Merge(const std::string& directory,
                                  const std::vector<std::shared_ptr<Block>>& blocks,
                                  const Pace& pace);
  // Writes one block anew without its deleted samples, at the same level.
  absl::StatusOr<BlockMeta> Rewrite(const std::string& directory,
                                    const std::shared_ptr<Block>& block, const Pace& pace);

 private:
  // Constant after construction.
  io::FileSystem* const fs_;
  Clock* const clock_;
  const Logger logger_;
  const Options options_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_COMPACTOR_H_
