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
      stopped_(std::move(stopped)),
      loader_(head),
      transactions_(
          {[this](wal::LogRecord* record) { return Apply(record); },
           [this](const wal::BatchHeader& header) { OnApplied(header); },
           [this](uint64_t missing, uint64_t sequence, const std::vector<wal::LogRecord>& records) {
             OnDropped(missing, sequence, records);
           }}) {}

Replay::~Replay() = default;

absl::Status Replay::Run(const ReplayOptions& options, ReplayResult* result) {
  options_ = options;
  result_ = result;
  foreign_min_time_ = options.foreign_min_time;
  NARTHEX_RETURN_IF_ERROR(FindLog());
  FindSnapshot();
  NARTHEX_RETURN_IF_ERROR(LoadChunks());
  NARTHEX_RETURN_IF_ERROR(LoadSnapshot());
  workers_ = std::make_unique<ReplayWorkers>(&loader_, std::max(1, options.workers));
  if (!result->snapshot_used && checkpoint_) NARTHEX_RETURN_IF_ERROR(RunCheckpoint());
  NARTHEX_RETURN_IF_ERROR(RunSegments());
  transactions_.Finish();
  Finish();
  if (result->next_reference > wal::kReferenceMax) {
    return FailedPrecondition("series references are used up: the log has reference ",
                              reference_max_);
  }
  return absl::OkStatus();
}

absl::Status Replay::FindLog() {
  NARTHEX_RETURN_IF_ERROR(wal::RestoreBrokenOffRepair(fs_, options_.log_directory));
  NARTHEX_ASSIGN_OR_RETURN(checkpoint_, wal::LastCheckpoint(fs_, options_.log_directory));
  NARTHEX_ASSIGN_OR_RETURN(segments_, wal::ListSegments(fs_, options_.log_directory));
  if (checkpoint_) {
    result_->next_segment = checkpoint_->segment + 1;
    std::erase_if(segments_, [this](const wal::Segment& segment) {
      return segment.number <= checkpoint_->segment;
    });
    if (!segments_.empty() && segments_.front().number != checkpoint_->segment + 1) {
      return DataLoss("log ", options_.log_directory, ": segment ",
                      wal::SegmentName(checkpoint_->segment + 1), " is missing behind ",
                      checkpoint_->path);
    }
  }
  result_->empty = segments_.empty() && !checkpoint_;
  for (size_t i = segments_.size(); i-- > 0;) {
    if (segments_[i].size_bytes == 0) continue;
    NARTHEX_ASSIGN_OR_RETURN(newest_, ReadStart(segments_[i]));
    break;
  }
  return absl::OkStatus();
}

absl::StatusOr<Replay::LogStart> Replay::ReadStart(const wal::Segment& segment) const {
  LogStart start;
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file, fs_->Map(segment.path));
  wal::SegmentReader reader(file->bytes());
  for (bool more = true; more && reader.Next();) {
    // What is damaged here is met again, and treated, when the segment is read.
    const wal::RecordType type = wal::TypeOfRecord(reader.record());
    wal::SegmentMarker marker;
    wal::BatchHeader header;
    wal::Truncation truncation;
    more = false;
    if (type == wal::RecordType::kSegmentMarker && !start.marker &&
        wal::DecodeSegmentMarker(reader.record(), &marker).ok() &&
        marker.segment == segment.number) {
      start.marker = std::move(marker);
      more = true;
    } else if (type == wal::RecordType::kBatch) {
      more = wal::DecodeBatchHeader(reader.record(), &header).ok() && header.records == 0;
    } else if (type == wal::RecordType::kTruncation &&
               wal::DecodeTruncation(reader.record(), &truncation).ok()) {
      start.truncation = truncation;
    }
  }
  return start;
}

