#include "lib/storage/chunk_samples.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk_writer.h"

namespace narthex::storage {
namespace {

using chunkenc::ChunkWriter;
using chunkenc::FinishedChunk;

FinishedChunk Floats(const std::vector<std::pair<Timestamp, double>>& samples) {
  ChunkWriter writer;
  for (const auto& [timestamp, value] : samples) writer.Append(timestamp, value);
  return writer.Finish()[0];
}

FinishedChunk Histograms(const std::vector<std::pair<Timestamp, uint64_t>>& samples) {
  ChunkWriter writer;
  for (const auto& [timestamp, count] : samples) {
    Histogram histogram;
    histogram.count = histogram.zero_count = count;
    writer.Append(timestamp, histogram);
  }
  return writer.Finish()[0];
}

std::string Read(const std::vector<FinishedChunk>& finished, Timestamp min_time, Timestamp max_time,
                 const std::vector<DeletedInterval>& deleted = {}, uint32_t visible_less = 0) {
  std::vector<SelectChunk> chunks;
  for (const FinishedChunk& chunk : finished) {
    chunks.push_back({chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples - visible_less,
                      chunk.bytes});
  }
  SampleBuffer out;
  out.Append(kMinTimestamp, 0);
  REQUIRE(ReadChunkSamples(chunks, deleted, min_time, max_time, &out).ok());
  std::string text;
  for (size_t i = 1; i < out.size(); ++i) {
    StrAppend(&text, out.timestamps()[i], ":");
    if (out.kind(i) == SampleKind::kFloat) {
      StrAppend(&text, out.values()[i], " ");
    } else {
      StrAppend(&text, "h", out.histogram(i).count,
                out.histogram(i).reset_hint == CounterResetHint::kNotReset ? "+ " : " ");
    }
  }
  return text;
}

TEST_CASE("chunks of all kinds are read one after another") {
  const std::vector<FinishedChunk> chunks = {Floats({{1, 1}, {2, 2}, {3, 3}}),
                                             Histograms({{4, 4}, {5, 5}}), Floats({{6, 6}})};
  CHECK(Read(chunks, 0, 10) == "1:1 2:2 3:3 4:h4 5:h5+ 6:6 ");
  CHECK(Read(chunks, 2, 4) == "2:2 3:3 4:h4 ");
  CHECK(Read(chunks, 7, 10).empty());
  CHECK(Read(chunks, 0, 10, {{2, 4}, {6, 6}}) == "1:1 5:h5+ ");
  CHECK(Read(chunks, 0, 10, {}, 1) == "1:1 2:2 4:h4 ");
}

TEST_CASE("overlapping chunks are merged, and the earlier one wins") {
  CHECK(Read({Floats({{1, 1}, {5, 5}, {9, 9}}), Floats({{2, 20}, {5, 50}, {7, 70}}),
              Floats({{3, 300}, {9, 900}, {11, 1100}})},
             0, 20) == "1:1 2:20 3:300 5:5 7:70 9:9 11:1100 ");
  CHECK(Read({Floats({{1, 1}, {5, 5}}), Floats({{2, 20}})}, 2, 5, {{5, 5}}) == "2:20 ");
}

TEST_CASE("of merged histograms only those behind their own neighbour know of no reset") {
  CHECK(Read({Histograms({{1, 1}, {4, 4}, {5, 5}}), Histograms({{2, 2}, {3, 3}})}, 0, 20) ==
        "1:h1 2:h2 3:h3+ 4:h4 5:h5+ ");
}

TEST_CASE("damage in any chunk leaves the buffer as it was") {
  const FinishedChunk good = Floats({{1, 1}, {2, 2}});
  const std::vector<SelectChunk> chunks = {
      {good.encoding, 1, 2, 2, good.bytes},
      {good.encoding, 3, 4, 2, std::string_view(good.bytes).substr(0, 5)}};
  SampleBuffer out;
  out.Append(0, 7);
  CHECK(ReadChunkSamples(chunks, {}, 0, 10, &out).code() == absl::StatusCode::kDataLoss);
  CHECK(out.size() == 1);
  const std::vector<SelectChunk> unknown = {
      {static_cast<chunkenc::Encoding>(77), 1, 2, 2, good.bytes}};
  CHECK(ReadChunkSamples(unknown, {}, 0, 10, &out).code() == absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace narthex::storage
