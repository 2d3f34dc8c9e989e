#include "services/query/promql/query_log.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/io/file_system.h"
#include "lib/json/reader.h"
#include "services/query/promql/engine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"
#include "tests/support/temp_dir.h"

namespace narthex::promql {
namespace {

struct Fixture {
  explicit Fixture(EngineOptions options = {}) : engine(options, &clock, &registry) {}

  double Metric(std::string_view name) {
    for (const metrics::CollectedFamily& family : registry.Collect()) {
      if (family.name == name) return family.samples[0].value;
    }
    return -1;
  }
  // The lines of a log, parsed.
  std::vector<json::Value> Lines(const std::string& path) {
    std::vector<json::Value> lines;
    const std::string text = *files->ReadFile(path);
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = text.find('\n', begin);
      REQUIRE(end != std::string::npos);
      const auto line = json::Parse(text.substr(begin, end - begin));
      REQUIRE(line.ok());
      lines.push_back(*line);
      begin = end + 1;
    }
    return lines;
  }

  io::FileSystem* const files = io::PosixFileSystem();
  TempDir dir;
  FakeClock clock{absl::FromUnixMillis(1700000000123)};
  metrics::Registry registry;
  testing::MemoryStorage storage;
  Engine engine;
};

TEST_CASE("Every query is a line of the query log while there is one") {
  Fixture f;
  const std::string path = io::JoinPath(f.dir.path(), "query.log");
  CHECK(f.Metric("prometheus_engine_query_log_enabled") == 0);
  REQUIRE(f.engine.SetQueryLog(f.files, path).ok());
  CHECK(f.Metric("prometheus_engine_query_log_enabled") == 1);
  QueryOptions request;
  request.origin.client_ip = "10.0.0.1";
  request.origin.method = "GET";
  request.origin.path = "/api/v1/query_range";
  REQUIRE(f.engine.Range(&f.storage, "1 + 1", 1000, 61000, 15000, request).ok());
  QueryOptions rule;
  rule.origin.rule_file = "a.yml";
  rule.origin.rule_group = "g";
  const auto expr = f.engine.Parse("label_replace(vector(1),\"a\",\"$1\",\"b\",\"(\")");
  REQUIRE(expr.ok());
  REQUIRE_FALSE(f.engine.Instant(&f.storage, **expr, 2500, rule).ok());
  REQUIRE(f.engine.SetQueryLog(f.files, "").ok());
  REQUIRE(f.engine.Instant(&f.storage, "3", 0).ok());
  CHECK(f.Metric("prometheus_engine_query_log_enabled") == 0);

  const std::vector<json::Value> lines = f.Lines(path);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].Find("time")->text == "2023-11-14T22:13:20.123Z");
  CHECK(lines[0].Find("msg")->text == "promql query logged");
  const json::Value* params = lines[0].Find("params");
  CHECK(params->Find("query")->text == "1 + 1");
  CHECK(params->Find("start")->text == "1970-01-01T00:00:01.000Z");
  CHECK(params->Find("end")->text == "1970-01-01T00:01:01.000Z");
  CHECK(params->Find("step")->number == 15);
  CHECK(lines[0].Find("error") == nullptr);
  CHECK(lines[0].Find("ruleGroup") == nullptr);
  CHECK(lines[0].Find("httpRequest")->Find("clientIP")->text == "10.0.0.1");
  CHECK(lines[0].Find("httpRequest")->Find("path")->text == "/api/v1/query_range");
  CHECK(lines[0].Find("stats")->Find("timings")->Find("execTotalTime") != nullptr);
  CHECK(lines[0].Find("stats")->Find("samples")->Find("peakSamples") != nullptr);
  CHECK(lines[1].Find("error")->text.find("invalid regular expression") == 0);
  CHECK(lines[1].Find("params")->Find("step")->number == 0);
  CHECK(lines[1].Find("params")->Find("query")->text ==
        "label_replace(vector(1), \"a\", \"$1\", \"b\", \"(\")");
  CHECK(lines[1].Find("httpRequest") == nullptr);
  CHECK(lines[1].Find("ruleGroup")->Find("file")->text == "a.yml");
  CHECK(lines[1].Find("ruleGroup")->Find("name")->text == "g");
}

TEST_CASE("A reload follows a query log that was moved away, and keeps the old one on an error") {
  Fixture f;
  const std::string path = io::JoinPath(f.dir.path(), "query.log");
  REQUIRE(f.engine.SetQueryLog(f.files, path).ok());
  REQUIRE(f.engine.Instant(&f.storage, "1", 0).ok());
  REQUIRE(f.files->Rename(path, path + ".1").ok());
  REQUIRE(f.engine.SetQueryLog(f.files, path).ok());
  REQUIRE(f.engine.Instant(&f.storage, "2", 0).ok());
  CHECK_FALSE(f.engine.SetQueryLog(f.files, io::JoinPath(f.dir.path(), "no/such")).ok());
  REQUIRE(f.engine.Instant(&f.storage, "3", 0).ok());
  CHECK(f.Lines(path + ".1").size() == 1);
  CHECK(f.Lines(path).size() == 2);
  CHECK(f.Metric("prometheus_engine_query_log_failures_total") == 0);
}

TEST_CASE("The samples of each step are counted where it was asked for") {
  EngineOptions options;
  options.per_step_stats = true;
  Fixture f(options);
  for (int k = 0; k <= 20; ++k) {
    f.storage.Append(Labels{{"__name__", "a"}, {"i", "1"}}, k * 30000, k);
    if (k > 10) f.storage.Append(Labels{{"__name__", "a"}, {"i", "2"}}, k * 30000, k);
  }
  QueryOptions all;
  all.step_stats = true;
  const auto steps = [&](const char* query) {
    const auto result = f.engine.Range(&f.storage, query, 60000, 600000, 180000, all);
    REQUIRE(result.ok());
    uint64_t sum = 0;
    for (const uint64_t count : result->stats.samples_per_step) sum += count;
    CHECK(sum == result->stats.samples_queryable);
    return result->stats.samples_per_step;
  };
  using Counts = std::vector<uint64_t>;
  CHECK(steps("a") == Counts{1, 1, 2, 2});
  CHECK(steps("rate(a[1m])") == Counts{2, 2, 4, 4});
  // As upstream counts: what is the same at every step at each of them, and of a subquery its
  // result.
  CHECK(steps("a @ 60") == Counts{1, 1, 1, 1});
  CHECK(steps("sum_over_time(vector(1)[5m:1m])") == Counts{5, 5, 5, 5});
  CHECK(steps("max_over_time(a[2m:1m])") == Counts{2, 2, 4, 4});
  CHECK(steps("1") == Counts{0, 0, 0, 0});
  const auto plain = f.engine.Range(&f.storage, "a", 60000, 600000, 180000);
  REQUIRE(plain.ok());
  CHECK(plain->stats.samples_per_step.empty());
  CHECK(plain->stats.samples_queryable == 6);

  const auto result = f.engine.Range(&f.storage, "a", 60000, 600000, 180000, all);
  std::string text;
  json::Writer writer(&text);
  WriteQueryStats(result->stats, &writer);
  CHECK(text.find(R"("totalQueryableSamplesPerStep":[[60,1],[240,1],[420,2],[600,2]],)"
                  R"("totalQueryableSamples":6)") != std::string::npos);
}

}  // namespace
}  // namespace narthex::promql
