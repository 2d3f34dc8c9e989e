#include "services/storage/tsdb/merge_source.h"

#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "catch2/catch.hpp"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/chunk_writer.h"

namespace narthex::tsdb {
namespace {

using storage::DeletedInterval;
using storage::SelectChunk;

// A source that a test fills.
class FakeSource : public ChunkSeriesSource {
 public:
  struct Series {
    std::vector<std::pair<std::string, std::string>> labels;
    std::vector<chunkenc::FinishedChunk> chunks;
    std::vector<DeletedInterval> deleted;
    uint32_t hidden = 0;  // Samples at the end of the last chunk that are not to be seen.
  };
  Series& Add(std::vector<std::pair<std::string, std::string>> labels) {
    series_.push_back({std::move(labels), {}, {}, 0});
    return series_.back();
  }

  absl::StatusOr<bool> Next() override {
    if (next_ == series_.size()) return false;
    const Series& series = series_[next_++];
    labels_.clear();
    chunks_.clear();
    for (const auto& [name, value] : series.labels) labels_.push_back({name, value});
    for (const chunkenc::FinishedChunk& chunk : series.chunks) {
      chunks_.push_back(
          {chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes});
    }
    if (series.hidden > 0) {
      chunks_.back().visible_samples -= series.hidden;
      // The head knows only the bounds of what it shows.
      SampleBuffer seen;
      REQUIRE(chunkenc::DecodeChunk(chunks_.back().encoding, chunks_.back().bytes,
                                    chunks_.back().visible_samples, kMinTimestamp, kMaxTimestamp,
                                    &seen)
                  .ok());
      chunks_.back().max_time = seen.timestamps().back();
    }
    return true;
  }
  std::span<const LabelView> labels() const override { return labels_; }
  std::span<const SelectChunk> chunks() const override { return chunks_; }
  std::span<const DeletedInterval> deleted() const override { return series_[next_ - 1].deleted; }

 private:
  std::deque<Series> series_;
  size_t next_ = 0;
  std::vector<LabelView> labels_;
  std::vector<SelectChunk> chunks_;
};

using Samples = std::map<Timestamp, double>;

std::vector<chunkenc::FinishedChunk> Chunks(const Samples& samples, size_t samples_max = 120) {
  chunkenc::ChunkWriter writer({samples_max, false});
  for (const auto& [timestamp, value] : samples) writer.Append(timestamp, value);
  return writer.Finish();
}

Samples Every(Timestamp step, Timestamp from, Timestamp to, double value) {
  Samples samples;
  for (Timestamp t = from; t <= to; t += step) samples[t] = value + static_cast<double>(t);
  return samples;
}

// Reads a merge to its end, and checks what every block relies on.
std::map<std::string, Samples> ReadAll(MergeSource* merge, Timestamp min_time, Timestamp max_time) {
  std::map<std::string, Samples> all;
  std::string previous;
  while (true) {
    const absl::StatusOr<bool> more = merge->Next();
    REQUIRE(more.ok());
    if (!*more) return all;
    std::string name;
    for (const LabelView& label : merge->labels()) {
      name.append(label.name).append("=").append(label.value).append(",");
    }
    CHECK(previous < name);
    previous = name;
    REQUIRE(!merge->chunks().empty());
    CHECK(merge->deleted().empty());
    Samples& samples = all[name];
    Timestamp end = kMinTimestamp;
    for (const SelectChunk& chunk : merge->chunks()) {
      CHECK(chunk.min_time > end);
      CHECK(chunk.min_time >= min_time);
      CHECK(chunk.max_time <= max_time);
      end = chunk.max_time;
      CHECK(chunk.visible_samples == chunkenc::ChunkSampleCount(chunk.encoding, chunk.bytes));
      SampleBuffer buffer;
      REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                    kMinTimestamp, kMaxTimestamp, &buffer)
                  .ok());
      CHECK(buffer.timestamps().front() == chunk.min_time);
      CHECK(buffer.timestamps().back() == chunk.max_time);
      for (size_t i = 0; i < buffer.size(); ++i) {
        samples[buffer.timestamps()[i]] = buffer.values()[i];
      }
    }
  }
}

std::unique_ptr<MergeSource> Merge(std::vector<std::unique_ptr<FakeSource>> sources,
                                   Timestamp min_time = kMinTimestamp,
                                   Timestamp max_time = kMaxTimestamp) {
  std::vector<std::unique_ptr<ChunkSeriesSource>> all;
  for (auto& source : sources) all.push_back(std::move(source));
  return std::make_unique<MergeSource>(std::move(all), min_time, max_time);
}

