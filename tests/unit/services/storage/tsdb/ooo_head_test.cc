#include "services/storage/tsdb/ooo_head.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_appender.h"
#include "services/storage/tsdb/ooo_replay.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

using storage::Refusal;

constexpr Timestamp kNow = 1'700'000'000'000;
constexpr Timestamp kMinute = 60'000;
constexpr Timestamp kHour = 60 * kMinute;
constexpr BatchNumber kAll = std::numeric_limits<BatchNumber>::max();

using Samples = std::map<Timestamp, double>;

// Each start makes a head, whose tables cost ThreadSanitizer and AddressSanitizer some 50 ms:
// there every so-manieth case stands for the others. A prime, so that all parts of a record come
// up.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr size_t kStride = 29;
#else
constexpr size_t kStride = 1;
#endif

// A head with both of its logs and nothing else of a database.
class Fixture {
 public:
  explicit Fixture(absl::Duration window = absl::Hours(2)) : window_(window) {
    REQUIRE(fs.CreateDirectories("/d/wal").ok());
    Start();
  }
  // Finds this as the first segment of the log of late samples.
  explicit Fixture(std::string_view segment) : window_(absl::Hours(2)) {
    REQUIRE(fs.CreateDirectories("/d/wal").ok());
    REQUIRE(fs.CreateDirectories("/d/wbl").ok());
    REQUIRE(fs.WriteFileAtomically("/d/wbl/00000000", segment).ok());
    Start();
  }

  // A process that finds what the one before it has written. The series come anew, with the
  // references that they had: the write-ahead log is not what is tested here.
  void Start() {
    head.reset();
    HeadOptions options;
    options.ooo.window = window_;
    head = std::make_unique<Head>(options, &clock);
    const auto loaded = head->chunk_files().Load(
        &fs, "/d/chunks_head", "/d/lost", [this](const HeadChunk& chunk) -> absl::StatusOr<bool> {
          if (chunk.out_of_order) head->ooo().LoadChunk(chunk);
          return chunk.out_of_order;
        });
    REQUIRE(loaded.ok());
    Head::LogStart start;
    start.fs = &fs;
    start.directory = "/d/wal";
    start.reference_space.assign(wal::kReferenceSpaceSize, 'r');
    start.segment = next_log_segment_++;
    REQUIRE(head->StartAppending(start).ok());
    for (size_t i = 0; i < 3; ++i) {
      REQUIRE(Append(LabelsOf(i), kNow, 0) == Refusal::kNone);
      slots_[i] = head->index().Find(std::vector<LabelView>{{"i", std::to_string(i)}});
    }
    std::vector<std::string> lines;
    OooReplay replay(&fs, &head->table(), &head->ooo(), Logger::ToLines(&lines), is_committed,
                     [] { return false; });
    replayed = {};
    REQUIRE(replay.Run("/d/wbl", "/d/lost", &replayed).ok());
    head->ooo().OpenLog(
        std::make_unique<Wbl>(&fs, "/d/wbl", wal::WriterOptions(), replayed.next_segment));
  }
  void Crash() {
    fs.ProcessCrash();
    Start();
  }

  static Labels LabelsOf(size_t i) { return Labels{{"i", std::to_string(i)}}; }
  Slot SlotOf(size_t i) const { return slots_[i]; }

  absl::Status TryAppend(const Labels& labels, Timestamp timestamp, double value,
                         Refusal* refusal) {
    DbAppender appender(head.get());
    appender.Append(labels, timestamp, value);
    const absl::Status status = appender.Commit();
    *refusal = Refusal::kNone;
    for (size_t i = 1; i < storage::kRefusalCount; ++i) {
      if (appender.result().refused[i] > 0) *refusal = static_cast<Refusal>(i);
    }
    return status;
  }
  Refusal Append(const Labels& labels, Timestamp timestamp, double value) {
    Refusal refusal;
    REQUIRE(TryAppend(labels, timestamp, value, &refusal).ok());
    return refusal;
  }
  Refusal AppendLate(size_t i, Timestamp timestamp, double value) {
    return Append(LabelsOf(i), timestamp, value);
  }

