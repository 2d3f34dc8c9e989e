#ifndef NARTHEX_LIB_CHUNKENC_START_TIMESTAMP_H_
#define NARTHEX_LIB_CHUNKENC_START_TIMESTAMP_H_

#include <cstddef>
#include <cstdint>

#include "lib/chunkenc/varbit.h"
#include "lib/model/timestamp.h"

// The start timestamps within chunks of encodings 4 to 6: behind each sample, from the first on
// that has another than the one before. Differences wrap at 64 bits.
namespace narthex::chunkenc {

inline int64_t WrappingDifference(Timestamp a, Timestamp b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
inline Timestamp WrappingSum(Timestamp a, int64_t b) {
  return static_cast<Timestamp>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// The start timestamps of one chunk, as they are written or read sample by sample. Thread safety:
// none.
class StartTimestamps {
 public:
  // The most bits of one sample: those of the varint of the first.
  static constexpr size_t kBitsMax = 80;

  // The start timestamp of the last sample; 0 is none.
  Timestamp start() const { return start_; }
  // Sets what the header byte says, before the first Read().
  void SetHeader(uint8_t header) {
    first_known_ = (header & kFirstKnown) != 0;
    first_change_ = header & kFirstChangeMax;
  }
  uint8_t header() const {
    return static_cast<uint8_t>((first_known_ ? kFirstKnown : 0) | first_change_);
  }

  // Sample `index`, whose own fields are written; `previous` is the timestamp of the one before it.
  void Write(BitWriter* writer, size_t index, Timestamp timestamp, Timestamp previous,
             Timestamp start) {
    if (index == 0) {
      if (start != 0) {
        WriteVarint(writer, WrappingDifference(timestamp, start));
        first_known_ = true;
      }
    } else if (first_change_ != 0) {
      const int64_t difference = WrappingDifference(previous, start);
      WriteVarbitInt(writer, WrappingDifference(difference, difference_));
      difference_ = difference;
    } else if (start != start_ || index == kFirstChangeMax) {
      // With the last sample whose index fits into the header they begin to be stored in any case.
      difference_ = WrappingDifference(previous, start);
      first_change_ = static_cast<uint8_t>(index);
      WriteVarbitInt(writer, difference_);
    }
    start_ = start;
  }

  bool Read(BitReader* reader, size_t index, Timestamp timestamp, Timestamp previous) {
    if (index == 0) {
      if (!first_known_) return true;
      int64_t difference;
      if (!ReadVarint(reader, &difference)) return false;
      start_ = WrappingDifference(timestamp, difference);
      return true;
    }
    if (first_change_ == 0 || index < first_change_) return true;
    int64_t change;
    if (!ReadVarbitInt(reader, &change)) return false;
    difference_ = index == first_change_ ? change : WrappingSum(difference_, change);
    start_ = WrappingDifference(previous, difference_);
    return true;
  }

 private:
  static constexpr uint8_t kFirstKnown = 0x80;
  static constexpr uint8_t kFirstChangeMax = 0x7f;

  // A zigzag LEB128 number, its bytes wherever the bits stand.
  static void WriteVarint(BitWriter* writer, int64_t value) {
    uint8_t bytes[kUvarintBytesMax];
    const size_t size = EncodeUvarint(bytes, ZigZag(value));
    for (size_t i = 0; i < size; ++i) writer->Write(bytes[i], 8);
  }
  static bool ReadVarint(BitReader* reader, int64_t* value) {
    uint64_t raw = 0;
    for (unsigned i = 0; i < kUvarintBytesMax; ++i) {
      uint64_t byte;
      if (!reader->Read(8, &byte) || (i == kUvarintBytesMax - 1 && byte > 1)) return false;
      raw |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        *value = UnZigZag(raw);
        return true;
      }
    }
    return false;
  }

  Timestamp start_ = 0;
  int64_t difference_ = 0;    // Timestamp of the sample before the last - start_.
  uint8_t first_change_ = 0;  // The first sample behind which one is stored; 0 is none.
  bool first_known_ = false;
};

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_START_TIMESTAMP_H_
