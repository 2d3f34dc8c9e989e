#include "services/storage/tsdb/head.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::tsdb {
namespace {

HeadChunksOptions PartsOptions() {
  HeadChunksOptions options;
  // Small files, because they go one after another.
  options.file_size_bytes = uint64_t{16} << 20;
  return options;
}

}  // namespace

Head::Head(const HeadOptions& options, Clock* clock)
    : options_(options),
      clock_(clock),
      chunk_files_(options.chunk_files),
      chunk_parts_(PartsOptions()),
      table_(options.chunks, &chunk_files_, &chunk_parts_),
      index_(&table_),
      ooo_(options.ooo, &table_, &index_, &deletions_, &chunk_files_),
      exemplars_(options.exemplars_max),
      limits_(options.limits) {}

void Head::SetLogStart(const LogStart& start) {
  MutexLock lock(&append_mu_);
  reference_space_ = start.reference_space;
  session_ = start.session;
  next_reference_ = start.next_reference;
  reference_survived_ = start.reference_survived;
}

absl::Status Head::OpenLog(const LogStart& start) {
  MutexLock lock(&append_mu_);
  // The log calls back while it opens (here) and while it writes (HeadAppender), both times with
  // the lock held.
  const auto start_segment = [this](uint64_t segment, std::vector<std::string>* records) {
    append_mu_.AssertHeld();
    StartSegment(segment, records);
  };
  NARTHEX_ASSIGN_OR_RETURN(log_, wal::Writer::Open(start.fs, start.directory, start.segment,
                                                   start.options, start_segment));
  log_view_.store(log_.get(), std::memory_order_release);
  // What replay has found is on the disk, but perhaps only since this process' predecessor was
  // killed; Db syncs it before it starts appending.
  for (const auto& [id, sender] : senders_) sender->durable = sender->applied;
  return absl::OkStatus();
}

void Head::StartSegment(uint64_t segment, std::vector<std::string>* records) {
  records->push_back(
      wal::EncodeSegmentMarker({reference_space_, session_, segment, next_reference_}));
  // Also of one that is at 0: it may have been further before a power loss.
  for (const auto& [id, sender] : senders_) {
    wal::EncodeBatchHeader({0, id, sender->applied}, &records->emplace_back());
  }
  if (truncation_) records->push_back(wal::EncodeTruncation(*truncation_));
}

absl::Status Head::LogTruncation(Timestamp min_time) {
  MutexLock lock(&append_mu_);
  if (log_ == nullptr) return Unavailable("the log is not open");
  const std::optional<wal::Truncation> before = truncation_;
  truncation_ = wal::Truncation{min_time, chunk_files_.end()};
  const absl::Status status = log_->NextSegment();
  if (!status.ok()) truncation_ = before;
  return status;
}

absl::StatusOr<uint64_t> Head::CutLog() {
  MutexLock lock(&append_mu_);
  if (log_ == nullptr) return Unavailable("the log is not open");
  NARTHEX_RETURN_IF_ERROR(log_->NextSegment());
  return log_->position().segment;
}

Head::LogMoment Head::CurrentLogMoment() const {
  MutexLock lock(&append_mu_);
  LogMoment moment;
  moment.position = log_->position();
  moment.session = session_;
  moment.next_reference = next_reference_;
  moment.truncation = truncation_;
  for (const auto& [id, sender] : senders_) moment.senders.emplace_back(id, sender->applied);
  return moment;
}

absl::Status Head::Sync() {
  wal::Writer* const log = log_view_.load(std::memory_order_acquire);
  if (log == nullptr) return absl::OkStatus();
  {
    MutexLock lock(&append_mu_);
    for (const auto& [id, sender] : senders_) sender->syncing = sender->applied;
  }
  // A sequence in the log says that the whole batch is there, so its late samples go first.
  NARTHEX_RETURN_IF_ERROR(ooo_.Sync());
  NARTHEX_RETURN_IF_ERROR(log->Sync());
  {
    MutexLock lock(&append_mu_);
    for (const auto& [id, sender] : senders_) sender->durable = sender->syncing;
    ReclaimLocked();
  }
  chunk_files_.Unmap();
  chunk_parts_.Unmap();
  return absl::OkStatus();
}

Sender* Head::FindSender(std::string_view id) {
  MutexLock lock(&append_mu_);
  std::unique_ptr<Sender>& sender = senders_[std::string(id)];
  if (sender == nullptr) {
    sender = std::make_unique<Sender>();
    sender->id = id;
  }
  return sender.get();
}

Head::SenderPosition Head::PositionOf(const Sender& sender) const {
  MutexLock lock(&append_mu_);
  return {sender.applied, sender.durable};
}

uint64_t Head::reference_max() const {
  MutexLock lock(&append_mu_);
  return next_reference_ - 1;
}

