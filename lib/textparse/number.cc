#include "lib/textparse/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "lib/base/strings.h"

namespace narthex::textparse {
namespace {

// Powers of ten that a double holds exactly.
constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int kExactPowerMax = 22;
// Up to here a whole number is a double exactly.
constexpr uint64_t kExactIntegerMax = uint64_t{1} << 53;
// This many digits fit in 64 bits.
constexpr int kDigitsMax = 19;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Of a valid number that is out of a double's range: whether it is too large rather than too small.
// REQUIRES: some digit of it is not 0.
bool IsTooLarge(std::string_view number) {
  const size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::string_view mantissa = number.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  // An exponent that is too long to be read decides alone; otherwise it moves the first digit's
  // place.
  const bool down = e + 1 < number.size() && number[e + 1] == '-';
  int64_t exponent = 0;
  if (e < number.size()) {
    const size_t digits = e + 1 + (number[e + 1] == '-' || number[e + 1] == '+' ? 1 : 0);
    if (!ParseInt64(number.substr(digits), &exponent)) return !down;
  }
  const int64_t place = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  return place + (down ? -exponent : exponent) > 0;
}

}  // namespace

const char* ParseDecimal(const char* from, const char* end, double* value) {
  const char* at = from;
  const bool negative = at < end && *at == '-';
  if (negative) ++at;
  const char* const first_digit = at;
  uint64_t digits = 0;
  while (at < end && IsDigit(*at)) digits = digits * 10 + static_cast<uint64_t>(*at++ - '0');
  int count = static_cast<int>(std::min<std::ptrdiff_t>(at - first_digit, 100));
  if (count == 0) return nullptr;
  int power = 0;
  if (at < end && *at == '.') {
    const char* const point = at++;
    while (at < end && IsDigit(*at)) digits = digits * 10 + static_cast<uint64_t>(*at++ - '0');
    const int decimals = static_cast<int>(std::min<std::ptrdiff_t>(at - point - 1, 100));
    power = -decimals;
    count += decimals;
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    ++at;
    const bool down = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) ++at;
    if (at == end || !IsDigit(*at)) return nullptr;
    int exponent = 0;
    while (at < end && IsDigit(*at) && exponent < 1000) exponent = exponent * 10 + (*at++ - '0');
    power += down ? -exponent : exponent;
  }
  // Of exact operands a product or quotient is rounded once, which is what a correct reader does.
  if (count <= kDigitsMax && digits <= kExactIntegerMax && power >= -kExactPowerMax &&
      power <= kExactPowerMax) {
    double magnitude = static_cast<double>(digits);
    if (power < 0) {
      magnitude /= kPowersOfTen[-power];
    } else if (power > 0) {
      magnitude *= kPowersOfTen[power];
    }
    *value = negative ? -magnitude : magnitude;
    return at;
  }
  const auto result = std::from_chars(from, at, *value);
  return result.ec == std::errc() && result.ptr == at ? at : nullptr;
}

absl::Status ParseValue(std::string_view text, double* value) {
  if (text.find_first_of("pP_") != std::string_view::npos) {
    return InvalidArgument("unsupported character in float");
  }
  std::string_view digits = text;
  const bool signed_text = !digits.empty() && (digits[0] == '+' || digits[0] == '-');
  const bool negative = signed_text && digits[0] == '-';
  if (signed_text) digits.remove_prefix(1);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!signed_text && EqualsIgnoreCaseAscii(digits, "nan")) {
    *value = std::numeric_limits<double>::quiet_NaN();
    return absl::OkStatus();
  }
  if (EqualsIgnoreCaseAscii(digits, "inf") || EqualsIgnoreCaseAscii(digits, "infinity")) {
    *value = negative ? -kInfinity : kInfinity;
    return absl::OkStatus();
  }
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  // from_chars takes signs, "inf" and "nan" of its own, which stand behind our sign or were seen
  // above.
  const bool starts_as_number = !digits.empty() && (IsDigit(digits[0]) || digits[0] == '.');
  if (!starts_as_number || result.ec == std::errc::invalid_argument ||
      result.ptr != digits.data() + digits.size()) {
    return InvalidArgument("strconv.ParseFloat: parsing ", Quote(text), ": invalid syntax");
  }
  if (result.ec == std::errc::result_out_of_range || std::isinf(*value)) {
    if (IsTooLarge(digits)) {
      return InvalidArgument("strconv.ParseFloat: parsing ", Quote(text), ": value out of range");
    }
    *value = 0;
  }
  if (negative) *value = -*value;
  return absl::OkStatus();
}

}  // namespace narthex::textparse
