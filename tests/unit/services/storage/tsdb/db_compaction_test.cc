#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/db_reader.h"
#include "tests/unit/services/storage/tsdb/compaction_fixture.h"

namespace narthex::tsdb {
namespace {

using Fixture = CompactionFixture;

TEST_CASE("The head goes to blocks of two hours once it spans one and a half of them") {
  Fixture f;
  f.Open();
  f.Fill(3, kBegin + 7 * kMinute, kBegin + 3 * kHour, 5 * kMinute);
  f.Compact();
  CHECK(f.Hours().empty());
  CHECK(f.SelectAll() == f.Expected());
  f.Fill(3, kBegin + 3 * kHour + kMinute, kBegin + 6 * kHour + 51 * kMinute, 5 * kMinute);
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
  CHECK(f.db->head().min_time() >= kBegin + 4 * kHour);
  CHECK(f.SelectAll() == f.Expected());
  CHECK(f.db->counters().compactions == 2);
  CHECK(f.db->counters().head_truncations == 2);

  SECTION("and a restart finds everything") {
    f.Crash();
    f.Open();
    CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
    CHECK(f.SelectAll() == f.Expected());
    // What the log still has of the blocks is not written into blocks again.
    f.Compact();
    CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
  }
  SECTION("and parts of the time come from the right places") {
    for (const auto& [from, to] : Hours{{0, 1}, {1, 3}, {3, 5}, {5, 7}, {-3, -1}, {8, 9}}) {
      SeriesMap expected;
      for (const auto& [labels, samples] : f.Expected()) {
        for (const auto& [timestamp, value] : samples) {
          if (timestamp >= kBegin + from * kHour && timestamp <= kBegin + to * kHour) {
            expected[labels].emplace_back(timestamp, value);
          }
        }
      }
      CHECK(f.Select({}, kBegin + from * kHour, kBegin + to * kHour) == expected);
    }
  }
}

TEST_CASE("A series that ended is found in blocks, by its labels") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + kHour, 5 * kMinute);
  f.Fill(1, kBegin + kHour + kMinute, kBegin + 5 * kHour, 5 * kMinute);
  f.Compact();
  const DbReader reader(f.db.get());
  storage::Selector selector = DbFixture::Selector({}, kBegin, kBegin + 10 * kHour);
  auto cursor = *reader.Select(selector, true);
  REQUIRE(*cursor->Next());
  CHECK(cursor->id() != 0);
  CHECK(cursor->labels() == Series(0));
  CHECK(*cursor->Overlaps());
  REQUIRE(*cursor->Next());
  CHECK(cursor->id() == 0);
  CHECK(cursor->labels() == Series(1));
  REQUIRE(*cursor->ReadChunks());
  CHECK(cursor->chunks().size() == 1);
  CHECK(!*cursor->Next());
  const std::vector<std::vector<Matcher>> sets = {{Matcher::Equal("i", "1")}};
  CHECK(*reader.LabelValues("i", {}, kBegin, kBegin + kHour) == std::vector<std::string>{"0", "1"});
  CHECK(*reader.LabelValues("i", {}, kBegin + 3 * kHour, kBegin + 10 * kHour) ==
        std::vector<std::string>{"0"});
  CHECK(*reader.LabelNames(sets, kBegin, kBegin + kHour) ==
        std::vector<std::string>{"__name__", "i"});
  CHECK(reader.LabelNames(sets, kBegin + 3 * kHour, kBegin + 10 * kHour)->empty());
}

TEST_CASE("The newest sample comes from wherever it is") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + kHour, 5 * kMinute);
  f.Fill(1, kBegin + kHour + kMinute, kBegin + 5 * kHour, 5 * kMinute);
  f.Compact();
  for (const Timestamp at : {kBegin + 10 * kMinute, kBegin + kHour + 30 * kMinute,
                             kBegin + 2 * kHour + 3 * kMinute, kBegin + 9 * kHour}) {
    storage::Selector selector = DbFixture::Selector({}, at - 2 * kHour, at);
    selector.hints.newest_only = true;
    SeriesMap expected;
    for (const auto& [labels, samples] : f.model) {
      auto newest = samples.upper_bound(at);
      if (newest == samples.begin()) continue;
      --newest;
      if (newest->first >= at - 2 * kHour) expected[labels] = {*newest};
    }
    CHECK(f.SelectWith(selector) == expected);
  }
}