  // Every sample once: two chunks may have the same one, with the same value.
  Samples Read(size_t i, BatchNumber visible = kAll, Timestamp min_time = kMinTimestamp,
               Timestamp max_time = kMaxTimestamp) const {
    OooChunks chunks;
    const bool any = head->ooo().ReadChunks(SlotOf(i), min_time, max_time, visible, &chunks);
    CHECK(any == !chunks.chunks.empty());
    if (any || !has_deleted) {
      CHECK(any == head->ooo().Overlaps(SlotOf(i), min_time, max_time, visible));
    }
    return Decode(chunks.chunks, min_time, max_time);
  }
  static Samples Decode(std::span<const storage::SelectChunk> chunks, Timestamp min_time,
                        Timestamp max_time) {
    Samples samples;
    Timestamp before = kMinTimestamp;
    for (const storage::SelectChunk& chunk : chunks) {
      CHECK(chunk.min_time >= before);
      before = chunk.min_time;
      SampleBuffer buffer;
      REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                    kMinTimestamp, kMaxTimestamp, &buffer)
                  .ok());
      REQUIRE(buffer.size() == chunk.visible_samples);
      REQUIRE(buffer.timestamps().front() == chunk.min_time);
      REQUIRE(buffer.timestamps().back() == chunk.max_time);
      for (size_t i = 0; i < buffer.size(); ++i) {
        if (buffer.timestamps()[i] < min_time || buffer.timestamps()[i] > max_time) continue;
        const auto [at, added] = samples.emplace(buffer.timestamps()[i], buffer.values()[i]);
        CHECK(at->second == buffer.values()[i]);
      }
    }
    return samples;
  }

  FaultFileSystem fs;
  FakeClock clock{FromTimestamp(kNow)};
  std::unique_ptr<Head> head;
  OooReplayResult replayed;
  OooReplay::IsCommitted is_committed;
  bool has_deleted = false;

 private:
  const absl::Duration window_;
  uint64_t next_log_segment_ = 0;
  Slot slots_[3] = {};
};

TEST_CASE("Late samples are read back in order, whatever order they came in") {
  Fixture fixture;
  std::mt19937 random(1);
  Samples expected;
  for (int i = 0; i < 1000; ++i) {
    const Timestamp timestamp = kNow - static_cast<Timestamp>(random() % (2 * kHour));
    const double value = static_cast<double>(random() % 100);
    const auto found = expected.find(timestamp);
    const Refusal refusal = fixture.AppendLate(1, timestamp, value);
    if (found == expected.end() && timestamp != kNow) {
      CHECK(refusal == Refusal::kNone);
      expected[timestamp] = value;
    }
  }
  CHECK(fixture.Read(1) == expected);
  CHECK(fixture.Read(0).empty());
  CHECK(fixture.head->ooo().counters().floats_appended == expected.size());
  CHECK(fixture.head->ooo().counters().chunks_created >= expected.size() / 32 - 1);
  CHECK(fixture.head->ooo().min_time() == expected.begin()->first);
  CHECK(fixture.head->ooo().max_time() == expected.rbegin()->first);
  CHECK(fixture.head->ooo().Has(fixture.SlotOf(1)));
  CHECK_FALSE(fixture.head->ooo().Has(fixture.SlotOf(0)));
  // A range within, with both ends inside.
  auto first = std::next(expected.begin(), 100);
  auto last = std::next(expected.begin(), 500);
  CHECK(fixture.Read(1, kAll, first->first, last->first) == Samples(first, std::next(last)));

  fixture.Crash();
  CHECK(fixture.Read(1) == expected);
  CHECK(fixture.replayed.samples_unknown == 0);
  CHECK(fixture.replayed.chunks_unknown == 0);
}

