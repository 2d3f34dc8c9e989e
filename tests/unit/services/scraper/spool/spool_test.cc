#include "services/scraper/spool/spool.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace narthex::scraper {
namespace {

struct Delivered {
  uint64_t sequence;
  Timestamp timestamp;
  std::string series;  // The labels of all samples, joined.
};

// A spool on a folder of its own, with its thread running. No endpoint is connected at first.
struct Fixture {
  explicit Fixture(SpoolOptions spool_options = {}, std::vector<std::string> endpoints = {"a"}) {
    options = std::move(spool_options);
    options.path = dir.File("spool");
    options.endpoints = std::move(endpoints);
    Open();
  }

  void Open() {
    auto opened = Spool::Open(options, io::PosixFileSystem(), &clock, Logger::ToLines(&lines),
                              registry.get());
    INFO(Message(opened.status()));
    REQUIRE(opened.ok());
    spool = *std::move(opened);
    numbers.clear();
    for (int i = 0; i < 3; ++i) {
      numbers.push_back(spool->AddSeries(Labels{{"__name__", "m"}, {"i", StrCat(i)}}));
    }
    spool->Start();
  }
  // As kill -9 does.
  void Crash() {
    spool.reset();
    Open();
  }
  void Restart() {
    REQUIRE(spool->Close().ok());
    spool.reset();
    Open();
  }

  uint64_t Append(Timestamp timestamp) {
    storage::NumberedBatch batch;
    batch.base_timestamp = timestamp;
    for (const storage::SeriesNumber number : numbers) batch.Add(number, 1);
    return spool->Append(std::move(batch));
  }
  // All that an endpoint gets behind `after` without waiting.
  std::vector<Delivered> Drain(uint64_t after, size_t endpoint = 0) {
    std::vector<Delivered> out;
    storage::BatchSource* const source = spool->source(endpoint);
    while (true) {
      const auto item = source->Next(after, absl::ZeroDuration());
      if (item.sequence == 0) return out;
      REQUIRE(item.sequence > after);
      after = item.sequence;
      Delivered delivered{item.sequence, item.batch->base_timestamp, ""};
      for (const storage::SeriesNumber number : item.batch->numbers) {
        delivered.series += source->SeriesLabels(number).ToString();
      }
      out.push_back(std::move(delivered));
    }
  }
  std::vector<Timestamp> DrainTimes(uint64_t after = 0, size_t endpoint = 0) {
    std::vector<Timestamp> times;
    for (const Delivered& delivered : Drain(after, endpoint)) times.push_back(delivered.timestamp);
    return times;
  }
  // Real time: the spool's thread works on its own.
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    StopSignal never;
    while (!condition()) {
      if (RealClock()->Monotonic() > deadline) return false;
      never.WaitFor(absl::Milliseconds(2));
      if (ticking) clock.Advance(absl::Milliseconds(1));
    }
    return true;
  }
  double Written() {
    return registry->AddCounter("narthex_spool_written_batches_total", "")->Value();
  }
  double Dropped() {
    return registry->AddCounter("narthex_spool_dropped_samples_total", "")->Value();
  }
  bool Logged(std::string_view text) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

  TempDir dir;
  FakeClock clock;
  bool ticking = true;
  std::vector<std::string> lines;
  std::unique_ptr<metrics::Registry> registry = std::make_unique<metrics::Registry>();
  SpoolOptions options;
  std::unique_ptr<Spool> spool;
  std::vector<storage::SeriesNumber> numbers;
};

const std::string kAllSeries = R"({__name__="m", i="0"}{__name__="m", i="1"}{__name__="m", i="2"})";

TEST_CASE("batches come out in order with their labels and go when they are durable") {
  Fixture f;
  f.spool->source(0)->Connected(0, 0);
  for (int i = 1; i <= 3; ++i) CHECK(f.Append(i) == static_cast<uint64_t>(i));
  const std::vector<Delivered> delivered = f.Drain(0);
  REQUIRE(delivered.size() == 3);
  CHECK(delivered[2].sequence == 3);
  CHECK(delivered[2].series == kAllSeries);
  f.spool->source(0)->Acknowledged(3, 2);
  CHECK(f.DrainTimes() == std::vector<Timestamp>{3});
  f.spool->source(0)->Acknowledged(3, 3);
  CHECK(f.DrainTimes().empty());
  CHECK(f.spool->disk_bytes() == 0);
}

