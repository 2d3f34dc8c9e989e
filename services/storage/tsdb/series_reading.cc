// SeriesTable: what readers see.
#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {
namespace {

// How often an open chunk is read whose parts are gone: it was closed while it was read, and there
// is time for one or two samples meanwhile, not for chunks.
constexpr int kTries = 3;

}  // namespace

void SeriesTable::CopyOpenBlocks(const SeriesHot& hot, uint8_t* out) const {
  uint32_t block = hot.first_block;
  for (size_t at = hot.parts_away * OpenChunkParts::kStep; at < hot.open_size;
       at += ChunkBlock::kBytes) {
    const ChunkBlock& from = blocks_[block];
    std::memcpy(out + at, from.bytes, std::min(ChunkBlock::kBytes, hot.open_size - at));
    block = from.next;
  }
}

absl::Status SeriesTable::CompleteOpenChunk(size_t parts, uint16_t count, uint8_t* out,
                                            ChunkPins* pins, ChunkPlace* places) const {
  for (size_t part = parts; part-- > 0;) {
    // What follows begins with the place of this one, which ends with what belongs there.
    std::memcpy(&places[part], out + (part + 1) * OpenChunkParts::kStep, sizeof(ChunkPlace));
    NARTHEX_ASSIGN_OR_RETURN(const HeadChunk read, parts_->Read(places[part], pins));
    if (read.bytes.size() != OpenChunkParts::kBytes) {
      return DataLoss("a part of an open chunk has ", read.bytes.size(), " bytes");
    }
    std::memcpy(out + part * OpenChunkParts::kStep, read.bytes.data(), read.bytes.size());
  }
  StoreBig(out, count);
  return absl::OkStatus();
}

chunkenc::Encoding SeriesTable::OpenEncoding(const SeriesHot& hot) const {
  return hot.wide ? WideOf(hot)->encoding() : chunkenc::Encoding::kXor;
}

uint64_t SeriesTable::Hidden(const SeriesHot& hot, const SeriesCold& cold,
                             BatchNumber visible) const {
  if (hot.newest_batch >> kBatchShift <= visible) return 0;
  uint64_t hidden = hot.newest_batch & kBatchSamplesMax;
  for (uint32_t at = cold.history; at != 0;) {
    const HistoryNode& node = history_[at - 1];
    if (node.batch >> kBatchShift <= visible) break;
    hidden += node.batch & kBatchSamplesMax;
    at = node.next;
  }
  return hidden;
}

template <typename Take>
void SeriesTable::WalkClosed(uint32_t newest, Timestamp min_time, Timestamp max_time,
                             uint64_t hidden, SeriesChunks* scratch, const Take& take) const {
  uint32_t next;
  for (uint32_t at = newest; at != 0; at = next) {
    const ClosedChunk closed = closed_.Get(at);
    next = closed_.Previous(at);
    if (closed.max_time < min_time) return;
    const bool overlaps = closed.min_time <= max_time;
    uint64_t hidden_here = 0;
    if (hidden > 0) {
      // Rare: a batch that must not be seen has begun a chunk.
      const absl::StatusOr<HeadChunk> chunk = files_->Read(closed.place, &scratch->pins);
      const uint64_t count =
          chunk.ok() ? chunkenc::ChunkSampleCount(chunk->encoding, chunk->bytes) : 0;
      hidden_here = std::min(hidden, count);
      hidden -= hidden_here;
      if (hidden_here == count && chunk.ok()) continue;
    }
    if (overlaps && !take(closed, hidden_here)) return;
  }
}

