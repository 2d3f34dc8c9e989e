#include "services/storage/tsdb/persisted_samples.h"

#include <algorithm>
#include <utility>

#include "lib/chunkenc/chunk.h"

namespace narthex::tsdb {
namespace {

std::optional<OooSample> SampleOf(const SampleBuffer& samples, Timestamp time) {
  const std::span<const Timestamp> times = samples.timestamps();
  const auto at = std::lower_bound(times.begin(), times.end(), time);
  if (at == times.end() || *at != time) return std::nullopt;
  return SampleAt(samples, static_cast<size_t>(at - times.begin()));
}

}  // namespace

void PersistedSamples::FollowBlocksLocked() {
  const std::shared_ptr<const BlockList> list = store_->list();
  const auto same = [](const OfBlock& of, const std::shared_ptr<Block>& block) {
    return of.block == block;
  };
  if (std::equal(blocks_.begin(), blocks_.end(), list->begin(), list->end(), same)) return;
  std::vector<OfBlock> now;
  size_t kept = 0;
  for (const std::shared_ptr<Block>& block : *list) {
    const auto before = std::find_if(blocks_.begin(), blocks_.end(),
                                     [&](const OfBlock& of) { return same(of, block); });
    if (before == blocks_.end()) {
      now.push_back({block, {}});
    } else {
      kept += before->series.size();
      now.push_back(std::move(*before));
    }
  }
  blocks_ = std::move(now);
  series_count_ = kept;
}

void PersistedSamples::Answer(std::span<RepeatQuestion> questions) {
  MutexLock lock(&mu_);
  FollowBlocksLocked();
  for (RepeatQuestion& question : questions) {
    const Timestamp time = question.sample.timestamp;
    question.repeated = false;
    // The newest block first: what is repeated has mostly just gone there.
    for (auto of = blocks_.rbegin(); of != blocks_.rend() && !question.repeated; ++of) {
      const BlockMeta& meta = of->block->meta();
      if (time < meta.min_time || time >= meta.max_time) continue;
      question.repeated = HasLocked(&*of, question);
    }
  }
}

bool PersistedSamples::HasLocked(OfBlock* of, const RepeatQuestion& question) {
  if (series_count_ >= kSeriesMax && !of->series.contains(question.reference)) {
    for (OfBlock& each : blocks_) each.series.clear();
    series_count_ = 0;
  }
  std::unique_ptr<Series>& series = of->series[question.reference];
  if (series == nullptr) {
    series = std::make_unique<Series>();
    series->place = FindSeries(*of->block, *question.labels);
    ++series_count_;
  }
  if (!series->place) return false;
  const Timestamp time = question.sample.timestamp;
  std::optional<OooSample> found;
  if (time >= series->min_time && time <= series->max_time) {
    found = SampleOf(series->samples, time);
  }
  if (!found) found = Read(*of->block, time, series.get());
  if (!found || !SameValue(*found, question.sample)) return false;
  for (const storage::DeletedInterval& deleted : of->block->Deleted(*series->place)) {
    if (time >= deleted.min_time && time <= deleted.max_time) return false;
  }
  return true;
}

std::optional<BlockSeries> PersistedSamples::FindSeries(const Block& block, const Labels& labels) {
  std::vector<Matcher> matchers;
  for (const LabelView label : labels) matchers.push_back(Matcher::Equal(label.name, label.value));
  const absl::StatusOr<std::vector<BlockSeries>> found = block.Select(matchers);
  if (!found.ok()) return std::nullopt;
  // Others may have the same labels and more.
  std::vector<LabelView> views;
  for (const BlockSeries series : *found) {
    if (block.ReadSeries(series, &views, nullptr).ok() && views.size() == matchers.size()) {
      return series;
    }
  }
  return std::nullopt;
}

std::optional<OooSample> PersistedSamples::Read(const Block& block, Timestamp time,
                                                Series* series) {
  std::vector<BlockChunk> chunks;
  if (!block.ReadSeries(*series->place, nullptr, &chunks).ok()) return std::nullopt;
  std::optional<OooSample> found;
  for (const BlockChunk& chunk : chunks) {
    if (time < chunk.min_time || time > chunk.max_time) continue;
    series->max_time = kMinTimestamp;  // Nothing is decoded, should it end here.
    series->samples.Clear();
    const absl::StatusOr<storage::SelectChunk> read = block.ReadChunk(chunk);
    if (!read.ok()) continue;
    const absl::Status decoded =
        chunkenc::DecodeChunk(read->encoding, read->bytes, read->visible_samples, kMinTimestamp,
                              kMaxTimestamp, &series->samples);
    if (!decoded.ok()) continue;
    series->min_time = chunk.min_time;
    series->max_time = chunk.max_time;
    found = SampleOf(series->samples, time);
    if (found) break;
  }
  return found;
}

}  // namespace narthex::tsdb
