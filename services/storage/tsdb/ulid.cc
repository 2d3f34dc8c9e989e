#include "services/storage/tsdb/ulid.h"

#include <algorithm>
#include <random>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// -1 for what is no digit.
constexpr std::array<int8_t, 256> MakeDigitValues() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<uint8_t>(kDigits[i])] = static_cast<int8_t>(i);
  }
  return values;
}
constexpr std::array<int8_t, 256> kDigitValues = MakeDigitValues();

}  // namespace

Ulid Ulid::Make(Timestamp time, std::span<const uint8_t, kEntropySize> entropy) {
  NARTHEX_CHECK(time >= 0 && time < (Timestamp{1} << 48));
  Ulid ulid;
  for (size_t i = 0; i < 6; ++i) {
    ulid.bytes_[i] = static_cast<uint8_t>(time >> (8 * (5 - i)));
  }
  std::copy(entropy.begin(), entropy.end(), ulid.bytes_.begin() + 6);
  return ulid;
}

Ulid Ulid::New(Timestamp time) {
  // One device a call: it is asked a few times an hour.
  std::random_device device;
  std::array<uint8_t, kEntropySize> entropy;
  for (uint8_t& byte : entropy) byte = static_cast<uint8_t>(device());
  return Make(std::clamp(time, Timestamp{0}, (Timestamp{1} << 48) - 1), entropy);
}

std::optional<Ulid> Ulid::Parse(std::string_view text) {
  // 26 digits of 5 bits are 130: the first may only be 0 to 7.
  if (text.size() != kTextSize || text[0] > '7') return std::nullopt;
  Ulid ulid;
  uint32_t bits = 0;
  int bits_held = -2;  // The two bits that do not exist.
  size_t next = 0;
  for (const char c : text) {
    const int8_t digit = kDigitValues[static_cast<uint8_t>(c)];
    if (digit < 0) return std::nullopt;
    bits = (bits << 5) | static_cast<uint32_t>(digit);
    bits_held += 5;
    if (bits_held >= 8) {
      bits_held -= 8;
      ulid.bytes_[next++] = static_cast<uint8_t>(bits >> bits_held);
    }
  }
  return ulid;
}

Timestamp Ulid::time() const {
  Timestamp time = 0;
  for (size_t i = 0; i < 6; ++i) time = (time << 8) | bytes_[i];
  return time;
}

std::string Ulid::ToString() const {
  std::string text;
  text.reserve(kTextSize);
  uint32_t bits = 0;
  int bits_held = 2;  // Two zeros in front make 130.
  for (const uint8_t byte : bytes_) {
    bits = (bits << 8) | byte;
    bits_held += 8;
    while (bits_held >= 5) {
      bits_held -= 5;
      text.push_back(kDigits[(bits >> bits_held) & 31]);
    }
  }
  return text;
}

}  // namespace narthex::tsdb