void Replay::Finish() {
  workers_->Settle();
  result_->samples = workers_->counts().samples;
  result_->samples_refused = workers_->counts().repeated;
  workers_.reset();
  ReleaseFoundChunks();
  if (result_->batches_without_late > 0) {
    logger_.Error(
        "a power loss took late samples that were not durable yet; senders that number their "
        "batches send them again",
        {{"batches", result_->batches_without_late}, {"senders", behind_.size()}});
  }
  if (truncation_) loader_.SetTruncation(*truncation_);
  reference_max_ = std::max(reference_max_, transactions_.reference_max());
  if (result_->empty) {
    result_->new_space_cause = "the directory is new";
  } else if (result_->damaged) {
    result_->new_space_cause = "a part of the log is lost";
  } else if (!transactions_.marker()) {
    result_->new_space_cause = "another program wrote to the log";
  } else {
    result_->reference_space = transactions_.marker()->reference_space;
  }
  if (!result_->empty) {
    result_->next_reference = (reference_max_ / kReferenceJump + 1) * kReferenceJump;
  }
}

// --- Snapshot and chunks_head ---

void Replay::FindSnapshot() {
  if (options_.snapshot_path.empty()) return;
  // What a crash left of one that was being written.
  const std::string unfinished = StrCat(options_.snapshot_path, kUnfinishedSnapshotSuffix);
  if (fs_->Exists(unfinished)) {
    const absl::Status removed = fs_->Remove(unfinished);
    logger_.Info("removed an unfinished snapshot of the head",
                 {{"path", unfinished}, {"err", removed}});
  }
  absl::StatusOr<std::unique_ptr<HeadSnapshot>> snapshot =
      HeadSnapshot::Open(fs_, options_.snapshot_path);
  if (snapshot.status().code() == absl::StatusCode::kNotFound) return;
  absl::Status status = snapshot.status();
  if (status.ok()) status = CheckSnapshot((*snapshot)->moment());
  if (!status.ok()) {
    IgnoreSnapshot(status);
    return;
  }
  snapshot_ = std::move(*snapshot);
}

absl::Status Replay::CheckSnapshot(const HeadSnapshotMoment& moment) const {
  const auto at = std::find_if(segments_.begin(), segments_.end(),
                               [&](const wal::Segment& s) { return s.number == moment.segment; });
  if (at == segments_.end())
    return NotFound("the log has no segment ", moment.segment, " any more");
  if (at->size_bytes < moment.offset) {
    return FailedPrecondition("segment ", moment.segment, " of the log is shorter than it was");
  }
  NARTHEX_ASSIGN_OR_RETURN(const uint32_t checksum, LogTailChecksum(fs_, at->path, moment.offset));
  if (checksum != moment.tail_checksum) {
    return FailedPrecondition("segment ", moment.segment, " of the log was written anew");
  }
  // Every segment from there on must be ours: even an empty one may have been another program's,
  // which then has moved samples to blocks.
  for (auto it = at; it != segments_.end(); ++it) {
    NARTHEX_ASSIGN_OR_RETURN(const LogStart start, ReadStart(*it));
    const bool ours = start.marker && start.marker->reference_space == moment.reference_space;
    if (!ours || (it == at && start.marker->session != moment.session)) {
      return FailedPrecondition("another program has written segment ", it->number, " of the log");
    }
  }
  return absl::OkStatus();
}

void Replay::IgnoreSnapshot(const absl::Status& cause) {
  result_->snapshot_ignored = Message(cause);
  snapshot_.reset();
  logger_.Warn("the snapshot of the head is not used; the log is read instead",
               {{"path", options_.snapshot_path}, {"cause", cause}});
}

bool Replay::ChunkIsWanted(const HeadChunk& chunk) const {
  // Truncations and blocks of the head say nothing of late samples: their own log does.
  if (chunk.out_of_order) return true;
  if (newest_.truncation && chunk.place < newest_.truncation->chunks_end &&
      chunk.max_time < newest_.truncation->min_time) {
    return false;
  }
  return newest_.marker || chunk.max_time >= foreign_min_time_;
}

