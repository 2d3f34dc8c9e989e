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
#include "absl/base/optimization.h"
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
//
// What bounds them is the two units of a processor that shift and branch. So a field is shifted as
// little as can be, a window is cut out with a mask, and one branch asks for two ends.
struct Position {
  // The window starts as all 64 bits: an appender that went on with a chunk in which no window was
  // written uses that one. The mask has the bits of the window, in their place in a value.
  void SetWindow(unsigned leading, unsigned bits) {
    width = bits;
    trailing = 64 - leading - bits;
    mask = ~uint64_t{0} >> (64 - bits) << trailing;
  }
  // `bits` are the last `width` bits that were read; those above them are anything.
  void Change(uint64_t bits) { value ^= bits << trailing & mask; }

  int64_t bit = 0;   // Before the end of the bits, and so negative until that is reached.
  size_t count = 0;  // Samples before it.
  Timestamp timestamp = 0;
  uint64_t delta = 0;
  uint64_t value = 0;
  unsigned width = 64;
  unsigned trailing = 0;
  uint64_t mask = ~uint64_t{0};
};

struct Limits {
  size_t count;        // Samples.
  Timestamp max_time;  // Of the last sample wanted.
};

enum class Outcome { kMore, kStop, kMalformed, kUnordered };

// How many bits of a load of eight bytes are surely those that were asked for.
constexpr unsigned kHeadBits = 57;

// The bits of a chunk as far as those of any sample, and the eight bytes that are loaded, lie
// within it. Positions are relative to `end`.
struct FreeBits {
  // The kHeadBits bits from bit `position` on, at the top. REQUIRES: eight bytes are readable
  // there.
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t Head(int64_t position) const {
    return LoadBig<uint64_t>(end + (position >> 3)) << (position & 7);
  }
  // The kHeadBits bits before bit `position`, at the bottom; others are above them. REQUIRES: eight
  // bytes are readable before it.
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t Before(int64_t position) const {
    return LoadBig<uint64_t>(end + ((position + 7) >> 3) - 8) >> (-position & 7);
  }
  // All 64 of them. REQUIRES: nine bytes are readable before it.
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t AllBefore(int64_t position) const {
    const uint8_t* const from = end + ((position + 7) >> 3) - 8;
    const unsigned skip = -position & 7;
    return LoadBig<uint64_t>(from) >> skip | static_cast<uint64_t>(from[-1]) << (63 - skip) << 1;
  }

  const uint8_t* end;
};

