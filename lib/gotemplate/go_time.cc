#include "lib/gotemplate/go_time.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/time/civil_time.h"
#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::gotemplate {
namespace {

// The elements of a layout.
enum class Field {
  kLiteral,
  kLongMonth,      // January
  kMonth,          // Jan
  kNumMonth,       // 1
  kZeroMonth,      // 01
  kLongWeekday,    // Monday
  kWeekday,        // Mon
  kDay,            // 2
  kSpaceDay,       // _2
  kZeroDay,        // 02
  kSpaceYearDay,   // __2
  kZeroYearDay,    // 002
  kHour,           // 15
  kHour12,         // 3
  kZeroHour12,     // 03
  kMinute,         // 4
  kZeroMinute,     // 04
  kSecond,         // 5
  kZeroSecond,     // 05
  kLongYear,       // 2006
  kYear,           // 06
  kUpperPm,        // PM
  kLowerPm,        // pm
  kZoneName,       // MST
  kZone,           // one of kZoneForms
  kFractionZeros,  // .000
  kFractionNines,  // .999
};

struct Element {
  Field field = Field::kLiteral;
  std::string_view text;
};

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kWeekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

constexpr std::array<std::string_view, 10> kZoneForms = {
    "-07:00:00", "-070000", "-07:00", "-0700", "-07",
    "Z07:00:00", "Z070000", "Z07:00", "Z0700", "Z07"};

// Longer spellings before their prefixes.
constexpr std::array<std::pair<std::string_view, Field>, 23> kSpellings = {{
    {"January", Field::kLongMonth},
    {"Jan", Field::kMonth},
    {"Monday", Field::kLongWeekday},
    {"Mon", Field::kWeekday},
    {"MST", Field::kZoneName},
    {"002", Field::kZeroYearDay},
    {"01", Field::kZeroMonth},
    {"02", Field::kZeroDay},
    {"03", Field::kZeroHour12},
    {"04", Field::kZeroMinute},
    {"05", Field::kZeroSecond},
    {"06", Field::kYear},
    {"15", Field::kHour},
    {"1", Field::kNumMonth},
    {"2006", Field::kLongYear},
    {"2", Field::kDay},
    {"__2", Field::kSpaceYearDay},
    {"_2", Field::kSpaceDay},
    {"3", Field::kHour12},
    {"4", Field::kMinute},
    {"5", Field::kSecond},
    {"PM", Field::kUpperPm},
    {"pm", Field::kLowerPm},
}};

bool IsDigitChar(char c) { return c >= '0' && c <= '9'; }

// The element at the start of `layout`, when one begins there.
bool ElementAt(std::string_view layout, Element* element) {
  for (const auto& [spelling, field] : kSpellings) {
    if (!layout.starts_with(spelling)) continue;
    // "Janet" is no month and "Month" no weekday.
    const bool name = field == Field::kMonth || field == Field::kWeekday;
    if (name && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') return false;
    // "_2006" is an underscore and a year.
    if (field == Field::kSpaceDay && layout.starts_with("_2006")) return false;
    *element = {field, layout.substr(0, spelling.size())};
    return true;
  }
  for (const std::string_view form : kZoneForms) {
    if (!layout.starts_with(form)) continue;
    *element = {Field::kZone, layout.substr(0, form.size())};
    return true;
  }
  // .000 or ,999: a run of one digit that no other digit follows.
  if (layout.size() > 1 && (layout[0] == '.' || layout[0] == ',') &&
      (layout[1] == '0' || layout[1] == '9')) {
    size_t end = 1;
    while (end < layout.size() && layout[end] == layout[1]) ++end;
    if (end < layout.size() && IsDigitChar(layout[end])) return false;
    *element = {layout[1] == '0' ? Field::kFractionZeros : Field::kFractionNines,
                layout.substr(0, end)};
    return true;
  }
  return false;
}

std::vector<Element> SplitLayout(std::string_view layout) {
  std::vector<Element> elements;
  size_t begin = 0;
  for (size_t pos = 0; pos < layout.size();) {
    Element element;
    if (!ElementAt(layout.substr(pos), &element)) {
      ++pos;
      continue;
    }
    if (pos > begin) elements.push_back({Field::kLiteral, layout.substr(begin, pos - begin)});
    elements.push_back(element);
    pos += element.text.size();
    begin = pos;
  }
  if (begin < layout.size()) elements.push_back({Field::kLiteral, layout.substr(begin)});
  return elements;
}

void AppendNumber(std::string* out, int64_t value, size_t width, char fill) {
  const std::string digits = StrCat(value < 0 ? -value : value);
  if (value < 0) out->push_back('-');
  if (digits.size() < width) out->append(width - digits.size(), fill);
  out->append(digits);
}

void AppendZone(std::string* out, int offset_seconds, std::string_view form) {
  if (form[0] == 'Z' && offset_seconds == 0) {
    out->push_back('Z');
    return;
  }
  out->push_back(offset_seconds < 0 ? '-' : '+');
  const int64_t offset = std::abs(offset_seconds);
  const bool colon = form.find(':') != std::string_view::npos;
  const auto digits = static_cast<size_t>(std::count_if(form.begin(), form.end(), IsDigitChar));
  AppendNumber(out, offset / 3600, 2, '0');
  if (digits >= 4) {
    if (colon) out->push_back(':');
    AppendNumber(out, offset / 60 % 60, 2, '0');
  }
  if (digits >= 6) {
    if (colon) out->push_back(':');
    AppendNumber(out, offset % 60, 2, '0');
  }
}

void AppendFraction(std::string* out, int64_t nanoseconds, const Element& element) {
  std::string digits;
  AppendNumber(&digits, nanoseconds, 9, '0');
  digits.resize(std::min<size_t>(element.text.size() - 1, 9));
  if (element.field == Field::kFractionNines) {
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (digits.empty()) return;
  }
  out->push_back(element.text[0]);
  out->append(digits);
}

size_t WeekdayIndex(const absl::CivilSecond& civil) {
  // Abseil's week begins on Monday, Go's on Sunday.
  return (static_cast<size_t>(absl::GetWeekday(civil)) + 1) % 7;
}

std::string ZoneName(const absl::TimeZone& zone, const absl::TimeZone::CivilInfo& info) {
  // A zone that is only an offset has no abbreviation; Go shows the offset.
  if (zone.name().rfind("Fixed/", 0) != 0) return info.zone_abbr;
  std::string out;
  AppendZone(&out, info.offset, "-0700");
  return out;
}

void AppendElement(std::string* out, const Element& element, const absl::TimeZone& zone,
                   const absl::TimeZone::CivilInfo& info) {
  const absl::CivilSecond& civil = info.cs;
  const auto month = static_cast<size_t>(civil.month() - 1);
  const int hour12 = civil.hour() % 12 == 0 ? 12 : civil.hour() % 12;
  switch (element.field) {
    case Field::kLiteral:
      out->append(element.text);
      return;
    case Field::kLongMonth:
      out->append(kMonths[month]);
      return;
    case Field::kMonth:
      out->append(kMonths[month].substr(0, 3));
      return;
    case Field::kNumMonth:
      return AppendNumber(out, civil.month(), 0, '0');
    case Field::kZeroMonth:
      return AppendNumber(out, civil.month(), 2, '0');
    case Field::kLongWeekday:
      out->append(kWeekdays[WeekdayIndex(civil)]);
      return;
    case Field::kWeekday:
      out->append(kWeekdays[WeekdayIndex(civil)].substr(0, 3));
      return;
    case Field::kDay:
      return AppendNumber(out, civil.day(), 0, '0');
    case Field::kSpaceDay:
      return AppendNumber(out, civil.day(), 2, ' ');
    case Field::kZeroDay:
      return AppendNumber(out, civil.day(), 2, '0');
    case Field::kSpaceYearDay:
      return AppendNumber(out, absl::GetYearDay(civil), 3, ' ');
    case Field::kZeroYearDay:
      return AppendNumber(out, absl::GetYearDay(civil), 3, '0');
    case Field::kHour:
      return AppendNumber(out, civil.hour(), 2, '0');
    case Field::kHour12:
      return AppendNumber(out, hour12, 0, '0');
    case Field::kZeroHour12:
      return AppendNumber(out, hour12, 2, '0');
    case Field::kMinute:
      return AppendNumber(out, civil.minute(), 0, '0');
    case Field::kZeroMinute:
      return AppendNumber(out, civil.minute(), 2, '0');
    case Field::kSecond:
      return AppendNumber(out, civil.second(), 0, '0');
    case Field::kZeroSecond:
      return AppendNumber(out, civil.second(), 2, '0');
    case Field::kLongYear:
      return AppendNumber(out, civil.year(), 4, '0');
    case Field::kYear:
      return AppendNumber(out, std::abs(civil.year()) % 100, 2, '0');
    case Field::kUpperPm:
      out->append(civil.hour() >= 12 ? "PM" : "AM");
      return;
    case Field::kLowerPm:
      out->append(civil.hour() >= 12 ? "pm" : "am");
      return;
    case Field::kZoneName:
      out->append(ZoneName(zone, info));
      return;
    case Field::kZone:
      return AppendZone(out, info.offset, element.text);
    case Field::kFractionZeros:
    case Field::kFractionNines:
      return AppendFraction(out, absl::ToInt64Nanoseconds(info.subsecond), element);
  }
}

// What ParseTime() has read so far.
struct ParsedTime {
  int64_t year = 0;
  int month = -1;
  int day = -1;
  int year_day = -1;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int64_t nanoseconds = 0;
  bool pm = false;
  bool am = false;
  bool has_zone = false;
  int offset_seconds = 0;
};

// Reads the values of one time text, from the left.
class TimeParser {
 public:
  explicit TimeParser(std::string_view text) : rest_(text) {}

  const std::string& range_error() const { return range_error_; }
  std::string_view rest() const { return rest_; }
  ParsedTime& parsed() { return parsed_; }

  // False when the text does not fit the element; a value out of range sets range_error().
  bool Read(const Element& element, const Element* next) {
    int value = 0;
    switch (element.field) {
      case Field::kLiteral:
        return ReadLiteral(element.text);
      case Field::kLongMonth:
        return ReadName(kMonths, false, &parsed_.month, 1);
      case Field::kMonth:
        return ReadName(kMonths, true, &parsed_.month, 1);
      case Field::kNumMonth:
      case Field::kZeroMonth:
        if (!ReadNumber(element.field == Field::kZeroMonth, &parsed_.month)) return false;
        return InRange(parsed_.month, 1, 12, "month");
      case Field::kLongWeekday:
        return ReadName(kWeekdays, false, &value, 0);
      case Field::kWeekday:
        return ReadName(kWeekdays, true, &value, 0);
      case Field::kSpaceDay:
        if (rest_.starts_with(' ')) rest_.remove_prefix(1);
        return ReadNumber(false, &parsed_.day);
      case Field::kDay:
        return ReadNumber(false, &parsed_.day);
      case Field::kZeroDay:
        return ReadNumber(true, &parsed_.day);
      case Field::kSpaceYearDay:
        while (rest_.starts_with(' ')) rest_.remove_prefix(1);
        return ReadDigits(1, 3, &parsed_.year_day);
      case Field::kZeroYearDay:
        return ReadDigits(3, 3, &parsed_.year_day);
      case Field::kHour:
        return ReadNumber(false, &parsed_.hour) && InRange(parsed_.hour, 0, 23, "hour");
      case Field::kHour12:
      case Field::kZeroHour12:
        return ReadNumber(element.field == Field::kZeroHour12, &parsed_.hour) &&
               InRange(parsed_.hour, 0, 12, "hour");
      case Field::kMinute:
      case Field::kZeroMinute:
        return ReadNumber(element.field == Field::kZeroMinute, &parsed_.minute) &&
               InRange(parsed_.minute, 0, 59, "minute");
      case Field::kSecond:
      case Field::kZeroSecond:
        if (!ReadNumber(element.field == Field::kZeroSecond, &parsed_.second) ||
            !InRange(parsed_.second, 0, 59, "second")) {
          return false;
        }
        return ReadHiddenFraction(next);
      case Field::kLongYear:
        if (!ReadDigits(4, 4, &value)) return false;
        parsed_.year = value;
        return true;
      case Field::kYear:
        if (!ReadDigits(2, 2, &value)) return false;
        parsed_.year = value >= 69 ? 1900 + value : 2000 + value;
        return true;
      case Field::kUpperPm:
        return ReadHalf("PM", "AM");
      case Field::kLowerPm:
        return ReadHalf("pm", "am");
      case Field::kZoneName:
        return ReadZoneName();
      case Field::kZone:
        return ReadZone(element.text);
      case Field::kFractionZeros:
        return ReadFraction(element.text.size() - 1);
      case Field::kFractionNines:
        if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !IsDigitChar(rest_[1])) {
          return true;
        }
        return ReadFraction(DigitsAfterPoint());
    }
    return false;
  }

 private:
  bool InRange(int value, int least, int most, std::string_view what) {
    if (value >= least && value <= most) return true;
    range_error_ = StrCat(what, " out of range");
    return false;
  }

  bool ReadLiteral(std::string_view literal) {
    for (const char c : literal) {
      if (c == ' ') {
        if (!rest_.empty() && rest_[0] != ' ') return false;
        while (rest_.starts_with(' ')) rest_.remove_prefix(1);
        continue;
      }
      if (rest_.empty() || rest_[0] != c) return false;
      rest_.remove_prefix(1);
    }
    return true;
  }

  bool ReadDigits(size_t least, size_t most, int* value) {
    size_t digits = 0;
    int number = 0;
    while (digits < most && digits < rest_.size() && IsDigitChar(rest_[digits])) {
      number = number * 10 + (rest_[digits++] - '0');
    }
    if (digits < least) return false;
    rest_.remove_prefix(digits);
    *value = number;
    return true;
  }
  bool ReadNumber(bool fixed, int* value) { return ReadDigits(fixed ? 2 : 1, 2, value); }

  template <size_t N>
  bool ReadName(const std::array<std::string_view, N>& names, bool abbreviated, int* value,
                int first) {
    for (size_t i = 0; i < N; ++i) {
      const std::string_view name = abbreviated ? names[i].substr(0, 3) : names[i];
      if (!EqualsIgnoreCaseAscii(rest_.substr(0, name.size()), name)) continue;
      rest_.remove_prefix(name.size());
      *value = static_cast<int>(i) + first;
      return true;
    }
    return false;
  }

  size_t DigitsAfterPoint() const {
    size_t digits = 0;
    while (digits + 1 < rest_.size() && IsDigitChar(rest_[digits + 1])) ++digits;
    return digits;
  }

  bool ReadFraction(size_t digits) {
    if (rest_.size() < digits + 1 || (rest_[0] != '.' && rest_[0] != ',')) return false;
    int64_t value = 0;
    for (size_t i = 1; i <= digits; ++i) {
      if (!IsDigitChar(rest_[i])) return false;
      if (i <= 9) value = value * 10 + (rest_[i] - '0');
    }
    for (size_t i = digits; i < 9; ++i) value *= 10;
    parsed_.nanoseconds = value;
    rest_.remove_prefix(digits + 1);
    return true;
  }

  // Seconds may carry a fraction that the layout does not mention.
  bool ReadHiddenFraction(const Element* next) {
    if (next != nullptr &&
        (next->field == Field::kFractionZeros || next->field == Field::kFractionNines)) {
      return true;
    }
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !IsDigitChar(rest_[1])) {
      return true;
    }
    return ReadFraction(DigitsAfterPoint());
  }