TEST_CASE("Blocks grow by threes, and each sample stays where it was") {
  DbOptions options;
  options.block_range_max_ms = 18 * kHour;
  Fixture f(options);
  f.Open();
  for (int hour = 0; hour < 40; ++hour) {
    f.Fill(2, kBegin + hour * kHour, kBegin + hour * kHour + 59 * kMinute, 20 * kMinute);
    f.Compact();
  }
  CHECK(f.SelectAll() == f.Expected());
  // Aligned to multiples of 18 hours since 1970, so the first ones may be shorter.
  const BlockListPtr blocks = f.db->blocks();
  for (const auto& block : *blocks) {
    const BlockMeta& meta = block->meta();
    CHECK(meta.max_time - meta.min_time <= 18 * kHour);
  }
  CHECK(f.db->blocks()->size() <= 8);
  const int level = f.db->blocks()->front()->meta().compaction.level;
  CHECK(level >= 2);
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Late samples wait while their range is written, and are then merged into it") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + 4 * kHour, 5 * kMinute);
  bool refused = false;
  const Pace pace = [&] {
    DbAppender appender(&f.db->head());
    appender.Append(Series(7), kBegin + kHour, 1);
    refused = refused || absl::IsUnavailable(appender.Commit());
    return absl::OkStatus();
  };
  REQUIRE(f.db->Compact(pace).ok());
  CHECK(refused);
  f.model[Series(7)][kBegin + kHour] = 1;
  if (f.Append(Series(7), kBegin + kHour, 1) != storage::Refusal::kNone) FAIL("refused");
  CHECK(f.SelectAll() == f.Expected());
  // Alone it is not worth a compaction; with the next one it is merged in.
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}});
  f.Fill(2, kBegin + 4 * kHour + kMinute, kBegin + 6 * kHour, 5 * kMinute);
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
  CHECK(f.db->counters().vertical_compactions == 1);
  CHECK(f.SelectAll() == f.Expected());
  CHECK(f.db->head().min_time() >= kBegin + 4 * kHour);
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Years between late samples cost nothing") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 8 * kHour, 10 * kMinute);
  f.Compact();
  for (const Timestamp t : {int64_t{5}, 1000 * kHour, 200'000 * kHour}) {
    f.Add(static_cast<int>(t % 97) + 10, t, 3);
  }
  f.Fill(1, kBegin + 8 * kHour + kMinute, kBegin + 12 * kHour, 10 * kMinute);
  f.Compact();
  CHECK(f.db->head().min_time() >= kBegin + 8 * kHour);
  CHECK(f.SelectAll() == f.Expected());
  CHECK(f.db->counters().compactions < 20);
}

