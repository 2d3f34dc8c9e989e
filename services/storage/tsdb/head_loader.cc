#include "services/storage/tsdb/head_loader.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::tsdb {
namespace {

// What was loaded is visible to everybody from the start.
constexpr BatchNumber kLoaded = 0;

void Widen(std::atomic<Timestamp>* bound, Timestamp time, bool (*better)(Timestamp, Timestamp)) {
  Timestamp now = bound->load(std::memory_order_relaxed);
  while (better(time, now) && !bound->compare_exchange_weak(now, time)) {
  }
}

}  // namespace

void Head::WidenTimes(Timestamp min_time, Timestamp max_time) {
  Widen(&min_time_, min_time, [](Timestamp a, Timestamp b) { return a < b; });
  Widen(&max_time_, max_time, [](Timestamp a, Timestamp b) { return a > b; });
}

absl::StatusOr<Slot> HeadLoader::AddSeries(uint64_t reference, std::span<const LabelView> labels) {
  MutexLock lock(&head_->append_mu_);
  SeriesTable& table = head_->table_;
  if (const Slot known = table.FindReference(reference); known != kNoSlot) return known;
  if (table.size() >= SeriesTable::kSeriesMax) {
    return ResourceExhausted("the log has more series than fit: ", SeriesTable::kSeriesMax);
  }
  bool added;
  const Slot slot = head_->index_.FindOrAdd(labels, reference, &added);
  table.SetReference(reference, slot);
  return slot;
}

void HeadLoader::Reserve(size_t series) { head_->index_.Reserve(series); }

void HeadLoader::Intern(std::span<const LabelView> labels, std::vector<PairId>* pairs) {
  head_->index_.Intern(labels, pairs);
}

absl::Status HeadLoader::AddAll(std::span<const SeriesIndex::NumberedSeries> series,
                                std::vector<Slot>* slots) {
  MutexLock lock(&head_->append_mu_);
  SeriesTable& table = head_->table_;
  if (table.size() + series.size() > SeriesTable::kSeriesMax) {
    return ResourceExhausted("there are more series than fit: ", SeriesTable::kSeriesMax);
  }
  head_->index_.AddAll(series, slots);
  for (size_t i = 0; i < series.size(); ++i) {
    table.SetReference(series[i].reference, (*slots)[i]);
  }
  return absl::OkStatus();
}

bool HeadLoader::AddChunk(Slot slot, const HeadChunk& chunk) {
  MutexLock lock(&head_->append_mu_);
  if (!head_->writer_.AddClosed(slot, chunk.place, chunk.min_time, chunk.max_time)) return false;
  head_->WidenTimes(chunk.min_time, chunk.max_time);
  return true;
}

HeadLoader::Worker::Worker(HeadLoader* loader)
    : head_(loader->head_), writer_(std::make_unique<SeriesWriter>(&head_->table_)) {}

HeadLoader::Worker::~Worker() {
  if (min_time_ <= max_time_) head_->WidenTimes(min_time_, max_time_);
}

template <typename Value>
void HeadLoader::Worker::AppendNewer(Slot slot, Timestamp timestamp, const Value& value,
                                     Timestamp start_timestamp) {
  if (timestamp <= head_->table_.NewestTime(slot)) {
    ++counts_.repeated;
    return;
  }
  writer_->Append(slot, timestamp, value, kLoaded, kLoaded, start_timestamp);
  ++counts_.samples;
  min_time_ = std::min(min_time_, timestamp);
  max_time_ = std::max(max_time_, timestamp);
  constexpr uint64_t kSamplesPerFlush = 4096;
  if (counts_.samples % kSamplesPerFlush != 0) return;
  head_->chunk_files_.FlushIfFull();
  writer_->Settle();
}

void HeadLoader::Worker::Append(Slot slot, Timestamp timestamp, double value,
                                Timestamp start_timestamp) {
  AppendNewer(slot, timestamp, value, start_timestamp);
}

void HeadLoader::Worker::Append(Slot slot, Timestamp timestamp, const Histogram& histogram,
                                Timestamp start_timestamp) {
  AppendNewer(slot, timestamp, histogram, start_timestamp);
}

void HeadLoader::Worker::Append(Slot slot, Timestamp timestamp, const FloatHistogram& histogram,
                                Timestamp start_timestamp) {
  AppendNewer(slot, timestamp, histogram, start_timestamp);
}

void HeadLoader::SetMetadata(Slot slot, MetricType type, std::string_view help,
                             std::string_view unit) {
  head_->metadata_.Set(slot, type, help, unit);
}

void HeadLoader::AddExemplar(Slot slot, Timestamp timestamp, double value,
                             std::span<const LabelView> labels) {
  head_->exemplars_.Add(slot, timestamp, value, labels);
}

void HeadLoader::AddDeleted(Slot slot, Timestamp min_time, Timestamp max_time) {
  head_->deletions_.Add(slot, {min_time, max_time});
}

void HeadLoader::SetApplied(std::string_view sender, uint64_t sequence) {
  if (sender.empty()) return;
  Sender* const found = head_->FindSender(sender);
  MutexLock lock(&head_->append_mu_);
  found->applied = sequence;
}

void HeadLoader::TruncateBefore(Timestamp min_time, ChunkPlace from) {
  Timestamp oldest = kMaxTimestamp;
  {
    MutexLock lock(&head_->append_mu_);
    RetiredSeries retired;
    SeriesTable& table = head_->table_;
    for (size_t i = 0; i < table.slots_end(); ++i) {
      const Slot slot = static_cast<Slot>(i);
      table.TruncateBefore(slot, min_time, true, &head_->writer_, &retired, from);
      Timestamp series_oldest;
      Timestamp series_newest;
      if (table.TimeRange(slot, &series_oldest, &series_newest)) {
        oldest = std::min(oldest, series_oldest);
      }
    }
    head_->writer_.Settle();
    head_->RetireLocked(std::move(retired));
  }
  head_->min_time_.store(oldest, std::memory_order_relaxed);
  head_->deletions_.TruncateBefore(min_time);
  head_->truncated_before_.store(min_time, std::memory_order_relaxed);
}

void HeadLoader::SetTruncation(const wal::Truncation& truncation) {
  MutexLock lock(&head_->append_mu_);
  head_->truncation_ = truncation;
  head_->truncated_before_.store(truncation.min_time, std::memory_order_relaxed);
}

absl::Status HeadLoader::Worker::Restore(Slot slot, const SeriesImage& image) {
  for (const SeriesImage::Chunk& chunk : image.closed) {
    if (!writer_->AddClosed(slot, chunk.place, chunk.min_time, chunk.max_time)) {
      return DataLoss("the chunks of a series are not in order");
    }
    min_time_ = std::min(min_time_, chunk.min_time);
    max_time_ = std::max(max_time_, chunk.max_time);
  }
  NARTHEX_RETURN_IF_ERROR(writer_->SetOpenChunk(slot, image.open));
  writer_->Settle();
  if (!image.open.bytes.empty()) {
    min_time_ = std::min(min_time_, image.open.min_time);
    max_time_ = std::max(max_time_, head_->table_.NewestTime(slot));
  }
  for (const storage::DeletedInterval& interval : image.deleted) {
    head_->deletions_.Add(slot, interval);
  }
  return absl::OkStatus();
}

absl::Status ReadSeriesImage(const Head& head, Slot slot, SeriesImage* image) {
  NARTHEX_RETURN_IF_ERROR(head.table().ReadImage(slot, &image->closed, &image->open));
  head.Deleted(slot, &image->deleted);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