TEST_CASE("A sample that is there already is accepted and changes nothing") {
  Fixture fixture;
  for (int i = 1; i <= 50; ++i) {
    REQUIRE(fixture.AppendLate(0, kNow - i * kMinute, i) == Refusal::kNone);
  }
  const uint64_t appended = fixture.head->ooo().counters().floats_appended;
  CHECK(appended == 50);
  for (int i = 1; i <= 50; ++i) {  // Some lie in a chunk, some do not.
    CHECK(fixture.AppendLate(0, kNow - i * kMinute, i) == Refusal::kNone);
    CHECK(fixture.AppendLate(0, kNow - i * kMinute, i + 0.5) == Refusal::kDuplicate);
  }
  CHECK(fixture.head->ooo().counters().floats_appended == appended);
  // Likewise where the head itself has it.
  REQUIRE(fixture.Append(Fixture::LabelsOf(0), kNow + kMinute, 7) == Refusal::kNone);
  REQUIRE(fixture.Append(Fixture::LabelsOf(0), kNow + 2 * kMinute, 8) == Refusal::kNone);
  CHECK(fixture.Append(Fixture::LabelsOf(0), kNow + kMinute, 7) == Refusal::kNone);
  CHECK(fixture.Append(Fixture::LabelsOf(0), kNow + kMinute, 9) == Refusal::kDuplicate);
  CHECK(fixture.head->ooo().counters().floats_appended == appended);
  // And within one batch.
  DbAppender appender(fixture.head.get());
  appender.Append(Fixture::LabelsOf(1), kNow - 1, 1);
  appender.Append(Fixture::LabelsOf(1), kNow - 1, 1);
  appender.Append(Fixture::LabelsOf(1), kNow - 1, 2);
  REQUIRE(appender.Commit().ok());
  CHECK(appender.result().refused[static_cast<size_t>(Refusal::kDuplicate)] == 1);
  CHECK(fixture.Read(1) == Samples{{kNow - 1, 1}});
}

TEST_CASE("The window says how late a sample may be, and changes while the head runs") {
  Fixture fixture(absl::ZeroDuration());
  CHECK(fixture.AppendLate(0, kNow - 1, 1) == Refusal::kOutOfOrder);
  fixture.head->ooo().SetWindow(absl::Minutes(10));
  CHECK(fixture.AppendLate(0, kNow - 10 * kMinute, 1) == Refusal::kNone);
  CHECK(fixture.AppendLate(0, kNow - 10 * kMinute - 1, 1) == Refusal::kTooOld);
  // The window counts from the newest sample of all series.
  REQUIRE(fixture.Append(Fixture::LabelsOf(1), kNow + kMinute, 0) == Refusal::kNone);
  CHECK(fixture.AppendLate(0, kNow - 9 * kMinute, 2) == Refusal::kNone);
  CHECK(fixture.AppendLate(0, kNow - 9 * kMinute - 1, 2) == Refusal::kTooOld);
  fixture.head->ooo().SetWindow(absl::ZeroDuration());
  CHECK(fixture.AppendLate(0, kNow - 1, 1) == Refusal::kOutOfOrder);
  CHECK(fixture.Read(0) == Samples{{kNow - 10 * kMinute, 1}, {kNow - 9 * kMinute, 2}});
  // What is there can be repeated all the same.
  CHECK(fixture.AppendLate(0, kNow - 10 * kMinute, 1) == Refusal::kNone);
}

TEST_CASE("A reader sees none of the late samples of batches after it") {
  Fixture fixture;
  std::vector<Samples> expected;  // By batch.
  std::vector<BatchNumber> batches;
  Samples now;
  std::mt19937 random(2);
  const Isolation::Reader reader = fixture.head->isolation().BeginRead();  // Holds all back.
  for (int batch = 0; batch < 60; ++batch) {
    DbAppender appender(fixture.head.get());
    for (int i = 0; i < 3; ++i) {
      const Timestamp timestamp = kNow - 1 - static_cast<Timestamp>(random() % kHour);
      if (!now.emplace(timestamp, batch).second) continue;
      appender.Append(Fixture::LabelsOf(2), timestamp, batch);
    }
    REQUIRE(appender.Commit().ok());
    expected.push_back(now);
    batches.push_back(fixture.head->isolation().committed());
  }
  CHECK(fixture.Read(2, reader.visible).empty());
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("batch " << batches[i]);
    CHECK(fixture.Read(2, batches[i]) == expected[i]);
  }
  fixture.head->isolation().EndRead(reader);
}

