// Any form as the parameters of API requests: whatever comes, the answer is one JSON document (or
// none), and a time that is understood is the same when it is written and read again.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/utf8.h"
#include "lib/json/reader.h"
#include "services/query/api/config_handlers.h"
#include "services/query/api/metadata_handlers.h"
#include "services/query/api/params.h"
#include "services/query/api/query_handlers.h"
#include "services/query/api/self_metrics.h"
#include "services/query/api/value_writer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"

namespace narthex::query_api {
namespace {

struct World {
  World() {
    const Labels labels{{kMetricName, "up"}, {"job", "x"}};
    for (int i = 0; i < 10; ++i) memory.Append(labels, 1'700'000'000'000 + i * 15'000, i);
    config::ScrapeConfig job;
    job.job_name = "j";
    relabel::RelabelConfig rule;
    rule.source_labels = {"__address__", "job"};
    rule.target_label = "t";
    job.relabel_configs = {rule};
    config->scrape_configs = {job};
  }
  FakeClock clock;
  metrics::Registry registry;
  testing::MemoryStorage memory;
  promql::Engine engine{promql::EngineOptions(), &clock, &registry};
  storage::FanoutQuerier querier{{&memory}};
  query_cache::ResultCache cache{size_t{1} << 20, &engine, &querier, &registry};
  QueryHandlers queries{&engine, &cache, &querier, &clock};
  MetadataHandlers metadata{&querier, &clock, absl::Minutes(1)};
  std::shared_ptr<config::PrometheusConfig> config = std::make_shared<config::PrometheusConfig>();
  ConfigHandlers jobs{[this] { return config; }};
  SelfMetrics self{&registry};
};

void Check(Answer answer) {
  http::ServerResponse response = ToResponse(std::move(answer));
  if (response.status == 204) return;
  if (response.stream != nullptr) {
    NARTHEX_CHECK(response.stream([&](std::string_view piece) {
      response.body.append(piece);
      return true;
    }));
  }
  NARTHEX_CHECK_OK(json::Parse(response.body).status());
}

void CheckTexts(std::string_view text) {
  if (const absl::StatusOr<Timestamp> time = ParseTime(text); time.ok()) {
    NARTHEX_CHECK(*time >= kApiMinTime && *time <= kApiMaxTime);
    // Beyond these a double no longer holds single milliseconds.
    if (*time > -4'000'000'000'000'000 && *time < 4'000'000'000'000'000) {
      std::string written;
      AppendTimestamp(&written, *time);
      NARTHEX_CHECK(ParseTime(written).value() == *time);
    }
  }
  (void)ParseApiDuration(text);
  (void)ParseGoInt(text);
  if (IsValidUtf8(text)) NARTHEX_CHECK(IsValidUtf8(UnescapeName(text)));
}

}  // namespace
}  // namespace narthex::query_api

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  static auto* const world = new query_api::World();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  query_api::CheckTexts(input);
  http::ServerRequest request;
  request.cancelled = [] { return false; };
  // The expression is the engine's matter; any would do here.
  request.params.Add("query", "up");
  (void)http::ParseForm(input, &request.params);
  query_api::Check(world->queries.Instant(request));
  query_api::Check(world->queries.Range(request));
  query_api::Check(world->metadata.LabelNames(request));
  query_api::Check(world->metadata.Series(request));
  query_api::Check(world->self.Handle(request));
  query_api::Check(world->jobs.ScrapePoolConfig(request));
  query_api::Check(world->jobs.RelabelSteps(request));
  http::ServerRequest direct;
  direct.params.Add("scrapePool", "j");
  direct.params.Add("labels", input);
  direct.params.Add("query", input);
  query_api::Check(world->jobs.RelabelSteps(direct));
  query_api::Check(world->queries.Parse(direct));
  query_api::Check(world->queries.Format(direct));
  request.path_params.emplace_back("name", input);
  query_api::Check(world->metadata.LabelValues(request));
  return 0;
}
