// Writer and SegmentReader together: what was logged is read back, whatever happened to the files.
#include <algorithm>
#include <random>

#include "catch2/catch.hpp"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/compression.h"
#include "services/storage/tsdb/wal/reader.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/support/fault_file_system.h"

namespace narthex::wal {
namespace {

constexpr char kDirectory[] = "/wal";

std::unique_ptr<Writer> OpenWriter(io::FileSystem* fs, WriterOptions options = {},
                                   uint64_t segment = 0) {
  REQUIRE(fs->CreateDirectories(kDirectory).ok());
  auto writer =
      Writer::Open(fs, kDirectory, segment, options, [](uint64_t, std::vector<std::string>*) {});
  REQUIRE(writer.ok());
  return std::move(writer).value();
}

absl::Status LogAll(Writer* writer, const std::vector<std::string>& records) {
  const std::vector<std::string_view> views(records.begin(), records.end());
  return writer->Log(views);
}

// The records of all segments up to the first damage.
std::vector<std::string> ReadLog(io::FileSystem* fs, absl::Status* status = nullptr) {
  std::vector<std::string> records;
  const auto segments = ListSegments(fs, kDirectory);
  REQUIRE(segments.ok());
  for (const Segment& segment : *segments) {
    const auto bytes = fs->ReadFile(segment.path);
    REQUIRE(bytes.ok());
    SegmentReader reader(*bytes);
    while (reader.Next()) records.emplace_back(reader.record());
    if (status != nullptr) *status = reader.status();
    if (!reader.status().ok()) break;
  }
  return records;
}

// Incompressible, so that sizes are what they seem.
std::string Noise(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

TEST_CASE("A record is written as upstream writes it") {
  FaultFileSystem fs;
  WriterOptions options;
  options.compress = false;
  auto writer = OpenWriter(&fs, options);
  REQUIRE(LogAll(writer.get(), {"ab"}).ok());
  const std::string file = fs.ReadFile("/wal/00000000").value();
  std::string expected = {'\x01', '\x00', '\x02'};
  const uint32_t crc = Crc32c("ab");
  for (int shift = 24; shift >= 0; shift -= 8) expected.push_back(static_cast<char>(crc >> shift));
  expected += "ab";
  CHECK(file == expected);
}

TEST_CASE("Records of all sizes around the page size are read back") {
  for (const bool compress : {false, true}) {
    FaultFileSystem fs;
    WriterOptions options;
    options.compress = compress;
    options.segment_size_bytes = 8 * kPageSize;
    auto writer = OpenWriter(&fs, options);
    std::vector<std::string> records;
    uint32_t seed = 0;
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, kPageSize - 108, kPageSize - 15,
                              kPageSize - 14, kPageSize - 8, kPageSize - 7, kPageSize - 6,
                              kPageSize, 2 * kPageSize, 3 * kPageSize + 5, size_t{7}}) {
      records.push_back(Noise(size, ++seed));
      records.push_back(std::string(size, 'x'));
    }
    for (const std::string& record : records) REQUIRE(LogAll(writer.get(), {record}).ok());
    absl::Status status;
    CHECK(ReadLog(&fs, &status) == records);
    CHECK(status.ok());
    const std::vector<Segment> segments = ListSegments(&fs, kDirectory).value();
    for (const Segment& segment : segments) {
      CHECK(segment.size_bytes <= options.segment_size_bytes);
    }
  }
}

TEST_CASE("Random records in random groups are read back over many segments") {
  std::mt19937 random(20260);
  for (int round = 0; round < 20; ++round) {
    FaultFileSystem fs;
    WriterOptions options;
    options.segment_size_bytes = 4 * kPageSize;
    options.compress = round % 2 == 0;
    auto writer = OpenWriter(&fs, options);
    std::vector<std::string> all;
    for (int group = 0; group < 90; ++group) {
      std::vector<std::string> records;
      for (size_t i = random() % 4; i-- > 0;) {
        const size_t size = random() % (random() % 8 == 0 ? 60000 : 500);
        records.push_back(random() % 2 == 0 ? Noise(size, random()) : std::string(size, 'a'));
      }
      REQUIRE(LogAll(writer.get(), records).ok());
      all.insert(all.end(), records.begin(), records.end());
    }
    CHECK(ReadLog(&fs) == all);
    if (!options.compress) CHECK(ListSegments(&fs, kDirectory)->size() > 1);
  }
}

TEST_CASE("A page with seven bytes left gets an empty first fragment") {
  FaultFileSystem fs;
  WriterOptions options;
  options.compress = false;
  auto writer = OpenWriter(&fs, options);
  const std::vector<std::string> records = {Noise(kPageSize - 14, 1), Noise(20, 2)};
  REQUIRE(LogAll(writer.get(), records).ok());
  const std::string file = fs.ReadFile("/wal/00000000").value();
  CHECK(file[kPageSize - 7] == static_cast<char>(FragmentType::kFirst));
  CHECK(file[kPageSize] == static_cast<char>(FragmentType::kLast));
  CHECK(ReadLog(&fs) == records);
}

// A small log for the damage tests.
struct SmallLog {
  FaultFileSystem fs;
  std::vector<std::string> records;
  std::vector<size_t> ends;  // Of each record in the file.
  std::string bytes;

