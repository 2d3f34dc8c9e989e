#ifndef NARTHEX_SERVICES_STORAGE_TSDB_OOO_HEAD_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_OOO_HEAD_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/chunk_series.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/head_deletions.h"
#include "services/storage/tsdb/ooo_series.h"
#include "services/storage/tsdb/series.h"
#include "services/storage/tsdb/series_index.h"
#include "services/storage/tsdb/wbl.h"

namespace narthex::tsdb {

struct OooOptions {
  // How far behind the newest sample of the head a sample may be; zero refuses what is older than
  // its own series' newest. Changed while running with SetWindow().
  absl::Duration window;
  // Samples of a series that are kept sorted in memory before they become a chunk; Prometheus'
  // out-of-order capacity, which it can read whatever we choose.
  int samples_max = 32;
  // Chunks of encodings 4 to 6 and records of types 11 to 13, which keep start timestamps.
  bool start_timestamps = false;
};

// Counts since the start; read from any thread.
struct OooCounters {
  std::atomic<uint64_t> floats_appended{0};
  std::atomic<uint64_t> histograms_appended{0};
  std::atomic<uint64_t> repeated{0};           // Were there already, with the same value.
  std::atomic<uint64_t> chunks_created{0};     // Of full buffers.
  std::atomic<uint64_t> chunks_unreadable{0};  // Left out of an answer: the file was damaged.
  // How far behind the head accepted samples were, by the bounds of kDelaySecondsBounds.
  static constexpr std::array<int64_t, 7> kDelaySecondsBounds = {600,   1800,  3600, 7200,
                                                                 10800, 21600, 43200};
  std::array<std::atomic<uint64_t>, 8> delays = {};
  std::atomic<uint64_t> delay_seconds_sum{0};
};

// The part of the head that takes samples which come too late for their series' chunks. They are
// written to a log of their own (wbl/, see wbl.h) first. Each series keeps a few sorted samples;
// when they are too many they become a chunk in chunks_head. Readers merge all of it with the rest.
//
// Compaction: Freeze() draws a line below all that is there, Source() reads what is below it, and
// Drop() forgets it once it is in blocks, together with its part of the log. A frozen part that is
// never dropped (the compaction failed) is part of the next one.
//
// Owned by Head. Thread safety: Check(), Log(), Apply(), LogDelete(), Delete(), Freeze() and
// LogDropped() are called under the head's append lock; Drop() by one thread at a time, beside
// them; everything that reads may be called from any thread at any time, on slots that the index
// has published. Its own locks are leaves.
class OooHead {
 public:
  // Deleted intervals of a series, sorted.
  using DeletedOf = std::function<void(Slot, std::vector<storage::DeletedInterval>*)>;

  // The pointees must outlive it. `deletions` are those of the table's chunks.
  OooHead(const OooOptions& options, const SeriesTable* table, const SeriesIndex* index,
          const HeadDeletions* deletions, HeadChunks* chunk_files);
  ~OooHead();
  OooHead(const OooHead&) = delete;
  OooHead& operator=(const OooHead&) = delete;

  absl::Duration window() const { return absl::Milliseconds(window_ms_.load()); }
  // From any thread; counts from the next batch on. What was accepted stays.
  void SetWindow(absl::Duration window);

  // What becomes of a sample that is not newer than its series' newest. kNone with *repeated: it is
  // there already (in the head or here), with the same value. kNone without: it belongs here.
  // Refused: kOutOfOrder where there is no window; kDuplicate, there is another value at its time;
  // kTooOld. Decodes the chunks that hold its time. `head_max_time` is of the newest
  // sample of all series.
  storage::Refusal Check(const OooSample& sample, Timestamp head_max_time, bool* repeated) const;

  // Writes the samples of one batch to the log, before the head's own log gets the batch: a batch
  // that is not in that one too counts for nothing when the logs are read again. `sender` may be
  // empty. After an error nothing is stored. Batches up to `seen_by_all` are visible to all
  // readers.
  absl::Status Log(std::span<const OooSample> samples, std::string_view sender, uint64_t sequence,
                   BatchNumber seen_by_all);
  // Makes logged samples part of `batch`, which becomes visible later. Samples that are there
  // already are left out.
  void Apply(std::span<const OooSample> samples, BatchNumber batch, Timestamp head_max_time);
  // Deletes the samples of these series that are there now. LogDelete() comes first; Delete() when
  // that and the deletion in the head's own log are OK. Not while something frozen is being read.
  struct Deleted {
    Slot slot = kNoSlot;
    Timestamp min_time = 0;
    Timestamp max_time = 0;  // Inclusive.
  };
  absl::Status LogDelete(std::span<const Deleted> deleted);
  void Delete(std::span<const Deleted> deleted);
  // Where its log is after the last Log().
  wal::LogPlace log_place() const { return log_ == nullptr ? wal::LogPlace() : log_->place(); }
  // Makes durable what was logged before the call. From any thread.
  absl::Status Sync();

  // No series has samples here. Costs one load.
  bool empty() const { return series_count_.load(std::memory_order_acquire) == 0; }
  size_t series_count() const { return series_count_.load(std::memory_order_acquire); }
  // Such a series must keep its slot and its record in the log.
  bool Has(Slot slot) const;
  // Bounds of all samples here; kMaxTimestamp and kMinTimestamp when there is none.
  Timestamp min_time() const { return min_time_.load(std::memory_order_relaxed); }
  Timestamp max_time() const { return max_time_.load(std::memory_order_relaxed); }

