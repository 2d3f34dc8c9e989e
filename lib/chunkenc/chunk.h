#ifndef NARTHEX_LIB_CHUNKENC_CHUNK_H_
#define NARTHEX_LIB_CHUNKENC_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

// Chunks of any encoding: what readers of blocks, head chunks and answers call. format.md has the
// bits. All functions are pure and thread-safe.
namespace narthex::chunkenc {

// The encoding byte of a chunk in block and head chunk files.
enum class Encoding : uint8_t {
  kNone = 0,
  kXor = 1,
  kHistogram = 2,
  kFloatHistogram = 3,
  kXor2 = 4,
  kHistogramSt = 5,
  kFloatHistogramSt = 6,
};

// kXor to kFloatHistogramSt; any other byte is not a chunk that can be read.
inline bool IsKnown(Encoding encoding) {
  return encoding >= Encoding::kXor && encoding <= Encoding::kFloatHistogramSt;
}
// "XOR", "histogram", "floathistogram", "XOR2", ...: the names that upstream prints.
std::string_view EncodingName(Encoding encoding);
// What the samples of such a chunk are. REQUIRES: IsKnown(encoding).
SampleKind KindOf(Encoding encoding);
// The encoding of samples of that kind, with or without start timestamps.
Encoding EncodingOf(SampleKind kind, bool start_timestamps);

// The number of samples that the first two bytes give; 0 when there are not two.
uint16_t ChunkSampleCount(Encoding encoding, std::string_view bytes);

// Decodes the first `samples_max` samples (all when fewer are there) and appends those within
// min_time...max_time (inclusive) to `out`; it stops at the first sample after max_time. DataLoss
// for an unknown encoding or schema, when the chunk ends before its count, or when its timestamps
// do not grow; `out` is then as before. Never reads past bytes.
absl::Status DecodeChunk(Encoding encoding, std::string_view bytes, size_t samples_max,
                         Timestamp min_time, Timestamp max_time, SampleBuffer* out);

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_CHUNK_H_
