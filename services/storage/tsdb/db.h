#ifndef NARTHEX_SERVICES_STORAGE_TSDB_DB_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_DB_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_store.h"
#include "services/storage/tsdb/compactor.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_appender.h"
#include "services/storage/tsdb/head_reader.h"
#include "services/storage/tsdb/ooo_replay.h"
#include "services/storage/tsdb/persisted_samples.h"
#include "services/storage/tsdb/reader_gate.h"
#include "services/storage/tsdb/replay.h"

namespace narthex::tsdb {

// What may change while the database runs.
struct DbSettings {
  // Blocks whose newest sample is this much older than the newest of all blocks are deleted; zero
  // keeps them for ever.
  absl::Duration retention_time;
  uint64_t retention_bytes = 0;     // Of blocks, log and head chunks together; 0 is no limit.
  double retention_percentage = 0;  // The same as part of the disk, 0 to 100; 0 is no limit.
  absl::Duration out_of_order_window;
  size_t exemplars_max = 100'000;
  bool xor2_floats = false;  // New chunks of floats are XOR2 (encoding 4).
  // Part of the head's series, 0 to 1, that must be stale for them to go to blocks before their
  // time; 0 is never.
  double stale_series_threshold = 0;
  friend bool operator==(const DbSettings&, const DbSettings&) = default;
};

struct DbOptions {
  std::string path;
  HeadOptions head;
  wal::WriterOptions log;
  DbSettings settings;
  // The head is cut into blocks of this length, aligned to its multiples.
  int64_t block_range_min_ms = int64_t{2} * 60 * 60 * 1000;
  // The longest block that compaction makes; 0 is 31 days or a tenth of the retention, whichever
  // is less.
  int64_t block_range_max_ms = 0;
  uint64_t chunk_segment_size_bytes = chunks::kSegmentSizeDefault;  // Of a block's files.
  // With less free than this (and than a sixteenth of it) the disk counts as full: nothing is
  // accepted before the writes fail.
  uint64_t disk_reserve_bytes = uint64_t{64} << 20;
  bool lock_directory = true;
  // A crash replays about so much of the log; a snapshot of the head is written then. Zero: never.
  absl::Duration head_snapshot_interval = absl::Minutes(5);
  // How long the head waits with a block that is due, so that many servers do not write theirs at
  // once.
  absl::Duration compaction_delay;
  // Blocks of the first level for which it is true, and later ones, are not merged yet: somebody
  // else wants to copy them first. May be empty.
  std::function<bool(const BlockMeta&)> not_to_merge;
  DbObserver observer;
};

enum class DbStateKind : uint8_t {
  kReplaying,  // Blocks answer, the head does not yet.
  kReady,
  kReadOnly,  // Answers, and refuses appends; resumes by itself.
  kBroken,    // Needs a restart, or an operator.
};
std::string_view DbStateName(DbStateKind kind);  // "replaying", "ready", "read-only", "broken"
struct DbState {
  DbStateKind kind = DbStateKind::kReplaying;
  std::string reason;  // Of kReadOnly and kBroken; how far it is when replaying.
};

// Counts since the start; read from any thread. Names follow prometheus_tsdb_….
struct DbCounters {
  std::atomic<uint64_t> compactions_triggered{0};
  std::atomic<uint64_t> compactions{0};
  std::atomic<uint64_t> compactions_failed{0};
  std::atomic<uint64_t> compactions_skipped{0};  // Not begun, because the disk is full.
  std::atomic<uint64_t> vertical_compactions{0};
  std::atomic<uint64_t> reloads{0};
  std::atomic<uint64_t> reload_failures{0};    // Reloads that found a block they could not open.
  std::atomic<uint64_t> time_retentions{0};    // Times that blocks were deleted for their age…
  std::atomic<uint64_t> size_retentions{0};    // …or for the size of all.
  std::atomic<uint64_t> stale_compactions{0};  // Of stale series of the head.
  std::atomic<uint64_t> stale_compactions_failed{0};
  std::atomic<uint64_t> head_truncations{0};
  std::atomic<uint64_t> head_truncations_failed{0};
  std::atomic<uint64_t> checkpoints{0};
  std::atomic<uint64_t> checkpoints_failed{0};
  std::atomic<uint64_t> checkpoint_deletions{0};
  std::atomic<uint64_t> checkpoint_deletions_failed{0};
  std::atomic<uint64_t> head_snapshots{0};
  std::atomic<uint64_t> head_snapshots_failed{0};
};

// A time series database in one directory, which is laid out as Prometheus': a head in memory over
// a write-ahead log, and blocks.
//
// Open() locks the directory and reads nothing; Replay() opens the blocks, which answer from then
// on, and fills the head, which can take minutes; until it has returned OK CheckReady() says how
// far it is, and nobody may append or touch head(). A full disk keeps nobody from that: then all
// that is there answers, read-only, and CheckDisk() opens the log when there is room.
//
// Thread safety: after Open() all methods may be called from any thread; Replay() by one, once.
// Compact(), CleanTombstones(), Delete() and Snapshot() wait for each other. Lock order:
// work_mu_, disk_mu_, mu_, then those of Head.
class Db {
 public:
  // Makes the directory where there is none. FailedPrecondition when another process has it open.
  // The pointees must outlive the Db.
  static absl::StatusOr<std::unique_ptr<Db>> Open(DbOptions options, io::FileSystem* fs,
                                                  Clock* clock, Logger logger);
  ~Db();

