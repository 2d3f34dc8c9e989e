// What the API asks of storage nodes beside samples: whole answers, of nodes that the test plays.
#include <grpcpp/grpcpp.h>

#include "catch2/catch.hpp"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/server.h"
#include "lib/rpc/status.h"
#include "narthex/v1/storage.grpc.pb.h"
#include "services/query/api/storage_handlers.h"
#include "services/query/api/target_handlers.h"
#include "tests/support/fake_clock.h"

namespace narthex::query_api {
namespace {

// A node that says what it is told to, and remembers what it was asked.
class FakeNode : public v1::Storage::Service {
 public:
  FakeNode() {
    auto server = rpc::Server::Create({}, {this});
    REQUIRE(server.ok());
    server_ = *std::move(server);
    rpc::StorageClient::Options options;
    options.endpoint = StrCat("127.0.0.1:", server_->port());
    client = std::make_unique<rpc::StorageClient>(std::move(options));
  }

  grpc::Status Exemplars(grpc::ServerContext*, const v1::ExemplarsRequest* request,
                         grpc::ServerWriter<v1::ExemplarsResponse>* writer) override {
    asked = request->ShortDebugString();
    // A message a series.
    for (const v1::SeriesExemplars& series : exemplars.series()) {
      v1::ExemplarsResponse response;
      *response.add_series() = series;
      writer->Write(response);
    }
    return rpc::ToGrpc(failure);
  }
  grpc::Status Metadata(grpc::ServerContext*, const v1::MetadataRequest* request,
                        grpc::ServerWriter<v1::MetadataResponse>* writer) override {
    asked = request->ShortDebugString();
    writer->Write(metadata);
    return rpc::ToGrpc(failure);
  }
  grpc::Status Statistics(grpc::ServerContext*, const v1::StatisticsRequest* request,
                          v1::StatisticsResponse* response) override {
    asked = request->ShortDebugString();
    *response = statistics;
    return rpc::ToGrpc(failure);
  }
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusResponse* response) override {
    *response = status;
    return rpc::ToGrpc(failure);
  }
  grpc::Status Admin(grpc::ServerContext*, const v1::AdminRequest* request,
                     v1::AdminResponse* response) override {
    asked = request->ShortDebugString();
    response->set_snapshot(snapshot);
    return rpc::ToGrpc(failure);
  }
  std::string endpoint() const { return client->endpoint(); }

  absl::Status failure;
  v1::ExemplarsResponse exemplars;
  v1::MetadataResponse metadata;
  v1::StatisticsResponse statistics;
  v1::StatusResponse status;
  std::string snapshot;
  std::string asked;  // Read after the answer only.
  std::unique_ptr<rpc::StorageClient> client;

 private:
  std::unique_ptr<rpc::Server> server_;
};

void AddExemplar(v1::SeriesExemplars* series, const Labels& labels, Timestamp at, double value) {
  v1::Exemplar* const exemplar = series->add_exemplars();
  rpc::ToProto(labels, exemplar->mutable_labels());
  exemplar->set_timestamp_ms(at);
  exemplar->set_value(value);
}

void AddCount(google::protobuf::RepeatedPtrField<v1::NamedCount>* list, std::string name,
              uint64_t count) {
  v1::NamedCount* const out = list->Add();
  out->set_name(std::move(name));
  out->set_count(count);
}

struct Fixture {
  FakeClock clock;
  metrics::Registry registry;
  promql::Engine engine{promql::EngineOptions(), &clock, &registry};
  FakeNode a;
  FakeNode b;

