#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_FORMAT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "lib/model/timestamp.h"

// What writer and reader of a block's index share. format.md is the specification.
namespace narthex::index {

inline constexpr uint32_t kMagic = 0xBAAAD700;
inline constexpr uint8_t kVersion1 = 1;  // Read only.
inline constexpr uint8_t kVersion2 = 2;
inline constexpr size_t kHeaderSize = 5;  // u32 magic, u8 version.
inline constexpr size_t kChecksumSize = 4;
inline constexpr size_t kTocSize = 6 * 8 + kChecksumSize;
inline constexpr uint64_t kSeriesAlignment = 16;
inline constexpr uint64_t kPostingsAlignment = 4;
// Series numbers are offset / 16 in 32 bits.
inline constexpr uint64_t kFileSizeMax = (uint64_t{1} << 32) * kSeriesAlignment;

// A chunk as a series of the index names it.
struct ChunkMeta {
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
  uint64_t reference = 0;  // Segment << 32 | offset.
  friend bool operator==(const ChunkMeta&, const ChunkMeta&) = default;
};

}  // namespace narthex::index

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_FORMAT_H_
