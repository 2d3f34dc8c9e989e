// The files of chunks_head: what is written comes back, from memory, from the disk, and from
// damage.
#include "services/storage/tsdb/head_chunks.h"

#include <map>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

constexpr char kDirectory[] = "/data/chunks_head";
constexpr char kLost[] = "/data/quarantine/chunks_head";

HeadChunksOptions SmallOptions() {
  HeadChunksOptions options;
  options.file_size_bytes = 2000;
  options.buffer_bytes = 500;
  return options;
}

std::string BytesOf(int i) {
  std::string bytes;
  AppendBig(&bytes, static_cast<uint16_t>(i % 100 + 1));
  bytes.append(static_cast<size_t>(i * 7 % 150), static_cast<char>('a' + i % 26));
  return bytes;
}

// Chunk number i, with bytes that must outlive it.
HeadChunk Chunk(int i, const std::string& bytes) {
  HeadChunk chunk;
  chunk.reference = static_cast<uint64_t>(i) + 1;
  chunk.min_time = 1000 * i - 5000;
  chunk.max_time = 1000 * i - 4500;
  chunk.encoding = i % 3 == 0 ? chunkenc::Encoding::kHistogram : chunkenc::Encoding::kXor;
  chunk.out_of_order = i % 5 == 0;
  chunk.bytes = bytes;
  return chunk;
}

void CheckChunk(const HeadChunk& chunk, int i) {
  const std::string bytes = BytesOf(i);
  const HeadChunk expected = Chunk(i, bytes);
  CHECK(chunk.reference == expected.reference);
  CHECK(chunk.min_time == expected.min_time);
  CHECK(chunk.max_time == expected.max_time);
  CHECK(chunk.encoding == expected.encoding);
  CHECK(chunk.out_of_order == expected.out_of_order);
  CHECK(chunk.bytes == expected.bytes);
}

struct Fixture {
  FaultFileSystem fs;
  std::unique_ptr<HeadChunks> chunks;
  std::vector<ChunkPlace> places;

  // Loads what there is; returns the numbers of the chunks that were visited.
  std::vector<int> Open(HeadChunks::LoadResult* result = nullptr) {
    chunks = std::make_unique<HeadChunks>(SmallOptions());
    std::vector<int> seen;
    const auto loaded = chunks->Load(&fs, kDirectory, kLost, [&](const HeadChunk& chunk) {
      const int i = static_cast<int>(chunk.reference) - 1;
      CheckChunk(chunk, i);
      seen.push_back(i);
      return true;
    });
    INFO(loaded.status().ToString());
    REQUIRE(loaded.ok());
    if (result != nullptr) *result = *loaded;
    return seen;
  }
  void Append(int from, int to) {
    for (int i = from; i < to; ++i) {
      const std::string bytes = BytesOf(i);
      places.push_back(chunks->Append(Chunk(i, bytes)));
      chunks->FlushIfFull();
    }
  }
  void CheckAll() {
    ChunkPins pins;
    for (size_t i = 0; i < places.size(); ++i) {
      const auto chunk = chunks->Read(places[i], &pins);
      INFO(chunk.status().ToString());
      REQUIRE(chunk.ok());
      CHECK(chunk->place == places[i]);
      CheckChunk(*chunk, static_cast<int>(i));
    }
  }
};

std::vector<int> Numbers(int from, int to) {
  std::vector<int> numbers;
  for (int i = from; i < to; ++i) numbers.push_back(i);
  return numbers;
}

TEST_CASE("Chunks are read from memory, while they wait and when they are written") {
  Fixture f;
  SECTION("without files") { f.chunks = std::make_unique<HeadChunks>(SmallOptions()); }
  SECTION("with files") { CHECK(f.Open().empty()); }
  f.Append(0, 100);
  f.CheckAll();
  REQUIRE(f.chunks->Flush().ok());
  f.CheckAll();
  for (size_t i = 1; i < f.places.size(); ++i) CHECK(f.places[i - 1] < f.places[i]);
  CHECK(f.chunks->end() > f.places.back());
}

