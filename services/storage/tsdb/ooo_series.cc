#include "services/storage/tsdb/ooo_series.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "lib/chunkenc/chunk.h"

namespace narthex::tsdb {

bool SameValue(const OooSample& a, const OooSample& b) {
  const SampleKind kind = a.kind();
  if (kind != b.kind()) return false;
  switch (kind) {
    case SampleKind::kFloat:
      return std::bit_cast<uint64_t>(a.value) == std::bit_cast<uint64_t>(b.value);
    case SampleKind::kHistogram:
      return Same(*a.histogram, *b.histogram);
    case SampleKind::kFloatHistogram:
      return Same(*a.float_histogram, *b.float_histogram);
  }
  return false;
}

OooSample SampleAt(const SampleBuffer& samples, size_t index) {
  OooSample sample;
  switch (samples.kind(index)) {
    case SampleKind::kFloat:
      sample.value = samples.values()[index];
      break;
    case SampleKind::kHistogram:
      sample.histogram = &samples.histogram(index);
      break;
    case SampleKind::kFloatHistogram:
      sample.float_histogram = &samples.float_histogram(index);
      break;
  }
  return sample;
}

void OooChunks::AddEncoded(chunkenc::ChunkWriter* writer) {
  for (chunkenc::FinishedChunk& finished : writer->Finish()) {
    encoded_.push_back(std::move(finished.bytes));
    chunks.push_back({finished.encoding, finished.min_time, finished.max_time, finished.samples,
                      encoded_.back()});
  }
}

void OooChunks::Sort() {
  std::stable_sort(chunks.begin(), chunks.end(),
                   [](const storage::SelectChunk& a, const storage::SelectChunk& b) {
                     return a.min_time < b.min_time;
                   });
}

void OooSeries::Open::AppendTo(chunkenc::ChunkWriter* writer) const {
  if (extra == nullptr) {
    writer->Append(timestamp, value);
    return;
  }
  switch (extra->kind) {
    case SampleKind::kFloat:
      writer->Append(timestamp, value, extra->start);
      return;
    case SampleKind::kHistogram:
      writer->Append(timestamp, extra->histogram, extra->start);
      return;
    case SampleKind::kFloatHistogram:
      writer->Append(timestamp, extra->float_histogram, extra->start);
      return;
  }
}

OooSample OooSeries::Open::View() const {
  OooSample sample;
  sample.value = value;
  if (extra != nullptr && extra->kind == SampleKind::kHistogram) {
    sample.histogram = &extra->histogram;
  }
  if (extra != nullptr && extra->kind == SampleKind::kFloatHistogram) {
    sample.float_histogram = &extra->float_histogram;
  }
  return sample;
}

std::vector<OooSeries::Open>::const_iterator OooSeries::FindOpen(Timestamp timestamp) const {
  return std::lower_bound(open_.begin(), open_.end(), timestamp,
                          [](const Open& sample, Timestamp t) { return sample.timestamp < t; });
}

std::optional<bool> OooSeries::Compare(const OooSample& sample, const HeadChunks& files) const {
  const Timestamp time = sample.timestamp;
  const auto at = FindOpen(time);
  if (at != open_.end() && at->timestamp == time) return SameValue(sample, at->View());
  ChunkPins pins;
  SampleBuffer samples;
  for (const Chunk& chunk : chunks_) {
    if (time < chunk.min_time || chunk.max_time < time || chunk.IsDeleted(time)) continue;
    const absl::StatusOr<HeadChunk> read = files.Read(chunk.place, &pins);
    if (!read.ok()) continue;
    samples.Clear();
    const absl::Status decoded =
        chunkenc::DecodeChunk(read->encoding, read->bytes, chunk.samples, time, time, &samples);
    if (decoded.ok() && !samples.empty()) return SameValue(sample, SampleAt(samples, 0));
  }
  return std::nullopt;
}

bool OooSeries::Insert(const OooSample& sample, BatchNumber batch, uint64_t generation) {
  const auto at = FindOpen(sample.timestamp);
  if (at != open_.end() && at->timestamp == sample.timestamp) return false;
  Open open;
  open.timestamp = sample.timestamp;
  open.value = sample.value;
  open.batch = batch;
  if (sample.kind() != SampleKind::kFloat || sample.start_timestamp != 0) {
    auto extra = std::make_unique<Extra>();
    extra->start = sample.start_timestamp;
    extra->kind = sample.kind();
    if (sample.histogram != nullptr) extra->histogram = *sample.histogram;
    if (sample.float_histogram != nullptr) extra->float_histogram = *sample.float_histogram;
    open.extra = std::move(extra);
  }
  if (open_.empty()) open_generation_ = generation;
  open_.insert(at, std::move(open));
  return true;
}

ChunkPlace OooSeries::Flush(uint64_t reference, BatchNumber seen_by_all,
                            const chunkenc::ChunkWriterOptions& encoding, HeadChunks* files) {
  for (Chunk& chunk : chunks_) {
    if (chunk.newest_batch <= seen_by_all) chunk.batches = nullptr;
  }
  chunkenc::ChunkWriter writer(encoding);
  for (const Open& sample : open_) sample.AppendTo(&writer);
  ChunkPlace place = 0;
  size_t at = 0;
  for (const chunkenc::FinishedChunk& finished : writer.Finish()) {
    HeadChunk record;
    record.reference = reference;
    record.min_time = finished.min_time;
    record.max_time = finished.max_time;
    record.encoding = finished.encoding;
    record.out_of_order = true;
    record.bytes = finished.bytes;
    place = files->Append(record);
    Chunk& chunk = chunks_.emplace_back();
    chunk.place = place;
    chunk.min_time = finished.min_time;
    chunk.max_time = finished.max_time;
    chunk.samples = finished.samples;
    chunk.generation = open_generation_;
    std::vector<BatchNumber> batches;
    for (const size_t end = at + finished.samples; at < end; ++at) {
      batches.push_back(open_[at].batch);
      chunk.newest_batch = std::max(chunk.newest_batch, open_[at].batch);
    }
    if (chunk.newest_batch > seen_by_all) {
      chunk.batches = std::make_shared<const std::vector<BatchNumber>>(std::move(batches));
    }
  }
  open_.clear();
  return place;
}

bool OooSeries::Chunk::IsDeleted(Timestamp timestamp) const {
  return deleted != nullptr &&
         std::any_of(deleted->begin(), deleted->end(), [=](const storage::DeletedInterval& one) {
           return one.min_time <= timestamp && timestamp <= one.max_time;
         });
}

bool OooSeries::InRange(const Chunk& chunk, const Range& range) {
  if (chunk.generation > range.generation_max) return false;
  if (chunk.max_time < range.min_time || chunk.min_time > range.max_time) return false;
  if (chunk.newest_batch <= range.visible || chunk.batches == nullptr) return true;
  // It was closed moments ago, and has samples that this reader must not see.
  return std::any_of(chunk.batches->begin(), chunk.batches->end(),
                     [&range](BatchNumber batch) { return batch <= range.visible; });
}

bool OooSeries::InRange(const Open& sample, const Range& range) {
  return sample.timestamp >= range.min_time && sample.timestamp <= range.max_time &&
         sample.batch <= range.visible;
}

bool OooSeries::Overlaps(const Range& range) const {
  for (const Chunk& chunk : chunks_) {
    if (InRange(chunk, range)) return true;
  }
  if (open_generation_ > range.generation_max) return false;
  for (const Open& sample : open_) {
    if (InRange(sample, range)) return true;
  }
  return false;
}

size_t OooSeries::Read(const Range& range, const HeadChunks& files, OooChunks* out) const {
  size_t unreadable = 0;
  for (const Chunk& chunk : chunks_) {
    if (!InRange(chunk, range)) continue;
    const absl::StatusOr<HeadChunk> read = files.Read(chunk.place, &out->pins_);
    if (!read.ok()) {
      ++unreadable;
      continue;
    }
    if (chunk.IsWhole(range.visible)) {
      out->chunks.push_back(
          {read->encoding, chunk.min_time, chunk.max_time, chunk.samples, read->bytes});
      continue;
    }
    SampleBuffer samples;
    if (!chunkenc::DecodeChunk(read->encoding, read->bytes, chunk.samples, kMinTimestamp,
                               kMaxTimestamp, &samples)
             .ok()) {
      ++unreadable;
      continue;
    }
    chunkenc::ChunkWriter writer(range.encoding);
    for (size_t i = 0; i < samples.size(); ++i) {
      if (chunk.batches != nullptr && (*chunk.batches)[i] > range.visible) continue;
      if (!chunk.IsDeleted(samples.timestamps()[i])) writer.AppendFrom(samples, i);
    }
    out->AddEncoded(&writer);
  }
  if (open_generation_ <= range.generation_max) {
    std::optional<chunkenc::ChunkWriter> writer;
    for (const Open& sample : open_) {
      if (!InRange(sample, range)) continue;
      if (!writer) writer.emplace(range.encoding);
      sample.AppendTo(&*writer);
    }
    if (writer) out->AddEncoded(&*writer);
  }
  out->Sort();
  return unreadable;
}

void OooSeries::Drop(uint64_t generation, HeadChunks* files) {
  std::erase_if(chunks_, [&](const Chunk& chunk) {
    if (chunk.generation > generation) return false;
    files->Release(chunk.place);
    return true;
  });
  if (open_generation_ <= generation) open_.clear();
}

void OooSeries::DropBefore(ChunkPlace chunks_end, HeadChunks* files) {
  std::erase_if(chunks_, [&](const Chunk& chunk) {
    if (chunk.place >= chunks_end) return false;
    files->Release(chunk.place);
    return true;
  });
}

void OooSeries::Delete(Timestamp min_time, Timestamp max_time, ChunkPlace chunks_end,
                       HeadChunks* files) {
  std::erase_if(open_, [=](const Open& sample) {
    return min_time <= sample.timestamp && sample.timestamp <= max_time;
  });
  std::erase_if(chunks_, [&](Chunk& chunk) {
    if (chunk.place >= chunks_end) return false;
    if (chunk.max_time < min_time || chunk.min_time > max_time) return false;
    if (min_time <= chunk.min_time && chunk.max_time <= max_time) {
      files->Release(chunk.place);
      return true;
    }
    if (chunk.deleted == nullptr) {
      chunk.deleted = std::make_unique<std::vector<storage::DeletedInterval>>();
    }
    chunk.deleted->push_back({min_time, max_time});
    return false;
  });
}

Timestamp OooSeries::min_time() const {
  Timestamp min_time = open_.empty() ? kMaxTimestamp : open_.front().timestamp;
  for (const Chunk& chunk : chunks_) min_time = std::min(min_time, chunk.min_time);
  return min_time;
}

Timestamp OooSeries::max_time() const {
  Timestamp max_time = open_.empty() ? kMinTimestamp : open_.back().timestamp;
  for (const Chunk& chunk : chunks_) max_time = std::max(max_time, chunk.max_time);
  return max_time;
}

void OooSeries::AddLoaded(ChunkPlace place, Timestamp min_time, Timestamp max_time,
                          uint32_t samples, uint64_t generation) {
  Chunk& chunk = chunks_.emplace_back();
  chunk.place = place;
  chunk.min_time = min_time;
  chunk.max_time = max_time;
  chunk.samples = samples;
  chunk.generation = generation;
}

void OooSeries::OnMarker(ChunkPlace place) {
  const bool there = std::any_of(chunks_.begin(), chunks_.end(),
                                 [place](const Chunk& chunk) { return chunk.place == place; });
  marker_missed_ = place != 0 && !there;
  if (!marker_missed_) open_.clear();
}

size_t OooSeries::memory_bytes() const {
  size_t bytes =
      sizeof *this + chunks_.capacity() * sizeof(Chunk) + open_.capacity() * sizeof(Open);
  for (const Chunk& chunk : chunks_) {
    if (chunk.batches != nullptr) bytes += chunk.batches->capacity() * sizeof(BatchNumber);
    if (chunk.deleted != nullptr) {
      bytes += chunk.deleted->capacity() * sizeof(storage::DeletedInterval);
    }
  }
  for (const Open& sample : open_) {
    if (sample.extra != nullptr) bytes += sizeof(Extra);
  }
  return bytes;
}

}  // namespace narthex::tsdb
