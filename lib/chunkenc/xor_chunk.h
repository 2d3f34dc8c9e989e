#ifndef NARTHEX_LIB_CHUNKENC_XOR_CHUNK_H_
#define NARTHEX_LIB_CHUNKENC_XOR_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

// Gorilla chunks (encoding 1), bit for bit as Prometheus writes them: u16 sample count, then
// delta-of-delta timestamps and XORed values. format.md has the bits.
namespace narthex::chunkenc {

// The state after the last sample of an open chunk: what an append needs. A head series keeps one
// beside its bytes, so that the appender itself owns nothing and a series record stays small. 32
// bytes.
struct XorState {
  Timestamp timestamp = 0;
  int64_t delta = 0;
  double value = 0;
  uint16_t count = 0;
  uint8_t leading = 0;
  uint8_t trailing = 0;
  uint8_t free_bits = 0;  // Unused low bits in the last byte; 8 when it is unused as a whole.
  bool window = false;    // leading and trailing are set.
};

// The most bytes behind *size that one append touches. A sample takes at most 20, but bits are
// stored eight bytes at a time: for the second sample that is a varint of ten bytes and two stores.
inline constexpr size_t kXorSampleBytesMax = 26;

// Appends a sample at the end of `bytes` (which holds `*size` bytes of a capacity of at least *size
// + kXorSampleBytesMax) and updates `state`, `*size` and the count in the first two bytes. An empty
// chunk has *size 0. REQUIRES: state->count < 65535.
void XorAppend(XorState* state, uint8_t* bytes, size_t* size, Timestamp timestamp, double value);

// The state to append to an existing chunk. DataLoss when the bytes are no XOR chunk.
absl::Status XorResume(std::string_view bytes, XorState* state);

// Decodes the first `samples_max` samples (all when fewer are there) and appends those within
// min_time…max_time (inclusive) to `out`; it stops at the first sample after max_time. DataLoss
// when the chunk ends before its count, or its timestamps do not grow; `out` is then as before.
// Never reads past bytes.
absl::Status XorDecode(std::string_view bytes, size_t samples_max, Timestamp min_time,
                       Timestamp max_time, SampleBuffer* out);

// The number in the first two bytes; 0 when there are not two.
uint16_t XorSampleCount(std::string_view bytes);

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_XOR_CHUNK_H_
