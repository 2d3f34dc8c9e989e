// Checkpoints as in wal/format.md.
#include "services/storage/tsdb/checkpoint.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/log_reader.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/transactions.h"
#include "services/storage/tsdb/wal/writer.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kCheckpointPrefix = "checkpoint.";
constexpr std::string_view kUnfinishedSuffix = ".tmp";
// What is written at once, and about how long a record may get: one of another program can be as
// long as its segment, and would not fit into ours.
constexpr size_t kWriteBytes = size_t{1} << 20;

std::string CheckpointPath(const std::string& log_directory, uint64_t segment) {
  return io::JoinPath(log_directory, StrCat(kCheckpointPrefix, wal::SegmentName(segment)));
}

// The newest metadata of each series. Few texts are shared by many series, so a series costs one
// number.
class MetadataOfSeries {
 public:
  void Set(const wal::RefMetadata& metadata) {
    std::string key;
    key.push_back(static_cast<char>(metadata.type));
    key.append(StrCat(metadata.unit.size(), ":", metadata.unit, metadata.help));
    const auto [it, added] = numbers_.try_emplace(std::move(key), texts_.size());
    if (added) {
      texts_.push_back({metadata.type, std::string(metadata.unit), std::string(metadata.help)});
    }
    series_[metadata.ref] = it->second;
  }
  template <typename Visit>
  absl::Status ForEach(Visit visit) const {
    for (const auto& [ref, number] : series_) {
      const Text& text = texts_[number];
      NARTHEX_RETURN_IF_ERROR(visit(wal::RefMetadata{ref, text.type, text.unit, text.help}));
    }
    return absl::OkStatus();
  }
  size_t size() const { return series_.size(); }

 private:
  struct Text {
    MetricType type;
    std::string unit;
    std::string help;
  };
  std::vector<Text> texts_;
  absl::flat_hash_map<std::string, size_t> numbers_;
  std::map<uint64_t, size_t> series_;
};

// Reads what a checkpoint stands for, and writes what is still wanted of it.
class Checkpointer {
 public:
  explicit Checkpointer(const CheckpointOptions& options)
      : options_(options),
        transactions_({[this](wal::LogRecord* record) { return Apply(record); },
                       [this](const wal::BatchHeader& header) {
                         if (header.sender.empty()) return;
                         applied_[std::string(header.sender)] = header.sequence;
                       },
                       [this](uint64_t, uint64_t, const std::vector<wal::LogRecord>& records) {
                         for (const wal::LogRecord& record : records) NoteReferences(record);
                       }}) {}

  absl::StatusOr<CheckpointStats> Run();

 private:
  absl::Status Find();
  absl::StatusOr<std::optional<wal::SegmentMarker>> ReadMarker() const;
  absl::Status ReadSegments(const std::vector<wal::Segment>& segments, bool checkpoint);
  absl::Status Write(const std::string& unfinished);
  absl::Status Apply(wal::LogRecord* record);
  absl::Status ApplySeries(std::string_view record);
  absl::Status ApplySamples(const wal::LogRecord& record);
  template <typename Entry, typename Decode, typename Encoder>
  absl::Status ApplyHistograms(std::string_view record, Decode decode, Encoder* encoder);
  template <typename Encoder>
  absl::Status PutAll(Encoder* encoder);
  absl::Status ApplyExemplars(std::string_view record);
  absl::Status ApplyTombstones(std::string_view record);
  absl::Status ApplyMetadata(std::string_view record);
  absl::Status ApplyTruncation(std::string_view record);
  absl::Status Finish();
  bool Keep(uint64_t ref, Timestamp timestamp, uint64_t* kept, uint64_t* dropped);
  void NoteReferences(const wal::LogRecord& record);
  absl::Status Put(std::string_view record);
  // What a truncation concerns.
  absl::Status PutSamples(std::string_view record);
  absl::Status Flush();

