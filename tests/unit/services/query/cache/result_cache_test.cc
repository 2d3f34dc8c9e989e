#include "services/query/cache/result_cache.h"

#include <random>
#include <string>
#include <utility>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "tests/support/memory_storage.h"

namespace narthex::query_cache {
namespace {

constexpr Timestamp kStart = 1'700'000'000'000;
constexpr size_t kBytes = size_t{16} << 20;

// Counts what reaches storage, and can fail to know what changed.
class CountingQuerier : public storage::Querier {
 public:
  explicit CountingQuerier(storage::Querier* querier) : querier_(querier) {}
  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override {
    ++selects;
    for (const storage::Selector& selector : selectors) {
      oldest = std::min(oldest, selector.hints.start);
      newest = std::max(newest, selector.hints.end);
    }
    auto result = querier_->Select(selectors, options);
    if (result.ok() && !warning.empty()) result->warnings.push_back(warning);
    if (result.ok() && forgetful) result->changes = {};
    return result;
  }
  absl::StatusOr<storage::DataChanges> Changes(std::string_view known) override {
    if (forgetful) return storage::DataChanges();
    return querier_->Changes(known);
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const std::vector<Matcher>> sets,
                                                      Timestamp min_time,
                                                      Timestamp max_time) override {
    return querier_->LabelNames(sets, min_time, max_time);
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view name,
                                                       std::span<const std::vector<Matcher>> sets,
                                                       Timestamp min_time,
                                                       Timestamp max_time) override {
    return querier_->LabelValues(name, sets, min_time, max_time);
  }

  int selects = 0;
  Timestamp oldest = kMaxTimestamp;  // Asked for.
  Timestamp newest = kMinTimestamp;
  std::string warning;
  bool forgetful = false;

 private:
  storage::Querier* const querier_;
};

struct Fixture {
  explicit Fixture(size_t bytes = kBytes) : cache(bytes, &engine, &counting, &registry) {}

  std::string Text(absl::StatusOr<promql::Result> result) {
    INFO(result.status().ToString());
    if (!result.ok()) return std::string(Message(result.status()));
    std::string text;
    for (const promql::Series& series : std::get<promql::Matrix>(result->value)) {
      text += series.labels.ToString();
      for (size_t i = 0; i < series.samples.size(); ++i) {
        text += StrCat(" ", series.samples.timestamps()[i] - kStart, ":",
                       std::to_string(series.samples.values()[i]));
      }
      text += "\n";
    }
    for (const std::string& warning : result->warnings) text += warning + "\n";
    if (with_infos) {
      for (const std::string& info : result->infos) text += info + "\n";
    }
    return text;
  }
  std::string Cached(const std::string& query, Timestamp start, Timestamp end, int64_t step) {
    counting.selects = 0;
    counting.oldest = kMaxTimestamp;
    counting.newest = kMinTimestamp;
    const auto expr = engine.Parse(query);
    REQUIRE(expr.ok());
    return Text(cache.Range(query, **expr, start, end, step, {}));
  }
  std::string Fresh(const std::string& query, Timestamp start, Timestamp end, int64_t step) {
    return Text(engine.Range(&storage, query, start, end, step));
  }
  // As cached and as fresh, which must be the same; the number of Selects that it took.
  int Ask(const std::string& query, Timestamp start, Timestamp end, int64_t step = 60'000) {
    const std::string cached = Cached(query, start, end, step);
    const int selects = counting.selects;
    CHECK(cached == Fresh(query, start, end, step));
    return selects;
  }
  void Fill(Timestamp from, Timestamp to) {
    for (Timestamp t = from; t < to; t += 15'000) {
      for (const char* instance : {"a", "b", "c"}) {
        storage.Append(Labels::FromPairs({{"__name__", "m"}, {"i", instance}}), t,
                       static_cast<double>((t - kStart) / 1000 * (instance[0] - 'a' + 1)));
      }
    }
  }

