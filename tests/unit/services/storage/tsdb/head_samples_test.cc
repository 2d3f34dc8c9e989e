// Samples of all kinds in the head, and what travels beside them: exemplars, metadata, limits.
#include "catch2/catch.hpp"
#include "lib/chunkenc/chunk.h"
#include "lib/model/stale.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

using chunkenc::Encoding;
using storage::AppendBatch;
using storage::Refusal;

const Labels kSeries{{"__name__", "latency"}, {"job", "a"}};

Histogram SomeHistogram(int i) {
  Histogram histogram;
  histogram.schema = 1;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = static_cast<uint64_t>(i);
  histogram.positive_spans = {{0, 2}, {1, 1}};
  histogram.positive_deltas = {i + 1, 1, -1};
  histogram.count = static_cast<uint64_t>(i + (i + 1) + (i + 2) + (i + 1));
  histogram.sum = 1.5 * i;
  return histogram;
}

// A batch put together by hand; whatever it points at is in it.
struct Builder {
  AppendBatch batch;
  std::deque<Labels> labels;

  size_t Add(const Labels& series, Timestamp timestamp, double value) {
    AppendBatch::Definition definition;
    definition.number = batch.definitions.size() + 1;
    labels.push_back(series);
    for (const LabelView label : labels.back()) definition.labels.push_back(label);
    batch.definitions.push_back(std::move(definition));
    batch.refs.push_back(0);
    batch.values.push_back(value);
    batch.timestamps.push_back(timestamp);
    return batch.refs.size() - 1;
  }
  void Add(const Labels& series, Timestamp timestamp, const Histogram& histogram) {
    AppendBatch::HistogramEntry& entry = batch.histograms.emplace_back();
    entry.index = Add(series, timestamp, 0.0);
    entry.histogram = histogram;
  }
  void Add(const Labels& series, Timestamp timestamp, const FloatHistogram& histogram) {
    AppendBatch::HistogramEntry& entry = batch.histograms.emplace_back();
    entry.index = Add(series, timestamp, 0.0);
    entry.is_float = true;
    entry.float_histogram = histogram;
  }
  AppendResult Commit(Db* db) const {
    HeadAppender appender(&db->head());
    AppendResult result;
    const absl::Status status = appender.Append(batch, nullptr, 0, &result);
    INFO(status.ToString());
    REQUIRE(status.ok());
    return result;
  }
};

template <typename Value>
Refusal AppendOne(Db* db, const Labels& series, Timestamp timestamp, const Value& value) {
  Builder builder;
  builder.Add(series, timestamp, value);
  const AppendResult result = builder.Commit(db);
  return result.refused_samples.empty() ? Refusal::kNone : result.refused_samples[0].reason;
}

// All samples of a series, and the encodings of its chunks.
SampleBuffer ReadAll(const Head& head, const Labels& labels, std::vector<Encoding>* encodings) {
  const HeadReader reader(&head);
  std::vector<Matcher> matchers;
  for (const LabelView label : labels) matchers.push_back(Matcher::Equal(label.name, label.value));
  const std::vector<Slot> slots = reader.Find(matchers);
  REQUIRE(slots.size() == 1);
  SeriesChunks chunks;
  SampleBuffer samples;
  encodings->clear();
  if (!reader.ReadChunks(slots[0], kMinTimestamp, kMaxTimestamp, &chunks)) return samples;
  REQUIRE(chunks.damage.ok());
  for (const storage::SelectChunk& chunk : chunks.chunks) {
    encodings->push_back(chunk.encoding);
    REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples, kMinTimestamp,
                                  kMaxTimestamp, &samples)
                .ok());
  }
  return samples;
}