  const CheckpointOptions& options_;
  CheckpointStats stats_;
  std::vector<wal::Segment> old_checkpoint_;
  uint64_t old_covers_ = 0;
  std::vector<wal::Segment> covered_;
  std::vector<wal::Segment> behind_;
  wal::Transactions transactions_;
  std::unique_ptr<wal::Writer> writer_;
  std::string pending_;  // Records that are not written yet, joined.
  std::vector<size_t> pending_ends_;
  absl::flat_hash_map<std::string, uint64_t> applied_;  // What senders are at.
  std::optional<wal::SegmentMarker> marker_;            // Of the last covered segment.
  uint64_t reference_max_ = 0;
  std::optional<wal::Truncation> truncation_;  // The last one seen,
  bool truncation_pending_ = false;            // and not written yet.
  MetadataOfSeries metadata_;

  // Kept for their memory.
  wal::SeriesRecord series_;
  wal::SeriesEncoder series_encoder_;
  wal::SamplesEncoder samples_encoder_;
  wal::ExemplarsRecord exemplars_;
};

absl::Status Checkpointer::Find() {
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<wal::Checkpoint> last,
                           wal::LastCheckpoint(options_.fs, options_.log_directory));
  if (last) {
    if (last->segment >= options_.last_segment) {
      return FailedPrecondition("there is a checkpoint of segment ", last->segment, " already");
    }
    old_covers_ = last->segment;
    NARTHEX_ASSIGN_OR_RETURN(old_checkpoint_, wal::ListSegments(options_.fs, last->path));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(options_.fs, options_.log_directory));
  for (const wal::Segment& segment : segments) {
    if (last && segment.number <= last->segment) continue;
    (segment.number <= options_.last_segment ? covered_ : behind_).push_back(segment);
  }
  if (covered_.empty() || covered_.back().number != options_.last_segment) {
    return FailedPrecondition("log ", options_.log_directory, " has no segment ",
                              options_.last_segment);
  }
  if (last && covered_.front().number != last->segment + 1) {
    return DataLoss("log ", options_.log_directory, ": segments between checkpoint ", last->segment,
                    " and segment ", covered_.front().number, " are missing");
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointStats> Checkpointer::Run() {
  NARTHEX_RETURN_IF_ERROR(Find());
  const std::string path = CheckpointPath(options_.log_directory, options_.last_segment);
  const std::string unfinished = StrCat(path, kUnfinishedSuffix);
  NARTHEX_RETURN_IF_ERROR(options_.fs->RemoveAll(unfinished));
  absl::Status status = Write(unfinished);
  writer_.reset();
  if (status.ok()) status = options_.fs->Rename(unfinished, path);
  if (!status.ok()) {
    // Nothing is lost with it, and a full disk wants the room back.
    const absl::Status removed = options_.fs->RemoveAll(unfinished);
    return removed.ok() ? status : Annotate(status, Message(removed));
  }
  NARTHEX_RETURN_IF_ERROR(options_.fs->SyncDirectory(options_.log_directory));
  return stats_;
}

absl::Status Checkpointer::Write(const std::string& unfinished) {
  NARTHEX_RETURN_IF_ERROR(options_.fs->CreateDirectories(unfinished));
  wal::WriterOptions options;
  options.compress = options_.compress;
  NARTHEX_ASSIGN_OR_RETURN(writer_, wal::Writer::Open(options_.fs, unfinished, 0, options,
                                                      [](uint64_t, std::vector<std::string>*) {}));
  // Before everything else, who has written it.
  NARTHEX_ASSIGN_OR_RETURN(marker_, ReadMarker());
  if (marker_) NARTHEX_RETURN_IF_ERROR(Put(wal::EncodeSegmentMarker(*marker_)));
  NARTHEX_RETURN_IF_ERROR(ReadSegments(old_checkpoint_, true));
  NARTHEX_RETURN_IF_ERROR(ReadSegments(covered_, false));
  reference_max_ = std::max(reference_max_, transactions_.reference_max());
  // Whether a batch that is open here counts, the next segments say.
  for (const wal::Segment& segment : behind_) {
    if (!transactions_.batch_open()) break;
    NARTHEX_RETURN_IF_ERROR(ReadSegments({segment}, false));
  }
  if (transactions_.batch_open()) {
    return FailedPrecondition("a batch that begins in segment ", options_.last_segment,
                              " is still being written");
  }
  NARTHEX_RETURN_IF_ERROR(Finish());
  stats_.bytes_written = writer_->counters().bytes_written.load();
  NARTHEX_RETURN_IF_ERROR(writer_->Sync());
  return options_.fs->SyncDirectory(unfinished);
}

// The marker that the checkpoint stands for; nullopt when another program wrote last.
absl::StatusOr<std::optional<wal::SegmentMarker>> Checkpointer::ReadMarker() const {
  const wal::Segment* newest = nullptr;
  uint64_t number = 0;
  for (const wal::Segment& segment : covered_) {
    if (segment.size_bytes == 0) continue;
    newest = &segment;
    number = segment.number;
  }
  if (newest == nullptr && !old_checkpoint_.empty()) {
    newest = &old_checkpoint_.front();
    number = old_covers_;
  }
  if (newest == nullptr) return std::nullopt;
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file,
                           options_.fs->Map(newest->path));
  wal::SegmentReader reader(file->bytes());
  if (!reader.Next() || wal::TypeOfRecord(reader.record()) != wal::RecordType::kSegmentMarker) {
    return std::nullopt;
  }
  wal::SegmentMarker marker;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeSegmentMarker(reader.record(), &marker));
  if (marker.segment != number) return std::nullopt;
  marker.segment = options_.last_segment;
  return marker;
}

