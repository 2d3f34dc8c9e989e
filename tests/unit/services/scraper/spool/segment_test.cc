#include "services/scraper/spool/segment.h"

#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "services/scraper/spool/spool_state.h"
#include "tests/support/temp_dir.h"

namespace narthex::scraper {
namespace {

struct ReadBack {
  uint64_t sequence;
  std::vector<storage::SeriesRef> series;
  std::vector<double> values;
  friend bool operator==(const ReadBack&, const ReadBack&) = default;
};

// Every good record of the file, and what ended it.
absl::Status ReadAll(const std::string& path, uint64_t limit, std::vector<ReadBack>* out) {
  io::FileSystem* const fs = io::PosixFileSystem();
  const auto reader = SegmentReader::Open(fs, path);
  REQUIRE(reader.ok());
  uint64_t series = 0;
  storage::AppendBatch batch;
  while (true) {
    const auto record = (*reader)->Next(limit);
    if (!record.ok()) return record.status();
    const absl::Status decoded = DecodeSegmentBatch(record->batch, series, &batch);
    if (!decoded.ok()) return decoded;
    series += batch.definitions.size();
    out->push_back({record->sequence, batch.refs, batch.values});
  }
}

// A segment of `batches` batches over a growing set of series.
std::string WriteSegment(const std::string& path, int batches, storage::SeriesTable* table) {
  io::FileSystem* const fs = io::PosixFileSystem();
  auto writer = SegmentWriter::Create(fs, path);
  REQUIRE(writer.ok());
  std::vector<storage::SeriesNumber> numbers;
  for (int b = 0; b < batches; ++b) {
    numbers.push_back(table->Add(Labels{{"__name__", "m"}, {"b", StrCat(b)}}));
    storage::NumberedBatch batch;
    batch.base_timestamp = 1000 * b;
    for (const storage::SeriesNumber number : numbers) batch.Add(number, b + 0.5);
    (*writer)->Add(10 + b, batch, *table);
    REQUIRE((*writer)->Flush().ok());
  }
  REQUIRE((*writer)->Sync().ok());
  return *fs->ReadFile(path);
}

TEST_CASE("a segment reads back what was written, numbered from 1") {
  TempDir dir;
  storage::SeriesTable table;
  const std::string bytes = WriteSegment(dir.File("a"), 3, &table);
  std::vector<ReadBack> records;
  CHECK(absl::IsNotFound(ReadAll(dir.File("a"), bytes.size(), &records)));
  REQUIRE(records.size() == 3);
  CHECK(records[0] == ReadBack{10, {1}, {0.5}});
  CHECK(records[2] == ReadBack{12, {1, 2, 3}, {2.5, 2.5, 2.5}});
}

TEST_CASE("a segment keeps what belongs to samples") {
  TempDir dir;
  storage::SeriesTable table;
  auto writer = SegmentWriter::Create(io::PosixFileSystem(), dir.File("a"));
  REQUIRE(writer.ok());
  storage::NumberedBatch batch;
  batch.Add(table.Add(Labels{{"__name__", "m"}}), 1);
  batch.SetStartTimestamp(-7);
  batch.AddExemplar({Labels{{"id", "x"}}, 5, 2});
  batch.SetMetadata({MetricType::kCounter, "Help.", ""});
  (*writer)->Add(1, batch, table);
  REQUIRE((*writer)->Flush().ok());
  const auto reader = SegmentReader::Open(io::PosixFileSystem(), dir.File("a"));
  REQUIRE(reader.ok());
  const auto record = (*reader)->Next(1 << 20);
  REQUIRE(record.ok());
  storage::AppendBatch read;
  REQUIRE(DecodeSegmentBatch(record->batch, 0, &read).ok());
  CHECK(read.start_timestamps == std::vector<Timestamp>{-7});
  REQUIRE(read.exemplars.size() == 1);
  CHECK(read.exemplars[0].labels == std::vector<LabelView>{{"id", "x"}});
  REQUIRE(read.metadata.size() == 1);
  CHECK(read.metadata[0].help == "Help.");
}

TEST_CASE("a segment has the bytes that format.md shows") {
  TempDir dir;
  storage::SeriesTable table;
  auto writer = SegmentWriter::Create(io::PosixFileSystem(), dir.File("a"));
  REQUIRE(writer.ok());
  (*writer)->Add(1, storage::NumberedBatch(), table);
  REQUIRE((*writer)->Flush().ok());
  const std::string expected(
      "NTHXSPL\x01\x0a\x00\x00\x00\x10\xd1\x0a\x64\x01\x01\x01\x01\x00\x02\x01\x00\x03\x00", 26);
  CHECK(*io::PosixFileSystem()->ReadFile(dir.File("a")) == expected);
}

TEST_CASE("every truncation of a segment gives the whole records before it") {
  TempDir dir;
  storage::SeriesTable table;
  const std::string bytes = WriteSegment(dir.File("a"), 4, &table);
  std::vector<ReadBack> all;
  ReadAll(dir.File("a"), bytes.size(), &all).IgnoreError();
  size_t before = 0;
  for (size_t length = 0; length <= bytes.size(); ++length) {
    REQUIRE(
        io::PosixFileSystem()->WriteFileAtomically(dir.File("b"), bytes.substr(0, length)).ok());
    std::vector<ReadBack> records;
    REQUIRE(absl::IsNotFound(ReadAll(dir.File("b"), length, &records)));
    REQUIRE(records.size() >= before);
    before = records.size();
    REQUIRE(std::equal(records.begin(), records.end(), all.begin()));
  }
  CHECK(before == all.size());
}

TEST_CASE("every flipped byte of a segment ends it there or earlier, never with another batch") {
  TempDir dir;
  storage::SeriesTable table;
  const std::string bytes = WriteSegment(dir.File("a"), 3, &table);
  std::vector<ReadBack> all;
  ReadAll(dir.File("a"), bytes.size(), &all).IgnoreError();
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(dir.File("b"), damaged).ok());
    std::vector<ReadBack> records;
    const absl::Status status = ReadAll(dir.File("b"), damaged.size(), &records);
    INFO("byte " << i << ": " << Message(status));
    REQUIRE((absl::IsDataLoss(status) || absl::IsNotFound(status)));
    REQUIRE(records.size() < all.size());
    REQUIRE(std::equal(records.begin(), records.end(), all.begin()));
  }
}