TEST_CASE("A series takes floats and histograms in turn, a chunk for each kind, over restarts") {
  DbFixture db;
  db.Open();
  Timestamp at = kStart;
  for (int i = 0; i < 30; ++i) {
    const int kind = i / 5 % 3;
    if (kind == 0) CHECK(AppendOne(db.db.get(), kSeries, at, 0.5 * i) == Refusal::kNone);
    if (kind == 1) CHECK(AppendOne(db.db.get(), kSeries, at, SomeHistogram(i)) == Refusal::kNone);
    if (kind == 2) {
      CHECK(AppendOne(db.db.get(), kSeries, at, ToFloat(SomeHistogram(i))) == Refusal::kNone);
    }
    at += 1000;
  }
  for (int restart = 0; restart < 2; ++restart) {
    std::vector<Encoding> encodings;
    const SampleBuffer samples = ReadAll(db.db->head(), kSeries, &encodings);
    CHECK(encodings == std::vector<Encoding>{Encoding::kXor, Encoding::kHistogram,
                                             Encoding::kFloatHistogram, Encoding::kXor,
                                             Encoding::kHistogram, Encoding::kFloatHistogram});
    REQUIRE(samples.size() == 30);
    for (size_t i = 0; i < 30; ++i) {
      const Histogram expected = SomeHistogram(static_cast<int>(i));
      switch (i / 5 % 3) {
        case 0:
          CHECK(samples.kind(i) == SampleKind::kFloat);
          CHECK(samples.values()[i] == 0.5 * static_cast<double>(i));
          break;
        case 1:
          REQUIRE(samples.kind(i) == SampleKind::kHistogram);
          CHECK(Same(samples.histogram(i), expected));
          break;
        default:
          REQUIRE(samples.kind(i) == SampleKind::kFloatHistogram);
          CHECK(Same(samples.float_histogram(i), ToFloat(expected)));
      }
    }
    CHECK(db.db->head().table().chunks() == 6);
    db.Crash();
    db.Open();
  }
}

TEST_CASE("One batch may bring several kinds of samples of one series") {
  DbFixture db;
  db.Open();
  Builder builder;
  builder.Add(kSeries, kStart, 1.0);
  builder.Add(kSeries, kStart + 1, SomeHistogram(1));
  builder.Add(kSeries, kStart + 2, 2.0);
  builder.Add(kSeries, kStart + 3, ToFloat(SomeHistogram(2)));
  builder.Add(kSeries, kStart + 4, SomeHistogram(3));
  CHECK(builder.Commit(db.db.get()).refused_samples.empty());
  for (int restart = 0; restart < 2; ++restart) {
    std::vector<Encoding> encodings;
    const SampleBuffer samples = ReadAll(db.db->head(), kSeries, &encodings);
    REQUIRE(samples.size() == 5);
    CHECK(samples.kind(1) == SampleKind::kHistogram);
    CHECK(samples.kind(2) == SampleKind::kFloat);
    CHECK(samples.kind(3) == SampleKind::kFloatHistogram);
    CHECK(Same(samples.histogram(4), SomeHistogram(3)));
    db.Crash();
    db.Open();
  }
}

TEST_CASE("Histograms are accepted and refused by the rules of floats") {
  DbFixture db;
  db.Open();
  Db* const head = db.db.get();
  CHECK(AppendOne(head, kSeries, kStart, SomeHistogram(1)) == Refusal::kNone);
  CHECK(AppendOne(head, kSeries, kStart, SomeHistogram(1)) == Refusal::kNone);  // Again.
  CHECK(AppendOne(head, kSeries, kStart, SomeHistogram(2)) == Refusal::kDuplicate);
  CHECK(AppendOne(head, kSeries, kStart, ToFloat(SomeHistogram(1))) == Refusal::kDuplicate);
  // The sum alone is another sample, even where it is the same number.
  CHECK(AppendOne(head, kSeries, kStart, 1.5) == Refusal::kDuplicate);
  CHECK(AppendOne(head, kSeries, kStart - 1, SomeHistogram(1)) == Refusal::kOutOfOrder);
  Histogram broken = SomeHistogram(1);
  broken.positive_deltas.pop_back();
  CHECK(AppendOne(head, kSeries, kStart + 1, broken) == Refusal::kInvalidHistogram);
  CHECK(AppendOne(head, kSeries, kStart + 1, 4.0) == Refusal::kNone);
  CHECK(AppendOne(head, kSeries, kStart + 1, SomeHistogram(1)) == Refusal::kDuplicate);

  Builder within;
  within.Add(kSeries, kStart + 2, SomeHistogram(5));
  within.Add(kSeries, kStart + 2, SomeHistogram(5));
  within.Add(kSeries, kStart + 2, SomeHistogram(6));
  within.Add(kSeries, kStart + 2, 7.5);
  const AppendResult result = within.Commit(head);
  CHECK(result.refused[static_cast<size_t>(Refusal::kDuplicate)] == 2);
  std::vector<Encoding> encodings;
  CHECK(ReadAll(db.db->head(), kSeries, &encodings).size() == 3);
}

