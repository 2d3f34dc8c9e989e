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

#include "absl/base/attributes.h"
#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
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

// Where a decoder stands: the sample it has decoded last, and what the next one needs. The
// functions below are inlined, so that all of it lives in registers within the loop.
struct Position {
  size_t bit = 0;
  size_t count = 0;  // Samples before it.
  Timestamp timestamp = 0;
  uint64_t delta = 0;
  uint64_t value = 0;
  // The window starts as all 64 bits: an appender that went on with a chunk in which no window was
  // written uses that one.
  unsigned width = 64;
  unsigned trailing = 0;
};

struct Limits {
  size_t count;        // Samples.
  Timestamp max_time;  // Of the last sample wanted.
};

enum class Outcome { kMore, kStop, kMalformed, kUnordered };

// How many bits of LoadHead() are surely those of the chunk.
constexpr unsigned kHeadBits = 57;

// The kHeadBits bits from bit `position` on, at the top. REQUIRES: eight bytes are readable from
// position / 8 on.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline uint64_t LoadHead(const uint8_t* bytes, size_t position) {
  return LoadBig<uint64_t>(bytes + position / 8) << position % 8;
}

// The signed field of `bits` bits at the top of `head`: one is subtracted so that the range becomes
// that of two's complement, which a shift extends without a branch on the sign.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline uint64_t SignedField(uint64_t head, unsigned bits) {
  const uint64_t one = uint64_t{1} << (64 - bits);
  return static_cast<uint64_t>(static_cast<int64_t>(head - one) >> (64 - bits)) + 1;
}

// Reads the delta of delta whose bits are the first of `head`, and leaves at least the next 13 bits
// in it. The widths are constants in branches of their own: a branch is predicted, while a width
// that is computed would hold up all that follows.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ReadDeltaOfDelta(const uint8_t* bytes, uint64_t* head,
                                                          Position* position) {
  const auto take = [&](unsigned prefix, unsigned bits) ABSL_ATTRIBUTE_ALWAYS_INLINE {
    position->delta += SignedField(*head << prefix, bits);
    position->bit += prefix + bits;
    *head <<= prefix + bits;
  };
  if (*head >> 63 == 0) {
    position->bit += 1;
    *head <<= 1;
  } else if (*head << 1 >> 63 == 0) {
    take(2, 14);
  } else if (*head << 2 >> 63 == 0) {
    take(3, 17);
  } else if (*head << 3 >> 63 == 0) {
    take(4, 20);
  } else {
    position->delta += LoadBits(bytes, position->bit + 4);
    position->bit += 4 + 64;
    *head = LoadHead(bytes, position->bit);
  }
}

