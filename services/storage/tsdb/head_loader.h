#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_LOADER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_LOADER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/metadata.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/head.h"

namespace narthex::tsdb {

// Everything that a snapshot must keep of one series' samples, to go on as if nothing had happened.
struct SeriesImage {
  using Chunk = SeriesTable::ClosedImage;
  std::vector<Chunk> closed;  // In chunks_head, oldest first.
  OpenChunkImage open;
  // Intervals of which samples are deleted, sorted.
  std::vector<storage::DeletedInterval> deleted;
};

// Fills a head from what is on the disk, before anybody appends or reads: series first, then what
// chunks_head has, then samples, each series in order of time.
//
// Thread safety: the loader itself is used by one thread at a time. Workers run beside each other
// and beside it; all samples of one slot go through the same worker.
class HeadLoader {
 public:
  // `head` must outlive the loader.
  explicit HeadLoader(Head* head) : head_(head) {}

  // A series of the log. One that is there already under another reference gets this one too (the
  // log of another program may do that). ResourceExhausted when there are more than fit.
  absl::StatusOr<Slot> AddSeries(uint64_t reference, std::span<const LabelView> labels);
  Slot Find(uint64_t reference) const { return head_->table().FindReference(reference); }
  size_t series() const { return head_->table().size(); }

  // A chunk of chunks_head, in order of time and before any sample of the series; it stays where it
  // is (HeadChunks::Load() counted this holder). False when it cannot be: it is not newer than
  // those before; release it then. Not for out-of-order chunks.
  bool AddChunk(Slot slot, const HeadChunk& chunk);

  class Worker {
   public:
    struct Counts {
      uint64_t samples = 0;
      uint64_t repeated = 0;  // Not newer than the newest of their series: was loaded before.
    };
    // One a thread. REQUIRES: the loader outlives it.
    explicit Worker(HeadLoader* loader);
    ~Worker();  // Hands its bounds of time to the head.
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Samples that are not newer than the newest of their series are counted and left out.
    // `start_timestamp` 0 is none.
    void Append(Slot slot, Timestamp timestamp, double value, Timestamp start_timestamp = 0);
    void Append(Slot slot, Timestamp timestamp, const Histogram& histogram,
                Timestamp start_timestamp = 0);
    void Append(Slot slot, Timestamp timestamp, const FloatHistogram& histogram,
                Timestamp start_timestamp = 0);
    void Prefetch(Slot slot) const { __builtin_prefetch(&head_->table().hot(slot), 1); }
    // After Prefetch() and before Append().
    void PrefetchTail(Slot slot) const { writer_->PrefetchTail(slot); }
    const Counts& counts() const { return counts_; }
    // Restores what ReadSeriesImage() gave. REQUIRES: the series has no samples; the chunks of the
    // image are in chunk_files() with this holder. DataLoss when the open chunk cannot be gone on
    // with.
    absl::Status Restore(Slot slot, const SeriesImage& image);

   private:
    template <typename Value>
    void AppendNewer(Slot slot, Timestamp timestamp, const Value& value, Timestamp start_timestamp);

    Head* const head_;
    const std::unique_ptr<SeriesWriter> writer_;
    Timestamp min_time_ = kMaxTimestamp;
    Timestamp max_time_ = kMinTimestamp;
    Counts counts_;
  };

  void SetMetadata(Slot slot, MetricType type, std::string_view help, std::string_view unit);
  void AddExemplar(Slot slot, Timestamp timestamp, double value, std::span<const LabelView> labels);
  // Samples of min_time…max_time (inclusive) that were loaded before are deleted.
  void AddDeleted(Slot slot, Timestamp min_time, Timestamp max_time);
  // What the log said last holds, be it less than before: a sender may have to send again what a
  // power loss took away.
  void SetApplied(std::string_view sender, uint64_t sequence);
  // What was appended before and is older is in blocks: drops whole chunks, but not those from
  // before `from` (the end of chunk_files() when they were loaded): those were looked through
  // already, and what is still there came late and after the truncation. Series stay, also those
  // that have nothing left, because the log of out-of-order samples, which is read last, may name
  // them; the head's next truncation takes them. REQUIRES: no worker is at work.
  void TruncateBefore(Timestamp min_time, ChunkPlace from);
  // What the log said last of truncations; new segments repeat it.
  void SetTruncation(const wal::Truncation& truncation);

  // --- Snapshots ---
  // Room for so many series.
  void Reserve(size_t series);
  // Appends the number of each pair. REQUIRES: each is one of a series that follows.
  void Intern(std::span<const LabelView> labels, std::vector<PairId>* pairs);
  // As AddSeries(), for each of them.
  absl::Status AddAll(std::span<const SeriesIndex::NumberedSeries> series,
                      std::vector<Slot>* slots);

 private:
  Head* const head_;
};

// The samples of a series as of now, for a snapshot. Under the head's append lock it belongs to one
// moment with everything else. An error where its open chunk cannot be read.
absl::Status ReadSeriesImage(const Head& head, Slot slot, SeriesImage* image);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_LOADER_H_
