// The snapshot of the head: a start from it knows all that a start from the log knows.
#include "services/storage/tsdb/head_snapshot.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "services/storage/tsdb/wal/segments.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr char kSnapshotPath[] = "/data/head_snapshot";

Labels SeriesNumber(int i) {
  return Labels{{"__name__", "m"}, {"i", std::to_string(i)}, {"job", "a"}};
}

DbOptions SmallSegments() {
  DbOptions options;
  options.log.segment_size_bytes = 8 * wal::kPageSize;
  return options;
}

// A database whose samples are counted up, one a series and second.
class Growing {
 public:
  explicit Growing(DbOptions options = SmallSegments()) : db(std::move(options)) { db.Open(); }
  void Grow(int seconds) {
    for (int end = second + seconds; second < end; ++second) {
      db.clock.Advance(absl::Seconds(1));
      DbAppender appender(&db.db->head());
      for (int i = 0; i < kSeries + second / 100; ++i) {
        appender.Append(SeriesNumber(i), kStart + second * 1000, second * 0.37 + i);
      }
      REQUIRE(appender.Commit().ok());
    }
  }
  static constexpr int kSeries = 4;
  DbFixture db;
  int second = 0;
};

TEST_CASE("A start from a snapshot has everything, and reads only the log behind it") {
  Growing growing;
  growing.Grow(700);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  growing.Grow(50);
  const SeriesMap before = growing.db.SelectAll();
  const uint64_t reference = growing.db.db->head().reference_max();
  const std::string space = growing.db.db->head().reference_space();
  growing.db.Crash();
  growing.db.Open();
  const ReplayResult& result = growing.db.db->replay_result();
  CHECK(result.snapshot_used);
  CHECK(result.snapshot_series == 10);  // One came later.
  CHECK(result.samples == 50 * 11);
  CHECK(result.chunks_found > 0);
  CHECK(growing.db.SelectAll() == before);
  CHECK(growing.db.db->head().reference_space() == space);
  CHECK(growing.db.db->head().WelcomeReferenceMax(growing.db.db->head().FindSender("x")) ==
        reference);
  // And it goes on, over more snapshots.
  growing.Grow(200);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const SeriesMap later = growing.db.SelectAll();
  growing.db.Crash();
  growing.db.Open();
  CHECK(growing.db.db->replay_result().snapshot_used);
  CHECK(growing.db.db->replay_result().samples == 0);
  CHECK(growing.db.SelectAll() == later);
}

TEST_CASE("A snapshot without news since the last one is not written again") {
  Growing growing;
  growing.Grow(10);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const uint64_t operations = growing.db.fs.operations();
  REQUIRE(growing.db.db->SnapshotHead().ok());
  CHECK(growing.db.fs.operations() == operations);
  growing.Grow(1);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  CHECK(growing.db.fs.operations() > operations);
}

TEST_CASE("A start removes what a crash has left of a snapshot, and uses the one before") {
  Growing growing;
  growing.Grow(50);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  growing.db.Crash();
  const std::string unfinished = StrCat(kSnapshotPath, kUnfinishedSnapshotSuffix);
  REQUIRE(growing.db.fs.WriteFileAtomically(unfinished, "NTHXH").ok());
  growing.db.Open();
  CHECK_FALSE(growing.db.fs.Exists(unfinished));
  CHECK(growing.db.db->replay_result().snapshot_used);
}

TEST_CASE("A snapshot of another version is not used") {
  Growing growing;
  growing.Grow(50);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  const std::unique_ptr<io::MappedFile> file = growing.db.fs.Map(kSnapshotPath).value();
  std::string other(file->bytes());
  constexpr size_t kVersionAt = 8;
  --other[kVersionAt];
  REQUIRE(growing.db.fs.WriteFileAtomically(kSnapshotPath, other).ok());
  growing.db.Open();
  CHECK_FALSE(growing.db.db->replay_result().snapshot_used);
  CHECK_FALSE(growing.db.db->replay_result().snapshot_ignored.empty());
  CHECK(growing.db.SelectAll() == before);
}

