// A start on a full disk: everything that is there answers, nothing is taken until there is room.
#include <string>
#include <string_view>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/wal/segments.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
const Timestamp kBegin = AlignDown(kStart, 2 * kHour);
const absl::Status kFull = absl::ResourceExhaustedError("no space left on device");

Labels Series(int i) { return Labels({{kMetricName, "m"}, {"i", StrCat(i)}}); }

// What an earlier process has left behind.
enum class Left { kWhole, kTorn, kDamaged, kForeign };

// A database with blocks, a log, late samples with a log of their own, and chunks_head.
struct Fixture : DbFixture {
  explicit Fixture(Left left) : DbFixture(Options()) {
    Open();
    for (Timestamp t = kBegin; t <= kBegin + 5 * kHour; t += kMinute) {
      for (int i = 0; i < 2; ++i) Add(i, t, static_cast<double>(t % 1000) + i);
    }
    REQUIRE(db->Compact().ok());
    REQUIRE(db->blocks()->size() == 1);
    for (int i = 1; i <= 40; ++i) Add(0, kBegin + 5 * kHour - i * kMinute - 1, i);
    REQUIRE(db->head().chunk_files().Flush().ok());
    Crash();
    if (left == Left::kTorn) {
      AddBytes("wal", "torn");
      AddBytes("wbl", "torn");
      AddBytes("chunks_head", "torn");
    } else if (left == Left::kDamaged) {
      // Behind everything that is expected: what is lost is not what is asked for.
      AddBytes("wal", std::string(100, 'x'));
      AddBytes("chunks_head", std::string(100, 'x'));
    } else if (left == Left::kForeign) {
      // A segment without a marker: another program wrote the log.
      const std::string directory = StrCat(kDbPath, "/wal");
      const auto segments = wal::ListSegments(&fs, directory);
      REQUIRE(segments.ok());
      auto other = wal::Writer::Open(&fs, directory, segments->back().number + 1, {},
                                     [](uint64_t, std::vector<std::string>*) {});
      REQUIRE(other.ok());
      wal::SeriesEncoder series;
      series.Add(900'000, std::vector<LabelView>{{"by", "another"}});
      const std::string_view records[] = {series.record()};
      REQUIRE((*other)->Log(records).ok());
    }
  }
  static DbOptions Options() {
    DbOptions options;
    options.settings.out_of_order_window = absl::Hours(24);
    return options;
  }

  void Add(int series, Timestamp timestamp, double value) {
    const absl::Duration ahead = FromTimestamp(timestamp) - clock.Now();
    if (ahead > absl::ZeroDuration()) clock.Advance(ahead);
    REQUIRE(Append(Series(series), timestamp, value) == storage::Refusal::kNone);
    expected[Series(series)][timestamp] = value;
  }
  // To the newest file of the folder.
  void AddBytes(std::string_view folder, std::string_view bytes) {
    const std::string directory = io::JoinPath(kDbPath, folder);
    const std::string path = io::JoinPath(directory, fs.List(directory).value().back());
    auto file = fs.OpenAppend(path);
    REQUIRE(file.ok());
    REQUIRE((*file)->Append(bytes).ok());
  }
  void CheckAnswers() {
    const SeriesMap found = SelectAll();
    REQUIRE(found.size() == expected.size());
    for (const auto& [labels, samples] : expected) {
      REQUIRE(found.at(labels) ==
              std::vector<std::pair<Timestamp, double>>(samples.begin(), samples.end()));
    }
  }

  std::map<Labels, std::map<Timestamp, double>> expected;
};

void TryEveryOperation(Left left) {
  uint64_t operations = 0;
  {
    Fixture f(left);
    const uint64_t before = f.fs.operations();
    f.Open();
    operations = f.fs.operations() - before;
    f.CheckAnswers();
    CHECK(f.db->CheckAppendable().ok());
  }
  REQUIRE(operations > 3);
  for (uint64_t at = 1; at <= operations; ++at) {
    INFO("full from operation " << at << " of " << operations);
    Fixture f(left);
    f.fs.FailFrom(f.fs.operations() + at, kFull, true);
    f.Open();
    CHECK(f.db->state().kind == DbStateKind::kReadOnly);
    CHECK(f.db->state().reason.find("no space left") != std::string::npos);
    f.CheckAnswers();
    // Everything that would write says so, and breaks nothing.
    DbAppender appender(&f.db->head());
    appender.Append(Series(0), kBegin + 6 * kHour, 1);
    appender.Append(Series(7), kBegin + 6 * kHour, 1);
    CHECK(absl::IsUnavailable(appender.Commit()));
    CHECK(absl::IsUnavailable(f.db->CheckAppendable()));
    CHECK(absl::IsUnavailable(f.db->Delete({}, kMinTimestamp, kMaxTimestamp)));
    CHECK(!f.db->SnapshotHead().ok());
    CHECK(f.db->Sync().ok());
    CHECK(f.db->Compact().ok());
    CHECK(f.db->counters().compactions_skipped == 1);
    f.db->CheckDisk();
    CHECK(f.db->state().kind == DbStateKind::kReadOnly);
    f.CheckAnswers();
    // By the numbers alone it may look full as well.
    f.fs.SetDiskSpace({1 << 30, 1 << 10});
    f.fs.FailFrom(0, absl::OkStatus());
    f.db->CheckDisk();
    CHECK(f.db->state().kind == DbStateKind::kReadOnly);
    f.fs.SetDiskSpace({1 << 30, 1 << 29});
    f.db->CheckDisk();
    CHECK(f.db->state().reason == "");
    REQUIRE(f.db->state().kind == DbStateKind::kReady);
    f.Add(0, kBegin + 6 * kHour, 1);
    f.Add(7, kBegin + 6 * kHour, 1);
    f.Add(1, kBegin + 5 * kHour - 1, 5);  // Late.
    f.CheckAnswers();
    REQUIRE(f.db->Compact().ok());
    REQUIRE(f.db->SnapshotHead().ok());
    f.CheckAnswers();
    f.Crash();
    f.Open();
    CHECK(f.db->state().kind == DbStateKind::kReady);
    f.CheckAnswers();
  }
}

TEST_CASE("A start on a full disk answers, takes nothing, and goes on when there is room") {
  SECTION("after a clean end of the files") { TryEveryOperation(Left::kWhole); }
  SECTION("after files that end within a record") { TryEveryOperation(Left::kTorn); }
  SECTION("after damaged files") { TryEveryOperation(Left::kDamaged); }
  SECTION("after another program") { TryEveryOperation(Left::kForeign); }
}

TEST_CASE("A disk that has room again between two tries of the start loses no segment") {
  Fixture f(Left::kWhole);
  uint64_t operations = 0;
  {
    Fixture counted(Left::kWhole);
    const uint64_t before = counted.fs.operations();
    counted.Open();
    operations = counted.fs.operations() - before;
  }
  // The new segment is there, but not what it begins with, and it cannot be removed either.
  f.fs.FailFrom(f.fs.operations() + operations - 1, kFull, true);
  f.Open();
  REQUIRE(f.db->state().kind == DbStateKind::kReadOnly);
  for (int round = 0; round < 3; ++round) {
    f.fs.FailFrom(f.fs.operations() + 1 + static_cast<uint64_t>(round), kFull, true);
    f.db->CheckDisk();
    CHECK(f.db->state().kind == DbStateKind::kReadOnly);
  }
  f.fs.FailFrom(0, absl::OkStatus());
  f.db->CheckDisk();
  REQUIRE(f.db->state().kind == DbStateKind::kReady);
  f.Add(0, kBegin + 6 * kHour, 1);
  f.Crash();
  f.Open();
  f.CheckAnswers();
}

}  // namespace
}  // namespace narthex::tsdb