TEST_CASE("A staleness marker of a series of histograms is a histogram") {
  DbFixture db;
  db.Open();
  CHECK(AppendOne(db.db.get(), kSeries, kStart, SomeHistogram(1)) == Refusal::kNone);
  Builder builder;
  builder.Add(kSeries, kStart + 1, StaleNan());
  builder.Add(kSeries, kStart + 2, ToFloat(SomeHistogram(1)));
  builder.Add(kSeries, kStart + 3, StaleNan());
  CHECK(builder.Commit(db.db.get()).refused_samples.empty());
  for (int restart = 0; restart < 2; ++restart) {
    std::vector<Encoding> encodings;
    const SampleBuffer samples = ReadAll(db.db->head(), kSeries, &encodings);
    REQUIRE(samples.size() == 4);
    CHECK(samples.kind(1) == SampleKind::kHistogram);
    CHECK(IsStale(samples.histogram(1)));
    CHECK(samples.kind(3) == SampleKind::kFloatHistogram);
    CHECK(IsStale(samples.float_histogram(3)));
    db.Crash();
    db.Open();
  }
}

TEST_CASE(
    "A reader sees whole batches of histograms only, while their chunk grows and is recoded") {
  DbFixture db;
  db.Open();
  CHECK(AppendOne(db.db.get(), kSeries, kStart, SomeHistogram(1)) == Refusal::kNone);
  const HeadReader reader(&db.db->head());
  Histogram wider = SomeHistogram(2);
  wider.positive_spans = {{0, 4}};
  wider.positive_deltas = {5, 0, 0, 0};
  wider.count = wider.zero_count + 20;
  CHECK(AppendOne(db.db.get(), kSeries, kStart + 1, wider) == Refusal::kNone);
  SeriesChunks chunks;
  REQUIRE(reader.ReadChunks(reader.Find({})[0], kMinTimestamp, kMaxTimestamp, &chunks));
  REQUIRE(chunks.chunks.size() == 1);
  CHECK(chunks.chunks[0].visible_samples == 1);
  CHECK(chunks.chunks[0].encoding == Encoding::kHistogram);
  std::vector<Encoding> encodings;
  CHECK(ReadAll(db.db->head(), kSeries, &encodings).size() == 2);
}

TEST_CASE("Start timestamps are kept where the options say so, in the encodings that can") {
  for (const bool keep : {false, true}) {
    DbOptions options;
    options.head.chunks.start_timestamps = keep;
    DbFixture db(options);
    db.Open();
    const Labels other{{"__name__", "plain"}};
    for (int i = 0; i < 300; ++i) {
      Builder builder;
      builder.Add(kSeries, kStart + i * 1000, 1.0 * i);
      builder.Add(other, kStart + i * 1000, 2.0 * i);
      // From the tenth sample on one of the series has them.
      builder.batch.start_timestamps = {i < 10 ? 0 : kStart - 5000, 0};
      CHECK(builder.Commit(db.db.get()).refused_samples.empty());
    }
    for (int restart = 0; restart < 2; ++restart) {
      std::vector<Encoding> encodings;
      const SampleBuffer samples = ReadAll(db.db->head(), kSeries, &encodings);
      REQUIRE(samples.size() == 300);
      CHECK(encodings.front() == Encoding::kXor);
      CHECK(encodings.back() == (keep ? Encoding::kXor2 : Encoding::kXor));
      CHECK(samples.start_timestamps().empty() == !keep);
      if (keep) {
        CHECK(samples.start_timestamps()[9] == 0);
        for (size_t i = 10; i < 300; ++i) REQUIRE(samples.start_timestamps()[i] == kStart - 5000);
      }
      for (size_t i = 0; i < 300; ++i) REQUIRE(samples.values()[i] == static_cast<double>(i));
      ReadAll(db.db->head(), other, &encodings);
      CHECK(encodings == std::vector<Encoding>(encodings.size(), Encoding::kXor));
      db.Crash();
      db.Open();
    }
  }
}

TEST_CASE("Histograms with start timestamps have encodings of their own") {
  DbOptions options;
  options.head.chunks.start_timestamps = true;
  DbFixture db(options);
  db.Open();
  for (int i = 0; i < 20; ++i) {
    Builder builder;
    builder.Add(kSeries, kStart + i * 1000, SomeHistogram(i));
    builder.batch.start_timestamps = {kStart - 7};
    CHECK(builder.Commit(db.db.get()).refused_samples.empty());
  }
  for (int restart = 0; restart < 2; ++restart) {
    std::vector<Encoding> encodings;
    const SampleBuffer samples = ReadAll(db.db->head(), kSeries, &encodings);
    CHECK(encodings == std::vector<Encoding>{Encoding::kHistogramSt});
    REQUIRE(samples.size() == 20);
    for (size_t i = 0; i < 20; ++i) CHECK(samples.start_timestamps()[i] == kStart - 7);
    db.Crash();
    db.Open();
  }
}

