#include "lib/chunkenc/chunk_writer.h"

#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"

namespace narthex::chunkenc {
namespace {

Histogram Counter(uint64_t count) {
  Histogram histogram;
  histogram.count = count;
  histogram.sum = static_cast<double>(count);
  histogram.positive_spans = {{0, 1}};
  histogram.positive_deltas = {static_cast<int64_t>(count)};
  return histogram;
}

SampleBuffer Decode(const std::vector<FinishedChunk>& chunks) {
  SampleBuffer out;
  for (const FinishedChunk& chunk : chunks) {
    REQUIRE(DecodeChunk(chunk.encoding, chunk.bytes, SIZE_MAX, kMinTimestamp, kMaxTimestamp, &out)
                .ok());
  }
  return out;
}

std::vector<Encoding> Encodings(const std::vector<FinishedChunk>& chunks) {
  std::vector<Encoding> encodings;
  for (const FinishedChunk& chunk : chunks) encodings.push_back(chunk.encoding);
  return encodings;
}

TEST_CASE("a chunk ends with its last sample that fits") {
  ChunkWriter writer;
  for (int i = 0; i < 241; ++i) writer.Append(15000 * i, i * 0.5);
  const std::vector<FinishedChunk> chunks = writer.Finish();
  REQUIRE(chunks.size() == 3);
  CHECK(chunks[0].samples == 120);
  CHECK(chunks[1].samples == 120);
  CHECK(chunks[2].samples == 1);
  CHECK(chunks[0].min_time == 0);
  CHECK(chunks[0].max_time == 15000 * 119);
  CHECK(chunks[2].min_time == 15000 * 240);
  const SampleBuffer samples = Decode(chunks);
  REQUIRE(samples.size() == 241);
  for (int i = 0; i < 241; ++i) CHECK(samples.values()[static_cast<size_t>(i)] == i * 0.5);
}

TEST_CASE("another kind of sample begins another chunk") {
  ChunkWriter writer;
  writer.Append(1, 1.0);
  writer.Append(2, 2.0);
  writer.Append(3, Counter(1));
  writer.Append(4, Counter(2));
  writer.Append(5, ToFloat(Counter(3)));
  writer.Append(6, 3.0);
  const std::vector<FinishedChunk> chunks = writer.Finish();
  CHECK(Encodings(chunks) == std::vector<Encoding>{Encoding::kXor, Encoding::kHistogram,
                                                   Encoding::kFloatHistogram, Encoding::kXor});
  const SampleBuffer samples = Decode(chunks);
  REQUIRE(samples.size() == 6);
  CHECK(samples.kind(0) == SampleKind::kFloat);
  CHECK(samples.kind(2) == SampleKind::kHistogram);
  CHECK(samples.kind(4) == SampleKind::kFloatHistogram);
  CHECK(samples.kind(5) == SampleKind::kFloat);
  CHECK(samples.histogram(3).count == 2);
  CHECK(samples.float_histogram(4).count == 3);
  CHECK(samples.values()[5] == 3);
}

TEST_CASE("a counter reset begins another chunk, whose header says so") {
  ChunkWriter writer;
  for (const uint64_t count : {1, 5, 2, 3}) {
    writer.Append(static_cast<Timestamp>(10 * count + (count == 2 || count == 3 ? 1000 : 0)),
                  Counter(count));
  }
  const std::vector<FinishedChunk> chunks = writer.Finish();
  REQUIRE(chunks.size() == 2);
  CHECK(static_cast<uint8_t>(chunks[0].bytes[2]) == static_cast<uint8_t>(ResetHeader::kUnknown));
  CHECK(static_cast<uint8_t>(chunks[1].bytes[2]) == static_cast<uint8_t>(ResetHeader::kReset));
  CHECK(chunks[1].min_time == 1020);
  CHECK(chunks[1].samples == 2);
}

TEST_CASE("start timestamps choose the encodings that keep them") {
  ChunkWriter writer({120, true});
  SampleBuffer samples;
  samples.Append(1000, 1);
  samples.SetStartTimestamp(500);
  samples.Append(2000, 2);
  samples.SetStartTimestamp(500);
  samples.AppendHistogram(3000, Counter(1));
  samples.SetStartTimestamp(2500);
  samples.AppendFloatHistogram(4000, ToFloat(Counter(2)));
  samples.Append(5000, StaleNan());
  writer.AppendAll(samples);
  const std::vector<FinishedChunk> chunks = writer.Finish();
  CHECK(Encodings(chunks) == std::vector<Encoding>{Encoding::kXor2, Encoding::kHistogramSt,
                                                   Encoding::kFloatHistogramSt, Encoding::kXor2});
  const SampleBuffer decoded = Decode(chunks);
  CHECK(std::vector<Timestamp>(decoded.start_timestamps().begin(),
                               decoded.start_timestamps().end()) ==
        std::vector<Timestamp>{500, 500, 2500, 0, 0});
  CHECK(IsStale(decoded.values().back()));
}

TEST_CASE("a writer begins anew for the next series") {
  ChunkWriter writer;
  writer.Append(10, Counter(5));
  CHECK(writer.Finish().size() == 1);
  // Neither older timestamps nor smaller counts say anything here.
  writer.Append(5, Counter(1));
  const std::vector<FinishedChunk> chunks = writer.Finish();
  REQUIRE(chunks.size() == 1);
  CHECK(static_cast<uint8_t>(chunks[0].bytes[2]) == static_cast<uint8_t>(ResetHeader::kUnknown));
  CHECK(writer.Finish().empty());
}

TEST_CASE("a cut ends a chunk early") {
  ChunkWriter writer;
  writer.Cut();
  writer.Append(1, 1.0);
  writer.Cut();
  writer.Cut();
  writer.Append(2, 1.0);
  CHECK(writer.Finish().size() == 2);
}

TEST_CASE("a chunk takes as many samples as its header can count") {
  for (const bool starts : {false, true}) {
    ChunkWriter writer({SIZE_MAX, starts});
    for (int i = 0; i < 70000; ++i) writer.Append(i + 1, Counter(1), starts ? 1 : 0);
    const std::vector<FinishedChunk> chunks = writer.Finish();
    CHECK(chunks[0].samples == (starts ? kHistogramStCountMax : 65535));
    size_t total = 0;
    for (const FinishedChunk& chunk : chunks) {
      CHECK(ChunkSampleCount(chunk.encoding, chunk.bytes) == chunk.samples);
      total += chunk.samples;
    }
    CHECK(total == 70000);
    CHECK(Decode(chunks).size() == 70000);
  }
}

}  // namespace
}  // namespace narthex::chunkenc
