// Open chunks of which only the end is in memory are what they would be as a whole.
#include <random>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/closed_chunks.h"
#include "services/storage/tsdb/head_loader.h"
#include "services/storage/tsdb/head_reader.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kFrom = 1'700'006'400'000;
constexpr char kParts[] = "/data/chunks_open";

// Numbers that take many bytes, few, and almost none.
double ValueOf(size_t series, int i) {
  std::mt19937_64 random(series * 1000 + static_cast<size_t>(i));
  switch (series % 3) {
    case 0:
      return std::uniform_real_distribution<double>(-1, 1)(random);
    case 1:
      return static_cast<double>(i) * 7;
    default:
      return 1;
  }
}

struct Samples {
  absl::Status damage;
  SampleBuffer samples;
};

Samples ReadAll(const Head& head, Slot slot, SeriesChunks* chunks) {
  const HeadReader reader(&head);
  Samples read;
  if (!reader.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, chunks)) return read;
  read.damage = chunks->damage;
  for (const storage::SelectChunk& chunk : chunks->chunks) {
    NARTHEX_CHECK_OK(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                           kMinTimestamp, kMaxTimestamp, &read.samples));
  }
  return read;
}

// Whether they are the first `count` of a series.
bool AreTheFirst(const SampleBuffer& samples, size_t series, int count) {
  if (samples.size() != static_cast<size_t>(count)) return false;
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    if (samples.timestamps()[at] != kFrom + i * 15'000) return false;
    if (samples.values()[at] != ValueOf(series, i)) return false;
  }
  return true;
}

struct Fixture {
  Fixture() { NARTHEX_CHECK_OK(head.chunk_parts().StartEmpty(&fs, kParts)); }

  void AddSeries(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const std::string number = std::to_string(i);
      const LabelView labels[] = {{"__name__", "m"}, {"i", number}};
      slots.push_back(loader.AddSeries(i + 1, labels).value());
    }
  }
  void Append(HeadLoader::Worker* worker, size_t series, int i) {
    worker->Append(slots[series], kFrom + i * 15'000, ValueOf(series, i));
  }

  FakeClock clock{FromTimestamp(kFrom)};
  FaultFileSystem fs;
  Head head{{}, &clock};
  HeadLoader loader{&head};
  std::vector<Slot> slots;
  SeriesChunks chunks;
};

TEST_CASE("A chunk that is partly in files reads as it was written, at every length") {
  Fixture fixture;
  fixture.AddSeries(3);
  HeadLoader::Worker worker(&fixture.loader);
  for (int i = 0; i < 500; ++i) {
    for (size_t s = 0; s < 3; ++s) {
      fixture.Append(&worker, s, i);
      const Samples read = ReadAll(fixture.head, fixture.slots[s], &fixture.chunks);
      CHECK(read.damage.ok());
      REQUIRE(AreTheFirst(read.samples, s, i + 1));
    }
  }
}

TEST_CASE("What is in files does not stay in memory") {
  Fixture with_parts;
  with_parts.AddSeries(3000);
  HeadLoader::Worker worker(&with_parts.loader);
  for (size_t s = 0; s < 3000; ++s) {
    for (int i = 0; i < 100; ++i) with_parts.Append(&worker, s, i);
  }
  // A third of the series has about 700 bytes each, and another third 180.
  CHECK(with_parts.head.memory().table.open_chunks < 3000 * 160 + (600 << 10));
  CHECK(with_parts.head.chunk_parts().disk_bytes() > 1000 * 600);
}