  using Pairs = std::vector<std::pair<std::string, std::string>>;
  static http::ServerRequest Request(const Pairs& pairs) {
    http::ServerRequest request;
    request.cancelled = [] { return false; };
    for (const auto& [name, value] : pairs) request.params.Add(name, value);
    return request;
  }
  StorageHandlers One(bool admin = true) { return {{a.client.get()}, &engine, admin}; }
  StorageHandlers Two(bool admin = true) {
    return {{a.client.get(), b.client.get()}, &engine, admin};
  }
};

TEST_CASE("Exemplars of the selectors of an expression") {
  Fixture f;
  v1::SeriesExemplars* series = f.a.exemplars.add_series();
  rpc::ToProto(Labels{{"__name__", "x"}, {"le", "<1"}}, series->mutable_labels());
  AddExemplar(series, Labels{{"trace_id", "abc"}}, 1'600'096'945'479, 6);
  AddExemplar(series, Labels(), 1'600'096'955'000, 0.25);
  const auto ask = [&](StorageHandlers handlers) {
    return handlers.Exemplars(
        Fixture::Request({{"query", "rate(x[5m]) + sum(y)"}, {"start", "1"}, {"end", "2.5"}}));
  };
  const Answer one = ask(f.One());
  CHECK_FALSE(one.failed);
  CHECK(one.data == R"([{"seriesLabels":{"__name__":"x","le":"\u003c1"},"exemplars":[)"
                    R"({"labels":{"trace_id":"abc"},"value":"6","timestamp":1600096945.479},)"
                    R"({"labels":{},"value":"0.25","timestamp":1600096955}]}])");
  CHECK(f.a.asked == R"(matcher_sets { matchers { name: "__name__" value: "x" } } )"
                     R"(matcher_sets { matchers { name: "__name__" value: "y" } } )"
                     "min_time_ms: 1000 max_time_ms: 2500");

  // A replica has one of the two, and one of its own, of another series.
  series = f.b.exemplars.add_series();
  rpc::ToProto(Labels{{"__name__", "a"}}, series->mutable_labels());
  AddExemplar(series, Labels(), 5000, 1);
  series = f.b.exemplars.add_series();
  rpc::ToProto(Labels{{"__name__", "x"}, {"le", "<1"}}, series->mutable_labels());
  AddExemplar(series, Labels(), 1'600'096'955'000, 0.25);
  CHECK(ask(f.Two()).data == R"([{"seriesLabels":{"__name__":"a"},"exemplars":[)"
                             R"({"labels":{},"value":"1","timestamp":5}]},)" +
                                 one.data.substr(1));

  CHECK(f.One().Exemplars(Fixture::Request({{"query", "1"}})).data.empty());
  CHECK(f.One().Exemplars(Fixture::Request({{"query", "("}})).error_type == ErrorType::kBadData);
  CHECK(f.One().Exemplars(Fixture::Request({{"query", "x"}, {"start", "5"}, {"end", "3"}})).error ==
        "end timestamp must not be before start timestamp");
}

TEST_CASE("A node that is down is a warning while another answers") {
  Fixture f;
  f.b.failure = Unavailable("the log is being replayed");
  const auto request = Fixture::Request({{"query", "x"}});
  const Answer partial = f.Two().Exemplars(request);
  CHECK_FALSE(partial.failed);
  CHECK(partial.data == "[]");
  CHECK(partial.warnings == std::vector<std::string>{
                                StrCat("storage ", f.b.endpoint(), ": the log is being replayed")});
  f.a.failure = Unavailable("away");
  const Answer none = f.Two().Exemplars(request);
  CHECK(none.failed);
  CHECK(none.error_type == ErrorType::kUnavailable);
  CHECK(none.error == StrCat("storage ", f.a.endpoint(), ": away"));
}

TEST_CASE("Statistics are joined, and cut where the caller says") {
  Fixture f;
  f.a.statistics.set_series(5);
  f.a.statistics.set_label_pairs(7);
  f.a.statistics.set_chunks(9);
  f.a.statistics.set_min_time_ms(100);
  f.a.statistics.set_max_time_ms(200);
  AddCount(f.a.statistics.mutable_series_by_metric_name(), "up", 3);
  AddCount(f.a.statistics.mutable_series_by_metric_name(), "down", 2);
  AddCount(f.a.statistics.mutable_growth_by_metric_name(), "down", 1);
  const auto ask = [](StorageHandlers handlers, Fixture::Pairs pairs) {
    return handlers.Statistics(Fixture::Request(pairs));
  };
  CHECK(
      ask(f.One(), {}).data ==
      R"({"headStats":{"numSeries":5,"numLabelPairs":7,"chunkCount":9,"minTime":100,"maxTime":200},)"
      R"("seriesCountByMetricName":[{"name":"up","value":3},{"name":"down","value":2}],)"
      R"("labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],)"
      R"("seriesCountByLabelValuePair":[],"seriesGrowthByMetricName":[{"name":"down","value":1}]})");
  CHECK(f.a.asked == "limit: 10");
  ask(f.One(), {{"limit", "3"}});
  CHECK(f.a.asked == "limit: 3");

  // Empty, as a node without samples says it.
  f.b.statistics.set_min_time_ms(kMaxTimestamp);
  f.b.statistics.set_max_time_ms(kMinTimestamp);
  AddCount(f.b.statistics.mutable_series_by_metric_name(), "down", 2);
  AddCount(f.b.statistics.mutable_series_by_metric_name(), "a", 1);
  CHECK(
      ask(f.Two(), {{"limit", "1"}}).data ==
      R"({"headStats":{"numSeries":5,"numLabelPairs":7,"chunkCount":9,"minTime":100,"maxTime":200},)"
      R"("seriesCountByMetricName":[{"name":"down","value":4}],)"
      R"("labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],)"
      R"("seriesCountByLabelValuePair":[],"seriesGrowthByMetricName":[{"name":"down","value":1}]})");
  for (const char* limit : {"0", "-1", "x", "1.5"}) {
    CHECK(ask(f.One(), {{"limit", limit}}).error == "limit must be a positive number");
  }
  CHECK(ask(f.One(), {{"limit", "10001"}}).error == "limit must not exceed 10000");
}

