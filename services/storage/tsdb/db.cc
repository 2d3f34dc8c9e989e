#include "services/storage/tsdb/db.h"

#include <algorithm>
#include <random>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kLogDirectory = "wal";
constexpr std::string_view kChunksDirectory = "chunks_head";
constexpr std::string_view kChunkPartsDirectory = "chunks_open";
constexpr std::string_view kOooLogDirectory = "wbl";
constexpr std::string_view kQuarantineDirectory = "quarantine";
constexpr size_t kQuarantineFilesMax = 100;
constexpr uint64_t kQuarantineBytesMax = uint64_t{512} << 20;

uint64_t RandomNumber() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

std::string NewReferenceSpace() {
  std::string space;
  AppendBig(&space, RandomNumber());
  AppendBig(&space, RandomNumber());
  return space;
}

absl::Status CheckWritable(io::FileSystem* fs, const std::string& directory) {
  const std::string path = io::JoinPath(directory, "writable.tmp");
  NARTHEX_RETURN_IF_ERROR(fs->Create(path).status());
  return fs->Remove(path);
}

// A full disk keeps nobody from reading what is there.
absl::Status UnlessFull(const absl::Status& status) {
  return absl::IsResourceExhausted(status) ? absl::OkStatus() : status;
}

absl::Status MakeDirectories(io::FileSystem* fs, const std::string& path) {
  const absl::Status status = fs->CreateDirectories(path);
  return fs->Exists(path) ? UnlessFull(status) : status;
}

absl::Status SyncFile(io::FileSystem* fs, const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::WritableFile> file, fs->OpenAppend(path));
  return file->Sync();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Db>> Db::Open(DbOptions options, io::FileSystem* fs, Clock* clock,
                                             Logger logger) {
  NARTHEX_RETURN_IF_ERROR(MakeDirectories(fs, options.path));
  std::unique_ptr<io::DirectoryLock> lock;
  if (options.lock_directory) {
    NARTHEX_ASSIGN_OR_RETURN(lock, fs->LockDirectory(options.path));
  }
  const std::string log_directory = io::JoinPath(options.path, kLogDirectory);
  NARTHEX_RETURN_IF_ERROR(MakeDirectories(fs, log_directory));
  NARTHEX_RETURN_IF_ERROR(UnlessFull(CheckWritable(fs, log_directory)));
  // What the owner must repair is said before anything is served.
  NARTHEX_RETURN_IF_ERROR(wal::RestoreBrokenOffRepair(fs, log_directory));
  NARTHEX_RETURN_IF_ERROR(wal::ListSegments(fs, log_directory).status());
  return std::unique_ptr<Db>(
      new Db(std::move(options), fs, clock, std::move(logger), std::move(lock)));
}

Db::Db(DbOptions options, io::FileSystem* fs, Clock* clock, Logger logger,
       std::unique_ptr<io::DirectoryLock> lock)
    : options_(std::move(options)),
      fs_(fs),
      clock_(clock),
      logger_(std::move(logger)),
      lock_(std::move(lock)),
      store_(fs, options_.path, logger_),
      head_(options_.head, clock),
      compactor_(fs, clock, logger_,
                 {{options_.chunk_segment_size_bytes, {}, {}}, {}, options_.observer}),
      settings_(options_.settings) {
  const absl::Duration window = options_.settings.out_of_order_window;
  if (window > absl::ZeroDuration()) head_.ooo().SetWindow(window);
  head_.SetAnswerRepeats(
      [this](std::span<RepeatQuestion> questions) { persisted_.Answer(questions); });
  head_.table().SetXor2Floats(options_.settings.xor2_floats);
}

Db::~Db() = default;

absl::Status Db::CheckReady() const {
  if (ready()) return absl::OkStatus();
  {
    MutexLock lock(&mu_);
    if (!replay_error_.ok()) {
      return Unavailable("the log cannot be replayed: ", Message(replay_error_));
    }
  }
  return Unavailable("the log is being replayed, segment ", progress_.segments_done.load() + 1,
                     " of ", std::max<uint64_t>(progress_.segments_total.load(), 1));
}

absl::Status Db::CheckAppendable() const {
  NARTHEX_RETURN_IF_ERROR(CheckReady());
  if (log_open_.load(std::memory_order_acquire)) return absl::OkStatus();
  MutexLock lock(&mu_);
  return Unavailable(read_only_reason_);
}

absl::Status Db::CheckReadable() const {
  return blocks_open_.load(std::memory_order_acquire) ? absl::OkStatus() : CheckReady();
}

std::string_view DbStateName(DbStateKind kind) {
  switch (kind) {
    case DbStateKind::kReplaying:
      return "replaying";
    case DbStateKind::kReady:
      return "ready";
    case DbStateKind::kReadOnly:
      return "read-only";
    case DbStateKind::kBroken:
      break;
  }
  return "broken";
}

