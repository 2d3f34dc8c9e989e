#include "services/storage/tsdb/closed_chunks.h"

#include <limits>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

template <typename Array>
uint32_t Take(std::vector<uint32_t>* free, Array* array) {
  if (free->empty()) return static_cast<uint32_t>(array->Extend());
  const uint32_t taken = free->back();
  free->pop_back();
  return taken;
}

}  // namespace

bool ClosedChunks::FindFileLocked(uint32_t number, Timestamp time, uint32_t* file) {
  const auto [at, added] = file_numbers_.try_emplace(number, 0);
  if (added) {
    if (free_files_.empty() && files_.size() == files_.kSizeMax) {
      file_numbers_.erase(at);
      return false;
    }
    at->second = Take(&free_files_, &files_);
    files_[at->second] = {number, 0, time};
  }
  *file = at->second;
  return true;
}

bool ClosedChunks::PackLocked(const ClosedChunk& chunk, Packed* packed) {
  const uint64_t offset = chunk.place & 0xffffffff;
  const auto duration = static_cast<uint64_t>(chunk.max_time - chunk.min_time);
  if (offset >= uint64_t{1} << kOffsetBits || duration >= uint64_t{1} << kDurationBits) {
    return false;
  }
  uint32_t file;
  if (!FindFileLocked(static_cast<uint32_t>(chunk.place >> 32), chunk.min_time, &file)) {
    return false;
  }
  // A new file begins with its first chunk, so it has one if this one does not fit.
  const Timestamp time = chunk.min_time - files_[file].time;
  if (time < std::numeric_limits<int32_t>::min() || time > std::numeric_limits<int32_t>::max()) {
    return false;
  }
  ++files_[file].chunks;
  packed->file = file & ((1u << kFileBits) - 1);
  packed->offset = offset & ((uint64_t{1} << kOffsetBits) - 1);
  packed->duration = duration & ((uint64_t{1} << kDurationBits) - 1);
  packed->odd = 0;
  packed->time = static_cast<int32_t>(time);
  return true;
}

uint32_t ClosedChunks::Add(const ClosedChunk& chunk, uint32_t previous) {
  NARTHEX_DCHECK(chunk.min_time <= chunk.max_time);
  MutexLock lock(&mu_);
  const uint32_t at = Take(&free_, &chunks_);
  Packed& packed = chunks_[at];
  packed.previous.store(previous, std::memory_order_relaxed);
  if (!PackLocked(chunk, &packed)) {
    const uint32_t odd = Take(&free_odd_, &odd_);
    NARTHEX_CHECK(odd < 1u << kOffsetBits);
    odd_[odd] = chunk;
    packed.odd = 1;
    packed.offset = odd & ((uint64_t{1} << kOffsetBits) - 1);
  }
  return at + 1;
}

void ClosedChunks::Free(uint32_t number) {
  MutexLock lock(&mu_);
  const Packed& packed = chunks_[number - 1];
  free_.push_back(number - 1);
  if (packed.odd != 0) {
    free_odd_.push_back(static_cast<uint32_t>(packed.offset));
    return;
  }
  File& file = files_[packed.file];
  if (--file.chunks > 0) return;
  file_numbers_.erase(file.number);
  free_files_.push_back(static_cast<uint32_t>(packed.file));
}

ClosedChunk ClosedChunks::Get(uint32_t number) const {
  const Packed& packed = chunks_[number - 1];
  if (packed.odd != 0) return odd_[packed.offset];
  const File& file = files_[packed.file];
  const Timestamp min_time = file.time + packed.time;
  return {uint64_t{file.number} << 32 | packed.offset, min_time,
          min_time + static_cast<Timestamp>(packed.duration)};
}

size_t ClosedChunks::memory_bytes() const {
  MutexLock lock(&mu_);
  return chunks_.memory_bytes() + odd_.memory_bytes() + free_.capacity() * sizeof(uint32_t);
}

}  // namespace narthex::tsdb
