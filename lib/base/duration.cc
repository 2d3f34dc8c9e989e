#include "lib/base/duration.h"

#include <array>
#include <cstdint>
#include <limits>

#include "lib/base/strings.h"

namespace narthex {
namespace {

constexpr int64_t kMillisecond = 1;
constexpr int64_t kSecond = 1000 * kMillisecond;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kWeek = 7 * kDay;
constexpr int64_t kYear = 365 * kDay;
// Go keeps durations in int64 nanoseconds.
constexpr int64_t kMillisMax = std::numeric_limits<int64_t>::max() / 1000000;

struct Unit {
  std::string_view name;
  int64_t milliseconds;
};
constexpr std::array<Unit, 7> kUnits = {{{"y", kYear},
                                         {"w", kWeek},
                                         {"d", kDay},
                                         {"h", kHour},
                                         {"m", kMinute},
                                         {"s", kSecond},
                                         {"ms", kMillisecond}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads digits at the front of *text; false when there are none or they overflow 10^18.
bool TakeDigits(std::string_view* text, int64_t* value, size_t* digits) {
  *value = 0;
  *digits = 0;
  while (*digits < text->size() && IsDigit((*text)[*digits])) {
    if (*value > int64_t{100000000000000000}) return false;
    *value = *value * 10 + ((*text)[*digits] - '0');
    ++*digits;
  }
  text->remove_prefix(*digits);
  return true;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  if (text == "0") return absl::ZeroDuration();
  if (text.empty()) return InvalidArgument("empty duration string");
  const absl::Status malformed = InvalidArgument("not a valid duration string: ", Quote(text));
  const absl::Status overflow = InvalidArgument("duration out of range");
  std::string_view rest = text;
  int64_t total = 0;
  size_t next_unit = 0;  // Units go from long to short, each at most once.
  while (!rest.empty()) {
    int64_t count = 0;
    size_t digits = 0;
    if (!TakeDigits(&rest, &count, &digits)) return overflow;
    if (digits == 0) return malformed;
    size_t length = 0;
    while (length < rest.size() && !IsDigit(rest[length])) ++length;
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    size_t unit = next_unit;
    while (unit < kUnits.size() && kUnits[unit].name != name) ++unit;
    if (unit == kUnits.size()) return malformed;
    next_unit = unit + 1;
    if (count > (kMillisMax - total) / kUnits[unit].milliseconds) return overflow;
    total += count * kUnits[unit].milliseconds;
  }
  return absl::Milliseconds(total);
}

std::string FormatPrometheusDuration(absl::Duration duration) {
  int64_t left = absl::ToInt64Milliseconds(duration);
  if (left == 0) return "0s";
  std::string out;
  if (left < 0) {
    out += '-';
    left = -left;
  }
  for (const Unit& unit : kUnits) {
    const bool exact = unit.name == "y" || unit.name == "w";
    if (exact && left % unit.milliseconds != 0) continue;
    if (left >= unit.milliseconds) {
      StrAppend(&out, left / unit.milliseconds, unit.name);
      left %= unit.milliseconds;
    }
  }
  return out;
}

absl::StatusOr<absl::Duration> ParseGoDuration(std::string_view text) {
  const absl::Status invalid = InvalidArgument("time: invalid duration ", Quote(text));
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return absl::ZeroDuration();
  if (rest.empty()) return invalid;
  absl::Duration total;
  while (!rest.empty()) {
    int64_t whole = 0;
    size_t whole_digits = 0;
    if (!TakeDigits(&rest, &whole, &whole_digits)) return invalid;
    double fraction = 0;
    size_t fraction_digits = 0;
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      double scale = 0.1;
      while (!rest.empty() && IsDigit(rest[0])) {
        fraction += (rest[0] - '0') * scale;
        scale /= 10;
        ++fraction_digits;
        rest.remove_prefix(1);
      }
    }
    if (whole_digits == 0 && fraction_digits == 0) return invalid;
    size_t length = 0;
    while (length < rest.size() && rest[length] != '.' && !IsDigit(rest[length])) ++length;
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    if (name.empty()) return InvalidArgument("time: missing unit in duration ", Quote(text));
    absl::Duration unit;
    if (name == "ns")
      unit = absl::Nanoseconds(1);
    else if (name == "us" || name == "\u00b5s" || name == "\u03bcs")
      unit = absl::Microseconds(1);
    else if (name == "ms")
      unit = absl::Milliseconds(1);
    else if (name == "s")
      unit = absl::Seconds(1);
    else if (name == "m")
      unit = absl::Minutes(1);
    else if (name == "h")
      unit = absl::Hours(1);
    else
      return InvalidArgument("time: unknown unit ", Quote(name), " in duration ", Quote(text));
    total += whole * unit + fraction * unit;
    if (total > absl::Milliseconds(kMillisMax)) return invalid;
  }
  total = absl::Trunc(total, absl::Nanoseconds(1));
  return negative ? -total : total;
}

std::string FormatGoDuration(absl::Duration duration) {
  int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);
  if (nanoseconds == 0) return "0s";
  std::string out;
  uint64_t left = static_cast<uint64_t>(nanoseconds);
  if (nanoseconds < 0) {
    out += '-';
    left = ~left + 1;
  }
  // Writes left / unit with up to nine decimals and no trailing zeros.
  const auto append_decimal = [&out](uint64_t value, uint64_t unit) {
    StrAppend(&out, value / unit);
    uint64_t rest = value % unit;
    if (rest == 0) return;
    out += '.';
    while (rest != 0) {
      unit /= 10;
      out += static_cast<char>('0' + rest / unit);
      rest %= unit;
    }
  };
  if (left < 1000000000) {
    const uint64_t unit = left < 1000 ? 1 : left < 1000000 ? 1000 : 1000000;
    append_decimal(left, unit);
    out += unit == 1 ? "ns" : unit == 1000 ? "\u00b5s" : "ms";
    return out;
  }
  const uint64_t minutes = left / 60000000000;
  if (minutes >= 60) StrAppend(&out, minutes / 60, 'h');
  if (minutes > 0) StrAppend(&out, minutes % 60, 'm');
  append_decimal(left % 60000000000, 1000000000);
  out += 's';
  return out;
}

}  // namespace narthex