absl::Status Checkpointer::ReadSegments(const std::vector<wal::Segment>& segments,
                                        bool checkpoint) {
  if (segments.empty()) return absl::OkStatus();
  const bool ahead = !checkpoint && segments.front().number > options_.last_segment;
  wal::LogReader reader(options_.fs, segments, {});
  wal::LogPiece piece;
  while (reader.Next(&piece)) {
    const wal::Segment& segment = segments[piece.segment];
    if (piece.first && checkpoint) transactions_.BeginCheckpoint(old_covers_);
    if (piece.first && !checkpoint && segment.size_bytes > 0) {
      transactions_.BeginSegment(segment.number);
    }
    for (wal::LogRecord& record : piece.records) {
      if (ahead && !transactions_.batch_open()) return absl::OkStatus();
      if (checkpoint) record.segment = 0;  // Numbered apart, and all covered.
      NARTHEX_RETURN_IF_ERROR(transactions_.Add(std::move(record)));
    }
    // The newest segment may be in the middle of a write.
    if (!piece.status.ok() && !ahead) return Annotate(piece.status, segment.path);
    if (options_.pause) NARTHEX_RETURN_IF_ERROR(options_.pause());
  }
  return absl::OkStatus();
}

absl::Status Checkpointer::Apply(wal::LogRecord* record) {
  if (record->segment > options_.last_segment) return absl::OkStatus();  // Of the look ahead.
  switch (record->type) {
    case wal::RecordType::kSeries:
      return ApplySeries(record->bytes);
    case wal::RecordType::kSamples:
    case wal::RecordType::kSamplesV2:
      return ApplySamples(*record);
    case wal::RecordType::kHistogramSamples:
    case wal::RecordType::kCustomHistogramSamples:
    case wal::RecordType::kHistogramSamplesV2: {
      wal::HistogramsEncoder encoder(record->type == wal::RecordType::kHistogramSamplesV2);
      return ApplyHistograms<wal::RefHistogram>(record->bytes, &wal::DecodeHistograms, &encoder);
    }
    case wal::RecordType::kFloatHistogramSamples:
    case wal::RecordType::kCustomFloatHistogramSamples:
    case wal::RecordType::kFloatHistogramSamplesV2: {
      wal::FloatHistogramsEncoder encoder(record->type ==
                                          wal::RecordType::kFloatHistogramSamplesV2);
      return ApplyHistograms<wal::RefFloatHistogram>(record->bytes, &wal::DecodeFloatHistograms,
                                                     &encoder);
    }
    case wal::RecordType::kTombstones:
      return ApplyTombstones(record->bytes);
    case wal::RecordType::kExemplars:
      return ApplyExemplars(record->bytes);
    case wal::RecordType::kMetadata:
      return ApplyMetadata(record->bytes);
    case wal::RecordType::kTruncation:
      return ApplyTruncation(record->bytes);
    case wal::RecordType::kMmapMarkers:
    case wal::RecordType::kMinValidTime:
    case wal::RecordType::kSegmentMarker:
    case wal::RecordType::kBatch:
      break;
  }
  return absl::OkStatus();  // What nobody reads is not kept.
}

