#include "lib/rpc/append_client.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/storage/series_table.h"
#include "tests/support/fake_append_server.h"

namespace narthex::rpc {
namespace {

using testing::FakeAppendServer;

constexpr absl::Duration kPatience = absl::Seconds(10);

// All batches of a sender, kept for ever.
class KeepingSource final : public storage::BatchSource {
 public:
  uint64_t Append(storage::NumberedBatch batch) {
    MutexLock lock(&mu_);
    batches_.push_back(std::make_shared<const storage::NumberedBatch>(std::move(batch)));
    changed_.SignalAll();
    return batches_.size();
  }
  storage::SeriesNumber AddSeries(const Labels& labels) { return table_.Add(labels); }
  storage::SeriesTable& table() { return table_; }

  const std::string& sender_id() const override { return sender_id_; }
  Item Next(uint64_t after, absl::Duration timeout) override {
    const absl::Duration deadline = RealClock()->Monotonic() + timeout;
    MutexLock lock(&mu_);
    while (!woken_) {
      for (uint64_t i = after; i < batches_.size(); ++i) {
        if (i + 1 != dropped_) return {i + 1, batches_[i]};
      }
      const absl::Duration left = deadline - RealClock()->Monotonic();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitWithTimeout(&mu_, left);
    }
    woken_ = false;
    return {};
  }
  Labels SeriesLabels(storage::SeriesNumber number) override { return table_.Find(number); }
  void Wake() override {
    MutexLock lock(&mu_);
    woken_ = true;
    changed_.SignalAll();
  }
  void Connected(uint64_t accepted, uint64_t durable) override {
    MutexLock lock(&mu_);
    ++connects_;
    connected_ = true;
    accepted_ = accepted;
    durable_ = durable;
    changed_.SignalAll();
  }
  void Disconnected() override {
    MutexLock lock(&mu_);
    connected_ = false;
    changed_.SignalAll();
  }
  void Acknowledged(uint64_t accepted, uint64_t durable) override {
    MutexLock lock(&mu_);
    accepted_ = std::max(accepted_, accepted);
    durable_ = std::max(durable_, durable);
    changed_.SignalAll();
  }

  // As a queue that had no room for it.
  void Drop(uint64_t sequence) {
    MutexLock lock(&mu_);
    dropped_ = sequence;
  }
  bool WaitAccepted(uint64_t sequence) {
    return Await([&] { return accepted_ >= sequence; });
  }
  bool WaitDurable(uint64_t sequence) {
    return Await([&] { return durable_ >= sequence; });
  }
  bool WaitConnects(int connects) {
    return Await([&] { return connects_ >= connects && connected_; });
  }
  bool WaitDisconnected() {
    return Await([&] { return !connected_; });
  }
  uint64_t durable() {
    MutexLock lock(&mu_);
    return durable_;
  }

 private:
  template <typename Condition>
  bool Await(const Condition& condition) {
    const absl::Duration deadline = RealClock()->Monotonic() + kPatience;
    MutexLock lock(&mu_);
    while (!condition()) {
      if (RealClock()->Monotonic() > deadline) return false;
      changed_.WaitWithTimeout(&mu_, absl::Milliseconds(100));
    }
    return true;
  }

  const std::string sender_id_ = "0123456789abcdef";
  storage::SeriesTable table_;
  Mutex mu_;
  CondVar changed_;
  std::vector<std::shared_ptr<const storage::NumberedBatch>> batches_;
  uint64_t dropped_ = 0;
  bool woken_ = false;
  bool connected_ = false;
  int connects_ = 0;
  uint64_t accepted_ = 0;
  uint64_t durable_ = 0;
};

// A server, a source with `series` series, and a client between them.
struct Fixture {
  explicit Fixture(int series = 3, AppendClientOptions client_options = {}) {
    server.Start();
    for (int i = 0; i < series; ++i) {
      labels.push_back(Labels{{"__name__", "m"}, {"i", StrCat(i)}});
      numbers.push_back(source.AddSeries(labels.back()));
    }
    options = std::move(client_options);
    options.endpoint = server.endpoint();
    options.description = "test";
    options.backoff_min = absl::Milliseconds(10);
    options.backoff_max = absl::Milliseconds(50);
    options.on_refused = [this](storage::Refusal, uint64_t samples) { refused += samples; };
    client =
        std::make_unique<AppendClient>(options, &source, Logger::ToLines(&log_lines), &registry);
    client->Start();
  }
  ~Fixture() { client->Stop(); }

  // One sample a series at `timestamp`, with the timestamp as value.
  uint64_t Scrape(Timestamp timestamp) {
    storage::NumberedBatch batch;
    batch.base_timestamp = timestamp;
    for (const storage::SeriesNumber number : numbers) {
      batch.Add(number, static_cast<double>(timestamp));
    }
    return source.Append(std::move(batch));
  }
  std::vector<Timestamp> TimesOf(const Labels& series) {
    std::vector<Timestamp> times;
    for (const Sample& sample : server.SamplesOf(series)) times.push_back(sample.timestamp);
    return times;
  }
  double Metric(std::string_view name) {
    return registry.AddCounter(name, "", {{"endpoint", options.endpoint}})->Value();
  }

