// A head that is filled from images and samples is the one that they were taken from.
#include "services/storage/tsdb/head_loader.h"

#include <random>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/head_reader.h"
#include "tests/support/fake_clock.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kFrom = 1'700'006'400'000;

Histogram SomeHistogram(int i) {
  Histogram histogram;
  histogram.positive_spans = {{0, 2}};
  histogram.positive_deltas = {i, 1};
  histogram.count = static_cast<uint64_t>(2 * i + 1);
  histogram.sum = i;
  return histogram;
}

// Sample number i of a series, whose kind the series tells.
void AppendNumber(HeadLoader::Worker* worker, Slot slot, size_t series, int i) {
  const Timestamp at = kFrom + i * 15'000 + static_cast<Timestamp>(series);
  if (series % 4 == 3) {
    worker->Append(slot, at, SomeHistogram(i));
  } else {
    worker->Append(slot, at, series % 4 == 0 ? 1.0 : i * 0.1 * static_cast<double>(series));
  }
}

SampleBuffer ReadAll(const Head& head, Slot slot) {
  const HeadReader reader(&head);
  SeriesChunks chunks;
  SampleBuffer samples;
  if (!reader.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, &chunks)) return samples;
  REQUIRE(chunks.damage.ok());
  for (const storage::SelectChunk& chunk : chunks.chunks) {
    REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples, kMinTimestamp,
                                  kMaxTimestamp, &samples)
                .ok());
  }
  return samples;
}

std::vector<Slot> AddSeries(HeadLoader* loader, size_t count) {
  std::vector<Slot> slots;
  for (size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    const LabelView labels[] = {{"__name__", "m"}, {"i", number}};
    const auto slot = loader->AddSeries(i + 1, labels);
    REQUIRE(slot.ok());
    slots.push_back(*slot);
  }
  return slots;
}

void CheckSameSamples(const SampleBuffer& a, const SampleBuffer& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a.timestamps()[i] == b.timestamps()[i]);
    REQUIRE(a.values()[i] == b.values()[i]);
    REQUIRE(a.kind(i) == b.kind(i));
  }
}

TEST_CASE("A restored series goes on as if it had never stopped") {
  FakeClock clock{FromTimestamp(kFrom)};
  constexpr size_t kSeries = 8;
  // Stops at every point of a chunk's life.
  for (int stop = 0; stop < 500; stop += 7) {
    Head head({}, &clock);
    Head copy({}, &clock);
    HeadLoader loader(&head);
    HeadLoader copies(&copy);
    const std::vector<Slot> slots = AddSeries(&loader, kSeries);
    REQUIRE(AddSeries(&copies, kSeries) == slots);
    HeadLoader::Worker worker(&loader);
    HeadLoader::Worker other(&copies);
    for (size_t s = 0; s < kSeries; ++s) {
      for (int i = 0; i < stop; ++i) AppendNumber(&worker, slots[s], s, i);
      SeriesImage image;
      REQUIRE(ReadSeriesImage(head, slots[s], &image).ok());
      // The copy has the closed chunks in files of its own.
      for (SeriesImage::Chunk& chunk : image.closed) {
        ChunkPins pins;
        const auto read = head.chunk_files().Read(chunk.place, &pins);
        REQUIRE(read.ok());
        chunk.place = copy.chunk_files().Append(*read);
      }
      const absl::Status restored = other.Restore(slots[s], image);
      INFO(restored.ToString());
      REQUIRE(restored.ok());
    }
    for (size_t s = 0; s < kSeries; ++s) {
      CheckSameSamples(ReadAll(copy, slots[s]), ReadAll(head, slots[s]));
      for (int i = stop; i < stop + 40; ++i) {
        AppendNumber(&worker, slots[s], s, i);
        AppendNumber(&other, slots[s], s, i);
      }
      // What was there before is left out.
      if (stop > 0) AppendNumber(&other, slots[s], s, stop - 1);
      CheckSameSamples(ReadAll(copy, slots[s]), ReadAll(head, slots[s]));
    }
    CHECK(copy.table().chunks() == head.table().chunks());
    CHECK(other.counts().repeated == (stop > 0 ? kSeries : 0));
  }
}