TEST_CASE("a batch that is not accepted for a second goes to disk, a prompt one never") {
  Fixture f;
  f.ticking = false;
  f.spool->source(0)->Connected(0, 0);
  f.Append(1);
  f.spool->source(0)->Acknowledged(1, 1);
  f.Append(2);
  REQUIRE(f.clock.WaitForWaiters(1));
  f.clock.Advance(absl::Milliseconds(900));
  REQUIRE(f.clock.WaitForWaiters(1));
  CHECK(f.Written() == 0);
  f.clock.Advance(absl::Milliseconds(200));
  CHECK(f.Eventually([&] { return f.Written() == 1; }));
}

TEST_CASE("a batch that is accepted and not durable goes to disk later") {
  Fixture f;
  f.ticking = false;
  f.spool->source(0)->Connected(0, 0);
  f.Append(1);
  f.spool->source(0)->Acknowledged(1, 0);
  REQUIRE(f.clock.WaitForWaiters(1));
  f.clock.Advance(absl::Milliseconds(2900));
  REQUIRE(f.clock.WaitForWaiters(1));
  CHECK(f.Written() == 0);
  f.clock.Advance(absl::Milliseconds(200));
  CHECK(f.Eventually([&] { return f.Written() == 1; }));
}

TEST_CASE("while an endpoint is away batches are on disk at once and survive kill -9") {
  Fixture f;
  f.ticking = false;
  for (int i = 1; i <= 5; ++i) f.Append(i);
  REQUIRE(f.Eventually([&] { return f.Written() == 5; }));
  f.Crash();
  const std::vector<Delivered> delivered = f.Drain(0);
  REQUIRE(delivered.size() == 5);
  CHECK(delivered[0].timestamp == 1);
  CHECK(delivered[4].sequence == 5);
  CHECK(delivered[4].series == kAllSeries);
  CHECK(f.Logged("the spool holds batches of an earlier process"));

  // New batches follow, with sequences that were never used.
  const uint64_t next = f.Append(6);
  CHECK(next > 5);
  CHECK(f.DrainTimes() == std::vector<Timestamp>{1, 2, 3, 4, 5, 6});
  CHECK(f.DrainTimes(3) == std::vector<Timestamp>{4, 5, 6});
}

TEST_CASE("a clean end keeps what is not durable, and a restart forgets what is") {
  Fixture f;
  f.spool->source(0)->Connected(0, 0);
  for (int i = 1; i <= 4; ++i) f.Append(i);
  f.spool->source(0)->Acknowledged(4, 2);
  f.Restart();
  CHECK(f.DrainTimes() == std::vector<Timestamp>{3, 4});
  f.spool->source(0)->Connected(4, 4);
  CHECK(f.Eventually([&] { return f.spool->disk_bytes() == 0; }));
  f.Restart();
  CHECK(f.DrainTimes().empty());
}

TEST_CASE("sequences grow over restarts even when nothing was on disk") {
  Fixture f;
  uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    f.spool->source(0)->Connected(last, last);
    const uint64_t sequence = f.Append(1);
    CHECK(sequence > last);
    last = sequence;
    f.spool->source(0)->Acknowledged(last, last);
    f.Crash();
  }
}

TEST_CASE("the sender id stays over restarts and a damaged state makes a new sender") {
  Fixture f;
  const std::string id = f.spool->sender_id();
  f.Append(1);
  f.Restart();
  CHECK(f.spool->sender_id() == id);
  REQUIRE(f.spool->Close().ok());
  f.spool.reset();
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(f.dir.File("spool/state"), "x").ok());
  f.Open();
  CHECK(f.spool->sender_id() != id);
  CHECK(f.DrainTimes() == std::vector<Timestamp>{1});
}

