#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "lib/model/stale.h"
#include "services/query/promql/engine.h"
#include "services/query/promql/functions.h"
#include "tests/support/memory_storage.h"

// The bytes choose an expression of the grammar. Evaluating it must not end the process, and a
// range query must give at every step what an instant query gives there: the one slides windows
// along, the other sees a single one.
namespace narthex::promql {
namespace {

constexpr int64_t kMinute = 60000;

// Makes expressions out of bytes; out of bytes it chooses the simplest.
class Generator {
 public:
  Generator(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  std::string Vector(int depth) {
    if (depth == 0) return Selector();
    switch (Choose(9)) {
      case 1:
        return StrCat("(", Vector(depth - 1), ")");
      case 2:
        return StrCat("-", Vector(depth - 1));
      case 3:
        return StrCat("(", Vector(depth - 1), ") ", Operator(), " ", Matching(), "(",
                      Vector(depth - 1), ")");
      case 4:
        return StrCat("(", Vector(depth - 1), ") ", Operator(), " ", Scalar(depth - 1));
      case 5:
        return StrCat(Scalar(depth - 1), " ", Operator(), " (", Vector(depth - 1), ")");
      case 6:
        return Aggregation(depth);
      case 7:
      case 8:
        return Call(depth);
      default:
        return Selector();
    }
  }

 private:
  size_t Choose(size_t count) { return next_ < size_ ? data_[next_++] % count : 0; }
  std::string_view Pick(const std::vector<std::string_view>& words) {
    return words[Choose(words.size())];
  }

  std::string Selector() {
    return StrCat(Pick({"a", "b", "{__name__=~\"a|b\"}", "a{x=\"1\"}", "b{y!=\"\"}", "le_bucket"}),
                  Time());
  }
  std::string Time() {
    return std::string(
        Pick({"", "", "", " offset 1m", " offset -90s", " @ 300", " @ 200 offset 1m"}));
  }
  std::string Range(int depth) {
    const std::string_view length = Pick({"5m", "1m", "90s", "20m", "1s"});
    if (depth > 0 && Choose(3) == 1) {
      return StrCat("(", Vector(depth - 1), ")[", length, ":", Pick({"", "1m", "45s"}), "]",
                    Time());
    }
    return StrCat(Pick({"a", "b", "{__name__=~\"a|b\"}", "le_bucket"}), "[", length, "]", Time());
  }
  std::string Scalar(int depth) {
    if (depth > 0) {
      const size_t choice = Choose(4);
      if (choice == 1) return StrCat("scalar(", Vector(depth - 1), ")");
      if (choice == 2) return "time()";
    }
    return std::string(Pick({"1", "0", "-1", "0.5", "2", "NaN", "Inf", "1e300"}));
  }
  std::string Operator() {
    return std::string(Pick({"+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">",
                             ">=", "and", "or", "unless", "> bool", "== bool"}));
  }
  std::string Matching() {
    return std::string(
        Pick({"", "", "on (x) ", "ignoring (y) ", "on () ", "on (x) group_left () ",
              "ignoring (y) group_right () ", "on (x) group_left (y) ", "fill(1) "}));
  }
  std::string Aggregation(int depth) {
    const std::string grouping(
        Pick({"", " by (x)", " without (y)", " by (x, y)", " by (__name__)"}));
    const std::string_view simple =
        Pick({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk",
              "quantile", "limitk", "limit_ratio", "count_values"});
    for (std::string_view with_scalar : {"topk", "bottomk", "quantile", "limitk", "limit_ratio"}) {
      if (simple == with_scalar) {
        return StrCat(simple, grouping, " (", Scalar(depth - 1), ", ", Vector(depth - 1), ")");
      }
    }
    if (simple == "count_values") {
      return StrCat(simple, grouping, " (\"v\", ", Vector(depth - 1), ")");
    }
    return StrCat(simple, grouping, " (", Vector(depth - 1), ")");
  }
  std::string Call(int depth) {
    const FunctionSignature& function = AllFunctions()[Choose(AllFunctions().size())];
    const std::string_view name = function.name;
    // What differs between the two kinds of query by its nature, or has no floats to work on.
    for (std::string_view left_out : {"start", "end", "step", "range", "sort", "info"}) {
      if (name.starts_with(left_out)) return StrCat("abs(", Vector(depth - 1), ")");
    }
    if (name == "label_replace") {
      return StrCat("label_replace(", Vector(depth - 1), ", \"", Pick({"y", "x", "__name__"}),
                    "\", \"$1\", \"", Pick({"x", "__name__", "y"}), "\", \"(.*)\")");
    }
    std::string call = StrCat(name, "(");
    for (int i = 0; i < function.arg_count; ++i) {
      if (i > 0) call += ", ";
      const ValueType type = function.arg_types[static_cast<size_t>(i)];
      if (type == ValueType::kVector) call += Vector(depth - 1);
      if (type == ValueType::kMatrix) call += Range(depth - 1);
      if (type == ValueType::kScalar) call += Scalar(depth - 1);
      if (type == ValueType::kString) call += "\"x\"";
    }
    call += ")";
    return function.return_type == ValueType::kScalar ? StrCat("vector(", call, ")") : call;
  }

  const uint8_t* const data_;
  const size_t size_;
  size_t next_ = 0;
};

testing::MemoryStorage* Storage() {
  static testing::MemoryStorage* const storage = [] {
    auto* made = new testing::MemoryStorage();
    for (int k = 0; k < 60; ++k) {
      const Timestamp time = k * 20000 + 7;
      const auto add = [&](const Labels& labels, double value) {
        if ((k * 7 + static_cast<int>(labels.hash() % 5)) % 6 != 0) {
          made->Append(labels, time, value);
        }
      };
      add(Labels{{"__name__", "a"}, {"x", "1"}}, k);
      add(Labels{{"__name__", "a"}, {"x", "2"}}, k % 9);
      add(Labels{{"__name__", "b"}, {"x", "1"}, {"y", "p"}}, k < 30 ? 1.5 * k : StaleNan());
      add(Labels{{"__name__", "b"}, {"x", "1"}, {"y", "q"}}, k < 30 ? StaleNan() : 100 - k);
      add(Labels{{"__name__", "b"}, {"x", "2"}}, k % 11 == 0 ? std::nan("") : -k);
      add(Labels{{"__name__", "le_bucket"}, {"le", "1"}, {"x", "1"}}, k);
      add(Labels{{"__name__", "le_bucket"}, {"le", "2"}, {"x", "1"}}, 2 * k);
      add(Labels{{"__name__", "le_bucket"}, {"le", "+Inf"}, {"x", "1"}}, 3 * k);
    }
    return made;
  }();
  return storage;
}

bool Same(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b)) ||
         std::abs(a - b) < 1e-6;
}

// Differences far beyond rounding cannot be told from it where numbers are huge or cancel each
// other.
bool IsDelicate(std::string_view query) {
  for (std::string_view word :
       {"1e300",        "%",     "^",    "Inf",   "deriv",   "predict", "stdvar",
        "stddev",       "==",    "!=",   "<",     ">",       "topk",    "bottomk",
        "count_values", "floor", "ceil", "round", "changes", "resets",  "sgn",
        "double",       "/"}) {
    if (query.find(word) != std::string_view::npos) return true;
  }
  return false;
}

void RunOne(const uint8_t* data, size_t size) {
  static metrics::Registry* const registry = new metrics::Registry();
  static Engine* const engine = [] {
    EngineOptions options;
    options.samples_max = 200000;
    options.parser = {true, true, true};
    return new Engine(options, RealClock(), registry);
  }();
  const std::string query = Generator(data, size).Vector(4);
  const absl::StatusOr<ExprPtr> expr = engine->Parse(query);
  if (!expr.ok()) return;
  constexpr Timestamp kStart = 2 * kMinute;
  constexpr Timestamp kEnd = 22 * kMinute;
  constexpr int64_t kStep = 77000;
  const absl::StatusOr<Result> range = engine->Range(Storage(), **expr, kStart, kEnd, kStep);
  std::map<Timestamp, std::map<Labels, double>> by_time;
  if (range.ok()) {
    for (const Series& series : std::get<Matrix>(range->value)) {
      for (size_t i = 0; i < series.samples.size(); ++i) {
        by_time[series.samples.timestamps()[i]][series.labels] = series.samples.values()[i];
      }
    }
  }
  for (Timestamp time = kStart; time <= kEnd; time += kStep) {
    const absl::StatusOr<Result> instant = engine->Instant(Storage(), **expr, time);
    if (!range.ok()) continue;
    NARTHEX_CHECK(instant.ok());
    const auto& vector = std::get<Vector>(instant->value);
    if (IsDelicate(query)) continue;
    const std::map<Labels, double>& step = by_time[time];
    NARTHEX_CHECK(step.size() == vector.size());
    for (const VectorSample& sample : vector) {
      const auto found = step.find(sample.labels);
      NARTHEX_CHECK(found != step.end());
      NARTHEX_CHECK(Same(found->second, sample.value));
    }
  }
}

}  // namespace
}  // namespace narthex::promql

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  narthex::promql::RunOne(data, size);
  return 0;
}
