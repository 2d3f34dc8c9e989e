#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/storage/append_batch.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/change_log.h"
#include "services/storage/tsdb/chunk_series.h"
#include "services/storage/tsdb/exemplars.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/head_deletions.h"
#include "services/storage/tsdb/isolation.h"
#include "services/storage/tsdb/metadata_store.h"
#include "services/storage/tsdb/ooo_head.h"
#include "services/storage/tsdb/persisted_samples.h"
#include "services/storage/tsdb/series.h"
#include "services/storage/tsdb/series_index.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/writer.h"

namespace narthex::tsdb {

// Bounds of what is accepted; 0 (and InfiniteDuration) is none. Changed while running with
// SetLimits().
struct HeadLimits {
  // Samples further ahead of the clock than this are out of bounds: one of them would lock its
  // series until then. Generous, because clocks of other machines may be wrong.
  absl::Duration future_max = absl::Hours(1);
  absl::Duration past_max = absl::InfiniteDuration();  // Older ones are out of bounds likewise.
  size_t series_max = SeriesTable::kSeriesMax;         // In memory; known series go on.
  size_t series_per_job_max = 0;                       // Of one value of the label `job`.
  size_t labels_max = 0;                               // Of one series.
  size_t label_name_bytes_max = 0;
  size_t label_value_bytes_max = 0;
};

struct HeadOptions {
  ChunkOptions chunks;
  OooOptions ooo;
  HeadLimits limits;
  size_t exemplars_max = 0;  // Kept of all series together.
  HeadChunksOptions chunk_files;
};

// Samples before this cannot be told apart reliably by the chunk format's differences.
inline constexpr Timestamp kSampleTimeMin = -(int64_t{1} << 60);

// What a sender of batches is at. Owned by the head for good: senders are few.
struct Sender {
  std::string id;
  // Guarded by the head's append lock.
  uint64_t applied = 0;  // Batches up to this sequence are applied.
  uint64_t syncing = 0;
  uint64_t durable = 0;  // And synced.
  bool welcomed = false;
};

// Counts since the start; read from any thread.
struct HeadCounters {
  std::atomic<uint64_t> samples_appended{0};
  std::array<std::atomic<uint64_t>, storage::kRefusalCount> refused = {};
  std::atomic<uint64_t> histograms_appended{0};
  std::atomic<uint64_t> series_created{0};
  std::atomic<uint64_t> series_removed{0};
  std::atomic<uint64_t> series_refused_by_job{0};     // Beyond HeadLimits::series_per_job_max.
  std::atomic<uint64_t> series_refused_by_labels{0};  // Beyond the bounds of labels.
  std::atomic<uint64_t> chunks_created{0};
  std::atomic<uint64_t> chunks_removed{0};
  std::atomic<uint64_t> truncations{0};
  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> batches_refused{0};  // With unknown references.
  std::atomic<uint64_t> batches_skipped{0};  // Applied before.
  // Accepted without being stored, because a block has them.
  std::atomic<uint64_t> samples_repeated_in_blocks{0};
};

// The samples in memory: series with open and closed chunks, the index over their labels, and the
// log that they are written to first.
//
// Made by Db, filled by Replay before anything else, then opened for appends with StartAppending().
// HeadAppender writes, HeadReader reads.
//
// Lock order: append_mu_, then the index' lock, then the lock of a series; Isolation, ChangeLog,
// OooHead and the log's own locks are leaves.
class Head {
 public:
  Head(const HeadOptions& options, Clock* clock);
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // Where and how the log goes on.
  struct LogStart {
    io::FileSystem* fs = nullptr;
    std::string directory;
    wal::WriterOptions options;
    uint64_t segment = 0;
    std::string reference_space;
    uint64_t session = 0;
    uint64_t next_reference = 1;      // Above all that were ever given.
    uint64_t reference_survived = 0;  // The greatest that the log brought back.
  };
  // What is known before the log is open. Once, before anybody else asks.
  void SetLogStart(const LogStart& start);
  // Opens the log; from now on batches may come. After an error it may be tried again. The head
  // answers meanwhile.
  absl::Status OpenLog(const LogStart& start);
  absl::Status StartAppending(const LogStart& start) {
    SetLogStart(start);
    return OpenLog(start);
  }
  bool log_is_open() const { return log_view_.load(std::memory_order_acquire) != nullptr; }

