#include "lib/rpc/remote_appender.h"

#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "tests/support/fake_append_server.h"

namespace narthex::rpc {
namespace {

using testing::FakeAppendServer;

const Labels kUp{{"__name__", "up"}, {"job", "x"}};
const Labels kSum{{"__name__", "job:sum"}, {"job", "x"}};

bool WaitForStreams(metrics::Registry* registry, const FakeAppendServer& server, double streams) {
  metrics::Counter* const counter =
      registry->AddCounter("narthex_append_streams_total", "", {{"endpoint", server.endpoint()}});
  const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
  StopSignal never;
  while (counter->Value() < streams) {
    if (RealClock()->Monotonic() > deadline) return false;
    never.WaitFor(absl::Milliseconds(5));
  }
  return true;
}

absl::Status AppendOne(RemoteAppenderFactory* factory, const Labels& labels, Timestamp timestamp,
                       double value) {
  const std::unique_ptr<storage::Appender> appender = factory->New();
  CHECK(appender->Append(labels, timestamp, value) == storage::Refusal::kNone);
  return appender->Commit();
}

TEST_CASE("a committed transaction is visible at every endpoint") {
  metrics::Registry registry;
  FakeAppendServer a, b;
  a.Start();
  b.Start();
  RemoteAppenderFactory factory({a.endpoint(), b.endpoint()}, Logger(), &registry, RealClock());
  REQUIRE(WaitForStreams(&registry, a, 1));
  REQUIRE(WaitForStreams(&registry, b, 1));
  const std::unique_ptr<storage::Appender> appender = factory.New();
  appender->Append(kUp, 1000, 1);
  appender->Append(kSum, 1500, 2);
  REQUIRE(appender->Commit().ok());
  for (FakeAppendServer* server : {&a, &b}) {
    CHECK(server->SamplesOf(kUp).size() == 1);
    REQUIRE(server->SamplesOf(kSum).size() == 1);
    CHECK(server->SamplesOf(kSum)[0].timestamp == 1500);
  }
  REQUIRE(AppendOne(&factory, kUp, 2000, 1).ok());
  CHECK(a.batches().back().definitions == 0);
}

TEST_CASE("a rolled back or empty transaction sends nothing") {
  metrics::Registry registry;
  FakeAppendServer server;
  server.Start();
  RemoteAppenderFactory factory({server.endpoint()}, Logger(), &registry, RealClock());
  REQUIRE(WaitForStreams(&registry, server, 1));
  const std::unique_ptr<storage::Appender> rolled_back = factory.New();
  rolled_back->Append(kUp, 1000, 1);
  rolled_back->Rollback();
  REQUIRE(factory.New()->Commit().ok());
  REQUIRE(AppendOne(&factory, kSum, 1000, 1).ok());
  CHECK(server.batches().size() == 1);
  CHECK(server.SamplesOf(kUp).empty());
}

TEST_CASE("transactions queue in order while an endpoint is away and do not wait for it") {
  metrics::Registry registry;
  FakeAppendServer a, b;
  a.Start();
  b.Start();
  b.Stop();
  RemoteAppenderFactory factory({a.endpoint(), b.endpoint()}, Logger(), &registry, RealClock());
  REQUIRE(WaitForStreams(&registry, a, 1));
  for (int i = 1; i <= 20; ++i) REQUIRE(AppendOne(&factory, kUp, i, i).ok());
  CHECK(a.SamplesOf(kUp).size() == 20);
  CHECK(b.SamplesOf(kUp).empty());
  b.Start();
  REQUIRE(b.WaitForSamples(20));
  CHECK(b.SamplesOf(kUp).size() == 20);
  CHECK(b.batches().front().base_timestamp == 1);
}

TEST_CASE("a full queue drops the oldest transactions, counts and logs them") {
  metrics::Registry registry;
  std::vector<std::string> lines;
  FakeAppendServer server;
  server.Start();
  server.Stop();
  RemoteAppenderFactory factory({server.endpoint()}, Logger::ToLines(&lines), &registry,
                                RealClock());
  // A sample takes at least 16 bytes: six transactions of a million cannot all stay in 64 MiB.
  constexpr int kSamples = 1 << 20;
  for (int i = 1; i <= 6; ++i) {
    const std::unique_ptr<storage::Appender> appender = factory.New();
    for (int s = 0; s < kSamples; ++s) appender->Append(kUp, i, s);
    REQUIRE(appender->Commit().ok());
  }
  const double dropped =
      registry.AddCounter("narthex_append_queue_dropped_samples_total", "")->Value();
  CHECK(dropped >= 2 * kSamples);
  CHECK(dropped < 6 * kSamples);
  CHECK(registry.AddGauge("narthex_append_queue_bytes", "")->Value() <= (64 << 20));
  CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find("the queue is full") != std::string::npos;
  }));
}

TEST_CASE("a transaction larger than the queue is an error and stores nothing") {
  metrics::Registry registry;
  RemoteAppenderFactory factory({"127.0.0.1:1"}, Logger(), &registry, RealClock());
  const std::unique_ptr<storage::Appender> appender = factory.New();
  for (int s = 0; s < (5 << 20); ++s) appender->Append(kUp, 1, s);
  CHECK(absl::IsResourceExhausted(appender->Commit()));
}

}  // namespace
}  // namespace narthex::rpc
