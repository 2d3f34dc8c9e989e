#include "services/storage/tsdb/merge_source.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/chunkenc/chunk.h"

namespace narthex::tsdb {
namespace {

using storage::DeletedInterval;
using storage::SelectChunk;

// The first interval that does not end before `time`.
std::span<const DeletedInterval>::iterator FirstAt(std::span<const DeletedInterval> deleted,
                                                   Timestamp time) {
  return std::lower_bound(deleted.begin(), deleted.end(), time,
                          [](const DeletedInterval& d, Timestamp t) { return d.max_time < t; });
}

bool Touches(std::span<const DeletedInterval> deleted, Timestamp min_time, Timestamp max_time) {
  const auto first = FirstAt(deleted, min_time);
  return first != deleted.end() && first->min_time <= max_time;
}

bool Covers(std::span<const DeletedInterval> deleted, Timestamp min_time, Timestamp max_time) {
  const auto first = FirstAt(deleted, min_time);
  return first != deleted.end() && first->min_time <= min_time && first->max_time >= max_time;
}

// Whether nothing has to be done to a chunk that stands alone.
bool Whole(const OriginChunk& origin, Timestamp min_time, Timestamp max_time) {
  const SelectChunk& chunk = origin.chunk;
  return chunk.min_time >= min_time && chunk.max_time <= max_time &&
         !Touches(origin.deleted, chunk.min_time, chunk.max_time) &&
         chunk.visible_samples >= chunkenc::ChunkSampleCount(chunk.encoding, chunk.bytes);
}

// Puts a sample behind those that were encoded before. Whether a histogram is a reset of the one
// before it is found out anew, because another one may stand before it now.
void Append(const SampleBuffer& samples, size_t i, chunkenc::ChunkWriter* writer) {
  const Timestamp timestamp = samples.timestamps()[i];
  const Timestamp start = samples.start_timestamps().empty() ? 0 : samples.start_timestamps()[i];
  switch (samples.kind(i)) {
    case SampleKind::kFloat:
      writer->Append(timestamp, samples.values()[i], start);
      return;
    case SampleKind::kHistogram: {
      Histogram histogram = samples.histogram(i);
      if (histogram.reset_hint != CounterResetHint::kGauge) {
        histogram.reset_hint = CounterResetHint::kUnknown;
      }
      writer->Append(timestamp, histogram, start);
      return;
    }
    case SampleKind::kFloatHistogram: {
      FloatHistogram histogram = samples.float_histogram(i);
      if (histogram.reset_hint != CounterResetHint::kGauge) {
        histogram.reset_hint = CounterResetHint::kUnknown;
      }
      writer->Append(timestamp, histogram, start);
      return;
    }
  }
}

}  // namespace

int CompareLabels(std::span<const LabelView> a, std::span<const LabelView> b) {
  const size_t count = std::min(a.size(), b.size());
  for (size_t i = 0; i < count; ++i) {
    if (const int order = a[i].name.compare(b[i].name); order != 0) return order;
    if (const int order = a[i].value.compare(b[i].value); order != 0) return order;
  }
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}

void DropDeleted(std::span<const DeletedInterval> deleted, size_t base, SampleBuffer* samples) {
  if (deleted.empty() || samples->size() == base) return;
  const std::span<const Timestamp> times = samples->timestamps();
  if (!Touches(deleted, times[base], times.back())) return;
  auto gone = FirstAt(deleted, times[base]);
  samples->Filter(base, [&](size_t i) {
    const Timestamp timestamp = samples->timestamps()[i];
    while (gone != deleted.end() && gone->max_time < timestamp) ++gone;
    return gone == deleted.end() || gone->min_time > timestamp;
  });
}

namespace {

// Leaves out what has nothing in the range, and sorts the rest.
void Prepare(std::vector<OriginChunk>* chunks, Timestamp min_time, Timestamp max_time) {
  std::erase_if(*chunks, [&](const OriginChunk& origin) {
    const SelectChunk& chunk = origin.chunk;
    return chunk.visible_samples == 0 || chunk.max_time < min_time || chunk.min_time > max_time ||
           Covers(origin.deleted, chunk.min_time, chunk.max_time);
  });
  std::stable_sort(chunks->begin(), chunks->end(), [](const OriginChunk& a, const OriginChunk& b) {
    if (a.chunk.min_time != b.chunk.min_time) return a.chunk.min_time < b.chunk.min_time;
    return a.origin < b.origin;
  });
}

// The chunks from `begin` on that overlap one another, directly or through others.
std::span<const OriginChunk> ClusterAt(const std::vector<OriginChunk>& chunks, size_t begin) {
  Timestamp end_time = chunks[begin].chunk.max_time;
  size_t end = begin + 1;
  while (end < chunks.size() && chunks[end].chunk.min_time <= end_time) {
    end_time = std::max(end_time, chunks[end].chunk.max_time);
    ++end;
  }
  return {chunks.data() + begin, end - begin};
}

}  // namespace

ChunkMerger::ChunkMerger(chunkenc::ChunkWriterOptions options)
    : writer_(options),
      xor2_writer_({options.samples_max, options.start_timestamps, true}),
      starts_writer_({options.samples_max, true, true}) {}

absl::Status ChunkMerger::Merge(std::vector<OriginChunk>* chunks, Timestamp min_time,
                                Timestamp max_time, std::vector<SelectChunk>* out) {
  Prepare(chunks, min_time, max_time);
  for (size_t begin = 0; begin < chunks->size();) {
    const std::span<const OriginChunk> cluster = ClusterAt(*chunks, begin);
    begin += cluster.size();
    const OriginChunk& first = cluster[0];
    // The same chunk from several sources is one chunk: it may be in the head and in a block.
    const bool same = std::all_of(cluster.begin(), cluster.end(), [&](const OriginChunk& other) {
      return Whole(other, min_time, max_time) && other.chunk.encoding == first.chunk.encoding &&
             other.chunk.bytes == first.chunk.bytes;
    });
    if (same) {
      out->push_back(first.chunk);
      ++chunks_passed_;
    } else {
      NARTHEX_RETURN_IF_ERROR(Encode(cluster, min_time, max_time, out));
    }
  }
  return absl::OkStatus();
}

absl::Status ChunkMerger::Order(std::span<const OriginChunk> cluster, Timestamp min_time,
                                Timestamp max_time) {
  places_.clear();
  if (buffers_.size() < cluster.size()) buffers_.resize(cluster.size());
  for (size_t i = 0; i < cluster.size(); ++i) {
    const SelectChunk& chunk = cluster[i].chunk;
    SampleBuffer& samples = buffers_[i];
    samples.Clear();
    NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(
        chunk.encoding, chunk.bytes, chunk.visible_samples, min_time, max_time, &samples));
    DropDeleted(cluster[i].deleted, 0, &samples);
    for (size_t at = 0; at < samples.size(); ++at) {
      places_.push_back({samples.timestamps()[at], cluster[i].origin, static_cast<uint32_t>(i),
                         static_cast<uint32_t>(at)});
    }
  }
  if (cluster.size() == 1) return absl::OkStatus();
  std::stable_sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
    return a.timestamp != b.timestamp ? a.timestamp < b.timestamp : a.origin < b.origin;
  });
  places_.erase(
      std::unique(places_.begin(), places_.end(),
                  [](const Place& a, const Place& b) { return a.timestamp == b.timestamp; }),
      places_.end());
  return absl::OkStatus();
}