  // Removes what broken-off work left, opens the blocks, reads the log and opens it for appending.
  // `stopped` ends it with Cancelled.
  absl::Status Replay(const std::function<bool()>& stopped);
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // OK once replayed; Unavailable with the progress, or with why it failed, before.
  absl::Status CheckReady() const;
  // OK once batches may come. Unavailable before, and while a start on a full disk waits for room:
  // the head answers then, and takes nothing.
  absl::Status CheckAppendable() const;
  // OK once a DbReader has something to say: the blocks, at first without the head.
  absl::Status CheckReadable() const;
  DbState state() const;

  // Makes durable what was appended before the call.
  absl::Status Sync() { return head_.Sync(); }
  // Lets the memory go that mapped files hold because they were read. For now and then.
  void ReleasePages() { fs_->ReleaseMappedPages(); }

  // --- Background work. One call after another; none of them holds up appends or reads. ---

  // Writes what is due of the head and of the out-of-order head into blocks, truncates both, merges
  // blocks, applies the retention. Cheap when nothing is due.
  absl::Status Compact(const Pace& pace = {});
  // Writes the snapshot of the head that the next start begins with, unless nothing was logged
  // since the last one. Compact() does it now and then; a clean stop does it last.
  absl::Status SnapshotHead(const Pace& pace = {});
  // Writes samples of the head that are older than the newest block into blocks. Prometheus takes
  // what is that old in a log for persisted: with this before the end of the process it finds them.
  // Nothing to do, as a rule.
  absl::Status WriteLateSamples(const Pace& pace = {});
  // Looks at the disk: turns appends off while it is full, and on again. Where there was no room to
  // open the log at the start, opens it when there is.
  void CheckDisk();
  // Loads blocks that others put into the directory, and drops those that are gone; then applies
  // the retention.
  absl::Status ReloadBlocks();
  // Somebody waits for the background work to end; it should not dawdle.
  bool work_is_waited_for() const { return waiting_.load(std::memory_order_relaxed) > 0; }
  // Whether a Compact() would have something to do about the head now: cut a block from it, or
  // begin to wait with that. Waits for the work in progress.
  bool HeadDue() const {
    MutexLock work(&work_mu_);
    return HeadDueLocked() && !HeadDelayedLocked();
  }
  // New settings hold from the next piece of work on.
  void Apply(const DbSettings& settings);
  DbSettings settings() const;

