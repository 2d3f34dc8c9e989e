#ifndef NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_loader.h"
#include "services/storage/tsdb/head_snapshot.h"
#include "services/storage/tsdb/replay_workers.h"
#include "services/storage/tsdb/wal/log_reader.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/transactions.h"

namespace narthex::tsdb {

// How far the replay is; read from any thread. The numbers of segments are what upstream shows at
// status/walreplay.
struct ReplayProgress {
  std::atomic<uint64_t> segments_done{0};
  std::atomic<uint64_t> segments_total{0};
  std::atomic<uint64_t> segment_min{0};      // The first that is read,
  std::atomic<uint64_t> segment_max{0};      // the last,
  std::atomic<uint64_t> segment_current{0};  // and the one in work.
};

struct ReplayOptions {
  std::string log_directory;
  std::string chunks_directory;  // Empty: full chunks stay in memory.
  std::string lost_directory;    // Where damaged parts go.
  std::string snapshot_path;     // Empty: none is looked for.
  // Samples before it that another program has logged, and chunks that end before it, are in
  // blocks: Prometheus does not say in its log what it has moved there.
  Timestamp foreign_min_time = kMinTimestamp;
  // Told of the out-of-order chunks in chunks_head; one that it takes has a holder.
  std::function<void(const HeadChunk&)> on_ooo_chunk;
  // Whether the log of out-of-order samples reaches this place. Asked for the last opening of the
  // log only: what an earlier power loss has taken away was dealt with then.
  std::function<bool(const wal::LogPlace&)> late_is_there;
  int workers = 2;  // Threads that append samples, beside one that reads.
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
  std::vector<SeriesAlias> aliases;
  wal::Repairs repairs;  // For which the disk had no room; before anything is logged.

  bool snapshot_used = false;
  std::string snapshot_ignored;  // Why there was one and it was not used.
  uint64_t snapshot_series = 0;
  HeadChunks::LoadResult chunk_files;
  uint64_t chunks_found = 0;    // Of series, in chunks_head; with those of the snapshot.
  uint64_t chunks_unknown = 0;  // Of references without a series record.

  uint64_t records = 0;
  uint64_t samples = 0;                // Of all kinds, appended.
  uint64_t samples_refused = 0;        // Out of order, repeated, or in chunks_head already.
  uint64_t samples_unknown = 0;        // Of references without a series record.
  uint64_t samples_in_blocks = 0;      // Of another program, before foreign_min_time.
  uint64_t histograms_unreadable = 0;  // Of schemas that we do not know.
  uint64_t exemplars = 0;
  uint64_t tombstones = 0;
  uint64_t metadata = 0;
  uint64_t others_unknown = 0;        // Exemplars, tombstones, metadata without a series record.
  uint64_t batches_incomplete = 0;    // Cut off by a crash, left out whole.
  uint64_t batches_without_late = 0;  // Of which a power loss took the late samples.
  uint64_t records_skipped = 0;       // Of types that we do not know.
  bool damaged = false;               // Something behind a damaged place is lost.
};

// Fills an empty head from the disk: a snapshot and the log behind it, or the last checkpoint and
// the segments after it; before both, what chunks_head has, and samples that are there are not
// appended again. A torn tail of the log is cut off; damage in the middle ends the log there, what
// lies behind it is moved to the directory for lost files, and both are named in the log of the
// service. A damaged checkpoint is an error, as upstream: the owner must choose.
//
// One thread reads, checks and decodes, the caller's thread sorts by series, and workers append; a
// few megabytes are under way between them.
//
// Thread safety: used once, by one thread, before the head is shared.
class Replay {
 public:
  // All must outlive it. `stopped` ends the work with Cancelled.
  Replay(io::FileSystem* fs, Head* head, Logger logger, ReplayProgress* progress,
         std::function<bool()> stopped);
  ~Replay();
  absl::Status Run(const ReplayOptions& options, ReplayResult* result);

 private:
  struct FoundChunk {  // In chunks_head, of a series that is not known yet.
    ChunkPlace place;
    Timestamp min_time;
    Timestamp max_time;
    chunkenc::Encoding encoding;
  };
  // What the first records of the newest segment that is not empty say.
  struct LogStart {
    std::optional<wal::SegmentMarker> marker;
    std::optional<wal::Truncation> truncation;
  };

  absl::Status FindLog();
  absl::StatusOr<LogStart> ReadStart(const wal::Segment& segment) const;
  void Finish();

  // Opens the snapshot where it goes with the log; else says why not.
  void FindSnapshot();
  absl::Status CheckSnapshot(const HeadSnapshotMoment& moment) const;
  void IgnoreSnapshot(const absl::Status& cause);
  absl::Status LoadSnapshot();
  absl::Status LoadChunks();
  bool ChunkIsWanted(const HeadChunk& chunk) const;
  void AttachChunks(uint64_t reference, Slot slot);
  void ReleaseFoundChunks();

  absl::Status RunCheckpoint();
  absl::Status RunSegments();
  absl::Status RunPiece(wal::LogPiece* piece, bool checkpoint);
  absl::Status OnDamage(size_t damaged, const wal::LogPiece& piece);

  absl::Status Apply(wal::LogRecord* record);
  absl::Status ApplySeries(std::string_view record);
  void ApplySamples(const wal::LogRecord& record);
  absl::Status ApplyHistograms(std::string_view record);
  absl::Status ApplyFloatHistograms(std::string_view record);
  absl::Status ApplyTombstones(std::string_view record);
  absl::Status ApplyExemplars(std::string_view record);
  absl::Status ApplyMetadata(std::string_view record);
  absl::Status ApplyTruncation(std::string_view record);
  void OnApplied(const wal::BatchHeader& header);
  // The slot to append to; kNoSlot, and counted, when the sample is not wanted.
  Slot SlotFor(uint64_t reference, Timestamp timestamp);
  void OnDropped(uint64_t missing, uint64_t sequence, const std::vector<wal::LogRecord>& records);

  io::FileSystem* const fs_;
  Head* const head_;
  const Logger logger_;
  ReplayProgress* const progress_;
  const std::function<bool()> stopped_;

  ReplayOptions options_;
  ReplayResult* result_ = nullptr;
  HeadLoader loader_;
  wal::Transactions transactions_;
  std::unique_ptr<ReplayWorkers> workers_;

  std::optional<wal::Checkpoint> checkpoint_;
  std::vector<wal::Segment> segments_;
  LogStart newest_;  // Of the log as it was found.
  std::unique_ptr<HeadSnapshot> snapshot_;
  absl::flat_hash_map<uint64_t, std::vector<FoundChunk>> found_;
  ChunkPlace found_end_ = 0;
  std::optional<wal::Truncation> truncation_;  // The last that the log said.
  Timestamp foreign_min_time_ = kMinTimestamp;
  uint64_t reference_max_ = 0;
  // Senders that must send again from a batch on, because its late samples are gone.
  std::set<std::string, std::less<>> behind_;

  // Kept for their memory.
  wal::SeriesRecord series_;
  std::vector<wal::RefHistogram> histograms_;
  std::vector<wal::RefFloatHistogram> float_histograms_;
  std::vector<wal::Tombstone> tombstones_;
  std::vector<wal::RefMetadata> metadata_;
  wal::ExemplarsRecord exemplars_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_H_
