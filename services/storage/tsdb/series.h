#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "lib/base/mutex.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/xor_chunk.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/arena.h"
#include "services/storage/tsdb/closed_chunks.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/segmented_array.h"
#include "services/storage/tsdb/series_wide_chunk.h"

// The series of the head. A series is a slot: a dense number within this process, behind which lie
// two small records. What the world outside names it by is its reference (WAL, Append, Select).
namespace narthex::tsdb {

using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;
using PairId = uint32_t;  // Of a label pair; see SeriesIndex.

// A batch of samples that became visible at once, numbered from 1 in order.
using BatchNumber = uint64_t;

// Held for nanoseconds: one append, or the copy of one open chunk.
class SpinLock {
 public:
  void Lock() {
    while (locked_.exchange(1, std::memory_order_acquire) != 0) sched_yield();
  }
  void Unlock() { locked_.store(0, std::memory_order_release); }

 private:
  std::atomic<uint8_t> locked_{0};
};

// Holds a SpinLock for a scope.
class SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) : lock_(lock) { lock_->Lock(); }
  ~SpinLockHolder() { lock_->Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* const lock_;
};

// SeriesHot::newest_batch has the samples that the batch brought in its low bits.
inline constexpr int kBatchShift = 16;
inline constexpr uint64_t kBatchSamplesMax = (uint64_t{1} << kBatchShift) - 1;

// What an append touches, one cache line. All but `pending` is guarded by `lock` against readers;
// only the thread that appends to the series changes it, and reads it without.
struct alignas(64) SeriesHot {
  // Of the open chunk: its newest sample is the newest of the series. Where the chunk is wide only
  // the newest sample (of a histogram the sum) and the count are kept here.
  chunkenc::XorState state;
  // The blocks of the open chunk (the count at its start is filled in when it is read), or, of a
  // wide one, its number. What precedes them is in a file; see OpenChunkParts.
  uint32_t first_block = 0;
  uint32_t last_block = 0;
  Timestamp cut_at = 0;  // A sample from here on starts a new chunk.
  // The newest batch that touched the series, shifted by 16, and how many samples it brought.
  uint64_t newest_batch = 0;
  uint32_t pending = 0;  // 1 + index among the accepted samples of the batch that is being checked.
  uint16_t open_size = 0;
  bool has_history : 1 = false;
  bool wide : 1 = false;       // The open chunk is a WideChunk.
  uint8_t parts_away : 6 = 0;  // How often the blocks of the open chunk went to a file.
  SpinLock lock;

  bool empty() const { return state.count == 0; }
};
static_assert(sizeof(SeriesHot) == 64);

// The rest. `reference`, `label_count`, `labels` and `hash` are constant while the series is in the
// index; the others are guarded by the lock of the hot half.
struct SeriesCold {
  uint64_t reference : 40 = 0;  // 0: the slot is free.
  uint64_t label_count : 24 = 0;
  Timestamp open_min_time = 0;
  PieceArena::Piece labels = 0;  // Numbers of its pairs in order of label name; see SeriesIndex.
  uint32_t hash = 0;             // Of the labels.
  uint32_t closed = ClosedChunks::kNone;  // The newest of them.
  uint32_t history = 0;  // 1 + first node of batches before the newest one; 0 is none.
};
static_assert(sizeof(SeriesCold) == 32);

struct ChunkOptions {
  int samples_target = 120;
  int64_t range_ms = 2 * 60 * 60 * 1000;  // No chunk crosses a multiple of this.
  // Keeps start timestamps, in encodings 4 to 6 where a series has any. Older readers than
  // Prometheus 3.15 cannot read those.
  bool start_timestamps = false;
};

// The longest that an open chunk can get: 1,005 bytes and one more sample, rounded up.
inline constexpr size_t kOpenBytesMax = 1056;

// What an open chunk has beyond a few blocks goes to a file, so that memory has only its end. Its
// blocks then hold kBytes; they go as they are, and the block that follows begins with the place
// where they went: so each part leads to the one before it. Byte `at` of the chunk lies in its
// blocks at `at - kStep * parts`.
struct OpenChunkParts {
  static constexpr size_t kBlocks = 4;
  static constexpr size_t kBytes = kBlocks * ChunkBlock::kBytes;
  static constexpr size_t kStep = kBytes - sizeof(ChunkPlace);
};
inline constexpr size_t kOpenPartsMax = kOpenBytesMax / OpenChunkParts::kStep;
static_assert(kOpenPartsMax < 1 << 6);
// What a block takes at once that begins with a place, and the byte before it.
inline constexpr size_t kOpenStoreMax = ChunkBlock::kBytes - sizeof(ChunkPlace) + 1;

