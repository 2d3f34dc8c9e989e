#include "services/storage/tsdb/series.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/base/check.h"

namespace narthex::tsdb {

SeriesTable::Leaf::Leaf() {
  for (std::atomic<Slot>& slot : slots) slot.store(kNoSlot, std::memory_order_relaxed);
}

SeriesTable::Middle::~Middle() {
  for (std::atomic<Leaf*>& leaf : leaves) delete leaf.load(std::memory_order_relaxed);
}

SeriesTable::ReferenceTree::~ReferenceTree() {
  for (size_t i = 0; i < top.size(); ++i) delete top.Get(i);
}

SeriesTable::SeriesTable(const ChunkOptions& options, HeadChunks* files, HeadChunks* parts)
    : options_(options),
      own_files_(files == nullptr ? std::make_unique<HeadChunks>() : nullptr),
      files_(files == nullptr ? own_files_.get() : files),
      parts_(parts) {}

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
                                 SeriesWriter* writer, RetiredSeries* retired, ChunkPlace from) {
  SeriesHot& hot = hot_[slot];
  SeriesCold& cold = cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (!hot.empty() && drop_open && hot.state.timestamp < min_time) {
    writer->DropOpenChunk(&hot, &cold);
  }
  uint32_t newer = 0;  // 1 + the last one that stays.
  for (uint32_t at = cold.closed; at != 0;) {
    const ClosedChunk chunk = closed_.Get(at);
    const uint32_t older = closed_.Previous(at);
    if (chunk.max_time >= min_time || chunk.place < from) {
      newer = at;
    } else {
      // Readers on the way through it go on to the ones that are older.
      if (newer == 0) {
        cold.closed = older;
      } else {
        closed_.SetPrevious(newer, older);
      }
      retired->closed_chunks.push_back(at);
      chunks_.fetch_sub(1, std::memory_order_relaxed);
    }
    at = older;
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
  for (const uint32_t chunk : retired.closed_chunks) {
    files_->Release(closed_.Get(chunk).place);
    closed_.Free(chunk);
  }
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

uint32_t SeriesTable::NewWideChunk(std::unique_ptr<WideChunk> chunk) {
  MutexLock lock(&chunks_mu_);
  uint32_t number;
  if (free_wide_.empty()) {
    number = static_cast<uint32_t>(wide_.Extend());
  } else {
    number = free_wide_.back();
    free_wide_.pop_back();
  }
  wide_[number] = std::move(chunk);
  return number;
}

void SeriesTable::FreeWideChunk(uint32_t chunk) {
  MutexLock lock(&chunks_mu_);
  wide_[chunk].reset();
  free_wide_.push_back(chunk);
}

}  // namespace narthex::tsdb
