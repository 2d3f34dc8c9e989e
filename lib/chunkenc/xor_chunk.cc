// The XOR chunk of format.md: u16 count, then
//   sample 0:   varint timestamp, 64 bits of value
//   sample 1:   uvarint delta of timestamps, value
//   from 2 on:  delta of delta, value
// where a value is its XOR with the one before: `0` when equal, `10` and the bits of the window in
// use, or `11`, five bits of leading zeros, six of width, and the bits of the window that these two
// set.
#include "lib/chunkenc/xor_chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/bit_stream.h"

namespace narthex::chunkenc {
namespace {

static_assert(sizeof(XorState) == 32);

constexpr size_t kHeaderBytes = 2;
// A delta of delta of 4 + 64 bits, a value of 2 + 5 + 6 + 64 bits.
constexpr size_t kSampleBitsMax = 68 + 77;
constexpr size_t kFirstSampleBytesMin = 1 + 8;
constexpr size_t kSampleBitsMin = 2;

// The ranges are asymmetric: n bits hold -(2^(n-1) - 1) to 2^(n-1).
bool FitsIn(int64_t value, unsigned bits) {
  const int64_t limit = int64_t{1} << (bits - 1);
  return value > -limit && value <= limit;
}

uint64_t LowBits(int64_t value, unsigned bits) {
  return static_cast<uint64_t>(value) & ((uint64_t{1} << bits) - 1);
}

void WriteDeltaOfDelta(BitWriter* writer, int64_t value) {
  if (value == 0) {
    writer->Write(0, 1);
  } else if (FitsIn(value, 14)) {
    writer->Write(uint64_t{0b10} << 14 | LowBits(value, 14), 2 + 14);
  } else if (FitsIn(value, 17)) {
    writer->Write(uint64_t{0b110} << 17 | LowBits(value, 17), 3 + 17);
  } else if (FitsIn(value, 20)) {
    writer->Write(uint64_t{0b1110} << 20 | LowBits(value, 20), 4 + 20);
  } else {
    writer->Write(0b1111, 4);
    writer->Write(static_cast<uint64_t>(value), 64);
  }
}

void WriteValue(BitWriter* writer, XorState* state, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value) ^ std::bit_cast<uint64_t>(state->value);
  if (bits == 0) {
    writer->Write(0, 1);
    return;
  }
  // Five bits hold at most 31.
  const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(bits)), 31u);
  const unsigned trailing = static_cast<unsigned>(std::countr_zero(bits));
  if (state->window && leading >= state->leading && trailing >= state->trailing) {
    writer->Write(0b10, 2);
    writer->Write(bits >> state->trailing, 64u - state->leading - state->trailing);
    return;
  }
  state->leading = static_cast<uint8_t>(leading);
  state->trailing = static_cast<uint8_t>(trailing);
  state->window = true;
  const unsigned width = 64 - leading - trailing;
  // A width of 64 is written as 0.
  writer->Write(uint64_t{0b11} << 11 | uint64_t{leading} << 6 | (width & 63), 2 + 5 + 6);
  writer->Write(bits >> trailing, width);
}

}  // namespace

void XorAppend(XorState* state, uint8_t* bytes, size_t* size, Timestamp timestamp, double value) {
  NARTHEX_DCHECK(state->count < UINT16_MAX);
  uint8_t* end = bytes + *size;
  if (state->free_bits == 8) {  // A resumed chunk with an unused byte behind it.
    --end;
    state->free_bits = 0;
  }
  if (state->count == 0) {
    end = bytes + kHeaderBytes;
    end += EncodeUvarint(end, ZigZag(timestamp));
    StoreBig(end, std::bit_cast<uint64_t>(value));
    end += sizeof value;
    state->free_bits = 0;
  } else {
    // Differences wrap, as upstream's do.
    const int64_t delta = static_cast<int64_t>(static_cast<uint64_t>(timestamp) -
                                               static_cast<uint64_t>(state->timestamp));
    if (state->count == 1) {
      end += EncodeUvarint(end, static_cast<uint64_t>(delta));
      BitWriter writer(end, 0);
      WriteValue(&writer, state, value);
      end = writer.Finish(&state->free_bits);
    } else {
      BitWriter writer(end, state->free_bits);
      WriteDeltaOfDelta(&writer, static_cast<int64_t>(static_cast<uint64_t>(delta) -
                                                      static_cast<uint64_t>(state->delta)));
      WriteValue(&writer, state, value);
      end = writer.Finish(&state->free_bits);
    }
    state->delta = delta;
  }
  state->timestamp = timestamp;
  state->value = value;
  ++state->count;
  StoreBig(bytes, state->count);
  *size = static_cast<size_t>(end - bytes);
}