TEST_CASE("The replay shown is that of the node furthest behind") {
  Fixture f;
  f.a.status.set_state(v1::StatusResponse::READY);
  f.a.status.mutable_replay()->set_segment_first(2);
  f.a.status.mutable_replay()->set_segment_last(9);
  f.a.status.mutable_replay()->set_segment_current(9);
  CHECK(f.One().ReplayProgress(Fixture::Request({})).data == R"({"min":2,"max":9,"current":9})");
  f.b.status.mutable_replay()->set_segment_first(1);
  f.b.status.mutable_replay()->set_segment_last(5);
  f.b.status.mutable_replay()->set_segment_current(3);
  CHECK(f.Two().ReplayProgress(Fixture::Request({})).data == R"({"min":1,"max":5,"current":3})");
}

TEST_CASE("Blocks are those of all nodes, as they describe themselves") {
  Fixture f;
  CHECK(f.One().Blocks(Fixture::Request({})).data == R"({"blocks":[]})");
  f.a.status.add_blocks(R"({"ulid":"A","version":1})");
  f.b.status.add_blocks(R"({"ulid":"B","version":1})");
  CHECK(f.Two().Blocks(Fixture::Request({})).data ==
        R"({"blocks":[{"ulid":"A","version":1},{"ulid":"B","version":1}]})");
}

TEST_CASE("What changes the data is behind a flag") {
  Fixture f;
  StorageHandlers off = f.One(/*admin=*/false);
  for (const Answer& answer :
       {off.DeleteSeries(Fixture::Request({{"match[]", "up"}})),
        off.CleanTombstones(Fixture::Request({})), off.Snapshot(Fixture::Request({}))}) {
    CHECK(answer.failed);
    CHECK(answer.error == "admin APIs disabled");
    CHECK(ToResponse(answer).status == 500);
    CHECK(ToResponse(answer).body ==
          R"({"status":"error","errorType":"unavailable","error":"admin APIs disabled"})");
  }
  CHECK(f.a.asked.empty());
}

