// Chunk segments: what was written is read, and what is damaged is named.
#include <random>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/chunks/reader.h"
#include "services/storage/tsdb/chunks/writer.h"
#include "tests/support/fault_file_system.h"
#include "tests/unit/services/storage/tsdb/golden_block.h"

namespace narthex::chunks {
namespace {

using chunkenc::Encoding;

constexpr char kDirectory[] = "/block/chunks";

struct Written {
  uint64_t reference = 0;
  Encoding encoding = Encoding::kXor;
  std::string bytes;
};

std::vector<Written> WriteChunks(io::FileSystem* fs, WriterOptions options, size_t count) {
  REQUIRE(fs->CreateDirectories(kDirectory).ok());
  auto writer = Writer::Create(fs, kDirectory, options);
  REQUIRE(writer.ok());
  std::mt19937 random(5);
  std::vector<Written> written;
  for (size_t i = 0; i < count; ++i) {
    Written one;
    one.encoding = static_cast<Encoding>(1 + random() % 6);
    one.bytes.resize(1 + random() % 300);
    for (char& c : one.bytes) c = static_cast<char>(random());
    const auto reference = (*writer)->Add(one.encoding, one.bytes);
    REQUIRE(reference.ok());
    one.reference = *reference;
    if (!written.empty()) CHECK(one.reference > written.back().reference);
    written.push_back(std::move(one));
  }
  REQUIRE((*writer)->Finish().ok());
  return written;
}

TEST_CASE("Chunks are read as they were written, over many segments") {
  for (const uint64_t segment_size : {uint64_t{100}, uint64_t{1000}, kSegmentSizeDefault}) {
    FaultFileSystem fs;
    const std::vector<Written> written =
        WriteChunks(&fs, {.segment_size_bytes = segment_size, .buffer_size_bytes = 64}, 200);
    fs.PowerLoss();  // Finish() has synced all of it.
    const auto reader = Reader::Open(&fs, kDirectory);
    REQUIRE(reader.ok());
    CHECK(((*reader)->segments() > 1) == (segment_size < kSegmentSizeDefault));
    for (const Written& one : written) {
      StoredChunk chunk;
      REQUIRE((*reader)->Read(one.reference, &chunk).ok());
      CHECK(chunk.encoding == one.encoding);
      CHECK(chunk.bytes == one.bytes);
    }
  }
}

TEST_CASE("Prometheus' segment is read, and written the same") {
  const std::string golden = tsdb::FromHex(tsdb::kGoldenChunks);
  REQUIRE(CheckSegmentHeader(golden).ok());
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDirectory).ok());
  auto writer = Writer::Create(&fs, kDirectory, {});
  REQUIRE(writer.ok());
  size_t chunks = 0;
  for (uint64_t offset = kHeaderSize; offset < golden.size(); ++chunks) {
    StoredChunk chunk;
    const uint64_t start = offset;
    REQUIRE(ReadChunkAt(golden, start, &chunk, &offset).ok());
    CHECK(chunk.encoding == Encoding::kXor);
    const auto reference = (*writer)->Add(chunk.encoding, chunk.bytes);
    REQUIRE(reference.ok());
    CHECK(*reference == MakeReference(0, static_cast<uint32_t>(start)));
  }
  CHECK(chunks == 5);
  REQUIRE((*writer)->Finish().ok());
  CHECK(fs.ReadFile("/block/chunks/000001").value() == golden);
  CHECK((*writer)->size_bytes() == golden.size());
}

TEST_CASE("A changed byte is noticed by the chunk that it is in, and by no other") {
  FaultFileSystem fs;
  const std::vector<Written> written = WriteChunks(&fs, {}, 6);
  const std::string good = fs.ReadFile("/block/chunks/000001").value();
  for (size_t i = kHeaderSize; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    size_t damaged = 0;
    for (size_t k = 0; k < written.size(); ++k) {
      const uint32_t offset = ReferenceOffset(written[k].reference);
      const uint64_t end =
          k + 1 < written.size() ? ReferenceOffset(written[k + 1].reference) : bad.size();
      StoredChunk chunk;
      const absl::Status status = ReadChunkAt(bad, offset, &chunk);
      if (status.ok()) {
        CHECK(chunk.bytes == written[k].bytes);
        continue;
      }
      ++damaged;
      CHECK(absl::IsDataLoss(status));
      CHECK(offset <= i);
      CHECK(i < end);
    }
    CHECK(damaged == 1);
  }
  for (size_t size = 0; size < good.size(); ++size) {
    StoredChunk chunk;
    const uint32_t last = ReferenceOffset(written.back().reference);
    CHECK_FALSE(ReadChunkAt(std::string_view(good).substr(0, size), last, &chunk).ok());
  }
}

TEST_CASE("Segments that are missing or no segments are named") {
  FaultFileSystem fs;
  const std::vector<Written> written = WriteChunks(&fs, {.segment_size_bytes = 500}, 20);
  REQUIRE(Reader::Open(&fs, kDirectory).ok());

  SECTION("missing") {
    REQUIRE(fs.Remove("/block/chunks/000002").ok());
    const auto reader = Reader::Open(&fs, kDirectory);
    REQUIRE(absl::IsDataLoss(reader.status()));
    CHECK(Message(reader.status()).find("000002 is missing") != std::string_view::npos);
  }
  SECTION("another magic number") { fs.Corrupt("/block/chunks/000002", 1, 1); }
  SECTION("another version") { fs.Corrupt("/block/chunks/000002", 4, 2); }
  SECTION("too short") { REQUIRE(fs.WriteFileAtomically("/block/chunks/000002", "1234567").ok()); }
  CHECK(absl::IsDataLoss(Reader::Open(&fs, kDirectory).status()));
  // Asked for what can be read, only that segment is lost, if anything.
  std::vector<std::string> damage;
  const auto reader = Reader::Open(&fs, kDirectory, &damage);
  REQUIRE(reader.ok());
  CHECK(damage.size() == 1);
  for (const Written& one : written) {
    StoredChunk chunk;
    const absl::Status status = (*reader)->Read(one.reference, &chunk);
    if (ReferenceSegment(one.reference) != 1) CHECK(status.ok());
    if (status.ok()) CHECK(chunk.bytes == one.bytes);
  }
  StoredChunk chunk;
  CHECK(absl::IsDataLoss((*reader)->Read(MakeReference(99, 8), &chunk)));
  CHECK(absl::IsDataLoss((*reader)->Read(MakeReference(0, 4000000000), &chunk)));
}

TEST_CASE("A writer that failed once refuses everything") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDirectory).ok());
  auto writer = Writer::Create(&fs, kDirectory, {.segment_size_bytes = 50, .buffer_size_bytes = 1});
  REQUIRE(writer.ok());
  fs.FailOnce(fs.operations() + 2, absl::ResourceExhaustedError("disk full"));
  CHECK(absl::IsResourceExhausted((*writer)->Add(Encoding::kXor, "abc").status()));
  CHECK(absl::IsResourceExhausted((*writer)->Add(Encoding::kXor, "abc").status()));
  CHECK(absl::IsResourceExhausted((*writer)->Finish()));
}

}  // namespace
}  // namespace narthex::chunks
