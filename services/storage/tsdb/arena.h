#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

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

// The buffers of open chunks: a few sizes, a free list for each.
class ChunkBuffers {
 public:
  // Chosen so that the average open chunk wastes about a tenth; the last holds the largest chunk
  // and the room that one append may touch.
  static constexpr std::array<uint16_t, 18> kSizes = {48,  64,  80,  96,  112, 128, 160, 192, 224,
                                                      256, 320, 384, 448, 512, 640, 768, 896, 1056};
  static constexpr size_t kSizeMax = kSizes.back();

  // The smallest class that holds `size` bytes. REQUIRES: size <= kSizeMax.
  static uint8_t ClassOf(size_t size);

  uint8_t* Allocate(uint8_t size_class);
  void Free(uint8_t* buffer, uint8_t size_class);
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  std::array<std::vector<uint8_t*>, kSizes.size()> free_;
  std::vector<std::unique_ptr<uint8_t[]>> slabs_;
  size_t memory_bytes_ = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