TEST_CASE("each endpoint has its own cursor and a segment stays until all have it") {
  Fixture f({}, {"a", "b"});
  for (int i = 1; i <= 3; ++i) f.Append(i);
  REQUIRE(f.Eventually([&] { return f.Written() == 3; }));
  f.spool->source(0)->Connected(3, 3);
  f.Append(4);
  CHECK(f.DrainTimes(3, 0) == std::vector<Timestamp>{4});
  CHECK(f.DrainTimes(0, 1) == std::vector<Timestamp>{1, 2, 3, 4});
  f.spool->source(1)->Connected(1, 1);
  CHECK(f.spool->disk_bytes() > 0);
  f.Restart();
  CHECK(f.DrainTimes(1, 1) == std::vector<Timestamp>{2, 3, 4});
  f.spool->source(0)->Connected(4, 4);
  f.spool->source(1)->Connected(4, 4);
  CHECK(f.Eventually([&] { return f.spool->disk_bytes() == 0; }));
}

TEST_CASE("beyond the memory bound batches are read back from disk, then from memory") {
  SpoolOptions options;
  options.memory_bytes_max = 4000;
  Fixture f(options);
  std::vector<Timestamp> all;
  for (int i = 1; i <= 200; ++i) {
    f.Append(i);
    all.push_back(i);
    REQUIRE(f.Eventually([&] { return f.Written() == i; }));
  }
  CHECK(f.registry->AddGauge("narthex_spool_memory_bytes", "")->Value() <= 4000);
  CHECK(f.DrainTimes() == all);
  CHECK(f.Dropped() == 0);
  for (const Delivered& delivered : f.Drain(100)) REQUIRE(delivered.series == kAllSeries);
}

TEST_CASE("a full disk bound drops the oldest segments, counts and logs") {
  SpoolOptions options;
  options.size_bytes_max = 256 << 10;
  options.memory_bytes_max = 16 << 10;
  Fixture f(options);
  int count = 0;
  while (f.Dropped() == 0 && count < 50000) {
    for (int i = 0; i < 100; ++i) f.Append(++count);
    REQUIRE(f.Eventually([&] { return f.Written() == count; }));
  }
  CHECK(f.Dropped() > 0);
  CHECK(f.spool->disk_bytes() <= options.size_bytes_max);
  CHECK(f.Logged("the spool is full"));
  const std::vector<Timestamp> kept = f.DrainTimes();
  REQUIRE_FALSE(kept.empty());
  CHECK(kept.back() == count);
  CHECK(kept.size() == static_cast<size_t>(count) - static_cast<size_t>(f.Dropped()) / 3);
  CHECK(kept.front() == count - static_cast<int>(kept.size()) + 1);
}

TEST_CASE("a torn or damaged segment loses its end only") {
  for (const bool torn : {true, false}) {
    Fixture f;
    for (int i = 1; i <= 5; ++i) f.Append(i);
    f.Restart();
    for (int i = 6; i <= 8; ++i) f.Append(i);
    REQUIRE(f.spool->Close().ok());
    f.spool.reset();
    const std::string path = f.dir.File("spool/00000001.spool");
    std::string bytes = *io::PosixFileSystem()->ReadFile(path);
    if (torn) {
      bytes.resize(bytes.size() - 3);
    } else {
      bytes[bytes.size() - 3] ^= 1;
    }
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(path, bytes).ok());
    f.lines.clear();
    f.Open();
    CHECK(f.DrainTimes() == std::vector<Timestamp>{1, 2, 3, 4, 6, 7, 8});
    CHECK(f.Logged("a spool segment is damaged") == !torn);
  }
}

TEST_CASE("damage that appears while a segment is read loses the rest of it and is counted") {
  Fixture f;
  for (int i = 1; i <= 5; ++i) f.Append(i);
  f.Restart();
  for (int i = 6; i <= 7; ++i) f.Append(i);
  const std::string path = f.dir.File("spool/00000001.spool");
  std::filesystem::resize_file(path, 200);
  const std::vector<Timestamp> times = f.DrainTimes();
  REQUIRE(times.size() >= 3);
  CHECK(times.size() < 7);
  CHECK(times.back() == 7);
  CHECK(f.Dropped() == 3 * (7 - times.size()));
  CHECK(f.Logged("cannot be read further"));
}

