// What a node says of itself and what it is told by hand, over real gRPC through the client that
// query uses.
#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/rpc/storage_client.h"
#include "tests/unit/services/storage/app_fixture.h"

namespace narthex::storage_service {
namespace {

const Timestamp kStart = absl::ToUnixMillis(absl::Now()) - 10'000'000;
using Counts = std::vector<rpc::NamedCount>;

std::unique_ptr<rpc::StorageClient> Client(const AppFixture& fixture) {
  rpc::StorageClient::Options options;
  options.endpoint = fixture.endpoint();
  return std::make_unique<rpc::StorageClient>(std::move(options));
}

void Write(AppFixture* fixture, const Labels& labels, Timestamp at, double value) {
  tsdb::DbAppender appender(&fixture->app->db().head());
  appender.Append(labels, at, value);
  REQUIRE(appender.Commit().ok());
}

std::vector<std::vector<Matcher>> ByName(std::string_view name) {
  return {{Matcher::Equal(kMetricName, name)}};
}

TEST_CASE("Statistics are those of the series in memory") {
  AppFixture fixture;
  fixture.Start();
  const auto client = Client(fixture);
  auto statistics = client->Statistics(10);
  INFO(statistics.status().ToString());
  REQUIRE(statistics.ok());
  CHECK(statistics->series == 0);
  CHECK(statistics->min_time == kMaxTimestamp);
  CHECK(statistics->max_time == kMinTimestamp);
  CHECK(statistics->series_by_metric_name.empty());

  for (int i = 0; i < 30; ++i) {
    Write(&fixture, Labels{{"__name__", i % 3 == 0 ? "a" : "bb"}, {"i", StrCat(i)}}, kStart + i, i);
  }
  statistics = client->Statistics(2);
  REQUIRE(statistics.ok());
  CHECK(statistics->series == 30);
  CHECK(statistics->label_pairs == 32);
  CHECK(statistics->chunks == 30);
  CHECK(statistics->min_time == kStart);
  CHECK(statistics->max_time == kStart + 29);
  CHECK(statistics->series_by_metric_name == Counts{{"bb", 20}, {"a", 10}});
  CHECK(statistics->values_by_label_name == Counts{{"i", 30}, {"__name__", 2}});
  CHECK(statistics->bytes_by_label_name == Counts{{"__name__", 50}, {"i", 50}});
  CHECK(statistics->series_by_label_pair == Counts{{"__name__=bb", 20}, {"__name__=a", 10}});
  CHECK(statistics->growth_by_metric_name == Counts{{"bb", 20}, {"a", 10}});
  CHECK(statistics->growth_window < absl::Minutes(1));
  CHECK(client->Statistics(1)->series_by_metric_name == Counts{{"bb", 20}});
  CHECK(absl::IsInvalidArgument(client->Statistics(10'001).status()));
}

TEST_CASE("Series of before a restart have not grown since") {
  AppFixture fixture;
  fixture.Start();
  Write(&fixture, Labels{{"__name__", "old"}}, kStart, 1);
  fixture.app->Stop();
  fixture.Start();
  const auto client = Client(fixture);
  REQUIRE(client->Statistics(10).ok());
  Write(&fixture, Labels{{"__name__", "new"}}, kStart, 1);
  const auto statistics = client->Statistics(10);
  REQUIRE(statistics.ok());
  CHECK(statistics->series_by_metric_name == Counts{{"new", 1}, {"old", 1}});
  CHECK(statistics->growth_by_metric_name == Counts{{"new", 1}});
}

TEST_CASE("The status names state, retention and how far the replay is") {
  AppFixture fixture;
  fixture.options.retention_time = absl::Hours(48);
  fixture.options.retention_size_bytes = uint64_t{5} << 30;
  fixture.Start();
  const auto status = Client(fixture)->Status();
  INFO(status.status().ToString());
  REQUIRE(status.ok());
  CHECK(status->state == rpc::StorageState::kReady);
  CHECK(status->reason.empty());
  CHECK(status->retention == "2d or 5GiB");
  CHECK(status->segment_current == status->segment_last);
  CHECK(status->blocks.empty());
  CHECK(status->corruptions == 0);
  CHECK(fixture.Metric("prometheus_tsdb_retention_limit_seconds") == 2 * 86400);
  CHECK(fixture.Metric("prometheus_tsdb_retention_limit_bytes") == double{5} * (1 << 30));
}

TEST_CASE("Nothing is changed by hand unless a flag allows it") {
  AppFixture fixture;
  fixture.Start();
  Write(&fixture, Labels{{"__name__", "a"}}, kStart, 1);
  const auto client = Client(fixture);
  for (const absl::Status& status :
       {client->DeleteSeries(ByName("a"), kMinTimestamp, kMaxTimestamp), client->CleanTombstones(),
        client->Snapshot(false).status(), client->Compact()}) {
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(Message(status).find("--web.enable-admin-api") != std::string::npos);
    CHECK(Message(status).find(fixture.endpoint()) != std::string::npos);
  }
  CHECK(fixture.Select({}).size() == 1);
}

TEST_CASE("Before the log is replayed the status is answered, and nothing else") {
  TempDir dir;
  tsdb::DbOptions db_options;
  db_options.path = dir.path();
  auto db = tsdb::Db::Open(db_options, io::PosixFileSystem(), RealClock(), Logger());
  REQUIRE(db.ok());
  metrics::Registry registry;
  StorageService::Options options;
  options.db = db->get();
  options.clock = RealClock();
  options.registry = &registry;
  options.enable_admin = true;
  StorageService service(std::move(options));
  auto server = rpc::Server::Create({}, {service.service()});
  REQUIRE(server.ok());
  rpc::StorageClient::Options client_options;
  client_options.endpoint = StrCat("127.0.0.1:", (*server)->port());
  rpc::StorageClient client(client_options);
  auto status = client.Status();
  REQUIRE(status.ok());
  CHECK(status->state == rpc::StorageState::kStarting);
  CHECK(status->reason.find("replayed") != std::string::npos);
  CHECK(absl::IsUnavailable(client.Statistics(10).status()));
  CHECK(absl::IsUnavailable(client.Exemplars(ByName("a"), 0, 1, {}).status()));
  CHECK(absl::IsUnavailable(client.Metadata("", 0, {}).status()));
  CHECK(absl::IsUnavailable(client.CleanTombstones()));
  REQUIRE((*db)->Replay([] { return false; }).ok());
  status = client.Status();
  REQUIRE(status.ok());
  CHECK(status->state == rpc::StorageState::kReady);
  CHECK(client.Statistics(10).ok());
}

}  // namespace
}  // namespace narthex::storage_service
