#include "services/scraper/spool/segment_cursor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/status_macros.h"

namespace narthex::scraper {

storage::BatchSource::Item SegmentCursor::Next(uint64_t after, uint64_t* lost) {
  const std::optional<SegmentLog::Place> place = log_->Find(after);
  if (!place.has_value()) return {};
  absl::Status status = Open(*place);
  if (status.ok()) {
    absl::StatusOr<storage::BatchSource::Item> item = Read(*place, after);
    if (item.ok()) return *std::move(item);
    status = item.status();
  }
  // The log said that there is a record, so whatever the reader says, it is gone. A segment that
  // was dropped meanwhile is no damage: there is nothing to cut then.
  const uint64_t cut = log_->Cut(place->id, std::max(after, sequence_));
  if (cut > 0) {
    logger_.Error("a spool segment cannot be read further; its rest is lost",
                  {{"segment", place->path}, {"samples", cut}, {"err", status}});
  }
  *lost += cut;
  return {};
}

absl::Status SegmentCursor::Open(const SegmentLog::Place& place) {
  if (reader_ != nullptr && segment_id_ == place.id) return absl::OkStatus();
  Close();
  segment_id_ = place.id;
  NARTHEX_ASSIGN_OR_RETURN(reader_, SegmentReader::Open(fs_, place.path));
  return absl::OkStatus();
}

absl::StatusOr<storage::BatchSource::Item> SegmentCursor::Read(const SegmentLog::Place& place,
                                                               uint64_t after) {
  if (after < sequence_) {
    reader_->Rewind();
    sequence_ = 0;
    series_ = 0;
  }
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const SegmentReader::Record record, reader_->Next(place.size_bytes));
    NARTHEX_RETURN_IF_ERROR(DecodeSegmentBatch(record.batch, series_, &decoded_));
    sequence_ = record.sequence;
    for (const storage::AppendBatch::Definition& definition : decoded_.definitions) {
      ++series_;
      if (numbers_.size() < series_) {
        numbers_.push_back(table_->Add(Labels::FromSorted(definition.labels)));
      }
    }
    if (record.sequence > after) break;
  }
  auto batch = std::make_shared<storage::NumberedBatch>();
  batch->base_timestamp = decoded_.base_timestamp;
  batch->values = decoded_.values;
  batch->timestamps = decoded_.timestamps;
  batch->numbers.reserve(decoded_.refs.size());
  for (const storage::SeriesRef own : decoded_.refs) batch->numbers.push_back(numbers_[own - 1]);
  batch->TakeEntries(decoded_);
  return storage::BatchSource::Item{sequence_, std::move(batch)};
}

void SegmentCursor::Close() {
  reader_.reset();
  segment_id_ = 0;
  sequence_ = 0;
  series_ = 0;
  table_->Release(std::exchange(numbers_, {}));
}

}  // namespace narthex::scraper