TEST_CASE(
    "A reader keeps the head whole that it needs, and what was written is not written again") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + 4 * kHour, 5 * kMinute);
  {
    const DbReader reader(f.db.get());
    auto cursor = *reader.Select(DbFixture::Selector({}, kBegin, kBegin + 4 * kHour), false);
    REQUIRE(*cursor->Next());
    int asked = 0;
    bool written = false;
    // The wait for readers asks again and again; the first times are from the writing.
    const absl::Status status = f.db->Compact([&] {
      written = written || !f.db->blocks()->empty();
      return written && ++asked > 1 ? Cancelled("enough") : absl::OkStatus();
    });
    CHECK(absl::IsCancelled(status));
    CHECK(f.Hours() == Hours{{0, 2}});
    CHECK(f.db->head().min_time() == kBegin);
    SampleBuffer samples;
    REQUIRE(*cursor->ReadSamples(&samples));
    CHECK(samples.size() == 49);
    // Both have the samples now; they come once.
    CHECK(f.SelectAll() == f.Expected());
  }
  f.Compact();
  CHECK(f.db->counters().compactions == 1);
  CHECK(f.db->counters().head_truncations == 1);
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Out-of-order samples are read with the rest and go to blocks of their own") {
  DbOptions options;
  options.settings.out_of_order_window = absl::Hours(24);
  Fixture f(options);
  f.Open();
  f.Fill(2, kBegin, kBegin + 2 * kHour, 10 * kMinute);
  for (int i = 0; i < 50; ++i) f.Add(0, kBegin + i * kMinute + 1, i);
  CHECK(f.SelectAll() == f.Expected());
  storage::Selector newest = DbFixture::Selector({}, kBegin, kBegin + 45 * kMinute + 2);
  newest.hints.newest_only = true;
  CHECK(f.SelectWith(newest)[Series(0)] ==
        std::vector<std::pair<Timestamp, double>>{{kBegin + 45 * kMinute + 1, 45}});
  f.Fill(2, kBegin + 2 * kHour + kMinute, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  CHECK(f.db->head().ooo().empty());
  CHECK(f.Hours() == Hours{{0, 2}});
  CHECK(f.SelectAll() == f.Expected());
  f.Add(0, kBegin + 17, 5);
  CHECK(f.SelectAll() == f.Expected());
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("Retention deletes blocks by age and by size, also when it is set while running") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 12 * kHour, 10 * kMinute);
  f.Compact();
  const size_t before = f.db->blocks()->size();
  REQUIRE(before >= 3);
  DbSettings settings = f.db->settings();
  SECTION("by age") {
    const Timestamp end = f.db->blocks()->back()->meta().max_time;
    settings.retention_time = absl::Hours(3);
    f.db->Apply(settings);
    REQUIRE(f.db->ReloadBlocks().ok());
    CHECK(f.db->counters().time_retentions == 1);
    const BlockListPtr blocks = f.db->blocks();
    for (const auto& block : *blocks) {
      CHECK(end - block->meta().max_time < 3 * kHour);
    }
  }
  SECTION("by size") {
    settings.retention_bytes = 1;
    f.db->Apply(settings);
    REQUIRE(f.db->ReloadBlocks().ok());
    CHECK(f.db->counters().size_retentions == 1);
    CHECK(f.db->blocks()->empty());
  }
  SECTION("by part of the disk") {
    f.fs.SetDiskSpace({1000, 1 << 30});
    settings.retention_percentage = 50;
    f.db->Apply(settings);
    REQUIRE(f.db->ReloadBlocks().ok());
    CHECK(f.db->counters().size_retentions == 1);
    CHECK(f.db->blocks()->empty());
  }
  CHECK(f.db->blocks()->size() < before);
  const size_t left = f.db->blocks()->size();
  f.Crash();
  f.Open();
  CHECK(f.db->blocks()->size() == left);
}

