#include "services/storage/tsdb/fsck.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/block_check.h"
#include "services/storage/tsdb/head_chunks.h"
#include "services/storage/tsdb/head_snapshot.h"
#include "services/storage/tsdb/ulid.h"
#include "services/storage/tsdb/wal/reader.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/writer.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kLogNames[] = {"wal", "wbl"};
constexpr std::string_view kChunksName = "chunks_head";
constexpr std::string_view kQuarantineName = "quarantine";
constexpr std::string_view kUnfinished = ".tmp";
// What is written while a segment is repaired.
constexpr std::string_view kRepairName = "fsck.tmp";
// Prometheus has no record of this type, and passes over it. A segment that begins with it is
// nobody's, so a batch from before does not go on behind it.
constexpr std::string_view kFillerRecord = "\xff";

absl::Status CheckRecord(std::string_view record) {
  wal::SeriesRecord series;
  wal::ExemplarsRecord exemplars;
  std::vector<wal::RefSample> samples;
  std::vector<wal::RefHistogram> histograms;
  std::vector<wal::RefFloatHistogram> float_histograms;
  std::vector<wal::Tombstone> tombstones;
  std::vector<wal::RefMetadata> metadata;
  std::vector<wal::MmapMarker> markers;
  wal::SegmentMarker marker;
  wal::BatchHeader batch;
  wal::Truncation truncation;
  Timestamp min_time;
  uint64_t skipped = 0;
  switch (wal::TypeOfRecord(record)) {
    case wal::RecordType::kSeries:
      return wal::DecodeSeries(record, &series);
    case wal::RecordType::kSamples:
    case wal::RecordType::kSamplesV2:
      return wal::DecodeSamples(record, &samples);
    case wal::RecordType::kTombstones:
      return wal::DecodeTombstones(record, &tombstones);
    case wal::RecordType::kExemplars:
      return wal::DecodeExemplars(record, &exemplars);
    case wal::RecordType::kMmapMarkers:
      return wal::DecodeMmapMarkers(record, &markers);
    case wal::RecordType::kMetadata:
      return wal::DecodeMetadata(record, &metadata);
    case wal::RecordType::kHistogramSamples:
    case wal::RecordType::kCustomHistogramSamples:
    case wal::RecordType::kHistogramSamplesV2:
      return wal::DecodeHistograms(record, &histograms, &skipped);
    case wal::RecordType::kFloatHistogramSamples:
    case wal::RecordType::kCustomFloatHistogramSamples:
    case wal::RecordType::kFloatHistogramSamplesV2:
      return wal::DecodeFloatHistograms(record, &float_histograms, &skipped);
    case wal::RecordType::kMinValidTime:
      return wal::DecodeMinValidTime(record, &min_time);
    case wal::RecordType::kSegmentMarker:
      return wal::DecodeSegmentMarker(record, &marker);
    case wal::RecordType::kBatch:
      return wal::DecodeBatchHeader(record, &batch);
    case wal::RecordType::kTruncation:
      return wal::DecodeTruncation(record, &truncation);
  }
  return absl::OkStatus();
}

struct SalvagedRecord {
  uint64_t offset = 0;  // In the damaged segment.
  std::string bytes;
};

// All records of a segment that can be read, on both sides of damaged places.
class Salvage {
 public:
  explicit Salvage(std::string_view segment);
  const std::vector<SalvagedRecord>& records() const { return records_; }
  size_t records_behind() const { return records_behind_; }  // The first damage.
  uint64_t places() const { return places_; }
  const std::string& first_damage() const { return first_damage_; }

 private:
  void Note(std::string what) {
    ++places_;
    if (first_damage_.empty()) first_damage_ = std::move(what);
  }

  std::vector<SalvagedRecord> records_;
  size_t records_behind_ = 0;
  uint64_t places_ = 0;
  std::string first_damage_;
};

Salvage::Salvage(std::string_view segment) {
  uint64_t from = 0;
  while (true) {
    wal::SegmentReader reader(segment, from);
    while (reader.Next()) {
      const absl::Status status = CheckRecord(reader.record());
      if (!status.ok()) {
        Note(StrCat("offset ", reader.offset(), ": ", Message(status)));
        continue;
      }
      records_.push_back({reader.offset(), std::string(reader.record())});
      if (places_ > 0) ++records_behind_;
    }
    if (reader.status().ok()) return;
    // The rest of a record whose beginning is lost is no damage of its own.
    if (from == 0 || reader.offset() != from) Note(std::string(Message(reader.status())));
    from = reader.resume_offset();
    if (from >= segment.size()) return;
  }
}