  testing::MemoryStorage storage;
  CountingQuerier counting{&storage};
  // Those of steps that are kept beyond the ones asked for come along.
  bool with_infos = true;
  metrics::Registry registry;
  promql::Engine engine{{}, RealClock(), &registry};
  ResultCache cache;
};

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;

TEST_CASE("A query that is asked again is not computed again") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  CHECK(f.Ask("sum(rate(m[5m]))", kStart, kStart + kHour) == 1);
  CHECK(f.Ask("sum(rate(m[5m]))", kStart, kStart + kHour) == 0);
  CHECK(f.Ask("sum(rate(m[5m]))", kStart + 10 * kMinute, kStart + 30 * kMinute) == 0);
  // Another expression, step or phase is another matter.
  CHECK(f.Ask("sum(rate(m[6m]))", kStart, kStart + kHour) == 1);
  CHECK(f.Ask("sum(rate(m[5m]))", kStart, kStart + kHour, 30'000) == 1);
  CHECK(f.Ask("sum(rate(m[5m]))", kStart + 1, kStart + kHour) == 1);
}

TEST_CASE("A refresh computes the steps that are new, and those that may have changed") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  const std::string query = "sum by (i) (rate(m[5m]))";
  CHECK(f.Ask(query, kStart, kStart + kHour) == 1);
  f.Fill(kStart + kHour, kStart + kHour + 2 * kMinute);
  CHECK(f.Ask(query, kStart + 2 * kMinute, kStart + kHour + 2 * kMinute) == 1);
  // The newest step that was there lies before the first new sample only by its own time.
  CHECK(f.counting.oldest == kStart + kHour - 5 * kMinute + 1);
  // To the left, too.
  CHECK(f.Ask(query, kStart - 10 * kMinute, kStart + 30 * kMinute) == 1);
  CHECK(f.counting.newest == kStart - kMinute);
  // On both sides.
  CHECK(f.Ask(query, kStart - 20 * kMinute, kStart + kHour + 9 * kMinute) == 2);
}

TEST_CASE("Late samples and deletions show in steps that were kept") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  const Labels a = Labels::FromPairs({{"__name__", "m"}, {"i", "a"}});
  const std::string query = "max_over_time(m[2m])";
  f.Ask(query, kStart, kStart + kHour);
  f.storage.Put(a, kStart + 20 * kMinute + 1, 1e9);
  CHECK(f.Ask(query, kStart, kStart + kHour) == 1);
  CHECK(f.counting.oldest > kStart + 18 * kMinute);
  CHECK(f.Ask(query, kStart, kStart + kHour) == 0);
  f.storage.Delete(a, kStart + 40 * kMinute, kStart + 50 * kMinute);
  CHECK(f.Ask(query, kStart, kStart + kHour) == 1);
  CHECK(f.counting.oldest > kStart + 37 * kMinute);
}

TEST_CASE("What reads ahead or at fixed times is computed again when that changed") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  const std::string ahead = "m offset -10m";
  const std::string fixed = StrCat("m - m @ ", (kStart + kHour) / 1000, ".000");
  f.Ask(ahead, kStart, kStart + 30 * kMinute);
  f.Ask(fixed, kStart, kStart + 30 * kMinute);
  f.storage.Put(Labels::FromPairs({{"__name__", "m"}, {"i", "a"}}), kStart + 35 * kMinute, 7);
  CHECK(f.Ask(ahead, kStart, kStart + 30 * kMinute) == 1);
  CHECK(f.Ask(fixed, kStart, kStart + 30 * kMinute) == 1);
  CHECK(f.Ask(fixed, kStart, kStart + 30 * kMinute) == 0);
}

TEST_CASE("What depends on the bounds of the query is not kept") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  for (const char* query :
       {"m @ start()", "rate(m[5m] @ end())", "max_over_time(m[5m:1m] @ end())"}) {
    CHECK(f.Ask(query, kStart, kStart + kHour) == 1);
    CHECK(f.Ask(query, kStart, kStart + kHour) == 1);
  }
  CHECK(f.cache.entries() == 0);
}

TEST_CASE("Partial answers, and those of stores that keep no account, are not kept") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  f.counting.warning = "a store is away";
  for (int i = 0; i < 2; ++i) {
    CHECK(f.Cached("m", kStart, kStart + kHour, kMinute).find("a store is away") !=
          std::string::npos);
    CHECK(f.counting.selects == 1);
  }
  f.counting.warning.clear();
  f.counting.forgetful = true;
  CHECK(f.Ask("m", kStart, kStart + kHour) == 1);
  CHECK(f.Ask("m", kStart, kStart + kHour) == 1);
  f.counting.forgetful = false;
  CHECK(f.Ask("m", kStart, kStart + kHour) == 1);
  CHECK(f.Ask("m", kStart, kStart + kHour) == 0);
  // A part that is away does not get in beside what is kept.
  f.counting.warning = "a store is away";
  f.Cached("m", kStart, kStart + kHour + 10 * kMinute, kMinute);
  f.counting.warning.clear();
  CHECK(f.Ask("m", kStart, kStart + kHour + 10 * kMinute) == 1);
}