TEST_CASE("Exemplars come with samples, once each, and stay over restarts") {
  DbOptions options;
  options.head.exemplars_max = 3;
  DbFixture db(options);
  db.Open();
  std::deque<Labels> texts;
  const auto append = [&](Timestamp timestamp, const std::string& trace, double value) {
    Builder builder;
    builder.Add(kSeries, timestamp, value);
    AppendBatch::ExemplarEntry entry;
    entry.timestamp = timestamp - 1;
    entry.value = value;
    texts.push_back(Labels{{"trace_id", trace}});
    for (const LabelView label : texts.back()) entry.labels.push_back(label);
    builder.batch.exemplars = {entry, entry};
    builder.Commit(db.db.get());
  };
  for (int i = 0; i < 5; ++i) append(kStart + i * 1000, "t" + std::to_string(i), i);
  append(kStart + 6000, std::string(200, 'x'), 1);  // Longer than allowed.
  for (int restart = 0; restart < 2; ++restart) {
    const ExemplarStore& exemplars = db.db->head().exemplars();
    const Slot slot = HeadReader(&db.db->head()).Find({})[0];
    const std::vector<Exemplar> found = exemplars.Select(slot, kMinTimestamp, kMaxTimestamp);
    REQUIRE(found.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(found[i].labels == Labels{{"trace_id", "t" + std::to_string(i + 2)}});
      CHECK(found[i].timestamp == kStart + static_cast<int64_t>(i + 2) * 1000 - 1);
      CHECK(found[i].value == static_cast<double>(i + 2));
    }
    if (restart == 0) {
      CHECK(exemplars.counters().appended == 5);
      CHECK(exemplars.counters().repeated == 5);
      CHECK(exemplars.counters().invalid == 2);
    }
    db.Crash();
    db.Open();
  }
}

TEST_CASE("The exemplars' ring drops the oldest, refuses old ones and can change its size") {
  ExemplarStore store(4);
  using Outcome = ExemplarStore::Outcome;
  const LabelView label{"a", "b"};
  for (Slot slot = 0; slot < 6; ++slot) {
    CHECK(store.Add(slot % 2, 100 + slot, slot, std::span(&label, 1)) == Outcome::kStored);
  }
  CHECK(store.size() == 4);
  CHECK(store.series() == 2);
  CHECK(store.oldest_time() == 102);
  CHECK(store.Select(0, 0, 200).size() == 2);
  CHECK(store.Select(0, 103, 200).size() == 1);
  CHECK(store.Select(2, 0, 200).empty());
  CHECK(store.Add(0, 104, 4, std::span(&label, 1)) == Outcome::kRepeated);
  CHECK(store.Add(0, 104, 3, std::span(&label, 1)) == Outcome::kOutOfOrder);
  CHECK(store.Add(0, 103, 4, {}) == Outcome::kOutOfOrder);
  CHECK(store.Check(0, 104, 5, {}) == Outcome::kStored);
  CHECK(store.counters().out_of_order == 2);
  store.Resize(2);
  CHECK(store.size() == 2);
  CHECK(store.oldest_time() == 104);
  store.Resize(3);
  CHECK(store.Add(7, 1, 1, {}) == Outcome::kStored);
  CHECK(store.Add(8, 2, 1, {}) == Outcome::kStored);
  CHECK(store.size() == 3);
  CHECK(!store.Has(0));
  CHECK(store.Has(1));
  std::vector<Slot> order;
  store.Visit([&](Slot slot, const Exemplar&) { order.push_back(slot); });
  CHECK(order == std::vector<Slot>{1, 7, 8});
  store.Resize(0);
  CHECK(store.size() == 0);
  CHECK(store.Add(1, 500, 1, {}) == Outcome::kOff);
}