TEST_CASE("Deletes hold for head and blocks, over restarts, compactions and clean-ups") {
  DbOptions options;
  options.settings.out_of_order_window = absl::Hours(24);
  Fixture f(options);
  f.Open();
  f.Fill(3, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  REQUIRE(f.Hours() == Hours{{0, 2}});
  f.Add(1, kBegin + 3 * kHour + 1, 9);  // Late, and deleted with the rest.
  const std::vector<Matcher> one = {Matcher::Equal("i", "1")};
  const std::vector<Matcher> two = {Matcher::Equal("i", "2")};
  REQUIRE(f.db->Delete(one, kBegin + kHour, kBegin + 3 * kHour + 5).ok());
  f.Forget(kBegin + kHour, kBegin + 3 * kHour + 5, Series(1));
  REQUIRE(f.db->Delete(two, kMinTimestamp, kMaxTimestamp).ok());
  f.Forget(kMinTimestamp, kMaxTimestamp, Series(2));
  CHECK(f.SelectAll() == f.Expected());
  // What comes later stays.
  f.Fill(3, kBegin + 4 * kHour + kMinute, kBegin + 4 * kHour + 30 * kMinute, 10 * kMinute);
  CHECK(f.SelectAll() == f.Expected());
  SECTION("a restart") {
    f.Crash();
    f.Open();
    CHECK(f.SelectAll() == f.Expected());
  }
  SECTION("a clean-up, and what it frees does not come back") {
    REQUIRE(f.db->CleanTombstones().ok());
    const BlockListPtr blocks = f.db->blocks();
    for (const auto& block : *blocks) CHECK(block->tombstones() == 0);
    CHECK(f.SelectAll() == f.Expected());
    f.Crash();
    f.Open();
    CHECK(f.SelectAll() == f.Expected());
  }
  SECTION("late samples into a deleted range stay") {
    f.Add(1, kBegin + 2 * kHour + 7, 4);
    CHECK(f.SelectAll() == f.Expected());
    f.Crash();
    f.Open();
    CHECK(f.SelectAll() == f.Expected());
  }
  f.Fill(3, kBegin + 5 * kHour, kBegin + 9 * kHour, 10 * kMinute);
  f.Compact();
  CHECK(f.SelectAll() == f.Expected());
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("A block of which everything is deleted goes away") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  REQUIRE(f.db->Delete({}, kMinTimestamp, kBegin + 2 * kHour - 1).ok());
  REQUIRE(f.db->CleanTombstones().ok());
  CHECK(f.db->blocks()->empty());
  for (int i = 0; i < 2; ++i) f.Forget(kMinTimestamp, kBegin + 2 * kHour - 1, Series(i));
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("A snapshot opens as a database of its own") {
  DbOptions options;
  options.settings.out_of_order_window = absl::Hours(24);
  Fixture f(options);
  f.Open();
  f.Fill(2, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  f.Add(0, kBegin + 3 * kHour + 1, 9);
  const absl::StatusOr<std::string> whole = f.db->Snapshot("", true);
  REQUIRE(whole.ok());
  CHECK(whole->size() == std::string("20231114T221320Z-0123456789abcdef").size());
  REQUIRE(f.db->Snapshot("blocks", false).ok());
  CHECK(absl::IsAlreadyExists(f.db->Snapshot("blocks", false).status()));
  CHECK(absl::IsInvalidArgument(f.db->Snapshot("../x", false).status()));
  const SeriesMap expected = f.Expected();
  // What happens to the database later is nothing to the snapshot.
  REQUIRE(f.db->Delete({}, kMinTimestamp, kMaxTimestamp).ok());
  f.db.reset();

  DbOptions copy;
  copy.path = StrCat(kDbPath, "/snapshots/", *whole);
  auto opened = *Db::Open(copy, &f.fs, &f.clock, Logger::ToLines(&f.log_lines));
  REQUIRE(opened->Replay([] { return false; }).ok());
  f.db = std::move(opened);
  CHECK(f.SelectAll() == expected);
  copy.path = StrCat(kDbPath, "/snapshots/blocks");
  f.db.reset();
  f.db = *Db::Open(copy, &f.fs, &f.clock, Logger::ToLines(&f.log_lines));
  REQUIRE(f.db->Replay([] { return false; }).ok());
  CHECK(f.db->blocks()->size() == 1);
}

TEST_CASE("Blocks answer while there is no head yet") {
  Fixture f;
  f.Open();
  f.Fill(2, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  f.Crash();
  DbOptions options;
  options.path = kDbPath;
  f.db = *Db::Open(options, &f.fs, &f.clock, Logger::ToLines(&f.log_lines));
  CHECK(!f.db->CheckReadable().ok());
  CHECK(f.db->state().kind == DbStateKind::kReplaying);
  // The log is read, but cannot be gone on with.
  f.fs.FailFrom(f.fs.operations() + 1, Internal("the disk is dead"));
  REQUIRE(!f.db->Replay([] { return false; }).ok());
  CHECK(f.db->state().kind == DbStateKind::kBroken);
  CHECK(f.db->CheckReadable().ok());
  CHECK(!f.db->CheckReady().ok());
  const DbReader reader(f.db.get());
  CHECK(!reader.has_head());
  auto cursor = *reader.Select(DbFixture::Selector({}, kBegin, kBegin + 4 * kHour), false);
  REQUIRE(*cursor->Next());
  CHECK(cursor->id() == 0);
  SampleBuffer samples;
  CHECK(*cursor->ReadSamples(&samples));
  CHECK(samples.size() == 12);
}

TEST_CASE("Samples older than the newest block go to blocks when they are asked to") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 8 * kHour, 10 * kMinute);
  f.Compact();
  REQUIRE(f.Hours() == Hours{{0, 2}, {2, 4}, {4, 6}});
  const uint64_t truncations = f.db->counters().head_truncations;
  REQUIRE(f.db->WriteLateSamples().ok());
  CHECK(f.db->counters().head_truncations == truncations);  // There are none.
  // A series of its own, and so in order: two ranges with one between them that has nothing.
  for (const int minute : {5, 25, 245, 250}) f.Add(7, kBegin + minute * kMinute, minute);
  REQUIRE(f.db->head().min_time() == kBegin + 5 * kMinute);
  REQUIRE(absl::IsCancelled(f.db->WriteLateSamples([] { return Cancelled("no time"); })));
  CHECK(f.SelectAll() == f.Expected());
  REQUIRE(f.db->WriteLateSamples().ok());
  CHECK(f.db->head().min_time() >= kBegin + 6 * kHour);
  CHECK(f.Hours() == Hours{{0, 2}, {0, 2}, {2, 4}, {4, 6}, {4, 6}});
  CHECK(f.SelectAll() == f.Expected());
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
  f.Compact();
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("A full disk refuses appends with its reason, and ends by itself") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.fs.SetDiskSpace({1 << 30, 1 << 10});
  f.db->CheckDisk();
  CHECK(f.db->state().kind == DbStateKind::kReadOnly);
  CHECK(f.db->state().reason.find("is full") != std::string::npos);
  DbAppender appender(&f.db->head());
  appender.Append(Series(0), kBegin + 5 * kHour, 1);
  CHECK(absl::IsUnavailable(appender.Commit()));
  f.Compact();
  CHECK(f.db->counters().compactions_skipped == 1);
  CHECK(f.Hours().empty());
  CHECK(f.SelectAll() == f.Expected());
  f.fs.SetDiskSpace({1 << 30, 1 << 29});
  f.db->CheckDisk();
  CHECK(f.db->state().kind == DbStateKind::kReady);
  f.Add(0, kBegin + 5 * kHour, 1);
  f.Compact();
  CHECK(f.Hours() == Hours{{0, 2}});
  CHECK(f.SelectAll() == f.Expected());
}

TEST_CASE("A block that cannot be opened is said and left, and the others answer") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 6 * kHour, 10 * kMinute);
  f.Compact();
  REQUIRE(f.Hours() == Hours{{0, 2}, {2, 4}});
  const std::string index = StrCat(f.db->blocks()->front()->directory(), "/index");
  f.fs.Corrupt(index, *f.fs.FileSize(index) - 3, 1);
  f.Crash();
  f.Open();
  CHECK(f.Hours() == Hours{{2, 4}});
  CHECK(f.fs.Exists(index));
  CHECK(f.db->counters().reload_failures == 1);
  CHECK(f.LogHas("cannot be opened"));
  f.Forget(kMinTimestamp, kBegin + 2 * kHour - 1, Series(0));
  CHECK(f.SelectAll() == f.Expected());
  f.Compact();
  CHECK(f.db->counters().reload_failures >= 2);
  // Repaired by somebody, it is back with the next reload.
  f.fs.Corrupt(index, *f.fs.FileSize(index) - 3, 1);
  REQUIRE(f.db->ReloadBlocks().ok());
  CHECK(f.Hours() == Hours{{0, 2}, {2, 4}});
}