bool SeriesTable::ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, BatchNumber visible,
                             SeriesChunks* out) const {
  out->chunks.clear();
  out->damage = absl::OkStatus();
  constexpr size_t kPinsMax = 64;
  if (out->pins.size() > kPinsMax) out->pins.Clear();
  if (out->part_pins.size() > kPinsMax) out->part_pins.Clear();
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  uint64_t hidden;
  for (int tries = 1;; ++tries) {
    size_t parts = 0;
    uint16_t count = 0;
    {
      const SpinLockHolder lock(&hot.lock);
      closed = cold.closed;
      hidden = hot.empty() ? 0 : Hidden(hot, cold, visible);
      if (hidden >= hot.state.count) {
        hidden -= hot.state.count;
      } else {
        if (hot.state.timestamp >= min_time && cold.open_min_time <= max_time) {
          storage::SelectChunk open;
          open.encoding = OpenEncoding(hot);
          open.min_time = cold.open_min_time;
          open.max_time = hot.state.timestamp;
          open.visible_samples = static_cast<uint32_t>(hot.state.count - hidden);
          if (const WideChunk* const wide = WideOf(hot)) {
            out->wide_bytes.assign(wide->bytes());
            open.bytes = out->wide_bytes;
          } else {
            CopyOpenBlocks(hot, out->open_bytes);
            parts = hot.parts_away;
            count = hot.state.count;
            open.bytes = {reinterpret_cast<const char*>(out->open_bytes), hot.open_size};
          }
          out->chunks.push_back(open);
        }
        hidden = 0;
      }
    }
    if (count == 0) break;  // It is not wanted, or complete.
    ChunkPlace places[kOpenPartsMax];
    const absl::Status status =
        CompleteOpenChunk(parts, count, out->open_bytes, &out->part_pins, places);
    if (status.ok()) break;
    // It may have been closed meanwhile, which takes its parts away.
    out->chunks.clear();
    if (tries < kTries) continue;
    out->damage = status;
    break;
  }
  WalkClosed(closed, min_time, max_time, hidden, out,
             [&](const ClosedChunk& chunk, uint64_t hidden_here) {
               const absl::StatusOr<HeadChunk> read = files_->Read(chunk.place, &out->pins);
               if (!read.ok()) {
                 out->damage.Update(read.status());
                 return true;
               }
               const uint64_t count = chunkenc::ChunkSampleCount(read->encoding, read->bytes);
               out->chunks.push_back({read->encoding, chunk.min_time, chunk.max_time,
                                      static_cast<uint32_t>(count - hidden_here), read->bytes});
               return true;
             });
  std::reverse(out->chunks.begin(), out->chunks.end());
  return !out->chunks.empty() || !out->damage.ok();
}

bool SeriesTable::Overlaps(Slot slot, Timestamp min_time, Timestamp max_time,
                           BatchNumber visible) const {
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  uint64_t hidden;
  {
    const SpinLockHolder lock(&hot.lock);
    closed = cold.closed;
    hidden = hot.empty() ? 0 : Hidden(hot, cold, visible);
    if (hidden >= hot.state.count) {
      hidden -= hot.state.count;
    } else {
      if (hot.state.timestamp >= min_time && cold.open_min_time <= max_time) return true;
      hidden = 0;
    }
  }
  bool found = false;
  SeriesChunks* scratch = nullptr;
  std::unique_ptr<SeriesChunks> owned;
  if (hidden > 0) {
    owned = std::make_unique<SeriesChunks>();
    scratch = owned.get();
  }
  WalkClosed(closed, min_time, max_time, hidden, scratch, [&found](const ClosedChunk&, uint64_t) {
    found = true;
    return false;
  });
  return found;
}

bool SeriesTable::NewestSample(Slot slot, Timestamp max_time, BatchNumber visible,
                               Timestamp* timestamp, double* value) const {
  SeriesHot& hot = hot_[slot];
  const SpinLockHolder lock(&hot.lock);
  if (hot.empty() || hot.state.timestamp > max_time || hot.newest_batch >> kBatchShift > visible) {
    return false;
  }
  if (hot.wide && WideOf(hot)->is_histogram()) return false;
  *timestamp = hot.state.timestamp;
  *value = hot.state.value;
  return true;
}

bool SeriesTable::TimeRange(Slot slot, Timestamp* min_time, Timestamp* max_time) const {
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t closed;
  bool found;
  {
    const SpinLockHolder lock(&hot.lock);
    found = !hot.empty();
    *min_time = found ? cold.open_min_time : kMaxTimestamp;
    *max_time = found ? hot.state.timestamp : kMinTimestamp;
    closed = cold.closed;
  }
  if (closed != 0 && !found) *max_time = closed_.Get(closed).max_time;
  for (; closed != 0; closed = closed_.Previous(closed)) {
    *min_time = closed_.Get(closed).min_time;
    found = true;
  }
  return found;
}

