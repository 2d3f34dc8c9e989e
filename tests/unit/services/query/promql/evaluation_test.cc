#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "lib/model/stale.h"
#include "services/query/promql/engine.h"
#include "tests/support/memory_storage.h"

// What expressions evaluate to. Upstream's scripts (tests/conformance/query) say far more; here is
// what they do not: queries over ranges with series that come and go, and the engine as it is
// configured by default.
namespace narthex::promql {
namespace {

constexpr int64_t kMinute = 60000;

class Fixture {
 public:
  Fixture() : engine_({}, RealClock(), &registry_) {}

  // Values a minute apart from 0 on; "_" is a gap, "s" a staleness marker.
  void Load(std::string_view metric, std::string_view values) {
    const absl::StatusOr<Labels> labels = ParseMetric(metric);
    REQUIRE(labels.ok());
    Timestamp time = 0;
    for (const std::string_view text : Split(values, ' ')) {
      double value = StaleNan();
      if (text != "_" && (text == "s" || ParseDouble(text, &value))) {
        storage_.Append(*labels, time, value);
      }
      time += kMinute;
    }
  }

  // "{a="b"} 1 _ 2; …": the series in label order with a value or gap a step; or the error.
  std::string Range(std::string_view query, int64_t start_minutes, int64_t end_minutes) {
    const absl::StatusOr<Result> result =
        engine_.Range(&storage_, query, start_minutes * kMinute, end_minutes * kMinute, kMinute);
    if (!result.ok()) return std::string(Message(result.status()));
    std::string text;
    for (const Series& series : std::get<Matrix>(result->value)) {
      if (!text.empty()) text += "; ";
      text += series.labels.ToString();
      size_t next = 0;
      for (int64_t minute = start_minutes; minute <= end_minutes; ++minute) {
        const bool present =
            next < series.samples.size() && series.samples.timestamps()[next] == minute * kMinute;
        StrAppend(&text, " ", present ? FormatFloat(series.samples.values()[next]) : "_");
        if (present) ++next;
      }
    }
    return text;
  }

  std::string Instant(std::string_view query, int64_t minutes) {
    const absl::StatusOr<Result> result = engine_.Instant(&storage_, query, minutes * kMinute);
    if (!result.ok()) return std::string(Message(result.status()));
    std::string text;
    if (const auto* scalar = std::get_if<Scalar>(&result->value)) return FormatFloat(scalar->value);
    std::map<Labels, std::string> sorted;
    for (const VectorSample& sample : std::get<Vector>(result->value)) {
      CHECK(sample.timestamp == minutes * kMinute);
      sorted[sample.labels] = FormatFloat(sample.value);
    }
    for (const auto& [labels, value] : sorted) {
      StrAppend(&text, text.empty() ? "" : "; ", labels.ToString(), " ", value);
    }
    return text;
  }