  bool ReadHalf(std::string_view pm, std::string_view am) {
    if (rest_.starts_with(pm)) {
      parsed_.pm = true;
    } else if (rest_.starts_with(am)) {
      parsed_.am = true;
    } else {
      return false;
    }
    rest_.remove_prefix(2);
    return true;
  }

  // Three or four capital letters, maybe with an offset (GMT+3). Only UTC has a meaning here, as in
  // Go without a local zone.
  bool ReadZoneName() {
    size_t letters = 0;
    while (letters < rest_.size() && rest_[letters] >= 'A' && rest_[letters] <= 'Z') ++letters;
    if (letters < 3 || letters > 5) return false;
    rest_.remove_prefix(letters);
    parsed_.has_zone = true;
    return true;
  }

  bool ReadZone(std::string_view form) {
    parsed_.has_zone = true;
    if (form[0] == 'Z' && rest_.starts_with('Z')) {
      rest_.remove_prefix(1);
      return true;
    }
    if (rest_.empty() || (rest_[0] != '+' && rest_[0] != '-')) return false;
    const int sign = rest_[0] == '-' ? -1 : 1;
    rest_.remove_prefix(1);
    const bool colon = form.find(':') != std::string_view::npos;
    const auto digits = std::count_if(form.begin(), form.end(), IsDigitChar);
    int seconds = 0;
    for (int64_t done = 0, unit = 3600; done < digits; done += 2, unit /= 60) {
      if (done > 0 && colon) {
        if (!rest_.starts_with(':')) return false;
        rest_.remove_prefix(1);
      }
      int value = 0;
      if (!ReadDigits(2, 2, &value)) return false;
      if (!InRange(value, 0, unit == 3600 ? 24 : 60, "time zone offset")) return false;
      seconds += value * static_cast<int>(unit);
    }
    parsed_.offset_seconds = sign * seconds;
    return true;
  }