absl::Status SeriesTable::ReadImage(Slot slot, std::vector<ClosedImage>* closed,
                                    OpenChunkImage* open) const {
  if (files_->counters().chunks_damaged.load(std::memory_order_relaxed) > 0) {
    return DataLoss("a chunk could not be read back when it ended; the log has its samples");
  }
  for (int tries = 1;; ++tries) {
    const absl::Status status = TryReadImage(slot, closed, open);
    if (status.ok() || tries == kTries) return status;
  }
}

absl::Status SeriesTable::TryReadImage(Slot slot, std::vector<ClosedImage>* closed,
                                       OpenChunkImage* open) const {
  closed->clear();
  *open = OpenChunkImage();
  SeriesHot& hot = hot_[slot];
  const SeriesCold& cold = cold_[slot];
  uint32_t at;
  uint8_t bytes[kOpenBytesMax];
  size_t size = 0;
  size_t parts = 0;
  uint16_t count = 0;
  {
    const SpinLockHolder lock(&hot.lock);
    at = cold.closed;
    if (!hot.empty()) {
      open->encoding = OpenEncoding(hot);
      open->min_time = cold.open_min_time;
      open->cut_at = hot.cut_at;
      if (const WideChunk* const wide = WideOf(hot)) {
        open->bytes = wide->bytes();
      } else {
        CopyOpenBlocks(hot, bytes);
        size = hot.open_size;
        parts = hot.parts_away;
        count = hot.state.count;
        open->state = hot.state;
      }
    }
  }
  if (size > 0) {
    ChunkPins pins;
    ChunkPlace places[kOpenPartsMax];
    NARTHEX_RETURN_IF_ERROR(CompleteOpenChunk(parts, count, bytes, &pins, places));
    open->bytes.assign(reinterpret_cast<const char*>(bytes), size);
  }
  for (; at != 0; at = closed_.Previous(at)) closed->push_back(closed_.Get(at));
  std::reverse(closed->begin(), closed->end());
  return absl::OkStatus();
}

Timestamp SeriesTable::NewestTime(Slot slot) const {
  const SeriesHot& hot = hot_[slot];
  if (!hot.empty()) return hot.state.timestamp;
  const uint32_t closed = cold_[slot].closed;
  return closed == 0 ? kMinTimestamp : closed_.Get(closed).max_time;
}

bool SeriesTable::IsNewest(Slot slot, double value) const {
  const SeriesHot& hot = hot_[slot];
  if (hot.empty() || (hot.wide && WideOf(hot)->is_histogram())) return false;
  return std::bit_cast<uint64_t>(hot.state.value) == std::bit_cast<uint64_t>(value);
}

bool SeriesTable::IsNewest(Slot slot, const Histogram& histogram) const {
  const SeriesHot& hot = hot_[slot];
  WideChunk* const wide = WideOf(hot);
  return !hot.empty() && wide != nullptr && wide->kind() == WideChunk::Kind::kHistograms &&
         wide->of(histogram).IsLast(histogram);
}

bool SeriesTable::IsNewest(Slot slot, const FloatHistogram& histogram) const {
  const SeriesHot& hot = hot_[slot];
  WideChunk* const wide = WideOf(hot);
  return !hot.empty() && wide != nullptr && wide->kind() == WideChunk::Kind::kFloatHistograms &&
         wide->of(histogram).IsLast(histogram);
}

SeriesTable::Memory SeriesTable::memory() const {
  Memory memory;
  memory.records = records_bytes_.load(std::memory_order_relaxed);
  memory.references = reference_nodes_bytes_.load(std::memory_order_relaxed);
  memory.open_chunks = blocks_.memory_bytes() + wide_bytes_.load(std::memory_order_relaxed);
  if (parts_ != nullptr) memory.open_chunks += parts_->memory_bytes();
  memory.closed_chunks = files_->memory_bytes();
  memory.closed_chunks += closed_.memory_bytes();
  return memory;
}

}  // namespace narthex::tsdb