TEST_CASE("An image with parts in files goes on in another head, with and without such files") {
  for (const int stop : {1, 60, 99, 119, 120, 121, 400}) {
    Fixture fixture;
    fixture.AddSeries(3);
    HeadLoader::Worker worker(&fixture.loader);
    Fixture with_parts;
    with_parts.AddSeries(3);
    FakeClock clock{FromTimestamp(kFrom)};
    Head whole({}, &clock);
    HeadLoader of_whole(&whole);
    for (size_t s = 0; s < 3; ++s) {
      for (int i = 0; i < stop; ++i) fixture.Append(&worker, s, i);
      SeriesImage image;
      REQUIRE(ReadSeriesImage(fixture.head, fixture.slots[s], &image).ok());
      for (const auto& [head, loader] :
           {std::pair(&with_parts.head, &with_parts.loader), std::pair(&whole, &of_whole)}) {
        const std::string number = std::to_string(s);
        const LabelView labels[] = {{"__name__", "m"}, {"i", number}};
        const Slot slot = loader->AddSeries(s + 1, labels).value();
        SeriesImage copy = image;
        for (SeriesImage::Chunk& chunk : copy.closed) {
          ChunkPins pins;
          chunk.place = head->chunk_files().Append(
              fixture.head.chunk_files().Read(chunk.place, &pins).value());
        }
        HeadLoader::Worker more(loader);
        const absl::Status restored = more.Restore(slot, copy);
        INFO(restored.ToString());
        REQUIRE(restored.ok());
        for (int i = stop; i < stop + 60; ++i) {
          more.Append(slot, kFrom + i * 15'000, ValueOf(s, i));
        }
        CHECK(AreTheFirst(ReadAll(*head, slot, &fixture.chunks).samples, s, stop + 60));
      }
    }
  }
}

TEST_CASE("Files of parts go when their chunks end, and when series go") {
  Fixture fixture;
  fixture.AddSeries(300);
  auto worker = std::make_unique<HeadLoader::Worker>(&fixture.loader);
  for (size_t s = 0; s < 300; ++s) {
    for (int i = 0; i < 110; ++i) fixture.Append(worker.get(), s, i);
  }
  REQUIRE(fixture.head.chunk_parts().Flush().ok());
  CHECK(fixture.head.chunk_parts().disk_bytes() > 0);
  // Of one half all chunks end; the others are truncated.
  for (size_t s = 0; s < 150; ++s) {
    for (int i = 110; i < 490; ++i) fixture.Append(worker.get(), s, i);
    for (int i = 490; i < 500; ++i) worker->Append(fixture.slots[s], kFrom + i * 15'000, 1);
  }
  fixture.loader.TruncateBefore(kFrom + 120 * 15'000, 0);
  for (size_t s = 0; s < 150; ++s) {
    for (int i = 500; i < 700; ++i) worker->Append(fixture.slots[s], kFrom + i * 15'000, 1);
  }
  worker.reset();
  fixture.loader.TruncateBefore(kFrom + 10'000 * 15'000, 0);
  const absl::StatusOr<std::vector<std::string>> left = fixture.fs.List(kParts);
  REQUIRE(left.ok());
  CHECK(left->empty());
}

TEST_CASE("While parts cannot be written they stay in memory, and nothing is lost") {
  Fixture fixture;
  fixture.AddSeries(600);
  HeadLoader::Worker worker(&fixture.loader);
  fixture.fs.FailFrom(fixture.fs.operations() + 1, ResourceExhausted("full"));
  for (size_t s = 0; s < 600; ++s) {
    for (int i = 0; i < 200; ++i) fixture.Append(&worker, s, i);
  }
  CHECK(fixture.head.chunk_parts().counters().writes_failed > 0);
  CHECK(fixture.head.chunk_parts().disk_bytes() == 0);
  for (size_t s = 0; s < 600; s += 50) {
    CHECK(AreTheFirst(ReadAll(fixture.head, fixture.slots[s], &fixture.chunks).samples, s, 200));
  }
  fixture.fs.FailFrom(0, absl::OkStatus());
  REQUIRE(fixture.head.chunk_parts().Flush().ok());
  CHECK(fixture.head.chunk_parts().disk_bytes() > 0);
  for (size_t s = 0; s < 600; s += 50) {
    CHECK(AreTheFirst(ReadAll(fixture.head, fixture.slots[s], &fixture.chunks).samples, s, 200));
  }
}

TEST_CASE("Readers see whole chunks while they grow, lose parts and end") {
  Fixture fixture;
  fixture.AddSeries(2);
  std::atomic<int> written{0};
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  Thread writer("writer", [&] {
    HeadLoader::Worker worker(&fixture.loader);
    for (int i = 0; i < 4800; ++i) {
      for (size_t s = 0; s < 2; ++s) fixture.Append(&worker, s, i);
      written = i + 1;
    }
    done = true;
  });
  SeriesChunks chunks;
  while (!done) {
    for (size_t s = 0; s < 2; ++s) {
      const int before = written;
      const Samples read = ReadAll(fixture.head, fixture.slots[s], &chunks);
      const int count = static_cast<int>(read.samples.size());
      if (!read.damage.ok() || count < before || !AreTheFirst(read.samples, s, count)) ++wrong;
    }
  }
  writer.Join();
  CHECK(wrong == 0);
}

TEST_CASE("A part that is damaged is said to readers, and a restart reads it from the log") {
  DbFixture fixture;
  fixture.Open();
  const Labels labels = Labels::FromPairs({{"__name__", "m"}});
  const auto append = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      fixture.Append(labels, kStart + i * 15'000, ValueOf(0, i));
      fixture.clock.Advance(absl::Seconds(15));
    }
  };
  append(0, 60);
  const SeriesMap before = fixture.SelectAll();
  REQUIRE(fixture.db->head().chunk_parts().Flush().ok());
  fixture.fs.Corrupt(StrCat(kParts, "/000001"), 80, 0x10);
  fixture.db->head().chunk_parts().Unmap();
  const Slot slot = fixture.db->head().index().Select({}).front();
  SeriesChunks chunks;
  CHECK(!ReadAll(fixture.db->head(), slot, &chunks).damage.ok());
  SeriesImage image;
  CHECK(!ReadSeriesImage(fixture.db->head(), slot, &image).ok());
  // Also when the chunk has ended; what came later is there.
  append(60, 400);
  const Samples read = ReadAll(fixture.db->head(), slot, &chunks);
  CHECK(!read.damage.ok());
  CHECK(!fixture.db->SnapshotHead().ok());
  CHECK(read.samples.size() > 200);
  CHECK(read.samples.size() < 400);
  fixture.Open();
  const SeriesMap after = fixture.SelectAll();
  REQUIRE(after.size() == 1);
  CHECK(after.begin()->second.size() == 400);
  CHECK(std::equal(before.begin()->second.begin(), before.begin()->second.end(),
                   after.begin()->second.begin()));
}

TEST_CASE("Closed chunks are what was added, also those of strange times and places") {
  ClosedChunks chunks;
  std::vector<std::pair<uint32_t, ClosedChunk>> expected;
  const auto place = [](uint64_t file, uint64_t offset) { return file << 32 | offset; };
  const ClosedChunk added[] = {
      {place(1, 8), kFrom, kFrom + 1'800'000},
      {place(1, (1 << 27) - 1), kFrom - 1'000'000, kFrom - 1'000'000},
      {place(1, 1 << 27), kFrom, kFrom + 1},
      {place(1, 100), kFrom, kFrom + (1 << 23) - 1},
      {place(1, 101), kFrom, kFrom + (1 << 23)},
      {place(1, 102), kFrom + (int64_t{1} << 31) - 1, kFrom + (int64_t{1} << 31)},
      {place(1, 103), kFrom + (int64_t{1} << 31), kFrom + (int64_t{1} << 31)},
      {place(1, 104), kFrom - (int64_t{1} << 31), kFrom},
      {place(UINT32_MAX, UINT32_MAX), kMinTimestamp / 4, kMaxTimestamp / 4},
      {0, kFrom, kFrom + 10},
  };
  uint32_t previous = ClosedChunks::kNone;
  for (const ClosedChunk& chunk : added) {
    const uint32_t number = chunks.Add(chunk, previous);
    CHECK(number != ClosedChunks::kNone);
    CHECK(chunks.Previous(number) == previous);
    expected.emplace_back(number, chunk);
    previous = number;
  }
  // More files than have numbers at once.
  for (uint64_t file = 2; file < 5000; ++file) {
    const ClosedChunk chunk{place(file, file), kFrom + static_cast<int64_t>(file), kFrom + 10'000};
    expected.emplace_back(chunks.Add(chunk, ClosedChunks::kNone), chunk);
  }
  // Files come and go while others stay.
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    const size_t at = random() % expected.size();
    if (round % 2 == 0) {
      chunks.Free(expected[at].first);
      expected.erase(expected.begin() + static_cast<ptrdiff_t>(at));
    } else {
      const ClosedChunk chunk{place(5000 + random() % 6000, random() % (1 << 20)),
                              kFrom + round * 100'000, kFrom + round * 100'000 + 99};
      expected.emplace_back(chunks.Add(chunk, ClosedChunks::kNone), chunk);
    }
  }
  for (const auto& [number, chunk] : expected) {
    const ClosedChunk got = chunks.Get(number);
    REQUIRE(got.place == chunk.place);
    REQUIRE(got.min_time == chunk.min_time);
    REQUIRE(got.max_time == chunk.max_time);
  }
}

}  // namespace
}  // namespace narthex::tsdb
