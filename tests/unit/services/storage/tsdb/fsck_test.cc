// The check of a directory: it finds what was damaged, saves what can be saved, deletes nothing.
#include "services/storage/tsdb/fsck.h"

#include <algorithm>
#include <map>

#include "lib/base/strings.h"
#include "services/storage/tsdb/head_snapshot.h"
#include "services/storage/tsdb/wal/segments.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

Labels SeriesNumber(int i) { return Labels{{"__name__", "m"}, {"i", std::to_string(i)}}; }

using Files = std::map<std::string, std::string>;

Files FilesOf(FaultFileSystem* fs) {
  Files files;
  for (const char* pattern : {"/data/*", "/data/*/*"}) {
    const std::vector<std::string> paths = fs->Glob(pattern).value();
    for (const std::string& path : paths) {
      if (fs->IsDirectory(path).value_or(false) || path.ends_with("/lock")) continue;
      files[path] = fs->ReadFile(path).value();
    }
  }
  return files;
}

// What every test begins with.
struct Original {
  Files files;
  SeriesMap samples;
};

// A database with a log of several segments, head chunks and a snapshot, that nobody has open.
class Filled {
 public:
  Filled() : db(Options()), before(TheOriginal().samples) {
    for (const auto& [path, bytes] : TheOriginal().files) {
      REQUIRE(db.fs.CreateDirectories(std::string(io::DirName(path))).ok());
      REQUIRE(db.fs.WriteFileAtomically(path, bytes).ok());
    }
    db.clock.Advance(absl::Seconds(kSamples));
  }
  static const Original& TheOriginal() {
    static const Original original = [] {
      DbFixture db(Options());
      db.Open();
      for (int i = 0; i < kSamples; ++i) {
        db.clock.Advance(absl::Seconds(1));
        for (int series = 0; series < kSeries; ++series) {
          db.Append(SeriesNumber(series), kStart + i * 1000, i * 0.37 + series);
        }
        if (i == kSamples / 2) REQUIRE(db.db->SnapshotHead().ok());
      }
      REQUIRE(db.db->Sync().ok());
      Original made;
      made.samples = db.SelectAll();
      db.Crash();
      made.files = FilesOf(&db.fs);
      return made;
    }();
    return original;
  }
  static DbOptions Options() {
    DbOptions options;
    options.log.segment_size_bytes = 2 * wal::kPageSize;
    options.log.compress = false;
    return options;
  }
  FsckReport Check(bool repair = true) {
    FsckOptions options;
    options.repair = repair;
    options.now = db.clock.Now();
    FsckReport report;
    const absl::Status status = Fsck(&db.fs, kDbPath, options, &report);
    INFO(status.ToString());
    REQUIRE(status.ok());
    REQUIRE(!Describe(report).empty());
    return report;
  }
  Files Everything() { return FilesOf(&db.fs); }
  // Samples that are there now and were there before.
  size_t Kept() {
    db.Open();
    const SeriesMap now = db.SelectAll();
    size_t kept = 0;
    for (const auto& [labels, samples] : now) {
      const auto& old = before.at(labels);
      CHECK(std::includes(old.begin(), old.end(), samples.begin(), samples.end()));
      kept += samples.size();
    }
    db.Crash();
    return kept;
  }
  void CheckThatItDoesNotStart() {
    CHECK(!db.TryOpen().ok());
    db.Crash();
  }

  static constexpr int kSamples = 1100;
  static constexpr int kSeries = 5;
  DbFixture db;
  const SeriesMap& before;
};

bool Mentions(const FsckReport& report, std::string_view text) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const FsckFinding& f) {
    return f.path.find(text) != std::string::npos || f.what.find(text) != std::string::npos;
  });
}

