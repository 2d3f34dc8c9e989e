#include "tests/conformance/query/script_runner.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lib/base/regex.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/query/promql/functions.h"
#include "services/query/promql/histogram_buckets.h"
#include "services/query/promql/histogram_math.h"
#include "services/query/promql/printer.h"
#include "tests/conformance/query/script_load.h"

namespace narthex::testing {
namespace {

using promql::Expr;
using promql::ExprKind;
using promql::Matrix;
using promql::Series;
using promql::Value;

constexpr double kEpsilon = 1e-6;

promql::EngineOptions TestOptions(bool delayed_name_removal) {
  promql::EngineOptions options;
  options.samples_max = 10000;
  options.timeout = absl::Seconds(100);
  options.parser = {true, true, true};
  options.delayed_name_removal = delayed_name_removal;
  options.use_start_timestamps = true;
  return options;
}

bool AlmostEqual(double a, double b) {
  if (IsStale(a) || IsStale(b)) return IsStale(a) && IsStale(b);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  const double size = std::abs(a) + std::abs(b);
  const double difference = std::abs(a - b);
  constexpr double kSmallest = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || size < kSmallest) return difference < kEpsilon * kSmallest;
  return difference / std::min(size, std::numeric_limits<double>::max()) < kEpsilon;
}

template <typename Predicate>
bool CallsAny(const Expr& expr, Predicate predicate) {
  if (expr.kind == ExprKind::kCall && predicate(promql::As<promql::Call>(expr).function->name)) {
    return true;
  }
  for (const Expr* child : promql::Children(expr)) {
    if (CallsAny(*child, predicate)) return true;
  }
  return false;
}

// Functions whose value depends on when they are asked, so that "@" would change it.
bool DependsOnTime(std::string_view function) {
  static const std::vector<std::string_view> kNames = {
      "time",         "timestamp",   "predict_linear", "minute", "hour", "day_of_week",
      "day_of_month", "day_of_year", "days_in_month",  "month",  "year", "start",
      "end",          "step",        "range"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end();
}

// Sets "@" on every selector and subquery that has none and is not inside a subquery that got one.
void SetAt(Expr* expr, Timestamp time) {
  promql::TimeModifiers* modifiers = nullptr;
  if (expr->kind == ExprKind::kVectorSelector) {
    modifiers = &promql::As<promql::VectorSelector>(*expr).time;
  }
  if (expr->kind == ExprKind::kSubquery) modifiers = &promql::As<promql::Subquery>(*expr).time;
  if (modifiers != nullptr) {
    if (!modifiers->has_at()) modifiers->at = time;
    return;
  }
  for (const Expr* child : promql::Children(*expr)) SetAt(const_cast<Expr*>(child), time);
}

// -- Expectations.

std::string CheckLines(const ScriptCommand& command, ScriptExpectation::Kind wanted,
                       ScriptExpectation::Kind unwanted, const std::vector<std::string>& lines,
                       std::string_view what) {
  bool any_wanted = false;
  std::vector<bool> explained(lines.size(), false);
  for (const ScriptExpectation& expectation : command.expectations) {
    if (expectation.kind == unwanted && !lines.empty()) {
      return StrCat("unexpected ", what, ": ", lines[0]);
    }
    if (expectation.kind != wanted) continue;
    any_wanted = true;
    bool found = false;
    for (size_t i = 0; i < lines.size(); ++i) {
      bool matches = expectation.message.empty() || lines[i] == expectation.message;
      if (!expectation.regex.empty()) {
        matches = Regex::Compile(StrCat(".*", expectation.regex, ".*"))->Matches(lines[i]);
      }
      if (matches) found = explained[i] = true;
    }
    if (!found) {
      return StrCat("expected ", what, " ", expectation.message, expectation.regex, ", got ",
                    lines.empty() ? "none" : lines[0]);
    }
  }
  if (!any_wanted) return "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!explained[i]) return StrCat("unexpected ", what, ": ", lines[i]);
  }
  return "";
}

std::string CheckAnnotations(const ScriptCommand& command, const promql::Result& result) {
  using Kind = ScriptExpectation::Kind;
  std::string wrong = CheckLines(command, Kind::kWarn, Kind::kNoWarn, result.warnings, "warning");
  if (wrong.empty()) wrong = CheckLines(command, Kind::kInfo, Kind::kNoInfo, result.infos, "info");
  return wrong;
}

// Whether the evaluation is expected to fail; `*wrong` tells when it did otherwise.
bool ExpectsFailure(const ScriptCommand& command, const absl::Status& status, std::string* wrong) {
  bool expected = false;
  std::vector<std::string> lines;
  if (!status.ok()) lines.emplace_back(Message(status));
  for (const ScriptExpectation& expectation : command.expectations) {
    expected = expected || expectation.kind == ScriptExpectation::Kind::kFail;
  }
  if (expected && status.ok()) {
    *wrong = "expected an error, got none";
  } else if (expected) {
    for (const ScriptExpectation& expectation : command.expectations) {
      if (expectation.kind != ScriptExpectation::Kind::kFail) continue;
      const bool same = expectation.message.empty() || expectation.message == lines[0];
      const bool like = expectation.regex.empty() ||
                        Regex::Compile(StrCat(".*", expectation.regex, ".*"))->Matches(lines[0]);
      if (!same || !like) {
        *wrong =
            StrCat("expected error ", expectation.message, expectation.regex, ", got ", lines[0]);
      }
    }
  } else if (!status.ok()) {
    *wrong = StrCat("error: ", lines[0]);
  }
  return expected;
}

bool AlmostEqual(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return AlmostEqual(x, y); });
}

