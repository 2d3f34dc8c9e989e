#ifndef NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_
#define NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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
  return LoadBig<uint64_t>(from) << skip | static_cast<uint64_t>(from[8]) << skip >> 8;
}

// Reads bits from front to back, never outside the bytes. Read() returns false, and moves nothing,
// where they end too early. Thread safety: none.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes)
      : bytes_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(8 * bytes.size()) {}

  size_t position() const { return position_; }
  size_t remaining() const { return end_ - position_; }

  // The next bits at the top, at least kPeekBits of them; zeros behind the end.
  static constexpr unsigned kPeekBits = 57;
  uint64_t Peek() const {
    const size_t byte = position_ / 8;
    if (byte + 8 <= end_ / 8) return LoadBig<uint64_t>(bytes_ + byte) << position_ % 8;
    uint8_t last[8] = {};
    std::memcpy(last, bytes_ + byte, end_ / 8 - byte);
    return LoadBig<uint64_t>(last) << position_ % 8;
  }
  bool Skip(size_t count) {
    if (remaining() < count) return false;
    position_ += count;
    return true;
  }
  // REQUIRES: 0 < count <= 64.
  bool Read(unsigned count, uint64_t* value) {
    NARTHEX_DCHECK(count > 0 && count <= 64);
    if (remaining() < count) return false;
    if (count <= kPeekBits) {
      *value = Peek() >> (64 - count);
      position_ += count;
      return true;
    }
    const uint64_t high = Peek() >> 32;
    position_ += 32;
    const unsigned rest = count - 32;
    *value = high << rest | Peek() >> (64 - rest);
    position_ += rest;
    return true;
  }

 private:
  const uint8_t* bytes_;
  size_t end_;
  size_t position_ = 0;
};

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_BIT_STREAM_H_
