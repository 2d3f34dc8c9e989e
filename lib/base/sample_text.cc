#include "lib/base/sample_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "lib/base/float_format.h"

namespace narthex {
namespace {

constexpr double kExactMax = 9007199254740992.0;  // 2^53: below it every integer is a double.

// Numbers with up to three decimals, as people and programs measure them, print as an integer of
// thousandths: at most 15 digits, so there is no shorter text that reads back as the same number.
// REQUIRES: 0.001 <= |value| < kThousandthsMax.
constexpr double kThousandthsMax = 1e12;
char* WriteDecimals(char* out, double value) {
  const double thousandths = std::nearbyint(std::fabs(value) * 1000);
  if (std::copysign(thousandths / 1000, value) != value) {
    return std::to_chars(out, out + kSampleValueBytesMax, value, std::chars_format::fixed).ptr;
  }
  const auto number = static_cast<uint64_t>(thousandths);
  if (std::signbit(value)) *out++ = '-';
  out = std::to_chars(out, out + 20, number / 1000).ptr;
  const auto fraction = static_cast<unsigned>(number % 1000);
  const char digits[3] = {static_cast<char>('0' + fraction / 100),
                          static_cast<char>('0' + fraction / 10 % 10),
                          static_cast<char>('0' + fraction % 10)};
  const int count = digits[2] != '0' ? 3 : digits[1] != '0' ? 2 : digits[0] != '0' ? 1 : 0;
  if (count > 0) *out++ = '.';
  for (int i = 0; i < count; ++i) *out++ = digits[i];
  return out;
}

}  // namespace

char* WriteSampleValue(char* out, double value) {
  char* const end = out + kSampleValueBytesMax;
  const double magnitude = std::fabs(value);
  if (magnitude < kExactMax) {
    const auto integer = static_cast<int64_t>(value);
    if (static_cast<double>(integer) == value && (integer != 0 || !std::signbit(value))) {
      return std::to_chars(out, end, integer).ptr;
    }
    if (magnitude < kThousandthsMax && magnitude >= 0.001) return WriteDecimals(out, value);
    const bool tiny = magnitude < 1e-6 && value != 0;
    return std::to_chars(out, end, value,
                         tiny ? std::chars_format::scientific : std::chars_format::fixed)
        .ptr;
  }
  if (magnitude >= 1e21 && !std::isinf(value)) {
    return std::to_chars(out, end, value, std::chars_format::scientific).ptr;
  }
  std::string text;  // NaN has come here as well.
  AppendFloatF(&text, value);
  return out + text.copy(out, kSampleValueBytesMax);
}

}  // namespace narthex