// Reads the value whose first 13 bits are those of `head`; false when its window is wider than a
// value.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadValue(const uint8_t* bytes, uint64_t head,
                                                   Position* position) {
  if (head >> 63 == 0) {
    position->bit += 1;
    return true;
  }
  // At least 13 + 20 bits of the head are there behind any delta of delta.
  if (head << 1 >> 63 == 0) {
    position->bit += 2;
    head <<= 2;
    if (position->width <= 31) {
      position->value ^= head >> (64 - position->width) << position->trailing;
      position->bit += position->width;
      return true;
    }
  } else {
    const unsigned leading = static_cast<unsigned>(head << 2 >> (64 - 5));
    unsigned width = static_cast<unsigned>(head << 7 >> (64 - 6));
    if (width == 0) width = 64;
    if (leading + width > 64) return false;
    position->width = width;
    position->trailing = 64 - leading - width;
    position->bit += 2 + 5 + 6;
  }
  const uint64_t bits = position->width <= kHeadBits ? LoadHead(bytes, position->bit)
                                                     : LoadBits(bytes, position->bit);
  position->value ^= bits >> (64 - position->width) << position->trailing;
  position->bit += position->width;
  return true;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Outcome AddDelta(const Limits& limits, Position* position) {
  const uint64_t next = static_cast<uint64_t>(position->timestamp) + position->delta;
  if (static_cast<Timestamp>(next) <= position->timestamp) return Outcome::kUnordered;
  if (static_cast<Timestamp>(next) > limits.max_time) return Outcome::kStop;
  position->timestamp = static_cast<Timestamp>(next);
  return Outcome::kMore;
}

// Reads a sample whose delta is known, and whose value begins `head`.
template <typename Put>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline Outcome ReadSample(const uint8_t* bytes, uint64_t head,
                                                       const Limits& limits, Position* position,
                                                       Put put) {
  const Outcome outcome = AddDelta(limits, position);
  if (outcome != Outcome::kMore) return outcome;
  if (!ReadValue(bytes, head, position)) return Outcome::kMalformed;
  put(*position);
  ++position->count;
  return Outcome::kMore;
}

// Reads samples, from the second on, as long as one begins before `end_bit`. REQUIRES: the bits of
// any sample and nine bytes are readable behind end_bit.
template <typename Put>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline Outcome ReadSamples(const uint8_t* bytes, size_t end_bit,
                                                        const Limits& limits, Position* position,
                                                        Put put) {
  if (position->count == 1 && position->bit < end_bit) {
    // The delta of the second sample was read with its bytes.
    const uint64_t head = LoadHead(bytes, position->bit);
    const Outcome outcome = ReadSample(bytes, head, limits, position, put);
    if (outcome != Outcome::kMore) return outcome;
  }
  while (position->count < limits.count && position->bit < end_bit) {
    uint64_t head = LoadHead(bytes, position->bit);
    if (head >> 62 == 0) {
      // A row of `00`: a series that stands still.
      const uint64_t behind_head = uint64_t{1} << (63 - kHeadBits);
      size_t row = static_cast<size_t>(std::countl_zero(head | behind_head)) / 2;
      for (row = std::min(row, limits.count - position->count); row > 0; --row) {
        const Outcome outcome = AddDelta(limits, position);
        if (outcome != Outcome::kMore) return outcome;
        position->bit += 2;
        put(*position);
        ++position->count;
      }
      continue;
    }
    ReadDeltaOfDelta(bytes, &head, position);
    const Outcome outcome = ReadSample(bytes, head, limits, position, put);
    if (outcome != Outcome::kMore) return outcome;
  }
  return position->count < limits.count ? Outcome::kMore : Outcome::kStop;
}

// As far as any sample's bits, and the nine bytes that LoadBits takes, lie within the chunk, it is
// read in place.
constexpr size_t kReadBytesMax = kSampleBitsMax / 8 + 1 + 9;

// The last samples are read from a copy with zeros behind it; reading into them shows in the
// position, which it moves to that copy.
struct Tail {
  Tail(std::string_view chunk, Position* position) {
    start_bit = 8 * (position->bit / 8);
    const size_t size = chunk.size() - start_bit / 8;
    NARTHEX_CHECK(size + kReadBytesMax <= sizeof bytes);
    std::memcpy(bytes, chunk.data() + start_bit / 8, size);
    end_bit = 8 * size;
    position->bit -= start_bit;
  }
  uint8_t bytes[2 * kReadBytesMax + 8] = {};
  size_t start_bit = 0;  // Within the chunk.
  size_t end_bit = 0;
};

// Gives the samples of a chunk one after another to `put`, within the limits; `position` is where
// it ended. kStop is a sound end.
template <typename Put>
Outcome Walk(std::string_view chunk, const Limits& limits, Position* position, Put put) {
  if (limits.count == 0) return Outcome::kStop;
  ByteReader reader(chunk.substr(kHeaderBytes));
  Position at;
  if (!reader.ReadVarint(&at.timestamp) || !reader.ReadBig(&at.value)) return Outcome::kMalformed;
  at.bit = 8 * (kHeaderBytes + reader.offset());
  if (at.timestamp > limits.max_time) return Outcome::kStop;
  put(at);
  at.count = 1;
  if (limits.count == 1) {
    *position = at;
    return Outcome::kStop;
  }
  if (!reader.ReadUvarint(&at.delta)) return Outcome::kMalformed;
  at.bit = 8 * (kHeaderBytes + reader.offset());

  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(chunk.data());
  const size_t safe_bits = chunk.size() > kReadBytesMax ? 8 * (chunk.size() - kReadBytesMax) : 0;
  Outcome outcome = ReadSamples(bytes, safe_bits, limits, &at, put);
  if (outcome == Outcome::kMore) {
    const Tail tail(chunk, &at);
    outcome = ReadSamples(tail.bytes, tail.end_bit, limits, &at, put);
    // kMore: the bits have ended before the samples.
    if (outcome == Outcome::kMore || at.bit > tail.end_bit) outcome = Outcome::kMalformed;
    at.bit += tail.start_bit;
  }
  *position = at;
  return outcome;
}

// The columns that samples are written to.
struct Columns {
  Timestamp* timestamps;
  double* values;
};

// As many deltas of this many bits as a chunk can have stay below 2^63.
constexpr unsigned kDeltaBitsMax = 47;

// Writes samples, from the second on, to the columns as long as one begins before `end_bit` and
// fewer than `count` are there. It looks at nothing else: false where something was wrong or odd,
// and whoever calls it then reads the chunk step by step. REQUIRES: as of ReadSamples().
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadColumns(const uint8_t* bytes, size_t end_bit,
                                                     size_t count, const Columns& columns,
                                                     Position* position) {
  Position at = *position;
  uint64_t timestamp = static_cast<uint64_t>(at.timestamp);
  uint64_t deltas = at.delta - 1;  // All of them less one, joined by OR.
  Timestamp* timestamps = columns.timestamps + at.count;
  double* values = columns.values + at.count;
  const Timestamp* const end = columns.timestamps + count;
  if (at.count == 1 && timestamps != end && at.bit < end_bit) {
    // The delta of the second sample was read with its bytes.
    timestamp += at.delta;
    *timestamps++ = static_cast<Timestamp>(timestamp);
    if (!ReadValue(bytes, LoadHead(bytes, at.bit), &at)) return false;
    *values++ = std::bit_cast<double>(at.value);
  }
  while (timestamps != end && at.bit < end_bit) {
    uint64_t head = LoadHead(bytes, at.bit);
    if (head >> 62 == 0) {
      // A row of `00`: a series that stands still.
      const uint64_t behind_head = uint64_t{1} << (63 - kHeadBits);
      size_t row = static_cast<size_t>(std::countl_zero(head | behind_head)) / 2;
      row = std::min(row, static_cast<size_t>(end - timestamps));
      at.bit += 2 * row;
      for (; row > 0; --row) {
        timestamp += at.delta;
        *timestamps++ = static_cast<Timestamp>(timestamp);
        *values++ = std::bit_cast<double>(at.value);
      }
      continue;
    }
    ReadDeltaOfDelta(bytes, &head, &at);
    timestamp += at.delta;
    deltas |= at.delta - 1;
    *timestamps++ = static_cast<Timestamp>(timestamp);
    if (!ReadValue(bytes, head, &at)) return false;
    *values++ = std::bit_cast<double>(at.value);
  }
  at.count = static_cast<size_t>(timestamps - columns.timestamps);
  at.timestamp = static_cast<Timestamp>(timestamp);
  // A sum that has wrapped is below what it began with.
  if (deltas >> kDeltaBitsMax != 0 || at.timestamp < position->timestamp) return false;
  *position = at;
  return true;
}

// Writes the first `count` samples of a chunk to the columns at once. False where that cannot be
// done, or where the chunk is not sound; the columns are then void. REQUIRES: count > 0.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadChunkInline(std::string_view chunk, size_t count,
                                                         const Columns& columns) {
  ByteReader reader(chunk.substr(kHeaderBytes));
  Position at;
  if (!reader.ReadVarint(&at.timestamp) || !reader.ReadBig(&at.value)) return false;
  columns.timestamps[0] = at.timestamp;
  columns.values[0] = std::bit_cast<double>(at.value);
  if (count == 1) return true;
  if (!reader.ReadUvarint(&at.delta)) return false;
  at.bit = 8 * (kHeaderBytes + reader.offset());
  at.count = 1;

  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(chunk.data());
  const size_t safe_bits = chunk.size() > kReadBytesMax ? 8 * (chunk.size() - kReadBytesMax) : 0;
  if (!ReadColumns(bytes, safe_bits, count, columns, &at)) return false;
  if (at.count == count) return true;
  const Tail tail(chunk, &at);
  return ReadColumns(tail.bytes, tail.end_bit, count, columns, &at) && at.count == count &&
         at.bit <= tail.end_bit;
}