  explicit SmallLog(bool compress) {
    WriterOptions options;
    options.compress = compress;
    auto writer = OpenWriter(&fs, options);
    for (uint32_t i = 0; i < 6; ++i) {
      records.push_back(i % 2 == 0 ? Noise(10 + i * 7, i) : std::string(40 + i, 'q'));
      REQUIRE(LogAll(writer.get(), {records.back()}).ok());
      ends.push_back(fs.ReadFile("/wal/00000000")->size());
    }
    bytes = fs.ReadFile("/wal/00000000").value();
  }
  size_t WholeRecordsIn(size_t size) const {
    return static_cast<size_t>(
        std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= size; }));
  }
};

TEST_CASE("Every truncation keeps the whole records and says where they end") {
  for (const bool compress : {false, true}) {
    const SmallLog log(compress);
    for (size_t size = 0; size <= log.bytes.size(); ++size) {
      const std::string cut = log.bytes.substr(0, size);
      SegmentReader reader(cut);
      size_t count = 0;
      while (reader.Next()) CHECK(reader.record() == log.records[count++]);
      CHECK(count == log.WholeRecordsIn(size));
      const size_t good = count == 0 ? 0 : log.ends[count - 1];
      if (size == good) {
        CHECK(reader.status().ok());
      } else {
        CHECK(reader.status().code() == absl::StatusCode::kDataLoss);
        CHECK(reader.torn());
        CHECK(reader.offset() == good);
      }
    }
  }
}

TEST_CASE("Every flipped byte loses no record before it and invents none") {
  for (const bool compress : {false, true}) {
    const SmallLog log(compress);
    for (size_t at = 0; at < log.bytes.size(); ++at) {
      for (const char flip : {'\x01', '\x08', '\x10', '\x80', '\xff'}) {
        std::string damaged = log.bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ flip);
        SegmentReader reader(damaged);
        size_t count = 0;
        bool same = true;
        // Only a flipped compression flag can make another record of the same checked bytes.
        while (reader.Next() && count < log.records.size()) {
          same = same && reader.record() == log.records[count];
          ++count;
        }
        CHECK(count >= log.WholeRecordsIn(at));
        const bool flag_flipped = (flip == '\x08' || flip == '\x10');
        if (!flag_flipped) CHECK(same);
      }
    }
  }
}

