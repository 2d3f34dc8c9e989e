#ifndef NARTHEX_SERVICES_ALERTMANAGER_TIMEINTERVAL_TIME_INTERVAL_H_
#define NARTHEX_SERVICES_ALERTMANAGER_TIMEINTERVAL_TIME_INTERVAL_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace narthex::timeinterval {

// Both ends inside.
struct Range {
  int begin = 0;
  int end = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

// Minutes since midnight; the end is outside. 24:00 is 1440.
struct TimeRange {
  int begin_minute = 0;
  int end_minute = 0;
  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

// A set of moments: all fields must hold, one value of a field suffices, an empty field holds
// always. Plain data.
struct TimeInterval {
  std::vector<TimeRange> times;
  std::vector<Range> weekdays;       // 0 is Sunday.
  std::vector<Range> days_of_month;  // 1 to 31, or -31 to -1 from the end of the month.
  std::vector<Range> months;         // 1 to 12.
  std::vector<Range> years;
  std::string location;  // An IANA name; empty is UTC.
  absl::TimeZone zone = absl::UTCTimeZone();

  bool Contains(absl::Time time) const;
  friend bool operator==(const TimeInterval& a, const TimeInterval& b) {
    return a.times == b.times && a.weekdays == b.weekdays && a.days_of_month == b.days_of_month &&
           a.months == b.months && a.years == b.years && a.location == b.location;
  }
};

// The texts of the configuration and back; errors are upstream's. "monday:friday", "1:5", "-1",
// "january:march", "2024:2026".
absl::StatusOr<Range> ParseWeekdays(std::string_view text);
absl::StatusOr<Range> ParseDaysOfMonth(std::string_view text);
absl::StatusOr<Range> ParseMonths(std::string_view text);
absl::StatusOr<Range> ParseYears(std::string_view text);
absl::StatusOr<TimeRange> ParseTimeRange(std::string_view start, std::string_view end);
// "Local" is the zone of this machine.
absl::StatusOr<absl::TimeZone> ParseLocation(std::string_view text);

std::string WeekdaysText(Range range);
std::string MonthsText(Range range);
std::string RangeText(Range range);
std::string ClockText(int minute);  // "09:30"

}  // namespace narthex::timeinterval

#endif  // NARTHEX_SERVICES_ALERTMANAGER_TIMEINTERVAL_TIME_INTERVAL_H_