class Checker {
 public:
  Checker(io::FileSystem* fs, const std::string& path, const FsckOptions& options,
          FsckReport* report)
      : fs_(fs), path_(path), options_(options), report_(report) {
    const std::string first = io::JoinPath(io::JoinPath(path, kQuarantineName),
                                           StrCat("fsck-", absl::ToUnixMillis(options.now)));
    quarantine_ = first;
    for (int i = 2; fs->Exists(quarantine_); ++i) quarantine_ = StrCat(first, "-", i);
  }

  absl::Status Run();

 private:
  absl::Status CheckLog(std::string_view name);
  absl::Status FillGaps(const std::string& directory, std::string_view name);
  absl::Status CheckSegments(const std::vector<wal::Segment>& segments, bool torn_tail_is_normal,
                             std::string_view quarantine_name);
  absl::Status CheckSegment(const wal::Segment& segment, bool torn_tail_is_normal,
                            std::string_view quarantine_name);
  // A snapshot that knows a place in a segment which is written anew.
  struct MovedSnapshot {
    std::string bytes;  // Empty: there is none.
    uint64_t old_offset = 0;
    std::optional<uint64_t> new_offset;
    bool waits_for(uint64_t record_offset) const {
      return !bytes.empty() && !new_offset && record_offset >= old_offset;
    }
  };
  absl::StatusOr<MovedSnapshot> FindSnapshotOf(const wal::Segment& segment) const;
  // Writes everything of `bytes` that can be read to a new segment and puts it in the place of the
  // old one.
  absl::Status RewriteSegment(const wal::Segment& segment, std::string_view bytes,
                              std::string_view quarantine_name);
  absl::Status CheckChunks();
  absl::Status CheckSnapshot();
  absl::Status CheckBlocks();
  absl::Status NoteLeftovers();

  absl::Status MoveToQuarantine(const std::string& path, std::string_view folder);
  std::string QuarantineFor(std::string_view folder) {
    report_->quarantine = quarantine_;
    return folder.empty() ? quarantine_ : io::JoinPath(quarantine_, folder);
  }
  void AddDamage(std::string path, std::string what, std::string done) {
    ++report_->damaged;
    if (done.empty()) ++report_->unrepaired;
    report_->findings.push_back({std::move(path), std::move(what), std::move(done)});
  }
  absl::Status Continue() const {
    if (options_.stopped && options_.stopped()) return Cancelled("stopped within the check");
    return absl::OkStatus();
  }

  io::FileSystem* const fs_;
  const std::string path_;
  const FsckOptions& options_;
  FsckReport* const report_;
  std::string quarantine_;  // Made when something goes there.
};

absl::Status Checker::Run() {
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::DirectoryLock> lock,
                           fs_->LockDirectory(path_));
  for (const std::string_view name : kLogNames) NARTHEX_RETURN_IF_ERROR(CheckLog(name));
  NARTHEX_RETURN_IF_ERROR(CheckChunks());
  NARTHEX_RETURN_IF_ERROR(CheckSnapshot());
  NARTHEX_RETURN_IF_ERROR(CheckBlocks());
  return NoteLeftovers();
}

absl::Status Checker::MoveToQuarantine(const std::string& path, std::string_view folder) {
  const std::string to = QuarantineFor(folder);
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(to));
  NARTHEX_RETURN_IF_ERROR(fs_->Rename(path, io::JoinPath(to, io::BaseName(path))));
  NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(to));
  return fs_->SyncDirectory(std::string(io::DirName(path)));
}

// --- Logs ---