DbState Db::state() const {
  if (!ready()) {
    const absl::Status status = CheckReady();
    MutexLock lock(&mu_);
    return {replay_error_.ok() ? DbStateKind::kReplaying : DbStateKind::kBroken,
            std::string(Message(status))};
  }
  const absl::Status broken = head_.broken();
  if (!broken.ok()) return {DbStateKind::kBroken, std::string(Message(broken))};
  MutexLock lock(&mu_);
  if (!read_only_reason_.empty()) return {DbStateKind::kReadOnly, read_only_reason_};
  return {DbStateKind::kReady, ""};
}

void Db::Apply(const DbSettings& settings) {
  head_.ooo().SetWindow(settings.out_of_order_window);
  head_.exemplars().Resize(settings.exemplars_max);
  head_.table().SetXor2Floats(settings.xor2_floats);
  MutexLock lock(&mu_);
  settings_ = settings;
}

DbSettings Db::settings() const {
  MutexLock lock(&mu_);
  return settings_;
}

void Db::CheckDisk() {
  if (!ready()) return;
  MutexLock disk(&disk_mu_);
  const absl::StatusOr<io::DiskSpace> space = fs_->SpaceOf(options_.path);
  if (!space.ok()) return;
  // Of a small disk a smaller part; and a little more than that before it goes on, so that it does
  // not go to and fro.
  constexpr uint64_t kPart = 16;
  uint64_t reserve = std::min(options_.disk_reserve_bytes, space->total_bytes / kPart);
  if (state().kind == DbStateKind::kReadOnly) reserve += reserve / 4;
  std::string reason;
  if (space->free_bytes < reserve) {
    reason = StrCat("the disk of ", options_.path, " is full: ", space->free_bytes,
                    " bytes are free, ", reserve, " are kept in reserve");
  }
  if (reason.empty()) {
    const absl::Status opened = OpenLogLocked();
    if (!opened.ok()) reason = StrCat("the log cannot be opened: ", Message(opened));
  }
  SetReadOnly(reason);
}

void Db::SetReadOnly(const std::string& reason) {
  bool changed;
  {
    MutexLock lock(&mu_);
    changed = reason.empty() != read_only_reason_.empty();
    read_only_reason_ = reason;
  }
  if (!changed) return;
  head_.RefuseAppends(reason.empty() ? absl::OkStatus() : Unavailable(reason));
  if (reason.empty()) {
    logger_.Info("the disk has space again; samples are accepted");
  } else {
    logger_.Error("read-only: no sample is accepted until the disk has space", {{"err", reason}});
  }
}

absl::Status Db::Replay(const std::function<bool()>& stopped) {
  const absl::Status status = ReplayLog(stopped);
  MutexLock lock(&mu_);
  replay_error_ = status;
  return status;
}

