// Series that have ended leave the head early where the settings say so, and blocks that are due
// wait where the options say so.
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"
#include "tests/unit/services/storage/tsdb/compaction_fixture.h"

namespace narthex::tsdb {
namespace {

DbOptions WithThreshold(double threshold) {
  DbOptions options;
  options.settings.stale_series_threshold = threshold;
  return options;
}

struct Fixture : CompactionFixture {
  using CompactionFixture::CompactionFixture;

  // Not part of the model: NaN equals nothing.
  void End(int series, Timestamp timestamp) {
    REQUIRE(Append(Series(series), timestamp, StaleNan()) == storage::Refusal::kNone);
  }
  // What is there, without stale markers.
  SeriesMap Values() {
    SeriesMap all = SelectAll();
    for (auto& [labels, samples] : all) {
      std::erase_if(samples, [](const auto& sample) { return IsStale(sample.second); });
    }
    return all;
  }
  size_t HeadSeries() const { return db->head().table().size(); }
};

TEST_CASE("Series that ended go to blocks early when they are a large part of the head") {
  Fixture f(WithThreshold(0.5));
  f.Open();
  f.Fill(10, kBegin + 100 * kMinute, kBegin + 130 * kMinute, kMinute);
  for (int i = 0; i < 4; ++i) f.End(i, kBegin + 131 * kMinute);
  f.Compact();
  CHECK(f.HeadSeries() == 10);
  CHECK(f.db->counters().stale_compactions == 0);
  f.End(4, kBegin + 131 * kMinute);
  f.Compact();
  CHECK(f.HeadSeries() == 5);
  CHECK(f.db->counters().stale_compactions == 1);
  CHECK(f.db->counters().stale_compactions_failed == 0);
  CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
  const BlockListPtr blocks = f.db->blocks();
  for (const auto& block : *blocks) {
    CHECK(block->meta().stats.series == 5);
    CHECK(block->meta().compaction.hints ==
          std::vector<std::string>{"from-out-of-order", "from-stale-series"});
  }
  CHECK(f.Values() == f.Expected());

  SECTION("a restart brings nothing back that was deleted meanwhile") {
    REQUIRE(f.db->Delete({}, kBegin + 110 * kMinute, kBegin + 125 * kMinute).ok());
    for (int i = 0; i < 10; ++i) {
      f.Forget(kBegin + 110 * kMinute, kBegin + 125 * kMinute, Series(i));
    }
    CHECK(f.Values() == f.Expected());
    f.Crash();
    f.Open();
    CHECK(f.Values() == f.Expected());
  }
  SECTION("series that come back are series like others") {
    f.Fill(10, kBegin + 132 * kMinute, kBegin + 140 * kMinute, kMinute);
    CHECK(f.HeadSeries() == 10);
    CHECK(f.Values() == f.Expected());
    f.Crash();
    f.Open();
    CHECK(f.Values() == f.Expected());
  }
  SECTION("the rest of the head is cut as ever, and everything is merged") {
    for (Timestamp t = kBegin + 132 * kMinute; t <= kBegin + 9 * kHour; t += kMinute) {
      for (int i = 5; i < 10; ++i) f.Add(i, t, static_cast<double>(t % 77));
    }
    f.Compact();
    CHECK(f.Hours() == Hours{{0, 2}, {2, 4}, {4, 6}});
    const BlockListPtr merged = f.db->blocks();
    for (const auto& block : *merged) {
      INFO(block->meta().min_time);
      CHECK(block->meta().compaction.hints.empty());
    }
    CHECK(f.Values() == f.Expected());
    f.Crash();
    f.Open();
    CHECK(f.Values() == f.Expected());
  }
}

TEST_CASE("A block of stale series does not pass for all of its time, also when it is merged") {
  Fixture f(WithThreshold(0.1));
  f.Open();
  f.Fill(6, kBegin, kBegin + 20 * kMinute, kMinute);
  f.End(0, kBegin + 21 * kMinute);
  f.Compact();
  f.Fill(6, kBegin + 22 * kMinute, kBegin + 40 * kMinute, kMinute);
  f.End(0, kBegin + 41 * kMinute);
  f.End(1, kBegin + 41 * kMinute);
  f.Compact();
  CHECK(f.db->counters().stale_compactions == 2);
  CHECK(f.Hours() == Hours{{0, 2}, {0, 2}});
  CHECK(f.HeadSeries() == 4);
  CHECK(f.Values() == f.Expected());
  // They wait for the block with the others of their time.
  for (Timestamp t = kBegin + 42 * kMinute; t <= kBegin + 5 * kHour; t += kMinute) {
    for (int i = 2; i < 6; ++i) f.Add(i, t, 1.0 * i);
  }
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}});
  CHECK(f.db->blocks()->front()->meta().compaction.hints.empty());
  CHECK(f.db->blocks()->front()->meta().compaction.parents.size() == 3);
  CHECK(f.Values() == f.Expected());
}

