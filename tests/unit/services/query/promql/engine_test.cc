#include "services/query/promql/engine.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"

namespace narthex::promql {
namespace {

constexpr int64_t kMinute = 60000;

// MemoryStorage that remembers what was asked, and does as told.
class SpyQuerier : public testing::MemoryStorage {
 public:
  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override {
    asked.assign(selectors.begin(), selectors.end());
    asked_options = options;
    ++selects;
    if (on_select) on_select();
    if (!answer.ok()) return answer;
    absl::StatusOr<storage::SelectResult> result = MemoryStorage::Select(selectors, options);
    if (result.ok()) result->warnings = warnings;
    return result;
  }

  std::vector<storage::Selector> asked;
  storage::SelectOptions asked_options;
  int selects = 0;
  std::function<void()> on_select;
  absl::Status answer;
  std::vector<std::string> warnings;
};

struct Fixture {
  explicit Fixture(EngineOptions options = {}) : engine(options, &clock, &registry) {}

  void Load(int series, int minutes) {
    for (int i = 0; i < series; ++i) {
      for (int k = 0; k < minutes; ++k) {
        storage.Append(Labels{{"__name__", "a"}, {"i", StrCat(i)}}, k * kMinute, k);
      }
    }
  }

  FakeClock clock;
  metrics::Registry registry;
  SpyQuerier storage;
  Engine engine;
};

std::string TextOf(const absl::StatusOr<Result>& result) {
  return result.ok() ? "OK" : std::string(Message(result.status()));
}

double MetricOf(const metrics::Registry& registry, std::string_view name) {
  for (const metrics::CollectedFamily& family : registry.Collect()) {
    if (family.name == name) return family.samples[0].value;
  }
  return -1;
}

TEST_CASE("All selectors of a query are asked for in one Select, with their times") {
  Fixture f;
  REQUIRE(f.engine
              .Range(&f.storage,
                     "sum by (x) (rate(a[5m] offset 1m)) / b + max_over_time(c[1h:10m]) + d @ 60 + "
                     "timestamp(e)",
                     10 * kMinute, 20 * kMinute, kMinute)
              .ok());
  CHECK(f.storage.selects == 1);
  REQUIRE(f.storage.asked.size() == 5);
  const auto& rate = f.storage.asked[0].hints;
  CHECK(rate.start == 4 * kMinute + 1);
  CHECK(rate.end == 19 * kMinute);
  CHECK(rate.step_ms == kMinute);
  CHECK(rate.range_ms == 5 * kMinute);
  CHECK(rate.function == "rate");
  CHECK_FALSE(rate.newest_only);
  const auto& plain = f.storage.asked[1].hints;
  CHECK(plain.start == 5 * kMinute + 1);
  CHECK(plain.end == 20 * kMinute);
  CHECK(plain.range_ms == 0);
  CHECK(plain.function.empty());
  const auto& inner = f.storage.asked[2].hints;
  CHECK(inner.start == -50 * kMinute + 10 * kMinute - 5 * kMinute + 1);
  CHECK(inner.end == 20 * kMinute);
  CHECK(inner.step_ms == 10 * kMinute);
  const auto& fixed = f.storage.asked[3].hints;
  CHECK(fixed.start == kMinute - 5 * kMinute + 1);
  CHECK(fixed.end == kMinute);
  CHECK(fixed.newest_only);
  CHECK(f.storage.asked[4].hints.function == "timestamp");
}

TEST_CASE("Aggregations tell storage their grouping, instant queries that one sample will do") {
  Fixture f;
  REQUIRE(f.engine.Instant(&f.storage, "sum by (x, y) (a) + avg without (z) (b[5m:1m])", 0)
              .status()
              .code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(
      f.engine.Instant(&f.storage, "sum by (x, y) (a) + avg without (z) (rate(b[5m]))", 0).ok());
  REQUIRE(f.storage.asked.size() == 2);
  CHECK(f.storage.asked[0].hints.newest_only);
  CHECK(f.storage.asked[0].hints.step_ms == 0);
  CHECK(f.storage.asked[0].hints.function == "sum");
  CHECK(f.storage.asked[0].hints.grouping == std::vector<std::string>{"x", "y"});
  CHECK(f.storage.asked[0].hints.by);
  CHECK_FALSE(f.storage.asked[1].hints.newest_only);
  CHECK(f.storage.asked[1].hints.function == "rate");
  REQUIRE(f.engine.Instant(&f.storage, "1 + time()", 0).ok());
  CHECK(f.storage.selects == 1);
}

TEST_CASE("Each option of a query is heard") {
  Fixture f;
  f.storage.Append(Labels{{"__name__", "a"}}, 0, 1);
  QueryOptions options;
  options.lookback_delta = absl::Minutes(10);
  options.series_max = 7;
  options.timeout = absl::Seconds(3);
  const auto result = f.engine.Instant(&f.storage, "a", 9 * kMinute, options);
  REQUIRE(result.ok());
  CHECK(std::get<Vector>(result->value).size() == 1);
  CHECK(f.storage.asked_options.series_max == 7);
  CHECK(f.storage.asked_options.deadline == f.clock.Now() + absl::Seconds(3));
  const auto shorter = f.engine.Instant(&f.storage, "a", 9 * kMinute);
  REQUIRE(shorter.ok());
  CHECK(std::get<Vector>(shorter->value).empty());
  CHECK(f.storage.asked_options.deadline == f.clock.Now() + absl::Minutes(2));
}

TEST_CASE("A query that takes too long ends with upstream's error") {
  Fixture f;
  f.Load(3, 3);
  f.storage.on_select = [&f] { f.clock.Advance(absl::Minutes(3)); };
  const auto result = f.engine.Instant(&f.storage, "sum(a)", kMinute);
  CHECK(TextOf(result) == "query timed out in expression evaluation");
  CHECK(result.status().code() == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("A query whose caller leaves ends with upstream's error") {
  Fixture f;
  f.Load(200, 100);
  int looks = 0;
  QueryOptions options;
  options.cancelled = [&looks] { return ++looks > 2; };
  // MemoryStorage polls between series, so it sees it first.
  CHECK(f.engine.Instant(&f.storage, "sum(rate(a[1h]))", 90 * kMinute, options).status().code() ==
        absl::StatusCode::kCancelled);
  looks = 0;
  f.storage.on_select = [&looks] { looks = -200; };
  const auto result =
      f.engine.Range(&f.storage, "sum(rate(a[1h]))", 0, 90 * kMinute, 1000, options);
  CHECK(TextOf(result) == "query was canceled in expression evaluation");
  CHECK(result.status().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("Samples held at once are limited, samples that pass by are not") {
  EngineOptions options;
  options.samples_max = 1000;
  Fixture f(options);
  f.Load(100, 100);
  const std::string too_many =
      "query processing would load too many samples into memory in query execution";
  const auto whole = f.engine.Range(&f.storage, "a", 0, 99 * kMinute, kMinute);
  CHECK(TextOf(whole) == too_many);
  CHECK(whole.status().code() == absl::StatusCode::kResourceExhausted);
  // One sum of a hundred steps, though 10,000 samples are read.
  const auto sum = f.engine.Range(&f.storage, "sum(a)", 0, 99 * kMinute, kMinute);
  REQUIRE(sum.ok());
  CHECK(sum->stats.samples_read == 10000);
  CHECK(sum->stats.samples_queryable == 10000);
  CHECK(sum->stats.samples_peak < 500);
  CHECK(TextOf(f.engine.Range(&f.storage, "-{i=~\".*\",__name__=~\"a|b\"}", 0, 99 * kMinute,
                              kMinute)) == too_many);
  CHECK(TextOf(f.engine.Range(&f.storage, "a / a", 0, 99 * kMinute, kMinute)) == too_many);
  CHECK(TextOf(f.engine.Range(&f.storage, "topk(1, a)", 0, 99 * kMinute, kMinute)) == too_many);
  // Refused before anything is allocated.
  CHECK(TextOf(f.engine.Range(&f.storage, "1", 0, 100000 * kMinute, 1)) == too_many);
  CHECK(TextOf(f.engine.Instant(&f.storage, "sum_over_time(vector(1)[10y:1ms])", 0)) == too_many);
}

TEST_CASE("Bytes held at once are limited, bytes that pass by are not") {
  EngineOptions options;
  options.memory_max = 80'000;
  Fixture f(options);
  f.Load(100, 100);
  const std::string too_much =
      "query processing would need more than 80000 bytes of memory in query execution";
  const auto whole = f.engine.Range(&f.storage, "a", 0, 99 * kMinute, kMinute);
  CHECK(TextOf(whole) == too_much);
  CHECK(whole.status().code() == absl::StatusCode::kResourceExhausted);
  const auto sum = f.engine.Range(&f.storage, "sum(a)", 0, 99 * kMinute, kMinute);
  REQUIRE(sum.ok());
  CHECK(sum->stats.memory_peak > 800);
  CHECK(sum->stats.memory_peak < 20'000);
  for (const char* query : {"-{i=~\".*\",__name__=~\"a|b\"}", "a / a", "topk(1, a)", "a or b",
                            "count by (i) (a)", "quantile(0.5, a)", "count_values(\"x\", a)",
                            "sort(a)", "label_replace(a, \"x\", \"y\", \"\", \"\")"}) {
    INFO(query);
    CHECK(TextOf(f.engine.Range(&f.storage, query, 0, 99 * kMinute, kMinute)) == too_much);
  }
  CHECK(TextOf(f.engine.Range(&f.storage, "1", 0, 99 * kMinute, 100)) == too_much);
  // A refused query leaves nothing behind that counts against the next.
  CHECK(f.engine.Range(&f.storage, "sum(a)", 0, 99 * kMinute, kMinute).ok());
}

TEST_CASE("What a query contains twice is read once") {
  Fixture f;
  f.Load(20, 20);
  struct Case {
    const char* query;
    bool instant;
    size_t selectors;
  };
  for (const Case& row :
       std::vector<Case>{{"sum(rate(a[5m])) / sum(rate(a[5m]))", false, 1},
                         {"sum(a) > 3 and (sum(a) < 1000)", false, 1},
                         {"sum by (i) (a) - sum(a)", false, 2},
                         {"sum(a) / sum(a offset 1m)", false, 2},
                         {"sum(a @ 60) + sum(a @ 60) + sum(a)", false, 2},
                         {"max_over_time(sum(a)[5m:1m]) - sum(a)", false, 2},
                         {"a / a", false, 2},
                         {"a / a", true, 1},
                         {"rate(a[5m]) / ignoring (i) group_left sum(rate(a[5m]))", true, 2},
                         {"topk(3, a) or bottomk(3, a) or topk(3, a)", true, 2}}) {
    INFO(row.query);
    const auto shared =
        row.instant ? f.engine.Instant(&f.storage, row.query, 19 * kMinute)
                    : f.engine.Range(&f.storage, row.query, 5 * kMinute, 19 * kMinute, kMinute);
    REQUIRE(shared.ok());
    CHECK(f.storage.asked.size() == row.selectors);
  }
  const auto same =
      f.engine.Range(&f.storage, "sum by (i) (rate(a[5m])) / sum by (i) (rate(a[5m]))", 5 * kMinute,
                     19 * kMinute, kMinute);
  REQUIRE(same.ok());
  const auto& matrix = std::get<Matrix>(same->value);
  REQUIRE(matrix.size() == 20);
  for (const Series& series : matrix) {
    REQUIRE(series.samples.size() == 15);
    for (const double value : series.samples.values()) CHECK(value == 1);
  }
}

TEST_CASE("Reading ahead changes nothing but the thread") {
  Fixture plain;
  EngineOptions options;
  options.read_ahead_threads = 2;
  options.read_ahead_samples_min = 65536;
  Fixture ahead(options);
  for (Fixture* f : {&plain, &ahead}) f->Load(400, 400);
  for (const char* query :
       {"sum(rate(a[5m]))", "sum(a) + sum(rate(a[3m])) * sum(max_over_time(a[2m]))", "rate(a[5m])",
        "a - a offset 5m", "a or a offset 1m", "max_over_time(sum(a)[10m:1m])",
        "a * ignoring (i) group_left sum(a)"}) {
    INFO(query);
    const auto wanted =
        plain.engine.Range(&plain.storage, query, 10 * kMinute, 390 * kMinute, 10 * kMinute);
    const auto got =
        ahead.engine.Range(&ahead.storage, query, 10 * kMinute, 390 * kMinute, 10 * kMinute);
    REQUIRE(wanted.ok());
    REQUIRE(got.ok());
    const auto& a = std::get<Matrix>(wanted->value);
    const auto& b = std::get<Matrix>(got->value);
    REQUIRE(a.size() == b.size());
    CHECK(wanted->stats.samples_read == got->stats.samples_read);
    CHECK(wanted->stats.samples_queryable == got->stats.samples_queryable);
    for (size_t i = 0; i < a.size(); ++i) {
      REQUIRE(a[i].labels == b[i].labels);
      REQUIRE(std::equal(a[i].samples.values().begin(), a[i].samples.values().end(),
                         b[i].samples.values().begin(), b[i].samples.values().end()));
    }
  }
}

// A store whose answer never ends, and which counts its sets.
class EndlessQuerier : public testing::MemoryStorage {
 public:
  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override {
    storage::SelectResult result;
    for (size_t i = 0; i < selectors.size(); ++i) {
      result.sets.push_back(std::make_unique<Set>(this, options.cancelled));
    }
    return result;
  }
  std::atomic<int> alive{0};

 private:
  class Set : public storage::SeriesSet {
   public:
    Set(EndlessQuerier* owner, std::function<bool()> cancelled)
        : owner_(owner), cancelled_(std::move(cancelled)) {
      ++owner_->alive;
    }
    ~Set() override { --owner_->alive; }
    bool Next() override {
      if (cancelled_ && cancelled_()) {
        status_ = absl::CancelledError("the caller has left");
        return false;
      }
      labels_ = Labels{{"__name__", "a"}, {"i", StrCat(++number_)}};
      return true;
    }
    const Labels& labels() const override { return labels_; }
    absl::Status ReadSamples(SampleBuffer* out) override {
      for (int k = 0; k < 1000; ++k) out->Append(k * 1000, k);
      return absl::OkStatus();
    }
    absl::Status status() const override { return status_; }

   private:
    EndlessQuerier* const owner_;
    const std::function<bool()> cancelled_;
    int number_ = 0;
    Labels labels_;
    absl::Status status_;
  };
};

TEST_CASE("A thousand queries whose callers leave half-way leave nothing behind") {
  EngineOptions options;
  options.read_ahead_threads = 3;
  options.read_ahead_samples_min = 65536;
  options.concurrency_max = 8;
  Fixture f(options);
  EndlessQuerier endless;
  const char* const queries[] = {"sum(rate(a[5m]))", "topk(3, a)", "a / a offset 1m",
                                 "sum by (i) (max_over_time(a[1m])) > 0", "sort(a)"};
  std::atomic<int> cancelled{0};
  {
    std::vector<Thread> callers;
    for (int caller = 0; caller < 10; ++caller) {
      callers.emplace_back("caller", [&, caller] {
        for (int i = 0; i < 100; ++i) {
          std::atomic<int> looks{(caller * 100 + i) % 150};
          QueryOptions query_options;
          query_options.cancelled = [&looks] { return --looks < 0; };
          const auto result =
              f.engine.Range(&endless, queries[i % 5], 0, 600 * 1000, 10 * 1000, query_options);
          if (absl::IsCancelled(result.status())) ++cancelled;
        }
      });
    }
  }
  CHECK(cancelled == 1000);
  CHECK(endless.alive == 0);
  CHECK(MetricOf(f.registry, "prometheus_engine_queries") == 0);
  // All threads and places are free again.
  f.Load(3, 3);
  CHECK(f.engine.Instant(&f.storage, "sum(a)", kMinute).ok());
}

TEST_CASE("A query that would need too much is refused at once while others go on") {
  EngineOptions options;
  options.samples_max = uint64_t{1} << 60;
  options.memory_max = 64 << 20;
  options.read_ahead_threads = 1;
  options.read_ahead_samples_min = 65536;
  Fixture f(options);
  f.Load(10, 10);
  EndlessQuerier endless;
  for (const char* query :
       {"a", "topk(1, a)", "a / a", "sum by (i) (rate(a[1m]))", "a or a",
        "quantile by (i) (0.5, a)", "label_replace(a, \"x\", \"y\", \"\", \"\")"}) {
    INFO(query);
    const auto result = f.engine.Range(&endless, query, 0, 11000 * 1000, 1000);
    CHECK(result.status().code() == absl::StatusCode::kResourceExhausted);
    CHECK(TextOf(result) ==
          "query processing would need more than 67108864 bytes of memory in query execution");
  }
  CHECK(endless.alive == 0);
  CHECK(f.engine.Range(&f.storage, "sum(a)", 0, 9 * kMinute, 1000).ok());
}

TEST_CASE("Queries beyond the limit of concurrency wait for a place") {
  EngineOptions options;
  options.concurrency_max = 1;
  Fixture f(options);
  f.Load(1, 1);
  StopSignal inside;
  StopSignal release;
  f.storage.on_select = [&] {
    inside.Set();
    release.WaitFor(absl::Seconds(20));
  };
  absl::StatusOr<Result> first = absl::UnknownError("not run");
  Thread slow("slow", [&] { first = f.engine.Instant(&f.storage, "a", 0); });
  REQUIRE(inside.WaitFor(absl::Seconds(20)));
  CHECK(MetricOf(f.registry, "prometheus_engine_queries") == 1);

  QueryOptions gone;
  gone.cancelled = [] { return true; };
  const auto cancelled = f.engine.Instant(&f.storage, "1", 0, gone);
  CHECK(TextOf(cancelled) == "query was canceled in query queue");
  QueryOptions hasty;
  hasty.timeout = absl::ZeroDuration();
  CHECK(TextOf(f.engine.Instant(&f.storage, "1", 0, hasty)) == "query timed out in query queue");

  absl::StatusOr<Result> second = absl::UnknownError("not run");
  Thread waiting("waiting", [&] { second = f.engine.Instant(&f.storage, "1", 0); });
  REQUIRE(f.clock.WaitForWaiters(1));
  release.Set();
  slow.Join();
  waiting.Join();
  CHECK(first.ok());
  CHECK(second.ok());
  CHECK(MetricOf(f.registry, "prometheus_engine_queries") == 0);
  CHECK(MetricOf(f.registry, "prometheus_engine_queries_concurrent_max") == 1);
}

TEST_CASE("What storage answers is passed on") {
  Fixture f;
  f.storage.warnings = {"store b: away"};
  const auto result = f.engine.Instant(&f.storage, "a", 0);
  REQUIRE(result.ok());
  CHECK(result->warnings == std::vector<std::string>{"store b: away"});
  f.storage.answer = absl::UnavailableError("no storage at x:1");
  const auto away = f.engine.Instant(&f.storage, "a", 0);
  CHECK(away.status().code() == absl::StatusCode::kUnavailable);
  CHECK(TextOf(away) == "no storage at x:1");
}

TEST_CASE("Annotations carry their place when the text of the query is known") {
  Fixture f;
  f.Load(1, 5);
  const auto by_text = f.engine.Instant(&f.storage, "sum(\n  rate(a[5m]))", 4 * kMinute);
  REQUIRE(by_text.ok());
  const std::string info =
      "PromQL info: metric might not be a counter, name does not end in "
      "_total/_sum/_count/_bucket: \"a\"";
  CHECK(by_text->infos == std::vector<std::string>{info + " (2:8)"});
  const auto expr = f.engine.Parse("rate(a[5m])");
  const auto by_expr = f.engine.Instant(&f.storage, **expr, 4 * kMinute);
  REQUIRE(by_expr.ok());
  CHECK(by_expr->infos == std::vector<std::string>{info});
}

TEST_CASE("Wrong questions are refused as such") {
  Fixture f;
  const auto refused = [&](const absl::StatusOr<Result>& result) {
    CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
    return TextOf(result);
  };
  CHECK(
      refused(f.engine.Range(&f.storage, "a[5m]", 0, 1, 1)) ==
      "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector");
  CHECK(refused(f.engine.Range(&f.storage, "\"x\"", 0, 1, 1)) ==
        "invalid expression type \"string\" for range query, must be Scalar or instant Vector");
  CHECK(refused(f.engine.Instant(&f.storage, "a +", 0)) ==
        "1:4: parse error: unexpected end of input");
  refused(f.engine.Range(&f.storage, "a", 1, 0, 1));
  refused(f.engine.Range(&f.storage, "a", 0, 1, 0));
  refused(f.engine.Instant(&f.storage, "a", kMaxTimestamp));
  refused(f.engine.Instant(&f.storage, "a", kMinTimestamp));
  CHECK(f.storage.selects == 0);
}

TEST_CASE("Times at the edge of what a timestamp holds do no harm") {
  Fixture f;
  f.Load(1, 2);
  for (const char* query :
       {"a @ 9223372036854774", "a @ -9223372036854774", "rate(a[290y] @ -9223372036854774)",
        "a offset 290y", "a offset -290y", "max_over_time(a[290y:1y] offset 290y)",
        "predict_linear(a[290y] offset -290y @ 9223372036854774, 1e308)", "hour(vector(1e300))",
        "year(vector(-Inf))", "month(vector(NaN))"}) {
    INFO(query);
    CHECK(f.engine.Instant(&f.storage, query, int64_t{1} << 60).ok());
    CHECK(f.engine.Instant(&f.storage, query, -(int64_t{1} << 60)).ok());
  }
}

TEST_CASE("The highest trees that parse can be evaluated") {
  Fixture f;
  f.Load(2, 2);
  const auto repeat = [](std::string_view text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  for (const std::string& query :
       {"a" + repeat(" or a", 900), "a" + repeat(" + a", 900), "1" + repeat(" + 1", 900),
        "a" + repeat(" * 1", 900), repeat("(", 390) + "a" + repeat(")", 390),
        repeat("-(", 190) + "a" + repeat(")", 190), repeat("sum(", 390) + "a" + repeat(")", 390),
        repeat("max_over_time(", 190) + "a" + repeat("[2m:1m])", 190)}) {
    INFO(query.substr(0, 40));
    CHECK(TextOf(f.engine.Range(&f.storage, query, 0, kMinute, kMinute)) == "OK");
  }
}

TEST_CASE("A reload changes the default step of subqueries") {
  Fixture f;
  const auto count = [&] {
    const auto result =
        f.engine.Instant(&f.storage, "count_over_time(vector(1)[10m:])", 100 * kMinute);
    REQUIRE(result.ok());
    return std::get<Vector>(result->value)[0].value;
  };
  CHECK(count() == 10);
  f.engine.SetSubqueryStepDefault(absl::Minutes(2));
  CHECK(count() == 5);
}

TEST_CASE("Each type of value comes as itself") {
  Fixture f;
  f.Load(1, 3);
  const auto text = f.engine.Instant(&f.storage, "(\"x\")", 5);
  REQUIRE(text.ok());
  CHECK(std::get<String>(text->value).value == "x");
  CHECK(std::get<String>(text->value).timestamp == 5);
  const auto scalar = f.engine.Instant(&f.storage, "time()", 1500);
  REQUIRE(scalar.ok());
  CHECK(std::get<Scalar>(scalar->value).value == 1.5);
  const auto matrix = f.engine.Instant(&f.storage, "a[1m:30s]", 2 * kMinute);
  REQUIRE(matrix.ok());
  REQUIRE(std::get<Matrix>(matrix->value).size() == 1);
  CHECK(std::get<Matrix>(matrix->value)[0].samples.size() == 2);
  const auto range = f.engine.Range(&f.storage, "time()", 0, 2 * kMinute, kMinute);
  REQUIRE(range.ok());
  CHECK(TypeOf(range->value) == ValueType::kMatrix);
  CHECK(std::get<Matrix>(range->value)[0].samples.values()[2] == 120);
}

}  // namespace
}  // namespace narthex::promql
