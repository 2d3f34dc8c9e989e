// The XOR2 chunk of format.md: u16 count, u8 start timestamp header, then
//   sample 0:   varint timestamp, 64 bits of value, varint start timestamp if there is one
//   sample 1:   uvarint delta of timestamps, value
//   from 2 on:  a prefix for the delta of delta and whether the value changed, value
// and behind each sample from the first change on a start timestamp.
#include "lib/chunkenc/xor2_chunk.h"

#include <algorithm>
#include <bit>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"

namespace narthex::chunkenc {
namespace {

constexpr size_t kHeaderBytes = 3;
constexpr size_t kFirstSampleBytesMin = 1 + 8;

// Unlike elsewhere these are two's complement: n bits hold -2^(n-1) to 2^(n-1) - 1.
bool FitsIn(int64_t value, unsigned bits) {
  const int64_t limit = int64_t{1} << (bits - 1);
  return value >= -limit && value < limit;
}

uint64_t LowBits(int64_t value, unsigned bits) {
  return static_cast<uint64_t>(value) & ((uint64_t{1} << bits) - 1);
}

// A change that is not 0: `reuse` and the bits of the window, or `anew`, five bits of leading
// zeros, six of width and the bits of that window.
void WriteChange(BitWriter* writer, XorField* field, uint64_t change, uint64_t reuse,
                 unsigned reuse_bits, uint64_t anew, unsigned anew_bits) {
  const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(change)), 31u);
  const unsigned trailing = static_cast<unsigned>(std::countr_zero(change));
  field->bits ^= change;
  if (field->leading != XorField::kNoWindow && leading >= field->leading &&
      trailing >= field->trailing) {
    writer->Write(reuse, reuse_bits);
    writer->Write(change >> field->trailing, 64u - field->leading - field->trailing);
    return;
  }
  field->leading = static_cast<uint8_t>(leading);
  field->trailing = static_cast<uint8_t>(trailing);
  const unsigned width = 64 - leading - trailing;
  writer->Write(anew << 11 | uint64_t{leading} << 6 | (width & 63), anew_bits + 11);
  writer->Write(change >> trailing, width);
}

// A value of which nothing is known yet.
void WriteValue(BitWriter* writer, XorField* field, double value) {
  const uint64_t change = std::bit_cast<uint64_t>(value) ^ field->bits;
  if (IsStale(value)) return writer->Write(0b111, 3);
  if (change == 0) return writer->Write(0, 1);
  WriteChange(writer, field, change, 0b10, 2, 0b110, 3);
}

void WriteJoint(BitWriter* writer, XorField* field, int64_t change_of_delta, double value) {
  if (change_of_delta == 0) {
    const uint64_t change = std::bit_cast<uint64_t>(value) ^ field->bits;
    if (IsStale(value)) return writer->Write(0b11111, 5);
    if (change == 0) return writer->Write(0, 1);
    writer->Write(0b10, 2);
    return WriteChange(writer, field, change, 0b0, 1, 0b1, 1);
  }
  if (FitsIn(change_of_delta, 13)) {
    writer->Write(uint64_t{0b110} << 13 | LowBits(change_of_delta, 13), 3 + 13);
  } else if (FitsIn(change_of_delta, 20)) {
    writer->Write(uint64_t{0b1110} << 20 | LowBits(change_of_delta, 20), 4 + 20);
  } else {
    writer->Write(0b11110, 5);
    writer->Write(static_cast<uint64_t>(change_of_delta), 64);
  }
  WriteValue(writer, field, value);
}

}  // namespace