TEST_CASE("Metadata belong to their series, are logged on change, and stay over restarts") {
  DbFixture db;
  db.Open();
  const Labels other{{"__name__", "other"}};
  const auto append = [&](Timestamp timestamp, MetricType type, std::string_view help) {
    Builder builder;
    builder.Add(kSeries, timestamp, 1);
    builder.Add(other, timestamp, 1);
    builder.batch.metadata = {{0, type, help, "seconds"}, {1, type, help, "seconds"}};
    builder.Commit(db.db.get());
  };
  append(kStart, MetricType::kCounter, "first");
  const uint64_t written = db.db->head().log_counters()->bytes_written;
  append(kStart + 1, MetricType::kCounter, "first");
  const uint64_t repeated = db.db->head().log_counters()->bytes_written - written;
  append(kStart + 2, MetricType::kCounter, "second");
  CHECK(db.db->head().log_counters()->bytes_written - written - repeated > repeated);
  for (int restart = 0; restart < 2; ++restart) {
    const MetadataStore& metadata = db.db->head().metadata();
    CHECK(metadata.entries() == 1);
    const std::vector<Slot> slots = HeadReader(&db.db->head()).Find({});
    Metadata of;
    REQUIRE(metadata.Get(slots[0], &of));
    CHECK(of == Metadata{MetricType::kCounter, "second", "seconds"});
    const auto distinct = metadata.Distinct(slots);
    REQUIRE(distinct.size() == 1);
    CHECK(distinct[0].second == 2);
    db.Crash();
    db.Open();
  }
}

TEST_CASE("Metadata entries go with their last series") {
  MetadataStore store;
  CHECK(store.Set(5000, MetricType::kGauge, "h", "u"));
  CHECK(!store.Set(5000, MetricType::kGauge, "h", "u"));
  CHECK(!store.IsNews(5000, MetricType::kGauge, "h", "u"));
  CHECK(store.IsNews(5000, MetricType::kGauge, "h", ""));
  CHECK(store.IsNews(1, MetricType::kGauge, "h", "u"));
  CHECK(store.Set(1, MetricType::kGauge, "h", "u"));
  CHECK(store.entries() == 1);
  CHECK(store.Set(1, MetricType::kGauge, "h2", "u"));
  CHECK(store.entries() == 2);
  const std::vector<Slot> gone = {1, 2, 5000};
  store.Forget(gone);
  CHECK(store.entries() == 0);
  Metadata metadata;
  CHECK(!store.Get(1, &metadata));
  CHECK(store.Set(1, MetricType::kGauge, "h", "u"));
  int visited = 0;
  store.Visit([&](Slot slot, const Metadata& of) {
    CHECK(slot == 1);
    CHECK(of.help == "h");
    ++visited;
  });
  CHECK(visited == 1);
}

TEST_CASE("Limits refuse new series and samples out of bounds, and known series go on") {
  DbFixture db;
  db.Open();
  Db* const head = db.db.get();
  const auto series = [](int i, const std::string& job) {
    return Labels::FromPairs({{"i", std::to_string(i)}, {"job", job}});
  };
  CHECK(AppendOne(head, series(0, "a"), kStart, 1.0) == Refusal::kNone);
  HeadLimits limits;
  limits.series_per_job_max = 2;
  limits.label_value_bytes_max = 10;
  limits.labels_max = 3;
  limits.past_max = absl::Hours(1);
  db.db->head().SetLimits(limits);
  CHECK(AppendOne(head, series(1, "a"), kStart, 1.0) == Refusal::kNone);
  CHECK(AppendOne(head, series(2, "a"), kStart, 1.0) == Refusal::kSeriesLimit);
  CHECK(AppendOne(head, series(2, "b"), kStart, 1.0) == Refusal::kNone);
  CHECK(AppendOne(head, series(1, "a"), kStart + 1, 1.0) == Refusal::kNone);
  CHECK(AppendOne(head, series(3, "01234567890"), kStart, 1.0) == Refusal::kInvalidLabels);
  CHECK(AppendOne(head, Labels{{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}}, kStart, 1.0) ==
        Refusal::kInvalidLabels);
  CHECK(AppendOne(head, series(4, "c"), kStart - 3'600'001, 1.0) == Refusal::kOutOfBounds);
  CHECK(db.db->head().counters().series_refused_by_job == 1);
  CHECK(db.db->head().counters().series_refused_by_labels == 2);

  limits = {};
  limits.series_max = db.db->head().table().size();
  db.db->head().SetLimits(limits);
  CHECK(AppendOne(head, series(9, "z"), kStart + 2, 1.0) == Refusal::kSeriesLimit);
  CHECK(AppendOne(head, series(1, "a"), kStart + 2, 1.0) == Refusal::kNone);
}

}  // namespace
}  // namespace narthex::tsdb
