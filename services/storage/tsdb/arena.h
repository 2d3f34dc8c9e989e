#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "services/storage/tsdb/segmented_array.h"

// Memory of the head: many small pieces without a header each. Thread safety of both classes: none
// for allocation; the pieces never move and may be read from anywhere.
namespace narthex::tsdb {

// Hands out pieces that are freed all together with the arena.
class Arena {
 public:
  // Aligned to 8 bytes.
  uint8_t* Allocate(size_t size);
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  std::vector<std::unique_ptr<uint8_t[]>> slabs_;
  size_t slab_size_ = 0;  // Of the newest; they double from small to 1 MiB.
  size_t used_ = 0;       // Of the newest.
  size_t memory_bytes_ = 0;
};

// A cache line of an open chunk, and the number of the next one.
struct alignas(64) ChunkBlock {
  static constexpr size_t kBytes = 60;
  uint32_t next = 0;
  uint8_t bytes[kBytes];
};
static_assert(sizeof(ChunkBlock) == 64);

// The blocks that open chunks grow in. All are of one size, so that what one chunk gives back fits
// every other: chunks of many series grow and end at the same time.
class ChunkBlocks {
 public:
  uint32_t Allocate();
  // Gives back the chain from `first` to `last`.
  void Free(uint32_t first, uint32_t last);
  ChunkBlock& operator[](uint32_t block) const { return blocks_[block]; }
  size_t memory_bytes() const { return blocks_.memory_bytes(); }

 private:
  SegmentedArray<ChunkBlock> blocks_;
  uint32_t free_ = 0;  // 1 + the first free block; its `next` likewise.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
