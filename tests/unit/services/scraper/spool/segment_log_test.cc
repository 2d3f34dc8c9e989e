#include "services/scraper/spool/segment_log.h"

#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/scraper/spool/segment_cursor.h"
#include "services/scraper/spool/spool.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::scraper {
namespace {

constexpr char kDir[] = "/spool";
const absl::Status kFull = ResourceExhausted("no space left on device");

struct Fixture {
  Fixture() {
    REQUIRE(fs.CreateDirectories(kDir).ok());
    Open();
    for (int i = 0; i < 3; ++i) {
      numbers.push_back(table.Add(Labels{{"__name__", "m"}, {"i", StrCat(i)}}));
    }
  }
  void Open() {
    auto opened = SegmentLog::Open(&fs, kDir, /*segment_bytes_max=*/400, Logger());
    REQUIRE(opened.ok());
    log = *std::move(opened);
  }
  absl::Status Write(uint64_t sequence) {
    auto batch = std::make_shared<storage::NumberedBatch>();
    batch->base_timestamp = static_cast<Timestamp>(sequence);
    for (const storage::SeriesNumber number : numbers) batch->Add(number, 1);
    const SequencedBatch item{sequence, std::move(batch)};
    return log->Write({&item, 1}, table);
  }
  std::vector<uint64_t> ReadAll(uint64_t after = 0) {
    SegmentCursor cursor(&fs, log.get(), &table, Logger());
    std::vector<uint64_t> sequences;
    uint64_t lost = 0;
    while (log->Has(after, ~uint64_t{0})) {
      const auto item = cursor.Next(after, &lost);
      REQUIRE(lost == 0);
      REQUIRE(item.sequence > after);
      REQUIRE(table.Find(item.batch->numbers.at(2)).Get("i") == "2");
      sequences.push_back(after = item.sequence);
    }
    return sequences;
  }

