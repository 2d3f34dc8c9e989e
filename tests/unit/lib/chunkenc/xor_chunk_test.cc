#include "lib/chunkenc/xor_chunk.h"

#include <bit>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/sample.h"
#include "lib/model/stale.h"
#include "tests/unit/lib/chunkenc/golden_chunks.h"

namespace narthex::chunkenc {
namespace {

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

// An open chunk in a buffer of the size that the contract asks for, so that a sanitizer sees any
// byte beyond it.
class OpenChunk {
 public:
  OpenChunk() = default;
  explicit OpenChunk(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {
    size_ = bytes.size();
    REQUIRE(XorResume(bytes, &state_).ok());
  }
  void Append(const Sample& sample) {
    std::vector<uint8_t> grown(size_ + kXorSampleBytesMax, 0xAA);
    std::copy(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_), grown.begin());
    bytes_ = std::move(grown);
    XorAppend(&state_, bytes_.data(), &size_, sample.timestamp, sample.value);
  }
  std::string bytes() const {
    return std::string(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  }
  const XorState& state() const { return state_; }

 private:
  XorState state_;
  std::vector<uint8_t> bytes_;
  size_t size_ = 0;
};

std::string Encode(const std::vector<Sample>& samples) {
  OpenChunk chunk;
  for (const Sample& sample : samples) chunk.Append(sample);
  return chunk.bytes();
}

absl::Status DecodeAll(std::string_view bytes, SampleBuffer* out) {
  return XorDecode(bytes, SIZE_MAX, kMinTimestamp, kMaxTimestamp, out);
}

void CheckSame(const SampleBuffer& decoded, const std::vector<Sample>& samples) {
  REQUIRE(decoded.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    CHECK(decoded.timestamps()[i] == samples[i].timestamp);
    CHECK(std::bit_cast<uint64_t>(decoded.values()[i]) ==
          std::bit_cast<uint64_t>(samples[i].value));
  }
}

// Samples of all the shapes that the encoding tells apart.
std::vector<Sample> RandomSamples(std::mt19937_64* random, size_t count) {
  std::vector<Sample> samples;
  Timestamp timestamp = static_cast<Timestamp>((*random)() % 2000000000000) - 1000000000000;
  int64_t interval = 15000;
  double value = 1;
  for (size_t i = 0; i < count; ++i) {
    samples.push_back({timestamp, value});
    switch ((*random)() % 8) {
      case 0:
        interval += static_cast<int64_t>((*random)() % 20);
        break;
      case 1:
        interval = static_cast<int64_t>((*random)() % 10000) + 1;
        break;
      case 2:
        interval = static_cast<int64_t>((*random)() % 3000000) + 1;
        break;
      case 3:
        interval = static_cast<int64_t>((*random)() % (uint64_t{1} << 40)) + 1;
        break;
      default:
        break;
    }
    timestamp += interval;
    switch ((*random)() % 8) {
      case 0:
        value += 1;
        break;
      case 1:
        value = std::bit_cast<double>((*random)());
        break;
      case 2:
        value = StaleNan();
        break;
      case 3:
        value = static_cast<double>((*random)() % 1000000);
        break;
      case 4:
        value = std::bit_cast<double>(std::bit_cast<uint64_t>(value) ^ ((*random)() & 0xff00));
        break;
      default:
        break;
    }
  }
  return samples;
}

TEST_CASE("chunks are bit for bit those of Prometheus") {
  for (const GoldenChunk& golden : GoldenChunks()) {
    INFO(golden.name);
    std::vector<Sample> samples;
    for (const auto& [timestamp, bits] : golden.samples) {
      samples.push_back({timestamp, std::bit_cast<double>(bits)});
    }
    // This version leaves a zero byte behind samples that end with a byte; later ones do not, and
    // we do not.
    const std::string hex = ToHex(Encode(samples));
    CHECK((golden.hex == hex || golden.hex == hex + "00"));
    OpenChunk resumed(FromHex(golden.hex));
    const Sample next = {samples.back().timestamp + 1000, 17};
    resumed.Append(next);
    SampleBuffer decoded;
    REQUIRE(DecodeAll(FromHex(golden.hex), &decoded).ok());
    CheckSame(decoded, samples);
    decoded.Clear();
    REQUIRE(DecodeAll(resumed.bytes(), &decoded).ok());
    samples.push_back(next);
    CheckSame(decoded, samples);
  }
}

TEST_CASE("a chunk has the bytes of format.md") {
  CHECK(ToHex(Encode({{1000, 1}, {2000, 2}, {3005, 2}})) ==
        "0003d00f3ff0000000000000e807c25fff800500");
}

TEST_CASE("what is encoded decodes to the same, at every length") {
  std::mt19937_64 random(1);
  for (size_t count = 0; count < 60; ++count) {
    for (int round = 0; round < 20; ++round) {
      const std::vector<Sample> samples = RandomSamples(&random, count);
      const std::string bytes = Encode(samples);
      CHECK(XorSampleCount(bytes) == count);
      SampleBuffer decoded;
      if (count == 0) continue;  // An empty chunk has no bytes yet.
      REQUIRE(DecodeAll(bytes, &decoded).ok());
      CheckSame(decoded, samples);
    }
  }
}

TEST_CASE("a chunk takes 65535 samples") {
  std::vector<Sample> samples;
  for (int i = 0; i < 65535; ++i) samples.push_back({i * 15000, 1});
  std::vector<uint8_t> bytes(65535 + kXorSampleBytesMax);
  XorState state;
  size_t size = 0;
  for (const Sample& sample : samples) {
    XorAppend(&state, bytes.data(), &size, sample.timestamp, sample.value);
  }
  SampleBuffer decoded;
  REQUIRE(DecodeAll({reinterpret_cast<const char*>(bytes.data()), size}, &decoded).ok());
  CHECK(decoded.size() == 65535);
  CHECK(decoded.timestamps().back() == 65534 * 15000);
}

TEST_CASE("no sample takes more bytes than promised") {
  const Timestamp far = std::numeric_limits<Timestamp>::max() - 2;
  const std::vector<Sample> samples = {
      {kMinTimestamp, std::bit_cast<double>(uint64_t{0x8000000000000001})},
      {0, std::bit_cast<double>(uint64_t{0x0000000000000002})},
      {far - 1, std::bit_cast<double>(uint64_t{0xffffffffffffffff})},
      {far, std::bit_cast<double>(uint64_t{1})},
      {far + 1, std::bit_cast<double>(uint64_t{0x8000000000000001})},
  };
  OpenChunk chunk;
  size_t size = 0;
  for (const Sample& sample : samples) {
    chunk.Append(sample);
    CHECK(chunk.bytes().size() - size <= 20);
    size = chunk.bytes().size();
  }
  SampleBuffer decoded;
  REQUIRE(DecodeAll(chunk.bytes(), &decoded).ok());
  CheckSame(decoded, samples);
}

TEST_CASE("an open chunk goes on from its bytes") {
  std::mt19937_64 random(2);
  for (size_t split = 1; split < 40; ++split) {
    const std::vector<Sample> samples = RandomSamples(&random, 40);
    OpenChunk whole;
    OpenChunk part;
    for (size_t i = 0; i < split; ++i) {
      whole.Append(samples[i]);
      part.Append(samples[i]);
    }
    OpenChunk resumed(part.bytes());
    CHECK(resumed.state().count == split);
    CHECK(resumed.state().free_bits == part.state().free_bits);
    for (size_t i = split; i < samples.size(); ++i) {
      whole.Append(samples[i]);
      resumed.Append(samples[i]);
    }
    SampleBuffer decoded;
    REQUIRE(DecodeAll(resumed.bytes(), &decoded).ok());
    CheckSame(decoded, samples);
    // Only where no value had set a window may the bytes differ: a resumed chunk then uses the one
    // of 64 bits.
    if (part.state().window) CHECK(resumed.bytes() == whole.bytes());
  }
}

TEST_CASE(
    "a chunk resumed before any window was set uses the window of 64 bits, as upstream does") {
  // Two equal values set no window; a decoder that starts without one could not read what follows.
  OpenChunk chunk(Encode({{1000, 3}, {2000, 3}}));
  CHECK(chunk.state().window);
  CHECK(chunk.state().leading == 0);
  CHECK(chunk.state().trailing == 0);
  chunk.Append({3000, 4});
  // 1 + 2 + 64 bits, the first of them in the byte that holds the one bit of the second value.
  CHECK(chunk.bytes().size() == Encode({{1000, 3}, {2000, 3}}).size() + 8);
  SampleBuffer decoded;
  REQUIRE(DecodeAll(chunk.bytes(), &decoded).ok());
  CheckSame(decoded, {{1000, 3}, {2000, 3}, {3000, 4}});
}

TEST_CASE("decoding keeps to the time range and to the number of samples") {
  std::vector<Sample> samples;
  for (int i = 0; i < 30; ++i) samples.push_back({1000 * i, i * 1.5});
  const std::string bytes = Encode(samples);
  struct Case {
    size_t samples_max;
    Timestamp min_time, max_time;
    int first, last;  // Inclusive; first > last is none.
  };
  const Case cases[] = {
      {SIZE_MAX, 0, 29000, 0, 29},
      {SIZE_MAX, 5000, 10000, 5, 10},
      {SIZE_MAX, 5001, 9999, 6, 9},
      {SIZE_MAX, -10, -1, 1, 0},
      {SIZE_MAX, 29001, 99999, 1, 0},
      {10, kMinTimestamp, kMaxTimestamp, 0, 9},
      {10, 8000, 20000, 8, 9},
      {0, kMinTimestamp, kMaxTimestamp, 1, 0},
      {1, 0, 0, 0, 0},
      {SIZE_MAX, 3000, 3000, 3, 3},
      {2, 1000, 1000, 1, 1},
      {SIZE_MAX, 10, 5, 1, 0},
  };
  for (const Case& c : cases) {
    INFO(c.samples_max << " samples within " << c.min_time << " to " << c.max_time);
    SampleBuffer out;
    out.Append(-1, -1);
    REQUIRE(XorDecode(bytes, c.samples_max, c.min_time, c.max_time, &out).ok());
    REQUIRE(static_cast<int>(out.size()) == 1 + (c.first > c.last ? 0 : c.last - c.first + 1));
    CHECK(out.timestamps()[0] == -1);
    for (size_t i = 1; i < out.size(); ++i) {
      CHECK(out.timestamps()[i] == 1000 * (c.first + static_cast<int>(i) - 1));
    }
  }
}

TEST_CASE("every truncation of a chunk is data loss") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    const std::vector<Sample> samples = RandomSamples(&random, 2 + round);
    const std::string bytes = Encode(samples);
    for (size_t size = 1; size < bytes.size(); ++size) {
      // In memory of its own, so that a sanitizer sees any byte read behind it.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      SampleBuffer out;
      XorState state;
      INFO("cut at " << size << " of " << bytes.size());
      CHECK(DecodeAll({cut.data(), cut.size()}, &out).code() == absl::StatusCode::kDataLoss);
      CHECK(out.empty());
      CHECK_FALSE(XorResume({cut.data(), cut.size()}, &state).ok());
    }
  }
}

TEST_CASE("a chunk with any bit flipped decodes to something or is data loss, and harms nobody") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 10; ++round) {
    const std::string bytes = Encode(RandomSamples(&random, 30));
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::vector<char> flipped(bytes.begin(), bytes.end());
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      SampleBuffer out;
      const absl::Status status = DecodeAll({flipped.data(), flipped.size()}, &out);
      if (!status.ok()) {
        CHECK(status.code() == absl::StatusCode::kDataLoss);
        CHECK(out.empty());
      }
      for (size_t i = 1; i < out.size(); ++i) CHECK(out.timestamps()[i] > out.timestamps()[i - 1]);
      XorState state;
      (void)XorResume({flipped.data(), flipped.size()}, &state);
    }
  }
}

