// What truncations and deletes take from the head, beside those who use it.
#include <atomic>

#include "catch2/catch.hpp"
#include "lib/base/check.h"
#include "lib/base/thread.h"
#include "services/storage/tsdb/head_loader.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

using storage::Refusal;
using Outcome = AppendResult::Outcome;

constexpr int64_t kHour = 3'600'000;
// A multiple of two hours.
constexpr Timestamp kFrom = kStart / (2 * kHour) * (2 * kHour);

Labels SeriesLabels(int i) {
  return Labels::FromPairs(
      {{"__name__", "m"}, {"i", std::to_string(i)}, {"mod", std::to_string(i % 3)}});
}

std::vector<Slot> SlotsOf(const Head& head, const std::vector<Matcher>& matchers = {}) {
  return HeadReader(&head).Find(matchers);
}

// A reference for each series, in order.
std::vector<uint64_t> Define(Db* db, int from, int to, Timestamp timestamp) {
  HeadAppender appender(&db->head());
  AppendResult result;
  TestBatch batch(timestamp);
  for (int i = from; i < to; ++i) {
    batch.Define(static_cast<uint64_t>(i) + 1, SeriesLabels(i), i);
  }
  NARTHEX_CHECK_OK(appender.Append(batch.Decode(), nullptr, 0, &result));
  std::vector<uint64_t> references;
  for (const auto& reference : result.new_references) references.push_back(reference.reference);
  return references;
}

AppendResult AppendAll(Db* db, const std::vector<uint64_t>& references, Timestamp timestamp) {
  HeadAppender appender(&db->head());
  AppendResult result;
  TestBatch batch(timestamp);
  for (const uint64_t reference : references) batch.Add(reference, 1);
  REQUIRE(appender.Append(batch.Decode(), nullptr, 0, &result).ok());
  return result;
}

Head::TruncateResult Truncate(Db* db, Timestamp min_time) {
  const auto result = db->head().TruncateBefore(min_time);
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  return *result;
}

TEST_CASE("A truncation drops chunks that end before it and series that have nothing left") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  Head& head = db.db->head();
  const std::vector<uint64_t> gone = Define(db.db.get(), 0, 10, kFrom);
  const std::vector<uint64_t> kept = Define(db.db.get(), 10, 20, kFrom);
  for (int64_t at = 60'000; at < 6 * kHour; at += 60'000) {
    AppendAll(db.db.get(), kept, kFrom + at);
    if (at < kHour) AppendAll(db.db.get(), gone, kFrom + at);
  }
  CHECK(head.table().chunks() == 10 + 3 * 10);
  const size_t pairs = head.index().pairs();
  const size_t texts = head.index().symbols_bytes();

  const Head::TruncateResult result = Truncate(db.db.get(), kFrom + 2 * kHour);
  CHECK(result.series_removed == 10);
  CHECK(result.chunks_removed == 10);
  CHECK(head.table().size() == 10);
  CHECK(head.table().chunks() == 20);
  CHECK(head.min_time() == kFrom + 2 * kHour);
  CHECK(head.max_time() == kFrom + 6 * kHour - 60'000);
  CHECK(head.truncated_before() == kFrom + 2 * kHour);
  CHECK(head.index().pairs() == pairs - 10);
  CHECK(head.index().symbols_bytes() == texts - 10);
  CHECK(SlotsOf(head).size() == 10);
  CHECK(SlotsOf(head, {Matcher::Equal("i", "3")}).empty());
  CHECK(SlotsOf(head, {Matcher::Equal("mod", "1")}).size() == 4);
  const SeriesMap series = db.SelectAll();
  CHECK(series.size() == 10);
  CHECK(series.at(SeriesLabels(12)).size() == 4 * 60);

  // References that led to them are unknown, for good.
  CHECK(AppendAll(db.db.get(), gone, kFrom + 6 * kHour).outcome == Outcome::kUnknownReferences);
  const std::vector<uint64_t> again = Define(db.db.get(), 0, 10, kFrom + 6 * kHour);
  for (size_t i = 0; i < 10; ++i) CHECK(again[i] > kept.back());
  CHECK(head.index().pairs() == pairs);
  CHECK(SlotsOf(head).size() == 20);
  // Their slots are used again.
  CHECK(head.table().slots_end() == 20);
  CHECK(db.SelectAll().at(SeriesLabels(3)) ==
        std::vector<std::pair<Timestamp, double>>{{kFrom + 6 * kHour, 3}});

  // What the log brings back is what was there.
  const SeriesMap before = db.SelectAll();
  db.Crash();
  db.Open();
  CHECK(db.SelectAll() == before);
}