absl::Status Checker::CheckLog(std::string_view name) {
  const std::string directory = io::JoinPath(path_, name);
  if (!fs_->Exists(directory)) return absl::OkStatus();
  if (options_.repair) {
    NARTHEX_RETURN_IF_ERROR(wal::RestoreBrokenOffRepair(fs_, directory));
    NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(io::JoinPath(directory, kRepairName)));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<wal::Checkpoint> checkpoint,
                           wal::LastCheckpoint(fs_, directory));
  if (checkpoint) {
    const std::string folder = StrCat(name, "/", io::BaseName(checkpoint->path));
    NARTHEX_RETURN_IF_ERROR(FillGaps(checkpoint->path, folder));
    const absl::StatusOr<std::vector<wal::Segment>> segments =
        wal::ListSegments(fs_, checkpoint->path);
    if (segments.ok()) NARTHEX_RETURN_IF_ERROR(CheckSegments(*segments, false, folder));
  }
  NARTHEX_RETURN_IF_ERROR(FillGaps(directory, name));
  const absl::StatusOr<std::vector<wal::Segment>> segments = wal::ListSegments(fs_, directory);
  // With a gap that was only looked at there is no list; it has been said.
  if (!segments.ok()) {
    return segments.status().code() == absl::StatusCode::kDataLoss ? absl::OkStatus()
                                                                   : segments.status();
  }
  std::vector<wal::Segment> wanted = *segments;
  if (checkpoint) {
    std::erase_if(wanted, [&](const wal::Segment& s) { return s.number <= checkpoint->segment; });
  }
  return CheckSegments(wanted, true, name);
}

absl::Status Checker::FillGaps(const std::string& directory, std::string_view name) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory));
  std::vector<uint64_t> numbers;
  for (const std::string& file : names) {
    uint64_t number;
    if (wal::ParseSegmentName(file, &number)) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 1; i < numbers.size(); ++i) {
    constexpr uint64_t kGapMax = 10000;  // More is no gap but a wrong name.
    if (numbers[i] - numbers[i - 1] > kGapMax) {
      AddDamage(directory, StrCat("segment ", numbers[i], " is far from all others"), "");
      continue;
    }
    for (uint64_t missing = numbers[i - 1] + 1; missing < numbers[i]; ++missing) {
      const std::string path = io::JoinPath(directory, wal::SegmentName(missing));
      std::string done;
      if (options_.repair) {
        NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<wal::Writer> writer,
                                 wal::Writer::Open(fs_, directory, missing, {},
                                                   [](uint64_t, std::vector<std::string>*) {}));
        const std::string_view records[] = {kFillerRecord};
        NARTHEX_RETURN_IF_ERROR(writer->Log(records));
        NARTHEX_RETURN_IF_ERROR(writer->Sync());
        done = "an empty segment stands in its place";
      }
      AddDamage(path, StrCat("the segment is missing, and with it what ", name, " had there"),
                std::move(done));
    }
  }
  return absl::OkStatus();
}

absl::Status Checker::CheckSegments(const std::vector<wal::Segment>& segments,
                                    bool torn_tail_is_normal, std::string_view quarantine_name) {
  for (size_t i = 0; i < segments.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(Continue());
    NARTHEX_RETURN_IF_ERROR(CheckSegment(
        segments[i], torn_tail_is_normal && i + 1 == segments.size(), quarantine_name));
  }
  return absl::OkStatus();
}

absl::Status Checker::CheckSegment(const wal::Segment& segment, bool torn_tail_is_normal,
                                   std::string_view quarantine_name) {
  ++report_->log_segments;
  if (segment.size_bytes == 0) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file, fs_->Map(segment.path));
  wal::SegmentReader reader(file->bytes());
  bool sound = true;
  while (sound && reader.Next()) {
    sound = CheckRecord(reader.record()).ok();
    if (sound) ++report_->log_records;
  }
  if (sound && reader.status().ok()) return absl::OkStatus();
  if (torn_tail_is_normal && reader.torn()) {
    report_->findings.push_back({segment.path,
                                 StrCat("the log ends within a record at offset ", reader.offset(),
                                        ", as after a crash; nobody was told that it is stored"),
                                 "the next start cuts it off"});
    return absl::OkStatus();
  }
  return RewriteSegment(segment, file->bytes(), quarantine_name);
}

