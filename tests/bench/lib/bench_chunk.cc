// What a histogram costs to append to a chunk and to decode from one, and a float with a start
// timestamp, for the shapes that a real server has.
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "lib/chunkenc/chunk_writer.h"
#include "tests/support/bench.h"

namespace {

using narthex::FloatHistogram;
using narthex::Histogram;
using narthex::SampleBuffer;
using narthex::Timestamp;
using narthex::chunkenc::ChunkWriter;
using narthex::chunkenc::FinishedChunk;

constexpr size_t kSeries = 50;
constexpr size_t kSamples = 120;

// A counter of latencies: 40 buckets, of which a few grow with each sample.
std::vector<SampleBuffer> MakeHistograms(bool floats) {
  std::mt19937_64 random(42);
  std::vector<SampleBuffer> series(kSeries);
  for (SampleBuffer& samples : series) {
    Histogram histogram;
    histogram.schema = 3;
    histogram.positive_spans = {{-10, 20}, {3, 20}};
    std::vector<int64_t> counts(40, 100);
    histogram.positive_deltas.resize(counts.size());
    Timestamp timestamp = 1700000000000;
    for (size_t i = 0; i < kSamples; ++i, timestamp += 15000 + random() % 5) {
      for (int n = 0; n < 30; ++n) ++counts[(random() % 6) * (random() % 7)];
      histogram.count = 0;
      int64_t previous = 0;
      for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
        histogram.positive_deltas[bucket] = counts[bucket] - previous;
        previous = counts[bucket];
        histogram.count += static_cast<uint64_t>(counts[bucket]);
      }
      histogram.sum += 0.25 * static_cast<double>(random() % 100);
      if (floats) {
        samples.AppendFloatHistogram(timestamp, narthex::ToFloat(histogram));
      } else {
        samples.AppendHistogram(timestamp, histogram);
      }
    }
  }
  return series;
}

std::vector<SampleBuffer> MakeFloats() {
  std::mt19937_64 random(42);
  std::vector<SampleBuffer> series(kSeries);
  for (SampleBuffer& samples : series) {
    Timestamp timestamp = 1700000000000;
    for (size_t i = 0; i < kSamples; ++i, timestamp += 15000 + random() % 5) {
      samples.Append(timestamp, 1000.0 * static_cast<double>(i) + random() % 1000);
      samples.SetStartTimestamp(1690000000000);
    }
  }
  return series;
}

void BenchSeries(const char* name, const std::vector<SampleBuffer>& series, bool starts) {
  ChunkWriter writer({kSamples, starts});
  std::vector<FinishedChunk> chunks;
  size_t bytes = 0;
  for (const SampleBuffer& samples : series) {
    writer.AppendAll(samples);
    for (FinishedChunk& chunk : writer.Finish()) {
      bytes += chunk.bytes.size();
      chunks.push_back(std::move(chunk));
    }
  }
  const size_t samples = kSeries * kSamples;
  std::printf("%s: %.2f bytes a sample\n", name,
              static_cast<double>(bytes) / static_cast<double>(samples));
  narthex::testing::RunBench("  append", samples, [&] {
    for (const SampleBuffer& one : series) {
      writer.AppendAll(one);
      narthex::testing::KeepAlive(writer.Finish().size());
    }
  });
  SampleBuffer buffer;
  narthex::testing::RunBench("  decode", samples, [&] {
    for (const FinishedChunk& chunk : chunks) {
      buffer.Clear();
      const auto status = DecodeChunk(chunk.encoding, chunk.bytes, SIZE_MAX, narthex::kMinTimestamp,
                                      narthex::kMaxTimestamp, &buffer);
      narthex::testing::KeepAlive(status.ok());
      narthex::testing::KeepAlive(buffer.values().data());
    }
  });
}

}  // namespace

int main() {
  BenchSeries("histograms of 40 buckets", MakeHistograms(/*floats=*/false), /*starts=*/false);
  BenchSeries("float histograms of 40 buckets", MakeHistograms(/*floats=*/true), /*starts=*/false);
  BenchSeries("floats with a start timestamp", MakeFloats(), /*starts=*/true);
  return 0;
}
