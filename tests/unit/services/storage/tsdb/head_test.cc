// What the head accepts and answers, and what its log brings back.
#include <bit>
#include <cmath>
#include <set>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

using storage::Refusal;
using Outcome = AppendResult::Outcome;

const Labels kUp{{"__name__", "up"}, {"job", "a"}};
const Labels kDown{{"__name__", "down"}, {"job", "a"}};

TEST_CASE("Samples are accepted and refused by upstream's rules") {
  DbFixture db;
  db.Open();
  CHECK(db.Append(kUp, kStart, 1) == Refusal::kNone);
  CHECK(db.Append(kUp, kStart, 1) == Refusal::kNone);  // The same again changes nothing.
  CHECK(db.Append(kUp, kStart, 2) == Refusal::kDuplicate);
  CHECK(db.Append(kUp, kStart - 1, 1) == Refusal::kOutOfOrder);
  CHECK(db.Append(kUp, kStart + 1, StaleNan()) == Refusal::kNone);
  CHECK(db.Append(kUp, kStart + 1, StaleNan()) == Refusal::kNone);
  CHECK(db.Append(kUp, kStart + 1, NormalNan()) == Refusal::kDuplicate);
  const int64_t hour = 3'600'000;
  CHECK(db.Append(kUp, kStart + hour + 1, 1) == Refusal::kOutOfBounds);
  CHECK(db.Append(kUp, kStart + hour, 1) == Refusal::kNone);
  CHECK(db.Append(kDown, kMinTimestamp, 1) == Refusal::kOutOfBounds);
  // However far the head has moved: newer than its own series is enough.
  CHECK(db.Append(kDown, kStart - 1000 * hour, 1) == Refusal::kNone);
  CHECK(db.Append(kDown, kStart - 999 * hour, 1) == Refusal::kNone);
  CHECK(db.Append(Labels(), kStart, 1) == Refusal::kInvalidLabels);
  CHECK(db.Append(Labels{{"a", "\xff"}}, kStart, 1) == Refusal::kInvalidLabels);
  CHECK(db.SelectAll()[kUp].size() == 3);
  CHECK(db.db->head().min_time() == kStart - 1000 * hour);
  CHECK(db.db->head().max_time() == kStart + hour);
}

TEST_CASE("A refused sample does not disturb the others of its batch") {
  DbFixture db;
  db.Open();
  db.Append(kUp, kStart, 1);
  DbAppender appender(&db.db->head());
  appender.Append(kUp, kStart - 5, 1);
  appender.Append(kDown, kStart, 7);
  appender.Append(kDown, kStart, 8);  // The series a second time, at the same time.
  appender.Append(kDown, kStart + 1, 9);
  REQUIRE(appender.Commit().ok());
  CHECK(appender.result().refused[static_cast<size_t>(Refusal::kOutOfOrder)] == 1);
  CHECK(appender.result().refused[static_cast<size_t>(Refusal::kDuplicate)] == 1);
  CHECK(db.SelectAll()[kDown] ==
        std::vector<std::pair<Timestamp, double>>{{kStart, 7}, {kStart + 1, 9}});
  db.Crash();
  db.Open();
  CHECK(db.SelectAll()[kDown].size() == 2);
}

TEST_CASE("References are given by definitions and accepted afterwards") {
  DbFixture db;
  db.Open();
  HeadAppender appender(&db.db->head());
  AppendResult result;
  Sender* const sender = db.db->head().FindSender("s");
  TestBatch first(kStart);
  first.Define(5, kUp, 1).Define(6, kDown, 2).Define(7, Labels{{"a", "\xff"}}, 3);
  REQUIRE(appender.Append(first.Decode(), sender, 1, &result).ok());
  REQUIRE(result.new_references.size() == 3);
  CHECK(result.new_references[0].number == 5);
  const uint64_t up = result.new_references[0].reference;
  const uint64_t down = result.new_references[1].reference;
  CHECK(up != 0);
  CHECK(down == up + 1);
  CHECK(result.new_references[2].reference == 0);
  CHECK(result.refused[static_cast<size_t>(Refusal::kInvalidLabels)] == 1);

  TestBatch second(kStart + 15000);
  second.Add(up, 10).AddAt(down, kStart + 14000, 20).AddAt(down, kStart + 14000, 21);
  REQUIRE(appender.Append(second.Decode(), sender, 2, &result).ok());
  CHECK(result.refused[static_cast<size_t>(Refusal::kDuplicate)] == 1);
  CHECK(db.SelectAll()[kDown] ==
        std::vector<std::pair<Timestamp, double>>{{kStart, 2}, {kStart + 14000, 20}});

  // A definition of a known series gives its old reference.
  TestBatch again(kStart + 30000);
  again.Define(9, kUp, 11);
  REQUIRE(appender.Append(again.Decode(), sender, 3, &result).ok());
  CHECK(result.new_references[0].reference == up);
}

