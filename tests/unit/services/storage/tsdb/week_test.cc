// A week of a database, as its clock sees it: what is kept, what goes, and that nothing grows.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kMinute = 60'000;
constexpr Timestamp kHour = 60 * kMinute;
constexpr Timestamp kDay = 24 * kHour;
constexpr Timestamp kRetention = 3 * kDay;
constexpr Timestamp kLate = 40 * kMinute;

DbOptions Options() {
  DbOptions options;
  options.settings.retention_time = absl::Milliseconds(kRetention);
  options.settings.out_of_order_window = absl::Hours(2);
  options.block_range_max_ms = 18 * kHour;
  options.log.segment_size_bytes = uint64_t{64} << 10;  // So that there are some to free.
  options.head.chunk_files.file_size_bytes = uint64_t{32} << 10;
  options.head.chunk_files.buffer_bytes = size_t{4} << 10;
  return options;
}

class Week {
 public:
  Week() : db_(Options()) { db_.Open(); }

  void Run() {
    const Timestamp begin = Now();
    for (Timestamp at = begin; at < begin + 7 * kDay; at += kMinute) {
      Scrape(at);
      db_.clock.Advance(absl::Milliseconds(kMinute));
      const Timestamp age = at - begin;
      if (age % (10 * kMinute) == 0) Maintain();
      if (age % kHour == 0) Measure(age / kDay);
      if (age % kDay == 17 * kHour) {
        db_.Crash();
        db_.Open();
      }
      if (age % kDay == 20 * kHour) CheckSamples(begin, at);
    }
    CheckBlocks(begin);
    CheckBounds();
  }

 private:
  static constexpr int kSteady = 20;
  static constexpr int kChurning = 5;  // New ones every hour.

  Timestamp Now() const { return ToTimestamp(db_.clock.Now()); }

  static double ValueOf(int series, Timestamp at) {
    return std::floor(static_cast<double>(at / kMinute % 1000) * (series + 1) / 3);
  }
  static Labels SteadyLabels(int series) {
    return Labels::FromPairs({{"__name__", "steady"}, {"i", StrCat(series)}});
  }
  static Labels ChurningLabels(int series, Timestamp at) {
    return Labels::FromPairs(
        {{"__name__", "churning"}, {"hour", StrCat(at / kHour)}, {"i", StrCat(series)}});
  }
  // Every tenth sample of the first series comes late.
  static bool ComesLate(int series, Timestamp at) { return series == 0 && at / kMinute % 10 == 3; }

  void Scrape(Timestamp at) {
    DbAppender appender(&db_.db->head());
    for (int i = 0; i < kSteady; ++i) {
      if (!ComesLate(i, at)) appender.Append(SteadyLabels(i), at, ValueOf(i, at));
    }
    if (ComesLate(0, at - kLate)) {
      appender.Append(SteadyLabels(0), at - kLate, ValueOf(0, at - kLate));
    }
    for (int i = 0; i < kChurning; ++i) {
      appender.Append(ChurningLabels(i, at), at, ValueOf(i, at));
    }
    const absl::Status committed = appender.Commit();
    INFO(committed.ToString());
    REQUIRE(committed.ok());
    // The first late ones are from before the beginning.
    for (const uint64_t refused : appender.result().refused) REQUIRE(refused == 0);
  }

  void Maintain() {
    REQUIRE(db_.db->Sync().ok());
    const absl::Status compacted = db_.db->Compact();
    INFO(compacted.ToString());
    REQUIRE(compacted.ok());
    const Head& head = db_.db->head();
    CHECK(head.max_time() - head.min_time() <= 3 * kHour + 10 * kMinute);
  }

  uint64_t BytesIn(const std::string& directory) {
    uint64_t bytes = 0;
    const auto names = db_.fs.List(directory);
    if (!names.ok()) return 0;
    for (const std::string& name : *names) {
      const std::string path = io::JoinPath(directory, name);
      const auto is_directory = db_.fs.IsDirectory(path);
      const auto size = db_.fs.FileSize(path);
      bytes += is_directory.ok() && *is_directory ? BytesIn(path) : size.ok() ? *size : 0;
    }
    return bytes;
  }