absl::Status Checkpointer::ApplySeries(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeSeries(record, &series_));
  series_encoder_.Clear();
  for (const wal::SeriesRecord::Entry& entry : series_.entries) {
    if (entry.ref <= wal::kReferenceMax) reference_max_ = std::max(reference_max_, entry.ref);
    if (!options_.keep_series(entry.ref)) {
      ++stats_.series_dropped;
      continue;
    }
    ++stats_.series_kept;
    series_encoder_.Add(entry.ref, series_.LabelsOf(entry));
    if (series_encoder_.size_bytes() < kWriteBytes) continue;
    NARTHEX_RETURN_IF_ERROR(Put(series_encoder_.record()));
    series_encoder_.Clear();
  }
  return series_encoder_.empty() ? absl::OkStatus() : Put(series_encoder_.record());
}

bool Checkpointer::Keep(uint64_t ref, Timestamp timestamp, uint64_t* kept, uint64_t* dropped) {
  const bool keep = timestamp >= options_.keep_from && options_.keep_series(ref);
  ++*(keep ? kept : dropped);
  return keep;
}

absl::Status Checkpointer::ApplySamples(const wal::LogRecord& record) {
  const bool v2 = record.type == wal::RecordType::kSamplesV2;
  samples_encoder_.Clear();
  wal::SamplesV2Encoder v2_encoder;
  for (const wal::RefSample& sample : record.samples) {
    if (!Keep(sample.ref, sample.timestamp, &stats_.samples_kept, &stats_.samples_dropped)) {
      continue;
    }
    if (v2) {
      v2_encoder.Add(sample);
      if (v2_encoder.size_bytes() < kWriteBytes) continue;
      NARTHEX_RETURN_IF_ERROR(PutSamples(v2_encoder.record()));
      v2_encoder.Clear();
    } else {
      samples_encoder_.Reserve(1);
      samples_encoder_.Add(sample.ref, sample.timestamp, sample.value);
      if (samples_encoder_.size_bytes() < kWriteBytes) continue;
      NARTHEX_RETURN_IF_ERROR(PutSamples(samples_encoder_.record()));
      samples_encoder_.Clear();
    }
  }
  if (!v2_encoder.empty()) return PutSamples(v2_encoder.record());
  return samples_encoder_.empty() ? absl::OkStatus() : PutSamples(samples_encoder_.record());
}

template <typename Entry, typename Decode, typename Encoder>
absl::Status Checkpointer::ApplyHistograms(std::string_view record, Decode decode,
                                           Encoder* encoder) {
  std::vector<Entry> histograms;
  uint64_t skipped = 0;
  NARTHEX_RETURN_IF_ERROR(decode(record, &histograms, &skipped));
  stats_.samples_dropped += skipped;
  for (const Entry& entry : histograms) {
    if (!Keep(entry.ref, entry.timestamp, &stats_.samples_kept, &stats_.samples_dropped)) continue;
    encoder->Add(entry.ref, entry.timestamp, entry.start_timestamp, entry.histogram);
    if (encoder->size_bytes() >= kWriteBytes) NARTHEX_RETURN_IF_ERROR(PutAll(encoder));
  }
  return PutAll(encoder);
}