  // The chunks that overlap min_time…max_time (inclusive), with the samples of batches up to
  // `visible` only; false when there is none. Samples within a chunk are sorted and unique; two
  // chunks may have the same sample (after a crash). Valid as long as *out. Deleted samples are
  // not among them.
  bool ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                  OooChunks* out) const;
  // Whether ReadChunks() would find any; true also where all of that is deleted.
  bool Overlaps(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible) const;

  // What was there at one moment.
  struct Frozen {
    uint64_t generation = 0;
    uint64_t log_segment = 0;   // Where the log goes on behind it.
    ChunkPlace chunks_end = 0;  // Its chunks are before this, but for some of the newest samples.
    Timestamp min_time = kMaxTimestamp;
    Timestamp max_time = kMinTimestamp;  // Inclusive.
    size_t series = 0;
    bool empty() const { return series == 0; }
  };
  // Starts a new segment of the log. Takes a moment, however much there is.
  absl::StatusOr<Frozen> Freeze();
  // The frozen series that have chunks within min_time…max_time (inclusive), in label order. Their
  // chunks may overlap each other and reach beyond the range. `deleted` may be null.
  std::unique_ptr<ChunkSeriesSource> Source(const Frozen& frozen, Timestamp min_time,
                                            Timestamp max_time, DeletedOf deleted) const;
  // Notes in the log that the chunks of what was frozen count no more, though their files may live
  // on. Without it they come back with the next start, which is harmless.
  absl::Status LogDropped(const Frozen& frozen);
  // Forgets what was frozen, and its part of the log. An error says that this could not be removed;
  // the next Drop() tries again. REQUIRES: every reader that there is or will be sees the blocks
  // that have it.
  absl::Status Drop(const Frozen& frozen);

  // --- At start, before anybody else, in this order. ---
  // Takes an out-of-order chunk that was found in chunk_files; it counts as its holder.
  void LoadChunk(const HeadChunk& chunk);
  // Gives loaded chunks to their series; returns how many have none.
  uint64_t AttachLoadedChunks();
  // A sample, or a marker, of the log. A marker (see wal::MmapMarker) whose chunk was not found is
  // passed over: the samples are in the log all the same.
  void ReplaySample(const OooSample& sample);
  void ReplayMarker(Slot slot, ChunkPlace place);
  void ReplayDropped(ChunkPlace chunks_end);
  // Chunks from chunks_end on were written after the deletion.
  void ReplayDeleted(const Deleted& deleted, ChunkPlace chunks_end);
  // Another program deletes late samples with the others, by what its own log says.
  void ReplayDeletions(const DeletedOf& deleted_of);
  // From now on batches may come.
  void OpenLog(std::unique_ptr<Wbl> log);

  const OooCounters& counters() const { return counters_; }
  size_t memory_bytes() const;

 private:
  struct Shard;
  class FrozenSource;
  struct Records;

  // Of chunks that are made here: as the table's.
  chunkenc::ChunkWriterOptions encoding() const {
    chunkenc::ChunkWriterOptions encoding;
    encoding.start_timestamps = options_.start_timestamps;
    encoding.xor2_floats = table_->xor2_floats();
    return encoding;
  }

  // Readers meet the appending thread only on the series of one shard.
  static constexpr size_t kShards = 64;
  Shard& ShardOf(Slot slot) const;
  // Made where there is none. REQUIRES: the shard's lock is held.
  OooSeries* SeriesOf(Shard* shard, Slot slot);

  ChunkPlace Flush(Slot slot, OooSeries* series, BatchNumber seen_by_all);
  bool ReadSlot(Slot slot, const OooSeries::Range& range, OooChunks* out) const;
  void Extend(Timestamp min_time, Timestamp max_time);
  void PublishBounds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(bounds_mu_);

  // Constant after construction.
  const OooOptions options_;
  const SeriesTable* const table_;
  const SeriesIndex* const index_;
  const HeadDeletions* const deletions_;
  HeadChunks* const chunk_files_;

  // Synchronise themselves.
  std::atomic<int64_t> window_ms_;
  std::atomic<size_t> series_count_{0};
  std::atomic<Timestamp> min_time_{kMaxTimestamp};
  std::atomic<Timestamp> max_time_{kMinTimestamp};
  const std::unique_ptr<Shard[]> shards_;
  mutable OooCounters counters_;
  std::unique_ptr<Wbl> log_;  // Set once by OpenLog().

  // Only touched under the head's append lock.
  uint64_t generation_ = 1;  // Of what is not frozen yet.
  std::unique_ptr<Records> records_;
  mutable SeriesChunks check_chunks_;
  mutable SampleBuffer check_samples_;

  // Bounds of the samples below the last line that was drawn, and of those above it.
  struct Bounds {
    Timestamp min_time = kMaxTimestamp;
    Timestamp max_time = kMinTimestamp;
    void Add(Timestamp min, Timestamp max);
  };
  mutable Mutex bounds_mu_;
  Bounds frozen_ ABSL_GUARDED_BY(bounds_mu_);
  Bounds current_ ABSL_GUARDED_BY(bounds_mu_);
  uint64_t frozen_generation_ ABSL_GUARDED_BY(bounds_mu_) = 0;

  struct LoadedChunk;
  std::vector<LoadedChunk> loaded_;  // Until AttachLoadedChunks().
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_OOO_HEAD_H_