void Xor2Append(Xor2State* state, uint8_t* bytes, size_t* size, Timestamp timestamp, double value,
                Timestamp start) {
  NARTHEX_DCHECK(state->count < UINT16_MAX);
  if (state->free_bits == 8) {  // A resumed chunk with an unused byte behind it.
    --*size;
    state->free_bits = 0;
  }
  const int64_t delta = WrappingDifference(timestamp, state->timestamp);
  if (state->count == 0) {
    *size = kHeaderBytes;
    *size += EncodeUvarint(bytes + *size, ZigZag(timestamp));
    StoreBig(bytes + *size, std::bit_cast<uint64_t>(value));
    *size += sizeof value;
    state->free_bits = 0;
    // A marker is no base for the values to come.
    if (!IsStale(value)) state->value.Set(value);
  } else if (state->count == 1) {
    *size += EncodeUvarint(bytes + *size, static_cast<uint64_t>(delta));
  }
  BitWriter writer(bytes + *size, state->free_bits);
  if (state->count == 1) {
    WriteValue(&writer, &state->value, value);
  } else if (state->count > 1) {
    WriteJoint(&writer, &state->value, WrappingDifference(delta, state->delta), value);
  }
  state->starts.Write(&writer, state->count, timestamp, state->timestamp, start);
  *size = static_cast<size_t>(writer.Finish(&state->free_bits) - bytes);
  if (state->count > 0) state->delta = delta;
  state->timestamp = timestamp;
  ++state->count;
  StoreBig(bytes, state->count);
  bytes[2] = state->starts.header();
}

namespace {

// Walks the samples of a chunk.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes), reader_(bytes) {
    if (bytes.size() < kHeaderBytes) {
      Fail("no header");
      return;
    }
    samples_ = LoadBig<uint16_t>(bytes.data());
    state_.starts.SetHeader(static_cast<uint8_t>(bytes[2]));
    reader_.Skip(8 * kHeaderBytes);
    // Behind the first each takes a bit at least.
    const size_t bits = reader_.remaining();
    if (samples_ > 0 && (bits < 8 * kFirstSampleBytesMin ||
                         samples_ - size_t{1} > bits - 8 * kFirstSampleBytesMin)) {
      Fail("more samples than bits");
    }
  }

  bool Next() {
    if (!status_.ok() || state_.count == samples_) return false;
    const Timestamp previous = state_.timestamp;
    if (!ReadSample()) return Fail("its bits end, or a window is wider than a value");
    if (state_.count > 0 && state_.timestamp <= previous) {
      return Fail("its timestamp is not after the one before it");
    }
    if (!state_.starts.Read(&reader_, state_.count, state_.timestamp, previous)) {
      return Fail("its bits end within its start timestamp");
    }
    ++state_.count;
    return true;
  }

  const absl::Status& status() const { return status_; }
  uint16_t samples() const { return samples_; }
  double value() const { return value_; }
  const Xor2State& state() const { return state_; }
  size_t bit_position() const { return reader_.position(); }

 private:
  bool Fail(std::string_view what) {
    status_ = DataLoss("XOR2 chunk of ", bytes_.size(), " bytes and ", samples_,
                       " samples, at sample ", state_.count, ": ", what);
    return false;
  }

  bool ReadSample() {
    if (state_.count == 0) return ReadFirst();
    if (state_.count == 1) {
      uint64_t delta;
      if (!ReadBytes(&delta)) return false;
      state_.delta = static_cast<int64_t>(delta);
      Advance();
      return ReadValue();
    }
    const unsigned ones = std::min(static_cast<unsigned>(std::countl_one(reader_.Peek())), 5u);
    if (!reader_.Skip(ones == 5 ? 5 : ones + 1)) return false;
    switch (ones) {
      case 0:
        value_ = state_.value.value();
        break;
      case 1:
        if (!ReadChange()) return false;
        break;
      case 2:
      case 3:
      case 4:
        return ReadChangeOfDelta(ones == 2 ? 13 : ones == 3 ? 20 : 64) && ReadValue();
      default:
        value_ = StaleNan();
        break;
    }
    Advance();
    return true;
  }

  bool ReadFirst() {
    uint64_t zigzag;
    uint64_t bits;
    if (!ReadBytes(&zigzag) || !reader_.Read(64, &bits)) return false;
    state_.timestamp = UnZigZag(zigzag);
    value_ = std::bit_cast<double>(bits);
    if (!IsStale(value_)) state_.value.Set(value_);
    return true;
  }

  // A LEB128 number; it lies on bytes.
  bool ReadBytes(uint64_t* value) {
    ByteReader reader(bytes_.substr(reader_.position() / 8));
    return reader.ReadUvarint(value) && reader_.Skip(8 * reader.offset());
  }

  void Advance() { state_.timestamp = WrappingSum(state_.timestamp, state_.delta); }

  bool ReadChangeOfDelta(unsigned width) {
    uint64_t raw;
    if (!reader_.Read(width, &raw)) return false;
    if (width < 64 && raw >> (width - 1) != 0) raw -= uint64_t{1} << width;
    state_.delta = WrappingSum(state_.delta, static_cast<int64_t>(raw));
    Advance();
    return true;
  }

  bool ReadValue() {
    const unsigned ones = std::min(static_cast<unsigned>(std::countl_one(reader_.Peek())), 3u);
    if (!reader_.Skip(ones == 3 ? 3 : ones + 1)) return false;
    switch (ones) {
      case 0:
        value_ = state_.value.value();
        return true;
      case 1:
        return ReadWindow();
      case 2:
        return ReadNewWindow();
      default:
        value_ = StaleNan();
        return true;
    }
  }

  // A change that is not 0.
  bool ReadChange() {
    uint64_t bit;
    if (!reader_.Read(1, &bit)) return false;
    return bit == 0 ? ReadWindow() : ReadNewWindow();
  }

  bool ReadNewWindow() {
    uint64_t window;
    if (!reader_.Read(5 + 6, &window)) return false;
    const unsigned leading = static_cast<unsigned>(window >> 6);
    const unsigned width = (window & 63) == 0 ? 64 : static_cast<unsigned>(window & 63);
    if (leading + width > 64) return false;
    state_.value.leading = static_cast<uint8_t>(leading);
    state_.value.trailing = static_cast<uint8_t>(64 - leading - width);
    return ReadWindow();
  }

  bool ReadWindow() {
    XorField& field = state_.value;
    if (field.leading == XorField::kNoWindow) field.leading = 0;  // All 64 bits.
    uint64_t change;
    if (!reader_.Read(64u - field.leading - field.trailing, &change)) return false;
    field.bits ^= change << field.trailing;
    value_ = field.value();
    return true;
  }

  const std::string_view bytes_;
  BitReader reader_;
  uint16_t samples_ = 0;
  Xor2State state_;
  double value_ = 0;
  absl::Status status_;
};

}  // namespace