bool ReadChunkPlain(std::string_view chunk, size_t count, const Columns& columns) {
  return ReadChunkInline(chunk, count, columns);
}

#if defined(__x86_64__)
// Shifts by a number in a register take one instruction with BMI2, and three without.
__attribute__((target("bmi2"))) bool ReadChunkBmi2(std::string_view chunk, size_t count,
                                                   const Columns& columns) {
  return ReadChunkInline(chunk, count, columns);
}

bool ReadChunk(std::string_view chunk, size_t count, const Columns& columns) {
  static const bool has_bmi2 = __builtin_cpu_supports("bmi2") != 0;
  return has_bmi2 ? ReadChunkBmi2(chunk, count, columns) : ReadChunkPlain(chunk, count, columns);
}
#else
bool ReadChunk(std::string_view chunk, size_t count, const Columns& columns) {
  return ReadChunkPlain(chunk, count, columns);
}
#endif

// Whether a chunk of this size can hold as many samples as its header says: checked before memory
// is taken for them.
bool IsPlausible(std::string_view chunk, size_t count) {
  if (chunk.size() < kHeaderBytes) return false;
  if (count == 0) return true;
  const size_t bytes = chunk.size() - kHeaderBytes;
  return bytes >= kFirstSampleBytesMin &&
         (count - 1) * kSampleBitsMin <= 8 * (bytes - kFirstSampleBytesMin);
}

