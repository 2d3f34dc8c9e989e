#include "services/alertmanager/snapshot/record_file.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/alertmanager/snapshot/protobuf.h"
#include "tests/support/fault_file_system.h"

namespace narthex::snapshot {
namespace {

using Records = std::vector<std::string>;

struct Opened {
  std::unique_ptr<RecordFile> file;
  Records records;
};

// Records that begin with '!' do not decode.
Opened Open(io::FileSystem* fs, const std::string& path, Logger logger = Logger()) {
  Opened opened;
  auto file = RecordFile::Open(fs, path, logger, [&opened](std::string_view record) {
    if (record.starts_with('!')) return false;
    opened.records.emplace_back(record);
    return true;
  });
  REQUIRE(file.ok());
  opened.file = *std::move(file);
  return opened;
}

TEST_CASE("what is appended is read again, in order") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  {
    Opened opened = Open(&fs, "/d/f");
    CHECK(opened.records.empty());
    REQUIRE(opened.file->Append("one", false).ok());
    REQUIRE(opened.file->Append("", false).ok());
    REQUIRE(opened.file->Append(std::string(300, 'x'), true).ok());
  }
  fs.ProcessCrash();
  CHECK(Open(&fs, "/d/f").records == Records{"one", "", std::string(300, 'x')});
}

TEST_CASE("synced records survive a power loss, also the first one of a new file") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  REQUIRE(fs.SyncDirectory("/").ok());
  Opened opened = Open(&fs, "/d/f");
  REQUIRE(opened.file->Append("one", true).ok());
  fs.PowerLoss();
  CHECK(Open(&fs, "/d/f").records == Records{"one"});
}

TEST_CASE("a file cut anywhere gives the records that are whole, and goes on") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  Opened whole = Open(&fs, "/d/f");
  REQUIRE(whole.file->Rewrite({"first", "second", "third"}).ok());
  const std::string bytes = *fs.ReadFile("/d/f");
  for (size_t size = 0; size <= bytes.size(); ++size) {
    INFO(size);
    REQUIRE(fs.WriteFileAtomically("/d/g", bytes.substr(0, size)).ok());
    Opened cut = Open(&fs, "/d/g");
    const size_t expected = size >= 19 ? 3 : size >= 13 ? 2 : size >= 6 ? 1 : 0;
    CHECK(cut.records.size() == expected);
    REQUIRE(cut.file->Append("more", false).ok());
    const Opened again = Open(&fs, "/d/g");
    CHECK(again.records.size() == cut.records.size() + 1);
    CHECK(again.records.back() == "more");
  }
}

TEST_CASE("a file that does not decode is kept beside and used up to the damage") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  Opened whole = Open(&fs, "/d/f");
  REQUIRE(whole.file->Rewrite({"good", "!bad", "good too"}).ok());
  const std::string bytes = *fs.ReadFile("/d/f");
  std::vector<std::string> lines;
  const Opened opened = Open(&fs, "/d/f", Logger::ToLines(&lines));
  CHECK(opened.records == Records{"good"});
  CHECK(*fs.ReadFile("/d/f.corrupt") == bytes);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("snapshot is damaged") != std::string::npos);
  CHECK(Open(&fs, "/d/f").records == Records{"good"});
}

TEST_CASE("a failed append leaves no half record behind") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  Opened opened = Open(&fs, "/d/f");
  REQUIRE(opened.file->Append("one", false).ok());
  fs.FailOnce(fs.operations() + 1, absl::ResourceExhaustedError("disk full"), true);
  CHECK_FALSE(opened.file->Append("two two two", false).ok());
  REQUIRE(opened.file->Append("three", false).ok());
  CHECK(Open(&fs, "/d/f").records == Records{"one", "three"});
}

TEST_CASE("messages round trip, and malformed ones are told") {
  MessageWriter writer;
  writer.Varint(1, 300);
  writer.Varint(2, 0);
  writer.Bytes(3, "text");
  writer.Bytes(4, "");
  writer.Message(5, "");
  writer.Time(6, absl::FromUnixNanos(-1'500'000'000));
  MessageReader reader(writer.bytes());
  std::vector<uint32_t> fields;
  absl::Time time;
  while (reader.Next()) {
    fields.push_back(reader.field());
    if (reader.field() == 1) CHECK(reader.varint() == 300);
    if (reader.field() == 3) CHECK(reader.bytes() == "text");
    if (reader.field() == 6) time = reader.time();
  }
  CHECK(reader.ok());
  CHECK(fields == std::vector<uint32_t>{1, 3, 5, 6});
  CHECK(time == absl::FromUnixNanos(-1'500'000'000));
  for (const std::string& bad :
       {std::string("\x08", 1),
        std::string("\x1a\x05"
                    "ab",
                    4),
        std::string("\x0b", 1), std::string("\x00\x01", 2), std::string("\x09\x01\x02", 3)}) {
    MessageReader malformed(bad);
    while (malformed.Next()) {
    }
    CHECK_FALSE(malformed.ok());
  }
  MessageReader skipped(
      std::string_view("\x09\x01\x02\x03\x04\x05\x06\x07\x08\x15\x01\x02\x03\x04\x18\x07", 16));
  uint64_t last = 0;
  while (skipped.Next()) last = skipped.varint();
  CHECK(skipped.ok());
  CHECK(last == 7);
}

}  // namespace
}  // namespace narthex::snapshot
