#include "lib/base/float_format.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

#include "lib/base/sample_text.h"

namespace narthex {
namespace {

// Longest fixed form: 309 digits before the point, or "0." and 324 + 17 after it.
constexpr size_t kBufferBytes = 400;

constexpr double kExactMax = 9007199254740992.0;  // 2^53: below it every integer is a double.

bool AppendSpecial(std::string* out, double value) {
  if (std::isnan(value)) {
    out->append("NaN");
    return true;
  }
  if (std::isinf(value)) {
    out->append(value > 0 ? "+Inf" : "-Inf");
    return true;
  }
  return false;
}

// Integers below 2^53 print as integers in 'f', which is much faster than the general way.
bool AppendSmallInteger(std::string* out, double value) {
  if (!(std::fabs(value) < kExactMax)) return false;
  const auto integer = static_cast<int64_t>(value);
  if (static_cast<double>(integer) != value || (integer == 0 && std::signbit(value))) return false;
  char buffer[24];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, integer);
  out->append(buffer, result.ptr);
  return true;
}

void AppendChars(std::string* out, double value, std::chars_format format) {
  char buffer[kBufferBytes];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  out->append(buffer, result.ptr);
}

}  // namespace

void AppendFloatF(std::string* out, double value) {
  if (AppendSpecial(out, value) || AppendSmallInteger(out, value)) return;
  if (std::fabs(value) < kExactMax) {
    AppendChars(out, value, std::chars_format::fixed);
    return;
  }
  // Beyond 2^53 to_chars prints the exact integer, Go the fewest digits and then zeros.
  std::string digits;
  AppendChars(&digits, value, std::chars_format::scientific);
  const size_t e = digits.find('e');
  size_t exponent = 0;
  std::from_chars(digits.data() + e + 2, digits.data() + digits.size(), exponent);
  size_t written = 0;
  for (size_t i = 0; i < e; ++i) {
    if (digits[i] == '.') continue;
    out->push_back(digits[i]);
    if (digits[i] != '-') ++written;
  }
  out->append(exponent + 1 - written, '0');
}

void AppendFloatE(std::string* out, double value) {
  if (AppendSpecial(out, value)) return;
  AppendChars(out, value, std::chars_format::scientific);
}

void AppendFloatG(std::string* out, double value) {
  if (AppendSpecial(out, value)) return;
  if (std::fabs(value) < 1e6 && AppendSmallInteger(out, value)) return;
  if (value == 0) {
    out->append(std::signbit(value) ? "-0" : "0");
    return;
  }
  char buffer[kBufferBytes];
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(result.ptr - buffer));
  const size_t e = text.rfind('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), result.ptr, exponent);
  if (exponent < -4 || exponent >= 6) {
    out->append(text);
  } else {
    AppendChars(out, value, std::chars_format::fixed);
  }
}

void AppendSampleValue(std::string* out, double value) {
  char buffer[kSampleValueBytesMax];
  out->append(buffer, WriteSampleValue(buffer, value));
}

std::string FormatFloat(double value) {
  std::string out;
  AppendFloatF(&out, value);
  return out;
}

std::string FormatFloatG(double value) {
  std::string out;
  AppendFloatG(&out, value);
  return out;
}

}  // namespace narthex