std::map<std::string, Samples> ReadSource(ChunkSeriesSource* source) {
  std::map<std::string, Samples> all;
  std::string before;
  while (true) {
    const absl::StatusOr<bool> more = source->Next();
    REQUIRE(more.ok());
    if (!*more) return all;
    REQUIRE(source->labels().size() == 1);
    const std::string label(source->labels()[0].value);
    CHECK(before < label);
    before = label;
    all[label] = Fixture::Decode(source->chunks(), kMinTimestamp, kMaxTimestamp);
  }
}

TEST_CASE("What is frozen goes to blocks, and what came later stays") {
  Fixture fixture;
  std::map<std::string, Samples> frozen_samples;
  for (int i = 1; i <= 70; ++i) {
    for (size_t series : {size_t{2}, size_t{0}}) {
      REQUIRE(fixture.AppendLate(series, kNow - i * kMinute, i) == Refusal::kNone);
      frozen_samples[std::to_string(series)][kNow - i * kMinute] = i;
    }
  }
  auto frozen = fixture.head->FreezeOutOfOrder();
  REQUIRE(frozen.ok());
  CHECK(frozen->series == 2);
  CHECK(frozen->min_time == kNow - 70 * kMinute);
  CHECK(frozen->max_time == kNow - kMinute);
  Samples later;
  for (int i = 1; i <= 40; ++i) {
    REQUIRE(fixture.AppendLate(0, kNow - i * kMinute - 1, -i) == Refusal::kNone);
    REQUIRE(fixture.AppendLate(1, kNow - i * kMinute - 1, -i) == Refusal::kNone);
    later[kNow - i * kMinute - 1] = -i;
  }
  OooHead& ooo = fixture.head->ooo();
  CHECK(ReadSource(ooo.Source(*frozen, kMinTimestamp, kMaxTimestamp, nullptr).get()) ==
        frozen_samples);
  CHECK(ReadSource(ooo.Source(*frozen, kNow, kMaxTimestamp, nullptr).get()).empty());
  Samples both = frozen_samples["0"];
  both.insert(later.begin(), later.end());
  CHECK(fixture.Read(0) == both);

  SECTION("dropped") {
    REQUIRE(fixture.head->DropOutOfOrder(*frozen).ok());
    CHECK(fixture.Read(0) == later);
    CHECK(fixture.Read(1) == later);
    CHECK(fixture.Read(2).empty());
    CHECK_FALSE(ooo.Has(fixture.SlotOf(2)));
    CHECK(ooo.series_count() == 2);
    CHECK(ooo.min_time() == kNow - 40 * kMinute - 1);
    fixture.Crash();
    // Frozen samples that became a chunk only later come back; blocks have the same.
    for (const auto& [timestamp, value] : fixture.Read(0)) CHECK(both.at(timestamp) == value);
    CHECK(fixture.Read(0).size() < later.size() + 32);
    for (const auto& [timestamp, value] : later) CHECK(fixture.Read(0).count(timestamp) == 1);
    CHECK(fixture.Read(1) == later);
    CHECK(fixture.Read(2).empty());
    CHECK(fixture.head->ooo().series_count() == 2);
    // All of it, this time.
    frozen = fixture.head->FreezeOutOfOrder();
    REQUIRE(frozen.ok());
    REQUIRE(fixture.head->DropOutOfOrder(*frozen).ok());
    CHECK(fixture.head->ooo().empty());
    CHECK(fixture.head->ooo().min_time() == kMaxTimestamp);
    CHECK(fixture.head->ooo().max_time() == kMinTimestamp);
    CHECK(fixture.fs.List("/d/wbl").value().size() == 1);
    fixture.Crash();
    CHECK(fixture.head->ooo().empty());
  }
  SECTION("frozen again, because the compaction failed") {
    const auto again = fixture.head->FreezeOutOfOrder();
    REQUIRE(again.ok());
    CHECK(again->series == 3);
    CHECK(again->min_time == kNow - 70 * kMinute);
    const auto all = ReadSource(ooo.Source(*again, kMinTimestamp, kMaxTimestamp, nullptr).get());
    CHECK(all.at("0") == both);
    CHECK(all.at("1") == later);
    CHECK(all.at("2") == frozen_samples["2"]);
    REQUIRE(fixture.head->DropOutOfOrder(*again).ok());
    CHECK(ooo.empty());
  }
  SECTION("lost sight of in a crash") {
    fixture.Crash();
    CHECK(fixture.Read(0) == both);
    CHECK(fixture.Read(1) == later);
    CHECK(fixture.Read(2) == frozen_samples["2"]);
  }
}