TEST_CASE("A batch with an unknown reference is refused whole") {
  DbFixture db;
  db.Open();
  HeadAppender appender(&db.db->head());
  AppendResult result;
  Sender* const sender = db.db->head().FindSender("s");
  TestBatch batch(kStart);
  batch.Define(1, kUp, 1).Add(77, 1).Add(uint64_t{1} << 50, 2).Add(77, 1);
  REQUIRE(appender.Append(batch.Decode(), sender, 1, &result).ok());
  CHECK(result.outcome == Outcome::kUnknownReferences);
  CHECK(result.unknown_references == std::vector<uint64_t>{77, uint64_t{1} << 50});
  CHECK(db.SelectAll().empty());
  CHECK(db.db->head().PositionOf(*sender).applied == 0);
}

TEST_CASE("An applied sequence is skipped, also after a restart") {
  DbFixture db;
  db.Open();
  for (int restart = 0; restart < 3; ++restart) {
    HeadAppender appender(&db.db->head());
    AppendResult result;
    Sender* const sender = db.db->head().FindSender("s");
    CHECK(db.db->head().PositionOf(*sender).applied == (restart == 0 ? 0 : 4));
    TestBatch batch(kStart);
    batch.Define(1, kUp, 1);
    REQUIRE(appender.Append(batch.Decode(), sender, 4, &result).ok());
    CHECK((result.outcome == Outcome::kSkipped) == (restart > 0));
    REQUIRE(appender.Append(batch.Decode(), db.db->head().FindSender("t"), 9, &result).ok());
    REQUIRE(appender.Skip(db.db->head().FindSender("u"), 12).ok());
    CHECK(db.db->head().PositionOf(*db.db->head().FindSender("u")).applied == 12);
    db.Crash();
    db.Open();
  }
}

TEST_CASE("Durable follows accepted at a sync, and everything replayed is durable") {
  DbFixture db;
  db.Open();
  HeadAppender appender(&db.db->head());
  AppendResult result;
  Sender* sender = db.db->head().FindSender("s");
  TestBatch batch(kStart);
  batch.Define(1, kUp, 1);
  REQUIRE(appender.Append(batch.Decode(), sender, 1, &result).ok());
  CHECK(db.db->head().PositionOf(*sender).durable == 0);
  REQUIRE(db.db->Sync().ok());
  CHECK(db.db->head().PositionOf(*sender).durable == 1);
  TestBatch next(kStart + 1);
  next.Define(1, kUp, 1);
  REQUIRE(appender.Append(next.Decode(), sender, 2, &result).ok());
  db.Crash();
  db.Open();
  CHECK(db.db->head().PositionOf(*db.db->head().FindSender("s")).durable == 2);
  // It is on the disk by now: a power loss does not take it back.
  db.fs.PowerLoss();
  db.db.reset();
  db.Open();
  CHECK(db.SelectAll()[kUp].size() == 2);
}

