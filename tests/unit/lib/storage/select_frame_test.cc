#include "lib/storage/select_frame.h"

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::storage {
namespace {

using Kind = SelectFrameReader::Kind;

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    if (!hex.empty()) hex.push_back(' ');
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

std::string SampleFrame() {
  SelectFrameWriter writer;
  writer.AddSeries(5);
  const SelectChunk chunks[] = {
      {chunkenc::Encoding::kXor, 1000, 2000, 2, "abc"},
      {chunkenc::Encoding::kXor, 1500, 1500, 1, "d"},
  };
  const DeletedInterval deleted[] = {{-1, 1}};
  writer.Chunks(chunks, deleted);
  writer.AddSeries(Labels({{"__name__", "up"}, {"job", "x"}}));
  const Timestamp timestamps[] = {1000, 999};
  const double values[] = {1, 0.5};
  writer.Samples(timestamps, values);
  writer.AddSeries(300);
  writer.LabelsOnly();
  CHECK(writer.series() == 3);
  return writer.Take();
}

TEST_CASE("a select frame has the bytes of select_frame.md") {
  CHECK(ToHex(SampleFrame()) ==
        "01 "
        "05 01 02 01 d0 0f e8 07 02 03 61 62 63 01 e8 07 00 01 01 64 01 01 02 "
        "00 02 08 5f 5f 6e 61 6d 65 5f 5f 02 75 70 03 6a 6f 62 01 78 "
        "02 02 d0 0f 00 00 00 00 00 00 f0 3f 01 00 00 00 00 00 00 e0 3f "
        "ac 02 00");
}

TEST_CASE("a select frame reads as it was written") {
  const std::string frame = SampleFrame();
  SelectFrameReader reader(frame);
  REQUIRE(reader.Next());
  CHECK(reader.id() == 5);
  CHECK(reader.kind() == Kind::kChunks);
  CHECK(reader.labels().empty());
  REQUIRE(reader.chunks().size() == 2);
  CHECK(reader.chunks()[0].min_time == 1000);
  CHECK(reader.chunks()[0].max_time == 2000);
  CHECK(reader.chunks()[0].visible_samples == 2);
  CHECK(reader.chunks()[0].bytes == "abc");
  CHECK(reader.chunks()[1].min_time == 1500);
  CHECK(reader.chunks()[1].max_time == 1500);
  REQUIRE(reader.deleted().size() == 1);
  CHECK(reader.deleted()[0].min_time == -1);
  CHECK(reader.deleted()[0].max_time == 1);

  REQUIRE(reader.Next());
  CHECK(reader.id() == 0);
  CHECK(reader.kind() == Kind::kSamples);
  CHECK(Labels::FromSorted(reader.labels()).ToString() == R"({__name__="up", job="x"})");
  CHECK(std::vector<Timestamp>(reader.timestamps().begin(), reader.timestamps().end()) ==
        std::vector<Timestamp>{1000, 999});
  CHECK(std::vector<double>(reader.values().begin(), reader.values().end()) ==
        std::vector<double>{1, 0.5});
  CHECK(reader.chunks().empty());
  CHECK(reader.deleted().empty());

  REQUIRE(reader.Next());
  CHECK(reader.id() == 300);
  CHECK(reader.kind() == Kind::kLabelsOnly);
  CHECK(reader.timestamps().empty());
  CHECK_FALSE(reader.Next());
  CHECK(reader.status().ok());
  CHECK_FALSE(reader.Next());
}

TEST_CASE("a taken frame leaves the writer clear, and an empty frame is a frame") {
  SelectFrameWriter writer;
  writer.AddSeries(1);
  writer.LabelsOnly();
  CHECK(writer.size_bytes() == 3);
  (void)writer.Take();
  CHECK(writer.series() == 0);
  CHECK(writer.size_bytes() == 0);
  const std::string frame = writer.Take();
  SelectFrameReader reader(frame);
  CHECK_FALSE(reader.Next());
  CHECK(reader.status().ok());
}

TEST_CASE("extreme times and all bits of values survive") {
  const Timestamp timestamps[] = {kMinTimestamp, kMaxTimestamp, 0, -1};
  std::vector<double> values;
  for (const uint64_t bits :
       {uint64_t{0x7ff0000000000002}, uint64_t{1}, ~uint64_t{0}, uint64_t{0}}) {
    values.push_back(std::bit_cast<double>(bits));
  }
  SelectFrameWriter writer;
  writer.AddSeries(UINT64_MAX);
  writer.Samples(timestamps, values);
  const SelectChunk chunk = {chunkenc::Encoding::kFloatHistogram, kMinTimestamp, kMaxTimestamp,
                             UINT32_MAX, ""};
  const DeletedInterval deleted[] = {{kMinTimestamp, kMaxTimestamp}};
  writer.AddSeries(1);
  writer.Chunks({&chunk, 1}, deleted);
  const std::string frame = writer.Take();
  SelectFrameReader reader(frame);
  REQUIRE(reader.Next());
  CHECK(reader.id() == UINT64_MAX);
  for (size_t i = 0; i < values.size(); ++i) {
    CHECK(reader.timestamps()[i] == timestamps[i]);
    CHECK(std::bit_cast<uint64_t>(reader.values()[i]) == std::bit_cast<uint64_t>(values[i]));
  }
  REQUIRE(reader.Next());
  CHECK(reader.chunks()[0].encoding == chunkenc::Encoding::kFloatHistogram);
  CHECK(reader.chunks()[0].min_time == kMinTimestamp);
  CHECK(reader.chunks()[0].max_time == kMaxTimestamp);
  CHECK(reader.chunks()[0].visible_samples == UINT32_MAX);
  CHECK(reader.deleted()[0].max_time == kMaxTimestamp);
}

// Reads all of a frame and touches what it shows.
absl::Status ReadAll(std::string_view frame) {
  SelectFrameReader reader(frame);
  size_t bytes = 0;
  while (reader.Next()) {
    for (const SelectChunk& chunk : reader.chunks()) {
      CHECK(chunk.min_time <= chunk.max_time);
      for (const char c : chunk.bytes) bytes += static_cast<unsigned char>(c);
    }
    for (const DeletedInterval& interval : reader.deleted()) {
      CHECK(interval.min_time <= interval.max_time);
    }
    CHECK(reader.timestamps().size() == reader.values().size());
    (void)Labels::FromSorted(reader.labels());
  }
  return reader.status();
}

TEST_CASE("every truncation of a frame ends between series or is refused") {
  const std::string frame = SampleFrame();
  int ends = 0;
  for (size_t size = 0; size < frame.size(); ++size) {
    const std::vector<char> cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    const absl::Status status = ReadAll({cut.data(), cut.size()});
    if (status.ok()) {
      ++ends;
    } else {
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    }
  }
  CHECK(ends == 3);  // Before each of the series.
}

TEST_CASE("a frame with any bit flipped harms nobody") {
  const std::string frame = SampleFrame();
  for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    std::vector<char> flipped(frame.begin(), frame.end());
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    (void)ReadAll({flipped.data(), flipped.size()});
  }
}

TEST_CASE("malformed frames are refused with the offset of the series") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "offset 0: empty"},
      {"\x02", "offset 0: unknown version"},
      {"\1\x80", "offset 1: malformed id"},
      {"\1\1", "offset 1: no kind"},
      {"\1\1\3", "offset 1: unknown kind"},
      {std::string("\1\1\0\2\3", 5), "offset 3: unknown kind"},
      {std::string("\1\0\1\1n\0\0", 7), "offset 1: malformed labels"},
      {std::string("\1\0\2\1n\1v\1a\1v\0", 12), "offset 1: malformed labels"},
      {std::string("\1\0\x7f\1n\1v\0", 8), "offset 1: malformed labels"},
      {"\1\1\1\x7f", "offset 1: malformed chunks"},
      {std::string("\1\1\1\0\x7f", 5), "offset 1: malformed deleted intervals"},
      {"\1\1\2\x7f", "offset 1: malformed samples"},
      {std::string("\1\1\1\1\1\2\0\xff\xff\xff\xff\x1f\0\0", 14), "offset 1: malformed chunks"},
      {std::string("\1\1\1\0\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 16),
       "offset 1: malformed deleted intervals"},
  };
  for (const auto& [frame, message] : cases) {
    INFO(ToHex(frame));
    const absl::Status status = ReadAll(frame);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(Message(status)), Catch::EndsWith(message));
  }
}

}  // namespace
}  // namespace narthex::storage
