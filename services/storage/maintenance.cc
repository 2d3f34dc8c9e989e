#include "services/storage/maintenance.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/strings.h"

namespace narthex::storage_service {
namespace {

// Lets other threads of the machine go before this one. It still gets on where nobody else wants
// the processor. On Linux the priority is that of a thread; nobody relies on it.
void LowerThreadPriority() {
  constexpr int kNice = 10;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

// Hands to the kernel what was freed and lies between what was not. Takes milliseconds.
void ReturnFreeMemory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

}  // namespace

Maintenance::Maintenance(Options options)
    : options_(std::move(options)),
      sync_seconds_(options_.registry->AddSummary("prometheus_tsdb_wal_fsync_duration_seconds",
                                                  "Duration of syncs of the write-ahead log.",
                                                  {0.5, 0.9, 0.99})) {}

void Maintenance::Start() {
  thread_ = Thread("maintenance", [this] { Run(); });
}

void Maintenance::Stop() {
  stop_.Set();
  thread_.Join();
  compaction_thread_.Join();
  WriteLateSamples();
  SnapshotHead();
}

void Maintenance::WriteLateSamples() {
  if (!options_.db->CheckAppendable().ok()) return;
  // Whoever stops a process does not wait for ever, and these samples are in our log all the same.
  constexpr absl::Duration kPatience = absl::Seconds(5);
  const absl::Duration start = RealClock()->Monotonic();
  const absl::Status status = options_.db->WriteLateSamples([start] {
    return RealClock()->Monotonic() - start < kPatience ? absl::OkStatus()
                                                        : Cancelled("it takes too long");
  });
  if (!status.ok()) {
    options_.logger.Warn(
        "samples that are older than the newest block stay in the log, where Prometheus would pass "
        "over them",
        {{"err", status}});
  }
}

void Maintenance::SnapshotHead() {
  // Nobody works beside it any more; a second call finds nothing new.
  if (!options_.db->CheckAppendable().ok()) return;
  const absl::Status status = options_.db->SnapshotHead();
  if (!status.ok()) {
    options_.logger.Warn(
        "no snapshot of the head was written; the next start reads more of the log",
        {{"err", status}});
  }
}

void Maintenance::Run() {
  const absl::Status replayed = options_.db->Replay([this] { return stop_.stopped(); });
  if (!replayed.ok()) {
    if (stop_.stopped()) return;
    options_.logger.Error("the log cannot be replayed; nothing is served until it can",
                          {{"err", replayed}});
    return;
  }
  ReturnFreeMemory();
  options_.on_ready();
  compaction_thread_ = Thread("compaction", [this] { RunCompactions(); });
  while (!stop_.WaitFor(options_.sync_interval)) Sync();
  Sync();
}

void Maintenance::RunCompactions() {
  LowerThreadPriority();
  constexpr absl::Duration kLook = absl::Seconds(1);
  absl::Duration compacted = RealClock()->Monotonic();
  Timestamp newest = kMinTimestamp;  // Of the head, at that time.
  while (!stop_.WaitFor(std::min(kLook, options_.compaction_interval))) {
    // Between the regular times only for what has come since: what failed, or is not to be had yet,
    // waits for its minute.
    const Timestamp newest_now = options_.db->head().max_time();
    const bool due = newest_now > newest && options_.db->HeadDue();
    const bool regular = RealClock()->Monotonic() - compacted >= options_.compaction_interval;
    if (!due && !regular) continue;
    newest = Compact().ok() ? newest_now : kMaxTimestamp;
    ReturnFreeMemory();
    compacted = RealClock()->Monotonic();
  }
}

absl::Status Maintenance::Compact() {
  piece_began_ = RealClock()->Monotonic();
  const absl::Status status = options_.db->Compact([this] { return Yield(); });
  if (absl::IsCancelled(status)) return status;
  const absl::StatusCode before = std::exchange(compaction_error_, status.code());
  if (!status.ok() && before != status.code()) {
    options_.logger.Error("the background work failed; it is tried again every minute",
                          {{"err", status}});
  }
  return status;
}

absl::Status Maintenance::Yield() {
  // Long enough that the wait is worth a switch of threads, short enough that nobody notices.
  constexpr absl::Duration kPiece = absl::Milliseconds(10);
  if (stop_.stopped()) return Cancelled("shutting down");
  const absl::Duration worked = RealClock()->Monotonic() - piece_began_;
  if (worked < kPiece) return absl::OkStatus();
  options_.db->ReleasePages();  // This work reads whole files.
  const uint64_t samples =
      options_.db->head().counters().samples_appended.load(std::memory_order_relaxed);
  const bool ingesting = std::exchange(samples_seen_, samples) != samples;
  // While samples come, half of the time is theirs; somebody who waits for the work to end is worth
  // more than that.
  if (ingesting && !options_.db->work_is_waited_for() && stop_.WaitFor(worked)) {
    return Cancelled("shutting down");
  }
  piece_began_ = RealClock()->Monotonic();
  return absl::OkStatus();
}

void Maintenance::Sync() {
  options_.db->CheckDisk();
  const absl::Duration start = RealClock()->Monotonic();
  const absl::Status status = options_.db->Sync();
  sync_seconds_->Observe(absl::ToDoubleSeconds(RealClock()->Monotonic() - start));
  options_.db->ReleasePages();
  if (status.ok()) {
    options_.on_synced();
  } else if (!sync_failed_) {
    sync_failed_ = true;
    options_.logger.Error("the log cannot be synced; nothing more is accepted until a restart",
                          {{"err", status}});
  }
}

}  // namespace narthex::storage_service