absl::Status Replay::LoadChunks() {
  if (options_.chunks_directory.empty()) {
    if (snapshot_ != nullptr) IgnoreSnapshot(FailedPrecondition("chunks_head is not read"));
    return absl::OkStatus();
  }
  const auto visit = [this](const HeadChunk& chunk) -> absl::StatusOr<bool> {
    if (stopped_()) return Cancelled("stopped while chunks_head was read");
    if (!ChunkIsWanted(chunk)) return false;
    if (chunk.out_of_order) {
      if (!options_.on_ooo_chunk) return false;
      options_.on_ooo_chunk(chunk);
      return true;
    }
    found_[chunk.reference].push_back(
        {chunk.place, chunk.min_time, chunk.max_time, chunk.encoding});
    return true;
  };
  NARTHEX_ASSIGN_OR_RETURN(
      result_->chunk_files,
      head_->chunk_files().Load(fs_, options_.chunks_directory, options_.lost_directory, visit,
                                snapshot_ == nullptr ? 0 : snapshot_->moment().chunks_end));
  found_end_ = head_->chunk_files().end();
  if (!result_->chunk_files.damage.ok()) {
    logger_.Error("chunks_head is damaged; what it lacks is read from the log",
                  {{"err", result_->chunk_files.damage},
                   {"files_lost", result_->chunk_files.files_lost},
                   {"kept_in", options_.lost_directory}});
  }
  return absl::OkStatus();
}

absl::Status Replay::LoadSnapshot() {
  if (snapshot_ == nullptr) return absl::OkStatus();
  const bool held = snapshot_->HoldChunks(&head_->chunk_files());
  if (held) head_->chunk_files().AllHeld();
  if (!held) {
    IgnoreSnapshot(DataLoss("chunks_head lacks chunks that it leads to"));
    // Chunks before its end were not looked through, so those behind would leave holes; the log has
    // all of their samples.
    ReleaseFoundChunks();
    head_->chunk_files().AllHeld();
    return absl::OkStatus();
  }
  HeadSnapshot::LoadResult loaded;
  const auto on_series = [this](uint64_t reference) {
    reference_max_ = std::max(reference_max_, reference);
    result_->reference_survived = std::max(result_->reference_survived, reference);
    // The snapshot has samples of the series from before them, in its open chunk.
    const auto found = found_.find(reference);
    if (found == found_.end()) return;
    for (const FoundChunk& chunk : found->second) head_->chunk_files().Release(chunk.place);
    found_.erase(found);
  };
  NARTHEX_RETURN_IF_ERROR(snapshot_->Load(head_, &loader_, on_series, stopped_, &loaded));
  const HeadSnapshotMoment& moment = snapshot_->moment();
  std::erase_if(segments_, [&](const wal::Segment& s) { return s.number < moment.segment; });
  reference_max_ = std::max(reference_max_, moment.next_reference - 1);
  for (const SeriesAlias& alias : loaded.aliases) {
    reference_max_ = std::max(reference_max_, alias.alias);
    result_->reference_survived = std::max(result_->reference_survived, alias.alias);
  }
  for (const auto& [sender, sequence] : moment.senders) loader_.SetApplied(sender, sequence);
  truncation_ = moment.truncation;
  result_->aliases = std::move(loaded.aliases);
  result_->snapshot_used = true;
  result_->snapshot_series = loaded.series;
  result_->chunks_found += loaded.chunks_closed;
  if (loaded.series_damaged > 0) {
    logger_.Error("series of the snapshot could not be restored; samples of theirs are lost",
                  {{"series", loaded.series_damaged}});
  }
  logger_.Info("snapshot of the head loaded", {{"series", loaded.series},
                                               {"chunks_open", loaded.chunks_open},
                                               {"chunks_closed", loaded.chunks_closed},
                                               {"segment", moment.segment},
                                               {"offset", moment.offset}});
  return absl::OkStatus();
}

void Replay::AttachChunks(uint64_t reference, Slot slot) {
  const auto found = found_.find(reference);
  if (found == found_.end()) return;
  for (const FoundChunk& from : found->second) {
    HeadChunk chunk;
    chunk.place = from.place;
    chunk.reference = reference;
    chunk.min_time = from.min_time;
    chunk.max_time = from.max_time;
    chunk.encoding = from.encoding;
    if (loader_.AddChunk(slot, chunk)) {
      ++result_->chunks_found;
    } else {
      head_->chunk_files().Release(from.place);
    }
  }
  found_.erase(found);
}