TEST_CASE("Deleted intervals travel with the source") {
  Fixture fixture;
  REQUIRE(fixture.AppendLate(0, kNow - 1, 1) == Refusal::kNone);
  const auto frozen = fixture.head->FreezeOutOfOrder();
  REQUIRE(frozen.ok());
  const auto deleted = [&](Slot slot, std::vector<storage::DeletedInterval>* out) {
    CHECK(slot == fixture.SlotOf(0));
    out->push_back({1, 2});
  };
  const auto source = fixture.head->ooo().Source(*frozen, kMinTimestamp, kMaxTimestamp, deleted);
  REQUIRE(source->Next().value());
  REQUIRE(source->deleted().size() == 1);
  CHECK(source->deleted()[0].max_time == 2);
}

TEST_CASE("What is deleted is gone, also after a crash, and what comes again later stays") {
  Fixture fixture;
  Samples expected;
  for (int i = 1; i <= 150; ++i) {
    const Timestamp timestamp = kNow - (i * 37 % 151) * 1000;
    REQUIRE(fixture.AppendLate(0, timestamp, i) == Refusal::kNone);
    REQUIRE(fixture.AppendLate(1, timestamp, i) == Refusal::kNone);
    expected[timestamp] = i;
  }
  const Samples all = expected;
  OooHead& ooo = fixture.head->ooo();
  const std::vector<OooHead::Deleted> deleted = {
      {fixture.SlotOf(0), kNow - 100'000, kNow - 50'000},
      {fixture.SlotOf(0), kNow - 20'000, kNow - 10'001},
      {fixture.SlotOf(2), kMinTimestamp, kMaxTimestamp}};  // Has no late samples.
  for (const OooHead::Deleted& one : std::span(deleted).first(2)) {
    expected.erase(expected.lower_bound(one.min_time), expected.upper_bound(one.max_time));
  }
  REQUIRE(all.size() - expected.size() == 61);
  fixture.has_deleted = true;
  REQUIRE(ooo.LogDelete(deleted).ok());
  ooo.Delete(deleted);
  CHECK(fixture.Read(0) == expected);
  CHECK(fixture.Read(1) == all);
  fixture.Crash();
  CHECK(fixture.Read(0) == expected);
  CHECK(fixture.Read(1) == all);
  for (int i = 60; i < 95; ++i) {
    REQUIRE(fixture.AppendLate(0, kNow - i * 1000, -i) == Refusal::kNone);
    expected[kNow - i * 1000] = -i;
  }
  CHECK(fixture.Read(0) == expected);
  fixture.Crash();
  for (const auto& [timestamp, value] : expected) {
    INFO((kNow - timestamp) / 1000);
    CHECK(fixture.Read(0).count(timestamp) == 1);
  }
  CHECK(fixture.Read(0) == expected);
  fixture.Crash();
  CHECK(fixture.Read(0) == expected);
  // Nothing is left.
  const std::vector<OooHead::Deleted> rest = {{fixture.SlotOf(0), kMinTimestamp, kMaxTimestamp}};
  REQUIRE(fixture.head->ooo().LogDelete(rest).ok());
  fixture.head->ooo().Delete(rest);
  CHECK_FALSE(fixture.head->ooo().Has(fixture.SlotOf(0)));
  fixture.Crash();
  CHECK_FALSE(fixture.head->ooo().Has(fixture.SlotOf(0)));
  CHECK(fixture.Read(1) == all);
}

