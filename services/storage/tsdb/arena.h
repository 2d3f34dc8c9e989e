#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/mutex.h"
#include "services/storage/tsdb/segmented_array.h"

// Memory of the head: many small pieces without a header each, which never move.
namespace narthex::tsdb {

// Pieces of any size that are freed one by one, named by numbers of four bytes. A size is a
// multiple of eight bytes, and what is freed fits the next piece of that size: label sets and
// label values of a kind come and go together.
//
// Thread safety: Allocate() and Free() need a lock of the caller's; pieces may be read from
// anywhere.
class PieceArena {
 public:
  PieceArena();
  ~PieceArena();
  PieceArena(const PieceArena&) = delete;
  PieceArena& operator=(const PieceArena&) = delete;

  using Piece = uint32_t;
  Piece Allocate(size_t size);
  // `size` as it was allocated.
  void Free(Piece piece, size_t size);
  // Aligned to eight bytes.
  uint8_t* At(Piece piece) const {
    if (piece >= kLarge) return large_[piece - kLarge].get();
    return reinterpret_cast<uint8_t*>(slabs_.Get(piece >> kSlabBits) + (piece & (kSlabUnits - 1)));
  }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  static constexpr size_t kUnit = sizeof(uint64_t);
  static constexpr size_t kSlabBits = 15;  // 256 KiB.
  static constexpr size_t kSlabUnits = size_t{1} << kSlabBits;
  static constexpr Piece kLarge = 0xff000000;  // Numbers from here on are of large pieces.
  static constexpr size_t kClasses = 128;      // Pieces of up to 1 KiB; what is larger is large.
  static constexpr Piece kNone = UINT32_MAX;

  Piece TakeUnits(size_t units);
  void PutUnits(Piece piece, size_t units);

  LazyPointers<uint64_t> slabs_{kLarge >> kSlabBits};
  size_t slabs_used_ = 0;
  size_t left_ = 0;                       // Units of the newest slab.
  std::array<Piece, kClasses + 1> free_;  // By units; a free piece begins with the next one.
  SegmentedArray<std::unique_ptr<uint8_t[]>, 6, (0xffffffff - kLarge) / 64> large_;
  std::vector<Piece> free_large_;
  size_t memory_bytes_ = 0;
};

// A piece of an open chunk, and the number of the next one. Many chunks stay short (constants), so
// longer blocks would mostly hold air.
struct alignas(32) ChunkBlock {
  static constexpr size_t kBytes = 28;
  uint32_t next = 0;
  uint8_t bytes[kBytes];
};
static_assert(sizeof(ChunkBlock) == 32);

// The blocks that open chunks grow in. All are of one size, so that what one chunk gives back fits
// every other: chunks of many series grow and end at the same time.
//
// Thread safety: the pool may be used from any thread, a Cache by one at a time.
class ChunkBlocks {
 public:
  // What one thread takes from the pool and gives back in larger numbers.
  class Cache {
   public:
    explicit Cache(ChunkBlocks* pool) : pool_(pool) {}
    ~Cache();
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;
    uint32_t Allocate() {
      if (free_ == 0) Refill();
      const uint32_t block = free_ - 1;
      free_ = (*pool_)[block].next;
      --count_;
      return block;
    }
    // Gives back the chain from `first` to `last`.
    void Free(uint32_t first, uint32_t last);

   private:
    void Refill();
    void GiveBack();

    ChunkBlocks* const pool_;
    uint32_t free_ = 0;  // 1 + the first free block; its `next` likewise.
    size_t count_ = 0;
  };

  ChunkBlock& operator[](uint32_t block) const { return blocks_[block]; }
  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kBatch = 64;  // Blocks that go to a cache at once.
  static constexpr size_t kCacheMax = 4096;
  struct Chain {
    uint32_t first = 0;  // As Cache::free_.
    size_t count = 0;
  };

  SegmentedArray<ChunkBlock> blocks_;
  Mutex mu_;
  std::vector<Chain> free_ ABSL_GUARDED_BY(mu_);
  std::atomic<size_t> memory_bytes_{0};
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ARENA_H_
