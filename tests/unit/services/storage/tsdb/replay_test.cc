// The log in all its records, beside chunks_head, brought back into the head.
#include "services/storage/tsdb/replay.h"

#include <random>

#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

// The log of another program, segment by segment.
void WriteForeign(io::FileSystem* fs, uint64_t segment, const std::vector<std::string>& records,
                  const std::string& directory = "/data/wal") {
  REQUIRE(fs->CreateDirectories(directory).ok());
  auto writer =
      wal::Writer::Open(fs, directory, segment, {}, [](uint64_t, std::vector<std::string>*) {});
  REQUIRE(writer.ok());
  const std::vector<std::string_view> views(records.begin(), records.end());
  REQUIRE((*writer)->Log(views).ok());
}

std::string SeriesRecord(uint64_t ref, std::string_view name) {
  wal::SeriesEncoder encoder;
  const LabelView labels[] = {{"__name__", name}};
  encoder.Add(ref, labels);
  return std::string(encoder.record());
}
std::string SamplesRecord(uint64_t ref, Timestamp start, int count, int64_t step = 1000) {
  wal::SamplesEncoder encoder;
  encoder.Reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) encoder.Add(ref, start + i * step, i);
  return std::string(encoder.record());
}
Labels Named(std::string_view name) { return Labels{{"__name__", name}}; }

Histogram SmallHistogram(uint64_t count) {
  Histogram histogram;
  histogram.schema = 3;
  histogram.count = count;
  histogram.sum = static_cast<double>(count) * 2;
  histogram.positive_spans = {{0, 1}};
  histogram.positive_deltas = {static_cast<int64_t>(count)};
  return histogram;
}
Histogram CustomHistogram(uint64_t count) {
  Histogram histogram = SmallHistogram(count);
  histogram.schema = kCustomBucketsSchema;
  histogram.custom_values = {1};
  return histogram;
}

template <typename Encoder>
void AppendAll(const Encoder& encoder, std::vector<std::string>* records) {
  std::vector<std::string_view> views;
  encoder.AppendRecords(&views);
  records->insert(records->end(), views.begin(), views.end());
}

// The samples of a series of the head, of any kind.
SampleBuffer ReadAll(DbFixture* db, std::string_view name) {
  storage::Selector selector;
  selector.matchers = {Matcher::Equal("__name__", name)};
  selector.hints.start = kMinTimestamp;
  selector.hints.end = kMaxTimestamp;
  DbQuerier querier(db->db.get(), &db->clock);
  auto result = querier.Select(std::span(&selector, 1), {});
  REQUIRE(result.ok());
  SampleBuffer samples;
  if (result->sets[0]->Next()) REQUIRE(result->sets[0]->ReadSamples(&samples).ok());
  return samples;
}

TEST_CASE("Records of every kind come back from the log of another program") {
  DbOptions options;
  options.settings.exemplars_max = 100;
  options.head.exemplars_max = 100;
  DbFixture db(options);
  std::vector<std::string> records = {
      SeriesRecord(1, "floats"),        SeriesRecord(2, "started"),
      SeriesRecord(3, "histograms"),    SeriesRecord(4, "float_histograms"),
      SeriesRecord(5, "custom"),        SeriesRecord(6, "float_custom"),
      SeriesRecord(7, "histograms_v2"), SeriesRecord(8, "float_histograms_v2"),
      SamplesRecord(1, kStart, 5)};
  wal::SamplesV2Encoder started;
  started.Add({2, kStart, 1, kStart - 500});
  started.Add({2, kStart + 1000, 2, kStart - 500});
  records.emplace_back(started.record());
  wal::HistogramsEncoder histograms;
  wal::FloatHistogramsEncoder floats;
  wal::HistogramsEncoder histograms_v2(true);
  wal::FloatHistogramsEncoder floats_v2(true);
  for (uint64_t i = 1; i <= 3; ++i) {
    const Timestamp time = kStart + static_cast<Timestamp>(i) * 1000;
    histograms.Add(3, time, 0, SmallHistogram(i));
    histograms.Add(5, time, 0, CustomHistogram(i));
    floats.Add(4, time, 0, ToFloat(SmallHistogram(i)));
    floats.Add(6, time, 0, ToFloat(CustomHistogram(i)));
    histograms_v2.Add(7, time, kStart, SmallHistogram(i));
    floats_v2.Add(8, time, kStart, ToFloat(SmallHistogram(i)));
  }
  AppendAll(histograms, &records);
  AppendAll(floats, &records);
  AppendAll(histograms_v2, &records);
  AppendAll(floats_v2, &records);
  wal::ExemplarsEncoder exemplars;
  const LabelView labels[] = {{"trace_id", "x"}};
  exemplars.Add({1, kStart, 0.5, labels});
  exemplars.Add({99, kStart, 0.5, labels});  // Of nothing.
  records.emplace_back(exemplars.record());
  wal::MetadataEncoder metadata;
  metadata.Add({1, MetricType::kGauge, "", "Old."});
  metadata.Add({1, MetricType::kCounter, "s", "New."});
  records.emplace_back(metadata.record());
  records.push_back(
      wal::EncodeTombstones(std::vector<wal::Tombstone>{{1, kStart + 1000, kStart + 2000}}));
  records.push_back("\x7f of a later program");
  WriteForeign(&db.fs, 0, records);
  db.Open();
  const ReplayResult& result = db.db->replay_result();
  CHECK(result.samples == 5 + 2 + 6 * 3);
  CHECK(result.exemplars == 1);
  CHECK(result.metadata == 2);
  CHECK(result.tombstones == 1);
  CHECK(result.others_unknown == 1);
  CHECK(result.records_skipped == 1);
  CHECK(result.samples_unknown == 0);

  CHECK(ReadAll(&db, "started").size() == 2);
  for (const char* name : {"histograms", "custom", "histograms_v2"}) {
    const SampleBuffer samples = ReadAll(&db, name);
    INFO(name);
    REQUIRE(samples.size() == 3);
    REQUIRE(samples.kind(2) == SampleKind::kHistogram);
    CHECK(Same(samples.histogram(2),
               std::string_view(name) == "custom" ? CustomHistogram(3) : SmallHistogram(3)));
  }
  for (const char* name : {"float_histograms", "float_custom", "float_histograms_v2"}) {
    const SampleBuffer samples = ReadAll(&db, name);
    INFO(name);
    REQUIRE(samples.size() == 3);
    REQUIRE(samples.kind(0) == SampleKind::kFloatHistogram);
    CHECK(Same(samples.float_histogram(0),
               ToFloat(std::string_view(name) == "float_custom" ? CustomHistogram(1)
                                                                : SmallHistogram(1))));
  }
  Head& head = db.db->head();
  const Slot slot = head.table().FindReference(1);
  Metadata read;
  REQUIRE(head.metadata().Get(slot, &read));
  CHECK(read == Metadata{MetricType::kCounter, "New.", "s"});
  REQUIRE(head.exemplars().Select(slot, kMinTimestamp, kMaxTimestamp).size() == 1);
  std::vector<storage::DeletedInterval> deleted;
  head.Deleted(slot, &deleted);
  REQUIRE(deleted.size() == 1);
  CHECK(deleted[0].min_time == kStart + 1000);
  CHECK(deleted[0].max_time == kStart + 2000);
}