  struct Usage {
    uint64_t log = 0;
    uint64_t late_log = 0;
    uint64_t head_chunks = 0;
    uint64_t all = 0;
    uint64_t blocks = 0;
    uint64_t memory = 0;
    uint64_t late_memory = 0;
    uint64_t series = 0;
  };
  void Measure(Timestamp day) {
    Usage& most = most_[day];
    const auto note = [](uint64_t* field, uint64_t value) { *field = std::max(*field, value); };
    const Head& head = db_.db->head();
    const std::string path = kDbPath;
    note(&most.log, BytesIn(path + "/wal"));
    note(&most.late_log, BytesIn(path + "/wbl"));
    note(&most.head_chunks, BytesIn(path + "/chunks_head"));
    note(&most.all, BytesIn(path));
    note(&most.blocks, db_.db->blocks()->size());
    note(&most.memory, head.memory().total());
    note(&most.late_memory, head.ooo().memory_bytes());
    note(&most.series, head.table().size());
  }

  // The last two and a half days are there to the sample, but for late ones that are still to come.
  void CheckSamples(Timestamp begin, Timestamp at) {
    const Timestamp from = std::max(begin, at - 5 * kDay / 2);
    SeriesMap expected;
    for (Timestamp t = from; t <= at; t += kMinute) {
      for (int i = 0; i < kSteady; ++i) {
        if (ComesLate(i, t) && t + kLate > at) continue;
        expected[SteadyLabels(i)].emplace_back(t, ValueOf(i, t));
      }
      for (int i = 0; i < kChurning; ++i) {
        expected[ChurningLabels(i, t)].emplace_back(t, ValueOf(i, t));
      }
    }
    const SeriesMap found = db_.Select({}, from, at);
    REQUIRE(found.size() == expected.size());
    for (const auto& [labels, samples] : expected) {
      INFO(labels.ToString() << " " << (at - begin) / kHour << " h after the beginning");
      REQUIRE(found.count(labels) == 1);
      REQUIRE(found.at(labels) == samples);
    }
  }

  // Blocks lie one behind the other, of lengths that double by three, and none is too old.
  void CheckBlocks(Timestamp begin) {
    const std::shared_ptr<const BlockList> blocks = db_.db->blocks();
    REQUIRE_FALSE(blocks->empty());
    std::map<Timestamp, int> lengths;
    Timestamp before = kMinTimestamp;
    for (const std::shared_ptr<Block>& block : *blocks) {
      const BlockMeta& meta = block->meta();
      INFO(meta.ulid << ": " << meta.min_time << " to " << meta.max_time);
      const Timestamp length = meta.max_time - meta.min_time;
      CHECK(meta.max_time > begin);
      // The late and the last ones of a range may stand apart for a while.
      CHECK(meta.min_time >= before);
      before = meta.max_time;
      const bool is_level = std::any_of(kLengths.begin(), kLengths.end(), [&](Timestamp level) {
        return length <= level && meta.min_time / level == (meta.max_time - 1) / level;
      });
      CHECK(is_level);
      CHECK(Now() - meta.max_time < kRetention + 18 * kHour + 3 * kHour);
      ++lengths[length > 6 * kHour ? 18 * kHour : length > 2 * kHour ? 6 * kHour : 2 * kHour];
    }
    CHECK(lengths[18 * kHour] >= 2);
    CHECK(lengths[2 * kHour] <= 4);
    CHECK(lengths[6 * kHour] <= 4);
  }

  // The last day needs what the second needed; blocks stop growing when the retention holds.
  void CheckBounds() {
    const Usage& early = most_.at(1);
    const Usage& late = most_.at(6);
    const auto no_more = [](uint64_t now, uint64_t then, uint64_t slack) {
      INFO(now << " and " << then << " before");
      CHECK(now <= then + then / 4 + slack);
    };
    no_more(late.log, early.log, 100'000);
    no_more(late.late_log, early.late_log, 10'000);
    no_more(late.head_chunks, early.head_chunks, 50'000);
    no_more(late.memory, early.memory, 100'000);
    no_more(late.late_memory, early.late_memory, 10'000);
    no_more(late.series, early.series, 0);
    no_more(late.all, most_.at(4).all, 0);
    no_more(late.blocks, most_.at(4).blocks, 2);
    CHECK(late.series <= kSteady + kChurning * 6);
  }

  static constexpr std::array<Timestamp, 3> kLengths = {2 * kHour, 6 * kHour, 18 * kHour};

  DbFixture db_;
  std::map<Timestamp, Usage> most_;  // By day.
};

TEST_CASE("A week passes, and a database keeps three days of it in bounded space") { Week().Run(); }

}  // namespace
}  // namespace narthex::tsdb
