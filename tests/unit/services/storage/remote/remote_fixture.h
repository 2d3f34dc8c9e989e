#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_REMOTE_REMOTE_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_REMOTE_REMOTE_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/snappy.h"
#include "lib/base/strings.h"
#include "lib/http/router.h"
#include "services/storage/remote/endpoints.h"
#include "services/storage/tsdb/querier.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::storage_remote {

inline constexpr Timestamp kNow = 1'700'000'000'000;  // Of the FakeClock.
inline constexpr std::string_view kV1Type = "application/x-protobuf";
inline constexpr std::string_view kV2Type =
    "application/x-protobuf;proto=io.prometheus.write.v2.Request";

// The endpoints over a database on a file system that can fail, without a server.
class RemoteFixture {
 public:
  using SeriesMap = std::map<Labels, std::vector<std::pair<Timestamp, double>>>;

  explicit RemoteFixture(Endpoints::Options options = {}, tsdb::DbOptions db_options = {}) {
    db_options.path = "/data";
    db = tsdb::Db::Open(db_options, &fs, &clock, Logger()).value();
    REQUIRE(db->Replay([] { return false; }).ok());
    options.db = db.get();
    options.clock = &clock;
    options.registry = &registry;
    endpoints = std::make_unique<Endpoints>(options);
    endpoints->AddRoutes(&router);
  }

  http::ServerResponse Post(std::string_view path, std::string body,
                            const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    http::ServerRequest request;
    request.method = "POST";
    request.raw_path = request.path = std::string(path);
    request.body = std::move(body);
    for (const auto& [name, value] : headers) request.headers.Add(name, value);
    request.cancelled = [] { return false; };
    return router.Dispatch(request);
  }
  http::ServerResponse Write(std::string_view message, std::string_view type = kV1Type) {
    return Post("/api/v1/write", Snappy(message),
                {{"Content-Type", std::string(type)}, {"Content-Encoding", "snappy"}});
  }
  static std::string Snappy(std::string_view message) {
    std::string buffer;
    return std::string(SnappyCompress(message, &buffer));
  }
  // The whole of a streamed answer.
  static std::string Streamed(const http::ServerResponse& response) {
    std::string all;
    REQUIRE(response.stream);
    REQUIRE(response.stream([&all](std::string_view piece) {
      all.append(piece);
      return true;
    }));
    return all;
  }

  SeriesMap All() {
    tsdb::DbQuerier querier(db.get(), &clock);
    storage::Selector selector;
    selector.hints.start = kMinTimestamp;
    selector.hints.end = kMaxTimestamp;
    auto result = querier.Select(std::span(&selector, 1), {});
    REQUIRE(result.ok());
    SeriesMap all;
    SampleBuffer samples;
    storage::SeriesSet& set = *result->sets[0];
    while (set.Next()) {
      samples.Clear();
      REQUIRE(set.ReadSamples(&samples).ok());
      for (size_t i = 0; i < samples.size(); ++i) {
        all[set.labels()].emplace_back(samples.timestamps()[i], samples.values()[i]);
      }
    }
    REQUIRE(set.status().ok());
    return all;
  }
  double Metric(std::string_view name) const {
    double sum = 0;
    for (const metrics::CollectedFamily& family : registry.Collect()) {
      if (family.name != name) continue;
      for (const metrics::CollectedSample& sample : family.samples) sum += sample.value;
    }
    return sum;
  }

  FaultFileSystem fs;
  FakeClock clock{FromTimestamp(kNow)};
  metrics::Registry registry;
  std::unique_ptr<tsdb::Db> db;
  std::unique_ptr<Endpoints> endpoints;
  http::Router router;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_REMOTE_REMOTE_FIXTURE_H_