TEST_CASE("An image that is damaged is an error, never a crash") {
  FakeClock clock{FromTimestamp(kFrom)};
  Head head({}, &clock);
  HeadLoader loader(&head);
  const std::vector<Slot> slots = AddSeries(&loader, 4);
  {
    HeadLoader::Worker worker(&loader);
    for (size_t s = 0; s < 4; ++s) {
      for (int i = 0; i < 20; ++i) AppendNumber(&worker, slots[s], s, i);
    }
  }
  std::mt19937 random(3);
  for (size_t s = 0; s < 4; ++s) {
    SeriesImage image;
    REQUIRE(ReadSeriesImage(head, slots[s], &image).ok());
    for (int round = 0; round < 500; ++round) {
      SeriesImage bad = image;
      OpenChunkImage& open = bad.open;
      open.bytes[random() % open.bytes.size()] ^= static_cast<char>(1 + random() % 255);
      if (round % 3 == 0) open.bytes.resize(random() % open.bytes.size());
      if (round % 7 == 0) open.encoding = static_cast<chunkenc::Encoding>(random() % 8);
      // Without a state it is found by decoding; else that is believed, as far as it is possible.
      if (round % 2 == 0) open.state.count = 0;
      if (round % 5 == 0) open.state.leading = static_cast<uint8_t>(random());
      if (round % 5 == 0) open.state.trailing = static_cast<uint8_t>(random());
      Head other({}, &clock);
      HeadLoader into(&other);
      const std::vector<Slot> there = AddSeries(&into, 1);
      HeadLoader::Worker worker(&into);
      if (worker.Restore(there[0], bad).ok()) {
        for (int i = 20; i < 30; ++i) AppendNumber(&worker, there[0], s, i);
      }
    }
  }
}

TEST_CASE("Workers beside each other fill the head as one would") {
  FakeClock clock{FromTimestamp(kFrom)};
  constexpr size_t kSeries = 400;
  constexpr int kSamples = 300;
  Head head({}, &clock);
  Head alone({}, &clock);
  HeadLoader loader(&head);
  HeadLoader one(&alone);
  const std::vector<Slot> slots = AddSeries(&loader, kSeries);
  AddSeries(&one, kSeries);
  {
    std::vector<Thread> threads;
    for (size_t t = 0; t < 3; ++t) {
      threads.emplace_back("worker", [&, t] {
        HeadLoader::Worker worker(&loader);
        for (int i = 0; i < kSamples; ++i) {
          for (size_t s = t; s < kSeries; s += 3) AppendNumber(&worker, slots[s], s, i);
        }
      });
    }
  }
  {
    HeadLoader::Worker worker(&one);
    for (size_t s = 0; s < kSeries; ++s) {
      for (int i = 0; i < kSamples; ++i) AppendNumber(&worker, slots[s], s, i);
    }
  }
  for (const Slot slot : slots) CheckSameSamples(ReadAll(head, slot), ReadAll(alone, slot));
  CHECK(head.min_time() == alone.min_time());
  CHECK(head.max_time() == alone.max_time());
  CHECK(head.table().chunks() == alone.table().chunks());
}

TEST_CASE("Chunks of the disk come before samples, which they stand for") {
  FakeClock clock{FromTimestamp(kFrom)};
  Head head({}, &clock);
  HeadLoader loader(&head);
  const Slot slot = AddSeries(&loader, 1)[0];
  const auto chunk = [&](Timestamp min_time, Timestamp max_time) {
    HeadChunk made;
    made.reference = 1;
    made.min_time = min_time;
    made.max_time = max_time;
    made.bytes = std::string_view("\0\0", 2);
    made.place = head.chunk_files().Append(made);
    return made;
  };
  CHECK(loader.AddChunk(slot, chunk(kFrom, kFrom + 10)));
  CHECK(!loader.AddChunk(slot, chunk(kFrom + 10, kFrom + 20)));
  CHECK(!loader.AddChunk(slot, chunk(kFrom - 10, kFrom - 5)));
  CHECK(loader.AddChunk(slot, chunk(kFrom + 11, kFrom + 20)));
  const ChunkPlace loaded = head.chunk_files().end();
  {
    HeadLoader::Worker worker(&loader);
    worker.Append(slot, kFrom + 20, 1.0);
    worker.Append(slot, kFrom + 21, 1.0);
    CHECK(worker.counts().samples == 1);
    CHECK(worker.counts().repeated == 1);
  }
  CHECK(!loader.AddChunk(slot, chunk(kFrom + 30, kFrom + 40)));
  CHECK(head.table().chunks() == 3);
  CHECK(head.min_time() == kFrom);
  CHECK(head.max_time() == kFrom + 21);
  // What was loaded from files was looked through before, so only what came since goes.
  loader.TruncateBefore(kFrom + 50, loaded);
  CHECK(head.table().chunks() == 2);
  CHECK(head.table().size() == 1);
  loader.TruncateBefore(kFrom + 15, 0);
  CHECK(head.table().chunks() == 1);
  CHECK(head.truncated_before() == kFrom + 15);
}

}  // namespace
}  // namespace narthex::tsdb