TEST_CASE("However many workers there are, the head is the same") {
  std::mt19937 random(17);
  std::vector<std::string> records;
  constexpr int kSeries = 300;
  for (int i = 1; i <= kSeries; ++i) {
    records.push_back(SeriesRecord(static_cast<uint64_t>(i), StrCat("m", i)));
  }
  std::vector<Timestamp> next(kSeries + 1, kStart);
  for (int round = 0; round < 3000; ++round) {
    wal::SamplesEncoder encoder;
    encoder.Reserve(50);
    for (int n = 0; n < 50; ++n) {
      const uint64_t ref = 1 + random() % kSeries;
      next[ref] += 1 + static_cast<Timestamp>(random() % 30000);
      encoder.Add(ref, next[ref], static_cast<double>(random()));
    }
    records.emplace_back(encoder.record());
  }
  std::optional<SeriesMap> first;
  for (const int workers : {1, 2, 5}) {
    DbFixture db;
    WriteForeign(&db.fs, 0, records);
    REQUIRE(db.fs.CreateDirectories("/data/chunks_head").ok());
    HeadOptions head_options;
    Head head(head_options, &db.clock);
    ReplayProgress progress;
    Replay replay(&db.fs, &head, Logger(), &progress, [] { return false; });
    ReplayOptions options;
    options.log_directory = "/data/wal";
    options.lost_directory = "/data/lost";
    options.workers = workers;
    ReplayResult result;
    REQUIRE(replay.Run(options, &result).ok());
    CHECK(result.samples == 3000 * 50);
    CHECK(result.samples_refused == 0);
    CHECK(head.min_time() > kStart);
    CHECK(head.max_time() == *std::max_element(next.begin(), next.end()));
    CHECK(progress.segments_done.load() == 1);
    CHECK(progress.segment_max.load() == 0);
    // What it holds, as a snapshot has it.
    std::string all;
    SeriesImage image;
    const std::vector<Slot> slots = head.index().Select({});
    for (const Slot slot : slots) {
      REQUIRE(ReadSeriesImage(head, slot, &image).ok());
      all += StrCat(head.index().LabelsOf(slot).ToString(), " ", image.closed.size(), " ",
                    image.open.bytes, "\n");
    }
    static std::string expected;
    if (workers == 1) expected = all;
    CHECK((all == expected));
  }
}