TEST_CASE("Damaged chunks keep blocks from being merged, and are marked as upstream does") {
  Fixture f;
  f.Open();
  f.Fill(1, kBegin, kBegin + 4 * kHour, 10 * kMinute);
  f.Compact();
  // A late block over the same time, to be merged with the first.
  f.Add(5, kBegin + kHour, 1);
  const std::string segment = StrCat(f.db->blocks()->front()->directory(), "/chunks/000001");
  f.fs.Corrupt(segment, 30, 1);
  f.Crash();
  f.Open();
  f.Fill(1, kBegin + 4 * kHour + kMinute, kBegin + 6 * kHour, 10 * kMinute);
  const absl::Status status = f.db->Compact();
  CHECK(absl::IsDataLoss(status));
  CHECK(f.db->counters().compactions_failed == 1);
  f.Compact();  // They are left alone now.
  CHECK(f.Hours() == Hours{{0, 2}, {0, 2}, {2, 4}});
  int failed = 0;
  const BlockListPtr blocks = f.db->blocks();
  for (const auto& block : *blocks) {
    const auto meta = ParseBlockMeta(*f.fs.ReadFile(StrCat(block->directory(), "/meta.json")));
    REQUIRE(meta.ok());
    failed += meta->compaction.failed ? 1 : 0;
  }
  CHECK(failed == 2);
}

TEST_CASE("Leftovers of broken-off work are removed at the start") {
  Fixture f;
  f.Open();
  const std::string ulid = "01HF00000000000000000000AA";
  f.Crash();
  for (const char* const suffix : {".tmp-for-creation", ".tmp-for-deletion", ".tmp"}) {
    REQUIRE(f.fs.CreateDirectories(StrCat(kDbPath, "/", ulid, suffix, "/chunks")).ok());
  }
  REQUIRE(f.fs.CreateDirectories(StrCat(kDbPath, "/snapshots/x.tmp-for-creation")).ok());
  REQUIRE(f.fs.CreateDirectories(StrCat(kDbPath, "/somebody.tmp")).ok());
  f.Open();
  const std::vector<std::string> names = *f.fs.List(kDbPath);
  for (const std::string& name : names) CHECK(name.find(ulid) == std::string::npos);
  CHECK(f.fs.List(StrCat(kDbPath, "/snapshots"))->empty());
  CHECK(f.fs.Exists(StrCat(kDbPath, "/somebody.tmp")));
}

}  // namespace
}  // namespace narthex::tsdb