  std::string_view rest_;
  ParsedTime parsed_;
  std::string range_error_;
};

// Go's form of a parse error.
absl::Status ParseError(std::string_view layout, std::string_view text, std::string_view element,
                        std::string_view rest, std::string_view message) {
  if (!message.empty()) return InvalidArgument("parsing time ", Quote(text), message);
  return InvalidArgument("parsing time ", Quote(text), " as ", Quote(layout), ": cannot parse ",
                         Quote(rest), " as ", Quote(element));
}

bool ResolveDay(ParsedTime* parsed) {
  if (parsed->year_day >= 0) {
    const absl::CivilDay first(parsed->year, 1, 1);
    const absl::CivilDay day = first + (parsed->year_day - 1);
    if (parsed->year_day < 1 || day.year() != parsed->year) return false;
    parsed->month = day.month();
    parsed->day = day.day();
  }
  if (parsed->month < 0) parsed->month = 1;
  if (parsed->day < 0) parsed->day = 1;
  const absl::CivilDay day(parsed->year, parsed->month, parsed->day);
  return parsed->day >= 1 && day.month() == parsed->month && day.day() == parsed->day;
}

// Methods of times and durations.

using Args = std::span<const Value>;

const Type* NamedInt(std::string_view name, std::string (*print)(const Value&)) {
  auto* type = new Type();
  type->name = name;
  type->kind = Kind::kInt;
  type->print = print;
  type->methods.push_back({"String", {}, [](const Value& self, Args) -> absl::StatusOr<Value> {
                             return Value::String(self.type()->print(self));
                           }});
  return type;
}