TEST_CASE("What chunks_head has is not appended again, and what it has lost comes from the log") {
  DbOptions options;
  options.head.chunk_files.buffer_bytes = 1024;
  for (const int damage : {0, 1, 2, 3}) {
    DbFixture db(options);
    db.Open();
    for (int i = 0; i < 1000; ++i) {
      db.clock.Advance(absl::Seconds(1));
      for (int series = 0; series < 5; ++series) {
        db.Append(Named(StrCat("m", series)), kStart + i * 1000, i * 1.7 + series);
      }
    }
    const SeriesMap before = db.SelectAll();
    db.Crash();
    const std::string path = "/data/chunks_head/000001";
    const uint64_t size = db.fs.FileSize(path).value();
    REQUIRE(size > 4000);
    if (damage == 1) db.fs.Corrupt(path, size / 2, 0x08);
    if (damage == 2) db.fs.Corrupt(path, 1, 0x08);
    if (damage == 3) REQUIRE(db.fs.RemoveAll("/data/chunks_head").ok());
    db.Open();
    const ReplayResult& result = db.db->replay_result();
    INFO("damage " << damage);
    CHECK((result.chunks_found > 20) == (damage == 0));
    CHECK((result.chunks_found > 0) == (damage < 2));
    CHECK(result.samples + result.samples_refused == 5000);
    CHECK((result.samples_refused > 3000) == (damage == 0));
    CHECK(result.chunk_files.damage.ok() == (damage == 0 || damage == 3));
    CHECK(db.SelectAll() == before);
    // It goes on from there, and over one more start.
    db.Append(Named("m0"), kStart + 2'000'000, 1);
    db.Crash();
    db.Open();
    CHECK(db.SelectAll().at(Named("m0")).size() == 1001);
  }
}

TEST_CASE("Series that a log has twice are one, and both references lead to their chunks") {
  DbFixture db;
  WriteForeign(&db.fs, 0,
               {SeriesRecord(5, "m"), SamplesRecord(5, kStart, 10), SeriesRecord(9, "m"),
                SamplesRecord(9, kStart + 100'000, 10), SamplesRecord(5, kStart + 200'000, 10)});
  db.Open();
  CHECK(db.SelectAll().at(Named("m")).size() == 30);
  REQUIRE(db.db->replay_result().aliases.size() == 1);
  CHECK(db.db->replay_result().aliases[0].alias == 9);
  CHECK(db.db->replay_result().aliases[0].reference == 5);
  // The snapshot remembers it.
  REQUIRE(db.db->SnapshotHead().ok());
  db.Crash();
  db.Open();
  REQUIRE(db.db->replay_result().snapshot_used);
  CHECK(db.db->head().table().FindReference(9) == db.db->head().table().FindReference(5));
  CHECK(db.db->replay_result().aliases.size() == 1);
}

TEST_CASE("What another program has moved to blocks does not come back from its log") {
  DbFixture db;
  WriteForeign(&db.fs, 0, {SeriesRecord(5, "m"), SamplesRecord(5, kStart, 10)});
  REQUIRE(db.fs.CreateDirectories("/data/chunks_head").ok());
  Head head({}, &db.clock);
  ReplayProgress progress;
  Replay replay(&db.fs, &head, Logger(), &progress, [] { return false; });
  ReplayOptions options;
  options.log_directory = "/data/wal";
  options.lost_directory = "/data/lost";
  options.foreign_min_time = kStart + 4000;
  ReplayResult result;
  REQUIRE(replay.Run(options, &result).ok());
  CHECK(result.samples_in_blocks == 4);
  CHECK(result.samples == 6);
  CHECK(head.min_time() == kStart + 4000);
}

TEST_CASE("A truncation that the log tells of is done again, and what came late after it stays") {
  constexpr int64_t kRange = 2 * 60 * 60 * 1000;
  const Timestamp cut = kStart / kRange * kRange + 2 * kRange;
  DbOptions options;
  options.head.chunk_files.buffer_bytes = 512;
  for (const bool snapshot : {false, true}) {
    DbFixture db(options);
    db.Open();
    db.clock.Advance(absl::Hours(10));
    for (Timestamp time = cut - kRange; time < cut + kRange; time += 15'000) {
      db.Append(Named("old_and_new"), time, static_cast<double>(time));
    }
    db.Append(Named("gone"), cut - 5000, 1);
    REQUIRE(db.db->head().TruncateBefore(cut).ok());
    CHECK(db.db->head().min_time() == cut);
    if (snapshot) REQUIRE(db.db->SnapshotHead().ok());
    // Newer than all of its series, and older than the truncation.
    for (int i = 0; i < 400; ++i) db.Append(Named("late"), cut - 600'000 + i * 1000, i);
    const SeriesMap before = db.SelectAll();
    CHECK(before.size() == 2);
    for (int restart = 0; restart < 3; ++restart) {
      db.Crash();
      db.Open();
      INFO("restart " << restart << " snapshot " << snapshot);
      CHECK(db.db->replay_result().snapshot_used == snapshot);
      CHECK(db.SelectAll() == before);
      CHECK(db.db->head().min_time() == cut - 600'000);
      CHECK(db.db->head().truncated_before() == cut);
    }
  }
}

TEST_CASE("A segment that is missing behind a checkpoint is an error that names it") {
  DbFixture db;
  WriteForeign(&db.fs, 0, {SeriesRecord(5, "m")}, "/data/wal/checkpoint.00000003");
  WriteForeign(&db.fs, 5, {SamplesRecord(5, kStart, 10)});
  const absl::Status status = db.TryOpen();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status).find("00000004") != std::string::npos);
}

}  // namespace
}  // namespace narthex::tsdb