// Empty buckets do not matter; the hint only where the script names one.
bool AlmostEqual(const ScriptPoint& point, const FloatHistogram& got) {
  const FloatHistogram a = promql::Compact(*point.histogram);
  const FloatHistogram b = promql::Compact(got);
  return a.schema == b.schema && AlmostEqual(a.count, b.count) && AlmostEqual(a.sum, b.sum) &&
         AlmostEqual(a.zero_threshold, b.zero_threshold) &&
         AlmostEqual(a.zero_count, b.zero_count) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans &&
         AlmostEqual(a.positive_buckets, b.positive_buckets) &&
         AlmostEqual(a.negative_buckets, b.negative_buckets) &&
         AlmostEqual(a.custom_values, b.custom_values) &&
         (!point.names_hint || a.reset_hint == b.reset_hint);
}

std::string HistogramText(const FloatHistogram& histogram) {
  return StrCat(promql::HistogramText(histogram), " of schema ", histogram.schema, ", hint ",
                static_cast<int>(histogram.reset_hint));
}

// What is wrong with a value, a number or a histogram.
std::string CheckPoint(const ScriptPoint& expected, double value, const FloatHistogram* histogram) {
  if (expected.kind == ScriptPoint::Kind::kFloat && histogram == nullptr) {
    if (AlmostEqual(expected.value, value)) return "";
    return StrCat("expected ", expected.value, ", got ", value);
  }
  if (expected.kind != ScriptPoint::Kind::kHistogram) {
    return StrCat("expected ", expected.value, ", got ", HistogramText(*histogram));
  }
  const std::string wanted = StrCat("expected ", HistogramText(*expected.histogram), ", got ");
  if (histogram == nullptr) return StrCat(wanted, value);
  if (AlmostEqual(expected, *histogram)) return "";
  return StrCat(wanted, HistogramText(*histogram));
}

const FloatHistogram* HistogramOf(const SampleBuffer& samples, size_t index) {
  return samples.kind(index) == SampleKind::kFloatHistogram ? &samples.float_histogram(index)
                                                            : nullptr;
}

std::string CheckSamples(const ScriptSeries& expected, const Series& got, Timestamp start,
                         int64_t step_ms) {
  size_t next = 0;
  for (size_t i = 0; i < expected.points.size(); ++i) {
    if (expected.points[i].kind == ScriptPoint::Kind::kGap) continue;
    const Timestamp time = start + static_cast<int64_t>(i) * step_ms;
    if (next == got.samples.size() || got.samples.timestamps()[next] != time) {
      return StrCat(expected.labels.ToString(), ": no sample at ", time);
    }
    const std::string wrong =
        CheckPoint(expected.points[i], got.samples.values()[next], HistogramOf(got.samples, next));
    ++next;
    if (!wrong.empty()) return StrCat(expected.labels.ToString(), " at ", time, ": ", wrong);
  }
  if (next < got.samples.size()) {
    return StrCat(expected.labels.ToString(), ": unexpected sample ", got.samples.values()[next],
                  " at ", got.samples.timestamps()[next]);
  }
  return "";
}

