#include "services/storage/tsdb/ooo_replay.h"

#include <memory>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/reader.h"

namespace narthex::tsdb {

OooReplay::OooReplay(io::FileSystem* fs, const SeriesTable* table, OooHead* head, Logger logger,
                     IsCommitted is_committed, std::function<bool()> stopped)
    : fs_(fs),
      table_(table),
      head_(head),
      logger_(std::move(logger)),
      is_committed_(std::move(is_committed)),
      stopped_(std::move(stopped)) {}

absl::Status OooReplay::Run(const std::string& directory, const std::string& lost_directory,
                            OooReplayResult* result) {
  result_ = result;
  result_->chunks_unknown = head_->AttachLoadedChunks();
  if (!fs_->Exists(directory)) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(wal::RestoreBrokenOffRepair(fs_, directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(fs_, directory));
  for (size_t i = 0; i < segments.size(); ++i) {
    const wal::Segment& segment = segments[i];
    uint64_t good_bytes = 0;
    bool torn = false;
    const absl::Status status = RunSegment(segment, &good_bytes, &torn);
    result_->next_segment = segment.number + 1;
    ++result_->segments;
    result_->last_segment_path = segment.path;
    if (status.ok()) continue;
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    const bool torn_tail = torn && i + 1 == segments.size();
    NARTHEX_RETURN_IF_ERROR(wal::RepairNowOrLater(
        [fs = fs_, segments, i, good_bytes, torn_tail, lost_directory] {
          return wal::Repair(fs, segments, i, good_bytes, torn_tail, lost_directory);
        },
        &result_->repairs));
    if (torn_tail) {
      logger_.Warn("the log of out-of-order samples ends within a record: the rest is cut off",
                   {{"segment", segment.path},
                    {"offset", good_bytes},
                    {"bytes_cut", segment.size_bytes - good_bytes}});
    } else {
      result_->damaged = true;
      uint64_t later_bytes = 0;
      for (size_t later = i + 1; later < segments.size(); ++later) {
        later_bytes += segments[later].size_bytes;
      }
      logger_.Error("the log of out-of-order samples is damaged: the rest of it is lost",
                    {{"err", status},
                     {"segment", segment.path},
                     {"offset", good_bytes},
                     {"bytes_lost", segment.size_bytes - good_bytes},
                     {"later_segments_lost", segments.size() - i - 1},
                     {"later_bytes_lost", later_bytes},
                     {"kept_in", lost_directory}});
    }
    break;
  }
  DropBatch();
  if (!segments.empty()) {
    logger_.Info("out-of-order samples replayed",
                 {{"segments", result_->segments},
                  {"samples", result_->samples},
                  {"samples_of_unknown_series", result_->samples_unknown},
                  {"batches_incomplete", result_->batches_incomplete},
                  {"batches_not_in_the_write_ahead_log", result_->batches_uncommitted}});
  }
  return absl::OkStatus();
}

absl::Status OooReplay::RunSegment(const wal::Segment& segment, uint64_t* good_bytes, bool* torn) {
  *good_bytes = 0;
  *torn = false;
  if (segment.size_bytes == 0) return absl::OkStatus();
  // A batch never lies in two openings of the log, but it may lie in two segments.
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file, fs_->Map(segment.path));
  wal::SegmentReader reader(file->bytes());
  constexpr uint64_t kRecordsPerPoll = 1024;
  while (reader.Next()) {
    const absl::Status status = OnRecord(reader.record());
    if (!status.ok()) {
      *good_bytes = reader.offset();
      return Annotate(status, StrCat("record at offset ", reader.offset()));
    }
    if (++records_ % kRecordsPerPoll == 0 && stopped_()) {
      return Cancelled("stopped within the replay of the out-of-order log");
    }
  }
  *good_bytes = reader.offset();
  *torn = reader.torn();
  return reader.status();
}

absl::Status OooReplay::OnRecord(std::string_view record) {
  if (wal::TypeOfRecord(record) == wal::RecordType::kBatch) {
    DropBatch();
    wal::BatchHeader header;
    NARTHEX_RETURN_IF_ERROR(wal::DecodeBatchHeader(record, &header));
    records_left_ = header.records;
    committed_ =
        header.sender.empty() || !is_committed_ || is_committed_(header.sender, header.sequence);
    if (!committed_) ++result_->batches_uncommitted;
    return absl::OkStatus();
  }
  if (records_left_ == 0) return Apply(record);
  batch_.emplace_back(record);
  if (--records_left_ > 0) return absl::OkStatus();
  const std::vector<std::string> batch = std::exchange(batch_, {});
  if (!committed_) return absl::OkStatus();
  for (const std::string& part : batch) NARTHEX_RETURN_IF_ERROR(Apply(part));
  return absl::OkStatus();
}

void OooReplay::DropBatch() {
  if (records_left_ == 0) return;
  ++result_->batches_incomplete;
  records_left_ = 0;
  batch_.clear();
}

absl::Status OooReplay::ApplyOurs(std::string_view record) {
  ByteReader reader(record.substr(1));
  ChunkPlace chunks_end;
  bool good = reader.ReadBig(&chunks_end);
  if (good && static_cast<uint8_t>(record[0]) == kWblChunksDropped) {
    good = reader.done();
    if (good) head_->ReplayDropped(chunks_end);
  } else {
    while (good && !reader.done()) {
      uint64_t reference;
      uint64_t min_time;
      uint64_t max_time;
      good = reader.ReadBig(&reference) && reader.ReadBig(&min_time) && reader.ReadBig(&max_time);
      if (!good) break;
      const Slot slot = table_->FindReference(reference);
      if (slot == kNoSlot) continue;
      head_->ReplayDeleted(
          {slot, static_cast<Timestamp>(min_time), static_cast<Timestamp>(max_time)}, chunks_end);
    }
  }
  return good ? absl::OkStatus()
              : DataLoss("a record of type ", int{static_cast<uint8_t>(record[0])}, " has ",
                         record.size(), " bytes");
}

absl::Status OooReplay::Apply(std::string_view record) {
  OooSample sample;
  const auto replay = [&](uint64_t reference) {
    sample.slot = table_->FindReference(reference);
    if (sample.slot == kNoSlot) {
      ++result_->samples_unknown;
      return;
    }
    head_->ReplaySample(sample);
    ++result_->samples;
  };
  const uint8_t type = record.empty() ? uint8_t{0} : static_cast<uint8_t>(record[0]);
  if (type == kWblChunksDropped || type == kWblDeleted) return ApplyOurs(record);
  switch (wal::TypeOfRecord(record)) {
    case wal::RecordType::kSamples:
    case wal::RecordType::kSamplesV2:
      NARTHEX_RETURN_IF_ERROR(wal::DecodeSamples(record, &samples_));
      for (const wal::RefSample& entry : samples_) {
        sample.timestamp = entry.timestamp;
        sample.start_timestamp = entry.start_timestamp;
        sample.value = entry.value;
        replay(entry.ref);
      }
      return absl::OkStatus();
    case wal::RecordType::kHistogramSamples:
    case wal::RecordType::kCustomHistogramSamples:
    case wal::RecordType::kHistogramSamplesV2:
      NARTHEX_RETURN_IF_ERROR(
          wal::DecodeHistograms(record, &histograms_, &result_->records_skipped));
      for (const wal::RefHistogram& entry : histograms_) {
        if (!Validate(entry.histogram).ok()) {
          ++result_->records_skipped;
          continue;
        }
        sample.timestamp = entry.timestamp;
        sample.start_timestamp = entry.start_timestamp;
        sample.histogram = &entry.histogram;
        replay(entry.ref);
      }
      return absl::OkStatus();
    case wal::RecordType::kFloatHistogramSamples:
    case wal::RecordType::kCustomFloatHistogramSamples:
    case wal::RecordType::kFloatHistogramSamplesV2:
      NARTHEX_RETURN_IF_ERROR(
          wal::DecodeFloatHistograms(record, &float_histograms_, &result_->records_skipped));
      for (const wal::RefFloatHistogram& entry : float_histograms_) {
        if (!Validate(entry.histogram).ok()) {
          ++result_->records_skipped;
          continue;
        }
        sample.timestamp = entry.timestamp;
        sample.start_timestamp = entry.start_timestamp;
        sample.float_histogram = &entry.histogram;
        replay(entry.ref);
      }
      return absl::OkStatus();
    case wal::RecordType::kMmapMarkers:
      NARTHEX_RETURN_IF_ERROR(wal::DecodeMmapMarkers(record, &markers_));
      for (const wal::MmapMarker& marker : markers_) {
        const Slot slot = table_->FindReference(marker.ref);
        if (slot != kNoSlot) head_->ReplayMarker(slot, marker.mapped_chunk);
      }
      return absl::OkStatus();
    case wal::RecordType::kSeries:
    case wal::RecordType::kTombstones:
    case wal::RecordType::kExemplars:
    case wal::RecordType::kMetadata:
    case wal::RecordType::kSegmentMarker:
    case wal::RecordType::kBatch:
    case wal::RecordType::kTruncation:
    case wal::RecordType::kMinValidTime:
      break;
  }
  ++result_->records_skipped;
  return absl::OkStatus();
}

absl::Status OpenOutOfOrderLog(const OooLogStart& start, Head* head, const Logger& logger,
                               const std::function<bool()>& stopped, OooReplayResult* result) {
  OooReplay::IsCommitted is_committed;
  if (start.senders_known) {
    is_committed = [head](std::string_view sender, uint64_t sequence) {
      return sequence <= head->PositionOf(*head->FindSender(sender)).applied;
    };
  }
  OooReplay replay(start.fs, &head->table(), &head->ooo(), logger, std::move(is_committed),
                   stopped);
  NARTHEX_RETURN_IF_ERROR(replay.Run(start.directory, start.lost_directory, result));
  if (!start.senders_known) {
    head->ooo().ReplayDeletions([head](Slot slot, std::vector<storage::DeletedInterval>* out) {
      head->Deleted(slot, out);
    });
  }
  head->ooo().OpenLog(
      std::make_unique<Wbl>(start.fs, start.directory, start.options, result->next_segment));
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
