// Chunks of the newer encodings (XOR2, histograms with start timestamps): written where they are
// asked for, and kept through everything that makes chunks anew.
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/histogram.h"
#include "tests/unit/services/storage/tsdb/compaction_fixture.h"

namespace narthex::tsdb {
namespace {

using chunkenc::Encoding;
using Encodings = std::set<Encoding>;

DbOptions Xor2Options() {
  DbOptions options;
  options.settings.xor2_floats = true;
  options.settings.out_of_order_window = absl::Hours(24);
  return options;
}

TEST_CASE("Floats are XOR2 where it is asked for, in head, blocks, and after restarts") {
  CompactionFixture f(Xor2Options());
  f.Open();
  f.Fill(2, kBegin, kBegin + 7 * kHour, kMinute);
  CHECK(f.SelectAll() == f.Expected());
  f.Compact();
  CHECK(f.Hours() == std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {2, 4}});
  CHECK(f.BlockEncodings() == Encodings{Encoding::kXor2});
  CHECK(f.SelectAll() == f.Expected());
  for (const bool clean : {false, true}) {
    if (clean) REQUIRE(f.db->SnapshotHead().ok());
    f.Crash();
    f.Open();
    CHECK(f.SelectAll() == f.Expected());
  }
  SECTION("late samples join them in that encoding") {
    for (int i = 0; i < 200; ++i) f.Add(0, kBegin + i * kMinute + 1, i);
    f.Fill(2, kBegin + 7 * kHour + kMinute, kBegin + 9 * kHour, kMinute);
    f.Compact();
    CHECK(f.db->head().ooo().empty());
    CHECK(f.BlockEncodings() == Encodings{Encoding::kXor2});
    CHECK(f.SelectAll() == f.Expected());
  }
  SECTION("deleted samples leave the others in that encoding") {
    REQUIRE(f.db->Delete({}, kBegin + kHour, kBegin + 90 * kMinute).ok());
    for (const int i : {0, 1}) f.Forget(kBegin + kHour, kBegin + 90 * kMinute, Series(i));
    REQUIRE(f.db->CleanTombstones().ok());
    CHECK(f.BlockEncodings() == Encodings{Encoding::kXor2});
    CHECK(f.SelectAll() == f.Expected());
  }
}

TEST_CASE("The encoding of floats changes while the database runs, and blocks may mix them") {
  DbOptions options;
  CompactionFixture f(options);
  f.Open();
  const auto use = [&f](bool xor2) {
    DbSettings settings = f.db->settings();
    settings.xor2_floats = xor2;
    f.db->Apply(settings);
  };
  f.Fill(1, kBegin, kBegin + 50 * kMinute, kMinute);
  use(true);
  f.Fill(1, kBegin + 51 * kMinute, kBegin + 95 * kMinute, kMinute);
  CHECK(f.SelectAll() == f.Expected());
  f.Fill(1, kBegin + 96 * kMinute, kBegin + 4 * kHour - kMinute, kMinute);
  use(false);
  f.Fill(1, kBegin + 4 * kHour, kBegin + 8 * kHour, kMinute);
  CHECK(f.SelectAll() == f.Expected());
  f.Compact();
  CHECK(f.Hours() == std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {2, 4}, {4, 6}});
  CHECK(f.BlockEncodings() == Encodings{Encoding::kXor, Encoding::kXor2});
  CHECK(f.SelectAll() == f.Expected());
  std::vector<Encodings> by_block;
  const BlockListPtr blocks = f.db->blocks();
  for (const auto& block : *blocks) {
    Encodings& encodings = by_block.emplace_back();
    const auto source = block->Source(kMinTimestamp, kMaxTimestamp);
    while (source->Next().value()) {
      for (const storage::SelectChunk& chunk : source->chunks()) encodings.insert(chunk.encoding);
    }
  }
  CHECK(by_block == std::vector<Encodings>{
                        {Encoding::kXor, Encoding::kXor2}, {Encoding::kXor2}, {Encoding::kXor}});
  f.Crash();
  f.Open();
  CHECK(f.SelectAll() == f.Expected());
}

Histogram SomeHistogram(int i) {
  Histogram histogram;
  histogram.schema = 1;
  histogram.zero_threshold = 0.001;
  histogram.positive_spans = {{0, 2}};
  histogram.positive_deltas = {i, 1};
  histogram.count = static_cast<uint64_t>(2 * i + 1);
  histogram.sum = 1.5 * i;
  return histogram;
}

