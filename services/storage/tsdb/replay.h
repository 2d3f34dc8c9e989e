#ifndef NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {

// How far the replay is; read from any thread.
struct ReplayProgress {
  std::atomic<uint64_t> segments_done{0};
  std::atomic<uint64_t> segments_total{0};
};

// What the log said.
struct ReplayResult {
  bool empty = true;            // There was no log.
  uint64_t next_segment = 0;    // Where the log goes on.
  std::string reference_space;  // Empty when a new one must begin; see `new_space_cause`.
  std::string new_space_cause;
  uint64_t next_reference = 1;      // Above all in the log, and above what may have been lost.
  uint64_t reference_survived = 0;  // The greatest that leads to a series.
  std::string last_segment_path;    // To be synced before anything in it is called durable.

  uint64_t records = 0;
  uint64_t samples = 0;
  uint64_t samples_refused = 0;     // Out of order or repeated.
  uint64_t samples_unknown = 0;     // Of references without a series record.
  uint64_t batches_incomplete = 0;  // Cut off by a crash, left out whole.
  uint64_t records_skipped = 0;     // Of types that the head cannot keep yet.
  bool damaged = false;             // Something behind a damaged place is lost.
};

// Reads the log into an empty head: the last checkpoint, then the segments after it. A torn tail is
// cut off; damage in the middle ends the log there, what lies behind it is moved to
// `lost_directory`, and both are named in the log of the service. A damaged checkpoint is an error,
// as upstream: the owner must choose.
//
// Thread safety: used once, by one thread, before the head is shared.
class Replay {
 public:
  // All must outlive it. `stopped` ends the work with Cancelled.
  Replay(io::FileSystem* fs, Head* head, Logger logger, ReplayProgress* progress,
         std::function<bool()> stopped);
  absl::Status Run(const std::string& log_directory, const std::string& lost_directory,
                   ReplayResult* result);

 private:
  struct Batch {  // Of which some records are still to come.
    uint64_t records_left = 0;
    std::string sender;
    uint64_t sequence = 0;
    std::vector<std::string> records;
  };

  absl::Status RunCheckpoint(const wal::Checkpoint& checkpoint);
  absl::Status RunSegments(const std::vector<wal::Segment>& segments,
                           const std::string& lost_directory);
  // Reads one segment; DataLoss where it is damaged, with *good_bytes before the damage.
  absl::Status RunSegment(const wal::Segment& segment, bool checkpoint, uint64_t* good_bytes,
                          bool* torn);
  absl::Status OnRecord(std::string_view record);
  absl::Status OnBatch(std::string_view record);
  absl::Status OnMarker(std::string_view record);
  absl::Status Apply(std::string_view record);
  absl::Status ApplySeries(std::string_view record);
  absl::Status ApplySamples(std::string_view record);
  void SetApplied(std::string_view sender, uint64_t sequence);
  void DropBatch();
  void NoteReferences(std::string_view record);

  io::FileSystem* const fs_;
  Head* const head_;
  const Logger logger_;
  ReplayProgress* const progress_;
  const std::function<bool()> stopped_;

  ReplayResult* result_ = nullptr;
  std::optional<Batch> batch_;
  std::optional<wal::SegmentMarker> marker_;  // Of the segment in work.
  uint64_t session_ = 0;
  uint64_t reference_max_ = 0;

  // Kept for their memory.
  wal::SeriesRecord series_;
  std::vector<wal::RefSample> samples_;
  std::vector<Head::Accepted> accepted_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_