TEST_CASE("A series that has late samples or exemplars stays in the head though it is stale") {
  DbOptions options = WithThreshold(0.01);
  options.settings.out_of_order_window = absl::Hours(24);
  Fixture f(options);
  f.Open();
  f.Fill(2, kBegin + 60 * kMinute, kBegin + 80 * kMinute, kMinute);
  for (const int i : {0, 1}) f.End(i, kBegin + 81 * kMinute);
  f.Add(0, kBegin + 61 * kMinute + 1, 5);
  f.Compact();
  CHECK(f.HeadSeries() == 1);
  CHECK(f.Values() == f.Expected());
  f.Crash();
  f.Open();
  CHECK(f.Values() == f.Expected());
}

TEST_CASE("A block that is due is written after the delay, and not before") {
  DbOptions options;
  options.compaction_delay = absl::Minutes(7);
  Fixture f(options);
  f.Open();
  f.Fill(2, kBegin, kBegin + 3 * kHour + kMinute, kMinute);
  CHECK(f.db->HeadDue());
  f.Compact();
  CHECK(f.Hours().empty());
  // Nobody needs to ask before the time has come.
  CHECK_FALSE(f.db->HeadDue());
  f.clock.Advance(absl::Minutes(6));
  CHECK_FALSE(f.db->HeadDue());
  f.Compact();
  CHECK(f.Hours().empty());
  f.clock.Advance(absl::Minutes(1));
  CHECK(f.db->HeadDue());
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}});
  // The next one waits for itself.
  f.Fill(2, kBegin + 3 * kHour + 2 * kMinute, kBegin + 5 * kHour + kMinute, kMinute);
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}});
  f.clock.Advance(absl::Minutes(7));
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Blocks that somebody wants to copy first are not merged, nor are later ones") {
  std::set<std::string> uploaded;
  bool all = false;
  DbOptions options;
  options.not_to_merge = [&](const BlockMeta& meta) {
    return !all && meta.compaction.level == 1 && uploaded.count(meta.ulid) == 0;
  };
  Fixture f(options);
  f.Open();
  f.Fill(1, kBegin - kBegin % (6 * kHour), kBegin - kBegin % (6 * kHour) + 14 * kHour, 5 * kMinute);
  const auto compact = [&f] {
    // Blocks that are written in one moment have no order.
    return f.db->Compact([&f] {
      f.clock.Advance(absl::Milliseconds(1));
      return absl::OkStatus();
    });
  };
  REQUIRE(compact().ok());
  CHECK(f.db->blocks()->size() == 6);
  // The first of the six is not enough: the others come one after another.
  const BlockListPtr six = f.db->blocks();
  for (size_t i = 0; i < 3; ++i) uploaded.insert((*six)[i]->meta().ulid);
  REQUIRE(compact().ok());
  CHECK(f.db->blocks()->size() == 6);
  uploaded.insert((*six)[3]->meta().ulid);
  REQUIRE(compact().ok());
  CHECK(f.db->blocks()->size() == 4);
  CHECK(f.db->blocks()->front()->meta().compaction.level == 2);
  all = true;
  REQUIRE(compact().ok());
  CHECK(f.db->blocks()->size() == 4);
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Files of head chunks go with the samples that they were cut with") {
  DbOptions options;
  options.head.chunk_files.buffer_bytes = 1;
  Fixture f(options);
  f.Open();
  for (int hour = 0; hour < 24; hour += 2) {
    f.Fill(20, kBegin + hour * kHour, kBegin + (hour + 2) * kHour - kMinute, kMinute);
    f.Compact();
  }
  f.Fill(20, kBegin + 24 * kHour, kBegin + 25 * kHour, kMinute);
  const uint64_t written = f.db->head().chunk_files().counters().bytes_written.load();
  // The last hours of 24 are there, in files of two.
  CHECK(f.db->head().chunk_files().disk_bytes() > 0);
  CHECK(f.db->head().chunk_files().disk_bytes() < written / 4);
}

}  // namespace
}  // namespace narthex::tsdb