TEST_CASE("a reader sees only what lies before its limit and goes on when that moves") {
  TempDir dir;
  storage::SeriesTable table;
  const std::string bytes = WriteSegment(dir.File("a"), 2, &table);
  const auto reader = SegmentReader::Open(io::PosixFileSystem(), dir.File("a"));
  REQUIRE(reader.ok());
  CHECK(absl::IsNotFound((*reader)->Next(20).status()));
  REQUIRE((*reader)->Next(bytes.size()).ok());
  CHECK(absl::IsNotFound((*reader)->Next((*reader)->offset() + 5).status()));
  REQUIRE((*reader)->Next(bytes.size()).ok());
  (*reader)->Rewind();
  CHECK((*reader)->Next(bytes.size())->sequence == 10);
}

TEST_CASE("a batch that uses or numbers series wrongly is damage") {
  storage::AppendBatchWriter writer;
  storage::AppendBatch batch;
  const Labels labels{{"a", "b"}};
  writer.Clear(0);
  writer.AddWithDefinition(5, labels, 0, 1);
  const std::string fifth = writer.Finish();
  CHECK(DecodeSegmentBatch(fifth, 4, &batch).ok());
  CHECK(absl::IsDataLoss(DecodeSegmentBatch(fifth, 3, &batch)));
  writer.Clear(0);
  writer.Add(5, 0, 1);
  const std::string uses = writer.Finish();
  CHECK(DecodeSegmentBatch(uses, 5, &batch).ok());
  CHECK(absl::IsDataLoss(DecodeSegmentBatch(uses, 4, &batch)));
}

TEST_CASE("segment names count up and others are no segments") {
  uint64_t id = 0;
  CHECK(SegmentFileName(42) == "00000042.spool");
  CHECK(SegmentFileName(1234567890) == "1234567890.spool");
  CHECK(ParseSegmentFileName("00000042.spool", &id));
  CHECK(id == 42);
  CHECK(ParseSegmentFileName("1234567890.spool", &id));
  for (const char* const name : {"42.spool", "state", "0000004x.spool", ".spool", "00000042"}) {
    CHECK_FALSE(ParseSegmentFileName(name, &id));
  }
}

TEST_CASE("the state file reads back and damage is noticed") {
  SpoolState state = SpoolState::New();
  CHECK(state.sender_id.size() == 16);
  CHECK(state.sender_id != SpoolState::New().sender_id);
  state.reserved_sequence = 77;
  state.cursors = {{"127.0.0.1:10901", 12}, {"unix:/tmp/a b", 0}};
  const std::string text = state.Encode();
  const auto read = SpoolState::Decode(text);
  REQUIRE(read.ok());
  CHECK(read->sender_id == state.sender_id);
  CHECK(read->reserved_sequence == 77);
  CHECK(read->cursors == state.cursors);
  for (const std::string& damaged :
       {std::string(), std::string("narthex-spool 2\n"), text.substr(0, 30), text + "x\n",
        text + "cursor x y\n", text + "cursor 5\n"}) {
    CHECK_FALSE(SpoolState::Decode(damaged).ok());
  }
}

}  // namespace
}  // namespace narthex::scraper