TEST_CASE("A start finds all chunks that were handed over, and goes on in a new file") {
  Fixture f;
  f.Open();
  f.Append(0, 50);
  REQUIRE(f.chunks->Flush().ok());
  f.fs.ProcessCrash();
  CHECK(f.Open() == Numbers(0, 50));
  f.CheckAll();
  f.Append(50, 80);
  CHECK(f.places[50] >> 32 > f.places[49] >> 32);
  REQUIRE(f.chunks->Sync().ok());
  f.fs.PowerLoss();
  CHECK(f.Open() == Numbers(0, 80));
  f.CheckAll();
}

TEST_CASE("A file is laid out as Prometheus does it") {
  Fixture f;
  f.Open();
  HeadChunk chunk;
  chunk.reference = 1;
  chunk.min_time = 2;
  chunk.max_time = 3;
  chunk.out_of_order = true;
  chunk.bytes = "xyz";
  CHECK(f.chunks->Append(chunk) == (uint64_t{1} << 32 | 8));
  REQUIRE(f.chunks->Flush().ok());
  const auto file = f.fs.ReadFile(io::JoinPath(kDirectory, "000001"));
  REQUIRE(file.ok());
  const std::string head(
      "\x01\x30\xbc\x91\x01\0\0\0"
      "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03"
      "\x81\x03xyz",
      8 + 24 + 5);
  CHECK(file->substr(0, head.size()) == head);
  CHECK(file->size() == head.size() + 4);
}

TEST_CASE("Files go when nobody holds a chunk of them, oldest first, and pins keep what was read") {
  Fixture f;
  f.Open();
  f.Append(0, 100);
  REQUIRE(f.chunks->Flush().ok());
  const size_t files = f.fs.List(kDirectory)->size();
  REQUIRE(files > 3);
  ChunkPins pins;
  const auto first = f.chunks->Read(f.places[0], &pins);
  REQUIRE(first.ok());
  // Not the oldest: stays.
  const auto file_of = [&](size_t i) { return f.places[i] >> 32; };
  for (size_t i = 0; i < 100; ++i) {
    if (file_of(i) == file_of(0) + 1) f.chunks->Release(f.places[i]);
  }
  CHECK(f.fs.List(kDirectory)->size() == files);
  // The oldest: both go.
  for (size_t i = 0; i < 100; ++i) {
    if (file_of(i) == file_of(0)) f.chunks->Release(f.places[i]);
  }
  CHECK(f.fs.List(kDirectory)->size() == files - 2);
  CheckChunk(*first, 0);
  CHECK(!f.chunks->Read(f.places[0], &pins).ok() == (pins.size() == 0));
  for (size_t i = 0; i < 100; ++i) {
    if (file_of(i) > file_of(0) + 1) f.chunks->Release(f.places[i]);
  }
  CHECK(f.fs.List(kDirectory)->empty());
  // Numbers do not come again.
  const ChunkPlace last = f.places.back();
  f.Append(0, 1);
  CHECK(f.places.back() >> 32 > last >> 32);
}

TEST_CASE("A full disk loses nothing: chunks wait in memory and are written later") {
  for (uint64_t operation = 1; operation < 40; ++operation) {
    Fixture f;
    f.Open();
    f.fs.FailFrom(f.fs.operations() + operation, absl::ResourceExhaustedError("disk full"), true);
    f.Append(0, 60);
    f.CheckAll();
    f.fs.FailFrom(0, absl::OkStatus());
    f.Append(60, 90);
    f.CheckAll();
    REQUIRE(f.chunks->Flush().ok());
    f.CheckAll();
    f.fs.ProcessCrash();
    CHECK(f.Open() == Numbers(0, 90));
  }
}

