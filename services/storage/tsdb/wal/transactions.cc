// Batches and markers as in format.md.
#include "services/storage/tsdb/wal/transactions.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"

namespace narthex::wal {

void Transactions::BeginSegment(uint64_t number) {
  number_ = number;
  in_log_ = true;
  at_start_ = true;
  marker_.reset();
}

void Transactions::BeginCheckpoint(uint64_t covers) {
  number_ = covers;
  in_log_ = false;
  at_start_ = true;
}

void Transactions::Resume(const SegmentMarker& marker) {
  number_ = marker.segment;
  in_log_ = true;
  at_start_ = false;
  session_ = marker.session;
  reference_max_ = std::max(reference_max_, std::max<uint64_t>(marker.next_reference, 1) - 1);
  marker_ = marker;
}

absl::Status Transactions::Add(LogRecord record) {
  // A batch goes on in the next segment only when that is of the same session, which its marker
  // says.
  if (std::exchange(at_start_, false) && in_log_ && record.type != RecordType::kSegmentMarker) {
    DropBatch();
  }
  if (record.type == RecordType::kSegmentMarker) return OnMarker(record.bytes);
  if (record.type == RecordType::kBatch) return OnBatch(record.bytes);
  if (!batch_) return handlers_.apply(&record);
  batch_->records.push_back(std::move(record));
  if (--batch_->records_left > 0) return absl::OkStatus();
  Batch batch = std::move(*batch_);
  batch_.reset();
  for (LogRecord& part : batch.records) NARTHEX_RETURN_IF_ERROR(handlers_.apply(&part));
  if (!batch.sender.empty() || batch.late) {
    handlers_.applied({batch.records.size(), batch.sender, batch.sequence, batch.late});
  }
  return absl::OkStatus();
}

absl::Status Transactions::OnMarker(std::string_view record) {
  SegmentMarker marker;
  NARTHEX_RETURN_IF_ERROR(DecodeSegmentMarker(record, &marker));
  if (marker.session != session_) DropBatch();
  session_ = marker.session;
  reference_max_ = std::max(reference_max_, std::max<uint64_t>(marker.next_reference, 1) - 1);
  if (marker.segment == number_) {
    marker_ = std::move(marker);
  } else {
    marker_.reset();  // A copy of another's file.
  }
  return absl::OkStatus();
}

absl::Status Transactions::OnBatch(std::string_view record) {
  BatchHeader header;
  NARTHEX_RETURN_IF_ERROR(DecodeBatchHeader(record, &header));
  if (header.records == 0) {
    if (!header.sender.empty()) handlers_.applied(header);
    return absl::OkStatus();
  }
  DropBatch();
  batch_ = Batch{header.records, std::string(header.sender), header.sequence, header.late, {}};
  return absl::OkStatus();
}

void Transactions::DropBatch() {
  if (!batch_) return;
  const Batch batch = std::move(*batch_);
  batch_.reset();
  handlers_.dropped(batch.records_left, batch.sequence, batch.records);
}

}  // namespace narthex::wal