Histogram MakeHistogram(uint64_t n) {
  Histogram histogram;
  histogram.count = 3 * n;
  histogram.sum = static_cast<double>(n);
  histogram.positive_spans = {{0, 2}};
  histogram.positive_deltas = {static_cast<int64_t>(n), static_cast<int64_t>(n)};
  return histogram;
}

TEST_CASE("Samples of all kinds come back after a crash as they were") {
  Fixture fixture;
  std::map<Timestamp, Histogram> histograms;
  std::map<Timestamp, FloatHistogram> float_histograms;
  Samples floats;
  Histogram custom;
  custom.schema = kCustomBucketsSchema;
  custom.custom_values = {1, 2.5};
  custom.count = 4;
  custom.sum = 5;
  custom.positive_spans = {{0, 2}};
  custom.positive_deltas = {1, 2};
  std::mt19937 random(3);
  for (BatchNumber batch = 1; batch <= 50; ++batch) {
    std::vector<OooSample> samples;
    for (int i = 0; i < 4; ++i) {
      const Timestamp timestamp = kNow - 1 - static_cast<Timestamp>(random() % kHour);
      if (histograms.count(timestamp) + float_histograms.count(timestamp) +
              floats.count(timestamp) >
          0) {
        continue;
      }
      OooSample sample;
      sample.slot = fixture.SlotOf(0);
      sample.timestamp = timestamp;
      switch (random() % 4) {
        case 0:
          sample.value = static_cast<double>(batch);
          floats[timestamp] = sample.value;
          break;
        case 1:
          sample.histogram = &histograms.emplace(timestamp, MakeHistogram(batch)).first->second;
          break;
        case 2:
          sample.histogram = &histograms.emplace(timestamp, custom).first->second;
          break;
        default:
          sample.float_histogram =
              &float_histograms.emplace(timestamp, ToFloat(MakeHistogram(batch))).first->second;
      }
      samples.push_back(sample);
    }
    REQUIRE(fixture.head->ooo().Log(samples, "", 0, batch).ok());
    fixture.head->ooo().Apply(samples, batch, kNow);
  }
  for (int round = 0; round < 2; ++round) {
    OooChunks chunks;
    REQUIRE(fixture.head->ooo().ReadChunks(fixture.SlotOf(0), kMinTimestamp, kMaxTimestamp, kAll,
                                           &chunks));
    size_t seen = 0;
    for (const storage::SelectChunk& chunk : chunks.chunks) {
      SampleBuffer buffer;
      REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                    kMinTimestamp, kMaxTimestamp, &buffer)
                  .ok());
      seen += buffer.size();
      for (size_t i = 0; i < buffer.size(); ++i) {
        const Timestamp timestamp = buffer.timestamps()[i];
        switch (buffer.kind(i)) {
          case SampleKind::kFloat:
            CHECK(floats.at(timestamp) == buffer.values()[i]);
            break;
          case SampleKind::kHistogram:
            CHECK(Same(histograms.at(timestamp), buffer.histogram(i)));
            break;
          case SampleKind::kFloatHistogram:
            CHECK(Same(float_histograms.at(timestamp), buffer.float_histogram(i)));
            break;
        }
      }
    }
    CHECK(seen == floats.size() + histograms.size() + float_histograms.size());
    // A histogram that is there is known by its value.
    bool repeated;
    OooSample again;
    again.slot = fixture.SlotOf(0);
    again.timestamp = histograms.begin()->first;
    again.histogram = &histograms.begin()->second;
    CHECK(fixture.head->ooo().Check(again, kNow, &repeated) == Refusal::kNone);
    CHECK(repeated);
    const Histogram other = MakeHistogram(1000);
    again.histogram = &other;
    CHECK(fixture.head->ooo().Check(again, kNow, &repeated) == Refusal::kDuplicate);
    fixture.Crash();
  }
}

