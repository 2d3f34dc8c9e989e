// SeriesWriter: how samples become chunks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {
namespace {

// What upstream allows a chunk to have before a sample is added: 1024 bytes less the largest
// sample.
constexpr size_t kChunkBytesMax = 1024 - 19;

// What a wide chunk takes, about: it is counted, not measured.
constexpr size_t kWideBytes = 1024;

// The end of the range of width `range_ms` in which `timestamp` lies; upstream's arithmetic, which
// rounds towards zero.
Timestamp RangeEnd(Timestamp timestamp, int64_t range_ms) {
  return timestamp / range_ms * range_ms + range_ms;
}

// Upstream's guess of when a chunk should end so that the chunks of a range are equally long, made
// when a quarter of the wanted samples is there.
Timestamp PredictEnd(Timestamp start, Timestamp newest, Timestamp range_end) {
  constexpr double kRatioToFull = 4;
  const double left = static_cast<double>(range_end - start);
  const double n = left / (static_cast<double>(newest - start + 1) * kRatioToFull);
  if (n <= 1) return range_end;
  return static_cast<Timestamp>(static_cast<double>(start) + left / std::floor(n));
}

// Whether an XOR chunk can be gone on with from the state that its image has; what its bits say is
// not looked at.
bool HasSoundState(const OpenChunkImage& image) {
  constexpr size_t kBytesMin = 2 + 1 + 8;
  const chunkenc::XorState& state = image.state;
  return state.count > 0 && image.bytes.size() >= kBytesMin &&
         chunkenc::XorSampleCount(image.bytes) == state.count &&
         image.min_time <= state.timestamp && state.leading + state.trailing < 64 &&
         state.free_bits <= 8;
}

}  // namespace

void SeriesWriter::FreeHistory(SeriesCold* cold) {
  while (cold->history != 0) {
    const uint32_t node = cold->history - 1;
    cold->history = table_->history_[node].next;
    table_->free_history_.push_back(node);
  }
}

void SeriesWriter::NoteBatch(SeriesHot* hot, SeriesCold* cold, BatchNumber batch,
                             BatchNumber seen_by_all) {
  const BatchNumber newest = hot->newest_batch >> kBatchShift;
  if (newest == batch && (hot->newest_batch & kBatchSamplesMax) < kBatchSamplesMax) {
    ++hot->newest_batch;
    return;
  }
  if (newest > seen_by_all) {
    // Some reader must not see that batch: its share is kept until nobody asks.
    std::vector<uint32_t>& free = table_->free_history_;
    uint32_t node;
    if (free.empty()) {
      node = static_cast<uint32_t>(table_->history_.Extend());
    } else {
      node = free.back();
      free.pop_back();
    }
    table_->history_[node] = {hot->newest_batch, cold->history};
    cold->history = node + 1;
    hot->has_history = true;
  } else if (hot->has_history) {
    FreeHistory(cold);
    hot->has_history = false;
  }
  hot->newest_batch = batch << kBatchShift | 1;
}

void SeriesWriter::OpenChunk(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp) {
  hot->state = chunkenc::XorState();
  hot->cut_at = RangeEnd(timestamp, table_->options_.range_ms);
  cold->open_min_time = timestamp;
  table_->chunks_.fetch_add(1, std::memory_order_relaxed);
  table_->chunks_created_.fetch_add(1, std::memory_order_relaxed);
  if (hot->wide) return;
  hot->first_block = hot->last_block = blocks_.Allocate();
  hot->open_size = 0;
}

void SeriesWriter::CloseChunk(SeriesHot* hot, SeriesCold* cold) {
  if (hot->empty()) return;
  uint8_t bytes[kOpenBytesMax];
  absl::Status taken;
  HeadChunk chunk;
  chunk.reference = cold->reference;
  chunk.min_time = cold->open_min_time;
  chunk.max_time = hot->state.timestamp;
  chunk.encoding = table_->OpenEncoding(*hot);
  if (const WideChunk* const wide = table_->WideOf(*hot)) {
    chunk.bytes = wide->bytes();
  } else {
    taken = TakeOpen(hot, bytes);
    chunk.bytes = {reinterpret_cast<const char*>(bytes), hot->open_size};
  }
  // Until a start reads it from the log, readers are told.
  if (!taken.ok()) {
    chunk.damaged = true;
    std::memset(bytes, 0, chunk.bytes.size());
  }
  const ChunkPlace place = table_->files_->Append(chunk);
  cold->closed = table_->closed_.Add({place, chunk.min_time, chunk.max_time}, cold->closed);
  if (WideChunk* const wide = table_->WideOf(*hot)) wide->End();
  hot->state.count = 0;
}

