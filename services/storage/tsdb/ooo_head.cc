#include "services/storage/tsdb/ooo_head.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::tsdb {

using storage::Refusal;

namespace {

constexpr BatchNumber kAllBatches = ~BatchNumber{0};

// One batch may bring a series more samples than a buffer should have. Beyond this many they
// become a chunk in the middle of the batch; no marker can say so in the log, which costs a replay
// some samples twice, and nobody else anything.
constexpr size_t kOpenSamplesMax = 512;

}  // namespace

struct OooHead::Shard {
  mutable Mutex mu;
  absl::flat_hash_map<Slot, std::unique_ptr<OooSeries>> series ABSL_GUARDED_BY(mu);
};

// The records of one batch on their way to the log.
struct OooHead::Records {
  std::vector<wal::MmapMarker> markers;  // Those that no batch has taken to the log yet stay.
  std::string header;
  std::string markers_record;
  wal::SamplesEncoder samples;
  wal::SamplesV2Encoder samples_v2;
  std::optional<wal::HistogramsEncoder> histograms;
  std::optional<wal::FloatHistogramsEncoder> float_histograms;
  std::vector<std::string_view> all;
};

// Without its bytes.
struct OooHead::LoadedChunk {
  HeadChunk chunk;
  uint32_t samples = 0;
};

void OooHead::Bounds::Add(Timestamp min, Timestamp max) {
  min_time = std::min(min_time, min);
  max_time = std::max(max_time, max);
}

OooHead::OooHead(const OooOptions& options, const SeriesTable* table, const SeriesIndex* index,
                 const HeadDeletions* deletions, HeadChunks* chunk_files)
    : options_(options),
      table_(table),
      index_(index),
      deletions_(deletions),
      chunk_files_(chunk_files),
      window_ms_(absl::ToInt64Milliseconds(options.window)),
      shards_(new Shard[kShards]),
      records_(new Records) {
  records_->histograms.emplace(options.start_timestamps);
  records_->float_histograms.emplace(options.start_timestamps);
}

OooHead::~OooHead() = default;

void OooHead::SetWindow(absl::Duration window) {
  window_ms_ = std::max<int64_t>(0, absl::ToInt64Milliseconds(window));
}

OooHead::Shard& OooHead::ShardOf(Slot slot) const { return shards_[slot % kShards]; }

OooSeries* OooHead::SeriesOf(Shard* shard, Slot slot) {
  shard->mu.AssertHeld();
  std::unique_ptr<OooSeries>& series = shard->series[slot];
  if (series == nullptr) {
    series = std::make_unique<OooSeries>();
    series_count_.fetch_add(1, std::memory_order_release);
  }
  return series.get();
}

Refusal OooHead::Check(const OooSample& sample, Timestamp head_max_time, bool* repeated) const {
  *repeated = false;
  const Timestamp time = sample.timestamp;
  std::optional<bool> same;
  if (table_->ReadChunks(sample.slot, time, time, kAllBatches, &check_chunks_) &&
      !deletions_->Covers(sample.slot, time)) {
    for (const storage::SelectChunk& chunk : check_chunks_.chunks) {
      check_samples_.Clear();
      const absl::Status decoded = chunkenc::DecodeChunk(
          chunk.encoding, chunk.bytes, chunk.visible_samples, time, time, &check_samples_);
      // A chunk that cannot be decoded has nothing that a sample could repeat.
      if (!decoded.ok() || check_samples_.empty()) continue;
      same = SameValue(sample, SampleAt(check_samples_, 0));
    }
  }
  if (!same && !empty()) {
    const Shard& shard = ShardOf(sample.slot);
    ReaderMutexLock lock(&shard.mu);
    const auto found = shard.series.find(sample.slot);
    if (found != shard.series.end()) same = found->second->Compare(sample, *chunk_files_);
  }
  *repeated = same.value_or(false);
  if (*repeated) return Refusal::kNone;
  const int64_t window_ms = window_ms_.load(std::memory_order_relaxed);
  if (window_ms == 0) return Refusal::kOutOfOrder;
  if (same) return Refusal::kDuplicate;
  const bool too_old = head_max_time != kMinTimestamp && time < head_max_time - window_ms;
  return too_old ? Refusal::kTooOld : Refusal::kNone;
}

