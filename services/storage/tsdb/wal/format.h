#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_FORMAT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_FORMAT_H_

#include <cstddef>
#include <cstdint>

// The numbers that writer and reader of the log share. format.md is the specification.
namespace narthex::wal {

inline constexpr size_t kPageSize = size_t{32} << 10;
inline constexpr size_t kFragmentHeaderSize = 7;  // u8 head, u16 length, u32 CRC-32C of the data.
inline constexpr uint64_t kSegmentSizeDefault = uint64_t{128} << 20;

// Low three bits of a fragment's head.
enum class FragmentType : uint8_t {
  kPageEnd = 0,  // The rest of the page is zeros.
  kFull = 1,
  kFirst = 2,
  kMiddle = 3,
  kLast = 4,
};
inline constexpr uint8_t kFragmentTypeMask = 0x07;
// Of the whole record, set alike on all of its fragments.
inline constexpr uint8_t kSnappyFlag = 0x08;
inline constexpr uint8_t kZstdFlag = 0x10;

// First byte of a record. Readers skip types that they do not know.
enum class RecordType : uint8_t {
  kSeries = 1,
  kSamples = 2,
  kTombstones = 3,
  kExemplars = 4,
  kMmapMarkers = 5,
  kMetadata = 6,
  kHistogramSamples = 7,
  kFloatHistogramSamples = 8,
  kCustomHistogramSamples = 9,  // With bounds of their own; 7 and 8 are exponential.
  kCustomFloatHistogramSamples = 10,
  // With start timestamps; both kinds of buckets.
  kSamplesV2 = 11,
  kHistogramSamplesV2 = 12,
  kFloatHistogramSamplesV2 = 13,
  kMinValidTime = 14,  // In checkpoints of Prometheus from 3.14 on: what lies before is in blocks.
  // Ours. Prometheus numbers its types from 1 up and has 255 for "unknown", so these lie far from
  // both ends.
  kSegmentMarker = 0xE0,
  kBatch = 0xE1,
  kTruncation = 0xE2,
};

inline constexpr size_t kReferenceSpaceSize = 16;
inline constexpr size_t kSenderIdMax = 255;

// References are at most 40 bits, because upstream packs one with a chunk number in 64.
inline constexpr uint64_t kReferenceMax = (uint64_t{1} << 40) - 1;

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_FORMAT_H_