TEST_CASE("A sound directory has nothing to complain of, and is left as it is") {
  Filled filled;
  const Files before = filled.Everything();
  for (const bool repair : {false, true}) {
    const FsckReport report = filled.Check(repair);
    CHECK(report.damaged == 0);
    CHECK(report.findings.empty());
    CHECK(report.log_segments >= 3);
    CHECK(report.log_records > 5000);
    CHECK(report.chunks > 5);
    CHECK(report.snapshot);
    CHECK(Describe(report).back() == "nothing is damaged");
    CHECK((filled.Everything() == before));
  }
}

TEST_CASE("A directory that is open, or is not there, is not checked") {
  Filled filled;
  FsckReport report;
  filled.db.Open();
  CHECK(Fsck(&filled.db.fs, kDbPath, {}, &report).code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Fsck(&filled.db.fs, "/nothing", {}, &report).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("Behind a damaged place of the log the sound records are kept, and the old file too") {
  Filled filled;
  // Neither a snapshot nor chunks may stand in for the log.
  REQUIRE(filled.db.fs.Remove("/data/head_snapshot").ok());
  REQUIRE(filled.db.fs.RemoveAll("/data/chunks_head").ok());
  const std::vector<wal::Segment> segments = wal::ListSegments(&filled.db.fs, "/data/wal").value();
  const wal::Segment& damaged = segments[1];
  const std::string original = filled.db.fs.ReadFile(damaged.path).value();
  filled.db.fs.Corrupt(damaged.path, 5000, 0x20);
  const Files before = filled.Everything();
  FsckReport report = filled.Check(false);
  CHECK(report.damaged == 1);
  CHECK(report.unrepaired == 1);
  CHECK(Mentions(report, damaged.path));
  CHECK(Mentions(report, "checksum mismatch"));
  CHECK((filled.Everything() == before));

  report = filled.Check();
  CHECK(report.damaged == 1);
  CHECK(report.unrepaired == 0);
  const std::string kept = StrCat(report.quarantine, "/wal/", io::BaseName(damaged.path));
  CHECK(filled.db.fs.ReadFile(kept)->size() == original.size());
  CHECK(filled.Check().damaged == 0);
  // Nearly all: one page of one segment is lost at most, and the batch over its edge.
  const size_t all = Filled::kSamples * Filled::kSeries;
  const size_t sound = filled.Kept();
  CHECK(sound < all);
  CHECK(sound > all * 3 / 4);
  CHECK(!filled.db.LogHas("the log is damaged"));
}

TEST_CASE("Every flipped byte of every kind of file is found or harmless, and it always starts") {
  CHECK(Filled::TheOriginal().files.size() > 5);
  for (const auto& [path, bytes] : Filled::TheOriginal().files) {
    for (const size_t part : {0, 1, 2, 3}) {
      Filled filled;
      const size_t size = bytes.size();
      const size_t at = part == 0 ? 2 : static_cast<size_t>(size * part / 4);
      INFO(path << " at " << at);
      if (at >= size) continue;
      filled.db.fs.Corrupt(path, at, 0x11);
      const FsckReport report = filled.Check();
      CHECK(report.unrepaired == 0);
      if (report.damaged == 0) {
        // What a start cuts off, or zeros that nobody reads.
        CHECK(filled.Kept() + 2 * Filled::kSeries >= Filled::kSamples * Filled::kSeries);
      } else {
        CHECK(!report.quarantine.empty());
        CHECK(filled.Kept() * 10 >= Filled::kSamples * Filled::kSeries * 6);
      }
      CHECK(filled.Check().damaged == 0);
    }
  }
}

TEST_CASE("A missing segment is named, and something empty stands in its place") {
  Filled filled;
  REQUIRE(filled.db.fs.Remove("/data/head_snapshot").ok());
  REQUIRE(filled.db.fs.RemoveAll("/data/chunks_head").ok());
  REQUIRE(filled.db.fs.Remove("/data/wal/00000002").ok());
  filled.CheckThatItDoesNotStart();
  FsckReport report = filled.Check(false);
  CHECK(report.unrepaired == 1);
  report = filled.Check();
  CHECK(report.damaged == 1);
  CHECK(Mentions(report, "/data/wal/00000002"));
  const size_t kept = filled.Kept();
  CHECK(kept > 0);
  CHECK(kept < Filled::kSamples * Filled::kSeries);
}

TEST_CASE("A damaged checkpoint, which a start refuses, is repaired") {
  Filled filled;
  REQUIRE(filled.db.fs.Remove("/data/head_snapshot").ok());
  // A checkpoint is a log; so the first segments are made one.
  REQUIRE(filled.db.fs.CreateDirectories("/data/wal/checkpoint.00000001").ok());
  for (const char* name : {"00000000", "00000001"}) {
    REQUIRE(filled.db.fs
                .Rename(StrCat("/data/wal/", name), StrCat("/data/wal/checkpoint.00000001/", name))
                .ok());
  }
  filled.db.fs.Corrupt("/data/wal/checkpoint.00000001/00000001", 9000, 0x40);
  filled.CheckThatItDoesNotStart();
  const FsckReport report = filled.Check();
  CHECK(report.damaged == 1);
  CHECK(report.unrepaired == 0);
  CHECK(filled.db.fs.Exists(StrCat(report.quarantine, "/wal/checkpoint.00000001/00000001")));
  CHECK(filled.Kept() > 0);
}

TEST_CASE("A torn end of the log is noted and not called damage") {
  Filled filled;
  const wal::Segment last = wal::ListSegments(&filled.db.fs, "/data/wal")->back();
  const std::string bytes = filled.db.fs.ReadFile(last.path).value();
  REQUIRE(filled.db.fs
              .WriteFileAtomically(last.path, std::string_view(bytes).substr(0, bytes.size() - 3))
              .ok());
  const FsckReport report = filled.Check();
  CHECK(report.damaged == 0);
  REQUIRE(report.findings.size() == 1);
  CHECK(Mentions(report, "the log ends within a record"));
}

TEST_CASE("Whatever operation of the disk fails, a second check finishes the repair") {
  bool finished = false;
  for (uint64_t step = 1; !finished; ++step) {
    INFO("step " << step);
    Filled filled;
    filled.db.fs.Corrupt("/data/wal/00000001", 5000, 0x20);
    filled.db.fs.Corrupt("/data/chunks_head/000001", 100, 0x20);
    filled.db.fs.Corrupt("/data/head_snapshot", 100, 0x20);
    filled.db.fs.FailFrom(filled.db.fs.operations() + step, absl::InternalError("i/o error"));
    FsckReport report;
    FsckOptions options;
    options.now = filled.db.clock.Now();
    finished = Fsck(&filled.db.fs, kDbPath, options, &report).ok();
    filled.db.fs.FailFrom(0, absl::OkStatus());
    filled.db.fs.ProcessCrash();
    filled.db.clock.Advance(absl::Seconds(1));
    CHECK(filled.Check().unrepaired == 0);
    CHECK(filled.Check().damaged == 0);
    CHECK(filled.Kept() * 10 >= Filled::kSamples * Filled::kSeries * 6);
  }
}

TEST_CASE("A snapshot goes on with a segment that was repaired before and behind its place") {
  for (const bool behind : {false, true}) {
    Filled filled;
    const uint64_t at =
        HeadSnapshot::Open(&filled.db.fs, "/data/head_snapshot").value()->moment().offset;
    const uint64_t segment =
        HeadSnapshot::Open(&filled.db.fs, "/data/head_snapshot").value()->moment().segment;
    REQUIRE(at > 2000);
    filled.db.fs.Corrupt(StrCat("/data/wal/", wal::SegmentName(segment)),
                         behind ? at + 25 : at - 1000, 0x20);
    CHECK(filled.Check().damaged == 1);
    const size_t kept = filled.Kept();
    CHECK(!filled.db.LogHas("the snapshot of the head is not used"));
    // What was lost of the log before the place, the snapshot has.
    CHECK((kept == Filled::kSamples * Filled::kSeries) == !behind);
    CHECK(filled.Check().damaged == 0);
  }
}

}  // namespace
}  // namespace narthex::tsdb