  // --- Administration. ---

  // Deletes the samples of matching series within min_time…max_time (inclusive). After OK it
  // survives a crash.
  absl::Status Delete(std::span<const Matcher> matchers, Timestamp min_time, Timestamp max_time);
  // Rewrites the blocks that have deleted samples without them.
  absl::Status CleanTombstones(const Pace& pace = {});
  // Makes snapshots/<name>, a directory that can be opened like this one: hard links to the blocks
  // and, where asked for, the head as one more block. An empty name becomes one of time and chance.
  // Returns the name; AlreadyExists when it is taken.
  absl::StatusOr<std::string> Snapshot(std::string name, bool with_head, const Pace& pace = {});

  // Keeps the bytes of a batch that could not be decoded, for somebody to look at. Bounded: beyond
  // 100 files or 512 MiB it is ResourceExhausted.
  absl::Status Quarantine(std::string_view name, std::string_view bytes);

  // --- Parts. ---

  BlockListPtr blocks() const { return store_.list(); }
  uint64_t blocks_bytes() const { return store_.size_bytes(); }
  Timestamp min_time() const;  // Of blocks and head; kMaxTimestamp when empty.
  const DbCounters& counters() const { return counters_; }
  // REQUIRES (for appending and reading): ready().
  Head& head() { return head_; }
  const Head& head() const { return head_; }
  const ReplayProgress& replay_progress() const { return progress_; }
  const ReplayResult& replay_result() const { return replay_result_; }  // REQUIRES: ready().
  absl::Duration replay_duration() const { return replay_duration_; }   // REQUIRES: ready().
  const std::string& path() const { return options_.path; }

 private:
  friend class DbReader;

