// The database over crashes, full disks and damaged logs.
#include <random>

#include "catch2/catch.hpp"
#include "services/storage/tsdb/wal/reader.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

const Labels kUp{{"__name__", "up"}, {"job", "a"}};
const Labels kDown{{"__name__", "down"}, {"job", "a"}};

std::string LastSegment(io::FileSystem* fs) {
  return wal::ListSegments(fs, "/data/wal")->back().path;
}

// Writes batches of two samples: what is in one must come back with the other.
struct PairWriter {
  explicit PairWriter(Head* head) : appender(head), sender(head->FindSender("s")) {}
  absl::Status Write(uint64_t sequence) {
    TestBatch batch(kStart + static_cast<Timestamp>(sequence) * 1000);
    batch.Define(1, kUp, static_cast<double>(sequence));
    batch.Define(2, kDown, static_cast<double>(sequence));
    AppendResult result;
    return appender.Append(batch.Decode(), sender, sequence, &result);
  }
  HeadAppender appender;
  Sender* sender;
};

TEST_CASE("Whatever operation of the disk fails, what was accepted is there and nothing is half") {
  bool finished = false;
  for (uint64_t step = 1; !finished; ++step) {
    for (const bool partial : {false, true}) {
      DbFixture db([] {
        DbOptions options;
        options.log.segment_size_bytes = 2 * wal::kPageSize;
        return options;
      }());
      db.Open();
      PairWriter writer(&db.db->head());
      db.fs.FailFrom(db.fs.operations() + step, absl::InternalError("i/o error"), partial);
      uint64_t accepted = 0;
      uint64_t durable = 0;
      for (uint64_t sequence = 1; sequence <= 12; ++sequence) {
        if (!writer.Write(sequence).ok()) break;
        accepted = sequence;
        if (sequence % 3 == 0 && db.db->Sync().ok()) durable = sequence;
      }
      finished = accepted == 12 && durable == 12;
      db.fs.FailFrom(0, absl::OkStatus());
      // The end of the process loses nothing that was accepted.
      db.Crash();
      db.Open();
      const uint64_t applied = db.db->head().PositionOf(*db.db->head().FindSender("s")).applied;
      CHECK(applied >= accepted);
      CHECK(applied <= accepted + 1);
      SeriesMap series = db.SelectAll();
      CHECK(series[kUp].size() == applied);
      CHECK(series[kUp] == series[kDown]);
      CHECK(durable <= applied);
      // And it goes on.
      PairWriter again(&db.db->head());
      REQUIRE(again.Write(applied + 1).ok());
      CHECK(db.SelectAll()[kDown].size() == applied + 1);
    }
  }
}

TEST_CASE("A power loss takes no more than what was not synced, and no batch in half") {
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    DbFixture db;
    db.Open();
    uint64_t durable = 0;
    uint64_t sequence = 0;
    for (int life = 0; life < 4; ++life) {
      PairWriter writer(&db.db->head());
      for (size_t n = random() % 6; n-- > 0;) {
        REQUIRE(writer.Write(++sequence).ok());
        if (random() % 3 == 0) {
          REQUIRE(db.db->Sync().ok());
          durable = sequence;
        }
      }
      if (random() % 2 == 0) {
        db.fs.PowerLoss();
      } else {
        db.fs.ProcessCrash();
        durable = sequence;
      }
      db.db.reset();
      db.Open();
      sequence = db.db->head().PositionOf(*db.db->head().FindSender("s")).applied;
      CHECK(sequence >= durable);
      durable = sequence;  // Everything replayed is synced.
      SeriesMap series = db.SelectAll();
      CHECK(series[kUp].size() == sequence);
      CHECK(series[kUp] == series[kDown]);
    }
  }
}

// The bytes of a log of three batches, and where each ends.
struct Log {
  std::string bytes;
  std::vector<size_t> ends;
  std::string path;

  Log() {
    DbFixture db;
    db.Open();
    path = LastSegment(&db.fs);
    PairWriter writer(&db.db->head());
    ends.push_back(db.fs.ReadFile(path)->size());
    for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
      REQUIRE(writer.Write(sequence).ok());
      ends.push_back(db.fs.ReadFile(path)->size());
    }
    bytes = db.fs.ReadFile(path).value();
  }
  // Batches that lie wholly in the first `size` bytes.
  size_t BatchesIn(size_t size) const {
    size_t count = 0;
    while (count + 1 < ends.size() && ends[count + 1] <= size) ++count;
    return count;
  }
  void WriteTo(FaultFileSystem* fs, std::string_view content) const {
    REQUIRE(fs->CreateDirectories("/data/wal").ok());
    REQUIRE(fs->WriteFileAtomically(path, content).ok());
  }
};