// The samples of one series as a reader may see them, in time order. Reused from series to series.
struct SeriesChunks {
  std::vector<storage::SelectChunk> chunks;
  absl::Status damage;  // Of chunks that cannot be read; they are left out.
  // What the chunks point at.
  uint8_t open_bytes[kOpenBytesMax];
  std::string wide_bytes;
  ChunkPins pins;
  ChunkPins part_pins;
};

// An open chunk, to go on with in another process.
struct OpenChunkImage {
  chunkenc::Encoding encoding = chunkenc::Encoding::kXor;
  Timestamp min_time = 0;
  Timestamp cut_at = 0;
  std::string bytes;  // Empty: there is none.
  // What an XOR chunk goes on with; without a count it is found by decoding the bytes.
  chunkenc::XorState state;
};

// What readers may still look at: freed when those that are at work have ended.
struct RetiredSeries {
  std::vector<uint32_t> closed_chunks;
  std::vector<Slot> slots;
  std::vector<PairId> pairs;
  std::vector<std::shared_ptr<const void>> memory;
  bool empty() const {
    return closed_chunks.empty() && slots.empty() && pairs.empty() && memory.empty();
  }
};

class SeriesWriter;

// All series of a head: their records, their chunks, and the numbers that lead to them.
//
// Thread safety: what changes which series and references there are (New to Recycle) may be called
// by one thread at a time (the head's append lock), samples are appended through a SeriesWriter;
// everything const may run beside it, on slots that were published by the index or by SetReference.
class SeriesTable {
 public:
  // Closed chunks go to `files`, and what open ones have beyond a little to `parts`; both must
  // outlive the table. Null: they stay in memory, as they do before `parts` is on the disk.
  explicit SeriesTable(const ChunkOptions& options, HeadChunks* files = nullptr,
                       HeadChunks* parts = nullptr);
  ~SeriesTable();
  SeriesTable(const SeriesTable&) = delete;
  SeriesTable& operator=(const SeriesTable&) = delete;

  // Whether floats become XOR2 chunks (encoding 4) also where they have no start timestamps. From
  // any thread; a series' open chunk of the other encoding ends with its next sample.
  void SetXor2Floats(bool xor2) { xor2_floats_.store(xor2, std::memory_order_relaxed); }
  bool xor2_floats() const { return xor2_floats_.load(std::memory_order_relaxed); }

  // Most series that a table can hold.
  static constexpr size_t kSeriesMax = SegmentedArray<SeriesHot>::kSizeMax;

  // A series without labels and samples. REQUIRES: there are less than kSeriesMax.
  Slot New(uint64_t reference);
  // Series that there are, and the end of their slots: slots below it may be free.
  size_t size() const { return size_.load(std::memory_order_acquire); }
  size_t slots_end() const { return slots_end_.load(std::memory_order_acquire); }
  SeriesHot& hot(Slot slot) const { return hot_[slot]; }
  SeriesCold& cold(Slot slot) const { return cold_[slot]; }
  // False for a slot that is free, or whose series was removed. By the thread that makes series.
  bool is_found(Slot slot) const { return FindReference(cold_[slot].reference) == slot; }

  // Several references may lead to one series (the log of a foreign program can have that).
  // REQUIRES: 0 < reference <= wal::kReferenceMax.
  void SetReference(uint64_t reference, Slot slot);
  // kNoSlot when nothing has this reference, or no longer.
  Slot FindReference(uint64_t reference) const;

  // Drops the chunks that end before `min_time`; the open one only with `drop_open`. True when the
  // series has no samples (any more). Closed ones go to *retired, because readers may look at them;
  // those from before `from` stay.
  bool TruncateBefore(Slot slot, Timestamp min_time, bool drop_open, SeriesWriter* writer,
                      RetiredSeries* retired, ChunkPlace from = 0);
  // Takes a series away whose samples are gone: its references (added to *references) lead nowhere
  // from now on. The slot goes to *retired.
  void Remove(Slot slot, std::vector<uint64_t>* references, RetiredSeries* retired);
  // Nobody looks at these any more.
  void Recycle(const RetiredSeries& retired);

  // Whether the newest sample is a histogram, and of which kind. By the appending thread, or with
  // the lock of the series held.
  bool HasHistograms(Slot slot, bool* is_float) const {
    const WideChunk* const wide = WideOf(hot_[slot]);
    if (wide == nullptr || !wide->is_histogram()) return false;
    *is_float = wide->kind() == WideChunk::Kind::kFloatHistograms;
    return true;
  }
  // What a snapshot keeps of the samples; from any thread that keeps the slot in place. An error
  // where the open chunk cannot be read, or one that ended could not be: the log has it.
  using ClosedImage = ClosedChunk;
  absl::Status ReadImage(Slot slot, std::vector<ClosedImage>* closed, OpenChunkImage* open) const;

