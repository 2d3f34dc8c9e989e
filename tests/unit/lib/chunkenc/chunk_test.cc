#include "lib/chunkenc/chunk.h"

#include <bit>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/model/histogram_coding.h"
#include "tests/unit/lib/chunkenc/golden_series.h"
#include "tests/unit/lib/chunkenc/hex.h"

namespace narthex::chunkenc {
namespace {

SampleBuffer Samples(const GoldenSeries& series) {
  const std::string bytes = FromHex(series.samples);
  ByteReader reader(bytes);
  SampleBuffer samples;
  while (!reader.done()) {
    Timestamp timestamp = 0;
    Timestamp start = 0;
    REQUIRE((reader.ReadVarint(&timestamp) && reader.ReadVarint(&start)));
    switch (KindOf(static_cast<Encoding>(series.encoding))) {
      case SampleKind::kFloat: {
        uint64_t bits = 0;
        REQUIRE(reader.ReadBig(&bits));
        samples.Append(timestamp, std::bit_cast<double>(bits));
        break;
      }
      case SampleKind::kHistogram: {
        Histogram histogram;
        REQUIRE(DecodeHistogram(&reader, &histogram));
        CHECK(Validate(histogram).ok());
        samples.AppendHistogram(timestamp, histogram);
        break;
      }
      case SampleKind::kFloatHistogram: {
        FloatHistogram histogram;
        REQUIRE(DecodeFloatHistogram(&reader, &histogram));
        CHECK(Validate(histogram).ok());
        samples.AppendFloatHistogram(timestamp, histogram);
        break;
      }
    }
    samples.SetStartTimestamp(start);
  }
  return samples;
}

Timestamp StartOf(const SampleBuffer& samples, size_t index) {
  return samples.start_timestamps().empty() ? 0 : samples.start_timestamps()[index];
}

// Hints aside, of which a chunk keeps only some.
void CheckSame(const SampleBuffer& a, size_t i, const SampleBuffer& b, size_t j) {
  CHECK(a.timestamps()[i] == b.timestamps()[j]);
  CHECK(std::bit_cast<uint64_t>(a.values()[i]) == std::bit_cast<uint64_t>(b.values()[j]));
  REQUIRE(a.kind(i) == b.kind(j));
  if (a.kind(i) == SampleKind::kHistogram) CHECK(Same(a.histogram(i), b.histogram(j)));
  if (a.kind(i) == SampleKind::kFloatHistogram) {
    CHECK(Same(a.float_histogram(i), b.float_histogram(j)));
  }
}

bool HasStarts(Encoding encoding) { return encoding >= Encoding::kXor2; }

absl::Status DecodeAll(Encoding encoding, std::string_view bytes, SampleBuffer* out) {
  return DecodeChunk(encoding, bytes, SIZE_MAX, kMinTimestamp, kMaxTimestamp, out);
}

TEST_CASE("chunks of every encoding are bit for bit those of Prometheus") {
  std::vector<int> seen(7, 0);
  for (const GoldenSeries& series : AllGoldenSeries()) {
    const Encoding encoding = static_cast<Encoding>(series.encoding);
    const SampleBuffer samples = Samples(series);
    ChunkWriter writer({series.samples_max, HasStarts(encoding)});
    writer.AppendAll(samples);
    const std::vector<FinishedChunk> chunks = writer.Finish();
    REQUIRE(chunks.size() == series.chunks.size());
    size_t at = 0;
    for (size_t i = 0; i < chunks.size(); ++i) {
      INFO("encoding " << series.encoding << ", chunk " << i);
      CHECK(ToHex(chunks[i].bytes) == series.chunks[i]);
      CHECK(chunks[i].encoding == encoding);
      CHECK(ChunkSampleCount(encoding, chunks[i].bytes) == chunks[i].samples);
      SampleBuffer decoded;
      REQUIRE(DecodeAll(encoding, FromHex(series.chunks[i]), &decoded).ok());
      REQUIRE(decoded.size() == chunks[i].samples);
      CHECK(chunks[i].min_time == decoded.timestamps().front());
      CHECK(chunks[i].max_time == decoded.timestamps().back());
      for (size_t j = 0; j < decoded.size(); ++j, ++at) {
        CheckSame(decoded, j, samples, at);
        CHECK(StartOf(decoded, j) == (HasStarts(encoding) ? StartOf(samples, at) : 0));
      }
      ++seen[static_cast<size_t>(series.encoding)];
    }
    CHECK(at == samples.size());
  }
  for (int encoding = 1; encoding <= 6; ++encoding) CHECK(seen[encoding] > 5);
}

TEST_CASE("histogram chunks of Prometheus 2.42 are read, and encoded again bit for bit") {
  // From its chunks_head, behind remote write: counters that were reset or encoded anew, and a
  // gauge. This version says of a chunk behind another schema what later ones do not, and it leaves
  // a zero byte behind samples that end with a byte.
  const char* const chunks[] = {
      "000280ff3f50624dd2f1a9fcde4a378c5fc000343f282649c200d3333333333339f075378828",
      "00030074c41fc000343f2b1155c2023066666666665fe04ce639b34a000000000003fdf9d207227fffffffffe5",
      "00050000c39fc000343f2a09af2201fe66666666666fc1d4b9a48fffc0c217a36672aaaaaaaaaaa7ea819cd7aef8"
      "0"
      "0000000007f7d4f8800",
      "0005c00091fc000343f2b274ec2024000000000000fe05264c9b73e000000000007fbebdbfc3e0ea4cd7afd66666"
      "6666667f0150e10853fffffffffe60",
  };
  for (const char* const hex : chunks) {
    const std::string bytes = FromHex(hex);
    SampleBuffer samples;
    REQUIRE(DecodeAll(Encoding::kHistogram, bytes, &samples).ok());
    CHECK(samples.size() == ChunkSampleCount(Encoding::kHistogram, bytes));
    for (size_t i = 0; i < samples.size(); ++i) CHECK(Validate(samples.histogram(i)).ok());
    ChunkWriter writer;
    writer.AppendAll(samples);
    std::vector<FinishedChunk> again = writer.Finish();
    REQUIRE(again.size() == 1);
    again[0].bytes[2] = bytes[2];
    if (again[0].bytes.size() < bytes.size()) again[0].bytes.push_back('\0');
    CHECK(ToHex(again[0].bytes) == hex);
  }
}

TEST_CASE("decoding keeps to the time range and to the number of samples, in every encoding") {
  for (const GoldenSeries& series : AllGoldenSeries()) {
    const Encoding encoding = static_cast<Encoding>(series.encoding);
    const std::string bytes = FromHex(series.chunks[0]);
    SampleBuffer all;
    REQUIRE(DecodeAll(encoding, bytes, &all).ok());
    for (size_t first = 0; first < all.size(); ++first) {
      for (size_t last = first; last < all.size(); ++last) {
        SampleBuffer part;
        part.Append(kMinTimestamp, 7);
        REQUIRE(DecodeChunk(encoding, bytes, SIZE_MAX, all.timestamps()[first],
                            all.timestamps()[last], &part)
                    .ok());
        REQUIRE(part.size() == 1 + last - first + 1);
        CHECK(part.values()[0] == 7);
        CHECK(part.kind(0) == SampleKind::kFloat);
        for (size_t i = first; i <= last; ++i) CheckSame(part, 1 + i - first, all, i);
      }
    }
    for (size_t count = 0; count <= all.size(); ++count) {
      SampleBuffer part;
      REQUIRE(DecodeChunk(encoding, bytes, count, kMinTimestamp, kMaxTimestamp, &part).ok());
      CHECK(part.size() == count);
    }
  }
}

TEST_CASE("every truncation of a chunk is data loss, in every encoding") {
  for (const GoldenSeries& series : AllGoldenSeries()) {
    const Encoding encoding = static_cast<Encoding>(series.encoding);
    const std::string bytes = FromHex(series.chunks[0]);
    for (size_t size = 0; size < bytes.size(); ++size) {
      // In memory of its own, so that a sanitizer sees any byte read behind it.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      SampleBuffer out;
      out.Append(1, 2);
      INFO("encoding " << series.encoding << ", cut at " << size << " of " << bytes.size());
      CHECK(DecodeAll(encoding, {cut.data(), cut.size()}, &out).code() ==
            absl::StatusCode::kDataLoss);
      CHECK(out.size() == 1);
      CHECK_FALSE(out.has_histograms());
    }
  }
}

TEST_CASE("a chunk with any bit flipped decodes to something or is data loss, in every encoding") {
  for (const GoldenSeries& series : AllGoldenSeries()) {
    const Encoding encoding = static_cast<Encoding>(series.encoding);
    const std::string bytes = FromHex(series.chunks[0]);
    SampleBuffer out;
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::vector<char> flipped(bytes.begin(), bytes.end());
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      out.Clear();
      const absl::Status status = DecodeAll(encoding, {flipped.data(), flipped.size()}, &out);
      if (!status.ok()) {
        CHECK(status.code() == absl::StatusCode::kDataLoss);
        CHECK(out.empty());
      }
      for (size_t i = 1; i < out.size(); ++i) CHECK(out.timestamps()[i] > out.timestamps()[i - 1]);
    }
  }
}

TEST_CASE("a chunk of an unknown encoding is data loss") {
  SampleBuffer out;
  for (const int encoding : {0, 7, 255}) {
    CHECK_FALSE(IsKnown(static_cast<Encoding>(encoding)));
    CHECK(DecodeAll(static_cast<Encoding>(encoding), {"\0\0\0", 3}, &out).code() ==
          absl::StatusCode::kDataLoss);
  }
  CHECK(EncodingName(static_cast<Encoding>(9)) == "<unknown>");
  CHECK(EncodingName(Encoding::kFloatHistogram) == "floathistogram");
}

TEST_CASE("kinds and encodings name each other") {
  for (int i = 1; i <= 6; ++i) {
    const Encoding encoding = static_cast<Encoding>(i);
    CHECK(EncodingOf(KindOf(encoding), HasStarts(encoding)) == encoding);
  }
  // With start timestamps two bits of the count are flags.
  CHECK(ChunkSampleCount(Encoding::kHistogramSt, "\xc0\x07") == 7);
  CHECK(ChunkSampleCount(Encoding::kHistogram, "\xc0\x07") == 0xc007);
  CHECK(ChunkSampleCount(Encoding::kHistogram, "\xc0") == 0);
}

}  // namespace
}  // namespace narthex::chunkenc