ChunkPlace OooHead::Flush(Slot slot, OooSeries* series, BatchNumber seen_by_all) {
  counters_.chunks_created.fetch_add(1, std::memory_order_relaxed);
  return series->Flush(table_->cold(slot).reference, seen_by_all, encoding(), chunk_files_);
}

absl::Status OooHead::Log(std::span<const OooSample> samples, std::string_view sender,
                          uint64_t sequence, BatchNumber seen_by_all) {
  if (log_ == nullptr) return Unavailable("the log of out-of-order samples is not open");
  Records& records = *records_;
  // Buffers are emptied before their samples' successors are logged, so that one marker covers all
  // that the log has of the series. Should this batch fail, it is no less true in the next one.
  for (const OooSample& sample : samples) {
    Shard& shard = ShardOf(sample.slot);
    MutexLock lock(&shard.mu);
    const auto found = shard.series.find(sample.slot);
    if (found == shard.series.end()) continue;
    OooSeries* const series = found->second.get();
    if (series->open_samples() == 0) continue;
    if (series->open_samples() < static_cast<size_t>(options_.samples_max) &&
        series->open_generation() == generation_) {
      continue;
    }
    const ChunkPlace place = Flush(sample.slot, series, seen_by_all);
    records.markers.push_back({table_->cold(sample.slot).reference, place});
  }
  // A marker must not outlive its chunk. Where the chunk cannot be written (a full disk), its
  // samples are found in the log.
  if (!records.markers.empty() && !chunk_files_->Flush().ok()) records.markers.clear();

  records.samples.Clear();
  records.samples.Reserve(samples.size());
  records.samples_v2.Clear();
  records.histograms->Clear();
  records.float_histograms->Clear();
  for (const OooSample& sample : samples) {
    const uint64_t reference = table_->cold(sample.slot).reference;
    const Timestamp start = options_.start_timestamps ? sample.start_timestamp : 0;
    if (sample.histogram != nullptr) {
      records.histograms->Add(reference, sample.timestamp, start, *sample.histogram);
    } else if (sample.float_histogram != nullptr) {
      records.float_histograms->Add(reference, sample.timestamp, start, *sample.float_histogram);
    } else if (options_.start_timestamps) {
      records.samples_v2.Add({reference, sample.timestamp, sample.value, start});
    } else {
      records.samples.Add(reference, sample.timestamp, sample.value);
    }
  }
  records.all.assign(1, {});
  if (!records.markers.empty()) {
    records.markers_record = wal::EncodeMmapMarkers(records.markers);
    records.all.push_back(records.markers_record);
  }
  if (!records.samples.empty()) records.all.push_back(records.samples.record());
  if (!records.samples_v2.empty()) records.all.push_back(records.samples_v2.record());
  records.histograms->AppendRecords(&records.all);
  records.float_histograms->AppendRecords(&records.all);
  wal::BatchHeader header;
  header.records = records.all.size() - 1;
  header.sender = sender;
  header.sequence = sequence;
  wal::EncodeBatchHeader(header, &records.header);
  records.all[0] = records.header;
  NARTHEX_RETURN_IF_ERROR(log_->Log(records.all));
  records.markers.clear();
  return absl::OkStatus();
}