  // Begins a new segment of the log; returns its number. All before can be made a checkpoint.
  absl::StatusOr<uint64_t> CutLog();
  // A place in the log and what goes with it: all that was applied so far is before it.
  struct LogMoment {
    wal::Writer::Position position;
    uint64_t session = 0;
    uint64_t next_reference = 1;
    std::vector<std::pair<std::string, uint64_t>> senders;  // What each is at.
    std::optional<wal::Truncation> truncation;              // The last.
  };
  // REQUIRES: log_is_open().
  LogMoment CurrentLogMoment() const;

  // Syncs the log: what was applied before the call is durable afterwards. Blocks appends only for
  // a moment.
  absl::Status Sync();

  // The state of a sender, made where there is none; valid as long as the head.
  Sender* FindSender(std::string_view id);
  struct SenderPosition {
    uint64_t applied = 0;
    uint64_t durable = 0;
  };
  SenderPosition PositionOf(const Sender& sender) const;

  const std::string& reference_space() const { return reference_space_; }
  // What a sender that connects may keep of its references: those up to this one. The first time in
  // a session that is what the log brought back, later all that were given.
  uint64_t WelcomeReferenceMax(Sender* sender);
  // The greatest reference given so far; 0 before the first.
  uint64_t reference_max() const;

  // --- Deletes, truncation, compaction ---

  // Deletes the samples of matching series within min_time…max_time (inclusive) that are there now;
  // what comes later into that range stays. Logged first; after an error nothing is deleted.
  // Samples stay in memory until their chunks go; readers leave them out. Returns how many series
  // it concerns.
  absl::StatusOr<size_t> Delete(std::span<const Matcher> matchers, Timestamp min_time,
                                Timestamp max_time);

  // The series with chunks that overlap min_time…max_time (inclusive), in label order, at this
  // moment. Chunks may reach beyond the range. Reads chunk files piece by piece, so it needs little
  // memory. The head must outlive it; it holds nobody up.
  std::unique_ptr<ChunkSeriesSource> Source(Timestamp min_time, Timestamp max_time) const;

  struct TruncateResult {
    size_t chunks_removed = 0;
    size_t series_removed = 0;
  };
  // The same of some series only. REQUIRES: the slots are those of series, and stay it meanwhile.
  std::unique_ptr<ChunkSeriesSource> Source(Timestamp min_time, Timestamp max_time,
                                            std::vector<Slot> slots) const;

  // A series whose newest sample marks it stale, and which nothing but its samples keeps here.
  struct StaleSeries {
    Slot slot = kNoSlot;
    Timestamp oldest = 0;  // Of all its samples.
    Timestamp newest = 0;
  };
  // Those that there are now. Not beside truncations. Takes the append lock piece by piece.
  std::vector<StaleSeries> FindStaleSeries();
  // Removes those of them that are still as they were found; what they have is in blocks that
  // every reader sees. For a later start the log says that their samples are deleted here: it would
  // bring back what may have been deleted from the blocks meanwhile. An error says that the log
  // could not be written, and that some may have gone before.
  absl::StatusOr<size_t> EvictStaleSeries(std::span<const StaleSeries> stale);

  // What is older than `min_time` is in blocks that readers already see: drops the chunks that end
  // before it, and the series that have nothing left. Their references become unknown and are never
  // given again. Works in small steps beside appenders and readers; what a reader that is at work
  // has found stays in place, but it may miss samples from before `min_time`, so a caller waits for
  // the readers that began before the blocks were there. `keep` holds series back that somebody
  // else needs. The log learns of it first (LogTruncation); an error says
  // that it did not, and that nothing was done.
  absl::StatusOr<TruncateResult> TruncateBefore(Timestamp min_time,
                                                const std::function<bool(Slot)>& keep = {});
  // What TruncateBefore() was last called with, or what the log said of that.
  Timestamp truncated_before() const { return truncated_before_.load(std::memory_order_relaxed); }