void SeriesWriter::DropOpenChunk(SeriesHot* hot, SeriesCold* cold) {
  if (hot->has_history) FreeHistory(cold);
  hot->has_history = false;
  if (!hot->empty()) {
    table_->chunks_.fetch_sub(1, std::memory_order_relaxed);
    uint8_t bytes[kOpenBytesMax];
    // Parts that cannot be read stay in their file.
    if (!hot->wide) TakeOpen(hot, bytes).IgnoreError();
  }
  if (hot->wide) {
    table_->wide_bytes_.fetch_sub(kWideBytes, std::memory_order_relaxed);
    table_->FreeWideChunk(hot->first_block);
  }
  hot->wide = false;
  hot->state = chunkenc::XorState();
  hot->open_size = 0;
  hot->newest_batch = 0;
}

WideChunk* SeriesWriter::Widen(SeriesHot* hot, SeriesCold* cold, WideChunk::Kind kind) {
  if (WideChunk* const wide = table_->WideOf(*hot); wide != nullptr && wide->kind() == kind) {
    return wide;
  }
  CloseChunk(hot, cold);
  if (hot->wide) {
    table_->FreeWideChunk(hot->first_block);
  } else {
    table_->wide_bytes_.fetch_add(kWideBytes, std::memory_order_relaxed);
  }
  hot->first_block =
      table_->NewWideChunk(std::make_unique<WideChunk>(kind, table_->options_.start_timestamps));
  hot->wide = true;
  return table_->WideOf(*hot);
}

void SeriesWriter::Settle() {
  HeadChunks* const parts = table_->parts_;
  if (parts == nullptr) return;
  part_pins_.Clear();
  if (!parts_gone_.empty()) {
    parts->Release(parts_gone_);
    parts_gone_.clear();
  }
  parts->FlushIfFull();
}

absl::Status SeriesWriter::TakeOpen(SeriesHot* hot, uint8_t* out) {
  const size_t parts = hot->parts_away;
  table_->CopyOpenBlocks(*hot, out);
  blocks_.Free(hot->first_block, hot->last_block);
  hot->parts_away = 0;
  ChunkPlace places[kOpenPartsMax];
  NARTHEX_RETURN_IF_ERROR(
      table_->CompleteOpenChunk(parts, hot->state.count, out, &part_pins_, places));
  parts_gone_.insert(parts_gone_.end(), places, places + parts);
  constexpr size_t kPinsMax = 16;
  if (part_pins_.size() > kPinsMax) part_pins_.Clear();
  return absl::OkStatus();
}

void SeriesWriter::SendAway(SeriesHot* hot, const SeriesCold& cold) {
  uint8_t bytes[OpenChunkParts::kBytes];
  uint32_t block = hot->first_block;
  for (size_t i = 0; i < OpenChunkParts::kBlocks; ++i) {
    const ChunkBlock& from = table_->blocks_[block];
    std::memcpy(bytes + i * ChunkBlock::kBytes, from.bytes, ChunkBlock::kBytes);
    block = from.next;
  }
  HeadChunk part;
  part.reference = cold.reference;
  part.min_time = cold.open_min_time;
  part.max_time = hot->state.timestamp;
  part.bytes = {reinterpret_cast<const char*>(bytes), sizeof bytes};
  const ChunkPlace place = table_->parts_->Append(part);
  blocks_.Free(hot->first_block, hot->last_block);
  hot->first_block = hot->last_block = blocks_.Allocate();
  std::memcpy(table_->blocks_[hot->first_block].bytes, &place, sizeof place);
  ++hot->parts_away;
}

void SeriesWriter::Store(SeriesHot* hot, const SeriesCold& cold, size_t at, const uint8_t* bytes,
                         size_t count) {
  NARTHEX_DCHECK(count <= kOpenStoreMax);
  hot->open_size = static_cast<uint16_t>(at + count);
  const size_t offset = (at - hot->parts_away * OpenChunkParts::kStep) % ChunkBlock::kBytes;
  const size_t here = std::min(count, ChunkBlock::kBytes - offset);
  std::memcpy(table_->blocks_[hot->last_block].bytes + offset, bytes, here);
  if (here == count) return;
  if (at + here - hot->parts_away * OpenChunkParts::kStep == OpenChunkParts::kBytes &&
      hot->parts_away < kOpenPartsMax && table_->parts_ != nullptr && table_->parts_->on_disk()) {
    SendAway(hot, cold);
    std::memcpy(table_->blocks_[hot->last_block].bytes + sizeof(ChunkPlace), bytes + here,
                count - here);
    return;
  }
  const uint32_t next = blocks_.Allocate();
  table_->blocks_[hot->last_block].next = next;
  hot->last_block = next;
  std::memcpy(table_->blocks_[next].bytes, bytes + here, count - here);
}