TEST_CASE("Series are deleted on every node") {
  Fixture f;
  const Answer done = f.Two().DeleteSeries(Fixture::Request(
      {{"match[]", "up{a=\"b\"}"}, {"match[]", "x"}, {"start", "1"}, {"end", "2"}}));
  CHECK_FALSE(done.failed);
  CHECK(ToResponse(done).status == 204);
  const std::string asked =
      R"(delete_series { matcher_sets { matchers { name: "a" value: "b" } )"
      R"(matchers { name: "__name__" value: "up" } } )"
      R"(matcher_sets { matchers { name: "__name__" value: "x" } } min_time_ms: 1000 max_time_ms: 2000 })";
  CHECK(f.a.asked == asked);
  CHECK(f.b.asked == asked);
  CHECK(f.One().DeleteSeries(Fixture::Request({})).error == "no match[] parameter provided");
  CHECK(f.One().DeleteSeries(Fixture::Request({{"match[]", "{"}})).error_type ==
        ErrorType::kBadData);
  CHECK(f.One().DeleteSeries(Fixture::Request({{"match[]", "up"}, {"start", "x"}})).error ==
        "invalid parameter \"start\": Invalid time value for 'start': "
        "cannot parse \"x\" to a valid timestamp");

  // One that fails makes the whole fail, after all have been told.
  f.a.failure = absl::InternalError("no");
  f.b.asked.clear();
  const Answer failed = f.Two().DeleteSeries(Fixture::Request({{"match[]", "up"}}));
  CHECK(failed.failed);
  CHECK(failed.error == StrCat("storage ", f.a.endpoint(), ": no"));
  CHECK_FALSE(f.b.asked.empty());
}

TEST_CASE("Snapshots and clean-ups") {
  Fixture f;
  f.a.snapshot = "20260101T000000Z-0000000000000001";
  f.b.snapshot = "20260101T000000Z-0000000000000002";
  CHECK(f.One().Snapshot(Fixture::Request({})).data ==
        R"({"name":"20260101T000000Z-0000000000000001"})");
  CHECK(f.a.asked == "snapshot { }");
  CHECK(f.Two().Snapshot(Fixture::Request({{"skip_head", "true"}})).data ==
        StrCat(R"({"name":"20260101T000000Z-0000000000000001","names":{")", f.a.endpoint(),
               R"(":"20260101T000000Z-0000000000000001",")", f.b.endpoint(),
               R"(":"20260101T000000Z-0000000000000002"}})"));
  CHECK(f.a.asked == "snapshot { skip_head: true }");
  CHECK(f.One().Snapshot(Fixture::Request({{"skip_head", "maybe"}})).error ==
        "invalid parameter \"skip_head\": unable to parse boolean: "
        "strconv.ParseBool: parsing \"maybe\": invalid syntax");
  CHECK(ToResponse(f.Two().CleanTombstones(Fixture::Request({}))).status == 204);
  CHECK(f.b.asked == "clean_tombstones { }");
}

TEST_CASE("Metadata of storage stands beside that of the scrapers") {
  Fixture f;
  const auto add = [](FakeNode* node, std::string metric, std::string type, std::string help) {
    v1::MetricMetadata* const out = node->metadata.add_metadata();
    out->set_metric(std::move(metric));
    out->set_type(std::move(type));
    out->set_help(std::move(help));
  };
  add(&f.a, "up", "gauge", "Whether.");
  add(&f.b, "up", "gauge", "Whether.");
  add(&f.b, "up", "counter", "How often.");
  add(&f.b, "x", "counter", "");
  TargetHandlers handlers({}, {f.a.client.get(), f.b.client.get()});
  CHECK(handlers.Metadata(Fixture::Request({})).data ==
        R"({"up":[{"type":"gauge","help":"Whether.","unit":""},)"
        R"({"type":"counter","help":"How often.","unit":""}],)"
        R"("x":[{"type":"counter","help":"","unit":""}]})");
  CHECK(handlers.Metadata(Fixture::Request({{"limit", "1"}, {"limit_per_metric", "1"}})).data ==
        R"({"up":[{"type":"gauge","help":"Whether.","unit":""}]})");
  CHECK(f.a.asked == "limit: 1");
  f.a.failure = Unavailable("away");
  f.b.failure = Unavailable("away");
  CHECK(handlers.Metadata(Fixture::Request({})).error_type == ErrorType::kUnavailable);
}

}  // namespace
}  // namespace narthex::query_api