  // How appenders learn whether samples that are too old for the head lie in blocks. Called without
  // a lock, by any thread. Once, before anybody appends.
  using AnswerRepeats = std::function<void(std::span<RepeatQuestion>)>;
  void SetAnswerRepeats(AnswerRepeats answer) { answer_repeats_ = std::move(answer); }
  // The newest end of a block: what is not older is not asked for there.
  void SetBlocksEnd(Timestamp end) { blocks_end_.store(end, std::memory_order_relaxed); }

  // Holds back what would fall into a range that is being written into a block: from now on batches
  // with samples before `before` that belong to the chunks of their series get Unavailable (they
  // are stored when they are sent again later). Set before Source(), and back to kMinTimestamp
  // after TruncateBefore(): between the two nothing comes that the block lacks and the truncation
  // drops.
  void SetFence(Timestamp before);
  // An error is what every batch gets from now on, until it is OK again.
  void RefuseAppends(const absl::Status& reason);
  // For caches of results: samples from `oldest` on may be others than before, without a batch.
  void NoteChange(Timestamp oldest);

  // Whether the log must keep the record of a series when it is written anew up to `last_segment`:
  // it is in the head, or was removed while a later segment was written, which may name it.
  bool KeepsReference(uint64_t reference, uint64_t last_segment) const;
  // Forgets which series were removed before the end of that segment: it is deleted.
  void ForgetRemoved(uint64_t last_segment);

  // Changes the bounds for what comes next.
  void SetLimits(const HeadLimits& limits);
  HeadLimits limits() const;

  ExemplarStore& exemplars() { return exemplars_; }
  const ExemplarStore& exemplars() const { return exemplars_; }
  MetadataStore& metadata() { return metadata_; }
  const MetadataStore& metadata() const { return metadata_; }
  // The intervals of a series that are deleted, sorted; *out is overwritten.
  void Deleted(Slot slot, std::vector<storage::DeletedInterval>* out) const {
    deletions_.Of(slot, out);
  }
  const HeadDeletions& deletions() const { return deletions_; }
  HeadChunks& chunk_files() { return chunk_files_; }
  // Where open chunks put what need not be in memory; begun before the first sample, or never.
  HeadChunks& chunk_parts() { return chunk_parts_; }
  const HeadChunks& chunk_files() const { return chunk_files_; }

  OooHead& ooo() { return ooo_; }
  const OooHead& ooo() const { return ooo_; }
  // OooHead::Freeze() between two batches, and Drop() with a note in its log.
  absl::StatusOr<OooHead::Frozen> FreezeOutOfOrder();
  absl::Status DropOutOfOrder(const OooHead::Frozen& frozen);

  SeriesTable& table() { return table_; }
  const SeriesTable& table() const { return table_; }
  SeriesIndex& index() { return index_; }
  const SeriesIndex& index() const { return index_; }
  Isolation& isolation() const { return isolation_; }
  const ChangeLog& changes() const { return changes_; }
  HeadCounters& counters() { return counters_; }
  const HeadCounters& counters() const { return counters_; }
  // Of all samples; kMaxTimestamp and kMinTimestamp when there is none.
  Timestamp min_time() const { return min_time_.load(std::memory_order_relaxed); }
  Timestamp max_time() const { return max_time_.load(std::memory_order_relaxed); }
  // OK, or why nothing can be appended until a restart.
  absl::Status broken() const;
  const wal::WriterCounters* log_counters() const;  // Null before OpenLog().

  struct Memory {
    SeriesTable::Memory table;
    SeriesIndex::Memory index;
    size_t total() const;
  };
  Memory memory() const;

 private:
  friend class HeadAppender;
  friend class HeadLoader;
  friend class Replay;

