#include "services/storage/tsdb/series.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "lib/base/check.h"
#include "lib/base/coding.h"

namespace narthex::tsdb {
namespace {

// What upstream allows a chunk to have before a sample is added: 1024 bytes less the largest
// sample.
constexpr size_t kChunkBytesMax = 1024 - 19;

constexpr int kBatchShift = 16;
constexpr uint64_t kBatchSamplesMax = (uint64_t{1} << kBatchShift) - 1;

// The end of the range of width `range_ms` in which `timestamp` lies; upstream's arithmetic, which
// rounds towards zero.
Timestamp RangeEnd(Timestamp timestamp, int64_t range_ms) {
  return timestamp / range_ms * range_ms + range_ms;
}

// Upstream's guess of when a chunk should end so that the chunks of a range are equally long, made
// when a quarter of the wanted samples is there.
Timestamp PredictEnd(Timestamp start, Timestamp newest, Timestamp range_end) {
  constexpr double kRatioToFull = 4;
  const double left = static_cast<double>(range_end - start);
  const double n = left / (static_cast<double>(newest - start + 1) * kRatioToFull);
  if (n <= 1) return range_end;
  return static_cast<Timestamp>(static_cast<double>(start) + left / std::floor(n));
}

class SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) : lock_(lock) { lock_->Lock(); }
  ~SpinLockHolder() { lock_->Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* const lock_;
};

}  // namespace

SeriesTable::Leaf::Leaf() {
  for (std::atomic<Slot>& slot : slots) slot.store(kNoSlot, std::memory_order_relaxed);
}

SeriesTable::Middle::~Middle() {
  for (std::atomic<Leaf*>& leaf : leaves) delete leaf.load(std::memory_order_relaxed);
}

SeriesTable::ReferenceTree::~ReferenceTree() {
  for (size_t i = 0; i < top.size(); ++i) delete top.Get(i);
}

Slot SeriesTable::New(uint64_t reference) {
  const Slot slot = static_cast<Slot>(hot_.Extend());
  cold_.Extend();
  cold_[slot].reference = reference & ((uint64_t{1} << 40) - 1);
  size_.store(slot + 1, std::memory_order_release);
  return slot;
}

void SeriesTable::SetReference(uint64_t reference, Slot slot) {
  constexpr uint64_t kMask = (uint64_t{1} << kLeafBits) - 1;
  const size_t top = reference >> (2 * kLeafBits);
  NARTHEX_CHECK(top < references_.top.size());
  Middle* middle = references_.top.Get(top);
  if (middle == nullptr) {
    middle = new Middle;
    reference_nodes_bytes_ += sizeof(Middle);
    references_.top.Set(top, middle);
  }
  std::atomic<Leaf*>& place = middle->leaves[(reference >> kLeafBits) & kMask];
  Leaf* leaf = place.load(std::memory_order_relaxed);
  if (leaf == nullptr) {
    leaf = new Leaf;
    reference_nodes_bytes_ += sizeof(Leaf);
    place.store(leaf, std::memory_order_release);
  }
  leaf->slots[reference & kMask].store(slot, std::memory_order_release);
}

Slot SeriesTable::FindReference(uint64_t reference) const {
  constexpr uint64_t kMask = (uint64_t{1} << kLeafBits) - 1;
  const uint64_t top = reference >> (2 * kLeafBits);
  if (top >= references_.top.size()) return kNoSlot;
  const Middle* const middle = references_.top.Get(top);
  if (middle == nullptr) return kNoSlot;
  const Leaf* const leaf =
      middle->leaves[(reference >> kLeafBits) & kMask].load(std::memory_order_acquire);
  if (leaf == nullptr) return kNoSlot;
  return leaf->slots[reference & kMask].load(std::memory_order_acquire);
}

void SeriesTable::FreeHistory(SeriesCold* cold) {
  while (cold->history != 0) {
    const uint32_t node = cold->history - 1;
    cold->history = history_[node].next;
    free_history_.push_back(node);
  }
}