const Type* MonthType() {
  static const Type* const type = NamedInt("time.Month", [](const Value& self) {
    const int64_t month = self.int_value();
    if (month < 1 || month > 12) return StrCat("%!Month(", month, ")");
    return std::string(kMonths[static_cast<size_t>(month - 1)]);
  });
  return type;
}

const Type* WeekdayType() {
  static const Type* const type = NamedInt("time.Weekday", [](const Value& self) {
    const int64_t day = self.int_value();
    if (day < 0 || day > 6) return StrCat("%!Weekday(", day, ")");
    return std::string(kWeekdays[static_cast<size_t>(day)]);
  });
  return type;
}

const Type* LocationType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "*time.Location";
    made->kind = Kind::kTime;
    made->print = [](const Value& self) { return self.time_value().zone.name(); };
    made->methods.push_back({"String", {}, [](const Value& self, Args) -> absl::StatusOr<Value> {
                               return Value::String(self.type()->print(self));
                             }});
    return made;
  }();
  return type;
}

absl::CivilSecond CivilOf(const Value& self) {
  return absl::ToCivilSecond(self.time_value().time, self.time_value().zone);
}

absl::StatusOr<Value> AddDate(const Value& self, Args args) {
  const ZonedTime& time = self.time_value();
  const absl::TimeZone::CivilInfo info = time.zone.At(time.time);
  // Civil fields normalise: the 31st of April is the 1st of May, as in Go.
  constexpr int64_t kStepMax = 1'000'000;
  for (const Value& arg : args) {
    if (std::abs(arg.int_value()) > kStepMax) return InvalidArgument("date out of range");
  }
  const absl::CivilSecond civil(
      info.cs.year() + args[0].int_value(), info.cs.month() + args[1].int_value(),
      info.cs.day() + args[2].int_value(), info.cs.hour(), info.cs.minute(), info.cs.second());
  return Value::Time({absl::FromCivil(civil, time.zone) + info.subsecond, time.zone});
}

