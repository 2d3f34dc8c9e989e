#include "services/storage/tsdb/replay.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/reader.h"

namespace narthex::tsdb {
namespace {

// References that a crash may have lost with the unsynced end of the log are jumped over; nobody
// makes so many series in the second before a sync. 40 bits hold 262,144 such jumps.
constexpr uint64_t kReferenceJump = uint64_t{1} << 22;

}  // namespace

Replay::Replay(io::FileSystem* fs, Head* head, Logger logger, ReplayProgress* progress,
               std::function<bool()> stopped)
    : fs_(fs),
      head_(head),
      logger_(std::move(logger)),
      progress_(progress),
      stopped_(std::move(stopped)) {}

absl::Status Replay::Run(const std::string& log_directory, const std::string& lost_directory,
                         ReplayResult* result) {
  result_ = result;
  NARTHEX_RETURN_IF_ERROR(wal::RestoreBrokenOffRepair(fs_, log_directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<wal::Checkpoint> checkpoint,
                           wal::LastCheckpoint(fs_, log_directory));
  NARTHEX_ASSIGN_OR_RETURN(std::vector<wal::Segment> segments,
                           wal::ListSegments(fs_, log_directory));
  if (checkpoint) {
    result->next_segment = checkpoint->segment + 1;
    std::erase_if(segments, [&](const wal::Segment& segment) {
      return segment.number <= checkpoint->segment;
    });
  }
  result->empty = segments.empty() && !checkpoint;
  progress_->segments_total = segments.size();
  if (checkpoint) NARTHEX_RETURN_IF_ERROR(RunCheckpoint(*checkpoint));
  NARTHEX_RETURN_IF_ERROR(RunSegments(segments, lost_directory));
  DropBatch();

  if (result->empty) {
    result->new_space_cause = "the directory is new";
  } else if (result->damaged) {
    result->new_space_cause = "a part of the log is lost";
  } else if (!marker_) {
    result->new_space_cause = "another program wrote to the log";
  } else {
    result->reference_space = marker_->reference_space;
  }
  if (!result->empty) {
    result->next_reference = (reference_max_ / kReferenceJump + 1) * kReferenceJump;
  }
  if (result->next_reference > wal::kReferenceMax) {
    return FailedPrecondition("series references are used up: the log has reference ",
                              reference_max_);
  }
  return absl::OkStatus();
}

absl::Status Replay::RunCheckpoint(const wal::Checkpoint& checkpoint) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(fs_, checkpoint.path));
  for (const wal::Segment& segment : segments) {
    uint64_t good_bytes;
    bool torn;
    const absl::Status status = RunSegment(segment, true, &good_bytes, &torn);
    if (!status.ok()) return Annotate(status, StrCat("checkpoint ", segment.path));
  }
  return absl::OkStatus();
}

absl::Status Replay::RunSegments(const std::vector<wal::Segment>& segments,
                                 const std::string& lost_directory) {
  for (size_t i = 0; i < segments.size(); ++i) {
    const wal::Segment& segment = segments[i];
    uint64_t good_bytes = 0;
    bool torn = false;
    const absl::Status status = RunSegment(segment, false, &good_bytes, &torn);
    result_->next_segment = segment.number + 1;
    result_->last_segment_path = segment.path;
    ++progress_->segments_done;
    if (status.ok()) {
      logger_.Info("log segment replayed", {{"segment", segment.number},
                                            {"of", segments.back().number},
                                            {"samples", result_->samples},
                                            {"series", head_->table_.size()}});
      continue;
    }
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    const bool torn_tail = torn && i + 1 == segments.size();
    NARTHEX_RETURN_IF_ERROR(wal::Repair(fs_, segments, i, good_bytes, torn_tail, lost_directory));
    if (torn_tail) {
      logger_.Warn("the log ends within a record, as after a crash: the rest is cut off",
                   {{"segment", segment.path},
                    {"offset", good_bytes},
                    {"bytes_cut", segment.size_bytes - good_bytes}});
      return absl::OkStatus();
    }
    result_->damaged = true;
    uint64_t later_bytes = 0;
    for (size_t later = i + 1; later < segments.size(); ++later) {
      later_bytes += segments[later].size_bytes;
    }
    logger_.Error("the log is damaged: everything from there on is lost",
                  {{"err", status},
                   {"segment", segment.path},
                   {"offset", good_bytes},
                   {"bytes_lost", segment.size_bytes - good_bytes},
                   {"later_segments_lost", segments.size() - i - 1},
                   {"later_bytes_lost", later_bytes},
                   {"kept_in", lost_directory}});
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Replay::RunSegment(const wal::Segment& segment, bool checkpoint, uint64_t* good_bytes,
                                bool* torn) {
  *good_bytes = 0;
  *torn = false;
  if (segment.size_bytes == 0) return absl::OkStatus();  // Its creation was cut off: says nothing.
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file, fs_->Map(segment.path));
  wal::SegmentReader reader(file->bytes());
  constexpr uint64_t kRecordsPerPoll = 1024;
  bool first = true;
  while (reader.Next()) {
    if (first && !checkpoint) {
      first = false;
      marker_.reset();
      if (wal::TypeOfRecord(reader.record()) != wal::RecordType::kSegmentMarker) DropBatch();
    }
    const absl::Status status = OnRecord(reader.record());
    if (!status.ok()) {
      *good_bytes = reader.offset();
      return Annotate(status, StrCat("record at offset ", reader.offset()));
    }
    if (marker_ && marker_->segment != segment.number)
      marker_.reset();  // A copy of another's file.
    if (++result_->records % kRecordsPerPoll == 0 && stopped_()) {
      return Cancelled("stopped within the replay of the log");
    }
  }
  *good_bytes = reader.offset();
  *torn = reader.torn();
  return reader.status();
}

absl::Status Replay::OnRecord(std::string_view record) {
  const wal::RecordType type = wal::TypeOfRecord(record);
  if (type == wal::RecordType::kSegmentMarker) return OnMarker(record);
  if (type == wal::RecordType::kBatch) return OnBatch(record);
  if (!batch_) return Apply(record);
  batch_->records.emplace_back(record);
  if (--batch_->records_left > 0) return absl::OkStatus();
  const Batch batch = std::move(*batch_);
  batch_.reset();
  for (const std::string& part : batch.records) NARTHEX_RETURN_IF_ERROR(Apply(part));
  SetApplied(batch.sender, batch.sequence);
  return absl::OkStatus();
}

absl::Status Replay::OnMarker(std::string_view record) {
  wal::SegmentMarker marker;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeSegmentMarker(record, &marker));
  if (marker.session != session_) DropBatch();
  session_ = marker.session;
  reference_max_ = std::max(reference_max_, std::max<uint64_t>(marker.next_reference, 1) - 1);
  marker_ = std::move(marker);
  return absl::OkStatus();
}