TEST_CASE("A batch with more late samples of a series than a buffer holds is kept whole") {
  Fixture fixture;
  Samples expected;
  DbAppender appender(fixture.head.get());
  for (int i = 1; i <= 3000; ++i) {  // Newest first, the worst order.
    appender.Append(Fixture::LabelsOf(0), kNow - i, i);
    expected[kNow - i] = i;
  }
  REQUIRE(appender.Commit().ok());
  CHECK(fixture.Read(0) == expected);
  REQUIRE(fixture.AppendLate(0, kNow - kMinute, 5) == Refusal::kNone);
  expected[kNow - kMinute] = 5;
  fixture.Crash();
  CHECK(fixture.Read(0) == expected);
}

TEST_CASE("A batch that only the log of late samples has counts for nothing") {
  Fixture fixture;
  REQUIRE(fixture.head->ooo()
              .Log(std::vector<OooSample>{{fixture.SlotOf(0), kNow - 1, 0, 1, nullptr, nullptr}},
                   "scraper", 7, 0)
              .ok());
  SECTION("when the write-ahead log is behind it") {
    fixture.is_committed = [](std::string_view sender, uint64_t sequence) {
      CHECK(sender == "scraper");
      return sequence <= 6;
    };
    fixture.Crash();
    CHECK(fixture.Read(0).empty());
    CHECK(fixture.replayed.batches_uncommitted == 1);
  }
  SECTION("but not when that has it") {
    fixture.is_committed = [](std::string_view, uint64_t sequence) { return sequence <= 7; };
    fixture.Crash();
    CHECK(fixture.Read(0) == Samples{{kNow - 1, 1}});
  }
}

TEST_CASE("After a crash at any operation of the disk every accepted late sample is there") {
  const auto run = [](Fixture* fixture, Samples* accepted, Samples* tried) {
    for (int i = 1; i <= 80; ++i) {
      const Timestamp timestamp = kNow - (i * 37 % 101) * 1000 - 1;
      Refusal refusal;
      (*tried)[timestamp] = i;
      if (!fixture->TryAppend(Fixture::LabelsOf(0), timestamp, i, &refusal).ok()) continue;
      CHECK(refusal == Refusal::kNone);
      (*accepted)[timestamp] = i;
    }
    const auto frozen = fixture->head->FreezeOutOfOrder();
    if (!frozen.ok()) return;
    Refusal refusal;
    (*tried)[kNow - kHour] = 1000;
    if (!fixture->TryAppend(Fixture::LabelsOf(0), kNow - kHour, 1000, &refusal).ok()) return;
    (*accepted)[kNow - kHour] = 1000;
  };
  uint64_t operations;
  {
    Fixture fixture;
    const uint64_t before = fixture.fs.operations();
    Samples accepted;
    Samples tried;
    run(&fixture, &accepted, &tried);
    operations = fixture.fs.operations() - before;
    REQUIRE(accepted.size() == 81);
  }
  for (uint64_t at = 1; at <= operations; at += std::min<size_t>(kStride, 5)) {
    for (const bool dead : {false, true}) {
      INFO("operation " << at << (dead ? " and all later ones" : "") << " of " << operations);
      Fixture fixture;
      const absl::Status full = absl::ResourceExhaustedError("no space left");
      const uint64_t operation = fixture.fs.operations() + at;
      if (dead) {
        fixture.fs.FailFrom(operation, full, true);
      } else {
        fixture.fs.FailOnce(operation, full, true);
      }
      Samples accepted;
      Samples tried;
      run(&fixture, &accepted, &tried);
      for (const auto& [timestamp, value] : accepted) {
        REQUIRE(fixture.Read(0).count(timestamp) == 1);
      }
      fixture.fs.FailFrom(0, absl::OkStatus());
      fixture.Crash();
      const Samples after = fixture.Read(0);
      for (const auto& [timestamp, value] : accepted) {
        REQUIRE(after.count(timestamp) == 1);
        REQUIRE(after.at(timestamp) == value);
      }
      for (const auto& [timestamp, value] : after) REQUIRE(tried.at(timestamp) == value);
    }
  }
}

