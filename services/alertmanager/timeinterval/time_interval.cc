#include "services/alertmanager/timeinterval/time_interval.h"

#include <algorithm>
#include <array>
#include <span>

#include "absl/time/civil_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::timeinterval {
namespace {

constexpr std::array<std::string_view, 7> kWeekdays = {"sunday",   "monday", "tuesday", "wednesday",
                                                       "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

bool InAny(const std::vector<Range>& ranges, int value) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [value](Range range) {
           return range.begin <= value && value <= range.end;
         });
}

bool InDaysOfMonth(const std::vector<Range>& ranges, const absl::CivilSecond& civil) {
  if (ranges.empty()) return true;
  const absl::CivilDay next_month(absl::CivilMonth(civil) + 1);
  const int days = static_cast<int>(next_month - absl::CivilDay(absl::CivilMonth(civil)));
  for (Range range : ranges) {
    if (range.begin < 0) range.begin += days + 1;
    if (range.end < 0) range.end += days + 1;
    // A range that begins after the month's last day is not in this month; one that ends there is
    // cut.
    if (range.begin > days) continue;
    const int begin = std::clamp(range.begin, 1, days);
    const int end = std::clamp(range.end, 1, days);
    if (begin <= civil.day() && civil.day() <= end) return true;
  }
  return false;
}

// "a:b" or "a"; each end by `parse`.
template <typename Parse>
absl::StatusOr<Range> ParseRange(std::string_view text, const Parse& parse) {
  const size_t colon = text.find(':');
  Range range;
  NARTHEX_ASSIGN_OR_RETURN(range.begin, parse(text.substr(0, colon)));
  range.end = range.begin;
  if (colon != std::string_view::npos) {
    const std::string_view end = text.substr(colon + 1);
    if (end.find(':') != std::string_view::npos) {
      return InvalidArgument("couldn't parse range ", text, ", invalid format");
    }
    NARTHEX_ASSIGN_OR_RETURN(range.end, parse(end));
  }
  return range;
}

absl::StatusOr<int> ParseInt(std::string_view text) {
  int64_t value = 0;
  if (!ParseInt64(text, &value) || value < -1'000'000 || value > 1'000'000) {
    return InvalidArgument("couldn't parse ", Quote(text), " as a number");
  }
  return static_cast<int>(value);
}

int FindName(std::span<const std::string_view> names, std::string_view text) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (EqualsIgnoreCaseAscii(names[i], text)) return static_cast<int>(i);
  }
  return -1;
}

// Minutes since midnight of HH:MM; the hour may have one digit.
absl::StatusOr<int> ParseClock(std::string_view text) {
  const size_t colon = text.find(':');
  int64_t hour = 0;
  int64_t minute = 0;
  const bool ok = colon != std::string_view::npos && colon >= 1 && colon <= 2 &&
                  text.size() == colon + 3 && ParseInt64(text.substr(0, colon), &hour) &&
                  ParseInt64(text.substr(colon + 1), &minute) && hour >= 0 && minute >= 0 &&
                  minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
  if (!ok) return InvalidArgument("couldn't parse timestamp ", text, ", invalid format");
  return static_cast<int>(hour * 60 + minute);
}

}  // namespace

bool TimeInterval::Contains(absl::Time time) const {
  const absl::CivilSecond civil = absl::ToCivilSecond(time, zone);
  const int minute = civil.hour() * 60 + civil.minute();
  const bool in_times =
      times.empty() || std::any_of(times.begin(), times.end(), [minute](const TimeRange& range) {
        return range.begin_minute <= minute && minute < range.end_minute;
      });
  // Abseil's week begins on Monday.
  const int weekday = (static_cast<int>(absl::GetWeekday(civil)) + 1) % 7;
  return in_times && InDaysOfMonth(days_of_month, civil) && InAny(months, civil.month()) &&
         InAny(weekdays, weekday) && InAny(years, static_cast<int>(civil.year()));
}

