#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/xor_chunk.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/arena.h"
#include "services/storage/tsdb/segmented_array.h"

// The series of the head. A series is a slot: a dense number within this process, behind which lie
// two small records. What the world outside names it by is its reference (WAL, Append, Select).
namespace narthex::tsdb {

using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;
using PairId = uint32_t;  // Of a label pair; see SeriesIndex.

// A batch of samples that became visible at once, numbered from 1 in order.
using BatchNumber = uint64_t;

// A finished chunk. Lies in an arena, immutable, its bytes behind it.
struct ClosedChunk {
  ClosedChunk* previous;  // The next older one of the series, or null.
  Timestamp min_time;
  uint32_t duration;  // From min_time to the newest sample.
  uint16_t size;
  uint16_t count;

  Timestamp max_time() const { return min_time + static_cast<Timestamp>(duration); }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
  std::string_view data() const { return {reinterpret_cast<const char*>(this + 1), size}; }
};
static_assert(sizeof(ClosedChunk) == 24);

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

// What an append touches, one cache line. All but `pending` is guarded by `lock` against readers;
// only the thread that holds the head's append lock changes it, and reads it without.
struct alignas(64) SeriesHot {
  chunkenc::XorState state;  // Of the open chunk: its newest sample is the newest of the series.
  // The blocks of the open chunk; the count at its start is filled in when it is read.
  uint32_t first_block = 0;
  uint32_t last_block = 0;
  Timestamp cut_at = 0;  // A sample from here on starts a new chunk.
  // The newest batch that touched the series, shifted by 16, and how many samples it brought.
  uint64_t newest_batch = 0;
  uint32_t pending = 0;  // 1 + index among the accepted samples of the batch that is being checked.
  uint16_t open_size = 0;
  bool has_history = false;
  SpinLock lock;

  bool empty() const { return state.count == 0; }
};
static_assert(sizeof(SeriesHot) == 64);

// The rest. `reference`, `label_count`, `labels` and `hash` are constant once the series is in the
// index; the others are guarded by the lock of the hot half.
struct SeriesCold {
  uint64_t reference : 40;
  uint64_t label_count : 24;
  const PairId* labels;  // In order of label name.
  ClosedChunk* closed;   // The newest, or null.
  Timestamp open_min_time;
  uint32_t history;  // 1 + first node of batches before the newest one; 0 is none.
  uint32_t hash;     // Of the labels.

  std::span<const PairId> label_pairs() const { return {labels, label_count}; }
};
static_assert(sizeof(SeriesCold) == 40);

struct ChunkOptions {
  int samples_target = 120;
  int64_t range_ms = 2 * 60 * 60 * 1000;  // No chunk crosses a multiple of this.
};

// The longest that an open chunk can get: 1,005 bytes and one more sample, rounded up.
inline constexpr size_t kOpenBytesMax = 1056;

// The samples of one series as a reader may see them, in time order. Reused from series to series.
struct SeriesChunks {
  std::vector<storage::SelectChunk> chunks;
  // The open chunk's bytes; closed ones are not copied.
  uint8_t open_bytes[kOpenBytesMax];
};

class SeriesWriter;  // What appends for one thread.

// All series of a head: their records, their chunks, and the numbers that lead to them.
//
// Thread safety: New() and Append() may be called by one thread at a time (the head's append lock);
// everything const may run beside it, on slots that were published by the index or by SetReference.
class SeriesTable {
 public:
  explicit SeriesTable(const ChunkOptions& options) : options_(options) {}
  SeriesTable(const SeriesTable&) = delete;
  SeriesTable& operator=(const SeriesTable&) = delete;

  // Most series that a table can hold.
  static constexpr size_t kSeriesMax = SegmentedArray<SeriesHot>::kSizeMax;

  // A series without labels and samples.
  Slot New(uint64_t reference);
  size_t size() const { return size_.load(std::memory_order_acquire); }
  SeriesHot& hot(Slot slot) const { return hot_[slot]; }
  SeriesCold& cold(Slot slot) const { return cold_[slot]; }

  // Several references may lead to one series (the log of a foreign program can have that).
  // REQUIRES: 0 < reference <= wal::kReferenceMax.
  void SetReference(uint64_t reference, Slot slot);
  // kNoSlot when nothing has this reference.
  Slot FindReference(uint64_t reference) const;

  // For what is about to be appended.
  void PrefetchTail(Slot slot) const {
    const SeriesHot& series = hot_[slot];
    if (!series.empty()) __builtin_prefetch(&blocks_[series.last_block], 1);
  }
  // Appends a sample that is newer than all of the series, and resets `pending`. Batches up to
  // `seen_by_all` are visible to every reader that there is.
  void Append(Slot slot, Timestamp timestamp, double value, BatchNumber batch,
              BatchNumber seen_by_all);

  // The chunks that overlap min_time…max_time (inclusive), with the samples of batches up to
  // `visible`. False when there is none.
  bool ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                  SeriesChunks* out) const;
  // Whether ReadChunks() would find any.
  bool Overlaps(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible) const;
  // The newest sample of the series where it can be told without decoding: false when it is hidden
  // or newer than max_time.
  bool NewestSample(Slot slot, Timestamp max_time, BatchNumber visible, Timestamp* timestamp,
                    double* value) const;

  size_t chunks() const { return chunks_.load(std::memory_order_relaxed); }
  struct Memory {
    size_t records = 0;
    size_t references = 0;
    size_t open_chunks = 0;
    size_t closed_chunks = 0;
  };
  Memory memory() const;  // By the appending thread, or while it rests.

 private:
  // 40 bits of reference: 18 + 11 + 11.
  static constexpr int kLeafBits = 11;
  static constexpr int kTopBits = 18;
  struct Leaf {
    std::atomic<Slot> slots[1 << kLeafBits];
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

  void NoteBatch(SeriesHot* hot, SeriesCold* cold, BatchNumber batch, BatchNumber seen_by_all);
  void FreeHistory(SeriesCold* cold);
  void OpenChunk(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp);
  void CloseChunk(SeriesHot* hot, SeriesCold* cold);
  // Writes at the end of the open chunk; `at` is where, in it.
  void Store(SeriesHot* hot, size_t at, const uint8_t* bytes, size_t count);
  void CopyOpenChunk(const SeriesHot& hot, uint8_t* out) const;
  // Samples of the series in batches after `visible`.
  uint64_t Hidden(const SeriesHot& hot, const SeriesCold& cold, BatchNumber visible) const;

  // Constant after construction.
  const ChunkOptions options_;

  SegmentedArray<SeriesHot> hot_;
  SegmentedArray<SeriesCold> cold_;
  std::atomic<size_t> size_{0};
  std::atomic<size_t> chunks_{0};

  struct ReferenceTree {
    LazyPointers<Middle> top{size_t{1} << kTopBits};
    ~ReferenceTree();
  };
  ReferenceTree references_;
  size_t reference_nodes_bytes_ = 0;

  // Only touched by the appending thread.
  std::map<int64_t, Arena> ranges_;  // Closed chunks by the range that they lie in.
  std::vector<uint32_t> free_history_;

  ChunkBlocks blocks_;                   // Likewise.
  SegmentedArray<HistoryNode> history_;  // Nodes are guarded by the lock of their series.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_H_