void Replay::ReleaseFoundChunks() {
  for (const auto& [reference, chunks] : found_) {
    result_->chunks_unknown += chunks.size();
    for (const FoundChunk& chunk : chunks) head_->chunk_files().Release(chunk.place);
  }
  found_.clear();
}

// --- The log ---

absl::Status Replay::RunCheckpoint() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(fs_, checkpoint_->path));
  wal::LogReader reader(fs_, segments, {});
  wal::LogPiece piece;
  while (reader.Next(&piece)) {
    if (piece.first) transactions_.BeginCheckpoint(checkpoint_->segment);
    absl::Status status = RunPiece(&piece, true);
    if (status.ok()) status = piece.status;
    if (!status.ok()) {
      return Annotate(status, StrCat("checkpoint ", segments[piece.segment].path));
    }
  }
  logger_.Info(
      "checkpoint replayed",
      {{"path", checkpoint_->path}, {"records", result_->records}, {"series", loader_.series()}});
  return absl::OkStatus();
}

absl::Status Replay::RunSegments() {
  progress_->segments_total = segments_.size();
  if (segments_.empty()) return absl::OkStatus();
  progress_->segment_min = segments_.front().number;
  progress_->segment_max = segments_.back().number;
  progress_->segment_current = segments_.front().number;
  wal::LogReader::Options options;
  if (result_->snapshot_used) {
    const HeadSnapshotMoment& moment = snapshot_->moment();
    options.first_offset = moment.offset;
    wal::SegmentMarker marker;
    marker.reference_space = moment.reference_space;
    marker.session = moment.session;
    marker.segment = moment.segment;
    marker.next_reference = moment.next_reference;
    transactions_.Resume(marker);
  }
  wal::LogReader reader(fs_, segments_, options);
  wal::LogPiece piece;
  while (reader.Next(&piece)) {
    const wal::Segment& segment = segments_[piece.segment];
    const bool resumed = piece.segment == 0 && result_->snapshot_used;
    if (piece.first) {
      progress_->segment_current = segment.number;
      if (segment.size_bytes > 0 && !resumed) transactions_.BeginSegment(segment.number);
    }
    const absl::Status status = RunPiece(&piece, false);
    if (status.code() == absl::StatusCode::kDataLoss) {
      piece.status = status;
      piece.torn = false;
      return OnDamage(piece.segment, piece);
    }
    NARTHEX_RETURN_IF_ERROR(status);
    if (!piece.last) continue;
    result_->next_segment = segment.number + 1;
    result_->last_segment_path = segment.path;
    ++progress_->segments_done;
    if (piece.status.code() == absl::StatusCode::kDataLoss) return OnDamage(piece.segment, piece);
    NARTHEX_RETURN_IF_ERROR(piece.status);
    logger_.Info("log segment replayed", {{"segment", segment.number},
                                          {"of", segments_.back().number},
                                          {"records", result_->records},
                                          {"series", loader_.series()}});
  }
  return absl::OkStatus();
}

// Applies the records of the piece; where one is damaged, *piece says so.
absl::Status Replay::RunPiece(wal::LogPiece* piece, bool checkpoint) {
  if (stopped_()) return Cancelled("stopped within the replay of the log");
  for (wal::LogRecord& record : piece->records) {
    ++result_->records;
    if (checkpoint) record.segment = 0;
    const uint64_t offset = record.offset;
    const absl::Status status = transactions_.Add(std::move(record));
    if (status.ok()) continue;
    piece->good_bytes = offset;
    return Annotate(status, StrCat("record at offset ", offset));
  }
  return absl::OkStatus();
}

