// What a sample costs to append to an XOR chunk and to decode from one, for the shapes that
// dominate a real server.
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "lib/chunkenc/xor_chunk.h"
#include "lib/model/sample.h"
#include "tests/support/bench.h"

namespace {

using narthex::Sample;
using narthex::SampleBuffer;
using narthex::Timestamp;

constexpr size_t kChunkSamples = 120;
constexpr size_t kChunks = 1000;

struct Shape {
  const char* name;
  // Timestamps move from the tick by up to this much.
  int jitter_ms;
  std::function<double(size_t, std::mt19937_64&)> value;
};

struct EncodedChunk {
  std::vector<uint8_t> bytes;
  size_t size = 0;
};

std::vector<std::vector<Sample>> MakeSeries(const Shape& shape) {
  std::mt19937_64 random(42);
  std::vector<std::vector<Sample>> series(kChunks);
  for (auto& samples : series) {
    Timestamp tick = 1700000000000;
    const size_t start = random() % 1000000;
    for (size_t i = 0; i < kChunkSamples; ++i, tick += 15000) {
      const int jitter =
          shape.jitter_ms == 0 ? 0 : static_cast<int>(random() % (2 * shape.jitter_ms));
      samples.push_back({tick + jitter, shape.value(start + i, random)});
    }
  }
  return series;
}

EncodedChunk Encode(const std::vector<Sample>& samples) {
  EncodedChunk chunk;
  chunk.bytes.resize(samples.size() * narthex::chunkenc::kXorSampleBytesMax);
  narthex::chunkenc::XorState state;
  for (const Sample& sample : samples) {
    narthex::chunkenc::XorAppend(&state, chunk.bytes.data(), &chunk.size, sample.timestamp,
                                 sample.value);
  }
  return chunk;
}

void BenchShape(const Shape& shape) {
  const auto series = MakeSeries(shape);
  std::vector<EncodedChunk> chunks;
  size_t bytes = 0;
  for (const auto& samples : series) {
    chunks.push_back(Encode(samples));
    bytes += chunks.back().size;
  }
  const size_t samples = kChunks * kChunkSamples;
  std::printf("%s: %.2f bytes a sample\n", shape.name,
              static_cast<double>(bytes) / static_cast<double>(samples));
  std::vector<uint8_t> place(kChunkSamples * narthex::chunkenc::kXorSampleBytesMax);
  narthex::testing::RunBench("  append", samples, [&] {
    for (const auto& one : series) {
      narthex::chunkenc::XorState state;
      size_t size = 0;
      for (const Sample& sample : one) {
        narthex::chunkenc::XorAppend(&state, place.data(), &size, sample.timestamp, sample.value);
      }
      narthex::testing::KeepAlive(size);
    }
  });
  SampleBuffer buffer;
  narthex::testing::RunBench("  decode", samples, [&] {
    for (const EncodedChunk& chunk : chunks) {
      buffer.Clear();
      const auto status = narthex::chunkenc::XorDecode(
          {reinterpret_cast<const char*>(chunk.bytes.data()), chunk.size}, SIZE_MAX,
          narthex::kMinTimestamp, narthex::kMaxTimestamp, &buffer);
      narthex::testing::KeepAlive(status.ok());
      narthex::testing::KeepAlive(buffer.values().data());
    }
  });
}

}  // namespace

int main() {
  const std::vector<Shape> shapes = {
      {"constant", 0, [](size_t, std::mt19937_64&) { return 1.0; }},
      {"counter, regular", 0, [](size_t i, std::mt19937_64&) { return 7.0 * i; }},
      {"counter, random steps, 5 ms jitter", 5,
       [](size_t i, std::mt19937_64& random) { return 1000.0 * i + random() % 1000; }},
      {"gauge of bytes, 5 ms jitter", 5,
       [](size_t, std::mt19937_64& random) { return 4096.0 * (1000000 + random() % 1000); }},
      {"random doubles, 5 ms jitter", 5,
       [](size_t, std::mt19937_64& random) { return std::ldexp(random(), -60); }},
  };
  for (const Shape& shape : shapes) BenchShape(shape);
  return 0;
}
