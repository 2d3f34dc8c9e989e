#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/coding.h"
#include "lib/chunkenc/chunk.h"

// What writer and reader of a block's chunk segments share. format.md is the specification.
namespace narthex::chunks {

inline constexpr uint32_t kMagic = 0x85BD40DD;
inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kHeaderSize = 8;  // u32 magic, u8 version, 3 zero bytes.
inline constexpr size_t kChecksumSize = 4;
inline constexpr uint64_t kSegmentSizeDefault = uint64_t{512} << 20;
inline constexpr size_t kChunkSizeMax = size_t{64} << 20;  // Far above what any program writes.

// Where a chunk lies: segments count from 0 although their files are named from 000001.
inline constexpr uint64_t MakeReference(uint32_t segment, uint32_t offset) {
  return (uint64_t{segment} << 32) | offset;
}
inline constexpr uint32_t ReferenceSegment(uint64_t reference) {
  return static_cast<uint32_t>(reference >> 32);
}
inline constexpr uint32_t ReferenceOffset(uint64_t reference) {
  return static_cast<uint32_t>(reference);
}

// "000001" of segment 0.
std::string SegmentFileName(uint32_t segment);

// The number of samples that the header of a chunk states; 0 when there is no whole header.
inline uint32_t SamplesStated(chunkenc::Encoding encoding, std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  const uint16_t count = LoadBig<uint16_t>(bytes.data());
  const bool flags_above = encoding == chunkenc::Encoding::kHistogramSt ||
                           encoding == chunkenc::Encoding::kFloatHistogramSt;
  return flags_above ? count & 0x3fff : count;
}
inline constexpr bool IsKnownEncoding(uint8_t encoding) { return encoding >= 1 && encoding <= 6; }
inline constexpr bool IsFloatEncoding(chunkenc::Encoding encoding) {
  return encoding == chunkenc::Encoding::kXor || encoding == chunkenc::Encoding::kXor2;
}

}  // namespace narthex::chunks

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_