TEST_CASE("Every truncation of the log loses the batches it cuts and says so") {
  const Log log;
  for (size_t size = 0; size <= log.bytes.size(); ++size) {
    DbFixture db;
    log.WriteTo(&db.fs, std::string_view(log.bytes).substr(0, size));
    db.Open();
    const size_t batches = log.BatchesIn(size);
    SeriesMap series = db.SelectAll();
    CHECK(series[kUp].size() == batches);
    CHECK(series[kDown].size() == batches);
    CHECK(db.db->head().PositionOf(*db.db->head().FindSender("s")).applied == batches);
    if (size != log.ends[batches]) {
      const bool said =
          db.LogHas("the log ends within a record") || db.LogHas("cut off") || size < log.ends[0];
      CHECK(said);
    }
    // It goes on, and the next start finds nothing to complain of but the same batch.
    PairWriter writer(&db.db->head());
    REQUIRE(writer.Write(batches + 1).ok());
    db.Crash();
    db.log_lines.clear();
    db.Open();
    CHECK(db.SelectAll()[kDown].size() == batches + 1);
    CHECK(!db.LogHas("level=ERROR"));
  }
}

TEST_CASE("Every flipped byte of the log loses only batches from there on, and is named") {
  const Log log;
  for (size_t at = 0; at < log.bytes.size(); ++at) {
    DbFixture db;
    std::string damaged = log.bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    log.WriteTo(&db.fs, damaged);
    db.Open();
    SeriesMap series = db.SelectAll();
    CHECK(series[kUp].size() >= log.BatchesIn(at));
    CHECK(series[kUp].size() < 3);
    CHECK(series[kUp] == series[kDown]);
    CHECK((db.LogHas("the log is damaged") || db.LogHas("the log ends within a record")));
  }
}

TEST_CASE("Damage in the middle moves the rest aside and begins a new reference space") {
  DbFixture db;
  std::string space;
  for (uint64_t life = 0; life < 4; ++life) {
    db.Open();
    space = db.db->head().reference_space();
    PairWriter writer(&db.db->head());
    REQUIRE(writer.Write(life * 2 + 1).ok());
    REQUIRE(writer.Write(life * 2 + 2).ok());
    db.Crash();
  }
  const auto segments = wal::ListSegments(&db.fs, "/data/wal").value();
  REQUIRE(segments.size() == 4);
  db.fs.Corrupt(segments[1].path, segments[1].size_bytes - 3, 0x55);
  db.log_lines.clear();
  db.Open();
  CHECK(db.db->head().reference_space() != space);
  CHECK(db.SelectAll()[kUp].size() == 3);
  CHECK(db.LogHas("the log is damaged"));
  CHECK(db.LogHas("later_segments_lost=2"));
  CHECK(db.LogHas("a part of the log is lost"));
  const auto kept = db.fs.Glob("/data/quarantine/wal-*/*");
  REQUIRE(kept.ok());
  CHECK(kept->size() == 3);
  space = db.db->head().reference_space();
  db.Crash();
  db.log_lines.clear();
  db.Open();
  CHECK(db.db->head().reference_space() == space);
  CHECK(!db.LogHas("damaged"));
}

TEST_CASE("A segment of another program begins a new reference space") {
  DbFixture db;
  db.Open();
  PairWriter writer(&db.db->head());
  REQUIRE(writer.Write(1).ok());
  const std::string space = db.db->head().reference_space();
  const uint64_t up = db.db->head().table().cold(0).reference;
  db.Crash();
  {
    auto foreign =
        wal::Writer::Open(&db.fs, "/data/wal", 1, {}, [](uint64_t, std::vector<std::string>*) {});
    REQUIRE(foreign.ok());
    wal::SeriesEncoder series;
    const LabelView labels[] = {{"__name__", "foreign"}};
    series.Add(up + 5, labels);
    const LabelView up_again[] = {{"__name__", "up"}, {"job", "a"}};
    series.Add(up + 6, up_again);  // The same series under a second reference.
    wal::SamplesEncoder samples;
    samples.Reserve(4);
    samples.Add(up + 5, kStart, 1);
    samples.Add(up + 6, kStart + 50000, 2);
    samples.Add(up, kStart + 60000, 3);
    samples.Add(up + 7, kStart, 4);  // Of nothing.
    const std::string_view records[] = {series.record(), samples.record()};
    REQUIRE((*foreign)->Log(records).ok());
  }
  db.Open();
  CHECK(db.db->head().reference_space() != space);
  CHECK(db.LogHas("another program"));
  CHECK(db.db->head().WelcomeReferenceMax(db.db->head().FindSender("s")) == up + 6);
  SeriesMap series = db.SelectAll();
  CHECK(series.size() == 3);
  CHECK(series[kUp].size() == 3);
  CHECK(db.db->replay_result().samples_unknown == 1);
  CHECK(db.db->head().PositionOf(*db.db->head().FindSender("s")).applied == 1);
}