  FaultFileSystem fs;
  storage::SeriesTable table;
  std::vector<storage::SeriesNumber> numbers;
  std::unique_ptr<SegmentLog> log;
};

TEST_CASE("records spread over segments and come back in order, from any place") {
  Fixture f;
  std::vector<uint64_t> all;
  for (uint64_t i = 1; i <= 30; ++i) {
    REQUIRE(f.Write(2 * i).ok());
    all.push_back(2 * i);
  }
  CHECK(f.log->segments() > 3);
  CHECK(f.ReadAll() == all);
  CHECK(f.ReadAll(31) == std::vector<uint64_t>(all.begin() + 15, all.end()));
  CHECK(f.log->Has(31, 33));
  CHECK_FALSE(f.log->Has(31, 32));
  CHECK_FALSE(f.log->Has(60, 100));
  CHECK(f.log->last_sequence() == 60);

  f.log->RemoveThrough(31);
  CHECK(f.ReadAll().front() <= 32);
  CHECK(f.ReadAll().back() == 60);
  f.log->RemoveThrough(60);
  CHECK(f.log->size_bytes() == 0);
  CHECK(f.fs.List(kDir)->empty());
  REQUIRE(f.Write(61).ok());
  CHECK(f.ReadAll() == std::vector<uint64_t>{61});
}

TEST_CASE("whatever operation fails, what was written with OK is there, now and after a crash") {
  uint64_t operations = 0;
  {
    Fixture f;
    for (uint64_t i = 1; i <= 12; ++i) REQUIRE(f.Write(i).ok());
    operations = f.fs.operations();
  }
  for (uint64_t failing = 2; failing <= operations; ++failing) {
    for (const bool partial : {false, true}) {
      INFO("operation " << failing << " partial " << partial);
      Fixture f;
      f.fs.FailOnce(failing, kFull, partial);
      std::vector<uint64_t> written;
      for (uint64_t i = 1; i <= 12; ++i) {
        absl::Status status = f.Write(i);
        // Again, as the spool does.
        if (!status.ok()) status = f.Write(i);
        REQUIRE(status.ok());
        written.push_back(i);
      }
      REQUIRE(f.ReadAll() == written);
      f.fs.ProcessCrash();
      f.Open();
      REQUIRE(f.ReadAll() == written);
    }
  }
}

TEST_CASE("a full disk leaves no empty segments behind, however often it is tried") {
  Fixture f;
  REQUIRE(f.Write(1).ok());
  f.fs.FailFrom(f.fs.operations() + 1, kFull);
  for (int i = 0; i < 20; ++i) CHECK_FALSE(f.Write(2).ok());
  f.fs.FailFrom(0, absl::OkStatus());
  REQUIRE(f.Write(2).ok());
  CHECK(f.log->segments() <= 3);
  CHECK(f.ReadAll() == std::vector<uint64_t>{1, 2});
}

TEST_CASE("the disk bound removes the oldest and tells what was lost of it") {
  Fixture f;
  for (uint64_t i = 1; i <= 30; ++i) REQUIRE(f.Write(i).ok());
  const uint64_t before = f.log->size_bytes();
  const uint64_t lost = f.log->RemoveBeyond(before / 2, /*durable=*/1);
  const std::vector<uint64_t> kept = f.ReadAll();
  CHECK(f.log->size_bytes() <= before / 2);
  CHECK(kept.back() == 30);
  CHECK(lost == 3 * (30 - kept.size() - 1));
  // The newest segment stays whatever the bound.
  f.log->RemoveBeyond(0, 0);
  CHECK(f.log->segments() == 1);
}

TEST_CASE("a spool whose disk is full keeps going in memory and writes when there is room again") {
  FaultFileSystem fs;
  FakeClock clock;
  metrics::Registry registry;
  std::vector<std::string> lines;
  SpoolOptions options;
  options.path = kDir;
  options.endpoints = {"a"};
  auto opened = Spool::Open(options, &fs, &clock, Logger::ToLines(&lines), &registry);
  REQUIRE(opened.ok());
  Spool& spool = **opened;
  spool.Start();
  const storage::SeriesNumber number = spool.AddSeries(Labels{{"__name__", "m"}});
  const auto wait_for = [&](const auto& condition) {
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    StopSignal never;
    while (!condition() && RealClock()->Monotonic() < deadline) {
      clock.Advance(absl::Milliseconds(50));
      never.WaitFor(absl::Milliseconds(1));
    }
    return condition();
  };
  fs.FailFrom(fs.operations() + 1, kFull);
  for (int i = 1; i <= 5; ++i) {
    storage::NumberedBatch batch;
    batch.base_timestamp = i;
    batch.Add(number, i);
    spool.Append(std::move(batch));
  }
  CHECK(wait_for(
      [&] { return registry.AddCounter("narthex_spool_errors_total", "")->Value() >= 2; }));
  CHECK(spool.source(0)->Next(4, absl::ZeroDuration()).sequence == 5);
  fs.FailFrom(0, absl::OkStatus());
  CHECK(wait_for([&] {
    return registry.AddCounter("narthex_spool_written_batches_total", "")->Value() == 5;
  }));
  fs.ProcessCrash();
  opened->reset();
  auto again = Spool::Open(options, &fs, &clock, Logger(), &registry);
  REQUIRE(again.ok());
  uint64_t after = 0;
  for (int i = 1; i <= 5; ++i) {
    const auto item = (*again)->source(0)->Next(after, absl::ZeroDuration());
    REQUIRE(item.sequence > after);
    CHECK(item.batch->base_timestamp == i);
    after = item.sequence;
  }
}

TEST_CASE("a power loss loses at most what was written since the last second's sync") {
  FaultFileSystem fs;
  FakeClock clock;
  metrics::Registry registry;
  SpoolOptions options;
  options.path = kDir;
  options.endpoints = {"a"};
  auto spool = Spool::Open(options, &fs, &clock, Logger(), &registry);
  REQUIRE(spool.ok());
  const storage::SeriesNumber number = (*spool)->AddSeries(Labels{{"__name__", "m"}});
  storage::NumberedBatch batch;
  batch.base_timestamp = 7;
  batch.Add(number, 1);
  (*spool)->Append(std::move(batch));
  REQUIRE((*spool)->Close().ok());
  fs.PowerLoss();
  spool->reset();
  auto again = Spool::Open(options, &fs, &clock, Logger(), &registry);
  REQUIRE(again.ok());
  const auto item = (*again)->source(0)->Next(0, absl::ZeroDuration());
  REQUIRE(item.sequence > 0);
  CHECK(item.batch->base_timestamp == 7);
}

}  // namespace
}  // namespace narthex::scraper