// The instant, rounded down to a multiple of `unit` since the zero time, as Go does.
absl::Time TruncateTime(absl::Time time, absl::Duration unit) {
  if (unit <= absl::ZeroDuration()) return time;
  return ZeroTime() + absl::Floor(time - ZeroTime(), unit);
}

absl::Duration RoundDuration(absl::Duration value, absl::Duration unit) {
  if (unit <= absl::ZeroDuration()) return value;
  const absl::Duration magnitude = absl::AbsDuration(value);
  const absl::Duration rounded = absl::Floor(magnitude + unit / 2, unit);
  return value < absl::ZeroDuration() ? -rounded : rounded;
}

#define NARTHEX_TIME_METHOD(expression)                       \
  [](const Value& self, Args args) -> absl::StatusOr<Value> { \
    static_cast<void>(args);                                  \
    return expression;                                        \
  }

// `self_type` is the type being made: asking for TimeType() here would wait for itself.
std::vector<Method> TimeMethods(const Type* self_type) {
  const Signature none;
  const Signature time = {{self_type}, false};
  const Signature duration = {{DurationType()}, false};
  return {
      {"Format",
       {{StringType()}, false},
       NARTHEX_TIME_METHOD(Value::String(FormatTime(self.time_value(), args[0].string_value())))},
      {"String", none, NARTHEX_TIME_METHOD(Value::String(TimeString(self.time_value())))},
      {"UTC", none,
       NARTHEX_TIME_METHOD(Value::Time({self.time_value().time, absl::UTCTimeZone()}))},
      {"Local", none,
       NARTHEX_TIME_METHOD(Value::Time({self.time_value().time, absl::LocalTimeZone()}))},
      {"Location", none, NARTHEX_TIME_METHOD(Value::Time(self.time_value(), LocationType()))},
      {"In",
       {{LocationType()}, false},
       NARTHEX_TIME_METHOD(Value::Time({self.time_value().time, args[0].time_value().zone}))},
      {"Unix", none,
       NARTHEX_TIME_METHOD(Value::Int(absl::ToUnixSeconds(self.time_value().time), Int64Type()))},
      {"UnixMilli", none,
       NARTHEX_TIME_METHOD(Value::Int(absl::ToUnixMillis(self.time_value().time), Int64Type()))},
      {"UnixMicro", none,
       NARTHEX_TIME_METHOD(Value::Int(absl::ToUnixMicros(self.time_value().time), Int64Type()))},
      {"UnixNano", none,
       NARTHEX_TIME_METHOD(Value::Int(absl::ToUnixNanos(self.time_value().time), Int64Type()))},
      {"Add", duration,
       NARTHEX_TIME_METHOD(Value::Time(
           {self.time_value().time + args[0].duration_value(), self.time_value().zone}))},
      {"AddDate", {{IntType(), IntType(), IntType()}, false}, AddDate},
      {"Sub", time,
       NARTHEX_TIME_METHOD(Value::Duration(self.time_value().time - args[0].time_value().time))},
      {"Before", time,
       NARTHEX_TIME_METHOD(Value::Bool(self.time_value().time < args[0].time_value().time))},
      {"After", time,
       NARTHEX_TIME_METHOD(Value::Bool(self.time_value().time > args[0].time_value().time))},
      {"Equal", time,
       NARTHEX_TIME_METHOD(Value::Bool(self.time_value().time == args[0].time_value().time))},
      {"Year", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).year()))},
      {"Month", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).month(), MonthType()))},
      {"Day", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).day()))},
      {"YearDay", none, NARTHEX_TIME_METHOD(Value::Int(absl::GetYearDay(CivilOf(self))))},
      {"Hour", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).hour()))},
      {"Minute", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).minute()))},
      {"Second", none, NARTHEX_TIME_METHOD(Value::Int(CivilOf(self).second()))},
      {"Nanosecond", none,
       NARTHEX_TIME_METHOD(Value::Int(
           absl::ToInt64Nanoseconds(self.time_value().zone.At(self.time_value().time).subsecond)))},
      {"Weekday", none,
       NARTHEX_TIME_METHOD(
           Value::Int(static_cast<int64_t>(WeekdayIndex(CivilOf(self))), WeekdayType()))},
      {"Truncate", duration,
       NARTHEX_TIME_METHOD(
           Value::Time({TruncateTime(self.time_value().time, args[0].duration_value()),
                        self.time_value().zone}))},
      {"Round", duration,
       NARTHEX_TIME_METHOD(
           Value::Time({TruncateTime(self.time_value().time + args[0].duration_value() / 2,
                                     args[0].duration_value()),
                        self.time_value().zone}))},
      {"IsZero", none, NARTHEX_TIME_METHOD(Value::Bool(self.time_value().time == ZeroTime()))},
  };
}

