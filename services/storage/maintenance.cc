#include "services/storage/maintenance.h"

#include <utility>

#include "lib/base/clock.h"

namespace narthex::storage_service {

Maintenance::Maintenance(Options options)
    : options_(std::move(options)),
      sync_seconds_(options_.registry->AddHistogram(
          "prometheus_tsdb_wal_fsync_duration_seconds", "Duration of syncs of the write-ahead log.",
          {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10})) {}

void Maintenance::Start() {
  thread_ = Thread("maintenance", [this] { Run(); });
}

void Maintenance::Stop() {
  stop_.Set();
  thread_.Join();
}

void Maintenance::Run() {
  const absl::Status replayed = options_.db->Replay([this] { return stop_.stopped(); });
  if (!replayed.ok()) {
    if (stop_.stopped()) return;
    options_.logger.Error("the log cannot be replayed; nothing is served until it can",
                          {{"err", replayed}});
    return;
  }
  options_.on_ready();
  while (!stop_.WaitFor(options_.sync_interval)) Sync();
  Sync();
}

void Maintenance::Sync() {
  const absl::Duration start = RealClock()->Monotonic();
  const absl::Status status = options_.db->Sync();
  sync_seconds_->Observe(absl::ToDoubleSeconds(RealClock()->Monotonic() - start));
  if (status.ok()) {
    options_.on_synced();
  } else if (!sync_failed_) {
    sync_failed_ = true;
    options_.logger.Error("the log cannot be synced; nothing more is accepted until a restart",
                          {{"err", status}});
  }
}

}  // namespace narthex::storage_service