absl::Status Replay::OnDamage(size_t damaged, const wal::LogPiece& piece) {
  const wal::Segment& segment = segments_[damaged];
  result_->next_segment = segment.number + 1;
  result_->last_segment_path = segment.path;
  const bool torn_tail = piece.torn && damaged + 1 == segments_.size();
  NARTHEX_RETURN_IF_ERROR(wal::RepairNowOrLater(
      [fs = fs_, segments = segments_, damaged, good_bytes = piece.good_bytes, torn_tail,
       lost = options_.lost_directory] {
        return wal::Repair(fs, segments, damaged, good_bytes, torn_tail, lost);
      },
      &result_->repairs));
  if (torn_tail) {
    logger_.Warn("the log ends within a record, as after a crash: the rest is cut off",
                 {{"segment", segment.path},
                  {"offset", piece.good_bytes},
                  {"bytes_cut", segment.size_bytes - piece.good_bytes}});
    return absl::OkStatus();
  }
  result_->damaged = true;
  uint64_t later_bytes = 0;
  for (size_t later = damaged + 1; later < segments_.size(); ++later) {
    later_bytes += segments_[later].size_bytes;
  }
  logger_.Error("the log is damaged: everything from there on is lost",
                {{"err", piece.status},
                 {"segment", segment.path},
                 {"offset", piece.good_bytes},
                 {"bytes_lost", segment.size_bytes - piece.good_bytes},
                 {"later_segments_lost", segments_.size() - damaged - 1},
                 {"later_bytes_lost", later_bytes},
                 {"kept_in", options_.lost_directory}});
  return absl::OkStatus();
}

void Replay::OnApplied(const wal::BatchHeader& header) {
  // What it has for the head itself stays, and is a repetition when it comes again. Its sender is
  // behind from here on, whatever came later.
  if (header.late && options_.late_is_there && newest_.marker &&
      newest_.marker->session == transactions_.session() && !options_.late_is_there(*header.late)) {
    ++result_->batches_without_late;
    // The next session says what it is at, even if that is nothing.
    if (!header.sender.empty() && behind_.insert(std::string(header.sender)).second) {
      head_->FindSender(header.sender);
    }
  }
  if (header.sender.empty() || behind_.find(header.sender) != behind_.end()) return;
  loader_.SetApplied(header.sender, header.sequence);
}

void Replay::OnDropped(uint64_t missing, uint64_t sequence,
                       const std::vector<wal::LogRecord>& records) {
  ++result_->batches_incomplete;
  logger_.Warn("a batch that a crash has cut off is left out; nobody was told that it is stored",
               {{"records_missing", missing}, {"sequence", sequence}});
  // Its references were given away all the same.
  for (const wal::LogRecord& record : records) {
    if (record.type != wal::RecordType::kSeries) continue;
    if (!wal::DecodeSeries(record.bytes, &series_).ok()) continue;
    for (const wal::SeriesRecord::Entry& entry : series_.entries) {
      if (entry.ref <= wal::kReferenceMax) reference_max_ = std::max(reference_max_, entry.ref);
    }
  }
}

// --- Records ---

absl::Status Replay::Apply(wal::LogRecord* record) {
  switch (record->type) {
    case wal::RecordType::kSeries:
      return ApplySeries(record->bytes);
    case wal::RecordType::kSamples:
    case wal::RecordType::kSamplesV2:
      ApplySamples(*record);
      return absl::OkStatus();
    case wal::RecordType::kHistogramSamples:
    case wal::RecordType::kCustomHistogramSamples:
    case wal::RecordType::kHistogramSamplesV2:
      return ApplyHistograms(record->bytes);
    case wal::RecordType::kFloatHistogramSamples:
    case wal::RecordType::kCustomFloatHistogramSamples:
    case wal::RecordType::kFloatHistogramSamplesV2:
      return ApplyFloatHistograms(record->bytes);
    case wal::RecordType::kTombstones:
      return ApplyTombstones(record->bytes);
    case wal::RecordType::kExemplars:
      return ApplyExemplars(record->bytes);
    case wal::RecordType::kMetadata:
      return ApplyMetadata(record->bytes);
    case wal::RecordType::kTruncation:
      return ApplyTruncation(record->bytes);
    case wal::RecordType::kMinValidTime: {
      Timestamp min_time;
      NARTHEX_RETURN_IF_ERROR(wal::DecodeMinValidTime(record->bytes, &min_time));
      foreign_min_time_ = std::max(foreign_min_time_, min_time);
      return absl::OkStatus();
    }
    case wal::RecordType::kMmapMarkers:
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
    reference_max_ = std::max(reference_max_, entry.ref);
    if (loader_.Find(entry.ref) != kNoSlot) continue;  // Checkpoints repeat them.
    const size_t series_before = loader_.series();
    NARTHEX_ASSIGN_OR_RETURN(const Slot slot,
                             loader_.AddSeries(entry.ref, series_.LabelsOf(entry)));
    result_->reference_survived = std::max(result_->reference_survived, entry.ref);
    if (loader_.series() == series_before) {
      // A series that was made twice; a worker may be appending to it.
      result_->aliases.push_back({entry.ref, head_->table().cold(slot).reference});
      workers_->Settle();
    }
    AttachChunks(entry.ref, slot);
  }
  return absl::OkStatus();
}