TEST_CASE("A marker without its chunk loses nothing") {
  Fixture fixture;
  Samples expected;
  for (int i = 1; i <= 100; ++i) {
    REQUIRE(fixture.AppendLate(0, kNow - i * 1000, i) == Refusal::kNone);
    expected[kNow - i * 1000] = i;
  }
  REQUIRE(fixture.head->ooo().Sync().ok());
  SECTION("because the power went") {
    fixture.fs.PowerLoss();  // Head chunks are not synced.
    REQUIRE(fixture.fs.CreateDirectories("/d/wal").ok());
  }
  SECTION("because the file is gone") {
    fixture.fs.ProcessCrash();
    REQUIRE(fixture.fs.RemoveAll("/d/chunks_head").ok());
  }
  SECTION("because the file is damaged") {
    fixture.fs.ProcessCrash();
    fixture.fs.Corrupt("/d/chunks_head/000001", 40, 1);
  }
  fixture.Start();
  CHECK(fixture.Read(0) == expected);
  // What the marker spoke of is a chunk again, once.
  CHECK(fixture.head->ooo().counters().chunks_created == 1);
  fixture.Crash();
  CHECK(fixture.Read(0) == expected);
  CHECK(fixture.head->ooo().counters().chunks_created == 0);
}

TEST_CASE("Damage of the log of late samples ends it there and is kept for somebody to look at") {
  Fixture fixture;
  for (int i = 1; i <= 20; ++i) {
    REQUIRE(fixture.AppendLate(0, kNow - i * 1000, i) == Refusal::kNone);
  }
  fixture.fs.ProcessCrash();
  const std::string path = "/d/wbl/00000000";
  const uint64_t size = fixture.fs.FileSize(path).value();
  SECTION("a flipped bit") {
    fixture.fs.Corrupt(path, size / 2, 4);
    fixture.Start();
    CHECK(fixture.replayed.damaged);
    CHECK(fixture.Read(0).size() < 20);
    CHECK(fixture.Read(0).size() > 5);
    CHECK_FALSE(fixture.fs.List("/d/lost").value().empty());
  }
  SECTION("a torn end") {
    const std::string bytes = fixture.fs.ReadFile(path).value();
    for (size_t cut = 0; cut < bytes.size(); cut += kStride) {
      INFO("cut after " << cut << " of " << bytes.size());
      Fixture other(std::string_view(bytes).substr(0, cut));
      CHECK_FALSE(other.replayed.damaged);
      REQUIRE(other.AppendLate(0, kNow - kHour, 1) == Refusal::kNone);
      const size_t count = other.Read(0).size();
      other.Crash();
      CHECK(other.Read(0).size() == count);
    }
  }
}

TEST_CASE("Whatever bit of the log of late samples is wrong, no sample is invented") {
  Fixture first;
  Samples written;
  for (int i = 1; i <= 40; ++i) {
    REQUIRE(first.AppendLate(0, kNow - i * 1000, i) == Refusal::kNone);
    written[kNow - i * 1000] = i;
  }
  const std::vector<OooHead::Deleted> deleted = {{first.SlotOf(0), kNow - 5000, kNow - 3000}};
  REQUIRE(first.head->ooo().LogDelete(deleted).ok());
  first.head->ooo().Delete(deleted);
  const auto frozen = first.head->FreezeOutOfOrder();
  REQUIRE(frozen.ok());
  REQUIRE(first.head->ooo().LogDropped(*frozen).ok());
  const std::string path = "/d/wbl/00000000";
  const std::string bytes = first.fs.ReadFile(path).value();
  for (size_t at = 0; at < bytes.size(); at += kStride) {
    INFO("byte " << at << " of " << bytes.size());
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    Fixture fixture(damaged);
    for (const auto& [timestamp, value] : fixture.Read(0)) {
      REQUIRE(written.count(timestamp) == 1);
      REQUIRE(written.at(timestamp) == value);
    }
    // And it goes on.
    REQUIRE(fixture.AppendLate(1, kNow - 1, 1) == Refusal::kNone);
    fixture.Crash();
    CHECK(fixture.Read(1) == Samples{{kNow - 1, 1}});
  }
}

}  // namespace
}  // namespace narthex::tsdb