  // The chunks that overlap min_time…max_time (inclusive), with the samples of batches up to
  // `visible`. False when there is none and none is damaged.
  bool ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                  SeriesChunks* out) const;
  // Whether ReadChunks() would find any.
  bool Overlaps(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible) const;
  // The newest sample of the series where it can be told without decoding: false when it is hidden,
  // newer than max_time, or a histogram.
  bool NewestSample(Slot slot, Timestamp max_time, BatchNumber visible, Timestamp* timestamp,
                    double* value) const;
  // The time of the newest sample, whoever may see it; kMinTimestamp without one. By the appending
  // thread.
  Timestamp NewestTime(Slot slot) const;
  // Whether the newest sample is this one; REQUIRES: they have one time. By the appending thread.
  bool IsNewest(Slot slot, double value) const;
  bool IsNewest(Slot slot, const Histogram& histogram) const;
  bool IsNewest(Slot slot, const FloatHistogram& histogram) const;
  // Of all samples, whoever may see them; false when there is none.
  bool TimeRange(Slot slot, Timestamp* min_time, Timestamp* max_time) const;

  // Closed and open ones that there are, and all that were ever begun.
  uint64_t chunks_created() const { return chunks_created_.load(std::memory_order_relaxed); }
  size_t chunks() const { return chunks_.load(std::memory_order_relaxed); }
  const HeadChunks& files() const { return *files_; }
  struct Memory {
    size_t records = 0;
    size_t references = 0;
    size_t open_chunks = 0;
    size_t closed_chunks = 0;
  };
  Memory memory() const;  // From any thread.

 private:
  friend class SeriesWriter;
  friend class HeadLoader;

  // 40 bits of reference: 18 + 11 + 11.
  static constexpr int kLeafBits = 11;
  static constexpr int kTopBits = 18;
  struct Leaf {
    std::atomic<Slot> slots[1 << kLeafBits];
    uint32_t used = 0;  // Only touched by the thread that sets references.
    Leaf();
  };
  struct Middle {
    std::atomic<Leaf*> leaves[1 << kLeafBits] = {};
    ~Middle();
  };
  struct HistoryNode {
    uint64_t batch;  // As SeriesHot::newest_batch.
    uint32_t next;   // 1 + index.
  };

  void ClearReference(uint64_t reference, RetiredSeries* retired);
  // Copies the blocks of the open chunk to where they belong in `out`.
  void CopyOpenBlocks(const SeriesHot& hot, uint8_t* out) const;
  // Then completes it with what is in files, `parts` of them, and its count; needs no lock. *places
  // (as many) is where that is. An error where it cannot be read, or is there no longer because the
  // chunk was closed meanwhile.
  absl::Status CompleteOpenChunk(size_t parts, uint16_t count, uint8_t* out, ChunkPins* pins,
                                 ChunkPlace* places) const;
  absl::Status TryReadImage(Slot slot, std::vector<ClosedImage>* closed,
                            OpenChunkImage* open) const;
  // Samples of the series in batches after `visible`.
  uint64_t Hidden(const SeriesHot& hot, const SeriesCold& cold, BatchNumber visible) const;
  // Calls take(chunk, where it is, samples hidden of it) for the closed chunks from `newest` back
  // that overlap the range, until it returns false; `hidden` samples at the end are not seen.
  template <typename Take>
  void WalkClosed(uint32_t newest, Timestamp min_time, Timestamp max_time, uint64_t hidden,
                  SeriesChunks* scratch, const Take& take) const;
  WideChunk* WideOf(const SeriesHot& hot) const {
    return hot.wide ? wide_[hot.first_block].get() : nullptr;
  }
  uint32_t NewWideChunk(std::unique_ptr<WideChunk> chunk);
  void FreeWideChunk(uint32_t chunk);
  chunkenc::Encoding OpenEncoding(const SeriesHot& hot) const;

  // Constant after construction.
  const ChunkOptions options_;
  const std::unique_ptr<HeadChunks> own_files_;  // Null when they are somebody else's.
  HeadChunks* const files_;
  HeadChunks* const parts_;  // Null when open chunks stay in memory.

  std::atomic<bool> xor2_floats_{false};
  SegmentedArray<SeriesHot> hot_;
  SegmentedArray<SeriesCold> cold_;
  std::atomic<size_t> size_{0};
  std::atomic<size_t> slots_end_{0};
  std::atomic<size_t> chunks_{0};
  std::atomic<uint64_t> chunks_created_{0};
  std::atomic<size_t> records_bytes_{0};
  std::atomic<size_t> reference_nodes_bytes_{0};

  struct ReferenceTree {
    LazyPointers<Middle> top{size_t{1} << kTopBits};
    ~ReferenceTree();
  };
  ReferenceTree references_;

  // Only touched by the thread that makes series.
  std::vector<Slot> free_slots_;
  absl::flat_hash_map<Slot, std::vector<uint64_t>> more_references_;  // Beside SeriesCold's.

  ChunkBlocks blocks_;                   // Synchronises itself.
  SegmentedArray<HistoryNode> history_;  // Nodes are guarded by the lock of their series.
  std::vector<uint32_t> free_history_;   // Only touched by the writer that has batches.

  ClosedChunks closed_;  // Published by their series.
  // Elements are published by their series.
  SegmentedArray<std::unique_ptr<WideChunk>, 8> wide_;
  mutable Mutex chunks_mu_;  // A leaf.
  std::vector<uint32_t> free_wide_ ABSL_GUARDED_BY(chunks_mu_);
  std::atomic<size_t> wide_bytes_{0};  // About.
};