TEST_CASE("A checkpoint is read before the segments behind it, and a damaged one is an error") {
  DbFixture db;
  REQUIRE(db.fs.CreateDirectories("/data/wal/checkpoint.00000004").ok());
  wal::SeriesEncoder series;
  const LabelView labels[] = {{"__name__", "old"}};
  series.Add(9, labels);
  wal::SamplesEncoder samples;
  samples.Reserve(1);
  samples.Add(9, kStart, 1);
  wal::SamplesEncoder later;
  later.Reserve(1);
  later.Add(9, kStart + 1, 2);
  const auto start = [](uint64_t, std::vector<std::string>*) {};
  {
    auto checkpoint = wal::Writer::Open(&db.fs, "/data/wal/checkpoint.00000004", 0, {}, start);
    const std::string_view records[] = {series.record(), samples.record()};
    REQUIRE((*checkpoint)->Log(records).ok());
    for (const uint64_t segment : {4, 5}) {
      auto log = wal::Writer::Open(&db.fs, "/data/wal", segment, {}, start);
      const std::string_view more[] = {later.record()};
      if (segment == 5) REQUIRE((*log)->Log(more).ok());
    }
  }
  db.Open();
  CHECK(db.SelectAll()[Labels{{"__name__", "old"}}].size() == 2);
  CHECK(LastSegment(&db.fs) == "/data/wal/00000006");
  db.Crash();
  db.fs.Corrupt("/data/wal/checkpoint.00000004/00000000", 9, 0x10);
  const absl::Status status = db.TryOpen();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status).find("checkpoint") != std::string::npos);
}

TEST_CASE("A missing segment is an error that names it") {
  DbFixture db;
  for (int life = 0; life < 3; ++life) {
    db.Open();
    db.Crash();
  }
  REQUIRE(db.fs.Remove("/data/wal/00000001").ok());
  const absl::Status status = db.TryOpen();
  CHECK(Message(status).find("00000001 is missing") != std::string::npos);
}

TEST_CASE(
    "When the log cannot be written the batch is not stored, and its series are not forgotten") {
  DbFixture db;
  db.Open();
  PairWriter writer(&db.db->head());
  db.fs.FailOnce(db.fs.operations() + 1, absl::ResourceExhaustedError("no space left"), true);
  CHECK(!writer.Write(1).ok());
  CHECK(db.SelectAll().empty());
  // The series exist in memory by now; the log must learn of them with the next batch.
  REQUIRE(writer.Write(1).ok());
  db.Crash();
  db.Open();
  CHECK(db.SelectAll().size() == 2);
  CHECK(db.db->replay_result().samples_unknown == 0);
}

TEST_CASE("What senders are at is known without the older segments") {
  DbFixture db;
  db.Open();
  REQUIRE(PairWriter(&db.db->head()).Write(5).ok());
  db.Crash();
  db.Open();
  db.Crash();
  REQUIRE(db.fs.Remove("/data/wal/00000000").ok());
  db.Open();
  CHECK(db.db->head().PositionOf(*db.db->head().FindSender("s")).applied == 5);
}

TEST_CASE("A folder that cannot be written is an error at once") {
  DbFixture db;
  db.Open();
  db.Crash();
  DbOptions options;
  options.path = kDbPath;
  db.fs.FailFrom(db.fs.operations() + 1, absl::PermissionDeniedError("permission denied"));
  const auto opened = Db::Open(options, &db.fs, &db.clock, Logger());
  CHECK(opened.status().code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("A stopped replay ends with Cancelled") {
  DbFixture db;
  db.Open();
  PairWriter writer(&db.db->head());
  for (uint64_t i = 1; i < 1000; ++i) REQUIRE(writer.Write(i).ok());
  db.Crash();
  DbOptions options;
  options.path = kDbPath;
  auto opened = Db::Open(options, &db.fs, &db.clock, Logger());
  REQUIRE(opened.ok());
  CHECK((*opened)->Replay([] { return true; }).code() == absl::StatusCode::kCancelled);
  CHECK(!(*opened)->ready());
  CHECK((*opened)->CheckReady().code() == absl::StatusCode::kUnavailable);
  CHECK(Message((*opened)->CheckReady()).find("cannot be replayed") != std::string::npos);
}

TEST_CASE("A batch larger than a segment comes back whole") {
  DbOptions options;
  options.log.segment_size_bytes = 256 * wal::kPageSize;
  options.log.compress = false;
  DbFixture db(options);
  db.Open();
  DbAppender appender(&db.db->head());
  constexpr int kSeries = 60000;
  for (int i = 0; i < kSeries; ++i) {
    appender.Append(Labels{{"__name__", "m"}, {"i", std::string(250, 'x') + std::to_string(i)}},
                    kStart, i);
  }
  REQUIRE(appender.Commit().ok());
  CHECK(wal::ListSegments(&db.fs, "/data/wal")->size() > 2);
  db.Crash();
  db.Open();
  CHECK(db.SelectAll().size() == kSeries);
  // Cut in its last segment, it is gone whole.
  const auto segments = wal::ListSegments(&db.fs, "/data/wal").value();
  const std::string path = segments[segments.size() - 2].path;
  db.Crash();
  REQUIRE(db.fs.Remove(segments.back().path).ok());
  const std::string bytes = db.fs.ReadFile(path).value();
  REQUIRE(
      db.fs.WriteFileAtomically(path, std::string_view(bytes).substr(0, bytes.size() - 5)).ok());
  db.Open();
  CHECK(db.SelectAll().empty());
}

}  // namespace
}  // namespace narthex::tsdb