absl::Status Checker::RewriteSegment(const wal::Segment& segment, std::string_view bytes,
                                     std::string_view quarantine_name) {
  const std::string directory(io::DirName(segment.path));
  const std::string scratch = io::JoinPath(directory, kRepairName);
  NARTHEX_ASSIGN_OR_RETURN(MovedSnapshot snapshot, FindSnapshotOf(segment));
  std::unique_ptr<wal::Writer> writer;
  if (options_.repair) {
    NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(scratch));
    NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(scratch));
    wal::WriterOptions options;
    // Everything must fit into one segment, also where it was compressed better.
    options.segment_size_bytes =
        std::max(wal::kSegmentSizeDefault,
                 uint64_t{8} * (bytes.size() / wal::kPageSize + 1) * wal::kPageSize);
    NARTHEX_ASSIGN_OR_RETURN(writer, wal::Writer::Open(fs_, scratch, segment.number, options,
                                                       [](uint64_t, std::vector<std::string>*) {}));
  }
  const Salvage salvage(bytes);
  constexpr size_t kRecordsAtOnce = 256;
  const std::vector<SalvagedRecord>& records = salvage.records();
  for (size_t i = 0; writer != nullptr && i < records.size();) {
    std::vector<std::string_view> views;
    while (i < records.size() && views.size() < kRecordsAtOnce) {
      if (snapshot.waits_for(records[i].offset)) {
        if (!views.empty()) break;
        snapshot.new_offset = writer->position().offset;
      }
      views.push_back(records[i++].bytes);
    }
    NARTHEX_RETURN_IF_ERROR(writer->Log(views));
  }
  const std::string what =
      StrCat(salvage.first_damage(), " (", salvage.places(), " damaged places; ", records.size(),
             " records are sound, ", salvage.records_behind(), " of them behind the first)");
  if (!options_.repair) {
    AddDamage(segment.path, what, "");
    return absl::OkStatus();
  }
  NARTHEX_RETURN_IF_ERROR(writer->Sync());
  if (!snapshot.bytes.empty() && !snapshot.new_offset) {
    snapshot.new_offset = writer->position().offset;
  }
  writer.reset();
  // The log has the segment at every moment: the old one under a second name first. A snapshot
  // that knows a place in it must not be there meanwhile.
  const std::string to = QuarantineFor(quarantine_name);
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(to));
  NARTHEX_RETURN_IF_ERROR(
      fs_->HardLink(segment.path, io::JoinPath(to, io::BaseName(segment.path))));
  NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(to));
  if (!snapshot.bytes.empty()) {
    NARTHEX_RETURN_IF_ERROR(MoveToQuarantine(io::JoinPath(path_, kHeadSnapshotName), ""));
  }
  NARTHEX_RETURN_IF_ERROR(
      fs_->Rename(io::JoinPath(scratch, io::BaseName(segment.path)), segment.path));
  NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(directory));
  NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(scratch));
  if (!snapshot.bytes.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const uint32_t checksum,
                             LogTailChecksum(fs_, segment.path, *snapshot.new_offset));
    NARTHEX_RETURN_IF_ERROR(
        fs_->WriteFileAtomically(io::JoinPath(path_, kHeadSnapshotName),
                                 MoveHeadSnapshot(snapshot.bytes, *snapshot.new_offset, checksum)));
  }
  AddDamage(segment.path, what, "replaced by its sound records");
  return absl::OkStatus();
}

absl::StatusOr<Checker::MovedSnapshot> Checker::FindSnapshotOf(const wal::Segment& segment) const {
  MovedSnapshot moved;
  const std::string path = io::JoinPath(path_, kHeadSnapshotName);
  if (io::DirName(segment.path) != io::JoinPath(path_, kLogNames[0])) return moved;
  const absl::StatusOr<std::unique_ptr<HeadSnapshot>> snapshot = HeadSnapshot::Open(fs_, path);
  if (!snapshot.ok() || (*snapshot)->moment().segment != segment.number) return moved;
  moved.old_offset = (*snapshot)->moment().offset;
  NARTHEX_ASSIGN_OR_RETURN(moved.bytes, fs_->ReadFile(path));
  return moved;
}

// --- The head's files ---

absl::Status Checker::CheckChunks() {
  const std::string directory = io::JoinPath(path_, kChunksName);
  if (!fs_->Exists(directory)) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(Continue());
  if (options_.repair) {
    // Says of every chunk that it is wanted, so that no file goes.
    HeadChunks chunks;
    NARTHEX_ASSIGN_OR_RETURN(
        const HeadChunks::LoadResult result,
        chunks.Load(fs_, directory, io::JoinPath(quarantine_, kChunksName),
                    [](const HeadChunk&) -> absl::StatusOr<bool> { return true; }));
    report_->chunk_files = result.files;
    report_->chunks = result.chunks;
    if (!result.damage.ok()) {
      report_->quarantine = quarantine_;
      AddDamage(directory, std::string(Message(result.damage)),
                "cut off there; the log has the samples that lie behind");
    }
    return absl::OkStatus();
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory));
  for (const std::string& name : names) {
    const std::string path = io::JoinPath(directory, name);
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> file, fs_->Map(path));
    absl::Status status = CheckHeadChunksHeader(file->bytes());
    uint64_t offset = kHeadChunksHeaderSize;
    bool torn = false;
    while (status.ok()) {
      HeadChunk chunk;
      uint64_t next = 0;
      status = DecodeHeadChunk(file->bytes(), offset, &chunk, &next, &torn);
      if (!status.ok() || next == 0) break;
      ++report_->chunks;
      offset = next;
    }
    ++report_->chunk_files;
    if (status.ok() || (torn && name == names.back())) continue;
    AddDamage(path, StrCat("offset ", offset, ": ", Message(status)), "");
  }
  return absl::OkStatus();
}