std::vector<Method> DurationMethods(const Type* self_type) {
  const Signature none;
  const Signature duration = {{self_type}, false};
  return {
      {"String", none, NARTHEX_TIME_METHOD(Value::String(FormatGoDuration(self.duration_value())))},
      {"Nanoseconds", none, NARTHEX_TIME_METHOD(Value::Int(self.int_value(), Int64Type()))},
      {"Microseconds", none, NARTHEX_TIME_METHOD(Value::Int(self.int_value() / 1000, Int64Type()))},
      {"Milliseconds", none,
       NARTHEX_TIME_METHOD(Value::Int(self.int_value() / 1000000, Int64Type()))},
      {"Seconds", none,
       NARTHEX_TIME_METHOD(Value::Float(absl::ToDoubleSeconds(self.duration_value())))},
      {"Minutes", none,
       NARTHEX_TIME_METHOD(Value::Float(absl::ToDoubleMinutes(self.duration_value())))},
      {"Hours", none,
       NARTHEX_TIME_METHOD(Value::Float(absl::ToDoubleHours(self.duration_value())))},
      {"Truncate", duration,
       NARTHEX_TIME_METHOD(
           Value::Duration(args[0].int_value() <= 0
                               ? self.duration_value()
                               : absl::Trunc(self.duration_value(), args[0].duration_value())))},
      {"Round", duration,
       NARTHEX_TIME_METHOD(
           Value::Duration(RoundDuration(self.duration_value(), args[0].duration_value())))},
      {"Abs", none, NARTHEX_TIME_METHOD(Value::Duration(absl::AbsDuration(self.duration_value())))},
  };
}
#undef NARTHEX_TIME_METHOD

}  // namespace