std::vector<std::unique_ptr<FakeSource>> MakeSources(size_t count) {
  std::vector<std::unique_ptr<FakeSource>> sources;
  for (size_t i = 0; i < count; ++i) sources.push_back(std::make_unique<FakeSource>());
  return sources;
}

TEST_CASE("Series of all sources come once each, in label order") {
  auto sources = MakeSources(3);
  const Samples some = Every(10, 0, 100, 0);
  sources[0]->Add({{"a", "1"}}).chunks = Chunks(some);
  sources[0]->Add({{"a", "3"}}).chunks = Chunks(some);
  sources[1]->Add({{"a", "1"}, {"b", "1"}}).chunks = Chunks(some);
  sources[1]->Add({{"a", "2"}}).chunks = Chunks(some);
  sources[2]->Add({{"a", "3"}}).chunks = Chunks(Every(10, 200, 300, 0));
  auto merge = Merge(std::move(sources));
  const auto all = ReadAll(merge.get(), kMinTimestamp, kMaxTimestamp);
  CHECK(all.size() == 4);
  CHECK(all.at("a=1,") == some);
  CHECK(all.at("a=3,").size() == 22);
  CHECK(merge->merger().chunks_encoded() == 0);
  CHECK(merge->merger().chunks_passed() == 5);
}

TEST_CASE("No source at all, and sources without a series, are an empty merge") {
  CHECK(!*Merge({})->Next());
  auto merge = Merge(MakeSources(2));
  CHECK(!*merge->Next());
}

TEST_CASE("Overlapping chunks become one run, and the source in front counts") {
  auto sources = MakeSources(2);
  const Samples first = Every(10, 0, 1000, 0.5);
  const Samples second = Every(15, 500, 1500, 0.25);
  sources[0]->Add({{"a", "1"}}).chunks = Chunks(first);
  sources[1]->Add({{"a", "1"}}).chunks = Chunks(second);
  Samples expected = first;
  expected.insert(second.begin(), second.end());
  auto merge = Merge(std::move(sources));
  CHECK(ReadAll(merge.get(), kMinTimestamp, kMaxTimestamp).at("a=1,") == expected);
}

TEST_CASE("The same chunk from two sources passes as it is") {
  auto sources = MakeSources(2);
  const Samples samples = Every(10, 0, 1000, 0);
  for (auto& source : sources) source->Add({{"a", "1"}}).chunks = Chunks(samples);
  auto merge = Merge(std::move(sources));
  CHECK(ReadAll(merge.get(), kMinTimestamp, kMaxTimestamp).at("a=1,") == samples);
  CHECK(merge->merger().chunks_encoded() == 0);
}

TEST_CASE("What lies outside of the range, is hidden or is deleted is left out") {
  auto sources = MakeSources(1);
  FakeSource::Series& series = sources[0]->Add({{"a", "1"}});
  series.chunks = Chunks(Every(10, 0, 1000, 0), 20);
  series.deleted = {{200, 249}, {500, 505}, {600, 805}};
  series.hidden = 3;
  sources[0]->Add({{"a", "2"}}).chunks = Chunks(Every(10, 0, 90, 0));
  FakeSource::Series& gone = sources[0]->Add({{"a", "3"}});
  gone.chunks = Chunks(Every(10, 0, 1000, 0));
  gone.deleted = {{-10, 5000}};
  auto merge = Merge(std::move(sources), 100, 975);
  Samples expected;
  for (const auto& [t, value] : Every(10, 100, 970, 0)) {
    const bool deleted = (t >= 200 && t <= 249) || t == 500 || (t >= 600 && t <= 805);
    if (!deleted) expected[t] = value;
  }
  const auto all = ReadAll(merge.get(), 100, 975);
  CHECK(all.size() == 1);
  CHECK(all.at("a=1,") == expected);
}

TEST_CASE("Deleted intervals hold for the chunks of their own source only") {
  auto sources = MakeSources(2);
  FakeSource::Series& old = sources[0]->Add({{"a", "1"}});
  old.chunks = Chunks(Every(10, 0, 100, 0));
  old.deleted = {{0, 100}};
  sources[1]->Add({{"a", "1"}}).chunks = Chunks(Every(10, 50, 60, 7));
  auto merge = Merge(std::move(sources));
  CHECK(ReadAll(merge.get(), kMinTimestamp, kMaxTimestamp).at("a=1,") == Every(10, 50, 60, 7));
}