std::string CheckMatrix(const ScriptCommand& command, const Matrix& matrix, Timestamp start) {
  for (size_t i = 1; i < matrix.size(); ++i) {
    if (!(matrix[i - 1].labels < matrix[i].labels)) return "matrix is not sorted by labels";
  }
  size_t found = 0;
  for (const ScriptSeries& expected : command.series) {
    const bool empty =
        std::all_of(expected.points.begin(), expected.points.end(),
                    [](const ScriptPoint& point) { return point.kind == ScriptPoint::Kind::kGap; });
    const auto got = std::find_if(matrix.begin(), matrix.end(), [&](const Series& series) {
      return series.labels == expected.labels;
    });
    if (got == matrix.end()) {
      if (empty) continue;
      return StrCat("no series ", expected.labels.ToString());
    }
    ++found;
    std::string wrong = CheckSamples(expected, *got, start, command.step_ms);
    if (!wrong.empty()) return wrong;
  }
  if (found == matrix.size()) return "";
  for (const Series& series : matrix) {
    const bool expected =
        std::any_of(command.series.begin(), command.series.end(),
                    [&](const ScriptSeries& other) { return other.labels == series.labels; });
    if (!expected) return StrCat("unexpected series ", series.labels.ToString());
  }
  return "a series appears twice";
}

std::string CheckVector(const ScriptCommand& command, const promql::Vector& vector) {
  if (vector.size() != command.series.size()) {
    std::string got;
    for (const auto& sample : vector) StrAppend(&got, " ", sample.labels.ToString());
    return StrCat("expected ", command.series.size(), " elements, got ", vector.size(), ":", got);
  }
  for (size_t i = 0; i < command.series.size(); ++i) {
    const ScriptSeries& expected = command.series[i];
    const auto got = std::find_if(vector.begin(), vector.end(), [&](const auto& sample) {
      return sample.labels == expected.labels;
    });
    if (got == vector.end()) return StrCat("no element ", expected.labels.ToString());
    if (command.ordered && static_cast<size_t>(got - vector.begin()) != i) {
      return StrCat(expected.labels.ToString(), " is at another place");
    }
    const std::string wrong = CheckPoint(expected.points[0], got->value, got->histogram.get());
    if (!wrong.empty()) return StrCat(expected.labels.ToString(), ": ", wrong);
  }
  return "";
}

std::string CheckValue(const ScriptCommand& command, const Value& value) {
  switch (promql::TypeOf(value)) {
    case promql::ValueType::kScalar: {
      const double got = std::get<promql::Scalar>(value).value;
      if (!command.scalar.has_value()) return "unexpected scalar";
      if (AlmostEqual(*command.scalar, got)) return "";
      return StrCat("expected ", *command.scalar, ", got ", got);
    }
    case promql::ValueType::kString:
      if (command.text == std::get<promql::String>(value).value) return "";
      return "another string";
    case promql::ValueType::kVector:
      return CheckVector(command, std::get<promql::Vector>(value));
    case promql::ValueType::kMatrix:
      if (!command.range_vector) return "unexpected range vector";
      return CheckMatrix(command, std::get<Matrix>(value), command.range_start);
    case promql::ValueType::kNone:
      break;
  }
  return "no value";
}

// The step `time` of a range query as the value of an instant one.
Value StepOf(const Matrix& matrix, Timestamp time, bool scalar) {
  promql::Vector vector;
  for (const Series& series : matrix) {
    for (size_t i = 0; i < series.samples.size(); ++i) {
      if (series.samples.timestamps()[i] != time) continue;
      const double value = series.samples.values()[i];
      if (scalar) return promql::Scalar{time, value};
      const FloatHistogram* histogram = HistogramOf(series.samples, i);
      vector.push_back(
          {series.labels, time, value,
           histogram == nullptr ? nullptr : std::make_shared<FloatHistogram>(*histogram)});
    }
  }
  return vector;
}

}  // namespace

ScriptRunner::ScriptRunner(bool delayed_name_removal, ScriptStorage* storage)
    : engine_(TestOptions(delayed_name_removal), RealClock(), &registry_), storage_(storage) {}

