// The snapshot of the head that bounds what a start must read of the log.
#include <algorithm>

#include "lib/base/status_macros.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/head_snapshot.h"

namespace narthex::tsdb {
namespace {

// Less of the log than this is replayed in no time: no snapshot is worth its writing.
constexpr uint64_t kLogBytesMin = uint64_t{16} << 20;

uint64_t LogBytes(const Head& head) {
  const wal::WriterCounters* const counters = head.log_counters();
  return counters == nullptr ? 0 : counters->bytes_written.load(std::memory_order_relaxed);
}

}  // namespace

bool Db::HeadSnapshotDueLocked() const {
  if (options_.head_snapshot_interval <= absl::ZeroDuration()) return false;
  // A truncation takes chunks away that the snapshot leads to, and then the segment it begins in.
  if (head_snapshot_truncations_ != counters_.head_truncations.load()) return true;
  // This start had much to read; the next one need not.
  constexpr uint64_t kSamplesMax = 1'000'000;
  if (head_snapshot_time_ == absl::ZeroDuration() && replay_result_.samples > kSamplesMax) {
    return true;
  }
  // So snapshots write at most twice what the log does, however large the head is, and reading that
  // much of the log takes about as long as reading the snapshot.
  const uint64_t log_bytes_min = std::max(kLogBytesMin, head_snapshot_bytes_ / 2);
  return LogBytes(head_) >= head_snapshot_log_bytes_ + log_bytes_min &&
         clock_->Monotonic() - head_snapshot_time_ >= options_.head_snapshot_interval;
}

absl::Status Db::SnapshotHeadLocked(const Pace& pace) {
  const absl::Duration start = clock_->Monotonic();
  const uint64_t log_bytes = LogBytes(head_);
  const uint64_t truncations = counters_.head_truncations.load();
  HeadSnapshotOptions options;
  options.fs = fs_;
  options.path = io::JoinPath(options_.path, kHeadSnapshotName);
  options.log_directory = io::JoinPath(options_.path, "wal");
  options.aliases = replay_result_.aliases;
  if (pace) options.pause = pace;
  const absl::StatusOr<HeadSnapshotStats> written = WriteHeadSnapshot(&head_, options);
  // Also after an error (a full disk): the next try waits its time.
  head_snapshot_time_ = start;
  head_snapshot_log_bytes_ = log_bytes;
  head_snapshot_truncations_ = truncations;
  head_snapshot_current_ = written.ok();
  if (!written.ok()) {
    counters_.head_snapshots_failed.fetch_add(1, std::memory_order_relaxed);
    return written.status();
  }
  head_snapshot_bytes_ = written->bytes;
  counters_.head_snapshots.fetch_add(1, std::memory_order_relaxed);
  logger_.Info("snapshot of the head written",
               {{"series", written->series},
                {"chunks_open", written->chunks_open},
                {"chunks_closed", written->chunks_closed},
                {"bytes", written->bytes},
                {"duration_seconds", absl::ToDoubleSeconds(clock_->Monotonic() - start)}});
  return absl::OkStatus();
}

absl::Status Db::SnapshotHead(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(CheckAppendable());
  NARTHEX_RETURN_IF_ERROR(head_.broken());
  MutexLock work(&work_mu_);
  const bool current = head_snapshot_current_ && head_snapshot_log_bytes_ == LogBytes(head_) &&
                       head_snapshot_truncations_ == counters_.head_truncations.load();
  return current ? absl::OkStatus() : SnapshotHeadLocked(pace);
}

}  // namespace narthex::tsdb