absl::Status Replay::OnBatch(std::string_view record) {
  wal::BatchHeader header;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeBatchHeader(record, &header));
  if (header.records == 0) {
    SetApplied(header.sender, header.sequence);
    return absl::OkStatus();
  }
  DropBatch();
  batch_ = Batch{header.records, std::string(header.sender), header.sequence, {}};
  return absl::OkStatus();
}

void Replay::DropBatch() {
  if (!batch_) return;
  ++result_->batches_incomplete;
  logger_.Warn("a batch that a crash has cut off is left out; nobody was told that it is stored",
               {{"records_missing", batch_->records_left}, {"sequence", batch_->sequence}});
  // Its references were given away all the same.
  for (const std::string& record : batch_->records) NoteReferences(record);
  batch_.reset();
}

void Replay::NoteReferences(std::string_view record) {
  if (wal::TypeOfRecord(record) != wal::RecordType::kSeries) return;
  if (!wal::DecodeSeries(record, &series_).ok()) return;
  for (const wal::SeriesRecord::Entry& entry : series_.entries) {
    if (entry.ref <= wal::kReferenceMax) reference_max_ = std::max(reference_max_, entry.ref);
  }
}

void Replay::SetApplied(std::string_view sender, uint64_t sequence) {
  if (sender.empty()) return;
  Sender* const found = head_->FindSender(sender);
  MutexLock lock(&head_->append_mu_);
  found->applied = std::max(found->applied, sequence);
}

absl::Status Replay::Apply(std::string_view record) {
  switch (wal::TypeOfRecord(record)) {
    case wal::RecordType::kSeries:
      return ApplySeries(record);
    case wal::RecordType::kSamples:
      return ApplySamples(record);
    case wal::RecordType::kTombstones:
    case wal::RecordType::kExemplars:
    case wal::RecordType::kMmapMarkers:
    case wal::RecordType::kMetadata:
    case wal::RecordType::kHistogramSamples:
    case wal::RecordType::kFloatHistogramSamples:
    case wal::RecordType::kCustomHistogramSamples:
    case wal::RecordType::kCustomFloatHistogramSamples:
    case wal::RecordType::kSamplesV2:
    case wal::RecordType::kHistogramSamplesV2:
    case wal::RecordType::kFloatHistogramSamplesV2:
    case wal::RecordType::kMinValidTime:
    case wal::RecordType::kTruncation:
    case wal::RecordType::kSegmentMarker:
    case wal::RecordType::kBatch:
      break;
  }
  ++result_->records_skipped;
  return absl::OkStatus();
}

absl::Status Replay::ApplySeries(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeSeries(record, &series_));
  for (const wal::SeriesRecord::Entry& entry : series_.entries) {
    if (entry.ref == 0 || entry.ref > wal::kReferenceMax) {
      return DataLoss("series reference ", entry.ref, " is out of range");
    }
    if (head_->table_.FindReference(entry.ref) != kNoSlot) continue;  // Checkpoints repeat them.
    if (head_->table_.size() >= SeriesTable::kSeriesMax) {
      return ResourceExhausted("the log has more series than fit: ", SeriesTable::kSeriesMax);
    }
    bool added;
    const Slot slot = head_->index_.FindOrAdd(series_.LabelsOf(entry), entry.ref, &added);
    // Series that were made twice (upstream can do that) are one; both references lead to it.
    head_->table_.SetReference(entry.ref, slot);
    reference_max_ = std::max(reference_max_, entry.ref);
    result_->reference_survived = std::max(result_->reference_survived, entry.ref);
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplySamples(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeSamples(record, &samples_));
  MutexLock lock(&head_->append_mu_);
  accepted_.clear();
  const auto flush = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_) {
    head_->ApplyLocked({accepted_, {}, {}, {}});
    result_->samples += accepted_.size();
    accepted_.clear();
  };
  for (const wal::RefSample& sample : samples_) {
    const Slot slot = head_->table_.FindReference(sample.ref);
    if (slot == kNoSlot) {
      ++result_->samples_unknown;
      continue;
    }
    SeriesHot& hot = head_->table_.hot(slot);
    if (hot.pending != 0) flush();  // The series a second time.
    if (!hot.empty() && sample.timestamp <= hot.state.timestamp) {
      ++result_->samples_refused;
      continue;
    }
    hot.pending = 1;
    accepted_.push_back({slot, 0, sample.timestamp, sample.value});
  }
  flush();
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