TEST_CASE("a count that the bytes cannot hold is refused before memory is taken for it") {
  std::string bytes = Encode({{1000, 1}, {2000, 2}});
  bytes[0] = '\xff';
  SampleBuffer out;
  CHECK_FALSE(DecodeAll(bytes, &out).ok());
  CHECK(out.memory_bytes() == 0);
  CHECK_FALSE(DecodeAll("", &out).ok());
  CHECK_FALSE(DecodeAll("\x01", &out).ok());
  CHECK(XorSampleCount("\x01") == 0);
  // No sample is a chunk, too.
  CHECK(DecodeAll(std::string_view("\0\0", 2), &out).ok());
  CHECK(out.empty());
}

TEST_CASE("timestamps that do not grow are data loss") {
  for (const int64_t step : {0, -1, -100000}) {
    const std::string bytes = Encode({{1000, 1}, {2000, 2}, {2000 + step, 3}});
    SampleBuffer out;
    const absl::Status status = DecodeAll(bytes, &out);
    CHECK(status.code() == absl::StatusCode::kDataLoss);
    CHECK(out.empty());
  }
}

TEST_CASE("bytes behind the samples keep a chunk from being resumed") {
  XorState state;
  const std::string bytes = Encode({{1000, 1}});
  CHECK(XorResume(bytes + "x", &state).code() == absl::StatusCode::kDataLoss);
  CHECK(XorResume(bytes + std::string(2, '\0'), &state).code() == absl::StatusCode::kDataLoss);
  CHECK(XorResume(bytes + std::string(1, '\0'), &state).ok());
}

}  // namespace
}  // namespace narthex::chunkenc
