#include "services/storage/tsdb/arena.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/base/check.h"

namespace narthex::tsdb {

PieceArena::PieceArena() { free_.fill(kNone); }

PieceArena::~PieceArena() {
  for (size_t i = 0; i < slabs_used_; ++i) delete[] slabs_.Get(i);
}

PieceArena::Piece PieceArena::TakeUnits(size_t units) {
  if (left_ < units) {
    // What is left of the slab is a piece of its own, or two.
    while (left_ > 0) {
      const size_t rest = std::min(left_, kClasses);
      PutUnits(static_cast<Piece>(slabs_used_ * kSlabUnits - left_), rest);
      left_ -= rest;
    }
    NARTHEX_CHECK(slabs_used_ < slabs_.size());
    slabs_.Set(slabs_used_++, new uint64_t[kSlabUnits]);
    memory_bytes_ += kSlabUnits * kUnit;
    left_ = kSlabUnits;
  }
  const auto piece = static_cast<Piece>(slabs_used_ * kSlabUnits - left_);
  left_ -= units;
  return piece;
}

void PieceArena::PutUnits(Piece piece, size_t units) {
  std::memcpy(At(piece), &free_[units], sizeof(Piece));
  free_[units] = piece;
}

PieceArena::Piece PieceArena::Allocate(size_t size) {
  const size_t units = std::max<size_t>(1, (size + kUnit - 1) / kUnit);
  if (units > kClasses) {
    memory_bytes_ += size;
    Piece large;
    if (free_large_.empty()) {
      large = static_cast<Piece>(large_.Extend());
    } else {
      large = free_large_.back();
      free_large_.pop_back();
    }
    large_[large].reset(new uint8_t[size]);
    return kLarge + large;
  }
  const Piece piece = free_[units];
  if (piece == kNone) return TakeUnits(units);
  std::memcpy(&free_[units], At(piece), sizeof(Piece));
  return piece;
}

void PieceArena::Free(Piece piece, size_t size) {
  if (piece >= kLarge) {
    large_[piece - kLarge].reset();
    free_large_.push_back(piece - kLarge);
    memory_bytes_ -= size;
    return;
  }
  PutUnits(piece, std::max<size_t>(1, (size + kUnit - 1) / kUnit));
}

ChunkBlocks::Cache::~Cache() {
  if (count_ == 0) return;
  MutexLock lock(&pool_->mu_);
  pool_->free_.push_back({free_, count_});
}

void ChunkBlocks::Cache::Refill() {
  MutexLock lock(&pool_->mu_);
  if (!pool_->free_.empty()) {
    const Chain chain = pool_->free_.back();
    pool_->free_.pop_back();
    free_ = chain.first;
    count_ = chain.count;
    return;
  }
  for (size_t i = 0; i < kBatch; ++i) {
    const auto block = static_cast<uint32_t>(pool_->blocks_.Extend());
    pool_->blocks_[block].next = free_;
    free_ = block + 1;
  }
  count_ = kBatch;
  pool_->memory_bytes_.store(pool_->blocks_.memory_bytes(), std::memory_order_relaxed);
}

void ChunkBlocks::Cache::GiveBack() {
  Chain chain{free_, count_ / 2};
  uint32_t last = free_ - 1;
  for (size_t i = 1; i < chain.count; ++i) last = (*pool_)[last].next - 1;
  free_ = std::exchange((*pool_)[last].next, 0);
  count_ -= chain.count;
  MutexLock lock(&pool_->mu_);
  pool_->free_.push_back(chain);
}

void ChunkBlocks::Cache::Free(uint32_t first, uint32_t last) {
  // Within a chunk `next` is the number itself, in the free list it is one more.
  for (uint32_t block = first; block != last; ++count_) {
    const uint32_t next = (*pool_)[block].next;
    (*pool_)[block].next = next + 1;
    block = next;
  }
  (*pool_)[last].next = free_;
  free_ = first + 1;
  if (++count_ > kCacheMax) GiveBack();
}

}  // namespace narthex::tsdb