TEST_CASE("Samples of every kind are the same after a restart") {
  DbFixture db;
  db.Open();
  const double values[] = {0, -0.0, 1.5, -1e300, 5e-324, INFINITY, -INFINITY};
  Timestamp timestamp = kStart - 100'000'000;
  for (int i = 0; i < 700; ++i) {
    timestamp += i % 50 == 0 ? 1'000'000 : 15000 + i % 3;
    db.Append(kUp, timestamp, i % 9 == 0 ? values[i / 9 % 7] : i * 1.25);
  }
  db.Append(kDown, kStart, StaleNan());
  const SeriesMap before = db.SelectAll();
  CHECK(before.at(kUp).size() == 700);
  for (int restart = 0; restart < 3; ++restart) {
    db.Crash();
    db.Open();
    SeriesMap after = db.SelectAll();
    CHECK(after.at(kUp) == before.at(kUp));
    REQUIRE(after.at(kDown).size() == 1);
    CHECK(IsStale(after.at(kDown)[0].second));
  }
  CHECK(db.db->replay_result().samples + db.db->replay_result().samples_refused == 701);
}

TEST_CASE("References survive a restart and are never given twice") {
  DbFixture db;
  db.Open();
  std::set<uint64_t> given;
  std::string space;
  for (int round = 0; round < 4; ++round) {
    HeadAppender appender(&db.db->head());
    AppendResult result;
    const std::string now = db.db->head().reference_space();
    if (round > 0) CHECK(now == space);
    space = now;
    for (int i = 0; i < 3; ++i) {
      TestBatch batch(kStart + round);
      batch.Define(1, Labels{{"round", std::to_string(round)}, {"i", std::to_string(i)}}, 1);
      REQUIRE(appender.Append(batch.Decode(), nullptr, 0, &result).ok());
      CHECK(given.insert(result.new_references[0].reference).second);
    }
    TestBatch old(kStart + 1000 + round);
    for (const uint64_t reference : given) old.Add(reference, 1);
    REQUIRE(appender.Append(old.Decode(), nullptr, 0, &result).ok());
    CHECK(result.outcome == Outcome::kApplied);
    if (round == 2) {
      REQUIRE(db.db->Sync().ok());
      TestBatch lost(kStart + 5000);
      lost.Define(1, Labels{{"lost", "yes"}}, 1);
      REQUIRE(appender.Append(lost.Decode(), nullptr, 0, &result).ok());
      given.insert(result.new_references[0].reference);
      db.fs.PowerLoss();
      db.db.reset();
      db.Open();
      CHECK(db.Select({Matcher::Equal("lost", "yes")}).empty());
      given.erase(std::prev(given.end()));
      // A sender hears what has survived; the numbers of the lost series are jumped over.
      Sender* const sender = db.db->head().FindSender("s");
      CHECK(db.db->head().WelcomeReferenceMax(sender) == *given.rbegin());
      CHECK(db.db->head().WelcomeReferenceMax(sender) > *given.rbegin() + 1);
    } else {
      db.Crash();
      db.Open();
    }
  }
}

TEST_CASE("Chunks are cut as upstream cuts them") {
  struct Case {
    const char* what;
    int64_t step_ms;
    int samples;
    std::vector<int> counts;
  };
  // From a multiple of two hours on.
  const Timestamp start = kStart / 7'200'000 * 7'200'000;
  const std::vector<Case> cases = {
      {"15 s: spread over two hours", 15000, 480, {120, 120, 120, 120}},
      {"two ranges", 15000, 600, {120, 120, 120, 120, 120}},
      {"1 min: a chunk a range", 60000, 240, {120, 120}},
      {"1 s: a sixty-second of the range, by the prediction", 1000, 400, {117, 117, 117, 49}},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    SeriesTable table({});
    const Slot slot = table.New(1);
    SeriesWriter writer(&table);
    for (int i = 0; i < c.samples; ++i) {
      writer.Append(slot, start + i * c.step_ms, i, static_cast<BatchNumber>(i) + 1, 1000);
    }
    SeriesChunks chunks;
    REQUIRE(table.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, 10000, &chunks));
    std::vector<int> counts;
    for (const storage::SelectChunk& chunk : chunks.chunks) {
      counts.push_back(static_cast<int>(chunk.visible_samples));
      CHECK(chunk.min_time / 7'200'000 == chunk.max_time / 7'200'000);
    }
    CHECK(counts == c.counts);
    CHECK(table.chunks() == c.counts.size());
  }
}

