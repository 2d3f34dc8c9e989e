#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CLOSED_CHUNKS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CLOSED_CHUNKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/segmented_array.h"

namespace narthex::tsdb {

// A finished chunk: where its bytes are, and its times, so that a reader need not look at it.
struct ClosedChunk {
  ChunkPlace place = 0;
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
};

// The closed chunks of all series, in 16 bytes each. They have numbers, and each leads to the next
// older one of its series.
//
// Thread safety: all methods may be called from any thread, on chunks that the caller learned of
// through some synchronisation of its own. What is freed must be out of reach.
class ClosedChunks {
 public:
  static constexpr uint32_t kNone = 0;  // Numbers begin at 1.

  // REQUIRES: chunk.min_time <= chunk.max_time.
  uint32_t Add(const ClosedChunk& chunk, uint32_t previous);
  void Free(uint32_t number);

  ClosedChunk Get(uint32_t number) const;
  uint32_t Previous(uint32_t number) const {
    return chunks_[number - 1].previous.load(std::memory_order_acquire);
  }
  void SetPrevious(uint32_t number, uint32_t previous) {
    chunks_[number - 1].previous.store(previous, std::memory_order_release);
  }

  size_t memory_bytes() const;

 private:
  static constexpr int kFileBits = 12;
  static constexpr int kOffsetBits = 27;
  static constexpr int kDurationBits = 23;  // Milliseconds: 2.3 hours.
  // Within the files that there are, which have numbers of their own here, and around the time of
  // the first chunk of its file. What does not fit is in `odd_`: the offset is its number there.
  struct Packed {
    uint64_t file : kFileBits = 0;
    uint64_t offset : kOffsetBits = 0;
    uint64_t duration : kDurationBits = 0;
    uint64_t odd : 1 = 0;
    int32_t time = 0;  // From File::time.
    std::atomic<uint32_t> previous{kNone};
  };
  static_assert(sizeof(Packed) == 16);
  struct File {
    uint32_t number = 0;
    uint32_t chunks = 0;  // Guarded by mu_.
    Timestamp time = 0;
  };

  // The number here of the file of a place, with one more chunk; false when there are too many.
  bool FindFileLocked(uint32_t number, Timestamp time, uint32_t* file)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool PackLocked(const ClosedChunk& chunk, Packed* packed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Elements are published by those who learn of them.
  SegmentedArray<Packed> chunks_;
  SegmentedArray<File, 6, (1 << kFileBits) / 64> files_;
  SegmentedArray<ClosedChunk, 6> odd_;

  mutable Mutex mu_;  // A leaf. For what comes and goes.
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_files_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_odd_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, uint32_t> file_numbers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CLOSED_CHUNKS_H_