void OooHead::Apply(std::span<const OooSample> samples, BatchNumber batch,
                    Timestamp head_max_time) {
  if (samples.empty()) return;
  Timestamp oldest = kMaxTimestamp;
  Timestamp newest = kMinTimestamp;
  for (const OooSample& sample : samples) {
    oldest = std::min(oldest, sample.timestamp);
    newest = std::max(newest, sample.timestamp);
  }
  Extend(oldest, newest);
  for (const OooSample& sample : samples) {
    {
      Shard& shard = ShardOf(sample.slot);
      MutexLock lock(&shard.mu);
      OooSeries* const series = SeriesOf(&shard, sample.slot);
      if (series->open_samples() >= kOpenSamplesMax) Flush(sample.slot, series, 0);
      if (!series->Insert(sample, batch, generation_)) {
        counters_.repeated.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
    }
    std::atomic<uint64_t>& appended = sample.kind() == SampleKind::kFloat
                                          ? counters_.floats_appended
                                          : counters_.histograms_appended;
    appended.fetch_add(1, std::memory_order_relaxed);
    const int64_t delay_seconds =
        static_cast<int64_t>(std::max<Timestamp>(0, head_max_time - sample.timestamp)) / 1000;
    const auto bound = std::lower_bound(OooCounters::kDelaySecondsBounds.begin(),
                                        OooCounters::kDelaySecondsBounds.end(), delay_seconds);
    const auto bucket = static_cast<size_t>(bound - OooCounters::kDelaySecondsBounds.begin());
    counters_.delays[bucket].fetch_add(1, std::memory_order_relaxed);
    counters_.delay_seconds_sum.fetch_add(static_cast<uint64_t>(delay_seconds),
                                          std::memory_order_relaxed);
  }
}

absl::Status OooHead::LogDelete(std::span<const Deleted> deleted) {
  std::string record(1, static_cast<char>(kWblDeleted));
  AppendBig(&record, chunk_files_->end());
  const size_t empty_size = record.size();
  const auto log = [&]() {
    const std::string_view records[] = {record};
    return log_->Log(records);
  };
  constexpr size_t kRecordBytes = size_t{1} << 20;
  for (const Deleted& one : deleted) {
    if (!Has(one.slot)) continue;
    AppendBig(&record, uint64_t{table_->cold(one.slot).reference});
    AppendBig(&record, static_cast<uint64_t>(one.min_time));
    AppendBig(&record, static_cast<uint64_t>(one.max_time));
    if (record.size() < kRecordBytes) continue;
    NARTHEX_RETURN_IF_ERROR(log());
    record.resize(empty_size);
  }
  return record.size() == empty_size ? absl::OkStatus() : log();
}

void OooHead::Delete(std::span<const Deleted> deleted) {
  for (const Deleted& one : deleted) ReplayDeleted(one, ~ChunkPlace{0});
}

absl::Status OooHead::Sync() { return log_ == nullptr ? absl::OkStatus() : log_->Sync(); }

bool OooHead::Has(Slot slot) const {
  if (empty()) return false;
  const Shard& shard = ShardOf(slot);
  ReaderMutexLock lock(&shard.mu);
  return shard.series.contains(slot);
}

void OooHead::Extend(Timestamp min_time, Timestamp max_time) {
  MutexLock lock(&bounds_mu_);
  current_.Add(min_time, max_time);
  PublishBounds();
}

void OooHead::PublishBounds() {
  min_time_.store(std::min(frozen_.min_time, current_.min_time), std::memory_order_relaxed);
  max_time_.store(std::max(frozen_.max_time, current_.max_time), std::memory_order_relaxed);
}

bool OooHead::ReadSlot(Slot slot, const OooSeries::Range& range, OooChunks* out) const {
  out->Clear();
  const Shard& shard = ShardOf(slot);
  ReaderMutexLock lock(&shard.mu);
  const auto found = shard.series.find(slot);
  if (found == shard.series.end()) return false;
  const size_t unreadable = found->second->Read(range, *chunk_files_, out);
  if (unreadable > 0) {
    counters_.chunks_unreadable.fetch_add(unreadable, std::memory_order_relaxed);
  }
  return !out->chunks.empty();
}

bool OooHead::ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                         OooChunks* out) const {
  out->Clear();
  if (empty() || this->min_time() > max_time || this->max_time() < min_time) return false;
  OooSeries::Range range;
  range.min_time = min_time;
  range.max_time = max_time;
  range.visible = visible;
  range.encoding = encoding();
  return ReadSlot(slot, range, out);
}

bool OooHead::Overlaps(Slot slot, Timestamp min_time, Timestamp max_time,
                       BatchNumber visible) const {
  if (empty() || this->min_time() > max_time || this->max_time() < min_time) return false;
  OooSeries::Range range;
  range.min_time = min_time;
  range.max_time = max_time;
  range.visible = visible;
  const Shard& shard = ShardOf(slot);
  ReaderMutexLock lock(&shard.mu);
  const auto found = shard.series.find(slot);
  return found != shard.series.end() && found->second->Overlaps(range);
}

absl::StatusOr<OooHead::Frozen> OooHead::Freeze() {
  Frozen frozen;
  frozen.generation = generation_;
  if (log_ != nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(frozen.log_segment, log_->Cut());
  }
  ++generation_;
  frozen.series = series_count();
  frozen.chunks_end = chunk_files_->end();
  MutexLock lock(&bounds_mu_);
  frozen_.Add(current_.min_time, current_.max_time);
  frozen_generation_ = frozen.generation;
  current_ = Bounds();
  frozen.min_time = frozen_.min_time;
  frozen.max_time = frozen_.max_time;
  return frozen;
}

