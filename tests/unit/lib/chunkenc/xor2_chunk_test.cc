#include "lib/chunkenc/xor2_chunk.h"

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"
#include "tests/unit/lib/chunkenc/hex.h"

namespace narthex::chunkenc {
namespace {

struct StartedSample {
  Timestamp timestamp = 0;
  double value = 0;
  Timestamp start = 0;
};

class OpenChunk {
 public:
  OpenChunk() = default;
  explicit OpenChunk(const std::string& bytes) : bytes_(bytes), size_(bytes.size()) {
    REQUIRE(Xor2Resume(bytes, &state_).ok());
  }
  void Append(const StartedSample& sample) {
    bytes_.resize(size_ + kXor2SampleBytesMax);
    Xor2Append(&state_, reinterpret_cast<uint8_t*>(bytes_.data()), &size_, sample.timestamp,
               sample.value, sample.start);
  }
  std::string bytes() const { return bytes_.substr(0, size_); }
  const Xor2State& state() const { return state_; }

 private:
  Xor2State state_;
  std::string bytes_;
  size_t size_ = 0;
};

void CheckHolds(std::string_view bytes, const std::vector<StartedSample>& samples) {
  SampleBuffer out;
  REQUIRE(Xor2Decode(bytes, SIZE_MAX, kMinTimestamp, kMaxTimestamp, &out).ok());
  REQUIRE(out.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    CHECK(out.timestamps()[i] == samples[i].timestamp);
    CHECK(std::bit_cast<uint64_t>(out.values()[i]) == std::bit_cast<uint64_t>(samples[i].value));
    const Timestamp start = out.start_timestamps().empty() ? 0 : out.start_timestamps()[i];
    CHECK(start == samples[i].start);
  }
}

TEST_CASE("an XOR2 chunk has the bytes of format.md") {
  OpenChunk chunk;
  chunk.Append({1000, 1, 400});
  chunk.Append({2000, 2, 400});
  chunk.Append({3000, 2, 400});
  chunk.Append({4005, StaleNan(), 3500});
  CHECK(ToHex(chunk.bytes()) == "000483d00f3ff0000000000000b009e807c12fffb0017fb830");
  CheckHolds(chunk.bytes(),
             {{1000, 1, 400}, {2000, 2, 400}, {3000, 2, 400}, {4005, StaleNan(), 3500}});
}

std::vector<StartedSample> RandomSamples(std::mt19937_64* random, size_t count) {
  std::vector<StartedSample> samples;
  Timestamp timestamp = static_cast<Timestamp>((*random)() % 2000000000000) - 1000000000000;
  int64_t interval = 15000;
  double value = 1;
  Timestamp start = (*random)() % 2 == 0 ? 0 : timestamp - 12345;
  for (size_t i = 0; i < count; ++i) {
    samples.push_back({timestamp, value, start});
    const uint64_t dice = (*random)();
    if (dice % 3 == 0) interval = 15000 + static_cast<int64_t>(dice / 3 % 40) - 20;
    if (dice % 7 == 0) interval = static_cast<int64_t>(dice / 7 % (uint64_t{1} << 30)) + 1;
    if (dice % 5 == 0) value += 1;
    if (dice % 11 == 0) value = std::bit_cast<double>((*random)());
    if (dice % 13 == 0) value = StaleNan();
    if (dice % 17 == 0) start = timestamp;
    if (dice % 19 == 0) start = 0;
    timestamp += interval;
  }
  return samples;
}

TEST_CASE("an XOR2 chunk decodes to what was appended, and goes on from its bytes") {
  std::mt19937_64 random(3);
  for (const size_t count : {1, 2, 3, 40, 126, 127, 128, 200}) {
    for (int round = 0; round < 10; ++round) {
      const std::vector<StartedSample> samples = RandomSamples(&random, count);
      OpenChunk chunk;
      size_t size = 0;
      const size_t split = random() % count;
      OpenChunk resumed;
      for (size_t i = 0; i < count; ++i) {
        chunk.Append(samples[i]);
        CHECK(chunk.bytes().size() - size <= kXor2SampleBytesMax - 8);
        size = chunk.bytes().size();
        if (i == split) resumed = OpenChunk(chunk.bytes());
        if (i > split) resumed.Append(samples[i]);
      }
      CheckHolds(chunk.bytes(), samples);
      CheckHolds(resumed.bytes(), samples);
    }
  }
}

TEST_CASE("start timestamps are stored from sample 127 on, wherever they change") {
  std::vector<StartedSample> samples;
  OpenChunk chunk;
  for (int i = 0; i < 140; ++i) {
    samples.push_back({1000 * (i + 1), 5, i < 130 ? 0 : 99});
    chunk.Append(samples.back());
  }
  CHECK(chunk.bytes()[2] == 0x7f);
  CheckHolds(chunk.bytes(), samples);
}

TEST_CASE("no sample of an XOR2 chunk takes more bytes than promised") {
  const std::vector<StartedSample> samples = {
      {kMinTimestamp, std::bit_cast<double>(uint64_t{0x8000000000000001}), kMaxTimestamp},
      {0, std::bit_cast<double>(uint64_t{0x0000000000000002}), kMinTimestamp},
      {kMaxTimestamp - 1, std::bit_cast<double>(uint64_t{0xffffffffffffffff}), 5},
      {kMaxTimestamp, std::bit_cast<double>(uint64_t{1}), kMinTimestamp},
  };
  OpenChunk chunk;
  for (const StartedSample& sample : samples) chunk.Append(sample);
  CheckHolds(chunk.bytes(), samples);
}

TEST_CASE("what is no XOR2 chunk cannot be resumed") {
  OpenChunk chunk;
  chunk.Append({1000, 1, 0});
  chunk.Append({2000, 2, 0});
  Xor2State state;
  const std::string bytes = chunk.bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(Xor2Resume(std::string_view(bytes).substr(0, size), &state).ok());
  }
  CHECK_FALSE(Xor2Resume(bytes + "xy", &state).ok());
  // A zero byte behind samples that end with a byte is written over.
  OpenChunk first;
  first.Append({1000, 1, 0});
  OpenChunk resumed(first.bytes() + std::string(1, '\0'));
  resumed.Append({2000, 2, 0});
  CheckHolds(resumed.bytes(), {{1000, 1, 0}, {2000, 2, 0}});
}

}  // namespace
}  // namespace narthex::chunkenc