void ScriptRunner::Run(const std::string& name, const std::vector<ScriptCommand>& commands,
                       ScriptOutcome* outcome) {
  absl::Status status = storage_->Clear();
  for (const ScriptCommand& command : commands) {
    const std::string place = StrCat(name, ":", command.line, ": ");
    if (command.kind == ScriptCommand::Kind::kClear) status = storage_->Clear();
    if (command.kind == ScriptCommand::Kind::kLoad) status = storage_->Load(LoadedBy(command));
    if (!status.ok()) {
      outcome->failures.push_back(StrCat(place, Message(status)));
      return;
    }
    const bool evaluates = command.kind == ScriptCommand::Kind::kEvalInstant ||
                           command.kind == ScriptCommand::Kind::kEvalRange;
    if (!evaluates) continue;
    const std::string wrong = Evaluate(command);
    if (wrong.empty()) {
      ++outcome->passed;
    } else {
      outcome->failures.push_back(StrCat(place, command.query, ": ", wrong));
    }
  }
}

std::string ScriptRunner::Evaluate(const ScriptCommand& command) {
  if (command.kind == ScriptCommand::Kind::kEvalRange) return EvaluateRange(command);
  std::string wrong = EvaluateInstant(command, command.query, command.start);
  const absl::StatusOr<promql::ExprPtr> expr = engine_.Parse(command.query);
  if (!wrong.empty() || !expr.ok() || CallsAny(**expr, DependsOnTime)) return wrong;
  promql::ExprPtr fixed = promql::Clone(**expr);
  SetAt(fixed.get(), command.start);
  const std::string query = promql::ToString(*fixed);
  const Timestamp time = command.start;
  std::vector<Timestamp> times = {-10 * time, 0, time / 5, time, 10 * time};
  if (time == 0) times = {-1000, 0, 1000};
  for (const Timestamp other : times) {
    wrong = EvaluateInstant(command, query, other);
    if (!wrong.empty()) return StrCat("as ", query, " at ", other, ": ", wrong);
  }
  return "";
}

std::string ScriptRunner::EvaluateInstant(const ScriptCommand& command, const std::string& query,
                                          Timestamp time) {
  // By expression, so that annotations come without places.
  absl::StatusOr<promql::ExprPtr> expr = engine_.Parse(query);
  absl::StatusOr<promql::Result> result = expr.ok()
                                              ? engine_.Instant(storage_->querier(), **expr, time)
                                              : absl::StatusOr<promql::Result>(expr.status());
  std::string wrong;
  if (ExpectsFailure(command, result.status(), &wrong) || !wrong.empty()) return wrong;
  wrong = CheckAnnotations(command, *result);
  if (wrong.empty()) wrong = CheckValue(command, result->value);
  if (!wrong.empty() || command.range_vector || command.text.has_value()) return wrong;
  for (std::string_view bounded : {"start()", "end()", "range()", "step()"}) {
    if (ToLowerAscii(query).find(bounded) != std::string::npos) return "";
  }
  constexpr int64_t kMinute = 60000;
  absl::StatusOr<promql::Result> range =
      engine_.Range(storage_->querier(), **expr, time - kMinute, time + kMinute, kMinute);
  if (!range.ok()) return StrCat("as a range: ", Message(range.status()));
  if (command.ordered) return "";
  wrong = CheckValue(command, StepOf(std::get<Matrix>(range->value), time,
                                     promql::TypeOf(result->value) == promql::ValueType::kScalar));
  return wrong.empty() ? "" : StrCat("as a range: ", wrong);
}

std::string ScriptRunner::EvaluateRange(const ScriptCommand& command) {
  absl::StatusOr<promql::ExprPtr> expr = engine_.Parse(command.query);
  absl::StatusOr<promql::Result> result =
      expr.ok()
          ? engine_.Range(storage_->querier(), **expr, command.start, command.end, command.step_ms)
          : absl::StatusOr<promql::Result>(expr.status());
  std::string wrong;
  if (ExpectsFailure(command, result.status(), &wrong) || !wrong.empty()) return wrong;
  wrong = CheckAnnotations(command, *result);
  if (!wrong.empty()) return wrong;
  return CheckMatrix(command, std::get<Matrix>(result->value), command.start);
}

}  // namespace narthex::testing