TEST_CASE("A series that somebody needs stays, with what its newest sample is") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  Head& head = db.db->head();
  Define(db.db.get(), 0, 3, kFrom);
  const Slot exemplary = SlotsOf(head, {Matcher::Equal("i", "1")})[0];
  head.exemplars().Resize(10);
  head.exemplars().Add(exemplary, kFrom, 1, {});
  const Slot held = SlotsOf(head, {Matcher::Equal("i", "2")})[0];
  const auto result =
      head.TruncateBefore(kFrom + 2 * kHour, [&](Slot slot) { return slot == held; });
  REQUIRE(result.ok());
  CHECK(result->series_removed == 1);
  CHECK(SlotsOf(head) == std::vector<Slot>{exemplary, held});
  CHECK(db.Append(SeriesLabels(1), kFrom - 1, 5) == Refusal::kOutOfOrder);
}

TEST_CASE("The log keeps the records of removed series as long as segments may name them") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  Head& head = db.db->head();
  const std::vector<uint64_t> references = Define(db.db.get(), 0, 2, kFrom);
  CHECK(head.KeepsReference(references[0], 1000));
  CHECK(!head.KeepsReference(references[1] + 1, 0));
  Truncate(db.db.get(), kFrom + 2 * kHour);
  const uint64_t segment = head.CurrentLogMoment().position.segment;
  CHECK(head.KeepsReference(references[0], segment - 1));
  CHECK(!head.KeepsReference(references[0], segment));
  head.ForgetRemoved(segment - 1);
  CHECK(head.KeepsReference(references[0], segment - 1));
  head.ForgetRemoved(segment);
  CHECK(!head.KeepsReference(references[0], segment - 1));
}

TEST_CASE("A reader that is at work keeps the series and labels that it has found") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  Head& head = db.db->head();
  Define(db.db.get(), 0, 5, kFrom);
  auto reader = std::make_unique<HeadReader>(&head);
  const std::vector<Slot> slots = reader->Find({});
  Truncate(db.db.get(), kFrom + 2 * kHour);
  // New series must not take the places that the reader looks at.
  Define(db.db.get(), 100, 110, kFrom + 3 * kHour);
  for (size_t i = 0; i < slots.size(); ++i) {
    CHECK(reader->LabelsOf(slots[i]) == SeriesLabels(static_cast<int>(i)));
    SeriesChunks chunks;
    CHECK(!reader->ReadChunks(slots[i], kMinTimestamp, kMaxTimestamp, &chunks));
  }
  CHECK(head.table().slots_end() == 15);
  reader.reset();
  REQUIRE(head.Sync().ok());
  Define(db.db.get(), 110, 115, kFrom + 3 * kHour);
  CHECK(head.table().slots_end() == 15);
}