uint64_t Head::WelcomeReferenceMax(Sender* sender) {
  MutexLock lock(&append_mu_);
  return std::exchange(sender->welcomed, true) ? next_reference_ - 1 : reference_survived_;
}

void Head::SetFence(Timestamp before) {
  MutexLock lock(&append_mu_);
  fence_ = before;
}

void Head::RefuseAppends(const absl::Status& reason) {
  MutexLock lock(&append_mu_);
  refusing_ = reason;
}

void Head::NoteChange(Timestamp oldest) { changes_.Add(oldest, ToTimestamp(clock_->Now())); }

absl::Status Head::CheckFenceLocked(const std::vector<Accepted>& accepted) const {
  if (fence_ == kMinTimestamp) return absl::OkStatus();
  for (const Accepted& sample : accepted) {
    if (sample.timestamp < fence_) {
      return Unavailable("samples before ", fence_,
                         " are just being written into a block; send the batch again");
    }
  }
  return absl::OkStatus();
}

absl::Status Head::broken() const {
  const wal::Writer* const log = log_view_.load(std::memory_order_acquire);
  return log == nullptr ? absl::OkStatus() : log->broken();
}

const wal::WriterCounters* Head::log_counters() const {
  const wal::Writer* const log = log_view_.load(std::memory_order_acquire);
  return log == nullptr ? nullptr : &log->counters();
}

void Head::SetLimits(const HeadLimits& limits) {
  MutexLock lock(&append_mu_);
  limits_ = limits;
}

HeadLimits Head::limits() const {
  MutexLock lock(&append_mu_);
  return limits_;
}

absl::StatusOr<OooHead::Frozen> Head::FreezeOutOfOrder() {
  MutexLock lock(&append_mu_);
  return ooo_.Freeze();
}

absl::Status Head::DropOutOfOrder(const OooHead::Frozen& frozen) {
  absl::Status logged;
  {
    MutexLock lock(&append_mu_);
    logged = ooo_.LogDropped(frozen);
  }
  const absl::Status dropped = ooo_.Drop(frozen);
  return logged.ok() ? dropped : logged;
}

void Head::ApplyLocked(const AcceptedBatch& accepted) {
  const std::span<const Accepted> samples = accepted.samples;
  if (samples.empty() && accepted.late.empty()) return;
  const BatchNumber batch = ++newest_batch_;
  const BatchNumber seen_by_all = isolation_.SeenByAll();
  constexpr size_t kAhead = 8;
  Timestamp oldest = kMaxTimestamp;
  Timestamp newest = kMinTimestamp;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i + kAhead < samples.size()) writer_.PrefetchTail(samples[i + kAhead].slot);
    const Accepted& sample = samples[i];
    const Timestamp start = accepted.starts.empty() ? 0 : accepted.starts[i];
    if (sample.histogram == 0) {
      writer_.Append(sample.slot, sample.timestamp, sample.value, batch, seen_by_all, start);
    } else {
      const storage::AppendBatch::HistogramEntry& entry =
          *accepted.histograms[sample.histogram - 1];
      if (entry.is_float) {
        writer_.Append(sample.slot, sample.timestamp, entry.float_histogram, batch, seen_by_all,
                       start);
      } else {
        writer_.Append(sample.slot, sample.timestamp, entry.histogram, batch, seen_by_all, start);
      }
    }
    oldest = std::min(oldest, sample.timestamp);
    newest = std::max(newest, sample.timestamp);
  }
  if (!accepted.late.empty()) ooo_.Apply(accepted.late, batch, std::max(newest, max_time()));
  oldest_since_truncation_ = std::min(oldest_since_truncation_, oldest);
  if (oldest < min_time()) min_time_.store(oldest, std::memory_order_relaxed);
  if (newest > max_time()) max_time_.store(newest, std::memory_order_relaxed);
  for (const OooSample& sample : accepted.late) oldest = std::min(oldest, sample.timestamp);
  counters_.samples_appended.fetch_add(samples.size() + accepted.late.size(),
                                       std::memory_order_relaxed);
  if (!accepted.histograms.empty()) {
    counters_.histograms_appended.fetch_add(accepted.histograms.size(), std::memory_order_relaxed);
  }
  isolation_.Commit(batch);
  chunk_files_.FlushIfFull();
  writer_.Settle();
  changes_.Add(oldest, ToTimestamp(clock_->Now()));
}

size_t Head::Memory::total() const {
  return table.records + table.references + table.open_chunks + table.closed_chunks +
         index.symbols + index.pairs + index.postings + index.series;
}

Head::Memory Head::memory() const {
  MutexLock lock(&append_mu_);
  return {table_.memory(), index_.memory()};
}

}  // namespace narthex::tsdb