absl::Status Xor2Resume(std::string_view bytes, Xor2State* state) {
  Reader reader(bytes);
  while (reader.Next()) {
  }
  if (!reader.status().ok()) return reader.status();
  const size_t free_bits = 8 * bytes.size() - reader.bit_position();
  if (reader.samples() > 0 && (free_bits > 8 || (free_bits == 8 && bytes.back() != 0))) {
    return DataLoss("XOR2 chunk of ", bytes.size(), " bytes: its samples end at bit ",
                    reader.bit_position());
  }
  *state = reader.state();
  if (reader.samples() == 0) return absl::OkStatus();
  state->free_bits = static_cast<uint8_t>(free_bits);
  // Who goes on begins with the reader's window.
  if (state->value.leading == XorField::kNoWindow) state->value.leading = 0;
  return absl::OkStatus();
}

absl::Status Xor2Decode(std::string_view bytes, size_t samples_max, Timestamp min_time,
                        Timestamp max_time, SampleBuffer* out) {
  Reader reader(bytes);
  const size_t start = out->size();
  for (size_t i = 0; i < samples_max && reader.Next(); ++i) {
    const Xor2State& at = reader.state();
    if (at.timestamp > max_time) break;
    if (at.timestamp < min_time) continue;
    out->Append(at.timestamp, reader.value());
    out->SetStartTimestamp(at.starts.start());
  }
  if (!reader.status().ok()) out->Resize(start);
  return reader.status();
}

}  // namespace narthex::chunkenc