  std::vector<std::string> log_lines;
  std::atomic<uint64_t> refused = 0;
  metrics::Registry registry;
  FakeAppendServer server;
  KeepingSource source;
  std::vector<Labels> labels;
  std::vector<storage::SeriesNumber> numbers;
  AppendClientOptions options;
  std::unique_ptr<AppendClient> client;
};

TEST_CASE("batches arrive in order, with labels only until storage has given a reference") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1000)));
  REQUIRE(f.source.WaitAccepted(f.Scrape(2000)));
  REQUIRE(f.source.WaitDurable(f.Scrape(3000)));
  for (const Labels& labels : f.labels) {
    CHECK(f.TimesOf(labels) == std::vector<Timestamp>{1000, 2000, 3000});
  }
  const std::vector<FakeAppendServer::Batch> batches = f.server.batches();
  REQUIRE(batches.size() == 3);
  CHECK(batches[0].definitions == 3);
  CHECK(batches[1].definitions == 0);
  CHECK(batches[2].definitions == 0);
  CHECK(batches[2].sequence == 3);
}

TEST_CASE("samples with timestamps of their own and special values arrive bit for bit") {
  Fixture f;
  storage::NumberedBatch batch;
  batch.base_timestamp = 5000;
  batch.AddAt(f.numbers[0], 1, -0.0);
  batch.Add(f.numbers[1], 1e300);
  batch.AddAt(f.numbers[2], -7, 3);
  REQUIRE(f.source.WaitAccepted(f.source.Append(batch)));
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1});
  CHECK(std::signbit(f.server.SamplesOf(f.labels[0])[0].value));
  CHECK(f.TimesOf(f.labels[1]) == std::vector<Timestamp>{5000});
  CHECK(f.TimesOf(f.labels[2]) == std::vector<Timestamp>{-7});
}

TEST_CASE("small batches share a message") {
  AppendClientOptions options;
  options.linger = absl::Milliseconds(200);
  Fixture f(3, options);
  REQUIRE(f.source.WaitConnects(1));
  uint64_t last = 0;
  for (int i = 1; i <= 50; ++i) last = f.Scrape(i * 1000);
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.server.messages() <= 3);
  CHECK(f.server.batches().size() == 50);
}

TEST_CASE("a large batch is split into frames and applied as one") {
  AppendClientOptions options;
  options.frame_bytes_max = 1000;
  Fixture f(500, options);
  REQUIRE(f.source.WaitAccepted(f.Scrape(1000)));
  CHECK(f.server.messages() > 10);
  REQUIRE(f.server.batches().size() == 1);
  CHECK(f.server.batches()[0].samples == 500);
  REQUIRE(f.source.WaitAccepted(f.Scrape(2000)));
  CHECK(f.TimesOf(f.labels[499]) == std::vector<Timestamp>{1000, 2000});
}

TEST_CASE("what is in flight is bounded and flows on when storage does") {
  AppendClientOptions options;
  options.in_flight_bytes_max = 2000;
  Fixture f(20, options);
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.HoldApply(true);
  uint64_t last = 0;
  for (int i = 2; i <= 100; ++i) last = f.Scrape(i);
  CHECK(f.server.WaitForBatches(1));
  f.server.HoldApply(false);
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.server.batches().size() == 100);
}

TEST_CASE("a broken stream is opened again and nothing is missing or twice") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1000)));
  for (int round = 0; round < 5; ++round) {
    f.server.BreakStreams();
    for (int i = 0; i < 10; ++i) f.Scrape(2000 + round * 100 + i);
  }
  const uint64_t last = f.Scrape(9000);
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.TimesOf(f.labels[0]).size() == last);
  CHECK(f.server.batches().size() == last);
  // References survive the stream.
  CHECK(f.Metric("narthex_append_definitions_total") == 3);
}

TEST_CASE("a storage that was away gets what was appended meanwhile, in order") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.Stop();
  REQUIRE(f.source.WaitDisconnected());
  uint64_t last = 0;
  for (int i = 2; i <= 200; ++i) last = f.Scrape(i);
  f.server.SetReplaying(true);
  f.server.Start();
  f.server.SetReplaying(false);
  REQUIRE(f.source.WaitAccepted(last));
  const std::vector<Timestamp> times = f.TimesOf(f.labels[1]);
  REQUIRE(times.size() == 200);
  CHECK(times.back() == 200);
}

TEST_CASE("series that storage was told of and has not answered for are not told again") {
  Fixture f;
  f.server.Stop();
  uint64_t last = 0;
  for (int i = 1; i <= 200; ++i) last = f.Scrape(i);
  f.server.Start();
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.TimesOf(f.labels[0]).size() == 200);
  CHECK(f.Metric("narthex_append_definitions_total") == 3);
}

TEST_CASE("a series twice in one batch arrives twice") {
  Fixture f(1);
  storage::NumberedBatch batch;
  batch.base_timestamp = 2000;
  batch.AddAt(f.numbers[0], 1000, 1);
  batch.Add(f.numbers[0], 2);
  REQUIRE(f.source.WaitAccepted(f.source.Append(batch)));
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1000, 2000});
}