// A sample of each kind at that time, and the start timestamp of all of them.
void AppendAllKinds(Db* db, Timestamp timestamp, Timestamp start, int i) {
  storage::AppendBatchWriter writer;
  writer.Clear(timestamp);
  const auto add = [&](storage::SeriesNumber number, const char* name) {
    writer.AddWithDefinition(number, Labels{{kMetricName, name}}, timestamp, 0.5 * i);
    writer.SetStartTimestamp(start);
  };
  add(1, "float");
  add(2, "histogram");
  writer.SetHistogram(SomeHistogram(i));
  add(3, "float_histogram");
  writer.SetHistogram(ToFloat(SomeHistogram(i)));
  const std::string bytes = writer.Finish();
  storage::AppendBatch batch;
  REQUIRE(storage::DecodeAppendBatch(bytes, &batch).ok());
  HeadAppender appender(&db->head());
  AppendResult result;
  REQUIRE(appender.Append(batch, nullptr, 0, &result).ok());
  REQUIRE(result.refused_samples.empty());
}

// Every sample has the start timestamp that belongs to its time, and the right value.
void CheckAllKinds(Db* db, Clock* clock, int samples_expected) {
  DbQuerier querier(db, clock);
  const storage::Selector selector = DbFixture::Selector({}, kMinTimestamp, kMaxTimestamp);
  auto result = querier.Select(std::span(&selector, 1), {});
  REQUIRE(result.ok());
  SampleBuffer samples;
  int series = 0;
  while (result->sets[0]->Next()) {
    ++series;
    samples.Clear();
    REQUIRE(result->sets[0]->ReadSamples(&samples).ok());
    REQUIRE(samples.size() == static_cast<size_t>(samples_expected));
    REQUIRE(samples.start_timestamps().size() == samples.size());
    for (size_t k = 0; k < samples.size(); ++k) {
      const Timestamp timestamp = samples.timestamps()[k];
      REQUIRE(samples.start_timestamps()[k] == timestamp - timestamp % kHour - 1);
      const int i = static_cast<int>((timestamp - kBegin) / kMinute);
      switch (samples.kind(k)) {
        case SampleKind::kFloat:
          REQUIRE(samples.values()[k] == 0.5 * i);
          break;
        case SampleKind::kHistogram:
          REQUIRE(Same(samples.histogram(k), SomeHistogram(i)));
          break;
        case SampleKind::kFloatHistogram:
          REQUIRE(Same(samples.float_histogram(k), ToFloat(SomeHistogram(i))));
          break;
      }
    }
  }
  REQUIRE(result->sets[0]->status().ok());
  CHECK(series == 3);
}

TEST_CASE("Start timestamps of all kinds of samples survive blocks, late samples and merges") {
  DbOptions options;
  options.head.chunks.start_timestamps = true;
  options.head.ooo.start_timestamps = true;
  options.settings.out_of_order_window = absl::Hours(24);
  CompactionFixture f(options);
  f.Open();
  int samples = 0;
  const auto append = [&](int minute) {
    const Timestamp timestamp = kBegin + minute * kMinute;
    const absl::Duration ahead = FromTimestamp(timestamp) - f.clock.Now();
    if (ahead > absl::ZeroDuration()) f.clock.Advance(ahead);
    AppendAllKinds(f.db.get(), timestamp, timestamp - timestamp % kHour - 1, minute);
    ++samples;
  };
  for (int minute = 0; minute < 240; ++minute) {
    if (minute < 30 || minute >= 60) append(minute);
  }
  for (int minute = 30; minute < 60; ++minute) append(minute);
  CheckAllKinds(f.db.get(), &f.clock, samples);
  f.Crash();
  f.Open();
  CheckAllKinds(f.db.get(), &f.clock, samples);
  // The late ones go to a block of their own, which is merged with that of the others.
  f.Compact();
  CHECK(f.Hours() == std::vector<std::pair<int64_t, int64_t>>{{0, 2}});
  CHECK(f.db->counters().vertical_compactions == 1);
  CHECK(f.BlockEncodings() ==
        Encodings{Encoding::kXor2, Encoding::kHistogramSt, Encoding::kFloatHistogramSt});
  CheckAllKinds(f.db.get(), &f.clock, samples);
  f.Crash();
  f.Open();
  CheckAllKinds(f.db.get(), &f.clock, samples);
}

}  // namespace
}  // namespace narthex::tsdb