absl::Time ZeroTime() { return absl::FromCivil(absl::CivilSecond(1, 1, 1), absl::UTCTimeZone()); }

const Type* TimeType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "time.Time";
    made->kind = Kind::kTime;
    made->print = [](const Value& self) { return TimeString(self.time_value()); };
    made->methods = TimeMethods(made);
    return made;
  }();
  return type;
}

const Type* DurationType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "time.Duration";
    made->kind = Kind::kInt;
    made->print = [](const Value& self) { return FormatGoDuration(self.duration_value()); };
    made->methods = DurationMethods(made);
    return made;
  }();
  return type;
}

std::string FormatTime(const ZonedTime& time, std::string_view layout) {
  const absl::TimeZone::CivilInfo info = time.zone.At(time.time);
  std::string out;
  for (const Element& element : SplitLayout(layout)) AppendElement(&out, element, time.zone, info);
  return out;
}

std::string TimeString(const ZonedTime& time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

absl::StatusOr<ZonedTime> ParseTime(std::string_view layout, std::string_view text) {
  TimeParser parser(text);
  const std::vector<Element> elements = SplitLayout(layout);
  for (size_t i = 0; i < elements.size(); ++i) {
    const std::string_view before = parser.rest();
    if (parser.Read(elements[i], i + 1 < elements.size() ? &elements[i + 1] : nullptr)) continue;
    if (!parser.range_error().empty()) {
      return ParseError(layout, text, "", "", StrCat(": ", parser.range_error()));
    }
    return ParseError(layout, text, elements[i].text, before, "");
  }
  if (!parser.rest().empty()) {
    return ParseError(layout, text, "", "", StrCat(": extra text: ", Quote(parser.rest())));
  }
  ParsedTime& parsed = parser.parsed();
  if (parsed.pm && parsed.hour < 12) parsed.hour += 12;
  if (parsed.am && parsed.hour == 12) parsed.hour = 0;
  if (!ResolveDay(&parsed)) {
    return ParseError(layout, text, "", "",
                      parsed.year_day >= 0 ? ": day-of-year out of range" : ": day out of range");
  }
  const absl::TimeZone zone =
      parsed.offset_seconds == 0 ? absl::UTCTimeZone() : absl::FixedTimeZone(parsed.offset_seconds);
  const absl::CivilSecond civil(parsed.year, parsed.month, parsed.day, parsed.hour, parsed.minute,
                                parsed.second);
  return ZonedTime{absl::FromCivil(civil, zone) + absl::Nanoseconds(parsed.nanoseconds), zone};
}

}  // namespace narthex::gotemplate
