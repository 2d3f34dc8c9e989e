#include "services/storage/tsdb/arena.h"

#include <algorithm>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kSlabSizeMin = size_t{4} << 10;
constexpr size_t kSlabSizeMax = size_t{1} << 20;
constexpr size_t kBufferSlabSize = size_t{32} << 10;

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

uint8_t ChunkBuffers::ClassOf(size_t size) {
  NARTHEX_DCHECK(size <= kSizeMax);
  return static_cast<uint8_t>(std::lower_bound(kSizes.begin(), kSizes.end(), size) -
                              kSizes.begin());
}

uint8_t* ChunkBuffers::Allocate(uint8_t size_class) {
  std::vector<uint8_t*>& free = free_[size_class];
  if (free.empty()) {
    const size_t size = kSizes[size_class];
    const size_t count = kBufferSlabSize / size;
    slabs_.emplace_back(new uint8_t[count * size]);
    memory_bytes_ += count * size;
    // So that the first to be taken is the lowest.
    for (size_t i = count; i-- > 0;) free.push_back(slabs_.back().get() + i * size);
  }
  uint8_t* const buffer = free.back();
  free.pop_back();
  return buffer;
}

void ChunkBuffers::Free(uint8_t* buffer, uint8_t size_class) {
  free_[size_class].push_back(buffer);
}

}  // namespace narthex::tsdb
