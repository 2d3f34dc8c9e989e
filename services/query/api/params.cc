#include "services/query/api/params.h"

#include <algorithm>
#include <cmath>

#include "absl/time/civil_time.h"
#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "services/query/promql/parser.h"

namespace narthex::query_api {
namespace {

// The bounds as they are printed; RFC 3339 itself ends at the year 9999.
constexpr std::string_view kMinTimeText = "-292273086-05-16T16:47:06Z";
constexpr std::string_view kMaxTimeText = "292277025-08-18T07:12:54.999999999Z";

// Seconds from year 1 to 1970, and one: how far upstream keeps away from the ends of its time type.
constexpr int64_t kEpochSeconds = 62135596801;

bool ParseDigits(std::string_view text, size_t count, int* value) {
  if (text.size() < count) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    *value = *value * 10 + (text[i] - '0');
  }
  return true;
}

// Nothing when `text` is no RFC 3339 time. Like Go's parser it takes any number of digits in the
// fraction, behind '.' or ','.
std::optional<absl::Time> ParseRfc3339(std::string_view text) {
  int year, month, day, hour, minute, second;
  // "2006-01-02T15:04:05Z" is the shortest.
  if (text.size() < 20 || !ParseDigits(text, 4, &year) || text[4] != '-' ||
      !ParseDigits(text.substr(5), 2, &month) || text[7] != '-' ||
      !ParseDigits(text.substr(8), 2, &day) || text[10] != 'T' ||
      !ParseDigits(text.substr(11), 2, &hour) || text[13] != ':' ||
      !ParseDigits(text.substr(14), 2, &minute) || text[16] != ':' ||
      !ParseDigits(text.substr(17), 2, &second)) {
    return std::nullopt;
  }
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  text.remove_prefix(19);
  int64_t nanoseconds = 0;
  if (text[0] == '.' || text[0] == ',') {
    size_t digits = 1;
    int64_t unit = 100'000'000;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
      nanoseconds += unit * (text[digits] - '0');
      unit /= 10;
    }
    if (digits == 1) return std::nullopt;
    text.remove_prefix(digits);
  }
  absl::Duration zone;
  if (text != "Z") {
    int zone_hour, zone_minute;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
        !ParseDigits(text.substr(1), 2, &zone_hour) ||
        !ParseDigits(text.substr(4), 2, &zone_minute) || zone_hour > 24 || zone_minute > 60) {
      return std::nullopt;
    }
    zone = absl::Hours(zone_hour) + absl::Minutes(zone_minute);
    if (text[0] == '-') zone = -zone;
  }
  const absl::CivilSecond civil(year, month, day, hour, minute, second);
  // A day or month that does not exist is normalised by CivilSecond, which is how it shows.
  if (civil.month() != month || civil.day() != day) return std::nullopt;
  return absl::FromCivil(civil, absl::UTCTimeZone()) + absl::Nanoseconds(nanoseconds) - zone;
}

absl::Status BadInt(std::string_view text, std::string_view why) {
  return InvalidArgument("strconv.Atoi: parsing ", Quote(text), ": ", why);
}

}  // namespace

const Timestamp kApiMinTime = (kMinTimestamp / 1000 + kEpochSeconds) * 1000;
const Timestamp kApiMaxTime = (kMaxTimestamp / 1000 - kEpochSeconds) * 1000 + 999;

absl::StatusOr<Timestamp> ParseTime(std::string_view text) {
  double seconds = 0;
  if (ParseDouble(text, &seconds) && std::isfinite(seconds)) {
    double whole = 0;
    const double milliseconds = std::round(std::modf(seconds, &whole) * 1000);
    if (whole * 1000 <= static_cast<double>(kApiMinTime)) return kApiMinTime;
    if (whole * 1000 >= static_cast<double>(kApiMaxTime)) return kApiMaxTime;
    return static_cast<int64_t>(whole) * 1000 + static_cast<int64_t>(milliseconds);
  }
  if (const std::optional<absl::Time> time = ParseRfc3339(text)) return ToTimestamp(*time);
  if (text == kMinTimeText) return kApiMinTime;
  if (text == kMaxTimeText) return kApiMaxTime;
  return InvalidArgument("cannot parse ", Quote(text), " to a valid timestamp");
}