TEST_CASE("A chunk of incompressible values ends before its bytes do") {
  SeriesTable table({});
  const Slot slot = table.New(1);
  SeriesWriter writer(&table);
  uint64_t bits = 88172645463325252;
  int64_t timestamp = kStart;
  for (int i = 0; i < 5000; ++i) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
    timestamp += 1 + static_cast<int64_t>(bits % 1000);
    writer.Append(slot, timestamp, std::bit_cast<double>(bits & ~(uint64_t{1} << 62)),
                 static_cast<BatchNumber>(i) + 1, 10000);
  }
  SeriesChunks chunks;
  REQUIRE(table.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, 10000, &chunks));
  uint64_t samples = 0;
  for (const storage::SelectChunk& chunk : chunks.chunks) {
    CHECK(chunk.bytes.size() <= 1024);
    CHECK(chunk.visible_samples <= 240);
    samples += chunk.visible_samples;
  }
  CHECK(samples == 5000);
}

TEST_CASE("A reader sees the batches of its moment and no later one") {
  DbFixture db;
  db.Open();
  Head& head = db.db->head();
  std::vector<std::unique_ptr<HeadReader>> readers;
  constexpr int kBatches = 300;
  for (int i = 0; i < kBatches; ++i) {
    readers.push_back(std::make_unique<HeadReader>(&head));
    DbAppender appender(&head);
    for (int k = 0; k <= i % 3; ++k) appender.Append(kUp, kStart + i * 10 + k, i);
    if (i % 2 == 0) appender.Append(kDown, kStart + i * 10, i);
    REQUIRE(appender.Commit().ok());
    // Some readers leave early.
    if (i % 7 == 3) readers[static_cast<size_t>(i) / 2].reset();
  }
  SeriesChunks chunks;
  for (int i = 0; i < kBatches; ++i) {
    const HeadReader* const reader = readers[static_cast<size_t>(i)].get();
    if (reader == nullptr) continue;
    int seen_up = 0;
    int seen_down = 0;
    for (const Slot slot : reader->Find({})) {
      int* const seen = reader->LabelsOf(slot) == kUp ? &seen_up : &seen_down;
      SampleBuffer samples;
      if (!reader->ReadChunks(slot, kMinTimestamp, kMaxTimestamp, &chunks)) continue;
      for (const storage::SelectChunk& chunk : chunks.chunks) *seen += chunk.visible_samples;
      Timestamp newest;
      double value;
      const auto found = reader->ReadNewest(slot, kMinTimestamp, kMaxTimestamp, &chunks, &samples,
                                            &newest, &value);
      REQUIRE(found.ok());
      CHECK(*found);
      CHECK(value <= i - 1);
    }
    int expected_up = 0;
    for (int k = 0; k < i; ++k) expected_up += k % 3 + 1;
    CHECK(seen_up == expected_up);
    CHECK(seen_down == (i + 1) / 2);
  }
}

TEST_CASE("The newest sample within a range is found wherever it lies") {
  DbFixture db;
  db.Open();
  for (int i = 0; i < 500; ++i) db.Append(kUp, kStart - 10'000'000 + i * 15000, i);
  const HeadReader reader(&db.db->head());
  const Slot slot = reader.Find({})[0];
  SeriesChunks chunks;
  SampleBuffer samples;
  for (int at = -1; at <= 500; ++at) {
    const Timestamp max_time = kStart - 10'000'000 + at * 15000 + 7000;
    for (const int64_t back : {1000, 8000, 300000}) {
      Timestamp timestamp = 0;
      double value = 0;
      const auto found =
          reader.ReadNewest(slot, max_time - back, max_time, &chunks, &samples, &timestamp, &value);
      REQUIRE(found.ok());
      const int newest = std::min(at, 499);
      const Timestamp expected = kStart - 10'000'000 + newest * 15000;
      const bool there = newest >= 0 && expected >= max_time - back;
      CHECK(*found == there);
      if (there) CHECK(value == newest);
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
