#ifndef NARTHEX_SERVICES_STORAGE_TSDB_OOO_REPLAY_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_OOO_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/ooo_head.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {

// What the log of out-of-order samples said.
struct OooReplayResult {
  uint64_t next_segment = 0;  // Where the log goes on.
  uint64_t segments = 0;
  std::string last_segment_path;     // To be synced before anything in it is called durable.
  uint64_t samples = 0;              // Of all kinds, with those that a marker covers.
  uint64_t samples_unknown = 0;      // Of references without a series.
  uint64_t chunks_unknown = 0;       // In chunks_head, likewise.
  uint64_t batches_incomplete = 0;   // Cut off by a crash, left out whole.
  uint64_t batches_uncommitted = 0;  // Not in the write-ahead log, so nobody was told of them.
  uint64_t records_skipped = 0;      // Of types that do not belong here, or no histograms.
  bool damaged = false;              // Something behind a damaged place is lost.
  wal::Repairs repairs;              // As in ReplayResult.
};

// Reads wbl/ into the out-of-order head, after the write-ahead log and chunks_head: their series
// must be there. Torn tails and damage are treated as in the write-ahead log: a torn tail is cut
// off, what lies behind damage is moved to a directory for lost files, and both are named.
//
// Thread safety: used once, by one thread, before the head is shared.
class OooReplay {
 public:
  // Whether the write-ahead log has this batch of a sender; null when that cannot be known (the log
  // is not one of ours only), and then every whole batch counts.
  using IsCommitted = std::function<bool(std::string_view sender, uint64_t sequence)>;

  // All must outlive it. `stopped` ends the work with Cancelled.
  OooReplay(io::FileSystem* fs, const SeriesTable* table, OooHead* head, Logger logger,
            IsCommitted is_committed, std::function<bool()> stopped);
  absl::Status Run(const std::string& directory, const std::string& lost_directory,
                   OooReplayResult* result);

 private:
  absl::Status RunSegment(const wal::Segment& segment, uint64_t* good_bytes, bool* torn);
  absl::Status OnRecord(std::string_view record);
  void DropBatch();
  absl::Status Apply(std::string_view record);
  absl::Status ApplyOurs(std::string_view record);

  io::FileSystem* const fs_;
  const SeriesTable* const table_;
  OooHead* const head_;
  const Logger logger_;
  const IsCommitted is_committed_;
  const std::function<bool()> stopped_;

  OooReplayResult* result_ = nullptr;
  // The batch of which some records are still to come.
  uint64_t records_left_ = 0;
  bool committed_ = true;
  std::vector<std::string> batch_;
  uint64_t records_ = 0;

  // Kept for their memory.
  std::vector<wal::RefSample> samples_;
  std::vector<wal::RefHistogram> histograms_;
  std::vector<wal::RefFloatHistogram> float_histograms_;
  std::vector<wal::MmapMarker> markers_;
};

// Where the log of out-of-order samples is, and what is known of the write-ahead log, which has
// been replayed.
struct OooLogStart {
  io::FileSystem* fs = nullptr;
  std::string directory;       // wbl/
  std::string lost_directory;  // For what lies behind damage.
  wal::WriterOptions options;
  // Nobody else wrote to the write-ahead log and nothing of it is lost: what it says of the senders
  // holds for this log too.
  bool senders_known = false;
};
// Replays that log into the head's out-of-order part and opens it for appending. What it leaves to
// be repaired and synced must be, before anything is logged.
absl::Status OpenOutOfOrderLog(const OooLogStart& start, Head* head, const Logger& logger,
                               const std::function<bool()>& stopped, OooReplayResult* result);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_OOO_REPLAY_H_