absl::StatusOr<absl::Duration> ParseApiDuration(std::string_view text) {
  double seconds = 0;
  if (ParseDouble(text, &seconds) && !std::isnan(seconds)) {
    const double nanoseconds = seconds * 1e9;
    // The bounds of an int64 as a double.
    if (nanoseconds > 9223372036854775807.0 || nanoseconds < -9223372036854775808.0) {
      return InvalidArgument("cannot parse ", Quote(text),
                             " to a valid duration. It overflows int64");
    }
    return absl::Seconds(seconds);
  }
  absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  if (duration.ok()) return duration;
  return InvalidArgument("cannot parse ", Quote(text), " to a valid duration");
}

absl::StatusOr<int64_t> ParseGoInt(std::string_view text) {
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) digits.remove_prefix(1);
  const bool all_digits = !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
  if (!all_digits) return BadInt(text, "invalid syntax");
  int64_t value = 0;
  if (!ParseInt64(text[0] == '+' ? digits : text, &value)) {
    return BadInt(text, "value out of range");
  }
  return value;
}

absl::StatusOr<bool> ParseGoBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return InvalidArgument("strconv.ParseBool: parsing ", Quote(text), ": invalid syntax");
}

absl::StatusOr<Timestamp> TimeParam(const http::Params& params, std::string_view name,
                                    Timestamp missing) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return missing;
  absl::StatusOr<Timestamp> time = ParseTime(text);
  if (time.ok()) return time;
  return InvalidArgument("Invalid time value for '", name, "': ", Message(time.status()));
}

absl::StatusOr<size_t> LimitParam(const http::Params& params, std::string_view name) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return size_t{0};
  NARTHEX_ASSIGN_OR_RETURN(const int64_t limit, ParseGoInt(text));
  if (limit < 0) return InvalidArgument("limit must be non-negative");
  return static_cast<size_t>(limit);
}

absl::StatusOr<std::vector<std::vector<Matcher>>> MatchParams(const http::Params& params) {
  std::vector<std::vector<Matcher>> sets;
  for (const std::string& text : params.All("match[]")) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<Matcher> matchers, promql::ParseMetricSelector(text));
    sets.push_back(std::move(matchers));
  }
  for (const std::vector<Matcher>& matchers : sets) {
    const bool selects = std::any_of(matchers.begin(), matchers.end(), [](const Matcher& matcher) {
      return !matcher.MatchesEmpty();
    });
    if (!selects) return InvalidArgument("match[] must contain at least one non-empty matcher");
  }
  return sets;
}

std::string UnescapeName(std::string_view name) {
  constexpr std::string_view kPrefix = "U__";
  if (name.substr(0, kPrefix.size()) != kPrefix) return std::string(name);
  std::string_view rest = name.substr(kPrefix.size());
  std::string out;
  while (!rest.empty()) {
    if (rest[0] != '_') {
      out.push_back(rest[0]);
      rest.remove_prefix(1);
      continue;
    }
    rest.remove_prefix(1);
    if (!rest.empty() && rest[0] == '_') {
      out.push_back('_');
      rest.remove_prefix(1);
      continue;
    }
    // Up to six hexadecimal digits of a code point, and an underscore.
    uint32_t code_point = 0;
    size_t digits = 0;
    for (; digits < rest.size() && rest[digits] != '_'; ++digits) {
      const char c = rest[digits];
      uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<uint32_t>(c - 'A' + 10);
      } else {
        return std::string(name);
      }
      if (digits == 6) return std::string(name);
      code_point = code_point * 16 + digit;
    }
    const bool is_character =
        code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
    if (digits == 0 || digits == rest.size() || !is_character) return std::string(name);
    AppendRune(&out, static_cast<char32_t>(code_point));
    rest.remove_prefix(digits + 1);
  }
  return out;
}

}  // namespace narthex::query_api