TEST_CASE("Bytes after the end of a page, fragments out of order and unknown kinds are damage") {
  const std::string good = [] {
    FaultFileSystem fs;
    WriterOptions options;
    options.compress = false;
    auto writer = OpenWriter(&fs, options);
    REQUIRE(LogAll(writer.get(), {"first", Noise(2 * kPageSize, 5)}).ok());
    return fs.ReadFile("/wal/00000000").value();
  }();
  const size_t second = 7 + 5;
  struct Case {
    const char* what;
    std::string bytes;
    const char* message;
  };
  std::string end_of_page = good.substr(0, second) + std::string(100, '\0') + "x";
  std::string middle_first = good;
  middle_first[second] = static_cast<char>(FragmentType::kMiddle);
  std::string full_inside = good;
  full_inside[kPageSize] = static_cast<char>(FragmentType::kFull);
  std::string unknown = good;
  unknown[second] = 5;
  std::string high_bits = good;
  high_bits[second] = static_cast<char>(0x41);
  std::string too_long = good;
  too_long[second + 1] = '\xff';
  std::string checksum = good;
  checksum[second + 20] ^= 1;
  for (const Case& c :
       {Case{"bytes", end_of_page, "after the end of a page"},
        Case{"middle", middle_first, "without its start"},
        Case{"full", full_inside, "starts within another"},
        Case{"unknown", unknown, "unknown kind"}, Case{"high bits", high_bits, "unknown kind"},
        Case{"length", too_long, "longer than its page"},
        Case{"checksum", checksum, "checksum mismatch"}}) {
    INFO(c.what);
    SegmentReader reader(c.bytes);
    REQUIRE(reader.Next());
    CHECK(reader.record() == "first");
    CHECK(!reader.Next());
    CHECK(reader.status().code() == absl::StatusCode::kDataLoss);
    CHECK(std::string(Message(reader.status())).find(c.message) != std::string::npos);
    CHECK(!reader.torn());
    CHECK(reader.offset() == second);
    CHECK(!reader.Next());
  }
}