TEST_CASE("Floats and histograms of one series are merged in order") {
  Histogram histogram;
  histogram.count = 3;
  histogram.sum = 4.5;
  histogram.positive_spans = {{0, 1}};
  histogram.positive_deltas = {3};
  chunkenc::ChunkWriter writer;
  writer.Append(10, histogram);
  histogram.count = 4;
  histogram.positive_deltas = {4};
  writer.Append(30, histogram);
  auto sources = MakeSources(2);
  sources[0]->Add({{"a", "1"}}).chunks = writer.Finish();
  sources[1]->Add({{"a", "1"}}).chunks = Chunks({{5, 1}, {20, 2}, {30, 9}, {40, 3}});
  auto merge = Merge(std::move(sources));
  REQUIRE(*merge->Next());
  SampleBuffer all;
  for (const SelectChunk& chunk : merge->chunks()) {
    REQUIRE(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples, kMinTimestamp,
                                  kMaxTimestamp, &all)
                .ok());
  }
  REQUIRE(all.size() == 5);
  CHECK(std::vector<Timestamp>(all.timestamps().begin(), all.timestamps().end()) ==
        std::vector<Timestamp>{5, 10, 20, 30, 40});
  CHECK(all.kind(0) == SampleKind::kFloat);
  CHECK(all.kind(1) == SampleKind::kHistogram);
  CHECK(all.kind(2) == SampleKind::kFloat);
  REQUIRE(all.kind(3) == SampleKind::kHistogram);
  CHECK(all.histogram(3).count == 4);
  CHECK(all.values()[4] == 3);
}

TEST_CASE("A damaged chunk that must be decoded is an error, not a wrong answer") {
  auto sources = MakeSources(2);
  sources[0]->Add({{"a", "1"}}).chunks = Chunks(Every(10, 0, 1000, 0));
  FakeSource::Series& broken = sources[1]->Add({{"a", "1"}});
  broken.chunks = Chunks(Every(7, 0, 1000, 0));
  broken.chunks[0].bytes.resize(20);
  auto merge = Merge(std::move(sources));
  CHECK(absl::IsDataLoss(merge->Next().status()));
}

TEST_CASE("Random overlaps, ranges and deletions give what a map gives") {
  const uint32_t seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto number = [&](int max) {
    return static_cast<int>(random() % static_cast<uint32_t>(max));
  };
  for (int round = 0; round < 30; ++round) {
    const size_t count = 1 + static_cast<size_t>(number(4));
    const Timestamp min_time = number(300);
    const Timestamp max_time = 500 + number(700);
    auto sources = MakeSources(count);
    Samples expected;
    SampleBuffer decoded;
    std::vector<OriginChunk> origins;
    std::deque<std::vector<chunkenc::FinishedChunk>> kept_chunks;
    std::deque<std::vector<DeletedInterval>> kept_deleted;
    for (size_t i = 0; i < count; ++i) {
      Samples samples;
      for (Timestamp t = number(200); t < 1200; t += 1 + number(9)) {
        if (number(40) == 0) t += number(300);
        samples[t] = static_cast<double>(random() % 1000);
      }
      FakeSource::Series& series = sources[i]->Add({{"a", "1"}});
      series.chunks = Chunks(samples, 10 + static_cast<size_t>(number(100)));
      Timestamp at = 0;
      while (number(3) > 0 && at < 1200) {
        const Timestamp begin = at + number(300);
        series.deleted.push_back({begin, begin + number(100)});
        at = series.deleted.back().max_time + 2;
      }
      for (const auto& [t, value] : samples) {
        bool deleted = t < min_time || t > max_time;
        for (const DeletedInterval& d : series.deleted) {
          deleted = deleted || (t >= d.min_time && t <= d.max_time);
        }
        if (!deleted) expected.emplace(t, value);
      }
      const auto& chunks = kept_chunks.emplace_back(series.chunks);
      const auto& deleted = kept_deleted.emplace_back(series.deleted);
      for (const chunkenc::FinishedChunk& chunk : chunks) {
        origins.push_back(
            {{chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes},
             i,
             deleted});
      }
    }
    auto merge = Merge(std::move(sources), min_time, max_time);
    const auto all = ReadAll(merge.get(), min_time, max_time);
    CHECK((all.empty() ? Samples() : all.at("a=1,")) == expected);

    ChunkMerger merger;
    REQUIRE(merger.Decode(&origins, min_time, max_time, &decoded).ok());
    Samples as_map;
    for (size_t i = 0; i < decoded.size(); ++i) {
      as_map.emplace(decoded.timestamps()[i], decoded.values()[i]);
    }
    CHECK(as_map == expected);
    CHECK(decoded.size() == expected.size());
  }
}

}  // namespace
}  // namespace narthex::tsdb