  Db(DbOptions options, io::FileSystem* fs, Clock* clock, Logger logger,
     std::unique_ptr<io::DirectoryLock> lock);
  absl::Status OpenBlocks();
  absl::Status RemoveSnapshotLeftovers();
  // Upstream takes samples before the end of its newest block for persisted, and has deleted some
  // of them perhaps; its log may still have them.
  absl::Status DropWhatBlocksHave();
  absl::Status ReplayLog(const std::function<bool()>& stopped);
  Head::LogStart MakeLogStart() const;
  // Does what replay has left to be done on the disk, and opens the log. It may be tried again.
  absl::Status OpenLogLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(disk_mu_);
  absl::Status SyncLastSegments() const;
  // An empty reason turns appends on.
  void SetReadOnly(const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(disk_mu_);

  // What Compact() consists of.
  absl::Status CompactLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  bool HeadDueLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Whether what is due waits for DbOptions::compaction_delay.
  bool HeadDelayedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status CompactDueHeadLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Both times are aligned; `end` is exclusive.
  absl::Status CompactHeadLocked(Timestamp begin, Timestamp end, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // What there is within min_time…max_time (inclusive).
  using SourceOf =
      std::function<std::unique_ptr<ChunkSeriesSource>(Timestamp min_time, Timestamp max_time)>;
  // Writes what a source has within begin…end (aligned, exclusive) into blocks of the shortest
  // length, and makes them part of the list.
  absl::Status WriteBlocksLocked(Timestamp begin, Timestamp end, const SourceOf& source,
                                 const std::vector<std::string>& hints, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Writes series that have ended into blocks and takes them out of the head, when they are many
  // enough.
  absl::Status CompactStaleSeriesLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status WriteStaleSeriesLocked(const std::vector<Head::StaleSeries>& stale, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  bool OutOfOrderDueLocked(bool head_compacted) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status CompactOutOfOrderLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status WriteHeadLocked(Timestamp begin, Timestamp end, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status CompactBlocksLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Blocks that are left alone for now, by ulid.
  std::set<std::string> NotToMergeLocked(const BlockList& blocks) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status MergeLocked(const std::vector<std::shared_ptr<Block>>& blocks, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status CheckpointLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status WriteHeadSnapshotLocked(const std::string& directory, const Pace& pace)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status SnapshotHeadLocked(const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  bool HeadSnapshotDueLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Makes a block that was just written part of the list.
  absl::Status PublishLocked(const std::string& ulid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  absl::Status ReloadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  void MarkFailedLocked(const std::vector<std::shared_ptr<Block>>& blocks,
                        const absl::Status& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_);
  // Waits until the readers are gone that entered before the line was drawn.
  absl::Status WaitForReaders(uint64_t line, const Pace& pace);
  uint64_t BytesBesideBlocks() const;
  int64_t BlockRangeMax() const;

  // Constant after construction.
  const DbOptions options_;
  io::FileSystem* const fs_;
  Clock* const clock_;
  const Logger logger_;
  const std::unique_ptr<io::DirectoryLock> lock_;

  // Synchronise themselves.
  DbCounters counters_;
  mutable ReaderGate gate_;
  BlockStore store_;  // Changed under work_mu_.
  PersistedSamples persisted_{&store_};
  Head head_;
  ReplayProgress progress_;
  // Set by Replay() before ready_.
  ReplayResult replay_result_;
  OooReplayResult ooo_replay_result_;
  absl::Duration replay_duration_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> blocks_open_{false};
  std::atomic<bool> log_open_{false};

  std::atomic<int> waiting_{0};  // For work_mu_, of those who were asked by an administrator.
  // Held for the whole of a piece of background or administrative work.
  mutable Mutex work_mu_;
  Compactor compactor_ ABSL_GUARDED_BY(work_mu_);
  // A part of the head that is in a block and still to be truncated away, because readers needed
  // it.
  struct Written {
    Timestamp begin;
    Timestamp end;
    uint64_t revision;  // Of the head before it was read.
    uint64_t line;      // Readers below it may need the head.
  };
  std::optional<Written> written_ ABSL_GUARDED_BY(work_mu_);
  absl::Duration head_compacted_ ABSL_GUARDED_BY(work_mu_);  // Monotonic.
  std::optional<absl::Duration> head_due_since_ ABSL_GUARDED_BY(work_mu_);
  absl::Duration out_of_order_compacted_ ABSL_GUARDED_BY(work_mu_);
  std::set<std::string> failed_ ABSL_GUARDED_BY(work_mu_);  // Blocks not to be merged.
  bool truncated_ ABSL_GUARDED_BY(work_mu_) = false;        // A checkpoint is due.
  // Of the last snapshot of the head: when it was, and what the log had then.
  absl::Duration head_snapshot_time_ ABSL_GUARDED_BY(work_mu_);  // Monotonic.
  uint64_t head_snapshot_log_bytes_ ABSL_GUARDED_BY(work_mu_) = 0;
  uint64_t head_snapshot_bytes_ ABSL_GUARDED_BY(work_mu_) = 0;  // Of the last one of this run.
  uint64_t head_snapshot_truncations_ ABSL_GUARDED_BY(work_mu_) = 0;
  bool head_snapshot_current_ ABSL_GUARDED_BY(work_mu_) = false;  // There is one of this run.

  // Held while the disk is looked at.
  Mutex disk_mu_;
  Head::LogStart log_start_ ABSL_GUARDED_BY(disk_mu_);
  wal::Repairs repairs_ ABSL_GUARDED_BY(disk_mu_);    // To be done before the log is opened.
  bool log_tried_ ABSL_GUARDED_BY(disk_mu_) = false;  // And there was no room.

  mutable Mutex mu_;
  absl::Status replay_error_ ABSL_GUARDED_BY(mu_);
  DbSettings settings_ ABSL_GUARDED_BY(mu_);
  std::string read_only_reason_ ABSL_GUARDED_BY(mu_);  // Empty: not read-only.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_DB_H_
