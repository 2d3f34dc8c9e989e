#ifndef NARTHEX_LIB_CHUNKENC_VARBIT_H_
#define NARTHEX_LIB_CHUNKENC_VARBIT_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/chunkenc/bit_stream.h"

// The two bit codes that histogram chunks are made of: numbers with a prefix that says how wide
// they are, and doubles as the XOR with the one before. format.md has the tables.
namespace narthex::chunkenc {

// A prefix of k ones and a zero, but eight ones for the last.
inline constexpr unsigned kVarbitWidths[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
inline constexpr unsigned kVarbitClasses = 9;
inline constexpr size_t kVarbitBitsMax = 8 + 64;

inline void WriteVarbit(BitWriter* writer, uint64_t value, unsigned width_class) {
  const unsigned prefix_bits = width_class == 8 ? 8 : width_class + 1;
  const uint64_t prefix = width_class == 8 ? 0xff : ((uint64_t{1} << width_class) - 1) << 1;
  const unsigned width = kVarbitWidths[width_class];
  if (width == 64 || width == 56) {
    writer->Write(prefix, prefix_bits);
    writer->Write(width == 64 ? value : value & ((uint64_t{1} << width) - 1), width);
    return;
  }
  const uint64_t low = value & ((uint64_t{1} << width) - 1);
  writer->Write(prefix << width | low, prefix_bits + width);
}

// Signed: n bits hold -(2^(n-1) - 1) to 2^(n-1).
inline void WriteVarbitInt(BitWriter* writer, int64_t value) {
  if (value == 0) return writer->Write(0, 1);
  const uint64_t bits = static_cast<uint64_t>(value);
  const uint64_t magnitude = value > 0 ? bits - 1 : 0 - bits;
  unsigned width_class = 1;
  while (width_class < 8 && magnitude >> (kVarbitWidths[width_class] - 1) != 0) ++width_class;
  WriteVarbit(writer, bits, width_class);
}

inline void WriteVarbitUint(BitWriter* writer, uint64_t value) {
  unsigned width_class = 0;
  while (width_class < 8 && value >> kVarbitWidths[width_class] != 0) ++width_class;
  WriteVarbit(writer, value, width_class);
}

// The field of a varbit number and its width; 0 bits of 0 for the shortest.
inline bool ReadVarbit(BitReader* reader, uint64_t* field, unsigned* width) {
  const uint64_t head = reader->Peek();
  if (head >> 63 == 0) {
    *field = 0;
    *width = 0;
    return reader->Skip(1);
  }
  const unsigned width_class = std::min(static_cast<unsigned>(std::countl_one(head)), 8u);
  const unsigned prefix_bits = width_class == 8 ? 8 : width_class + 1;
  *width = kVarbitWidths[width_class];
  if (prefix_bits + *width > BitReader::kPeekBits) {
    return reader->Skip(prefix_bits) && reader->Read(*width, field);
  }
  *field = head << prefix_bits >> (64 - *width);
  return reader->Skip(prefix_bits + *width);
}

inline bool ReadVarbitUint(BitReader* reader, uint64_t* value) {
  unsigned width;
  return ReadVarbit(reader, value, &width);
}

inline bool ReadVarbitInt(BitReader* reader, int64_t* value) {
  uint64_t field;
  unsigned width;
  if (!ReadVarbit(reader, &field, &width)) return false;
  if (width > 0 && width < 64 && field > uint64_t{1} << (width - 1)) field -= uint64_t{1} << width;
  *value = static_cast<int64_t>(field);
  return true;
}

// A double and the window of bits in which its next change may lie. A field that was never written
// has no window; a reader begins with all 64 bits, and so does who goes on with a chunk.
struct XorField {
  static constexpr uint8_t kNoWindow = 0xff;

  uint64_t bits = 0;
  uint8_t leading = kNoWindow;
  uint8_t trailing = 0;

  double value() const { return std::bit_cast<double>(bits); }
  void Set(double value) {
    bits = std::bit_cast<uint64_t>(value);
    leading = kNoWindow;
    trailing = 0;
  }
};
inline constexpr size_t kXorFieldBitsMax = 2 + 5 + 6 + 64;

// `0`: as before; `10`: within the window; `11`: five bits of leading zeros, six of width (0 is
// 64), a new window.
inline void WriteXorField(BitWriter* writer, XorField* field, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint64_t change = bits ^ field->bits;
  field->bits = bits;
  if (change == 0) return writer->Write(0, 1);
  const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(change)), 31u);
  const unsigned trailing = static_cast<unsigned>(std::countr_zero(change));
  if (field->leading != XorField::kNoWindow && leading >= field->leading &&
      trailing >= field->trailing) {
    writer->Write(0b10, 2);
    writer->Write(change >> field->trailing, 64u - field->leading - field->trailing);
    return;
  }
  field->leading = static_cast<uint8_t>(leading);
  field->trailing = static_cast<uint8_t>(trailing);
  const unsigned width = 64 - leading - trailing;
  writer->Write(uint64_t{0b11} << 11 | uint64_t{leading} << 6 | (width & 63), 2 + 5 + 6);
  writer->Write(change >> trailing, width);
}

// False where the bits end, or a window is wider than a double.
inline bool ReadXorField(BitReader* reader, XorField* field) {
  uint64_t bit;
  if (!reader->Read(1, &bit)) return false;
  if (bit == 0) return true;
  if (!reader->Read(1, &bit)) return false;
  if (bit == 1) {
    uint64_t window;
    if (!reader->Read(5 + 6, &window)) return false;
    const unsigned leading = static_cast<unsigned>(window >> 6);
    const unsigned width = (window & 63) == 0 ? 64 : static_cast<unsigned>(window & 63);
    if (leading + width > 64) return false;
    field->leading = static_cast<uint8_t>(leading);
    field->trailing = static_cast<uint8_t>(64 - leading - width);
  } else if (field->leading == XorField::kNoWindow) {
    field->leading = 0;
  }
  uint64_t change;
  if (!reader->Read(64u - field->leading - field->trailing, &change)) return false;
  field->bits ^= change << field->trailing;
  return true;
}

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_VARBIT_H_
