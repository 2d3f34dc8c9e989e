#ifndef NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_
#define NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_

#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/coding.h"

// Bits, most significant first within each byte, as all of Prometheus' chunks are written.
namespace narthex::chunkenc {

// Writes bits at the end of a byte string through a 64-bit accumulator, eight bytes a store;
// Finish() stores the rest and may write zeros up to seven bytes behind it. Thread safety: none.
class BitWriter {
 public:
  // Goes on at `end`; of the byte before it the `free_bits` low bits (0 to 7) are still unused.
  BitWriter(uint8_t* end, unsigned free_bits) : place_(end) {
    if (free_bits > 0) {
      --place_;
      used_ = 8 - free_bits;
      bits_ = static_cast<uint64_t>(*place_ >> free_bits) << (56 + free_bits);
    }
  }

  // Writes the low `count` bits of `value`. REQUIRES: 0 < count <= 64, and the other bits of
  // `value` are 0.
  void Write(uint64_t value, unsigned count) {
    NARTHEX_DCHECK(count > 0 && count <= 64 && (count == 64 || value >> count == 0));
    const unsigned room = 64 - used_;  // At least 1.
    if (count < room) {
      bits_ |= value << (room - count);
      used_ += count;
      return;
    }
    StoreBig(place_, bits_ | value >> (count - room));
    place_ += 8;
    used_ = count - room;
    bits_ = used_ == 0 ? 0 : value << (64 - used_);
  }

  // Returns the new end, and how many low bits before it are unused.
  uint8_t* Finish(uint8_t* free_bits) {
    StoreBig(place_, bits_);
    *free_bits = static_cast<uint8_t>((8 - used_ % 8) % 8);
    return place_ + (used_ + 7) / 8;
  }

 private:
  uint8_t* place_;     // Where bits_ goes.
  uint64_t bits_ = 0;  // The top used_ bits are taken, the others 0.
  unsigned used_ = 0;  // Less than 64.
};

// The 64 bits from bit `position` on. REQUIRES: nine bytes are readable from position / 8 on.
inline uint64_t LoadBits(const uint8_t* bytes, size_t position) {
  const uint8_t* const from = bytes + position / 8;
  const unsigned skip = position % 8;
  return LoadBig<uint64_t>(from) << skip | static_cast<uint64_t>(from[8]) >> (8 - skip);
}

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_
