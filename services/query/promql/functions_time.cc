#include <cmath>
#include <utility>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

// Whole seconds, cut towards zero; what does not fit in the calendar ends at its borders.
absl::CivilSecond Civil(double seconds) {
  constexpr double kCalendarEnd = 1e15;
  if (std::isnan(seconds)) seconds = -kCalendarEnd;
  seconds = std::trunc(std::min(std::max(seconds, -kCalendarEnd), kCalendarEnd));
  return absl::CivilSecond(1970, 1, 1) + static_cast<int64_t>(seconds);
}

double DayOfWeek(double seconds) {
  // absl counts from Monday, upstream from Sunday.
  const absl::Weekday day = absl::GetWeekday(Civil(seconds));
  return (static_cast<int>(day) + 1) % 7;
}

double DaysInMonth(double seconds) {
  const absl::CivilMonth month(Civil(seconds));
  return static_cast<double>(absl::CivilDay(month + 1) - absl::CivilDay(month));
}

struct TimeRow {
  std::string_view name;
  NumberFunction function;
};

constexpr TimeRow kTimeFunctions[] = {
    {"minute", [](double x) { return static_cast<double>(Civil(x).minute()); }},
    {"hour", [](double x) { return static_cast<double>(Civil(x).hour()); }},
    {"day_of_week", DayOfWeek},
    {"day_of_month", [](double x) { return static_cast<double>(Civil(x).day()); }},
    {"day_of_year", [](double x) { return static_cast<double>(absl::GetYearDay(Civil(x))); }},
    {"days_in_month", DaysInMonth},
    {"month", [](double x) { return static_cast<double>(Civil(x).month()); }},
    {"year", [](double x) { return static_cast<double>(Civil(x).year()); }},
};

double StepSeconds(const Grid& grid, size_t step) {
  return static_cast<double>(grid.At(step)) / 1000;
}

}  // namespace

NumberFunction FindTimeFunction(std::string_view name) {
  for (const TimeRow& row : kTimeFunctions) {
    if (row.name == name) return row.function;
  }
  return nullptr;
}

ScalarOperatorPtr MakeTime(const Grid& grid) {
  return MakeScalarFunction({}, grid.count,
                            [grid](std::span<const std::vector<double>>, std::vector<double>* out) {
                              for (size_t i = 0; i < out->size(); ++i)
                                (*out)[i] = StepSeconds(grid, i);
                            });
}

VectorOperatorPtr MakeStepTimes(EvalContext* context, VectorOperatorPtr child, const Grid& grid) {
  return MakeRowMap(context, std::move(child), {},
                    [context, grid](Row* row, std::span<const std::vector<double>>) {
                      for (size_t i = 0; i < row->values.size(); ++i) {
                        if (row->PresentAt(i)) row->values[i] = StepSeconds(grid, i);
                      }
                      row->DropHistograms();
                      DropName(row, context->options());
                    });
}

}  // namespace narthex::promql
