#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_BLOCK_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_BLOCK_FIXTURE_H_

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/xor_chunk.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/ulid.h"
#include "tests/support/fault_file_system.h"

// Blocks for tests, and what is in them as plain maps.
namespace narthex::tsdb {

using Samples = std::map<Timestamp, double>;
using Content = std::map<Labels, Samples>;

inline constexpr Timestamp kEver = Timestamp{1} << 60;
inline constexpr Timestamp kBlockStart = 7'200'000;
inline constexpr Timestamp kBlockEnd = 2 * kBlockStart;
inline constexpr char kParent[] = "/data";

struct OwnedChunk {
  storage::SelectChunk chunk;
  std::string bytes;
};

inline OwnedChunk XorChunk(const std::vector<std::pair<Timestamp, double>>& samples) {
  OwnedChunk owned;
  std::string buffer(samples.size() * chunkenc::kXorSampleBytesMax + 64, '\0');
  chunkenc::XorState state;
  size_t size = 0;
  for (const auto& [time, value] : samples) {
    chunkenc::XorAppend(&state, reinterpret_cast<uint8_t*>(buffer.data()), &size, time, value);
  }
  owned.bytes = buffer.substr(0, size);
  owned.chunk = {chunkenc::Encoding::kXor,
                 samples.front().first,
                 samples.back().first,
                 static_cast<uint32_t>(samples.size()),
                 {}};
  return owned;
}

// Chunks of `samples_max` samples.
inline std::vector<OwnedChunk> XorChunks(const Samples& samples, size_t samples_max) {
  std::vector<OwnedChunk> chunks;
  std::vector<std::pair<Timestamp, double>> open;
  for (const auto& [time, value] : samples) {
    open.emplace_back(time, value);
    if (open.size() < samples_max) continue;
    chunks.push_back(XorChunk(open));
    open.clear();
  }
  if (!open.empty()) chunks.push_back(XorChunk(open));
  return chunks;
}

inline std::vector<LabelView> Views(const Labels& labels) {
  std::vector<LabelView> views;
  for (const LabelView label : labels) views.push_back(label);
  return views;
}

inline absl::Status AddSeries(BlockWriter* writer, const Labels& labels,
                              const std::vector<OwnedChunk>& chunks) {
  std::vector<storage::SelectChunk> views;
  for (const OwnedChunk& owned : chunks) {
    views.push_back(owned.chunk);
    views.back().bytes = owned.bytes;
  }
  return writer->Add(Views(labels), views);
}

inline Content RandomContent(uint32_t seed, size_t series) {
  std::mt19937 random(seed);
  Content content;
  while (content.size() < series) {
    const Labels labels = {{"__name__", StrCat("metric_", random() % 4)},
                           {"job", StrCat("job-", random() % 3)},
                           {"id", StrCat(random() % (3 * series))}};
    Samples& samples = content[labels];
    Timestamp time = kBlockStart + static_cast<Timestamp>(random() % 10000);
    for (size_t left = 1 + random() % 50; left > 0; --left) {
      samples[time] = static_cast<double>(random() % 1000) / 8;
      time += 1 + static_cast<Timestamp>(random() % 20000);
    }
  }
  return content;
}

inline BlockMeta BaseMeta() {
  BlockMeta base;
  base.ulid = Ulid::New(kBlockEnd).ToString();
  base.min_time = kBlockStart;
  base.max_time = kBlockEnd;
  return base;
}

inline absl::StatusOr<BlockMeta> WriteContent(io::FileSystem* fs, const Content& content,
                                              const BlockMeta& base,
                                              BlockWriterOptions options = {}) {
  auto writer = BlockWriter::Create(fs, kParent, base, std::move(options));
  if (!writer.ok()) return writer.status();
  for (const auto& [labels, samples] : content) {
    const absl::Status added = AddSeries(writer->get(), labels, XorChunks(samples, 20));
    if (!added.ok()) return added;
  }
  return (*writer)->Finish();
}

inline Content ReadSource(ChunkSeriesSource* source) {
  Content content;
  SampleBuffer decoded;
  for (;;) {
    const auto more = source->Next();
    INFO(more.status().message());
    REQUIRE(more.ok());
    if (!*more) return content;
    Samples& samples = content[Labels::FromSorted(source->labels())];
    CHECK(samples.empty());
    for (const storage::SelectChunk& chunk : source->chunks()) {
      decoded.Clear();
      REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples, -kEver,
                                    kEver, &decoded)
                  .ok());
      for (size_t i = 0; i < decoded.size(); ++i) {
        samples[decoded.timestamps()[i]] = decoded.values()[i];
      }
    }
    for (const storage::DeletedInterval& interval : source->deleted()) {
      samples.erase(samples.lower_bound(interval.min_time), samples.upper_bound(interval.max_time));
    }
  }
}

inline Content ReadContent(const Block& block) {
  Content content = ReadSource(block.Source(-kEver, kEver).get());
  std::erase_if(content, [](const auto& series) { return series.second.empty(); });
  return content;
}

}  // namespace narthex::tsdb

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_BLOCK_FIXTURE_H_
