#include "services/storage/tsdb/series.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

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

SeriesTable::SeriesTable(const ChunkOptions& options, HeadChunks* files)
    : options_(options),
      own_files_(files == nullptr ? std::make_unique<HeadChunks>() : nullptr),
      files_(files == nullptr ? own_files_.get() : files) {}

SeriesTable::~SeriesTable() = default;

// --- Which series there are ---

Slot SeriesTable::New(uint64_t reference) {
  Slot slot;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else {
    slot = static_cast<Slot>(hot_.Extend());
    cold_.Extend();
    slots_end_.store(slot + 1, std::memory_order_release);
    records_bytes_.store(hot_.memory_bytes() + cold_.memory_bytes(), std::memory_order_relaxed);
  }
  cold_[slot].reference = reference & ((uint64_t{1} << 40) - 1);
  size_.fetch_add(1, std::memory_order_release);
  return slot;
}

void SeriesTable::SetReference(uint64_t reference, Slot slot) {
  constexpr uint64_t kMask = (uint64_t{1} << kLeafBits) - 1;
  const size_t top = reference >> (2 * kLeafBits);
  NARTHEX_CHECK(top < references_.top.size());
  Middle* middle = references_.top.Get(top);
  if (middle == nullptr) {
    middle = new Middle;
    reference_nodes_bytes_.fetch_add(sizeof(Middle), std::memory_order_relaxed);
    references_.top.Set(top, middle);
  }
  std::atomic<Leaf*>& place = middle->leaves[(reference >> kLeafBits) & kMask];
  Leaf* leaf = place.load(std::memory_order_relaxed);
  if (leaf == nullptr) {
    leaf = new Leaf;
    reference_nodes_bytes_.fetch_add(sizeof(Leaf), std::memory_order_relaxed);
    place.store(leaf, std::memory_order_release);
  }
  if (leaf->slots[reference & kMask].exchange(slot, std::memory_order_release) == kNoSlot) {
    ++leaf->used;
  }
  if (cold_[slot].reference != reference) more_references_[slot].push_back(reference);
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

void SeriesTable::ClearReference(uint64_t reference, RetiredSeries* retired) {
  constexpr uint64_t kMask = (uint64_t{1} << kLeafBits) - 1;
  Middle* const middle = references_.top.Get(reference >> (2 * kLeafBits));
  std::atomic<Leaf*>& place = middle->leaves[(reference >> kLeafBits) & kMask];
  Leaf* const leaf = place.load(std::memory_order_relaxed);
  leaf->slots[reference & kMask].store(kNoSlot, std::memory_order_release);
  if (--leaf->used > 0) return;
  place.store(nullptr, std::memory_order_release);
  reference_nodes_bytes_.fetch_sub(sizeof(Leaf), std::memory_order_relaxed);
  retired->memory.emplace_back(std::shared_ptr<const Leaf>(leaf));
}

bool SeriesTable::TruncateBefore(Slot slot, Timestamp min_time, bool drop_open,
                                 SeriesWriter* writer, RetiredSeries* retired) {
  SeriesHot& hot = hot_[slot];
  SeriesCold& cold = cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (!hot.empty() && drop_open && hot.state.timestamp < min_time) {
    writer->DropOpenChunk(&hot, &cold);
  }
  // Everything behind the first chunk that goes is older still.
  uint32_t newer = 0;
  uint32_t at = cold.closed;
  while (at != 0 && closed_[at - 1].max_time() >= min_time) {
    newer = at;
    at = closed_[at - 1].previous.load(std::memory_order_relaxed);
  }
  if (at != 0) {
    if (newer == 0) {
      cold.closed = 0;
    } else {
      closed_[newer - 1].previous.store(0, std::memory_order_release);
    }
  }
  for (; at != 0; at = closed_[at - 1].previous.load(std::memory_order_relaxed)) {
    retired->closed_chunks.push_back(at - 1);
    chunks_.fetch_sub(1, std::memory_order_relaxed);
  }
  return hot.empty() && cold.closed == 0;
}

void SeriesTable::Remove(Slot slot, std::vector<uint64_t>* references, RetiredSeries* retired) {
  SeriesCold& cold = cold_[slot];
  references->push_back(cold.reference);
  ClearReference(cold.reference, retired);
  if (const auto more = more_references_.find(slot); more != more_references_.end()) {
    for (const uint64_t reference : more->second) {
      references->push_back(reference);
      ClearReference(reference, retired);
    }
    more_references_.erase(more);
  }
  retired->slots.push_back(slot);
  size_.fetch_sub(1, std::memory_order_release);
}

void SeriesTable::Recycle(const RetiredSeries& retired) {
  for (const uint32_t chunk : retired.closed_chunks) FreeClosedChunk(chunk);
  for (const Slot slot : retired.slots) {
    // The lock stays as it is: nobody holds it, and it cannot be copied.
    SeriesHot& hot = hot_[slot];
    hot.newest_batch = 0;
    NARTHEX_CHECK(hot.empty() && hot.pending == 0 && !hot.has_history && !hot.wide);
    cold_[slot] = SeriesCold();
  }
  // Low slots first, so that the tables stay dense.
  free_slots_.insert(free_slots_.end(), retired.slots.rbegin(), retired.slots.rend());
}

uint32_t SeriesTable::NewClosedChunk() {
  MutexLock lock(&closed_mu_);
  if (free_closed_.empty()) return static_cast<uint32_t>(closed_.Extend());
  const uint32_t chunk = free_closed_.back();
  free_closed_.pop_back();
  return chunk;
}

void SeriesTable::FreeClosedChunk(uint32_t chunk) {
  files_->Release(closed_[chunk].place);
  MutexLock lock(&closed_mu_);
  free_closed_.push_back(chunk);
}

// --- Appending ---

void SeriesWriter::FreeHistory(SeriesCold* cold) {
  while (cold->history != 0) {
    const uint32_t node = cold->history - 1;
    cold->history = table_->history_[node].next;
    table_->free_history_.push_back(node);
  }
}

void SeriesWriter::NoteBatch(SeriesHot* hot, SeriesCold* cold, BatchNumber batch,
                             BatchNumber seen_by_all) {
  const BatchNumber newest = hot->newest_batch >> kBatchShift;
  if (newest == batch && (hot->newest_batch & kBatchSamplesMax) < kBatchSamplesMax) {
    ++hot->newest_batch;
    return;
  }
  if (newest > seen_by_all) {
    // Some reader must not see that batch: its share is kept until nobody asks.
    std::vector<uint32_t>& free = table_->free_history_;
    uint32_t node;
    if (free.empty()) {
      node = static_cast<uint32_t>(table_->history_.Extend());
    } else {
      node = free.back();
      free.pop_back();
    }
    table_->history_[node] = {hot->newest_batch, cold->history};
    cold->history = node + 1;
    hot->has_history = true;
  } else if (hot->has_history) {
    FreeHistory(cold);
    hot->has_history = false;
  }
  hot->newest_batch = batch << kBatchShift | 1;
}

void SeriesWriter::OpenChunk(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp) {
  hot->state = chunkenc::XorState();
  hot->first_block = hot->last_block = blocks_.Allocate();
  hot->open_size = 0;
  hot->cut_at = RangeEnd(timestamp, table_->options_.range_ms);
  cold->open_min_time = timestamp;
  table_->chunks_.fetch_add(1, std::memory_order_relaxed);
}

void SeriesWriter::CloseChunk(SeriesHot* hot, SeriesCold* cold) {
  uint8_t bytes[kOpenBytesMax];
  table_->CopyOpenChunk(*hot, bytes);
  HeadChunk chunk;
  chunk.reference = cold->reference;
  chunk.min_time = cold->open_min_time;
  chunk.max_time = hot->state.timestamp;
  chunk.bytes = {reinterpret_cast<const char*>(bytes), hot->open_size};
  const uint32_t number = table_->NewClosedChunk();
  ClosedChunk& closed = table_->closed_[number];
  closed.place = table_->files_->Append(chunk);
  closed.min_time = chunk.min_time;
  closed.duration = static_cast<uint32_t>(chunk.max_time - chunk.min_time);
  closed.previous.store(cold->closed, std::memory_order_relaxed);
  cold->closed = number + 1;
  blocks_.Free(hot->first_block, hot->last_block);
}

void SeriesWriter::DropOpenChunk(SeriesHot* hot, SeriesCold* cold) {
  blocks_.Free(hot->first_block, hot->last_block);
  if (hot->has_history) FreeHistory(cold);
  hot->has_history = false;
  hot->state = chunkenc::XorState();
  hot->open_size = 0;
  hot->newest_batch = 0;
  table_->chunks_.fetch_sub(1, std::memory_order_relaxed);
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

void SeriesWriter::Store(SeriesHot* hot, size_t at, const uint8_t* bytes, size_t count) {
  const size_t offset = at % ChunkBlock::kBytes;
  const size_t here = std::min(count, ChunkBlock::kBytes - offset);
  std::memcpy(table_->blocks_[hot->last_block].bytes + offset, bytes, here);
  if (here < count) {
    const uint32_t next = blocks_.Allocate();
    table_->blocks_[hot->last_block].next = next;
    hot->last_block = next;
    std::memcpy(table_->blocks_[next].bytes, bytes + here, count - here);
  }
  hot->open_size = static_cast<uint16_t>(at + count);
}

void SeriesWriter::Append(Slot slot, Timestamp timestamp, double value, BatchNumber batch,
                          BatchNumber seen_by_all) {
  SeriesHot& hot = table_->hot_[slot];
  SeriesCold& cold = table_->cold_[slot];
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
      if (count == table_->options_.samples_target / 4) {
        hot.cut_at = PredictEnd(cold.open_min_time, hot.state.timestamp, hot.cut_at);
      }
      // Far more samples than wanted: they have become denser since the prediction.
      full = timestamp >= hot.cut_at || count >= table_->options_.samples_target * 2;
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
  scratch[kCountBytes] = table_->blocks_[hot.last_block].bytes[last % ChunkBlock::kBytes];
  size_t size = kCountBytes + 1;
  chunkenc::XorAppend(&hot.state, scratch, &size, timestamp, value);
  Store(&hot, last, scratch + kCountBytes, size - kCountBytes);
}

// --- Reading ---

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

template <typename Take>
void SeriesTable::WalkClosed(uint32_t newest, Timestamp min_time, Timestamp max_time,
                             uint64_t hidden, SeriesChunks* scratch, const Take& take) const {
  uint32_t next;
  for (uint32_t at = newest; at != 0; at = next) {
    const ClosedChunk& closed = closed_[at - 1];
    next = closed.previous.load(std::memory_order_acquire);
    if (closed.max_time() < min_time) return;
    const bool overlaps = closed.min_time <= max_time;
    uint64_t hidden_here = 0;
    if (hidden > 0) {
      // Rare: a batch that must not be seen has begun a chunk.
      const absl::StatusOr<HeadChunk> chunk = files_->Read(closed.place, &scratch->pins);
      const uint64_t count = chunk.ok() ? chunkenc::XorSampleCount(chunk->bytes) : 0;
      hidden_here = std::min(hidden, count);
      hidden -= hidden_here;
      if (hidden_here == count && chunk.ok()) continue;
    }
    if (overlaps && !take(closed, hidden_here)) return;
  }
}

bool SeriesTable::ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                             SeriesChunks* out) const {
  out->chunks.clear();
  out->damage = absl::OkStatus();
  constexpr size_t kPinsMax = 64;
  if (out->pins.size() > kPinsMax) out->pins.Clear();
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  uint64_t hidden;
  {
    const SpinLockHolder lock(&hot.lock);
    closed = cold.closed;
    hidden = hot.empty() ? 0 : Hidden(hot, cold, visible);
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
  WalkClosed(closed, min_time, max_time, hidden, out,
             [&](const ClosedChunk& chunk, uint64_t hidden_here) {
               const absl::StatusOr<HeadChunk> read = files_->Read(chunk.place, &out->pins);
               if (!read.ok()) {
                 out->damage.Update(read.status());
                 return true;
               }
               const uint64_t count = chunkenc::XorSampleCount(read->bytes);
               out->chunks.push_back({read->encoding, chunk.min_time, chunk.max_time(),
                                      static_cast<uint32_t>(count - hidden_here), read->bytes});
               return true;
             });
  std::reverse(out->chunks.begin(), out->chunks.end());
  return !out->chunks.empty() || !out->damage.ok();
}

bool SeriesTable::Overlaps(Slot slot, Timestamp min_time, Timestamp max_time,
                           BatchNumber visible) const {
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  uint64_t hidden;
  {
    const SpinLockHolder lock(&hot.lock);
    closed = cold.closed;
    hidden = hot.empty() ? 0 : Hidden(hot, cold, visible);
    if (hidden >= hot.state.count) {
      hidden -= hot.state.count;
    } else {
      if (hot.state.timestamp >= min_time && cold.open_min_time <= max_time) return true;
      hidden = 0;
    }
  }
  bool found = false;
  SeriesChunks* scratch = nullptr;
  std::unique_ptr<SeriesChunks> owned;
  if (hidden > 0) {
    owned = std::make_unique<SeriesChunks>();
    scratch = owned.get();
  }
  WalkClosed(closed, min_time, max_time, hidden, scratch, [&found](const ClosedChunk&, uint64_t) {
    found = true;
    return false;
  });
  return found;
}

bool SeriesTable::NewestSample(Slot slot, Timestamp max_time, BatchNumber visible,
                               Timestamp* timestamp, double* value) const {
  SeriesHot& hot = hot_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (hot.empty() || hot.wide || hot.state.timestamp > max_time ||
      hot.newest_batch >> kBatchShift > visible) {
    return false;
  }
  *timestamp = hot.state.timestamp;
  *value = hot.state.value;
  return true;
}

bool SeriesTable::TimeRange(Slot slot, Timestamp* min_time, Timestamp* max_time) const {
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  bool found;
  {
    const SpinLockHolder lock(&hot.lock);
    found = !hot.empty();
    *min_time = found ? cold.open_min_time : kMaxTimestamp;
    *max_time = found ? hot.state.timestamp : kMinTimestamp;
    closed = cold.closed;
  }
  if (closed != 0 && !found) *max_time = closed_[closed - 1].max_time();
  for (; closed != 0; closed = closed_[closed - 1].previous.load(std::memory_order_acquire)) {
    *min_time = closed_[closed - 1].min_time;
    found = true;
  }
  return found;
}

SeriesTable::Memory SeriesTable::memory() const {
  Memory memory;
  memory.records = records_bytes_.load(std::memory_order_relaxed);
  memory.references = reference_nodes_bytes_.load(std::memory_order_relaxed);
  memory.open_chunks = blocks_.memory_bytes();
  memory.closed_chunks = files_->memory_bytes();
  MutexLock lock(&closed_mu_);
  memory.closed_chunks += closed_.memory_bytes();
  return memory;
}

}  // namespace narthex::tsdb