bool SeriesWriter::FloatsMustEnd(SeriesHot* hot, const SeriesCold& cold, Timestamp timestamp,
                                 size_t size) {
  if (size > kChunkBytesMax) return true;
  const int count = hot->state.count;
  const int target = table_->options_.samples_target;
  if (count == target / 4) {
    hot->cut_at = PredictEnd(cold.open_min_time, hot->state.timestamp, hot->cut_at);
  }
  // Far more samples than wanted: they have become denser since the prediction.
  return timestamp >= hot->cut_at || count >= target * 2;
}

void SeriesWriter::AppendXor(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp, double value) {
  if (!hot->empty() && FloatsMustEnd(hot, *cold, timestamp, hot->open_size)) CloseChunk(hot, cold);
  // The encoder goes on in the chunk's last byte, so it gets that alone, behind a count.
  constexpr size_t kCountBytes = 2;
  uint8_t scratch[kCountBytes + 1 + chunkenc::kXorSampleBytesMax];
  if (hot->empty()) {
    OpenChunk(hot, cold, timestamp);
    size_t size = 0;
    chunkenc::XorAppend(&hot->state, scratch, &size, timestamp, value);
    Store(hot, *cold, 0, scratch, size);
    return;
  }
  const size_t last = hot->open_size - size_t{1};
  const size_t in_blocks = last - hot->parts_away * OpenChunkParts::kStep;
  scratch[kCountBytes] = table_->blocks_[hot->last_block].bytes[in_blocks % ChunkBlock::kBytes];
  size_t size = kCountBytes + 1;
  chunkenc::XorAppend(&hot->state, scratch, &size, timestamp, value);
  Store(hot, *cold, last, scratch + kCountBytes, size - kCountBytes);
}

void SeriesWriter::AppendXor2(SeriesHot* hot, SeriesCold* cold, Timestamp timestamp, double value,
                              Timestamp start) {
  WideChunk::Floats& floats = Widen(hot, cold, WideChunk::Kind::kXor2Floats)->floats();
  if (!hot->empty() && FloatsMustEnd(hot, *cold, timestamp, floats.size)) CloseChunk(hot, cold);
  if (hot->empty()) OpenChunk(hot, cold, timestamp);
  const size_t need = floats.size + chunkenc::kXor2SampleBytesMax;
  if (floats.bytes.size() < need) floats.bytes.resize(need + need / 2);
  chunkenc::Xor2Append(&floats.state, reinterpret_cast<uint8_t*>(floats.bytes.data()), &floats.size,
                       timestamp, value, start);
  hot->state.timestamp = timestamp;
  hot->state.value = value;
  ++hot->state.count;
}

void SeriesWriter::Append(Slot slot, Timestamp timestamp, double value, BatchNumber batch,
                          BatchNumber seen_by_all, Timestamp start) {
  SeriesHot& hot = table_->hot_[slot];
  SeriesCold& cold = table_->cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  hot.pending = 0;
  NoteBatch(&hot, &cold, batch, seen_by_all);
  NARTHEX_DCHECK(timestamp > table_->NewestTime(slot));
  const WideChunk* const wide = table_->WideOf(hot);
  const bool keeps_starts = table_->options_.start_timestamps;
  // A chunk that has start timestamps goes on as it is where a sample has none.
  if (table_->xor2_floats() ||
      (keeps_starts && (start != 0 || (wide != nullptr && !wide->is_histogram())))) {
    AppendXor2(&hot, &cold, timestamp, value, keeps_starts ? start : 0);
    return;
  }
  if (wide != nullptr) {
    CloseChunk(&hot, &cold);
    const uint64_t newest_batch = hot.newest_batch;
    const bool has_history = hot.has_history;
    hot.has_history = false;
    DropOpenChunk(&hot, &cold);  // It is empty now, and makes room for one of floats.
    hot.newest_batch = newest_batch;
    hot.has_history = has_history;
  }
  AppendXor(&hot, &cold, timestamp, value);
}

template <typename H>
void SeriesWriter::AppendHistogram(Slot slot, Timestamp timestamp, const H& histogram,
                                   BatchNumber batch, BatchNumber seen_by_all, Timestamp start) {
  SeriesHot& hot = table_->hot_[slot];
  SeriesCold& cold = table_->cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  hot.pending = 0;
  NoteBatch(&hot, &cold, batch, seen_by_all);
  NARTHEX_DCHECK(timestamp > table_->NewestTime(slot));
  WideChunk* const wide = Widen(&hot, &cold, WideChunk::KindOf(histogram));
  auto& appender = wide->of(histogram);
  const auto begin = [&] {
    OpenChunk(&hot, &cold, timestamp);
    wide->limit().Begin(timestamp, table_->options_.range_ms);
  };
  if (!hot.empty() && wide->limit().MustEnd(hot.state.count, appender.bytes().size(),
                                            hot.state.timestamp, timestamp)) {
    CloseChunk(&hot, &cold);
  }
  if (hot.empty()) begin();
  if (appender.Append(timestamp, histogram, start) == chunkenc::HistogramAppend::kNewChunk) {
    CloseChunk(&hot, &cold);
    begin();
    NARTHEX_CHECK(appender.Append(timestamp, histogram, start) !=
                  chunkenc::HistogramAppend::kNewChunk);
  }
  hot.state.timestamp = timestamp;
  hot.state.value = histogram.sum;
  ++hot.state.count;
}