template <typename Encoder>
absl::Status Checkpointer::PutAll(Encoder* encoder) {
  std::vector<std::string_view> records;
  encoder->AppendRecords(&records);
  for (const std::string_view bytes : records) NARTHEX_RETURN_IF_ERROR(PutSamples(bytes));
  encoder->Clear();
  return absl::OkStatus();
}

absl::Status Checkpointer::ApplyExemplars(std::string_view record) {
  NARTHEX_RETURN_IF_ERROR(wal::DecodeExemplars(record, &exemplars_));
  wal::ExemplarsEncoder encoder;
  for (const wal::RefExemplar& exemplar : exemplars_.entries) {
    if (Keep(exemplar.ref, exemplar.timestamp, &stats_.exemplars_kept, &stats_.exemplars_dropped)) {
      encoder.Add(exemplar);
    }
  }
  return encoder.empty() ? absl::OkStatus() : PutSamples(encoder.record());
}

absl::Status Checkpointer::ApplyTombstones(std::string_view record) {
  std::vector<wal::Tombstone> tombstones;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeTombstones(record, &tombstones));
  std::erase_if(tombstones, [this](const wal::Tombstone& tombstone) {
    return !Keep(tombstone.ref, tombstone.max_time, &stats_.tombstones_kept,
                 &stats_.tombstones_dropped);
  });
  constexpr size_t kEntriesMax = size_t{1} << 16;
  for (size_t i = 0; i < tombstones.size(); i += kEntriesMax) {
    const size_t count = std::min(kEntriesMax, tombstones.size() - i);
    NARTHEX_RETURN_IF_ERROR(
        PutSamples(wal::EncodeTombstones(std::span(tombstones).subspan(i, count))));
  }
  return absl::OkStatus();
}

absl::Status Checkpointer::ApplyMetadata(std::string_view record) {
  std::vector<wal::RefMetadata> metadata;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeMetadata(record, &metadata));
  for (const wal::RefMetadata& entry : metadata) {
    if (options_.keep_series(entry.ref)) metadata_.Set(entry);
  }
  return absl::OkStatus();
}

absl::Status Checkpointer::ApplyTruncation(std::string_view record) {
  wal::Truncation truncation;
  NARTHEX_RETURN_IF_ERROR(wal::DecodeTruncation(record, &truncation));
  if (truncation_ == truncation) return absl::OkStatus();  // Said again.
  truncation_ = truncation;
  // What it drops is mostly left out here, and then only the last one matters. But that one must
  // stand before the samples that came after it.
  truncation_pending_ = true;
  return absl::OkStatus();
}

absl::Status Checkpointer::PutSamples(std::string_view record) {
  if (std::exchange(truncation_pending_, false)) {
    NARTHEX_RETURN_IF_ERROR(Put(wal::EncodeTruncation(*truncation_)));
  }
  return Put(record);
}

void Checkpointer::NoteReferences(const wal::LogRecord& record) {
  if (record.type != wal::RecordType::kSeries) return;
  if (!wal::DecodeSeries(record.bytes, &series_).ok()) return;
  for (const wal::SeriesRecord::Entry& entry : series_.entries) {
    if (entry.ref <= wal::kReferenceMax) reference_max_ = std::max(reference_max_, entry.ref);
  }
}

absl::Status Checkpointer::Put(std::string_view record) {
  pending_.append(record);
  pending_ends_.push_back(pending_.size());
  return pending_.size() < kWriteBytes ? absl::OkStatus() : Flush();
}

absl::Status Checkpointer::Flush() {
  std::vector<std::string_view> records;
  size_t begin = 0;
  for (const size_t end : pending_ends_) {
    records.push_back(std::string_view(pending_).substr(begin, end - begin));
    begin = end;
  }
  const absl::Status status = writer_->Log(records);
  pending_.clear();
  pending_ends_.clear();
  return status;
}