// Those of the last samples: no byte behind the chunk is read, and zeros take their place. Behind
// the end of the chunk they may be anything: that they were asked for shows in the position.
// REQUIRES: the chunk has nine bytes at least.
struct LastBits {
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t Head(int64_t position) const {
    const int64_t byte = std::min<int64_t>(position >> 3, -8);
    return LoadBig<uint64_t>(end + byte) << ((position - 8 * byte) & 63);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t Before(int64_t position) const {
    return FreeBits{end}.Before(std::min<int64_t>(position, 0));
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t AllBefore(int64_t position) const {
    return FreeBits{end}.AllBefore(std::min<int64_t>(position, 0));
  }

  const uint8_t* end;
};

// The signed field of `bits` bits at the top of `head`: one is subtracted so that the range becomes
// that of two's complement, which a shift extends without a branch on the sign.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline uint64_t SignedField(uint64_t head, unsigned bits) {
  const uint64_t one = uint64_t{1} << (64 - bits);
  return static_cast<uint64_t>(static_cast<int64_t>(head - one) >> (64 - bits)) + 1;
}

// Reads the delta of delta whose bits are the first of `head`, and leaves at least the next 13 bits
// in it. The widths are constants in branches of their own: a branch is predicted, while a width
// that is computed would hold up all that follows.
template <typename Bits>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ReadDeltaOfDelta(const Bits& bits, uint64_t* head,
                                                          Position* position) {
  const auto take = [&](unsigned prefix, unsigned width) ABSL_ATTRIBUTE_ALWAYS_INLINE {
    position->delta += SignedField(*head << prefix, width);
    position->bit += prefix + width;
    *head <<= prefix + width;
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
    position->bit += 4 + 64;
    position->delta += bits.AllBefore(position->bit);
    *head = bits.Head(position->bit);
  }
}

// Reads the bits of the window in use. They follow the first `kBehind` bits of `head`, which was
// loaded as a whole.
template <unsigned kBehind, typename Bits>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ReadWindow(const Bits& bits, uint64_t head,
                                                    Position* position) {
  position->bit += position->width;
  // The window stays for many samples, so that these branches are predicted.
  if (ABSL_PREDICT_TRUE(position->width <= kHeadBits - kBehind)) {
    position->Change(head >> (64 - kBehind - position->width));
  } else if (position->width <= kHeadBits) {
    position->Change(bits.Before(position->bit));
  } else {
    position->Change(bits.AllBefore(position->bit));
  }
}

// Reads a window, whose five and six bits are at the top of `head`, and its bits. False when it is
// wider than a value.
template <typename Bits>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadNewWindow(const Bits& bits, uint64_t head,
                                                       Position* position) {
  const unsigned leading = static_cast<unsigned>(head >> (64 - 5));
  unsigned width = static_cast<unsigned>(head >> (64 - 5 - 6)) & 63;
  if (width == 0) width = 64;
  if (leading + width > 64) return false;
  position->SetWindow(leading, width);
  position->bit += 5 + 6 + width;
  position->Change(bits.AllBefore(position->bit));
  return true;
}

// Reads the value whose first 13 bits are those of `head`; false when its window is wider than a
// value.
template <typename Bits>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadValue(const Bits& bits, uint64_t head,
                                                   Position* position) {
  if (head >> 63 == 0) {
    position->bit += 1;
    return true;
  }
  position->bit += 2;
  if (head << 1 >> 63 != 0) return ReadNewWindow(bits, head << 2, position);
  ReadWindow<kHeadBits>(bits, 0, position);
  return true;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Outcome AddDelta(const Limits& limits, Position* position) {
  const uint64_t next = static_cast<uint64_t>(position->timestamp) + position->delta;
  if (static_cast<Timestamp>(next) <= position->timestamp) return Outcome::kUnordered;
  if (static_cast<Timestamp>(next) > limits.max_time) return Outcome::kStop;
  position->timestamp = static_cast<Timestamp>(next);
  return Outcome::kMore;
}

// Reads samples, from the second on, as long as one begins before the end.
template <typename Bits, typename Put>
Outcome ReadSamples(const Bits& bits, const Limits& limits, Position* position, Put put) {
  while (position->count < limits.count && position->bit < 0) {
    uint64_t head = bits.Head(position->bit);
    // The delta of the second sample was read with its bytes.
    if (position->count > 1) ReadDeltaOfDelta(bits, &head, position);
    const Outcome outcome = AddDelta(limits, position);
    if (outcome != Outcome::kMore) return outcome;
    if (!ReadValue(bits, head, position)) return Outcome::kMalformed;
    put(*position);
    ++position->count;
  }
  return position->count < limits.count ? Outcome::kMore : Outcome::kStop;
}

// Calls `read` with bits, to read samples as long as one begins before their end: first without a
// look at the end of the chunk, as far as that is allowed, then with it. Positions are relative to
// the end of the chunk before and behind it.
template <typename Read>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadInTwoParts(std::string_view chunk, Position* position,
                                                        Read read) {
  // The bits of a sample, and the bytes of a load at the last of them.
  constexpr int64_t kLastBits = 8 * (kSampleBitsMax / 8 + 1 + 8);
  const uint8_t* const end = reinterpret_cast<const uint8_t*>(chunk.data()) + chunk.size();
  if (position->bit < -kLastBits) {
    position->bit += kLastBits;
    const bool more = read(FreeBits{end - kLastBits / 8});
    position->bit -= kLastBits;
    if (!more) return false;
  }
  return read(LastBits{end});
}

// Gives the samples of a chunk one after another to `put`, within the limits; `position` is where
// it ended, its bit relative to the end of the chunk. kStop is a sound end. REQUIRES: the chunk is
// plausible.
template <typename Put>
Outcome Walk(std::string_view chunk, const Limits& limits, Position* position, Put put) {
  if (limits.count == 0) return Outcome::kStop;
  ByteReader reader(chunk.substr(kHeaderBytes));
  Position& at = *position;
  if (!reader.ReadVarint(&at.timestamp) || !reader.ReadBig(&at.value)) return Outcome::kMalformed;
  at.bit = -8 * static_cast<int64_t>(reader.remaining());
  if (at.timestamp > limits.max_time) return Outcome::kStop;
  put(at);
  at.count = 1;
  if (limits.count == 1) return Outcome::kStop;
  if (!reader.ReadUvarint(&at.delta)) return Outcome::kMalformed;
  at.bit = -8 * static_cast<int64_t>(reader.remaining());

  Outcome outcome = Outcome::kMore;
  ReadInTwoParts(chunk, &at, [&](const auto& bits) {
    outcome = ReadSamples(bits, limits, &at, put);
    return outcome == Outcome::kMore;
  });
  // kMore: the bits have ended before the samples.
  return outcome == Outcome::kMore || at.bit > 0 ? Outcome::kMalformed : outcome;
}

// The columns that samples are written to.
struct Columns {
  Timestamp* timestamps;
  double* values;
};

// `10`, 14 bits, and `10`: what most samples of scrapes that jitter begin with.
constexpr uint64_t kJitterMask = uint64_t{0x30003} << 46;
constexpr uint64_t kJitterBits = uint64_t{0x20002} << 46;

// As many deltas of this many bits as a chunk can have stay below 2^63.
constexpr unsigned kDeltaBitsMax = 47;

// Writes samples, from the second on, to the columns as long as one begins before the end and fewer
// than `count` are there. It looks at nothing else: false where something was wrong or odd, and
// whoever calls it then reads the chunk step by step.
template <typename Bits>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadColumns(const Bits& bits, size_t count,
                                                     const Columns& columns, Position* position) {
  Position at = *position;
  uint64_t timestamp = static_cast<uint64_t>(at.timestamp);
  uint64_t deltas = at.delta - 1;  // All of them less one, joined by OR.
  Timestamp* const timestamps = columns.timestamps + count;
  double* const values = columns.values + count;
  int64_t index = static_cast<int64_t>(at.count) - static_cast<int64_t>(count);
  if (at.count == 1 && (at.bit & index) < 0) {
    // The delta of the second sample was read with its bytes.
    timestamp += at.delta;
    if (!ReadValue(bits, bits.Head(at.bit), &at)) return false;
    timestamps[index] = static_cast<Timestamp>(timestamp);
    values[index] = std::bit_cast<double>(at.value);
    ++index;
  }
  while ((at.bit & index) < 0) {
    uint64_t head = bits.Head(at.bit);
    if (ABSL_PREDICT_FALSE(head >> 63 == 0)) {
      if (head >> 62 == 0) {
        // A row of `00`: a series that stands still. Four are written at once where there is room,
        // more than it has: how long a row is cannot be predicted.
        const uint64_t behind_head = uint64_t{1} << (63 - kHeadBits);
        int64_t row = std::countl_zero(head | behind_head) / 2;
        row = std::min(row, -index);
        at.bit += 2 * row;
        const double value = std::bit_cast<double>(at.value);
        const int64_t next = index + row;
        for (; index < next && index <= -4; index += 4) {
          for (int i = 0; i < 4; ++i) {
            timestamp += at.delta;
            timestamps[index + i] = static_cast<Timestamp>(timestamp);
            values[index + i] = value;
          }
        }
        for (; index < next; ++index) {
          timestamp += at.delta;
          timestamps[index] = static_cast<Timestamp>(timestamp);
          values[index] = value;
        }
        // What was written too much.
        timestamp -= static_cast<uint64_t>(index - next) * at.delta;
        index = next;
        continue;
      }
      timestamp += at.delta;
      at.bit += 3;
      if (head >> 61 == 0b010) {
        ReadWindow<3>(bits, head, &at);
      } else if (!ReadNewWindow(bits, head << 3, &at)) {
        return false;
      }
    } else if (ABSL_PREDICT_TRUE((head & kJitterMask) == kJitterBits)) {
      at.delta += SignedField(head << 2, 14);
      timestamp += at.delta;
      deltas |= at.delta - 1;
      at.bit += 2 + 14 + 2;
      ReadWindow<2 + 14 + 2>(bits, head, &at);
    } else {
      ReadDeltaOfDelta(bits, &head, &at);
      timestamp += at.delta;
      deltas |= at.delta - 1;
      if (!ReadValue(bits, head, &at)) return false;
    }
    timestamps[index] = static_cast<Timestamp>(timestamp);
    values[index] = std::bit_cast<double>(at.value);
    ++index;
  }
  at.count = count - static_cast<size_t>(-index);
  at.timestamp = static_cast<Timestamp>(timestamp);
  // A sum that has wrapped is below what it began with.
  if (deltas >> kDeltaBitsMax != 0 || at.timestamp < position->timestamp) return false;
  *position = at;
  return true;
}

// Writes the first `count` samples of a chunk to the columns at once. False where that cannot be
// done, or where the chunk is not sound; the columns are then void. REQUIRES: count > 0, and the
// chunk is plausible.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadChunkInline(std::string_view chunk, size_t count,
                                                         const Columns& columns) {
  ByteReader reader(chunk.substr(kHeaderBytes));
  Position at;
  if (!reader.ReadVarint(&at.timestamp) || !reader.ReadBig(&at.value)) return false;
  columns.timestamps[0] = at.timestamp;
  columns.values[0] = std::bit_cast<double>(at.value);
  if (count == 1) return true;
  if (!reader.ReadUvarint(&at.delta)) return false;
  at.bit = -8 * static_cast<int64_t>(reader.remaining());
  at.count = 1;
  return ReadInTwoParts(chunk, &at,
                        [&](const auto& bits) ABSL_ATTRIBUTE_ALWAYS_INLINE {
                          return ReadColumns(bits, count, columns, &at);
                        }) &&
         at.count == count && at.bit <= 0;
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
  const int64_t free_bits = -position.bit;
  if (count > 0 && (free_bits > 8 || (free_bits == 8 && bytes.back() != 0))) {
    return DataLoss("XOR chunk of ", bytes.size(), " bytes: its samples end at bit ",
                    static_cast<int64_t>(8 * bytes.size()) - free_bits);
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
  if (taken > 0 && timestamps[0] < min_time) {
    // Those before the range are at the front.
    const size_t before = static_cast<size_t>(
        std::lower_bound(timestamps, timestamps + taken, min_time) - timestamps);
    std::move(timestamps + before, timestamps + taken, timestamps);
    std::move(values + before, values + taken, values);
    taken -= before;
  }
  if (taken < limit) out->Resize(start + taken);
  return absl::OkStatus();
}

}  // namespace narthex::chunkenc