  // One accepted sample of the batch in work.
  struct Accepted {
    Slot slot;
    uint32_t histogram;  // 1 + its number among those of the batch; 0: it is a float.
    Timestamp timestamp;
    double value;  // Of a histogram the sum.
  };
  struct AcceptedBatch {
    std::span<const Accepted> samples;
    std::span<const storage::AppendBatch::HistogramEntry* const> histograms;
    std::span<const Timestamp> starts;  // Parallel to the samples, or empty.
    std::span<const OooSample> late;
  };
  // The records that begin each segment: the marker, and what every sender is at, so that older
  // segments can go.
  void StartSegment(uint64_t segment, std::vector<std::string>* records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  // Begins a new segment that says so, as do all later ones. A chunk that was closed before this
  // may be dropped, one that is closed later must not be: its samples came after.
  absl::Status LogTruncation(Timestamp min_time);
  // Applies samples that were checked and logged, as one batch that becomes visible at the end.
  void ApplyLocked(const AcceptedBatch& accepted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);

  // Logs deletions so that they count together or not at all.
  absl::Status LogTombstonesLocked(std::span<const wal::Tombstone> tombstones)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  // Whether something beside the samples keeps a series here.
  bool IsKeptLocked(Slot slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  // Series whose chunks are gone already.
  void RemoveSeriesLocked(std::span<const Slot> gone, RetiredSeries* retired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void TruncateSlotsLocked(size_t first, size_t end, Timestamp min_time,
                           const std::function<bool(Slot)>& keep, Timestamp* oldest,
                           TruncateResult* result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void WidenTimes(Timestamp min_time, Timestamp max_time);
  // Frees what is out of reach when the readers that are at work have ended.
  void RetireLocked(RetiredSeries retired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void ReclaimLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);

  absl::Status CheckFenceLocked(const std::vector<Accepted>& accepted) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);

  // Constant after construction.
  const HeadOptions options_;
  Clock* const clock_;

  // Synchronise themselves.
  HeadChunks chunk_files_;
  HeadChunks chunk_parts_;  // Of open chunks.
  SeriesTable table_;       // Changed under append_mu_.
  SeriesIndex index_;
  SeriesWriter writer_ ABSL_GUARDED_BY(append_mu_){&table_};
  HeadDeletions deletions_;
  OooHead ooo_;
  mutable Isolation isolation_;
  ChangeLog changes_;
  HeadCounters counters_;
  ExemplarStore exemplars_;
  MetadataStore metadata_;
  std::atomic<Timestamp> min_time_{kMaxTimestamp};
  std::atomic<Timestamp> max_time_{kMinTimestamp};
  std::atomic<Timestamp> truncated_before_{kMinTimestamp};
  std::atomic<Timestamp> blocks_end_{kMinTimestamp};
  AnswerRepeats answer_repeats_;  // Constant once there are appenders.

  // References that lead nowhere any more, but may be in the log up to a segment.
  struct Removed {
    uint64_t segment = 0;
    absl::flat_hash_set<uint64_t> references;
  };
  mutable Mutex removed_mu_;  // A leaf.
  std::deque<Removed> removed_ ABSL_GUARDED_BY(removed_mu_);

  // Set once by SetLogStart(), before anybody else asks.
  std::string reference_space_;
  uint64_t session_ = 0;

  struct Retired {
    uint64_t mark = 0;
    RetiredSeries series;
  };

  mutable Mutex append_mu_;
  std::deque<Retired> retired_ ABSL_GUARDED_BY(append_mu_);
  // Counts up (under append_mu_) when slots that were found before may be gone.
  std::atomic<uint64_t> removals_{0};
  Timestamp oldest_since_truncation_ ABSL_GUARDED_BY(append_mu_) = kMaxTimestamp;
  HeadLimits limits_ ABSL_GUARDED_BY(append_mu_);
  Timestamp fence_ ABSL_GUARDED_BY(append_mu_) = kMinTimestamp;
  absl::Status refusing_ ABSL_GUARDED_BY(append_mu_);
  std::unique_ptr<wal::Writer> log_ ABSL_GUARDED_BY(append_mu_);
  std::optional<wal::Truncation> truncation_ ABSL_GUARDED_BY(append_mu_);  // The last.
  std::atomic<wal::Writer*> log_view_{nullptr};  // The same, for Sync() and counters.
  BatchNumber newest_batch_ ABSL_GUARDED_BY(append_mu_) = 0;
  uint64_t next_reference_ ABSL_GUARDED_BY(append_mu_) = 1;
  uint64_t reference_survived_ ABSL_GUARDED_BY(append_mu_) = 0;
  // Series that the log does not have, because writing them failed; they go before the next batch.
  std::vector<Slot> unlogged_ ABSL_GUARDED_BY(append_mu_);
  absl::flat_hash_map<std::string, std::unique_ptr<Sender>> senders_ ABSL_GUARDED_BY(append_mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_H_