TEST_CASE("a new reference space makes the client define its series again") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.RenewReferenceSpace(/*lose_data=*/false);
  f.server.BreakStreams();
  REQUIRE(f.source.WaitConnects(2));
  REQUIRE(f.source.WaitAccepted(f.Scrape(2)));
  CHECK(f.server.batches().back().definitions == 3);
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1, 2});
}

TEST_CASE("a storage without data gets what is still kept") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.Stop();
  f.server.RenewReferenceSpace(/*lose_data=*/true);
  f.server.Start();
  REQUIRE(f.source.WaitAccepted(f.Scrape(2)));
  CHECK(f.server.WaitForBatches(2));
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1, 2});
}

TEST_CASE("references above the welcome's highest are forgotten") {
  Fixture f(10);
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.LoseReferencesAbove(4);
  f.server.BreakStreams();
  REQUIRE(f.source.WaitConnects(2));
  REQUIRE(f.source.WaitAccepted(f.Scrape(2)));
  CHECK(f.server.batches().back().definitions == 6);
  for (const Labels& labels : f.labels) {
    CHECK(f.TimesOf(labels) == std::vector<Timestamp>{1, 2});
  }
}

TEST_CASE("an unknown reference sends the stream back to that batch, with labels") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.ForgetReferences();
  uint64_t last = 0;
  for (int i = 2; i <= 50; ++i) last = f.Scrape(i);
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.TimesOf(f.labels[2]).size() == 50);
  CHECK(f.server.batches()[1].definitions == 3);
  CHECK(f.Metric("narthex_append_rewinds_total") >= 1);
}

TEST_CASE("a refused batch that is no longer kept does not stop the ones behind it") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  f.server.HoldApply(true);
  f.server.ForgetReferences();
  f.Scrape(2);
  const size_t messages = f.server.messages();
  const absl::Duration deadline = RealClock()->Monotonic() + kPatience;
  while (f.server.messages() == messages && RealClock()->Monotonic() < deadline) {
  }
  f.source.Drop(2);
  const uint64_t last = f.Scrape(3);
  f.server.HoldApply(false);
  REQUIRE(f.source.WaitAccepted(last));
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1, 3});
}

TEST_CASE("a series that storage refuses is not sent again on that stream") {
  Fixture f;
  const storage::SeriesNumber unwanted = f.source.AddSeries(Labels{{"__name__", "unwanted"}});
  f.numbers.push_back(unwanted);
  f.server.RefuseMetric("unwanted");
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  REQUIRE(f.source.WaitAccepted(f.Scrape(2)));
  CHECK(f.server.batches()[0].samples == 4);
  CHECK(f.server.batches()[1].samples == 3);
  CHECK(f.refused == 1);
  CHECK(f.Metric("narthex_append_unwanted_samples_total") == 1);
}

TEST_CASE("refused samples are counted by reason and the rest is stored") {
  Fixture f;
  REQUIRE(f.source.WaitAccepted(f.Scrape(5000)));
  REQUIRE(f.source.WaitAccepted(f.Scrape(4000)));
  REQUIRE(f.source.WaitAccepted(f.Scrape(6000)));
  CHECK(f.refused == 3);
  CHECK(f.registry
            .AddCounter("narthex_append_refused_samples_total", "",
                        {{"endpoint", f.options.endpoint}, {"reason", "out_of_order"}})
            ->Value() == 3);
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{5000, 6000});
}

TEST_CASE("durable follows accepted when storage says so") {
  Fixture f;
  f.server.HoldDurable(true);
  const uint64_t sequence = f.Scrape(1);
  REQUIRE(f.source.WaitAccepted(sequence));
  CHECK(f.source.durable() == 0);
  f.server.HoldDurable(false);
  CHECK(f.source.WaitDurable(sequence));
}

TEST_CASE("a number that goes to another series is defined anew") {
  Fixture f(1);
  REQUIRE(f.source.WaitAccepted(f.Scrape(1)));
  const storage::SeriesNumber old = f.numbers[0];
  f.source.table().Release({{old}});
  const Labels other{{"__name__", "other"}};
  f.numbers[0] = f.source.AddSeries(other);
  REQUIRE(storage::SeriesSlot(f.numbers[0]) == storage::SeriesSlot(old));
  REQUIRE(f.source.WaitAccepted(f.Scrape(2)));
  CHECK(f.TimesOf(f.labels[0]) == std::vector<Timestamp>{1});
  CHECK(f.TimesOf(other) == std::vector<Timestamp>{2});
}

TEST_CASE("stopping ends at once while storage is away or does not answer") {
  Fixture f;
  f.server.HoldApply(true);
  f.Scrape(1);
  f.client->Stop();
  f.server.HoldApply(false);
  f.server.Stop();
  AppendClient other(f.options, &f.source, Logger(), &f.registry);
  other.Start();
  other.Stop();
}

}  // namespace
}  // namespace narthex::rpc
