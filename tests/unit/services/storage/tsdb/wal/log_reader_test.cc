// The log read on threads of its own, and its records put back into batches.
#include "services/storage/tsdb/wal/log_reader.h"

#include <random>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/transactions.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/support/fault_file_system.h"

namespace narthex::wal {
namespace {

constexpr char kDirectory[] = "/wal";

std::unique_ptr<Writer> OpenWriter(io::FileSystem* fs, WriterOptions options = {},
                                   uint64_t segment = 0, Writer::SegmentStart start = {}) {
  REQUIRE(fs->CreateDirectories(kDirectory).ok());
  if (!start) start = [](uint64_t, std::vector<std::string>*) {};
  auto writer = Writer::Open(fs, kDirectory, segment, options, start);
  REQUIRE(writer.ok());
  return std::move(writer).value();
}

std::string SamplesOf(uint64_t ref, int count) {
  SamplesEncoder encoder;
  encoder.Reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) encoder.Add(ref, i * 1000, i);
  return std::string(encoder.record());
}

void Log(Writer* writer, const std::vector<std::string>& records) {
  const std::vector<std::string_view> views(records.begin(), records.end());
  REQUIRE(writer->Log(views).ok());
}

struct Read {
  std::vector<std::string> records;  // "samples of N" where they were decoded.
  size_t pieces = 0;
  absl::Status status;
  size_t segment = 0;
  bool torn = false;
  uint64_t good_bytes = 0;
};
Read ReadAll(io::FileSystem* fs, LogReader::Options options) {
  Read read;
  LogReader reader(fs, ListSegments(fs, kDirectory).value(), options);
  LogPiece piece;
  size_t segments_begun = 0;
  while (reader.Next(&piece)) {
    REQUIRE(read.status.ok());  // Nothing comes after an error.
    if (piece.first) CHECK(piece.segment == segments_begun++);
    CHECK(piece.segment + 1 == segments_begun);
    for (const LogRecord& record : piece.records) {
      read.records.push_back(record.type == RecordType::kSamples
                                 ? StrCat("samples of ", record.samples.size())
                                 : record.bytes);
    }
    ++read.pieces;
    read.status = piece.status;
    read.segment = piece.segment;
    read.torn = piece.torn;
    read.good_bytes = piece.good_bytes;
  }
  return read;
}

TEST_CASE("However many threads read, the records come in order") {
  for (const bool zstd : {false, true}) {
    FaultFileSystem fs;
    WriterOptions options;
    options.segment_size_bytes = 32 * kPageSize;
    options.zstd = zstd;
    std::unique_ptr<Writer> writer = OpenWriter(&fs, options);
    std::mt19937 random(5);
    std::vector<std::string> expected;
    for (int i = 0; i < 400; ++i) {
      std::string noise(random() % 20000, '\0');
      for (char& c : noise) c = static_cast<char>(random());
      expected.push_back(StrCat("\x7e", i, noise));
      Log(writer.get(), {expected.back()});
      expected.push_back(StrCat("samples of ", i % 7));
      Log(writer.get(), {i % 7 == 0 ? std::string(1, '\x02') : SamplesOf(1, i % 7)});
    }
    REQUIRE(ListSegments(&fs, kDirectory)->size() > 3);
    for (const int threads : {1, 2, 5}) {
      LogReader::Options read_options;
      read_options.threads = threads;
      const Read read = ReadAll(&fs, read_options);
      CHECK(read.status.ok());
      CHECK(read.pieces > 10);
      CHECK(read.records == expected);
    }
  }
}

TEST_CASE("Reading begins behind a record when it is told so") {
  FaultFileSystem fs;
  std::unique_ptr<Writer> writer = OpenWriter(&fs);
  Log(writer.get(), {"\x7e one"});
  const Writer::Position position = writer->position();
  Log(writer.get(), {"\x7e two"});
  REQUIRE(writer->NextSegment().ok());
  CHECK(writer->position().segment == 1);
  Log(writer.get(), {"\x7e three"});
  LogReader::Options options;
  options.first_offset = position.offset;
  CHECK(ReadAll(&fs, options).records == std::vector<std::string>{"\x7e two", "\x7e three"});
}

TEST_CASE("A damaged record ends the log where it lies, whichever thread finds it") {
  FaultFileSystem fs;
  WriterOptions options;
  options.compress = false;
  std::unique_ptr<Writer> writer = OpenWriter(&fs, options);
  std::vector<uint64_t> offsets;
  for (int i = 0; i < 300; ++i) {
    offsets.push_back(writer->position().offset);
    // The 200th has samples that end too early: whole by its checksum.
    Log(writer.get(), {i == 200 ? SamplesOf(3, 200).substr(0, 2000) : SamplesOf(3, 500)});
  }
  for (const int threads : {1, 3}) {
    LogReader::Options read_options;
    read_options.threads = threads;
    const Read read = ReadAll(&fs, read_options);
    CHECK(read.status.code() == absl::StatusCode::kDataLoss);
    CHECK(Message(read.status).find(StrCat("offset ", offsets[200])) != std::string::npos);
    CHECK(read.good_bytes == offsets[200]);
    CHECK(!read.torn);
    CHECK(read.records.size() == 200);
  }
  fs.Corrupt("/wal/00000000", offsets[100] + 20, 0x10);
  const Read read = ReadAll(&fs, {});
  CHECK(read.status.code() == absl::StatusCode::kDataLoss);
  CHECK(read.good_bytes == offsets[100]);
  CHECK(read.records.size() == 100);
}

TEST_CASE("A file that cannot be mapped is an error of its own kind") {
  FaultFileSystem fs;
  std::unique_ptr<Writer> writer = OpenWriter(&fs);
  Log(writer.get(), {"\x7e one"});
  std::vector<Segment> segments = ListSegments(&fs, kDirectory).value();
  REQUIRE(fs.Remove(segments[0].path).ok());
  LogReader reader(&fs, segments, {});
  LogPiece piece;
  REQUIRE(reader.Next(&piece));
  CHECK(piece.status.code() == absl::StatusCode::kNotFound);
  CHECK(!reader.Next(&piece));
}

TEST_CASE("A reader that is given up in the middle ends its threads") {
  FaultFileSystem fs;
  std::unique_ptr<Writer> writer = OpenWriter(&fs);
  for (int i = 0; i < 200; ++i) Log(writer.get(), {SamplesOf(1, 20000)});
  LogReader::Options options;
  options.threads = 3;
  LogReader reader(&fs, ListSegments(&fs, kDirectory).value(), options);
  LogPiece piece;
  CHECK(reader.Next(&piece));
}

// --- Transactions ---

struct Heard {
  std::vector<std::string> records;
  std::vector<std::string> applied;
  std::vector<uint64_t> dropped;  // Records missing.
  Transactions transactions{{[this](LogRecord* record) {
                               records.push_back(record->bytes);
                               return absl::OkStatus();
                             },
                             [this](const BatchHeader& header) {
                               applied.push_back(StrCat(header.sender, "@", header.sequence));
                             },
                             [this](uint64_t missing, uint64_t, const std::vector<LogRecord>&) {
                               dropped.push_back(missing);
                             }}};
  void Add(const std::string& bytes) {
    LogRecord record;
    record.type = TypeOfRecord(bytes);
    record.bytes = bytes;
    REQUIRE(transactions.Add(std::move(record)).ok());
  }
  void Header(uint64_t records_follow, std::string_view sender, uint64_t sequence) {
    std::string header;
    EncodeBatchHeader({records_follow, sender, sequence}, &header);
    Add(header);
  }
  void Marker(uint64_t session, uint64_t segment) {
    Add(EncodeSegmentMarker({std::string(kReferenceSpaceSize, 's'), session, segment, 10}));
  }
};

TEST_CASE("A batch counts when its last record is there, and also over segments of one session") {
  Heard heard;
  heard.transactions.BeginSegment(4);
  heard.Marker(1, 4);
  heard.Header(2, "a", 7);
  heard.Add("\x01x");
  CHECK(heard.records.empty());
  CHECK(heard.transactions.batch_open());
  heard.transactions.BeginSegment(5);
  heard.Marker(1, 5);
  heard.Header(0, "b", 3);
  heard.Add("\x02y");
  CHECK(heard.records == std::vector<std::string>{"\x01x", "\x02y"});
  CHECK(heard.applied == std::vector<std::string>{"b@3", "a@7"});
  heard.Add("\x03z");  // Without a header, as other programs write.
  CHECK(heard.records.size() == 3);
  REQUIRE(heard.transactions.marker());
  CHECK(heard.transactions.marker()->segment == 5);
  CHECK(heard.transactions.reference_max() == 9);
  CHECK(heard.dropped.empty());
}

TEST_CASE("A batch that lacks records is dropped by whatever ends it") {
  for (const int end : {0, 1, 2, 3}) {
    Heard heard;
    heard.transactions.BeginSegment(1);
    heard.Marker(1, 1);
    heard.Header(3, "a", 7);
    heard.Add("\x01x");
    if (end == 0) heard.transactions.Finish();
    if (end == 1) heard.Header(1, "a", 8);
    if (end > 1) heard.transactions.BeginSegment(2);
    if (end == 2) heard.Marker(2, 2);  // Of another session.
    if (end == 3) heard.Add("\x02 of another program");
    CHECK(heard.dropped == std::vector<uint64_t>{2});
    CHECK(heard.applied.empty());
    CHECK(heard.transactions.batch_open() == (end == 1));
    CHECK(heard.transactions.marker().has_value() == (end != 3));
  }
}

TEST_CASE("A marker that was copied from another segment says nothing") {
  Heard heard;
  heard.transactions.BeginSegment(3);
  heard.Marker(1, 2);
  CHECK(!heard.transactions.marker());
  heard.transactions.BeginCheckpoint(9);
  heard.Marker(1, 9);
  CHECK(heard.transactions.marker());
}

}  // namespace
}  // namespace narthex::wal
