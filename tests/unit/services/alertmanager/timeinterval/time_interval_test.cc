#include "services/alertmanager/timeinterval/time_interval.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::timeinterval {
namespace {

absl::Time Utc(int year, int month, int day, int hour = 0, int minute = 0) {
  return absl::FromCivil(absl::CivilSecond(year, month, day, hour, minute, 0), absl::UTCTimeZone());
}

TEST_CASE("fields are joined by and, the values of a field by or") {
  TimeInterval interval;
  CHECK(interval.Contains(Utc(2026, 11, 20)));
  interval.weekdays = {*ParseWeekdays("monday:friday")};
  interval.times = {*ParseTimeRange("09:00", "17:00"), *ParseTimeRange("20:00", "24:00")};
  CHECK(interval.Contains(Utc(2026, 11, 20, 9, 0)));  // A Friday.
  CHECK_FALSE(interval.Contains(Utc(2026, 11, 20, 17, 0)));
  CHECK(interval.Contains(Utc(2026, 11, 20, 23, 59)));
  CHECK_FALSE(interval.Contains(Utc(2026, 11, 21, 9, 0)));
  CHECK_FALSE(interval.Contains(Utc(2026, 11, 22, 9, 0)));  // A Sunday.
}

TEST_CASE("days of the month count from both ends") {
  struct Row {
    const char* days;
    int month, day;
    bool inside;
  };
  const Row rows[] = {
      {"1:5", 11, 5, true},  {"1:5", 11, 6, false},    {"-1", 2, 28, true},
      {"-1", 2, 27, false},  {"-3:-1", 11, 28, true},  {"-3:-1", 11, 27, false},
      {"31", 11, 30, false}, {"30:31", 11, 30, true},  {"29:31", 2, 28, false},
      {"1:-1", 2, 28, true}, {"10:-10", 11, 21, true}, {"10:-10", 11, 22, false},
  };
  for (const Row& row : rows) {
    INFO(row.days << " " << row.month << "-" << row.day);
    TimeInterval interval;
    interval.days_of_month = {*ParseDaysOfMonth(row.days)};
    CHECK(interval.Contains(Utc(2026, row.month, row.day, 12)) == row.inside);
  }
}

TEST_CASE("months, years and a zone") {
  TimeInterval interval;
  interval.months = {*ParseMonths("november:12"), *ParseMonths("Feb"
                                                               "ruary")};
  interval.years = {*ParseYears("2025:2026")};
  CHECK(interval.Contains(Utc(2026, 12, 1)));
  CHECK(interval.Contains(Utc(2025, 2, 1)));
  CHECK_FALSE(interval.Contains(Utc(2026, 3, 1)));
  CHECK_FALSE(interval.Contains(Utc(2027, 12, 1)));

  TimeInterval tokyo;
  tokyo.times = {*ParseTimeRange("09:00", "10:00")};
  tokyo.zone = *ParseLocation("Asia/Tokyo");
  CHECK(tokyo.Contains(Utc(2026, 11, 20, 0, 30)));
  CHECK_FALSE(tokyo.Contains(Utc(2026, 11, 20, 9, 30)));
}

TEST_CASE("malformed texts are refused with upstream's reasons") {
  const auto message = [](const auto& result) { return std::string(Message(result.status())); };
  CHECK(message(ParseTimeRange("09:00", "")) == "both start and end times must be provided");
  CHECK(message(ParseTimeRange("17:00", "09:00")) ==
        "start time cannot be equal or greater than end time");
  CHECK(message(ParseTimeRange("09:00", "24:01")) ==
        "couldn't parse timestamp 24:01, invalid format");
  CHECK(message(ParseTimeRange("9", "10:00")) == "couldn't parse timestamp 9, invalid format");
  CHECK(message(ParseWeekdays("friday:monday")) == "start day cannot be before end day");
  CHECK(message(ParseWeekdays("1:5")) == "1 is not a valid weekday");
  CHECK(message(ParseDaysOfMonth("0")) == "0 is not a valid day of the month: out of range");
  CHECK(message(ParseDaysOfMonth("-5:5")) == "end day must be negative if start day is negative");
  CHECK(message(ParseDaysOfMonth("5:1")) == "end day 1 is always before start day 5");
  CHECK(message(ParseMonths("13")) == "13 is not a valid month");
  CHECK(message(ParseMonths("march:january")) == "end month january is before start month march");
  CHECK(message(ParseYears("2026:2025")) == "end year 2025 is before start year 2026");
  CHECK(message(ParseLocation("Mars/Olympus")) == "unknown time zone Mars/Olympus");
  CHECK_FALSE(ParseYears("a:b:c").ok());
}

TEST_CASE("ranges print as they are read") {
  CHECK(WeekdaysText(*ParseWeekdays("Monday:FRIDAY")) == "monday:friday");
  CHECK(WeekdaysText(*ParseWeekdays("sunday")) == "sunday");
  CHECK(MonthsText(*ParseMonths("1:3")) == "january:march");
  CHECK(RangeText(*ParseDaysOfMonth("-3:-1")) == "-3:-1");
  CHECK(RangeText(*ParseYears("2026")) == "2026");
  CHECK(ClockText(ParseTimeRange("9:05", "24:00")->begin_minute) == "09:05");
  CHECK(ClockText(1440) == "24:00");
}

}  // namespace
}  // namespace narthex::timeinterval
