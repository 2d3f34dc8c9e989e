// What a node says of itself and what it is told by hand, over real gRPC through the client that
// query uses.
#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/model/metadata.h"
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
  CHECK(statistics->bytes_by_label_name == Counts{{"i", 50}, {"__name__", 3}});
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

// Three series of a histogram with metadata and exemplars, and one gauge, through Append.
void SendFacts(const AppFixture& fixture) {
  RawAppender appender(fixture.endpoint(), "sender");
  storage::AppendBatchWriter writer;
  writer.Clear(kStart);
  uint64_t number = 0;
  const Metadata histogram = {MetricType::kHistogram, "How long.", "seconds"};
  for (const char* name : {"wait_bucket", "wait_count", "wait_sum"}) {
    writer.AddWithDefinition(++number, Labels{{"__name__", name}, {"job", "a"}}, kStart, 1);
    writer.SetMetadata(histogram);
    if (number == 1) {
      writer.AddExemplar({Labels{{"trace_id", "abc"}}, kStart - 5, 0.5});
      writer.AddExemplar({Labels(), kStart - 3, -1});
    }
  }
  writer.AddWithDefinition(++number, Labels{{"__name__", "temperature"}}, kStart, 20);
  writer.SetMetadata({MetricType::kGauge, "How warm.", ""});
  writer.AddExemplar({Labels{{"trace_id", "def"}}, kStart, 20});
  writer.AddWithDefinition(++number, Labels{{"__name__", "plain"}}, kStart, 20);
  REQUIRE(appender.Send(1, writer.Finish()));
  REQUIRE(appender.WaitAccepted(1));
  REQUIRE(appender.WaitDurable(1));
}

void CheckFacts(const AppFixture& fixture) {
  const auto client = Client(fixture);
  const auto all = client->Metadata("", 0, {});
  INFO(all.status().ToString());
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].metric == "temperature");
  CHECK((*all)[0].type == "gauge");
  CHECK((*all)[0].help == "How warm.");
  CHECK((*all)[1].metric == "wait");
  CHECK((*all)[1].type == "histogram");
  CHECK((*all)[1].unit == "seconds");
  CHECK(client->Metadata("", 1, {})->size() == 1);
  CHECK(client->Metadata("wait", 0, {})->size() == 1);
  CHECK(client->Metadata("wait_bucket", 0, {})->empty());
  CHECK(client->Metadata("temperature", 0, {})->size() == 1);
  CHECK(client->Metadata("plain", 0, {})->empty());

  const std::vector<std::vector<Matcher>> everything = {
      {Matcher::Create(MatchType::kRegex, kMetricName, ".+").value()},
      {Matcher::Equal("job", "a")}};
  const auto exemplars = client->Exemplars(everything, kStart - 5, kStart, {});
  INFO(exemplars.status().ToString());
  REQUIRE(exemplars.ok());
  REQUIRE(exemplars->size() == 2);
  CHECK((*exemplars)[0].labels == Labels{{"__name__", "temperature"}});
  CHECK((*exemplars)[0].exemplars ==
        std::vector<Exemplar>{{Labels{{"trace_id", "def"}}, kStart, 20}});
  CHECK((*exemplars)[1].labels == Labels{{"__name__", "wait_bucket"}, {"job", "a"}});
  CHECK((*exemplars)[1].exemplars ==
        std::vector<Exemplar>{{Labels{{"trace_id", "abc"}}, kStart - 5, 0.5},
                              {Labels(), kStart - 3, -1}});
  CHECK(client->Exemplars(everything, kStart - 4, kStart - 1, {})->size() == 1);
  CHECK(client->Exemplars(everything, 0, kStart - 6, {})->empty());
  CHECK(client->Exemplars(ByName("plain"), 0, kStart, {})->empty());
  CHECK(absl::IsInvalidArgument(
      client->Exemplars(std::vector<std::vector<Matcher>>{{}}, 0, 1, {}).status()));
}