void SeriesTable::NoteBatch(SeriesHot* hot, SeriesCold* cold, BatchNumber batch,
                            BatchNumber seen_by_all) {
  const BatchNumber newest = hot->newest_batch >> kBatchShift;
  if (newest == batch && (hot->newest_batch & kBatchSamplesMax) < kBatchSamplesMax) {
    ++hot->newest_batch;
    return;
  }
  if (newest > seen_by_all) {
    // Some reader must not see that batch: its share is kept until nobody asks.
    uint32_t node;
    if (free_history_.empty()) {
      node = static_cast<uint32_t>(history_.Extend());
    } else {
      node = free_history_.back();
      free_history_.pop_back();
    }
    history_[node] = {hot->newest_batch, cold->history};
    cold->history = node + 1;
    hot->has_history = true;
  } else if (hot->has_history) {
    FreeHistory(cold);
    hot->has_history = false;
  }
  hot->newest_batch = batch << kBatchShift | 1;
}

void SeriesTable::OpenChunk(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp) {
  hot->state = chunkenc::XorState();
  hot->first_block = hot->last_block = blocks_.Allocate();
  hot->open_size = 0;
  hot->cut_at = RangeEnd(timestamp, options_.range_ms);
  cold->open_min_time = timestamp;
  chunks_.fetch_add(1, std::memory_order_relaxed);
}

void SeriesTable::CloseChunk(SeriesHot* hot, SeriesCold* cold) {
  Arena& arena = ranges_[cold->open_min_time / options_.range_ms];
  uint8_t* const place = arena.Allocate(sizeof(ClosedChunk) + hot->open_size);
  ClosedChunk* const chunk = new (place) ClosedChunk;
  chunk->previous = cold->closed;
  chunk->min_time = cold->open_min_time;
  chunk->duration = static_cast<uint32_t>(hot->state.timestamp - cold->open_min_time);
  chunk->size = hot->open_size;
  chunk->count = hot->state.count;
  CopyOpenChunk(*hot, chunk->bytes());
  cold->closed = chunk;
  blocks_.Free(hot->first_block, hot->last_block);
}

void SeriesTable::CopyOpenChunk(const SeriesHot& hot, uint8_t* out) const {
  uint32_t block = hot.first_block;
  for (size_t at = 0; at < hot.open_size; at += ChunkBlock::kBytes) {
    const ChunkBlock& from = blocks_[block];
    std::memcpy(out + at, from.bytes, std::min(ChunkBlock::kBytes, hot.open_size - at));
    block = from.next;
  }
  StoreBig(out, hot.state.count);
}

void SeriesTable::Store(SeriesHot* hot, size_t at, const uint8_t* bytes, size_t count) {
  const size_t offset = at % ChunkBlock::kBytes;
  const size_t here = std::min(count, ChunkBlock::kBytes - offset);
  std::memcpy(blocks_[hot->last_block].bytes + offset, bytes, here);
  if (here < count) {
    const uint32_t next = blocks_.Allocate();
    blocks_[hot->last_block].next = next;
    hot->last_block = next;
    std::memcpy(blocks_[next].bytes, bytes + here, count - here);
  }
  hot->open_size = static_cast<uint16_t>(at + count);
}

void SeriesTable::Append(Slot slot, Timestamp timestamp, double value, BatchNumber batch,
                         BatchNumber seen_by_all) {
  SeriesHot& hot = hot_[slot];
  SeriesCold& cold = cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  hot.pending = 0;
  NoteBatch(&hot, &cold, batch, seen_by_all);
  if (hot.empty()) {
    OpenChunk(&hot, &cold, timestamp);
  } else {
    NARTHEX_DCHECK(timestamp > hot.state.timestamp);
    const int count = hot.state.count;
    bool full = hot.open_size > kChunkBytesMax;
    if (!full) {
      if (count == options_.samples_target / 4) {
        hot.cut_at = PredictEnd(cold.open_min_time, hot.state.timestamp, hot.cut_at);
      }
      // Far more samples than wanted: they have become denser since the prediction.
      full = timestamp >= hot.cut_at || count >= options_.samples_target * 2;
    }
    if (full) {
      CloseChunk(&hot, &cold);
      OpenChunk(&hot, &cold, timestamp);
    }
  }
  // The encoder goes on in the chunk's last byte, so it gets that alone, behind a count.
  constexpr size_t kCountBytes = 2;
  uint8_t scratch[kCountBytes + 1 + chunkenc::kXorSampleBytesMax];
  if (hot.empty()) {
    size_t size = 0;
    chunkenc::XorAppend(&hot.state, scratch, &size, timestamp, value);
    Store(&hot, 0, scratch, size);
    return;
  }
  const size_t last = hot.open_size - size_t{1};
  scratch[kCountBytes] = blocks_[hot.last_block].bytes[last % ChunkBlock::kBytes];
  size_t size = kCountBytes + 1;
  chunkenc::XorAppend(&hot.state, scratch, &size, timestamp, value);
  Store(&hot, last, scratch + kCountBytes, size - kCountBytes);
}

