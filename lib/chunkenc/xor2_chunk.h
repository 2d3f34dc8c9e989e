#ifndef NARTHEX_LIB_CHUNKENC_XOR2_CHUNK_H_
#define NARTHEX_LIB_CHUNKENC_XOR2_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "lib/chunkenc/start_timestamp.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

// XOR2 chunks (encoding 4), which Prometheus writes from 3.15 on where start timestamps are kept:
// timestamp and value share a prefix, and a start timestamp may follow. format.md has the bits.
namespace narthex::chunkenc {

// The state after the last sample of an open chunk.
struct Xor2State {
  Timestamp timestamp = 0;
  int64_t delta = 0;
  XorField value;  // The last one that was no staleness marker.
  StartTimestamps starts;
  uint16_t count = 0;
  uint8_t free_bits = 0;  // Unused low bits in the last byte; 8 when it is unused as a whole.
};

// The most bytes behind *size that one append touches: 69 bits of time, 77 of value, 72 of start
// timestamp, or two varints and a value at the start; and eight that a store may write behind.
inline constexpr size_t kXor2SampleBytesMax = 48;

// Appends a sample at the end of `bytes` (which holds `*size` bytes of a capacity of at least *size
// + kXor2SampleBytesMax) and updates `state`, `*size` and the header. An empty chunk has *size 0.
// `start` is the start timestamp, 0 none. REQUIRES: state->count < 65535.
void Xor2Append(Xor2State* state, uint8_t* bytes, size_t* size, Timestamp timestamp, double value,
                Timestamp start);

// The state to append to an existing chunk. DataLoss when the bytes are no XOR2 chunk.
absl::Status Xor2Resume(std::string_view bytes, Xor2State* state);

// As XorDecode(), with start timestamps where the chunk has them.
absl::Status Xor2Decode(std::string_view bytes, size_t samples_max, Timestamp min_time,
                        Timestamp max_time, SampleBuffer* out);

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_XOR2_CHUNK_H_
