#include "services/storage/tsdb/change_log.h"

#include <algorithm>
#include <string>

#include "catch2/catch.hpp"
#include "services/storage/tsdb/compaction_plan.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
const Timestamp kBegin = AlignDown(kStart, 2 * kHour);
const Labels kUp{{kMetricName, "up"}};

// A database, asked what changed.
struct Fixture : DbFixture {
  using DbFixture::DbFixture;

  storage::DataChanges Since(const std::string& known) {
    return DbQuerier(db.get(), &clock).Changes(known).value();
  }
  std::string Revision() { return Since("").revision; }
  // Changes of one second share a bound, so tests let time pass between them.
  void Add(const Labels& labels, Timestamp timestamp) {
    clock.Advance(std::max(absl::Seconds(2), FromTimestamp(timestamp) - clock.Now()));
    REQUIRE(Append(labels, timestamp, 1) == storage::Refusal::kNone);
  }
};

TEST_CASE("Changes are remembered by revision, for an hour") {
  ChangeLog log;
  Timestamp now = kStart;
  const uint64_t start = log.revision();
  CHECK(log.OldestSince(start) == kMaxTimestamp);
  log.Add(kStart, now);
  const uint64_t first = log.revision();
  CHECK(first > start);
  CHECK(log.OldestSince(start) == kStart);
  now += 2000;
  log.Add(kStart + 10, now);
  CHECK(log.OldestSince(first) == kStart + 10);
  CHECK(log.OldestSince(start) == kStart);
  CHECK(log.OldestSince(start - 1) == kMinTimestamp);
  CHECK(log.OldestSince(log.revision() + 1) == kMinTimestamp);
  for (int i = 0; i < 4000; ++i) log.Add(kStart + 100 + i, now += 2000);
  CHECK(log.OldestSince(first) == kMinTimestamp);
}

TEST_CASE("A revision is good for the log that gave it") {
  ChangeLog log;
  ChangeLog other;
  const std::string known = log.Since("").revision;
  CHECK(log.Since("").oldest_change == kMinTimestamp);
  CHECK(log.Since(known).oldest_change == kMaxTimestamp);
  CHECK(log.Since(known).revision == known);
  CHECK(other.Since(known).oldest_change == kMinTimestamp);
  CHECK(log.Since(known + "x").oldest_change == kMinTimestamp);
  CHECK(log.Since(known.substr(0, 15)).oldest_change == kMinTimestamp);
  log.Add(kStart, kStart);
  CHECK(log.Since(known).oldest_change == kStart);
  CHECK(log.Since(known).revision != known);
}

TEST_CASE("New, late and deleted samples are changes; a compaction is none") {
  DbOptions options;
  options.settings.out_of_order_window = absl::Hours(8);
  Fixture f(options);
  f.Open();
  for (int i = 0; i <= 7 * 12; ++i) f.Add(kUp, kBegin + i * 5 * kMinute);
  const Timestamp end = kBegin + 7 * kHour;
  std::string known = f.Revision();
  CHECK(f.Since(known).oldest_change == kMaxTimestamp);

  f.Add(kUp, end + 15'000);
  CHECK(f.Since(known).oldest_change == end + 15'000);

  SECTION("a late sample reaches back to its time") {
    known = f.Revision();
    f.Add(kUp, kBegin + kHour + 1);
    CHECK(f.Since(known).oldest_change == kBegin + kHour + 1);
  }
  SECTION("a batch with new and late samples too") {
    known = f.Revision();
    f.clock.Advance(absl::Seconds(2));
    DbAppender appender(&f.db->head());
    appender.Append(kUp, end + 30'000, 1);
    appender.Append(Labels{{kMetricName, "up"}, {"a", "b"}}, end - kHour, 1);
    REQUIRE(appender.Commit().ok());
    CHECK(f.Since(known).oldest_change == end - kHour);
  }
  SECTION("the head goes to a block, and the block to a greater one") {
    known = f.Revision();
    REQUIRE(f.db->Compact().ok());
    REQUIRE(!f.db->blocks()->empty());
    CHECK(f.Since(known).oldest_change == kMaxTimestamp);
    CHECK(f.Since(known).revision == known);
  }
  SECTION("what is deleted is deleted from its oldest time on") {
    REQUIRE(f.db->Compact().ok());
    known = f.Revision();
    f.clock.Advance(absl::Seconds(2));
    REQUIRE(f.db->Delete(std::vector<Matcher>{Matcher::Equal(kMetricName, "up")}, kBegin + kHour,
                         kBegin + 2 * kHour)
                .ok());
    CHECK(f.Since(known).oldest_change == kBegin + kHour);
    known = f.Revision();
    REQUIRE(f.db->CleanTombstones().ok());
    CHECK(f.Since(known).oldest_change == kMaxTimestamp);
  }
  SECTION("refused samples change nothing") {
    known = f.Revision();
    CHECK(f.Append(kUp, kBegin - 2 * kHour, 1) == storage::Refusal::kTooOld);
    CHECK(f.Since(known).oldest_change == kMaxTimestamp);
  }
  SECTION("and a restart forgets all of it") {
    known = f.Revision();
    f.Crash();
    f.Open();
    CHECK(f.Since(known).oldest_change == kMinTimestamp);
    CHECK(f.Revision() != known);
  }
}

TEST_CASE("What the retention takes is a change") {
  DbOptions options;
  options.settings.retention_time = absl::Hours(5);
  Fixture f(options);
  f.Open();
  for (int i = 0; i <= 7 * 12; ++i) f.Add(kUp, kBegin + i * 5 * kMinute);
  REQUIRE(f.db->Compact().ok());
  REQUIRE(!f.db->blocks()->empty());
  const std::string known = f.Revision();
  for (int i = 0; i <= 7 * 12; ++i) f.Add(kUp, kBegin + 8 * kHour + i * 5 * kMinute);
  CHECK(f.Since(known).oldest_change == kBegin + 8 * kHour);
  // The first writes what is too late for the head into blocks, the second sees how old they are.
  REQUIRE(f.db->Compact().ok());
  REQUIRE(f.db->Compact().ok());
  REQUIRE(f.db->counters().time_retentions > 0);
  CHECK(f.Since(known).oldest_change == kBegin);
}

TEST_CASE("An answer names a revision that is not newer than what it read") {
  Fixture f;
  f.Open();
  f.Add(kUp, kStart);
  const std::string known = f.Revision();
  f.Add(kUp, kStart + 15'000);
  storage::SelectOptions options;
  options.known_revision = known;
  const storage::Selector selector = DbFixture::Selector({}, kMinTimestamp, kMaxTimestamp);
  DbQuerier querier(f.db.get(), &f.clock);
  const auto result = querier.Select(std::span(&selector, 1), options);
  REQUIRE(result.ok());
  CHECK(result->changes.oldest_change == kStart + 15'000);
  CHECK(f.Since(result->changes.revision).oldest_change == kMaxTimestamp);
}

}  // namespace
}  // namespace narthex::tsdb