uint64_t SeriesTable::Hidden(const SeriesHot& hot, const SeriesCold& cold,
                             BatchNumber visible) const {
  if (hot.newest_batch >> kBatchShift <= visible) return 0;
  uint64_t hidden = hot.newest_batch & kBatchSamplesMax;
  for (uint32_t at = cold.history; at != 0;) {
    const HistoryNode& node = history_[at - 1];
    if (node.batch >> kBatchShift <= visible) break;
    hidden += node.batch & kBatchSamplesMax;
    at = node.next;
  }
  return hidden;
}

bool SeriesTable::ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                             SeriesChunks* out) const {
  out->chunks.clear();
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  const ClosedChunk* chunk;
  uint64_t hidden;
  {
    const SpinLockHolder lock(&hot.lock);
    if (hot.empty()) return false;
    hidden = Hidden(hot, cold, visible);
    chunk = cold.closed;
    if (hidden >= hot.state.count) {
      hidden -= hot.state.count;
    } else {
      if (hot.state.timestamp >= min_time && cold.open_min_time <= max_time) {
        CopyOpenChunk(hot, out->open_bytes);
        out->chunks.push_back(
            {chunkenc::Encoding::kXor, cold.open_min_time, hot.state.timestamp,
             static_cast<uint32_t>(hot.state.count - hidden),
             std::string_view(reinterpret_cast<const char*>(out->open_bytes), hot.open_size)});
      }
      hidden = 0;
    }
  }
  for (; chunk != nullptr && chunk->max_time() >= min_time; chunk = chunk->previous) {
    if (hidden >= chunk->count) {
      hidden -= chunk->count;
      continue;
    }
    if (chunk->min_time <= max_time) {
      out->chunks.push_back({chunkenc::Encoding::kXor, chunk->min_time, chunk->max_time(),
                             static_cast<uint32_t>(chunk->count - hidden), chunk->data()});
    }
    hidden = 0;
  }
  std::reverse(out->chunks.begin(), out->chunks.end());
  return !out->chunks.empty();
}

bool SeriesTable::Overlaps(Slot slot, Timestamp min_time, Timestamp max_time,
                           BatchNumber visible) const {
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  const ClosedChunk* chunk;
  uint64_t hidden;
  {
    const SpinLockHolder lock(&hot.lock);
    if (hot.empty()) return false;
    hidden = Hidden(hot, cold, visible);
    chunk = cold.closed;
    if (hidden >= hot.state.count) {
      hidden -= hot.state.count;
    } else {
      if (hot.state.timestamp >= min_time && cold.open_min_time <= max_time) return true;
      hidden = 0;
    }
  }
  for (; chunk != nullptr && chunk->max_time() >= min_time; chunk = chunk->previous) {
    if (hidden >= chunk->count) {
      hidden -= chunk->count;
      continue;
    }
    if (chunk->min_time <= max_time) return true;
    hidden = 0;
  }
  return false;
}

bool SeriesTable::NewestSample(Slot slot, Timestamp max_time, BatchNumber visible,
                               Timestamp* timestamp, double* value) const {
  SeriesHot& hot = hot_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (hot.empty() || hot.state.timestamp > max_time || hot.newest_batch >> kBatchShift > visible) {
    return false;
  }
  *timestamp = hot.state.timestamp;
  *value = hot.state.value;
  return true;
}

SeriesTable::Memory SeriesTable::memory() const {
  Memory memory;
  memory.records = hot_.memory_bytes() + cold_.memory_bytes() + history_.memory_bytes();
  memory.references = reference_nodes_bytes_;
  memory.open_chunks = blocks_.memory_bytes();
  for (const auto& [range, arena] : ranges_) memory.closed_chunks += arena.memory_bytes();
  return memory;
}

}  // namespace narthex::tsdb