absl::Status ToStatus(Outcome outcome, std::string_view chunk) {
  if (outcome == Outcome::kStop) return absl::OkStatus();
  return DataLoss("XOR chunk of ", chunk.size(), " bytes and ", XorSampleCount(chunk), " samples: ",
                  outcome == Outcome::kUnordered ? "a timestamp is not after the one before it"
                                                 : "its bits end before its samples");
}

}  // namespace

uint16_t XorSampleCount(std::string_view bytes) {
  return bytes.size() < kHeaderBytes ? uint16_t{0} : LoadBig<uint16_t>(bytes.data());
}

absl::Status XorResume(std::string_view bytes, XorState* state) {
  const uint16_t count = XorSampleCount(bytes);
  Position position;
  const Outcome outcome = IsPlausible(bytes, count) ? Walk(bytes, {count, kMaxTimestamp}, &position,
                                                           [](const Position&) {})
                                                    : Outcome::kMalformed;
  NARTHEX_RETURN_IF_ERROR(ToStatus(outcome, bytes));
  // Prometheus up to 2.4x leaves a zero byte behind samples that end with a byte.
  const size_t free_bits = 8 * bytes.size() - position.bit;
  if (count > 0 && (free_bits > 8 || (free_bits == 8 && bytes.back() != 0))) {
    return DataLoss("XOR chunk of ", bytes.size(), " bytes: its samples end at bit ", position.bit);
  }
  *state = XorState();
  if (count == 0) return absl::OkStatus();
  state->timestamp = position.timestamp;
  state->delta = static_cast<int64_t>(position.delta);
  state->value = std::bit_cast<double>(position.value);
  state->count = count;
  state->leading = static_cast<uint8_t>(64 - position.width - position.trailing);
  state->trailing = static_cast<uint8_t>(position.trailing);
  state->free_bits = static_cast<uint8_t>(free_bits);
  // Upstream goes on with the decoder's window, even where it is the one that no sample set.
  state->window = true;
  return absl::OkStatus();
}

absl::Status XorDecode(std::string_view bytes, size_t samples_max, Timestamp min_time,
                       Timestamp max_time, SampleBuffer* out) {
  const uint16_t count = XorSampleCount(bytes);
  if (!IsPlausible(bytes, count)) return ToStatus(Outcome::kMalformed, bytes);
  const size_t start = out->size();
  const size_t limit = std::min<size_t>(count, samples_max);
  out->Resize(start + limit);
  Timestamp* const timestamps = out->mutable_timestamps() + start;
  double* const values = out->mutable_values() + start;

  size_t taken = limit;
  if (limit == 0 || !ReadChunk(bytes, limit, {timestamps, values})) {
    taken = 0;
    Position position;
    const Outcome outcome = Walk(bytes, {limit, max_time}, &position, [&](const Position& at) {
      timestamps[at.count] = at.timestamp;
      values[at.count] = std::bit_cast<double>(at.value);
      taken = at.count + 1;
    });
    if (outcome != Outcome::kStop) {
      out->Resize(start);
      return ToStatus(outcome, bytes);
    }
  } else if (timestamps[taken - 1] > max_time) {
    taken = static_cast<size_t>(std::upper_bound(timestamps, timestamps + taken, max_time) -
                                timestamps);
  }
  // Those before the range are at the front.
  const size_t before =
      static_cast<size_t>(std::lower_bound(timestamps, timestamps + taken, min_time) - timestamps);
  if (before > 0) {
    std::move(timestamps + before, timestamps + taken, timestamps);
    std::move(values + before, values + taken, values);
  }
  out->Resize(start + taken - before);
  return absl::OkStatus();
}

}  // namespace narthex::chunkenc