// Appends samples for one thread: the head has one, and each worker of the replay.
//
// Thread safety: none; several writers work beside each other on different series, but only one of
// them with batches other than 0.
class SeriesWriter {
 public:
  explicit SeriesWriter(SeriesTable* table) : table_(table), blocks_(&table->blocks_) {}
  ~SeriesWriter() { Settle(); }

  // Writes what waits for it, and lets go what is not needed any more. For after a batch, where no
  // lock is held that readers want.
  void Settle();

  // For what is about to be appended.
  void PrefetchTail(Slot slot) const {
    const SeriesHot& series = table_->hot_[slot];
    if (!series.empty() && !series.wide) __builtin_prefetch(&table_->blocks_[series.last_block], 1);
  }
  // Appends a sample that is newer than all of the series, and resets `pending`. Batches up to
  // `seen_by_all` are visible to every reader that there is. `start` is the start timestamp, which
  // is kept where the options say so; 0 is none.
  void Append(Slot slot, Timestamp timestamp, double value, BatchNumber batch,
              BatchNumber seen_by_all, Timestamp start = 0);
  // REQUIRES: the histogram passes Validate().
  void Append(Slot slot, Timestamp timestamp, const Histogram& histogram, BatchNumber batch,
              BatchNumber seen_by_all, Timestamp start = 0);
  void Append(Slot slot, Timestamp timestamp, const FloatHistogram& histogram, BatchNumber batch,
              BatchNumber seen_by_all, Timestamp start = 0);

  // Adds a chunk of chunks_head to a series without open chunk; false when it is not newer than
  // those before.
  bool AddClosed(Slot slot, ChunkPlace place, Timestamp min_time, Timestamp max_time);
  // Goes on with an open chunk. DataLoss when the bytes are no such chunk. REQUIRES: the series has
  // no open chunk.
  absl::Status SetOpenChunk(Slot slot, const OpenChunkImage& image);

 private:
  friend class SeriesTable;

  void NoteBatch(SeriesHot* hot, SeriesCold* cold, BatchNumber batch, BatchNumber seen_by_all);
  void FreeHistory(SeriesCold* cold);
  void OpenChunk(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp);
  // Hands the open chunk to the files, if there is one. A wide one stays, to go on with.
  void CloseChunk(SeriesHot* hot, SeriesCold* cold);
  // Copies the whole of the open chunk, which is not wide, to `out`, which has room for
  // kOpenBytesMax, and lets its memory and its parts go.
  absl::Status TakeOpen(SeriesHot* hot, uint8_t* out);
  // Sends the blocks, which are full and as many as stay at most, to a file and begins anew.
  void SendAway(SeriesHot* hot, const SeriesCold& cold);
  // The open chunk is gone, its memory is free.
  void DropOpenChunk(SeriesHot* hot, SeriesCold* cold);
  // Whether the open chunk of floats must end before a sample at `timestamp`.
  bool FloatsMustEnd(SeriesHot* hot, const SeriesCold& cold, Timestamp timestamp, size_t size);
  void AppendXor(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp, double value);
  void AppendXor2(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp, double value,
                  Timestamp start);
  template <typename H>
  void AppendHistogram(Slot slot, Timestamp timestamp, const H& histogram, BatchNumber batch,
                       BatchNumber seen_by_all, Timestamp start);
  // The wide chunk of that kind to go on with, made when the series has another open chunk.
  WideChunk* Widen(SeriesHot* hot, SeriesCold* cold, WideChunk::Kind kind);
  // Writes at the end of the open chunk; `at` is where in it: at its start when it is empty, else
  // at its last byte, which is written anew. At most kOpenStoreMax bytes.
  void Store(SeriesHot* hot, const SeriesCold& cold, size_t at, const uint8_t* bytes, size_t count);

  SeriesTable* const table_;
  ChunkBlocks::Cache blocks_;
  ChunkPins part_pins_;
  std::vector<ChunkPlace> parts_gone_;  // To be released.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_