// Reads series by series; what is frozen does not change until it is dropped.
class OooHead::FrozenSource : public ChunkSeriesSource {
 public:
  FrozenSource(const OooHead* head, const OooSeries::Range& range, DeletedOf deleted_of)
      : head_(head), range_(range), deleted_of_(std::move(deleted_of)) {
    for (size_t i = 0; i < kShards; ++i) {
      const Shard& shard = head_->shards_[i];
      ReaderMutexLock lock(&shard.mu);
      for (const auto& [slot, series] : shard.series) {
        if (series->Overlaps(range_)) slots_.push_back(slot);
      }
    }
    head_->index_->SortByLabels(&slots_);
  }

  absl::StatusOr<bool> Next() override {
    while (next_ < slots_.size()) {
      const Slot slot = slots_[next_++];
      if (!head_->ReadSlot(slot, range_, &chunks_)) continue;
      labels_ = head_->index_->LabelsOf(slot);
      label_views_.clear();
      for (const LabelView label : labels_) label_views_.push_back(label);
      deleted_.clear();
      if (deleted_of_) deleted_of_(slot, &deleted_);
      return true;
    }
    return false;
  }
  std::span<const LabelView> labels() const override { return label_views_; }
  std::span<const storage::SelectChunk> chunks() const override { return chunks_.chunks; }
  std::span<const storage::DeletedInterval> deleted() const override { return deleted_; }

 private:
  const OooHead* const head_;
  const OooSeries::Range range_;
  const DeletedOf deleted_of_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
  OooChunks chunks_;
  Labels labels_;
  std::vector<LabelView> label_views_;
  std::vector<storage::DeletedInterval> deleted_;
};

std::unique_ptr<ChunkSeriesSource> OooHead::Source(const Frozen& frozen, Timestamp min_time,
                                                   Timestamp max_time, DeletedOf deleted) const {
  OooSeries::Range range;
  range.min_time = min_time;
  range.max_time = max_time;
  range.generation_max = frozen.generation;
  range.encoding = encoding();
  return std::make_unique<FrozenSource>(this, range, std::move(deleted));
}

absl::Status OooHead::LogDropped(const Frozen& frozen) {
  if (log_ == nullptr || frozen.empty()) return absl::OkStatus();
  std::string record(1, static_cast<char>(kWblChunksDropped));
  AppendBig(&record, frozen.chunks_end);
  const std::string_view records[] = {record};
  return log_->Log(records);
}

absl::Status OooHead::Drop(const Frozen& frozen) {
  for (size_t i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    MutexLock lock(&shard.mu);
    for (auto at = shard.series.begin(); at != shard.series.end();) {
      OooSeries& series = *at->second;
      series.Drop(frozen.generation, chunk_files_);
      const auto here = at++;
      if (!series.empty()) continue;
      shard.series.erase(here);
      series_count_.fetch_sub(1, std::memory_order_release);
    }
  }
  {
    MutexLock lock(&bounds_mu_);
    if (frozen_generation_ == frozen.generation) frozen_ = Bounds();
    PublishBounds();
  }
  if (log_ == nullptr) return absl::OkStatus();
  return Annotate(log_->DeleteBefore(frozen.log_segment),
                  "free the log of the out-of-order samples that are in blocks");
}

void OooHead::LoadChunk(const HeadChunk& chunk) {
  LoadedChunk& loaded = loaded_.emplace_back();
  loaded.chunk = chunk;
  loaded.chunk.bytes = {};
  loaded.samples = chunkenc::ChunkSampleCount(chunk.encoding, chunk.bytes);
}

uint64_t OooHead::AttachLoadedChunks() {
  uint64_t unknown = 0;
  for (const LoadedChunk& loaded : loaded_) {
    const HeadChunk& chunk = loaded.chunk;
    const Slot slot = table_->FindReference(chunk.reference);
    if (slot == kNoSlot) {
      chunk_files_->Release(chunk.place);
      ++unknown;
      continue;
    }
    Extend(chunk.min_time, chunk.max_time);
    Shard& shard = ShardOf(slot);
    MutexLock lock(&shard.mu);
    SeriesOf(&shard, slot)
        ->AddLoaded(chunk.place, chunk.min_time, chunk.max_time, loaded.samples, generation_);
  }
  loaded_ = {};
  return unknown;
}