TEST_CASE("A delete hides what is there, for every reader and over restarts, and nothing later") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  std::vector<uint64_t> references = Define(db.db.get(), 0, 4, kFrom);
  for (int64_t at = 1; at <= 10; ++at) AppendAll(db.db.get(), references, kFrom + at * 1000);
  const std::vector<Matcher> first = {Matcher::Equal("i", "0")};
  const std::vector<Matcher> second = {Matcher::Equal("i", "1")};
  const auto some = db.db->head().Delete(first, kFrom + 3000, kFrom + 5000);
  REQUIRE(some.ok());
  CHECK(*some == 1);
  const auto all = db.db->head().Delete(second, kMinTimestamp, kMaxTimestamp);
  REQUIRE(all.ok());
  CHECK(*all == 1);
  CHECK(*db.db->head().Delete(std::vector{Matcher::Equal("i", "77")}, kMinTimestamp,
                              kMaxTimestamp) == 0);
  CHECK(*db.db->head().Delete(first, kFrom + 11'000, kMaxTimestamp) == 0);
  AppendAll(db.db.get(), references, kFrom + 11'000);

  for (int restart = 0; restart < 2; ++restart) {
    const auto deleted_of = [&db](const std::vector<Matcher>& matchers) {
      const HeadReader reader(&db.db->head());
      std::vector<storage::DeletedInterval> deleted;
      reader.Deleted(reader.Find(matchers)[0], &deleted);
      return deleted;
    };
    REQUIRE(deleted_of(first).size() == 1);
    CHECK(deleted_of(first)[0].min_time == kFrom + 3000);
    CHECK(deleted_of(first)[0].max_time == kFrom + 5000);
    REQUIRE(deleted_of(second).size() == 1);
    CHECK(deleted_of(second)[0].max_time == kFrom + 10'000);
    CHECK(deleted_of({Matcher::Equal("i", "2")}).empty());
    const SeriesMap series = db.SelectAll();
    CHECK(series.at(SeriesLabels(0)).size() == 12 - 3);
    CHECK(series.at(SeriesLabels(1)) ==
          std::vector<std::pair<Timestamp, double>>{{kFrom + 11'000, 1}});
    CHECK(series.at(SeriesLabels(2)).size() == 12);
    db.Crash();
    db.Open();
  }
}

TEST_CASE("The source gives all series in label order with whole chunks and deleted intervals") {
  DbFixture db;
  db.clock.Advance(absl::Hours(10));
  db.Open();
  const std::vector<uint64_t> references = Define(db.db.get(), 0, 30, kFrom);
  for (int64_t at = 60'000; at < 4 * kHour; at += 60'000) {
    AppendAll(db.db.get(), references, kFrom + at);
  }
  Define(db.db.get(), 30, 40, kFrom + 4 * kHour);  // Outside.
  REQUIRE(db.db->head().Delete(std::vector{Matcher::Equal("i", "7")}, kFrom, kFrom + 5).ok());
  const auto source = db.db->head().Source(kFrom, kFrom + 2 * kHour - 1);
  Labels before;
  int series = 0;
  while (true) {
    const auto next = source->Next();
    REQUIRE(next.ok());
    if (!*next) break;
    ++series;
    const Labels labels = Labels::FromSorted(source->labels());
    CHECK(before < labels);
    before = labels;
    REQUIRE(source->chunks().size() == 1);
    CHECK(source->chunks()[0].min_time == kFrom);
    CHECK(source->chunks()[0].visible_samples == 120);
    CHECK(source->deleted().size() == (labels == SeriesLabels(7) ? 1 : 0));
  }
  CHECK(series == 30);
}

TEST_CASE("Truncations, appenders of new and old series and readers work beside each other") {
  DbFixture db;
  db.Open();
  Head& head = db.db->head();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> appended{0};
  std::atomic<Timestamp> now{kFrom};

  Thread steady("steady", [&] {
    std::vector<uint64_t> references = Define(db.db.get(), 0, 20, kFrom);
    HeadAppender appender(&head);
    AppendResult result;
    for (int64_t round = 1; !stop.load(); ++round) {
      db.clock.Advance(absl::Minutes(1));  // Samples far ahead of the clock are refused.
      TestBatch batch(kFrom + round * 60'000);
      for (const uint64_t reference : references) batch.Add(reference, 1);
      if (!appender.Append(batch.Decode(), nullptr, 0, &result).ok()) std::abort();
      if (result.outcome != Outcome::kApplied) std::abort();  // They never have nothing left.
      now = kFrom + round * 60'000;
      ++appended;
    }
  });
  Thread churn("churn", [&] {
    HeadAppender appender(&head);
    AppendResult result;
    std::vector<uint64_t> references;
    for (int round = 0; !stop.load(); ++round) {
      TestBatch batch(now.load());
      for (int i = 0; i < 5; ++i) {
        batch.Define(static_cast<uint64_t>(i) + 1, SeriesLabels(1000 + round * 5 + i), 1);
      }
      for (const uint64_t reference : references) batch.Add(reference, 2);
      if (!appender.Append(batch.Decode(), nullptr, 0, &result).ok()) std::abort();
      if (result.outcome == Outcome::kUnknownReferences) {
        references.clear();
        continue;
      }
      for (const auto& reference : result.new_references) {
        references.push_back(reference.reference);
      }
      if (references.size() > 50) references.clear();
    }
  });
  const auto read = [&] {
    SeriesChunks chunks;
    SampleBuffer samples;
    while (!stop.load()) {
      const HeadReader reader(&head);
      std::vector<Slot> slots = reader.Find(std::vector{Matcher::Equal("__name__", "m")});
      reader.SortByLabels(&slots);
      for (const Slot slot : slots) {
        if (reader.LabelsOf(slot).Get("__name__") != "m") std::abort();
        if (!reader.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, &chunks)) continue;
        if (!chunks.damage.ok()) std::abort();
        samples.Clear();
        for (const storage::SelectChunk& chunk : chunks.chunks) {
          if (!chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                     kMinTimestamp, kMaxTimestamp, &samples)
                   .ok()) {
            std::abort();
          }
        }
        for (size_t i = 1; i < samples.size(); ++i) {
          if (samples.timestamps()[i - 1] >= samples.timestamps()[i]) std::abort();
        }
      }
      reader.LabelValues("i", {}, kMinTimestamp, kMaxTimestamp);
    }
  };
  Thread reader("reader", read);
  Thread other_reader("other_reader", read);

  const absl::Duration begin = RealClock()->Monotonic();
  size_t removed = 0;
  uint64_t rounds = 0;
  while (RealClock()->Monotonic() - begin < absl::Seconds(2) || removed == 0) {
    const auto result = head.TruncateBefore(now.load() - kHour);
    if (!result.ok()) std::abort();
    removed += result->series_removed;
    ++rounds;
    const auto source = head.Source(kMinTimestamp, kMaxTimestamp);
    while (true) {
      const auto next = source->Next();
      if (!next.ok()) std::abort();
      if (!*next) break;
    }
  }
  stop = true;
  steady.Join();
  churn.Join();
  reader.Join();
  other_reader.Join();
  CHECK(removed > 0);
  CHECK(rounds > 0);
  CHECK(SlotsOf(head, {Matcher::Equal("i", "3")}).size() == 1);
  // All is found that there is, and all of it is in the lists of its labels.
  const std::vector<Slot> all = SlotsOf(head);
  CHECK(all.size() == head.table().size());
  CHECK(SlotsOf(head, {Matcher::Equal("__name__", "m")}) == all);
}

}  // namespace
}  // namespace narthex::tsdb