namespace {

// Where a decoder stands: the sample it has decoded last, and what the next one needs.
struct Position {
  size_t bit = 0;
  uint64_t timestamp = 0;
  uint64_t delta = 0;
  uint64_t value = 0;
  // The window starts as all 64 bits: an appender that went on with a chunk in which no window was
  // written uses that one.
  unsigned leading = 0;
  unsigned trailing = 0;
};

uint64_t SignExtend(uint64_t low, unsigned bits) {
  const uint64_t limit = uint64_t{1} << (bits - 1);
  return low > limit ? low - 2 * limit : low;
}

// Reads the delta of delta at `bit` of the 64 bits `head`, and moves `bit` behind it. REQUIRES:
// head's first bit is 1.
uint64_t ReadDeltaOfDelta(const uint8_t* bytes, uint64_t head, size_t* bit) {
  const unsigned ones = static_cast<unsigned>(std::countl_one(head));
  switch (ones) {
    case 1:
      *bit += 2 + 14;
      return SignExtend(head << 2 >> (64 - 14), 14);
    case 2:
      *bit += 3 + 17;
      return SignExtend(head << 3 >> (64 - 17), 17);
    case 3:
      *bit += 4 + 20;
      return SignExtend(head << 4 >> (64 - 20), 20);
    default: {
      const uint64_t raw = LoadBits(bytes, *bit + 4);
      *bit += 4 + 64;
      return raw;
    }
  }
}

// Reads a value; false when its window is wider than a value. REQUIRES: kSampleBitsMax bits and
// nine bytes are readable.
inline bool ReadValue(const uint8_t* bytes, uint64_t head, Position* position) {
  if (head >> 63 == 0) {
    position->bit += 1;
    return true;
  }
  if (head << 1 >> 63 == 0) {
    position->bit += 2;
  } else {
    const unsigned leading = static_cast<unsigned>(head << 2 >> (64 - 5));
    unsigned width = static_cast<unsigned>(head << 7 >> (64 - 6));
    if (width == 0) width = 64;
    if (leading + width > 64) return false;
    position->leading = leading;
    position->trailing = 64 - leading - width;
    position->bit += 2 + 5 + 6;
  }
  const unsigned width = 64 - position->leading - position->trailing;
  position->value ^= LoadBits(bytes, position->bit) >> (64 - width) << position->trailing;
  position->bit += width;
  return true;
}

// Reads sample 2 or a later one. False as ReadValue().
inline bool ReadSample(const uint8_t* bytes, Position* position) {
  uint64_t head = LoadBits(bytes, position->bit);
  if (head >> 63 == 0) {
    position->bit += 1;
    head <<= 1;
  } else {
    position->delta += ReadDeltaOfDelta(bytes, head, &position->bit);
    head = LoadBits(bytes, position->bit);
  }
  position->timestamp += position->delta;
  return ReadValue(bytes, head, position);
}

// Gives the samples of a chunk one after another to `emit`, which returns false to end the walk.
// `limit` samples at most. False when the chunk is malformed.
template <typename Emit>
bool Walk(std::string_view chunk, size_t limit, Position* position, Emit emit) {
  if (limit == 0) return true;
  ByteReader reader(chunk.substr(kHeaderBytes));
  int64_t first;
  if (!reader.ReadVarint(&first) || !reader.ReadBig(&position->value)) return false;
  position->timestamp = static_cast<uint64_t>(first);
  position->bit = 8 * (kHeaderBytes + reader.offset());
  if (!emit(*position) || limit == 1) return true;

  if (!reader.ReadUvarint(&position->delta)) return false;
  position->timestamp += position->delta;
  position->bit = 8 * (kHeaderBytes + reader.offset());

  // As far as any sample's bits, and the nine bytes that LoadBits takes, lie within the chunk, it
  // is read in place.
  constexpr size_t kReadBytesMax = kSampleBitsMax / 8 + 1 + 9;
  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(chunk.data());
  const size_t safe_bits = chunk.size() > kReadBytesMax ? 8 * (chunk.size() - kReadBytesMax) : 0;
  size_t next = 1;
  if (position->bit < safe_bits) {
    if (!ReadValue(bytes, LoadBits(bytes, position->bit), position)) return false;
    if (!emit(*position)) return true;
    ++next;
    while (next < limit && position->bit < safe_bits) {
      if (!ReadSample(bytes, position)) return false;
      if (!emit(*position)) return true;
      ++next;
    }
  }
  if (next == limit) return true;

  // The last samples are read from a copy with zeros behind it; reading into them shows in the
  // position.
  uint8_t tail[2 * kReadBytesMax + 8] = {};
  const size_t tail_start = position->bit / 8;
  const size_t tail_bytes = chunk.size() - tail_start;
  NARTHEX_CHECK(tail_bytes + kReadBytesMax <= sizeof tail);
  std::memcpy(tail, bytes + tail_start, tail_bytes);
  position->bit -= 8 * tail_start;
  for (; next < limit; ++next) {
    const bool valid = next == 1 ? ReadValue(tail, LoadBits(tail, position->bit), position)
                                 : ReadSample(tail, position);
    if (!valid || position->bit > 8 * tail_bytes) return false;
    if (!emit(*position)) break;
  }
  position->bit += 8 * tail_start;
  return true;
}

// Whether a chunk of this size can hold as many samples as its header says: checked before memory
// is taken for them.
bool IsPlausible(std::string_view chunk, size_t count) {
  if (chunk.size() < kHeaderBytes) return false;
  if (count == 0) return true;
  const size_t bytes = chunk.size() - kHeaderBytes;
  return bytes >= kFirstSampleBytesMin &&
         (count - 1) * kSampleBitsMin <= 8 * (bytes - kFirstSampleBytesMin);
}

absl::Status Malformed(std::string_view chunk, size_t count) {
  return DataLoss("XOR chunk of ", chunk.size(), " bytes: malformed before its ", count,
                  " samples end");
}

}  // namespace