absl::Status Checkpointer::Finish() {
  wal::MetadataEncoder encoder;
  NARTHEX_RETURN_IF_ERROR(metadata_.ForEach([&](const wal::RefMetadata& metadata) {
    encoder.Add(metadata);
    if (encoder.size_bytes() < kWriteBytes) return absl::OkStatus();
    const absl::Status status = Put(encoder.record());
    encoder.Clear();
    return status;
  }));
  stats_.metadata_kept = metadata_.size();
  if (!encoder.empty()) NARTHEX_RETURN_IF_ERROR(Put(encoder.record()));
  if (truncation_pending_) NARTHEX_RETURN_IF_ERROR(Put(wal::EncodeTruncation(*truncation_)));
  if (marker_) {
    wal::SegmentMarker marker = *marker_;
    marker.next_reference = std::max(marker.next_reference, reference_max_ + 1);
    NARTHEX_RETURN_IF_ERROR(Put(wal::EncodeSegmentMarker(marker)));
  }
  std::string header;
  for (const auto& [sender, sequence] : applied_) {
    wal::EncodeBatchHeader({0, sender, sequence}, &header);
    NARTHEX_RETURN_IF_ERROR(Put(header));
  }
  return Flush();
}

}  // namespace

absl::StatusOr<std::optional<uint64_t>> SegmentsToCheckpoint(io::FileSystem* fs,
                                                             const std::string& log_directory,
                                                             uint64_t current_segment) {
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<wal::Checkpoint> checkpoint,
                           wal::LastCheckpoint(fs, log_directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(fs, log_directory));
  std::optional<uint64_t> first;
  for (const wal::Segment& segment : segments) {
    if (checkpoint && segment.number <= checkpoint->segment) continue;
    if (!first) first = segment.number;
  }
  // Upstream's arithmetic: the current one never, and of the others two thirds, so that what is
  // still wanted is not copied again and again.
  if (!first || *first + 1 >= current_segment) return std::nullopt;
  const uint64_t last = *first + (current_segment - 1 - *first) * 2 / 3;
  if (last <= *first) return std::nullopt;
  return last;
}

absl::StatusOr<CheckpointStats> WriteCheckpoint(const CheckpointOptions& options) {
  absl::StatusOr<CheckpointStats> stats = Checkpointer(options).Run();
  if (stats.ok()) return stats;
  return Annotate(stats.status(), StrCat("checkpoint of segment ", options.last_segment));
}

absl::Status DeleteCoveredSegments(io::FileSystem* fs, const std::string& log_directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<wal::Checkpoint> last,
                           wal::LastCheckpoint(fs, log_directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->List(log_directory));
  bool deleted = false;
  for (const std::string& name : names) {
    const std::string_view text = name;
    if (!text.starts_with(kCheckpointPrefix) || !text.ends_with(kUnfinishedSuffix)) continue;
    NARTHEX_RETURN_IF_ERROR(fs->RemoveAll(io::JoinPath(log_directory, name)));
    deleted = true;
  }
  if (last) {
    // The oldest first, so that the log has no gap at any moment.
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                             wal::ListSegments(fs, log_directory));
    for (const wal::Segment& segment : segments) {
      if (segment.number > last->segment) break;
      NARTHEX_RETURN_IF_ERROR(fs->Remove(segment.path));
      deleted = true;
    }
    for (const std::string& name : names) {
      const std::string_view text = name;
      uint64_t number;
      if (!text.starts_with(kCheckpointPrefix) ||
          !ParseUint64(text.substr(kCheckpointPrefix.size()), &number) || number >= last->segment) {
        continue;
      }
      NARTHEX_RETURN_IF_ERROR(fs->RemoveAll(io::JoinPath(log_directory, name)));
      deleted = true;
    }
  }
  return deleted ? fs->SyncDirectory(log_directory) : absl::OkStatus();
}

}  // namespace narthex::tsdb