TEST_CASE("A compressed record that claims to become huge is damage") {
  std::string bomb = {'\xff', '\xff', '\xff', '\xff', '\x0f'};
  std::string out;
  CHECK(UncompressSnappy(bomb, &out).code() == absl::StatusCode::kDataLoss);
  CHECK(UncompressSnappy("", &out).code() == absl::StatusCode::kDataLoss);
  CHECK(UncompressZstd("no zstd", &out).code() == absl::StatusCode::kDataLoss);
  CHECK(UncompressZstd("", &out).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("A failed write at any moment is taken back, and logging goes on") {
  const std::vector<std::string> before = {Noise(1000, 1), Noise(40000, 2)};
  const std::vector<std::string> failing = {Noise(50000, 3), Noise(90000, 4), Noise(10, 5)};
  const std::vector<std::string> after = {Noise(300, 6), Noise(70000, 7)};
  WriterOptions options;
  options.compress = false;
  options.segment_size_bytes = 8 * kPageSize;
  bool succeeded = false;
  for (uint64_t step = 1; !succeeded; ++step) {
    for (const bool partial : {false, true}) {
      FaultFileSystem fs;
      auto writer = OpenWriter(&fs, options);
      REQUIRE(LogAll(writer.get(), before).ok());
      fs.FailOnce(fs.operations() + step, absl::ResourceExhaustedError("disk full"), partial);
      const absl::Status failed = LogAll(writer.get(), failing);
      succeeded = failed.ok();
      fs.FailOnce(0, absl::OkStatus());
      REQUIRE(LogAll(writer.get(), after).ok());
      REQUIRE(writer->Sync().ok());
      absl::Status status;
      const std::vector<std::string> read = ReadLog(&fs, &status);
      CHECK(status.ok());
      // A group that spans segments may leave its first records; batch headers make up for that.
      REQUIRE(read.size() >= before.size() + after.size());
      CHECK(std::equal(before.begin(), before.end(), read.begin()));
      CHECK(std::equal(after.rbegin(), after.rend(), read.rbegin()));
      if (succeeded) CHECK(read.size() == before.size() + failing.size() + after.size());
    }
  }
}

TEST_CASE("After a failed sync the writer refuses everything") {
  FaultFileSystem fs;
  auto writer = OpenWriter(&fs);
  REQUIRE(LogAll(writer.get(), {"a"}).ok());
  fs.FailOnce(fs.operations() + 1, absl::InternalError("i/o error"));
  CHECK(!writer->Sync().ok());
  CHECK(!writer->broken().ok());
  CHECK(!LogAll(writer.get(), {"b"}).ok());
  CHECK(!writer->Sync().ok());
  CHECK(ReadLog(&fs) == std::vector<std::string>{"a"});
}

TEST_CASE("What was synced survives a power loss, also over segments") {
  FaultFileSystem fs;
  WriterOptions options;
  options.segment_size_bytes = 2 * kPageSize;
  options.compress = false;
  auto writer = OpenWriter(&fs, options);
  std::vector<std::string> records;
  for (uint32_t i = 0; i < 9; ++i) {
    records.push_back(Noise(20000, i));
    REQUIRE(LogAll(writer.get(), {records.back()}).ok());
  }
  REQUIRE(writer->Sync().ok());
  REQUIRE(LogAll(writer.get(), {Noise(20000, 77)}).ok());
  fs.PowerLoss();
  std::vector<std::string> read = ReadLog(&fs);
  REQUIRE(read.size() >= records.size());
  read.resize(records.size());
  CHECK(read == records);
}

TEST_CASE("Segments are listed in order, and a gap is an error") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/wal/checkpoint.00000003").ok());
  REQUIRE(fs.CreateDirectories("/wal/checkpoint.00000001").ok());
  REQUIRE(fs.CreateDirectories("/wal/checkpoint.00000009.tmp").ok());
  for (const char* name : {"00000004", "00000006", "00000005", "note.txt", "7"}) {
    REQUIRE(fs.Create(StrCat("/wal/", name)).ok());
  }
  const auto segments = ListSegments(&fs, kDirectory);
  REQUIRE(segments.ok());
  REQUIRE(segments->size() == 3);
  CHECK((*segments)[2].number == 6);
  CHECK(LastCheckpoint(&fs, kDirectory).value()->segment == 3);
  REQUIRE(fs.Create("/wal/00000008").ok());
  const absl::Status gap = ListSegments(&fs, kDirectory).status();
  CHECK(gap.code() == absl::StatusCode::kDataLoss);
  CHECK(std::string(Message(gap)).find("00000007 is missing") != std::string::npos);
}

TEST_CASE("A repair cuts the damaged segment and keeps what it cut") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDirectory).ok());
  for (const char* name : {"00000000", "00000001", "00000002"}) {
    REQUIRE(fs.WriteFileAtomically(StrCat("/wal/", name), StrCat("content of ", name)).ok());
  }
  const auto segments = ListSegments(&fs, kDirectory).value();
  REQUIRE(Repair(&fs, segments, 1, 7, false, "/lost").ok());
  CHECK(fs.ReadFile("/wal/00000000").value() == "content of 00000000");
  CHECK(fs.ReadFile("/wal/00000001").value() == "content");
  CHECK(!fs.Exists("/wal/00000002"));
  CHECK(fs.ReadFile("/lost/00000001").value() == "content of 00000001");
  CHECK(fs.ReadFile("/lost/00000002").value() == "content of 00000002");
}

TEST_CASE("A repair that upstream did not finish starts from the original") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDirectory).ok());
  REQUIRE(fs.WriteFileAtomically("/wal/00000003.repair", "original").ok());
  REQUIRE(fs.WriteFileAtomically("/wal/00000003", "half").ok());
  REQUIRE(RestoreBrokenOffRepair(&fs, kDirectory).ok());
  CHECK(fs.ReadFile("/wal/00000003").value() == "original");
  CHECK(!fs.Exists("/wal/00000003.repair"));
}

}  // namespace
}  // namespace narthex::wal