TEST_CASE("A file that a crash cut within a chunk is cut behind the last whole one") {
  Fixture f;
  f.Open();
  f.Append(0, 5);
  REQUIRE(f.chunks->Flush().ok());
  const std::string path = io::JoinPath(kDirectory, "000001");
  const std::string whole = *f.fs.ReadFile(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    for (const bool zeros : {false, true}) {
      f.chunks.reset();
      std::string cut = whole.substr(0, size);
      if (zeros) cut.resize(4096);
      REQUIRE(f.fs.WriteFileAtomically(path, cut).ok());
      HeadChunks::LoadResult result;
      const std::vector<int> seen = f.Open(&result);
      size_t expected = 0;
      while (expected < 5) {
        const uint64_t end = expected + 1 < 5 ? f.places[expected + 1] & 0xffffffff : whole.size();
        if (end > size) break;
        ++expected;
      }
      INFO("cut to " << size << " bytes, zeros behind: " << zeros);
      CHECK(seen == Numbers(0, static_cast<int>(expected)));
      CHECK(result.damage.ok());
      CHECK(result.files_lost == 0);
      // The next start finds the same, without a repair.
      CHECK(f.Open() == seen);
    }
  }
}

TEST_CASE("Behind damage nothing is used, and it is kept elsewhere") {
  Fixture f;
  f.Open();
  f.Append(0, 60);
  REQUIRE(f.chunks->Flush().ok());
  f.chunks.reset();
  const size_t damaged = 20;
  const std::string name = StrCat("00000", f.places[damaged] >> 32);
  f.fs.Corrupt(io::JoinPath(kDirectory, name), (f.places[damaged] & 0xffffffff) + 30, 0x40);
  const size_t files = f.fs.List(kDirectory)->size();
  HeadChunks::LoadResult result;
  CHECK(f.Open(&result) == Numbers(0, static_cast<int>(damaged)));
  CHECK(!result.damage.ok());
  CHECK(std::string(result.damage.message()).find(name) != std::string::npos);
  CHECK(result.files_lost == files - (f.places[damaged] >> 32) + 1);
  CHECK(f.fs.List(kLost)->size() == result.files_lost);
  CHECK(f.Open(&result) == Numbers(0, static_cast<int>(damaged)));
  CHECK(result.damage.ok());
}

TEST_CASE("Every flipped byte is found, and what lies before it is still there") {
  Fixture f;
  f.Open();
  f.Append(0, 4);
  REQUIRE(f.chunks->Flush().ok());
  const std::string path = io::JoinPath(kDirectory, "000001");
  const std::string whole = *f.fs.ReadFile(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    f.chunks.reset();
    REQUIRE(f.fs.WriteFileAtomically(path, whole).ok());
    f.fs.Corrupt(path, at, 0x10);
    size_t before = 0;
    while (before < 4 &&
           (before + 1 < 4 ? f.places[before + 1] & 0xffffffff : whole.size()) <= at) {
      ++before;
    }
    if (at < kHeadChunksHeaderSize) before = 0;
    INFO("byte " << at);
    const std::vector<int> seen = f.Open();
    // Bytes that only pad the header say nothing.
    if (at >= 5 && at < kHeadChunksHeaderSize) continue;
    CHECK(seen == Numbers(0, static_cast<int>(before)));
  }
}

TEST_CASE("A file that is missing ends what can be used") {
  Fixture f;
  f.Open();
  f.Append(0, 100);
  REQUIRE(f.chunks->Flush().ok());
  f.chunks.reset();
  REQUIRE(f.fs.Remove(io::JoinPath(kDirectory, "000002")).ok());
  HeadChunks::LoadResult result;
  const std::vector<int> seen = f.Open(&result);
  CHECK(!result.damage.ok());
  for (const int i : seen) CHECK(f.places[static_cast<size_t>(i)] >> 32 == 1);
  CHECK(!seen.empty());
}

}  // namespace
}  // namespace narthex::tsdb
