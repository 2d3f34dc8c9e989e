#include "services/storage/tsdb/arena.h"

#include <algorithm>

namespace narthex::tsdb {
namespace {

constexpr size_t kSlabSizeMin = size_t{4} << 10;
constexpr size_t kSlabSizeMax = size_t{1} << 20;

}  // namespace

uint8_t* Arena::Allocate(size_t size) {
  size = (size + 7) & ~size_t{7};
  if (slabs_.empty() || used_ + size > slab_size_) {
    slab_size_ = std::max(size, std::clamp(slab_size_ * 2, kSlabSizeMin, kSlabSizeMax));
    slabs_.emplace_back(new uint8_t[slab_size_]);
    memory_bytes_ += slab_size_;
    used_ = 0;
  }
  uint8_t* const piece = slabs_.back().get() + used_;
  used_ += size;
  return piece;
}

uint32_t ChunkBlocks::Allocate() {
  if (free_ == 0) return static_cast<uint32_t>(blocks_.Extend());
  const uint32_t block = free_ - 1;
  free_ = blocks_[block].next;
  return block;
}

void ChunkBlocks::Free(uint32_t first, uint32_t last) {
  // Within a chunk `next` is the number itself, in the free list it is one more.
  for (uint32_t block = first; block != last;) {
    const uint32_t next = blocks_[block].next;
    blocks_[block].next = next + 1;
    block = next;
  }
  blocks_[last].next = free_;
  free_ = first + 1;
}

}  // namespace narthex::tsdb