// REQUIRES: Order() was called for the cluster.
chunkenc::ChunkWriter* ChunkMerger::WriterFor(std::span<const OriginChunk> cluster) {
  bool xor2 = false;
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (!buffers_[i].start_timestamps().empty()) return &starts_writer_;
    xor2 = xor2 || cluster[i].chunk.encoding == chunkenc::Encoding::kXor2;
  }
  return xor2 ? &xor2_writer_ : &writer_;
}

absl::Status ChunkMerger::Encode(std::span<const OriginChunk> cluster, Timestamp min_time,
                                 Timestamp max_time, std::vector<SelectChunk>* out) {
  NARTHEX_RETURN_IF_ERROR(Order(cluster, min_time, max_time));
  chunkenc::ChunkWriter* const writer = WriterFor(cluster);
  for (const Place& place : places_) Append(buffers_[place.buffer], place.index, writer);
  for (const chunkenc::FinishedChunk& chunk : encoded_.emplace_back(writer->Finish())) {
    out->push_back({chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes});
    ++chunks_encoded_;
  }
  return absl::OkStatus();
}

absl::Status ChunkMerger::Decode(std::vector<OriginChunk>* chunks, Timestamp min_time,
                                 Timestamp max_time, SampleBuffer* out) {
  Prepare(chunks, min_time, max_time);
  for (size_t begin = 0; begin < chunks->size();) {
    const std::span<const OriginChunk> cluster = ClusterAt(*chunks, begin);
    begin += cluster.size();
    if (cluster.size() == 1) {
      const SelectChunk& chunk = cluster[0].chunk;
      const size_t base = out->size();
      NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(
          chunk.encoding, chunk.bytes, chunk.visible_samples, min_time, max_time, out));
      DropDeleted(cluster[0].deleted, base, out);
      continue;
    }
    NARTHEX_RETURN_IF_ERROR(Order(cluster, min_time, max_time));
    for (const Place& place : places_) out->AppendFrom(buffers_[place.buffer], place.index);
  }
  return absl::OkStatus();
}

MergeSource::MergeSource(std::vector<std::unique_ptr<ChunkSeriesSource>> sources,
                         Timestamp min_time, Timestamp max_time,
                         chunkenc::ChunkWriterOptions options)
    : sources_(std::move(sources)),
      min_time_(min_time),
      max_time_(max_time),
      merger_(options),
      live_(sources_.size(), true) {}

absl::Status MergeSource::Advance(size_t source) {
  NARTHEX_ASSIGN_OR_RETURN(const bool more, sources_[source]->Next());
  live_[source] = more;
  return absl::OkStatus();
}

absl::StatusOr<bool> MergeSource::Next() {
  if (!started_) {
    started_ = true;
    for (size_t i = 0; i < sources_.size(); ++i) current_.push_back(i);
  }
  while (true) {
    for (const size_t source : current_) NARTHEX_RETURN_IF_ERROR(Advance(source));
    current_.clear();
    // Sources are a few dozen at most: looking at all of them costs less than a heap.
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (!live_[i]) continue;
      const int order = current_.empty()
                            ? 0
                            : CompareLabels(sources_[i]->labels(), sources_[current_[0]]->labels());
      if (order > 0) continue;
      if (order < 0) current_.clear();
      current_.push_back(i);
    }
    if (current_.empty()) return false;
    labels_ = sources_[current_[0]]->labels();
    merger_.Clear();
    gathered_.clear();
    chunks_.clear();
    for (const size_t source : current_) {
      for (const SelectChunk& chunk : sources_[source]->chunks()) {
        gathered_.push_back({chunk, source, sources_[source]->deleted()});
      }
    }
    NARTHEX_RETURN_IF_ERROR(merger_.Merge(&gathered_, min_time_, max_time_, &chunks_));
    if (!chunks_.empty()) return true;
  }
}

}  // namespace narthex::tsdb