TEST_CASE("Exemplars and metadata are answered, also after a restart") {
  AppFixture fixture;
  fixture.Start();
  SendFacts(fixture);
  CheckFacts(fixture);
  fixture.app->Stop();
  fixture.Start();
  CheckFacts(fixture);
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_exemplars_in_storage") == 3);
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_series_with_exemplars_in_storage") == 2);
}

TEST_CASE("A reload changes what the storage section says") {
  AppFixture fixture;
  fixture.options.config_file = fixture.dir.File("prometheus.yml");
  const auto configure = [&](std::string_view text) {
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(fixture.options.config_file, text).ok());
  };
  configure("storage: {exemplars: {max_exemplars: 2}}\n");
  fixture.Start();
  SendFacts(fixture);
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_max_exemplars") == 2);
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_exemplars_in_storage") == 2);
  CHECK(Client(fixture)->Status()->retention == "15d");
  configure(
      "storage:\n  exemplars: {max_exemplars: 1}\n"
      "  tsdb: {retention: {size: 1GB}, out_of_order_time_window: 30m}\n");
  CHECK(fixture.Querier()->Reload().ok());
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_max_exemplars") == 1);
  CHECK(fixture.Metric("prometheus_tsdb_exemplar_exemplars_in_storage") == 1);
  CHECK(fixture.Metric("prometheus_tsdb_retention_limit_bytes") == 1 << 30);
  CHECK(Client(fixture)->Status()->retention == "1GiB");
  CHECK(fixture.app->db().settings().out_of_order_window == absl::Minutes(30));
  configure("storage: {nonsense: 1}\n");
  CHECK(absl::IsInvalidArgument(fixture.Querier()->Reload()));
  CHECK(Client(fixture)->Status()->retention == "1GiB");
}

// The series that have samples left.
AppFixture::SeriesMap SelectSamples(const AppFixture& fixture) {
  AppFixture::SeriesMap series = fixture.Select({});
  std::erase_if(series, [](const auto& one) { return one.second.empty(); });
  return series;
}

TEST_CASE("Series are deleted and snapshots taken by hand") {
  AppFixture fixture;
  fixture.options.enable_admin_api = true;
  fixture.Start();
  for (int i = 0; i < 10; ++i) {
    Write(&fixture, Labels{{"__name__", i % 2 == 0 ? "even" : "odd"}, {"i", StrCat(i)}}, kStart + i,
          i);
  }
  const auto client = Client(fixture);
  const auto deleted = [&](std::vector<std::vector<Matcher>> sets, Timestamp min_time,
                           Timestamp max_time) {
    const absl::Status status = client->DeleteSeries(sets, min_time, max_time);
    INFO(status.ToString());
    CHECK(status.ok());
    return SelectSamples(fixture).size();
  };
  CHECK(deleted({{Matcher::Equal("i", "3")}, {Matcher::Equal("i", "4")}}, kMinTimestamp,
                kMaxTimestamp) == 8);
  CHECK(deleted(ByName("even"), kStart, kStart + 6) == 5);
  CHECK(deleted(ByName("nothing"), kMinTimestamp, kMaxTimestamp) == 5);
  CHECK(absl::IsInvalidArgument(client->DeleteSeries({}, kMinTimestamp, kMaxTimestamp)));
  CHECK(client->CleanTombstones().ok());
  CHECK(SelectSamples(fixture).size() == 5);

  const auto name = client->Snapshot(/*skip_head=*/false);
  INFO(name.status().ToString());
  REQUIRE(name.ok());
  AppFixture copy;
  copy.options.path = io::JoinPath(io::JoinPath(fixture.options.path, "snapshots"), *name);
  copy.Start();
  CHECK(SelectSamples(copy) == SelectSamples(fixture));
  const auto status = Client(copy)->Status();
  REQUIRE(status.ok());
  REQUIRE(status->blocks.size() == 1);
  const std::string& block = status->blocks[0];
  INFO(block);
  CHECK(block.find("{\"ulid\":\"") == 0);
  CHECK(block.find("\"numSeries\":5") != std::string::npos);
  CHECK(block.find_first_of(" \t\n") == std::string::npos);
  CHECK(client->Compact().ok());
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
