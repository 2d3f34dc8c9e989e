#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

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

}  // namespace narthex::chunks

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_FORMAT_H_