absl::StatusOr<Range> ParseWeekdays(std::string_view text) {
  const auto parse = [](std::string_view name) -> absl::StatusOr<int> {
    const int weekday = FindName(kWeekdays, name);
    if (weekday < 0) return InvalidArgument(name, " is not a valid weekday");
    return weekday;
  };
  NARTHEX_ASSIGN_OR_RETURN(const Range range, ParseRange(text, parse));
  if (range.begin > range.end) {
    return InvalidArgument("start day cannot be before end day");
  }
  return range;
}

absl::StatusOr<Range> ParseDaysOfMonth(std::string_view text) {
  NARTHEX_ASSIGN_OR_RETURN(const Range range, ParseRange(text, ParseInt));
  const auto valid = [](int day) { return day != 0 && day >= -31 && day <= 31; };
  if (!valid(range.begin)) {
    return InvalidArgument(range.begin, " is not a valid day of the month: out of range");
  }
  if (!valid(range.end)) {
    return InvalidArgument(range.end, " is not a valid day of the month: out of range");
  }
  if (range.begin < 0 && range.end > 0) {
    return InvalidArgument("end day must be negative if start day is negative");
  }
  // Two days counted from different ends of the month are compared in the longest month.
  constexpr int kLongest = 32;
  const int begin = range.begin < 0 ? range.begin + kLongest : range.begin;
  const int end = range.end < 0 ? range.end + kLongest : range.end;
  if (begin > end)
    return InvalidArgument("end day ", range.end, " is always before start day ", range.begin);
  return range;
}

absl::StatusOr<Range> ParseMonths(std::string_view text) {
  const auto parse = [](std::string_view name) -> absl::StatusOr<int> {
    const int month = FindName(kMonths, name);
    if (month >= 0) return month + 1;
    int64_t number = 0;
    if (ParseInt64(name, &number) && number >= 1 && number <= 12) return static_cast<int>(number);
    return InvalidArgument(name, " is not a valid month");
  };
  NARTHEX_ASSIGN_OR_RETURN(const Range range, ParseRange(text, parse));
  if (range.begin > range.end) {
    return InvalidArgument("end month ", MonthsText({range.end, range.end}),
                           " is before start month ", MonthsText({range.begin, range.begin}));
  }
  return range;
}

absl::StatusOr<Range> ParseYears(std::string_view text) {
  NARTHEX_ASSIGN_OR_RETURN(const Range range, ParseRange(text, ParseInt));
  if (range.begin > range.end) {
    return InvalidArgument("end year ", range.end, " is before start year ", range.begin);
  }
  return range;
}

absl::StatusOr<TimeRange> ParseTimeRange(std::string_view start, std::string_view end) {
  if (start.empty() || end.empty()) {
    return InvalidArgument("both start and end times must be provided");
  }
  TimeRange range;
  NARTHEX_ASSIGN_OR_RETURN(range.begin_minute, ParseClock(start));
  NARTHEX_ASSIGN_OR_RETURN(range.end_minute, ParseClock(end));
  if (range.begin_minute >= range.end_minute) {
    return InvalidArgument("start time cannot be equal or greater than end time");
  }
  return range;
}

absl::StatusOr<absl::TimeZone> ParseLocation(std::string_view text) {
  if (text.empty() || text == "UTC") return absl::UTCTimeZone();
  if (text == "Local") return absl::LocalTimeZone();
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(ToAbsl(text), &zone)) {
    return InvalidArgument("unknown time zone ", text);
  }
  return zone;
}

std::string WeekdaysText(Range range) {
  const auto name = [](int day) { return kWeekdays[static_cast<size_t>(day)]; };
  if (range.begin == range.end) return std::string(name(range.begin));
  return StrCat(name(range.begin), ":", name(range.end));
}

std::string MonthsText(Range range) {
  const auto name = [](int month) { return kMonths[static_cast<size_t>(month - 1)]; };
  if (range.begin == range.end) return std::string(name(range.begin));
  return StrCat(name(range.begin), ":", name(range.end));
}

std::string RangeText(Range range) {
  return range.begin == range.end ? StrCat(range.begin) : StrCat(range.begin, ":", range.end);
}

std::string ClockText(int minute) {
  const int hour = minute / 60;
  const int rest = minute % 60;
  return StrCat(hour < 10 ? "0" : "", hour, ":", rest < 10 ? "0" : "", rest);
}

}  // namespace narthex::timeinterval
