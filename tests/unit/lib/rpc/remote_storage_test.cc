#include "lib/rpc/remote_storage.h"

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "lib/storage/fanout_querier.h"
#include "tests/support/fake_storage_server.h"
#include "tests/support/memory_storage.h"

namespace narthex::rpc {
namespace {

using storage::SelectOptions;
using storage::Selector;
using testing::FakeStorageServer;
using Series = std::map<std::string, std::map<Timestamp, double>>;

std::unique_ptr<RemoteQuerier> Connect(const FakeStorageServer& server,
                                       RemoteQuerierOptions options = {}) {
  options.endpoint = server.endpoint();
  return std::make_unique<RemoteQuerier>(options);
}

Selector Range(std::string_view name, Timestamp start, Timestamp end) {
  Selector selector;
  selector.matchers.push_back(Matcher::Equal(kMetricName, name));
  selector.hints.start = start;
  selector.hints.end = end;
  return selector;
}

Series ReadAll(storage::SeriesSet* set) {
  Series series;
  while (set->Next()) {
    SampleBuffer samples;
    REQUIRE(set->ReadSamples(&samples).ok());
    auto& points = series[set->labels().ToString()];
    for (size_t i = 0; i < samples.size(); ++i) {
      points[samples.timestamps()[i]] = samples.values()[i];
    }
  }
  return series;
}

void Fill(testing::MemoryStorage* memory, std::string_view name, int series, int samples) {
  for (int s = 0; s < series; ++s) {
    const Labels labels{{kMetricName, name}, {"series", StrCat(s)}};
    for (int i = 1; i <= samples; ++i) memory->Append(labels, i * 1000, s + i / 100.0);
  }
}

TEST_CASE("A remote querier answers what the store behind it does") {
  FakeStorageServer server(/*frame_bytes=*/200);
  Fill(&server.memory(), "a", 7, 50);
  Fill(&server.memory(), "b", 3, 20);
  const auto querier = Connect(server);
  for (const auto& [start, end] : std::vector<std::pair<Timestamp, Timestamp>>{
           {0, 100'000}, {5'000, 5'000}, {5'001, 12'345}, {60'000, 70'000}}) {
    const std::vector<Selector> selectors = {Range("a", start, end), Range("none", start, end),
                                             Range("b", start, end)};
    auto remote = querier->Select(selectors, SelectOptions());
    auto local = server.memory().Select(selectors, SelectOptions());
    REQUIRE(remote.ok());
    REQUIRE(remote->sets.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(ReadAll(remote->sets[i].get()) == ReadAll(local->sets[i].get()));
      CHECK(remote->sets[i]->status().ok());
    }
  }
}

TEST_CASE("Sets may be read in another order than that of the request") {
  FakeStorageServer server(200);
  Fill(&server.memory(), "a", 5, 30);
  Fill(&server.memory(), "b", 5, 30);
  const auto querier = Connect(server);
  auto result = querier->Select(
      std::vector<Selector>{Range("a", 0, 99'000), Range("b", 0, 99'000), Range("a", 0, 3'000)},
      SelectOptions());
  REQUIRE(result.ok());
  CHECK(ReadAll(result->sets[2].get()).size() == 5);
  CHECK(ReadAll(result->sets[1].get()).size() == 5);
  CHECK(ReadAll(result->sets[0].get()).size() == 5);
  CHECK(server.selects() == 1);
}

TEST_CASE("Frames that wait for their turn are bounded") {
  FakeStorageServer server(200);
  Fill(&server.memory(), "a", 50, 50);
  Fill(&server.memory(), "b", 1, 1);
  const auto querier = Connect(server);
  SelectOptions options;
  options.bytes_max = 2'000;
  const std::vector<Selector> selectors = {Range("a", 0, 99'000), Range("b", 0, 99'000)};
  auto result = querier->Select(selectors, options);
  REQUIRE(result.ok());
  CHECK_FALSE(result->sets[1]->Next());
  CHECK(absl::IsResourceExhausted(result->sets[1]->status()));
  // In the order of the request nothing waits.
  result = querier->Select(selectors, options);
  CHECK(ReadAll(result->sets[0].get()).size() == 50);
  CHECK(ReadAll(result->sets[1].get()).size() == 1);
  // A set that nobody will read costs nothing either.
  result = querier->Select(selectors, options);
  result->sets[0].reset();
  CHECK(ReadAll(result->sets[1].get()).size() == 1);
}

TEST_CASE("Labels are asked for once a series, and again in another reference space") {
  FakeStorageServer server;
  Fill(&server.memory(), "a", 40, 2);
  const auto querier = Connect(server);
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  for (int i = 0; i < 3; ++i) {
    auto result = querier->Select(selectors, SelectOptions());
    CHECK(ReadAll(result->sets[0].get()).size() == 40);
  }
  CHECK(server.label_calls() == 1);
  CHECK(server.labels_asked() == 40);
  CHECK(querier->cached_labels() == 40);

  Fill(&server.memory(), "a2", 2, 2);
  auto more = querier->Select(std::vector<Selector>{Range("a2", 0, 99'000)}, SelectOptions());
  CHECK(ReadAll(more->sets[0].get()).size() == 2);
  CHECK(server.labels_asked() == 42);

  server.NewReferenceSpace();
  auto again = querier->Select(std::vector<Selector>{Range("a2", 0, 99'000)}, SelectOptions());
  CHECK(ReadAll(again->sets[0].get()).count("{__name__=\"a2\", series=\"1\"}") == 1);
  CHECK(querier->cached_labels() == 2);
}

TEST_CASE("Instant and label selections come back as they are") {
  FakeStorageServer server;
  server.memory().Append(Labels{{kMetricName, "a"}}, 1000, 1);
  server.memory().Append(Labels{{kMetricName, "a"}}, 2000, StaleNan());
  const auto querier = Connect(server);
  Selector newest = Range("a", 0, 5000);
  newest.hints.newest_only = true;
  Selector labels_only = Range("a", 0, 5000);
  labels_only.hints.labels_only = true;
  auto result = querier->Select(std::vector<Selector>{newest, labels_only}, SelectOptions());
  REQUIRE(result.ok());
  REQUIRE(result->sets[0]->Next());
  SampleBuffer samples;
  REQUIRE(result->sets[0]->ReadSamples(&samples).ok());
  CHECK(IsStale(samples.values().back()));
  REQUIRE(result->sets[1]->Next());
  CHECK(result->sets[1]->labels() == Labels{{kMetricName, "a"}});
  CHECK_FALSE(result->sets[1]->Next());
}

TEST_CASE("Label names and values come from the node") {
  FakeStorageServer server;
  Fill(&server.memory(), "a", 2, 2);
  Fill(&server.memory(), "b", 1, 2);
  const auto querier = Connect(server);
  CHECK(querier->LabelNames({}, 0, 99'000).value() ==
        std::vector<std::string>{"__name__", "series"});
  CHECK(querier->LabelValues(kMetricName, {}, 0, 99'000).value() ==
        std::vector<std::string>{"a", "b"});
  const std::vector<std::vector<Matcher>> only_a = {{Matcher::Equal(kMetricName, "a")}};
  CHECK(querier->LabelValues("series", only_a, 0, 99'000).value() ==
        std::vector<std::string>{"0", "1"});
}

TEST_CASE("A node that is down, starts, or refuses is named in the error") {
  std::string endpoint;
  int port = 0;
  {
    FakeStorageServer server;
    endpoint = server.endpoint();
    port = server.port();
  }
  RemoteQuerierOptions options;
  options.endpoint = endpoint;
  RemoteQuerier querier(options);
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = querier.Select(selectors, SelectOptions()).status();
    CHECK(absl::IsUnavailable(status));
    CHECK(std::string(Message(status)).rfind("storage " + endpoint + ": ", 0) == 0);
  }
  CHECK(absl::IsUnavailable(querier.LabelNames({}, 0, 1).status()));

  // The first call after it is back succeeds, however long gRPC would still have waited.
  FakeStorageServer server(size_t{1} << 20, port);
  Fill(&server.memory(), "a", 1, 1);
  auto result = querier.Select(selectors, SelectOptions());
  REQUIRE(result.ok());
  CHECK(ReadAll(result->sets[0].get()).size() == 1);

  server.Fail(absl::UnavailableError("the log is replayed"));
  CHECK(Message(querier.Select(selectors, SelectOptions()).status()) ==
        "storage " + endpoint + ": the log is replayed");
  server.Fail(absl::ResourceExhaustedError("too many series"));
  CHECK(absl::IsResourceExhausted(querier.Select(selectors, SelectOptions()).status()));
}

TEST_CASE("A node that goes away in the middle ends the set with its error") {
  FakeStorageServer server(/*frame_bytes=*/100);
  Fill(&server.memory(), "a", 20, 20);
  server.FailAfter(2, absl::UnavailableError("the node is stopping"));
  const auto querier = Connect(server);
  auto result = querier->Select(std::vector<Selector>{Range("a", 0, 99'000)}, SelectOptions());
  REQUIRE(result.ok());
  CHECK_FALSE(ReadAll(result->sets[0].get()).empty());
  CHECK(absl::IsUnavailable(result->sets[0]->status()));
}

TEST_CASE("A query that is cancelled or too late ends the call at the node") {
  FakeStorageServer server(100);
  Fill(&server.memory(), "a", 20, 20);
  server.Delay(absl::Seconds(20));
  const auto querier = Connect(server);
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  SECTION("cancelled") {
    std::atomic<int> polls{0};
    SelectOptions options;
    options.cancelled = [&] { return ++polls > 2; };
    CHECK(absl::IsCancelled(querier->Select(selectors, options).status()));
  }
  SECTION("deadline") {
    SelectOptions options;
    options.deadline = RealClock()->Now() + absl::Milliseconds(200);
    CHECK(absl::IsDeadlineExceeded(querier->Select(selectors, options).status()));
  }
  SECTION("dropped in the middle") {
    server.Delay(absl::Milliseconds(300));
    auto result = querier->Select(selectors, SelectOptions());
    REQUIRE(result.ok());
  }
  const absl::Time give_up = RealClock()->Now() + absl::Seconds(10);
  Mutex mu;
  CondVar cv;
  MutexLock lock(&mu);
  while (!server.cancelled() && RealClock()->Now() < give_up) {
    RealClock()->WaitUntil(&mu, &cv, RealClock()->Now() + absl::Milliseconds(10));
  }
  CHECK(server.cancelled());
}

TEST_CASE("One stream carries one question after another, and several at a time have their own") {
  FakeStorageServer server(/*frame_bytes=*/100);
  Fill(&server.memory(), "a", 20, 20);
  const auto querier = Connect(server);
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  for (int i = 0; i < 5; ++i) {
    auto result = querier->Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    CHECK(ReadAll(result->sets[0].get()).size() == 20);
    REQUIRE(querier->LabelNames({}, 0, 99'000).ok());
    REQUIRE(querier->Changes("").ok());
  }
  // The second is of the labels that were asked for in the middle of the first answer.
  CHECK(server.streams() == 2);
  {
    auto one = querier->Select(selectors, SelectOptions());
    auto two = querier->Select(selectors, SelectOptions());
    auto three = querier->Select(selectors, SelectOptions());
    CHECK(ReadAll(three->sets[0].get()) == ReadAll(one->sets[0].get()));
    CHECK(server.streams() == 3);
    // What is not read to its end is not used again.
  }
  server.Fail(absl::ResourceExhaustedError("too much"));
  CHECK(absl::IsResourceExhausted(querier->Select(selectors, SelectOptions()).status()));
  server.Fail(absl::OkStatus());
  CHECK(querier->Select(selectors, SelectOptions()).ok());
  CHECK(server.streams() <= 4);
}

TEST_CASE("A stream that broke while nobody asked is replaced without a word") {
  auto server = std::make_unique<FakeStorageServer>();
  const int port = server->port();
  Fill(&server->memory(), "a", 2, 2);
  const auto querier = Connect(*server);
  REQUIRE(querier->LabelNames({}, 0, 99'000).ok());
  server = nullptr;
  server = std::make_unique<FakeStorageServer>(size_t{1} << 20, port);
  Fill(&server->memory(), "a", 2, 2);
  CHECK(querier->LabelNames({}, 0, 99'000).ok());
  CHECK(server->streams() == 1);
}

TEST_CASE("A stream that breaks in the middle of an answer is an error") {
  FakeStorageServer server(/*frame_bytes=*/100);
  Fill(&server.memory(), "a", 20, 20);
  const auto querier = Connect(server);
  server.BreakStreams(true);
  auto result = querier->Select(std::vector<Selector>{Range("a", 0, 99'000)}, SelectOptions());
  REQUIRE(result.ok());
  while (result->sets[0]->Next()) {
  }
  CHECK(absl::IsUnavailable(result->sets[0]->status()));
}

TEST_CASE("A node that says nothing is given up") {
  FakeStorageServer server;
  Fill(&server.memory(), "a", 1, 1);
  RemoteQuerierOptions options;
  options.silence_max = absl::Milliseconds(100);
  const auto querier = Connect(server, options);
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  server.Delay(absl::Seconds(20));
  CHECK(absl::IsDeadlineExceeded(querier->Select(selectors, SelectOptions()).status()));
  CHECK(absl::IsDeadlineExceeded(querier->LabelNames({}, 0, 1).status()));
  server.Delay(absl::ZeroDuration());
  CHECK(querier->Select(selectors, SelectOptions()).ok());
}

TEST_CASE("Of several nodes one that hangs or dies is a warning until something of it was used") {
  FakeStorageServer healthy;
  FakeStorageServer sick(/*frame_bytes=*/100);
  FakeStorageServer other;
  Fill(&healthy.memory(), "a", 2, 2);
  Fill(&sick.memory(), "a", 20, 20);
  Fill(&other.memory(), "a", 3, 2);
  healthy.SetExternalLabels(Labels{{"node", "1"}});
  sick.SetExternalLabels(Labels{{"node", "2"}});
  other.SetExternalLabels(Labels{{"node", "3"}});
  RemoteQuerierOptions options;
  options.silence_max = absl::Milliseconds(500);
  std::vector<std::unique_ptr<RemoteQuerier>> queriers;
  std::vector<storage::FanoutStore> stores;
  for (const FakeStorageServer* const server : {&healthy, &sick, &other}) {
    queriers.push_back(Connect(*server, options));
    RemoteQuerier* const querier = queriers.back().get();
    stores.push_back({querier, [querier] { return querier->ExternalLabels(); }});
  }
  storage::FanoutQuerier fanout(std::move(stores), {});
  const std::vector<Selector> selectors = {Range("a", 0, 99'000)};
  const std::string name = "storage " + sick.endpoint() + ": ";
  {
    auto all = fanout.Select(selectors, SelectOptions());
    REQUIRE(all.ok());
    CHECK(all->warnings.empty());
    CHECK(ReadAll(all->sets[0].get()).size() == 25);
  }
  const auto without_it = [&](std::string_view why) {
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    REQUIRE(result->warnings.size() == 1);
    CHECK(result->warnings[0] == StrCat(name, why));
    CHECK(ReadAll(result->sets[0].get()).size() == 5);
    CHECK(result->sets[0]->status().ok());
  };
  SECTION("hangs") {
    sick.Delay(absl::Seconds(20));
    without_it("no answer within 500ms");
    std::vector<std::string> warnings;
    CHECK(fanout.LabelValues("node", {}, 0, 99'000, &warnings).value() ==
          std::vector<std::string>{"1", "3"});
    CHECK(warnings == std::vector<std::string>{name + "no answer within 500ms"});
  }
  SECTION("dies before it has said anything") {
    sick.FailAfter(0, absl::UnavailableError("the node is stopping"));
    without_it("the node is stopping");
  }
  SECTION("is gone") {
    sick.Stop();
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    REQUIRE(result->warnings.size() == 1);
    CHECK(result->warnings[0].rfind(name, 0) == 0);
    CHECK(ReadAll(result->sets[0].get()).size() == 5);
  }
  SECTION("dies in the middle") {
    sick.FailAfter(2, absl::UnavailableError("the node is stopping"));
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    while (result->sets[0]->Next()) {
    }
    CHECK(absl::IsUnavailable(result->sets[0]->status()));
    CHECK(Message(result->sets[0]->status()) == name + "the node is stopping");
  }
}

TEST_CASE("The node's external labels are those of its last answer") {
  FakeStorageServer server;
  const auto querier = Connect(server);
  server.SetExternalLabels(Labels{{"cluster", "eu"}});
  CHECK(querier->ExternalLabels().value() == Labels{{"cluster", "eu"}});
  server.SetExternalLabels(Labels{{"cluster", "us"}});
  REQUIRE(querier->Select(std::vector<Selector>{Range("a", 0, 1)}, SelectOptions()).ok());
  CHECK(querier->ExternalLabels().value() == Labels{{"cluster", "us"}});
}

TEST_CASE("Reload reaches the node and answers its reason") {
  FakeStorageServer server;
  const auto querier = Connect(server);
  CHECK(querier->Reload().ok());
  server.SetReloadResult(absl::InvalidArgumentError("prometheus.yml:3:1: bad"));
  const absl::Status status = querier->Reload();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(Message(status) == StrCat("storage ", server.endpoint(), ": prometheus.yml:3:1: bad"));
  CHECK(server.reloads() == 2);
}

}  // namespace
}  // namespace narthex::rpc