uint16_t XorSampleCount(std::string_view bytes) {
  return bytes.size() < kHeaderBytes ? uint16_t{0} : LoadBig<uint16_t>(bytes.data());
}

absl::Status XorResume(std::string_view bytes, XorState* state) {
  const uint16_t count = XorSampleCount(bytes);
  Position position;
  const bool walked = IsPlausible(bytes, count) &&
                      Walk(bytes, count, &position, [](const Position&) { return true; });
  if (!walked) return Malformed(bytes, count);
  // Prometheus up to 2.4x leaves a zero byte behind samples that end with a byte.
  const size_t free_bits = 8 * bytes.size() - position.bit;
  if (count > 0 && (free_bits > 8 || (free_bits == 8 && bytes.back() != 0))) {
    return DataLoss("XOR chunk of ", bytes.size(), " bytes: its samples end at bit ", position.bit);
  }
  *state = XorState();
  if (count == 0) return absl::OkStatus();
  state->timestamp = static_cast<Timestamp>(position.timestamp);
  state->delta = static_cast<int64_t>(position.delta);
  state->value = std::bit_cast<double>(position.value);
  state->count = count;
  state->leading = static_cast<uint8_t>(position.leading);
  state->trailing = static_cast<uint8_t>(position.trailing);
  state->free_bits = static_cast<uint8_t>(free_bits);
  // Upstream goes on with the decoder's window, even where it is the one that no sample set.
  state->window = true;
  return absl::OkStatus();
}

absl::Status XorDecode(std::string_view bytes, size_t samples_max, Timestamp min_time,
                       Timestamp max_time, SampleBuffer* out) {
  const uint16_t count = XorSampleCount(bytes);
  if (!IsPlausible(bytes, count)) return Malformed(bytes, count);
  const size_t limit = std::min<size_t>(count, samples_max);
  const size_t start = out->size();
  out->Resize(start + limit);
  Timestamp* const timestamps = out->mutable_timestamps() + start;
  double* const values = out->mutable_values() + start;

  size_t kept = 0;
  bool first = true;
  bool ordered = true;
  Timestamp previous = 0;
  Position position;
  const bool walked = Walk(bytes, limit, &position, [&](const Position& at) {
    const Timestamp timestamp = static_cast<Timestamp>(at.timestamp);
    if (timestamp <= previous && !first) {
      ordered = false;
      return false;
    }
    first = false;
    previous = timestamp;
    if (timestamp > max_time) return false;
    timestamps[kept] = timestamp;
    values[kept] = std::bit_cast<double>(at.value);
    kept += timestamp >= min_time ? 1 : 0;
    return true;
  });
  if (!walked || !ordered) {
    out->Resize(start);
    if (!ordered) return DataLoss("XOR chunk: a timestamp is not after the one before it");
    return Malformed(bytes, count);
  }
  out->Resize(start + kept);
  return absl::OkStatus();
}

}  // namespace narthex::chunkenc