absl::Status Db::OpenBlocks() {
  MutexLock work(&work_mu_);
  NARTHEX_RETURN_IF_ERROR(UnlessFull(store_.RemoveLeftovers()));
  NARTHEX_RETURN_IF_ERROR(UnlessFull(RemoveSnapshotLeftovers()));
  NARTHEX_RETURN_IF_ERROR(UnlessFull(ReloadLocked()));
  blocks_open_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status Db::ReplayLog(const std::function<bool()>& stopped) {
  const absl::Duration start = clock_->Monotonic();
  NARTHEX_RETURN_IF_ERROR(OpenBlocks());
  const std::string log_directory = io::JoinPath(options_.path, kLogDirectory);
  const std::string lost_directory =
      io::JoinPath(io::JoinPath(options_.path, kQuarantineDirectory),
                   StrCat("wal-", absl::ToUnixMillis(clock_->Now())));
  ReplayOptions replay_options;
  replay_options.log_directory = log_directory;
  replay_options.chunks_directory = io::JoinPath(options_.path, kChunksDirectory);
  replay_options.lost_directory = lost_directory;
  replay_options.snapshot_path = io::JoinPath(options_.path, kHeadSnapshotName);
  replay_options.foreign_min_time = store_.in_order_end();
  WblExtent late_log(fs_, io::JoinPath(options_.path, kOooLogDirectory));
  replay_options.late_is_there = [&late_log](const wal::LogPlace& place) {
    return late_log.Reaches(place);
  };
  replay_options.on_ooo_chunk = [this](const HeadChunk& chunk) { head_.ooo().LoadChunk(chunk); };
  const absl::Status parts =
      head_.chunk_parts().StartEmpty(fs_, io::JoinPath(options_.path, kChunkPartsDirectory));
  if (!parts.ok()) logger_.Warn("open chunks stay in memory as a whole", {{"err", parts}});
  class Replay replay(fs_, &head_, logger_, &progress_, stopped);
  NARTHEX_RETURN_IF_ERROR(replay.Run(replay_options, &replay_result_));
  OooLogStart ooo;
  ooo.fs = fs_;
  ooo.directory = io::JoinPath(options_.path, kOooLogDirectory);
  ooo.lost_directory =
      io::JoinPath(io::JoinPath(options_.path, kQuarantineDirectory),
                   StrCat(kOooLogDirectory, "-", absl::ToUnixMillis(clock_->Now())));
  ooo.options = options_.log;
  ooo.senders_known = !replay_result_.reference_space.empty();
  NARTHEX_RETURN_IF_ERROR(OpenOutOfOrderLog(ooo, &head_, logger_, stopped, &ooo_replay_result_));
  {
    MutexLock disk(&disk_mu_);
    log_start_ = MakeLogStart();
    repairs_ = std::move(replay_result_.repairs);
    for (auto& repair : ooo_replay_result_.repairs) repairs_.push_back(std::move(repair));
    head_.SetLogStart(log_start_);
    const absl::Status opened = OpenLogLocked();
    NARTHEX_RETURN_IF_ERROR(UnlessFull(opened));
    if (!opened.ok()) SetReadOnly(StrCat("the log cannot be opened: ", Message(opened)));
  }
  replay_duration_ = clock_->Monotonic() - start;
  const ReplayResult& result = replay_result_;
  logger_.Info("log replayed", {{"duration_seconds", absl::ToDoubleSeconds(replay_duration_)},
                                {"series", head_.table().size()},
                                {"snapshot_series", result.snapshot_series},
                                {"samples", result.samples},
                                {"samples_there_already", result.samples_refused},
                                {"samples_of_unknown_series", result.samples_unknown},
                                {"batches_incomplete", result.batches_incomplete},
                                {"records_of_other_types", result.records_skipped}});
  ready_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status Db::OpenLogLocked() {
  if (log_open_.load(std::memory_order_relaxed)) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(wal::RunRepairs(&repairs_));
  NARTHEX_RETURN_IF_ERROR(SyncLastSegments());
  if (!head_.log_is_open()) {
    const std::string segment =
        io::JoinPath(log_start_.directory, wal::SegmentName(log_start_.segment));
    // What an earlier try could not even take back. The log that was read had no such segment.
    if (log_tried_ && fs_->Exists(segment)) NARTHEX_RETURN_IF_ERROR(fs_->Remove(segment));
    log_tried_ = true;
    NARTHEX_RETURN_IF_ERROR(head_.OpenLog(log_start_));
  }
  NARTHEX_RETURN_IF_ERROR(DropWhatBlocksHave());
  log_open_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

// The predecessor may have been killed before its last sync. The late samples of a batch come
// first, as in Head::Sync().
absl::Status Db::SyncLastSegments() const {
  for (const std::string& path :
       {ooo_replay_result_.last_segment_path, replay_result_.last_segment_path}) {
    if (!path.empty()) NARTHEX_RETURN_IF_ERROR(SyncFile(fs_, path));
  }
  return absl::OkStatus();
}

Head::LogStart Db::MakeLogStart() const {
  const ReplayResult& result = replay_result_;
  Head::LogStart start;
  start.fs = fs_;
  start.directory = io::JoinPath(options_.path, kLogDirectory);
  start.options = options_.log;
  start.segment = result.next_segment;
  start.reference_space = result.reference_space;
  start.session = RandomNumber();
  start.next_reference = result.next_reference;
  start.reference_survived = result.reference_survived;
  if (start.reference_space.empty()) {
    start.reference_space = NewReferenceSpace();
    logger_.Info("series references start anew", {{"cause", result.new_space_cause}});
  }
  return start;
}

absl::Status Db::DropWhatBlocksHave() {
  const bool foreign =
      !replay_result_.empty && !replay_result_.damaged && replay_result_.reference_space.empty();
  const Timestamp end = store_.in_order_end();
  if (!foreign || end <= head_.min_time()) return absl::OkStatus();
  logger_.Info("another program wrote the log: what is older than its newest block is in blocks",
               {{"time", end}});
  return head_.TruncateBefore(end).status();
}

absl::Status Db::Quarantine(std::string_view name, std::string_view bytes) {
  const std::string directory = io::JoinPath(options_.path, kQuarantineDirectory);
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory));
  uint64_t total_bytes = bytes.size();
  for (const std::string& old : names) {
    const absl::StatusOr<uint64_t> size = fs_->FileSize(io::JoinPath(directory, old));
    if (size.ok()) total_bytes += *size;
  }
  if (names.size() >= kQuarantineFilesMax || total_bytes > kQuarantineBytesMax) {
    return ResourceExhausted(directory, " is full");
  }
  return fs_->WriteFileAtomically(io::JoinPath(directory, name), bytes);
}

}  // namespace narthex::tsdb