 private:
  metrics::Registry registry_;
  Engine engine_;
  testing::MemoryStorage storage_;
};

TEST_CASE("A selector gives the newest sample within the lookback, and nothing after a marker") {
  Fixture f;
  f.Load("a", "1 2 _ 4 s _ 7");
  CHECK(f.Range("a", 0, 13) == R"({__name__="a"} 1 2 2 4 _ _ 7 7 7 7 7 _ _ _)");
  CHECK(f.Range("a offset 1m", 0, 4) == R"({__name__="a"} _ 1 2 2 4)");
  CHECK(f.Range("a offset -1m", 0, 2) == R"({__name__="a"} 2 2 4)");
  CHECK(f.Range("a @ 60", 0, 2) == R"({__name__="a"} 2 2 2)");
  CHECK(f.Range("a @ end()", 0, 3) == R"({__name__="a"} 4 4 4 4)");
  CHECK(f.Range("timestamp(a)", 0, 3) == "{} 0 60 60 180");
}

TEST_CASE("A range holds the samples after its start up to its end, without markers") {
  Fixture f;
  f.Load("a", "1 2 _ 4 s 6");
  CHECK(f.Range("count_over_time(a[2m])", 0, 7) == "{} 1 2 1 1 1 1 1 _");
  CHECK(f.Range("sum_over_time(a[1m])", 0, 5) == "{} 1 2 _ 4 _ 6");
  CHECK(f.Range("last_over_time(a[3m])", 0, 5) == R"({__name__="a"} 1 2 2 4 4 6)");
}

TEST_CASE("Series of several names that lose them are joined where they do not meet") {
  Fixture f;
  f.Load(R"(a{x="1"})", "1 1 s");
  f.Load(R"(b{x="1"})", "_ _ 5 6");
  CHECK(f.Range(R"(-{__name__=~"a|b"})", 0, 3) == R"({x="1"} -1 -1 -5 -6)");
  CHECK(f.Range(R"({__name__=~"a|b"} * 2)", 0, 3) == R"({x="1"} 2 2 10 12)");
  CHECK(f.Range(R"(sum_over_time({__name__=~"a|b"}[1m]))", 0, 3) == R"({x="1"} 1 1 5 6)");
  f.Load(R"(c{x="1"})", "_ 9");
  const std::string same = "vector cannot contain metrics with the same labelset";
  CHECK(f.Range(R"(-{__name__=~"a|c"})", 0, 3) == same);
  CHECK(f.Range(R"(abs({__name__=~"a|c"}))", 1, 1) == same);
  CHECK(f.Range(R"(count_over_time({__name__=~"a|c"}[5m]))", 0, 3) == same);
  CHECK(f.Instant(R"(label_replace({__name__=~"a|c"}, "__name__", "d", "", ""))", 1) == same);
  // Sorted by label, equal ones side by side, though the name is gone.
  CHECK(f.Instant(R"(-{__name__=~"a|c"})", 0) == R"({x="1"} -1)");
}

TEST_CASE("Vectors match step by step") {
  Fixture f;
  f.Load(R"(a{x="1"})", "1 2 3 4");
  f.Load(R"(a{x="2"})", "5 s _ 8");
  f.Load(R"(b{x="1",y="p"})", "10 10 s");
  f.Load(R"(b{x="1",y="q"})", "_ _ 20 20");
  f.Load(R"(b{x="2",y="q"})", "_ 30 30 30");
  CHECK(f.Range("a + on (x) b", 0, 3) == R"({x="1"} 11 12 23 24; {x="2"} _ _ _ 38)");
  CHECK(f.Range("a + ignoring (y) b", 0, 3) == R"({x="1"} 11 12 23 24; {x="2"} _ _ _ 38)");
  CHECK(f.Range("a + on (x) group_left (y) b", 0, 3) ==
        R"({x="1", y="p"} 11 12 _ _; {x="1", y="q"} _ _ 23 24; {x="2", y="q"} _ _ _ 38)");
  CHECK(f.Range("b - on (x) group_left a", 0, 3) ==
        R"({x="1", y="p"} 9 8 _ _; {x="1", y="q"} _ _ 17 16; {x="2", y="q"} _ _ _ 22)");
  CHECK(f.Range("a < on (x) group_right b", 0, 3) ==
        R"({__name__="b", x="1", y="p"} 1 2 _ _; {__name__="b", x="1", y="q"} _ _ 3 4; )"
        R"({__name__="b", x="2", y="q"} _ _ _ 8)");
  CHECK(f.Range("a > 2", 0, 3) ==
        R"({__name__="a", x="1"} _ _ 3 4; {__name__="a", x="2"} 5 _ _ 8)");
  CHECK(f.Range("2 < bool a", 0, 3) == R"({x="1"} 0 0 1 1; {x="2"} 1 _ _ 1)");
}

TEST_CASE("Ambiguous matches are errors, at the steps where they are") {
  Fixture f;
  f.Load(R"(a{x="1"})", "_ _ 1");
  f.Load(R"(b{x="1",y="p"})", "1 1 1");
  f.Load(R"(b{x="1",y="q"})", "2 2 s");
  const std::string duplicate =
      R"(found duplicate series for the match group {x="1"} on the right hand-side of the operation: )"
      R"([{__name__="b", x="1", y="q"}, {__name__="b", x="1", y="p"}];many-to-many matching not )"
      "allowed: matching labels must be unique on one side";
  // The left side is not there when the right one is double.
  CHECK(f.Range("a + on (x) b", 0, 2) == R"({x="1"} _ _ 2)");
  CHECK(f.Range("a offset -1m + on (x) b", 0, 2) == duplicate);
  CHECK(f.Range("b + on (x) a offset -1m", 0, 2) ==
        "multiple matches for labels: many-to-one matching must be explicit "
        "(group_left/group_right)");
  CHECK(f.Range("b + on (x) group_left (y) (a offset -1m)", 0, 2) ==
        "multiple matches for labels: grouping labels must ensure unique matches");
  CHECK(f.Range("a offset -1m + on (x) group_left b", 0, 2) == duplicate);
}

TEST_CASE("Set operators decide step by step") {
  Fixture f;
  f.Load(R"(a{x="1"})", "1 1 s 1");
  f.Load(R"(a{x="2"})", "2 2 2 2");
  f.Load(R"(b{x="1"})", "_ 5 5 s");
  CHECK(f.Range("a and b", 0, 3) == R"({__name__="a", x="1"} _ 1 _ _)");
  CHECK(f.Range("a unless b", 0, 3) ==
        R"({__name__="a", x="1"} 1 _ _ 1; {__name__="a", x="2"} 2 2 2 2)");
  CHECK(f.Range("b or a", 0, 3) ==
        R"({__name__="a", x="1"} 1 _ _ 1; {__name__="a", x="2"} 2 2 2 2; )"
        R"({__name__="b", x="1"} _ 5 5 _)");
  CHECK(f.Range("a and on () b", 0, 3) ==
        R"({__name__="a", x="1"} _ 1 _ _; {__name__="a", x="2"} _ 2 2 _)");
  CHECK(f.Range("sum(b) or vector(0)", 0, 3) == "{} 0 5 5 0");
}

TEST_CASE("Aggregations group what is there at each step") {
  Fixture f;
  f.Load(R"(a{x="1",y="p"})", "1 2 s");
  f.Load(R"(a{x="1",y="q"})", "3 _ 5");
  f.Load(R"(a{x="2",y="p"})", "_ 7 NaN");
  CHECK(f.Range("sum by (x) (a)", 0, 2) == R"({x="1"} 4 5 5; {x="2"} _ 7 NaN)");
  CHECK(f.Range("count without (x) (a)", 0, 2) == R"({y="p"} 1 2 1; {y="q"} 1 1 1)");
  CHECK(f.Range("max(a)", 0, 2) == "{} 3 7 5");
  CHECK(f.Range("topk(1, a)", 0, 2) ==
        R"({__name__="a", x="1", y="q"} 3 _ 5; {__name__="a", x="2", y="p"} _ 7 _)");
  CHECK(f.Range("bottomk by (y) (1, a)", 0, 2) ==
        R"({__name__="a", x="1", y="p"} 1 2 _; {__name__="a", x="1", y="q"} 3 3 5; )"
        R"({__name__="a", x="2", y="p"} _ _ NaN)");
  CHECK(f.Range("count_values(\"v\", a)", 0, 1) ==
        R"({v="1"} 1 _; {v="2"} _ 1; {v="3"} 1 1; {v="7"} _ 1)");
  CHECK(f.Range("quantile(0.5, a)", 0, 1) == "{} 2 3");
  CHECK(f.Range("topk(scalar(count(a)) - 1, a) * 0", 0, 0) == R"({x="1", y="q"} 0)");
  CHECK(f.Range("sum(a > 100)", 0, 2).empty());
}

TEST_CASE("What does not depend on the step is the same at all steps") {
  Fixture f;
  f.Load("a_total", "0 60 120 180 240 300");
  CHECK(f.Range("rate(a_total[2m] @ 300)", 0, 2) == "{} 1 1 1");
  CHECK(f.Range("sum(a_total @ 60) + 1", 0, 2) == "{} 61 61 61");
  CHECK(f.Range("max_over_time(a_total[3m:1m] @ 240)", 0, 2) == "{} 240 240 240");
  CHECK(f.Range("time() + scalar(a_total @ 60)", 0, 2) == "{} 60 120 180");
  CHECK(f.Range("scalar(a_total @ 60)", 0, 2) == "{} 60 60 60");
}

TEST_CASE("Subqueries stand on multiples of their step, whatever the query's") {
  Fixture f;
  f.Load("a", "0 1 2 3 4 5 6 7 8 9");
  CHECK(f.Range("count_over_time(a[4m:2m])", 5, 8) == "{} 2 2 2 2");
  CHECK(f.Range("sum_over_time(a[4m:2m])", 5, 8) == "{} 6 10 10 14");
  CHECK(f.Range("sum_over_time(a[4m:2m] offset 1m)", 6, 9) == "{} 6 10 10 14");
  CHECK(f.Range("max_over_time(sum_over_time(a[2m])[3m:1m])", 4, 5) == "{} 7 9");
  CHECK(f.Range("sum_over_time(vector(time())[2m:1m])", 2, 3) == "{} 180 300");
}

TEST_CASE("Absence is told by labels that the selector fixes") {
  Fixture f;
  f.Load("a", "1 1 s");
  CHECK(f.Range(R"(absent(a{x="y",z=~".*"}))", 0, 2) == R"({x="y"} 1 1 1)");
  CHECK(f.Range("absent(a)", 0, 2) == "{} _ _ 1");
  CHECK(f.Range("absent_over_time(a[1m])", 0, 3) == "{} _ _ 1 1");
  CHECK(f.Range(R"(absent(sum(b{x="y"})))", 0, 0) == "{} 1");
}

TEST_CASE("Scalars follow the steps") {
  Fixture f;
  f.Load(R"(a{x="1"})", "1 2 3");
  f.Load(R"(a{x="2"})", "_ _ 5");
  CHECK(f.Range("scalar(a)", 0, 3) == "{} 1 2 NaN NaN");
  CHECK(f.Range("clamp_max(a, time() / 60 + 1)", 0, 2) == R"({x="1"} 1 2 3; {x="2"} _ _ 3)");
  CHECK(f.Range("round(a / 3, scalar(a{x=\"1\"}))", 0, 1) == R"({x="1"} 0 0)");
  CHECK(f.Instant("1 + 2 * 3 ^ 2 % 5 - -1", 0) == "5");
  CHECK(f.Instant("3 > bool 2", 0) == "1");
}

TEST_CASE("Functions of native histograms have no result for numbers") {
  Fixture f;
  f.Load("a", "1 2");
  for (const char* function : {"histogram_count", "histogram_sum", "histogram_avg",
                               "histogram_stddev", "histogram_stdvar"}) {
    CHECK(f.Instant(StrCat(function, "(a)"), 0).empty());
  }
}

TEST_CASE("What cannot be evaluated says so by name") {
  Fixture f;
  CHECK(f.Instant("label_replace(a, \"b\", \"\", \"\", \"(\")", 0) ==
        "invalid regular expression in label_replace(): (");
  CHECK(f.Instant("label_replace(a, \"\", \"\", \"\", \"\")", 0) ==
        "invalid destination label name in label_replace(): ");
  CHECK(f.Instant("topk(NaN, a)", 0) == "Parameter value is NaN");
  CHECK(f.Instant("topk(1e30, a)", 0) == "Scalar value 1e+30 overflows int64");
  CHECK(f.Instant("count_values(\"\", a)", 0) == "invalid label name \"\"");
  CHECK(f.Instant("sum_over_time(a[step()])", 0) == "duration must be greater than 0");
  CHECK(f.Instant("sum_over_time(a[1h / step()])", 0) == "division by zero");
}

}  // namespace
}  // namespace narthex::promql