TEST_CASE("Infos come with results that are kept, errors are not kept") {
  Fixture f;
  f.Fill(kStart, kStart + kHour);
  f.Ask("rate(m[5m])", kStart, kStart + kHour);
  CHECK(f.Cached("rate(m[5m])", kStart, kStart + kHour, kMinute).find("PromQL info") !=
        std::string::npos);
  CHECK(f.counting.selects == 0);
  f.Ask("m + on () m", kStart, kStart + kHour);
  f.Ask("m + on () m", kStart, kStart + kHour);
  CHECK(f.cache.entries() == 1);
}

TEST_CASE("The cache stays within its size, and takes large answers when they come again") {
  Fixture f(400'000);
  f.Fill(kStart, kStart + kHour);
  for (int i = 0; i < 200; ++i) {
    f.Ask(StrCat("m + ", i), kStart, kStart + kHour);
    CHECK(f.cache.bytes() <= 400'000);
  }
  CHECK(f.cache.entries() > 20);
  CHECK(f.cache.entries() < 150);
  CHECK(f.Ask("m + 199", kStart, kStart + kHour) == 0);
  CHECK(f.Ask("m + 0", kStart, kStart + kHour) == 1);
  f.cache.Clear();
  CHECK(f.cache.bytes() == 0);
  CHECK(f.Ask("m + 199", kStart, kStart + kHour) == 1);

  Fixture large(size_t{64} << 20);
  for (int i = 0; i < 2000; ++i) {
    large.storage.Append(Labels::FromPairs({{"__name__", "m"}, {"i", std::to_string(i)}}), kStart,
                         1);
  }
  CHECK(large.Ask("m", kStart, kStart + 4 * kMinute, 1000) == 1);
  CHECK(large.cache.entries() == 0);
  CHECK(large.Ask("m", kStart, kStart + 4 * kMinute, 1000) == 1);
  CHECK(large.Ask("m", kStart, kStart + 4 * kMinute, 1000) == 0);
}

TEST_CASE("Whatever is written, deleted and asked, the answers are those without the cache") {
  const std::vector<std::string> queries = {"m",
                                            "sum(m)",
                                            "rate(m[3m])",
                                            "max_over_time(m[2m:30s])",
                                            "m offset 5m",
                                            "m offset -2m",
                                            "count(m) or vector(time())",
                                            "absent(m)",
                                            StrCat("m @ ", (kStart + 20 * kMinute) / 1000),
                                            "topk(1, m)",
                                            "sum by (i) (m) / on () group_left sum(m)"};
  for (unsigned seed = 1; seed <= 8; ++seed) {
    Fixture f;
    f.with_infos = false;
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    Timestamp now = kStart;
    for (int round = 0; round < 150; ++round) {
      now += pick(60'000);
      const Labels labels =
          Labels::FromPairs({{"__name__", "m"}, {"i", std::string(1, "abcd"[pick(4)])}});
      switch (pick(8)) {
        case 0:
          f.storage.Put(labels, now - pick(1'800'000), pick(100));
          break;
        case 1:
          f.storage.Delete(labels, now - pick(1'800'000), now);
          break;
        default:
          f.storage.Put(labels, now, pick(100));
      }
      const int64_t step = pick(2) == 0 ? 60'000 : 15'000;
      const Timestamp start = (now - pick(1'800'000)) / step * step + (pick(9) == 0 ? 7 : 0);
      const std::string& query =
          queries[static_cast<size_t>(pick(static_cast<int>(queries.size())))];
      INFO("seed " << seed << " round " << round << " " << query);
      f.Ask(query, start, start + pick(1'800'000), step);
    }
    CHECK(f.cache.entries() > 0);
  }
}

}  // namespace
}  // namespace narthex::query_cache