TEST_CASE("Chunks go on behind a snapshot with the bytes that they would have had") {
  Growing stopped;
  Growing running;
  // Stops at several points of a chunk's life.
  for (const int seconds : {1, 1, 28, 1, 40, 70, 1}) {
    stopped.Grow(seconds);
    running.Grow(seconds);
    REQUIRE(stopped.db.db->SnapshotHead().ok());
    stopped.db.Crash();
    stopped.db.Open();
    REQUIRE(stopped.db.db->replay_result().snapshot_used);
  }
  stopped.Grow(20);
  running.Grow(20);
  const auto open_chunks = [](const Head& head) {
    std::vector<std::string> all;
    for (const Slot slot : head.index().Select({})) {
      SeriesImage image;
      REQUIRE(ReadSeriesImage(head, slot, &image).ok());
      all.push_back(StrCat(head.index().LabelsOf(slot).ToString(), image.open.bytes));
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  CHECK(open_chunks(stopped.db.db->head()) == open_chunks(running.db.db->head()));
}

TEST_CASE("Senders, metadata, exemplars and deletions come back from a snapshot") {
  DbOptions options = SmallSegments();
  options.head.exemplars_max = 100;
  Growing growing(options);
  Head* head = &growing.db.db->head();
  growing.Grow(300);
  AppendResult appended;
  {
    HeadAppender appender(head);
    TestBatch batch(kStart + 1'000'000);
    batch.Define(1, SeriesNumber(0), 1);
    REQUIRE(appender.Append(batch.Decode(), head->FindSender("s"), 42, &appended).ok());
  }
  const Slot slot = head->table().FindReference(appended.new_references.at(0).reference);
  REQUIRE(slot != kNoSlot);
  // Not in the log: only the snapshot can bring these back.
  CHECK(head->metadata().Set(slot, MetricType::kCounter, "Help.", "s"));
  const LabelView labels[] = {{"trace_id", "x"}};
  CHECK(head->exemplars().Add(slot, kStart + 5, 2.5, labels) == ExemplarStore::Outcome::kStored);
  const Matcher matchers[] = {Matcher::Equal("i", "1")};
  CHECK(head->Delete(matchers, kStart, kStart + 99'000).value() == 1);
  CHECK(head->Delete(matchers, kStart + 200'000, kMaxTimestamp).value() == 1);
  const auto deleted = [&] {
    std::vector<storage::DeletedInterval> intervals;
    head->Deleted(head->index().Select(matchers).at(0), &intervals);
    std::string text;
    for (const storage::DeletedInterval& interval : intervals) {
      text += StrCat(interval.min_time - kStart, "-", interval.max_time - kStart, " ");
    }
    return text;
  };
  CHECK(deleted() == "0-99000 200000-299000 ");
  const SeriesMap before = growing.db.SelectAll();
  REQUIRE(growing.db.db->SnapshotHead().ok());
  growing.db.Crash();
  growing.db.Open();
  REQUIRE(growing.db.db->replay_result().snapshot_used);
  head = &growing.db.db->head();
  CHECK(growing.db.SelectAll() == before);
  CHECK(deleted() == "0-99000 200000-299000 ");
  CHECK(head->PositionOf(*head->FindSender("s")).applied == 42);
  CHECK(head->PositionOf(*head->FindSender("s")).durable == 42);
  const Slot again = head->table().FindReference(appended.new_references.at(0).reference);
  Metadata metadata;
  REQUIRE(head->metadata().Get(again, &metadata));
  CHECK(metadata == Metadata{MetricType::kCounter, "Help.", "s"});
  const std::vector<Exemplar> exemplars =
      head->exemplars().Select(again, kMinTimestamp, kMaxTimestamp);
  REQUIRE(exemplars.size() == 1);
  CHECK(exemplars[0].value == 2.5);
  CHECK(exemplars[0].labels.Get("trace_id") == "x");
}

// What a start says when the snapshot does not go with the log; the answers must be the same.
void CheckIgnored(Growing* growing, const SeriesMap& before, std::string_view cause) {
  growing->db.Open();
  const ReplayResult& result = growing->db.db->replay_result();
  CHECK(!result.snapshot_used);
  INFO(result.snapshot_ignored);
  CHECK(result.snapshot_ignored.find(cause) != std::string::npos);
  CHECK(growing->db.LogHas("the snapshot of the head is not used"));
  CHECK(growing->db.SelectAll() == before);
}

TEST_CASE("Once another program has written to the log the snapshot is not used") {
  Growing growing;
  growing.Grow(200);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  const uint64_t next = wal::ListSegments(&growing.db.fs, "/data/wal")->back().number + 1;
  SECTION("a segment of its own") {
    auto foreign = wal::Writer::Open(&growing.db.fs, "/data/wal", next, {},
                                     [](uint64_t, std::vector<std::string>*) {});
    wal::SeriesEncoder series;
    const LabelView labels[] = {{"__name__", "foreign"}};
    series.Add(5000, labels);
    wal::SamplesEncoder samples;
    samples.Reserve(1);
    samples.Add(5000, kStart, 3);
    const std::string_view records[] = {series.record(), samples.record()};
    REQUIRE((*foreign)->Log(records).ok());
    before[Labels{{"__name__", "foreign"}}] = {{kStart, 3}};
  }
  SECTION("a segment that it has only begun") {
    REQUIRE(
        growing.db.fs.WriteFileAtomically(StrCat("/data/wal/", wal::SegmentName(next)), "").ok());
  }
  CheckIgnored(&growing, before, "another program has written segment");
}

TEST_CASE("A snapshot whose place in the log is gone is not used") {
  DbOptions options;
  options.log.segment_size_bytes = 2 * wal::kPageSize;
  Growing growing(options);
  growing.Grow(200);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  growing.Grow(1500);
  const SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  // Samples in chunks_head stand in for those of the segments that go.
  const std::vector<wal::Segment> segments = wal::ListSegments(&growing.db.fs, "/data/wal").value();
  REQUIRE(segments.size() > 2);
  SECTION("with its segment") {
    REQUIRE(growing.db.fs.CreateDirectories("/data/wal/checkpoint.00000000").ok());
    REQUIRE(growing.db.fs.Rename(segments[0].path, "/data/wal/checkpoint.00000000/00000000").ok());
    CheckIgnored(&growing, before, "has no segment 0 any more");
  }
  SECTION("with the end of its segment") {
    const std::string bytes = growing.db.fs.ReadFile(segments[0].path).value();
    REQUIRE(growing.db.fs.WriteFileAtomically(segments[0].path, bytes.substr(0, wal::kPageSize / 4))
                .ok());
    growing.db.Open();
    CHECK(growing.db.db->replay_result().snapshot_ignored.find("shorter than it was") !=
          std::string::npos);
  }
}

TEST_CASE("A snapshot that leads to chunks which are not there is not used") {
  DbOptions options = SmallSegments();
  options.head.chunk_files.buffer_bytes = 256;
  Growing growing(options);
  growing.Grow(700);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  REQUIRE(growing.db.fs.RemoveAll("/data/chunks_head").ok());
  CheckIgnored(&growing, before, "chunks_head lacks chunks");
}

TEST_CASE("Every truncation and every flipped byte of a snapshot only costs time") {
  Growing growing;
  growing.Grow(130);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  const std::string bytes = growing.db.fs.ReadFile(kSnapshotPath).value();
  std::mt19937 random(11);
  for (size_t at = 0; at < bytes.size(); at += 1 + random() % 7) {
    for (const bool cut : {false, true}) {
      std::string damaged = cut ? bytes.substr(0, at) : bytes;
      if (!cut) damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
      REQUIRE(growing.db.fs.WriteFileAtomically(kSnapshotPath, damaged).ok());
      INFO("at " << at << (cut ? " cut" : " flipped"));
      CHECK(HeadSnapshot::Open(&growing.db.fs, kSnapshotPath).status().code() ==
            absl::StatusCode::kDataLoss);
      if (at % 5 != 0) continue;
      growing.db.Open();
      CHECK(!growing.db.db->replay_result().snapshot_used);
      CHECK(!growing.db.db->replay_result().snapshot_ignored.empty());
      CHECK(growing.db.SelectAll() == before);
      growing.db.Crash();
      // Its own segment, which is empty, would say that another program was here.
      const wal::Segment last = wal::ListSegments(&growing.db.fs, "/data/wal")->back();
      REQUIRE(growing.db.fs.Remove(last.path).ok());
    }
  }
}

TEST_CASE(
    "A section that is whole by its checksum and says nonsense is refused before it is used") {
  Growing growing;
  growing.Grow(10);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const std::string bytes = growing.db.fs.ReadFile(kSnapshotPath).value();
  size_t refused = 0;
  for (size_t section = 9; section < bytes.size();) {
    const uint32_t size = LoadBig<uint32_t>(bytes.data() + section + 1);
    for (size_t at = 0; at < size; ++at) {
      std::string damaged = bytes;
      char* const body = damaged.data() + section + 9;
      body[at] = static_cast<char>(body[at] ^ 0x80);
      const std::string_view header(damaged.data() + section, 5);
      StoreBig(damaged.data() + section + 5,
               ExtendCrc32c(Crc32c(header), std::string_view(body, size)));
      REQUIRE(growing.db.fs.WriteFileAtomically(kSnapshotPath, damaged).ok());
      // Accepted or not, nothing is read beyond its bytes.
      if (!HeadSnapshot::Open(&growing.db.fs, kSnapshotPath).ok()) ++refused;
    }
    section += 9 + size;
  }
  CHECK(refused > 10);
}

TEST_CASE("Whatever operation of the disk fails while a snapshot is taken, nothing is lost") {
  for (const bool power_loss : {false, true}) {
    bool finished = false;
    for (uint64_t step = 1; !finished; ++step) {
      INFO("step " << step << " power loss " << power_loss);
      DbOptions options = SmallSegments();
      options.head.chunk_files.buffer_bytes = 256;
      Growing growing(options);
      growing.Grow(150);
      REQUIRE(growing.db.db->SnapshotHead().ok());
      growing.Grow(150);
      REQUIRE(growing.db.db->Sync().ok());
      const SeriesMap before = growing.db.SelectAll();
      growing.db.fs.FailFrom(growing.db.fs.operations() + step, absl::InternalError("i/o error"),
                             step % 2 == 0);
      finished = growing.db.db->SnapshotHead().ok();
      growing.db.fs.FailFrom(0, absl::OkStatus());
      if (power_loss) {
        growing.db.fs.PowerLoss();
      } else {
        growing.db.fs.ProcessCrash();
      }
      growing.db.db.reset();
      growing.db.Open();
      CHECK(growing.db.db->replay_result().snapshot_used);  // The new one or the one before.
      CHECK(growing.db.SelectAll() == before);
    }
  }
}

TEST_CASE("After a power loss a snapshot has no sample that the log has lost") {
  for (int round = 0; round < 20; ++round) {
    Growing growing;
    growing.Grow(20 + round);
    REQUIRE(growing.db.db->SnapshotHead().ok());  // Syncs the log.
    const SeriesMap durable = growing.db.SelectAll();
    growing.Grow(5);
    growing.db.fs.PowerLoss();
    growing.db.db.reset();
    growing.db.Open();
    CHECK(growing.db.db->replay_result().snapshot_used);
    CHECK(growing.db.SelectAll() == durable);
  }
}

TEST_CASE("A snapshot can be taken beside appenders, and the log brings what it missed") {
  Growing growing;
  growing.Grow(300);
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> appended{0};
  Thread appender("appender", [&] {
    for (int second = 400; !stop.load(); ++second) {
      growing.db.clock.Advance(absl::Seconds(1));
      DbAppender one(&growing.db.db->head());
      for (int i = 0; i < 10; ++i) one.Append(SeriesNumber(i), kStart + second * 1000, second);
      if (!one.Commit().ok()) ++failed;
      ++appended;
    }
  });
  bool all_ok = true;
  for (int taken = 0; taken < 5 || appended.load() < 500; ++taken) {
    all_ok = all_ok && growing.db.db->SnapshotHead().ok();
  }
  CHECK(all_ok);
  stop.store(true);
  appender.Join();
  CHECK(failed.load() == 0);
  const SeriesMap before = growing.db.SelectAll();
  growing.db.Crash();
  growing.db.Open();
  CHECK(growing.db.db->replay_result().snapshot_used);
  CHECK(growing.db.SelectAll() == before);
}

TEST_CASE("A snapshot that is stopped leaves the one before") {
  Growing growing;
  growing.Grow(10);
  REQUIRE(growing.db.db->SnapshotHead().ok());
  const std::string before = growing.db.fs.ReadFile(kSnapshotPath).value();
  growing.Grow(10);
  CHECK(growing.db.db->SnapshotHead([] { return absl::CancelledError("stopped"); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(growing.db.fs.ReadFile(kSnapshotPath).value() == before);
  CHECK(!growing.db.fs.Exists(StrCat(kSnapshotPath, ".tmp")));
}

}  // namespace
}  // namespace narthex::tsdb