TEST_CASE("a second process is kept out of the folder") {
  Fixture f;
  const auto second =
      Spool::Open(f.options, io::PosixFileSystem(), &f.clock, Logger(), f.registry.get());
  CHECK(absl::IsFailedPrecondition(second.status()));
}

TEST_CASE("numbers of retired series are reused only when no kept batch names them") {
  Fixture f;
  f.ticking = false;
  f.spool->source(0)->Connected(0, 0);
  const uint64_t last = f.Append(1);
  const storage::SeriesNumber old = f.numbers[0];
  f.spool->RetireSeries({{old}});
  const auto held = f.spool->source(0)->Next(0, absl::ZeroDuration());
  REQUIRE(held.sequence == last);
  CHECK(f.spool->series() == 3);
  // Durable, but the client still holds the batch.
  f.spool->source(0)->Acknowledged(last, last);
  CHECK_FALSE(f.spool->source(0)->SeriesLabels(old).empty());
  f.spool->source(0)->Next(last, absl::ZeroDuration());
  f.spool->source(0)->Acknowledged(last, last);
  CHECK(f.spool->series() == 2);
  CHECK(f.spool->source(0)->SeriesLabels(old).empty());
}

TEST_CASE("waiting for acceptance looks at connected endpoints only") {
  Fixture f({}, {"a", "b"});
  CHECK(f.spool->WaitAccepted(absl::ZeroDuration()));
  f.spool->source(0)->Connected(0, 0);
  const uint64_t last = f.Append(1);
  CHECK_FALSE(f.spool->WaitAccepted(absl::Milliseconds(5)));
  f.spool->source(0)->Acknowledged(last, 0);
  CHECK(f.spool->WaitAccepted(absl::ZeroDuration()));
}

TEST_CASE("Wake ends a Next that waits, once") {
  Fixture f;
  storage::BatchSource* const source = f.spool->source(0);
  Thread waker("waker", [&] { source->Wake(); });
  CHECK(source->Next(0, absl::Seconds(60)).sequence == 0);
  f.Append(1);
  CHECK(source->Next(0, absl::Seconds(60)).sequence == 1);
}

TEST_CASE("a storage that knows later sequences than ours moves ours on") {
  Fixture f;
  f.spool->source(0)->Connected(uint64_t{1} << 40, 0);
  CHECK(f.Append(1) == (uint64_t{1} << 40) + 1);
  CHECK(f.Logged("storage has later batches"));
}

// Random appends, acknowledgements, outages, crashes and restarts against a plain model: what an
// endpoint reads is always what it has not made durable, without a gap but for what a crash may
// lose.
TEST_CASE("a spool under random events delivers everything in order") {
  const uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  SpoolOptions options;
  options.memory_bytes_max = 3000;
  Fixture f(options);
  std::map<uint64_t, Timestamp> kept;  // Not durable yet.
  uint64_t durable = 0;
  Timestamp now = 0;
  for (int step = 0; step < 400; ++step) {
    switch (random() % 8) {
      case 0:
        f.spool->source(0)->Connected(durable, durable);
        break;
      case 1:
        f.spool->source(0)->Disconnected();
        break;
      case 2:
        if (!kept.empty()) {
          auto it = std::next(kept.begin(), static_cast<long>(random() % kept.size()));
          durable = it->first;
          f.spool->source(0)->Connected(durable, durable);
          kept.erase(kept.begin(), std::next(it));
        }
        break;
      case 3:
        if (random() % 4 == 0) f.Restart();
        break;
      case 4: {
        // A crash loses nothing once the thread has written.
        f.spool->source(0)->Disconnected();
        const uint64_t sequence = f.Append(++now);
        kept[sequence] = now;
        REQUIRE(f.Eventually([&] { return f.spool->written_sequence() >= sequence; }));
        if (random() % 2 == 0) f.Crash();
        break;
      }
      default:
        ++now;
        kept[f.Append(now)] = now;
    }
    std::vector<Timestamp> expected;
    for (const auto& [sequence, timestamp] : kept) expected.push_back(timestamp);
    REQUIRE(f.DrainTimes(durable) == expected);
  }
  CHECK(f.Dropped() == 0);
}

}  // namespace
}  // namespace narthex::scraper
