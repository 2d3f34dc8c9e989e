#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHECKPOINT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/model/timestamp.h"

// Keeps the log short: what is still wanted of its oldest segments is written to a checkpoint, and
// they are deleted. The layout is upstream's (wal/format.md); both programs read each other's.
namespace narthex::tsdb {

struct CheckpointOptions {
  io::FileSystem* fs = nullptr;
  std::string log_directory;
  uint64_t last_segment = 0;  // The last that the checkpoint stands for; see SegmentsToCheckpoint.
  // Samples, histograms and exemplars before it are left out, and deletions that end before it.
  // REQUIRES: what the head still has of the covered segments, and no block has, is not older.
  Timestamp keep_from = kMinTimestamp;
  // Whether a series is still wanted: it is in the head, or a segment behind `last_segment` may
  // name it. Asked once a reference and record, without any lock held.
  std::function<bool(uint64_t reference)> keep_series;
  bool compress = true;
  // Called every few megabytes, to yield to others; an error (Cancelled) ends the work.
  std::function<absl::Status()> pause;
};

struct CheckpointStats {
  uint64_t series_kept = 0;
  uint64_t series_dropped = 0;
  uint64_t samples_kept = 0;  // Of all kinds.
  uint64_t samples_dropped = 0;
  uint64_t exemplars_kept = 0;
  uint64_t exemplars_dropped = 0;
  uint64_t tombstones_kept = 0;
  uint64_t tombstones_dropped = 0;
  uint64_t metadata_kept = 0;
  uint64_t bytes_written = 0;
};

// The segment that a checkpoint should go up to when the log is at `current_segment` (which is
// never covered): upstream's lower two thirds. nullopt: too few to be worth it.
absl::StatusOr<std::optional<uint64_t>> SegmentsToCheckpoint(io::FileSystem* fs,
                                                             const std::string& log_directory,
                                                             uint64_t current_segment);

// Writes checkpoint.NNNNNNNN (NNNNNNNN = last_segment) from the checkpoint before it and the
// segments after that: under another name first, synced, then renamed. The log may be appended to
// meanwhile, behind last_segment. Nothing is deleted; on an error the log is as it was. DataLoss
// when something that it must read is damaged.
absl::StatusOr<CheckpointStats> WriteCheckpoint(const CheckpointOptions& options);

// Deletes what the newest complete checkpoint stands for: segments up to its number, oldest first,
// and older checkpoints; also checkpoints that were never finished. Safe to repeat after a crash in
// between, and a no-op without a checkpoint.
absl::Status DeleteCoveredSegments(io::FileSystem* fs, const std::string& log_directory);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHECKPOINT_H_