Slot Replay::SlotFor(uint64_t reference, Timestamp timestamp) {
  if (timestamp < foreign_min_time_ && !transactions_.marker()) {
    ++result_->samples_in_blocks;
    return kNoSlot;
  }
  const Slot slot = loader_.Find(reference);
  if (slot == kNoSlot) ++result_->samples_unknown;
  return slot;
}

void Replay::ApplySamples(const wal::LogRecord& record) {
  for (const wal::RefSample& sample : record.samples) {
    const Slot slot = SlotFor(sample.ref, sample.timestamp);
    if (slot == kNoSlot) continue;
    workers_->Append(slot, sample.timestamp, sample.value, sample.start_timestamp);
  }
}

absl::Status Replay::ApplyHistograms(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(
      wal::DecodeHistograms(record, &histograms_, &result_->histograms_unreadable));
  for (wal::RefHistogram& sample : histograms_) {
    const Slot slot = SlotFor(sample.ref, sample.timestamp);
    if (slot == kNoSlot) continue;
    if (!Validate(sample.histogram).ok()) {
      ++result_->histograms_unreadable;
      continue;
    }
    workers_->Append(slot, sample.timestamp, std::move(sample.histogram), sample.start_timestamp);
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyFloatHistograms(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(
      wal::DecodeFloatHistograms(record, &float_histograms_, &result_->histograms_unreadable));
  for (wal::RefFloatHistogram& sample : float_histograms_) {
    const Slot slot = SlotFor(sample.ref, sample.timestamp);
    if (slot == kNoSlot) continue;
    if (!Validate(sample.histogram).ok()) {
      ++result_->histograms_unreadable;
      continue;
    }
    workers_->Append(slot, sample.timestamp, std::move(sample.histogram), sample.start_timestamp);
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyTombstones(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeTombstones(record, &tombstones_));
  workers_->Settle();  // What comes later into the interval stays.
  for (const wal::Tombstone& tombstone : tombstones_) {
    const Slot slot = loader_.Find(tombstone.ref);
    if (slot == kNoSlot) {
      ++result_->others_unknown;
      continue;
    }
    loader_.AddDeleted(slot, tombstone.min_time, tombstone.max_time);
    ++result_->tombstones;
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyExemplars(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeExemplars(record, &exemplars_));
  for (const wal::RefExemplar& exemplar : exemplars_.entries) {
    const Slot slot = loader_.Find(exemplar.ref);
    if (slot == kNoSlot) {
      ++result_->others_unknown;
      continue;
    }
    loader_.AddExemplar(slot, exemplar.timestamp, exemplar.value, exemplar.labels);
    ++result_->exemplars;
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyMetadata(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeMetadata(record, &metadata_));
  for (const wal::RefMetadata& entry : metadata_) {
    const Slot slot = loader_.Find(entry.ref);
    if (slot == kNoSlot) {
      ++result_->others_unknown;
      continue;
    }
    loader_.SetMetadata(slot, entry.type, entry.help, entry.unit);
    ++result_->metadata;
  }
  return absl::OkStatus();
}

absl::Status Replay::ApplyTruncation(std::string_view record) {
  wal::Truncation truncation;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeTruncation(record, &truncation));
  if (truncation_ == truncation) return absl::OkStatus();  // Said again.
  truncation_ = truncation;
  workers_->Settle();
  loader_.TruncateBefore(truncation.min_time, found_end_);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