void SeriesWriter::Append(Slot slot, Timestamp timestamp, const Histogram& histogram,
                          BatchNumber batch, BatchNumber seen_by_all, Timestamp start) {
  AppendHistogram(slot, timestamp, histogram, batch, seen_by_all, start);
}

void SeriesWriter::Append(Slot slot, Timestamp timestamp, const FloatHistogram& histogram,
                          BatchNumber batch, BatchNumber seen_by_all, Timestamp start) {
  AppendHistogram(slot, timestamp, histogram, batch, seen_by_all, start);
}

// --- Going on with what was there before ---

bool SeriesWriter::AddClosed(Slot slot, ChunkPlace place, Timestamp min_time, Timestamp max_time) {
  SeriesHot& hot = table_->hot_[slot];
  SeriesCold& cold = table_->cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (!hot.empty() || min_time <= table_->NewestTime(slot) || max_time < min_time) return false;
  cold.closed = table_->closed_.Add({place, min_time, max_time}, cold.closed);
  table_->chunks_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

absl::Status SeriesWriter::SetOpenChunk(Slot slot, const OpenChunkImage& image) {
  if (image.bytes.empty()) return absl::OkStatus();
  SeriesHot& hot = table_->hot_[slot];
  SeriesCold& cold = table_->cold_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (!hot.empty()) return FailedPrecondition("the series has an open chunk");
  const bool has_state = image.encoding == chunkenc::Encoding::kXor && image.state.count > 0;
  // What the chunk ends with.
  SampleBuffer samples;
  bool sound = image.min_time > table_->NewestTime(slot);
  if (has_state) {
    sound = sound && HasSoundState(image);
  } else {
    NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(image.encoding, image.bytes,
                                                  std::numeric_limits<size_t>::max(), kMinTimestamp,
                                                  kMaxTimestamp, &samples));
    sound = sound && !samples.empty() && samples.size() <= UINT16_MAX &&
            samples.timestamps().front() == image.min_time;
  }
  if (!sound) return DataLoss("the open chunk of a series does not go with what is said of it");
  if (image.encoding == chunkenc::Encoding::kXor) {
    if (image.bytes.size() > kOpenBytesMax) return DataLoss("an open chunk is too long");
    chunkenc::XorState state = image.state;
    if (!has_state) NARTHEX_RETURN_IF_ERROR(chunkenc::XorResume(image.bytes, &state));
    if (hot.wide) DropOpenChunk(&hot, &cold);
    OpenChunk(&hot, &cold, image.min_time);
    hot.state = state;
    const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(image.bytes.data());
    Store(&hot, cold, 0, bytes, std::min(kOpenStoreMax, image.bytes.size()));
    while (hot.open_size < image.bytes.size()) {
      const size_t last = hot.open_size - size_t{1};
      Store(&hot, cold, last, bytes + last, std::min(kOpenStoreMax, image.bytes.size() - last));
    }
  } else {
    WideChunk::Kind kind = WideChunk::Kind::kXor2Floats;
    if (image.encoding != chunkenc::Encoding::kXor2) {
      kind = chunkenc::KindOf(image.encoding) == SampleKind::kHistogram
                 ? WideChunk::Kind::kHistograms
                 : WideChunk::Kind::kFloatHistograms;
    }
    auto wide = std::make_unique<WideChunk>(kind, table_->options_.start_timestamps);
    NARTHEX_RETURN_IF_ERROR(wide->Resume(image.bytes));
    wide->limit().Begin(image.min_time, table_->options_.range_ms);
    if (hot.wide) DropOpenChunk(&hot, &cold);
    hot.first_block = table_->NewWideChunk(std::move(wide));
    hot.wide = true;
    table_->wide_bytes_.fetch_add(kWideBytes, std::memory_order_relaxed);
    OpenChunk(&hot, &cold, image.min_time);
    hot.state.timestamp = samples.timestamps().back();
    hot.state.value = samples.values().back();
    hot.state.count = static_cast<uint16_t>(samples.size());
  }
  hot.cut_at = image.cut_at;
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