void OooHead::ReplaySample(const OooSample& sample) {
  Extend(sample.timestamp, sample.timestamp);
  Shard& shard = ShardOf(sample.slot);
  MutexLock lock(&shard.mu);
  OooSeries* const series = SeriesOf(&shard, sample.slot);
  if (series->open_samples() >= kOpenSamplesMax) Flush(sample.slot, series, kAllBatches);
  series->Insert(sample, 0, generation_);
}

void OooHead::ReplayMarker(Slot slot, ChunkPlace place) {
  Shard& shard = ShardOf(slot);
  MutexLock lock(&shard.mu);
  const auto found = shard.series.find(slot);
  if (found != shard.series.end()) found->second->OnMarker(place);
}

void OooHead::ReplayDropped(ChunkPlace chunks_end) {
  for (size_t i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    MutexLock lock(&shard.mu);
    for (const auto& [slot, series] : shard.series) series->DropBefore(chunks_end, chunk_files_);
  }
}

void OooHead::ReplayDeleted(const Deleted& deleted, ChunkPlace chunks_end) {
  Shard& shard = ShardOf(deleted.slot);
  MutexLock lock(&shard.mu);
  const auto found = shard.series.find(deleted.slot);
  if (found == shard.series.end()) return;
  found->second->Delete(deleted.min_time, deleted.max_time, chunks_end, chunk_files_);
  if (!found->second->empty()) return;
  shard.series.erase(found);
  series_count_.fetch_sub(1, std::memory_order_release);
}

void OooHead::ReplayDeletions(const DeletedOf& deleted_of) {
  std::vector<Slot> slots;
  for (size_t i = 0; i < kShards; ++i) {
    const Shard& shard = shards_[i];
    ReaderMutexLock lock(&shard.mu);
    for (const auto& [slot, series] : shard.series) slots.push_back(slot);
  }
  std::vector<storage::DeletedInterval> intervals;
  for (const Slot slot : slots) {
    intervals.clear();
    deleted_of(slot, &intervals);
    for (const storage::DeletedInterval& interval : intervals) {
      ReplayDeleted({slot, interval.min_time, interval.max_time}, ~ChunkPlace{0});
    }
  }
}

void OooHead::OpenLog(std::unique_ptr<Wbl> log) {
  // Markers and dropped chunks have taken some of it away again.
  Bounds bounds;
  std::vector<wal::MmapMarker> markers;
  for (size_t i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    MutexLock lock(&shard.mu);
    for (auto at = shard.series.begin(); at != shard.series.end();) {
      const auto here = at++;
      if (here->second->empty()) {
        shard.series.erase(here);
        series_count_.fetch_sub(1, std::memory_order_release);
        continue;
      }
      bounds.Add(here->second->min_time(), here->second->max_time());
      if (here->second->marker_missed() && here->second->open_samples() > 0) {
        // Prometheus tells a marker that has no chunk only by chunks that lie behind its place, and
        // there will be some soon. So what the marker speaks of becomes a chunk now.
        const ChunkPlace place = Flush(here->first, here->second.get(), kAllBatches);
        markers.push_back({table_->cold(here->first).reference, place});
      }
    }
  }
  if (!markers.empty() && chunk_files_->Flush().ok()) {
    const std::string record = wal::EncodeMmapMarkers(markers);
    const std::string_view records[] = {record};
    log->Log(records).IgnoreError();  // Then the next start does the same.
  }
  MutexLock lock(&bounds_mu_);
  current_ = bounds;
  PublishBounds();
  log_ = std::move(log);
}

size_t OooHead::memory_bytes() const {
  size_t bytes = 0;
  for (size_t i = 0; i < kShards; ++i) {
    const Shard& shard = shards_[i];
    ReaderMutexLock lock(&shard.mu);
    bytes += shard.series.capacity() * (sizeof(Slot) + sizeof(void*));
    for (const auto& [slot, series] : shard.series) bytes += series->memory_bytes();
  }
  return bytes;
}

}  // namespace narthex::tsdb