absl::Status Checker::CheckSnapshot() {
  const std::string path = io::JoinPath(path_, kHeadSnapshotName);
  if (!fs_->Exists(path)) return absl::OkStatus();
  const absl::Status status = HeadSnapshot::Open(fs_, path).status();
  report_->snapshot = status.ok();
  if (status.ok()) return absl::OkStatus();
  if (status.code() != absl::StatusCode::kDataLoss) return status;
  std::string done;
  if (options_.repair) {
    NARTHEX_RETURN_IF_ERROR(MoveToQuarantine(path, ""));
    done = "moved to the quarantine; the log has all of it";
  }
  AddDamage(path, std::string(Message(status)), std::move(done));
  return absl::OkStatus();
}

// --- Blocks ---

absl::Status Checker::CheckBlocks() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(path_));
  for (const std::string& name : names) {
    if (!Ulid::Parse(name)) continue;
    NARTHEX_RETURN_IF_ERROR(Continue());
    const std::string directory = io::JoinPath(path_, name);
    BlockReport block;
    NARTHEX_RETURN_IF_ERROR(CheckBlock(fs_, directory, &block));
    ++report_->blocks;
    report_->block_samples += block.samples;
    if (block.ok()) continue;
    std::string what;
    for (const std::string& problem : block.problems) {
      what = StrCat(what, what.empty() ? "" : "; ", problem);
    }
    if (block.problems_more > 0) what = StrCat(what, "; and ", block.problems_more, " more");
    std::string done;
    if (options_.repair) {
      BlockReport saved;
      NARTHEX_ASSIGN_OR_RETURN(const std::string made,
                               RepairBlock(fs_, directory, QuarantineFor("blocks"), &saved));
      done = made.empty() ? std::string("moved to the quarantine; nothing could be read")
                          : StrCat("replaced by ", io::BaseName(made), " with ", saved.samples,
                                   " samples of ", saved.series, " series; ", saved.chunks_lost,
                                   " chunks are lost");
    }
    AddDamage(directory, std::move(what), std::move(done));
  }
  return absl::OkStatus();
}

absl::Status Checker::NoteLeftovers() {
  for (const std::string_view folder : {std::string_view(), kLogNames[0], kLogNames[1]}) {
    const std::string directory = folder.empty() ? path_ : io::JoinPath(path_, folder);
    if (!fs_->Exists(directory)) continue;
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory));
    for (const std::string& name : names) {
      if (name.find(kUnfinished) == std::string::npos) continue;
      report_->findings.push_back({io::JoinPath(directory, name),
                                   "something that was never finished, or never quite deleted",
                                   "the next start removes it"});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Fsck(io::FileSystem* fs, const std::string& path, const FsckOptions& options,
                  FsckReport* report) {
  *report = FsckReport();
  if (!fs->Exists(path)) return NotFound("there is no directory ", path);
  return Checker(fs, path, options, report).Run();
}

std::vector<std::string> Describe(const FsckReport& report) {
  std::vector<std::string> lines;
  for (const FsckFinding& finding : report.findings) {
    lines.push_back(StrCat(finding.path, ": ", finding.what,
                           finding.done.empty() ? "" : StrCat(". ", finding.done)));
  }
  lines.push_back(StrCat("log: ", report.log_segments, " segments, ", report.log_records,
                         " records; chunks_head: ", report.chunk_files, " files, ", report.chunks,
                         " chunks; blocks: ", report.blocks, " with ", report.block_samples,
                         " samples", report.snapshot ? "; a snapshot of the head" : ""));
  if (report.damaged == 0) {
    lines.push_back("nothing is damaged");
  } else {
    lines.push_back(StrCat(report.damaged, " damaged, ", report.unrepaired, " left as they are",
                           report.quarantine.empty()
                               ? ""
                               : StrCat("; what was taken away is in ", report.quarantine)));
  }
  return lines;
}

}  // namespace narthex::tsdb
