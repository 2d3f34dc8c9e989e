#ifndef NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_
#define NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/thread.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// The background work of a database, on two threads. One replays the log, then syncs it at least
// once a second and looks at the disk. The other has everything that may take long: once a minute,
// and as soon as the head has a block's worth, it compacts, applies the retention and shortens the
// log, at a low priority and in small pieces between which it lets ingestion go first.
//
// Start() begins, Stop() (or the destructor) ends within the sync and the piece in progress, syncs
// once more, writes samples that another program would not take from the log into blocks, and the
// snapshot that the next start begins with. Thread safety: Start() and
// Stop() by one thread.
class Maintenance {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
    // Half of the second that is promised: a sync takes time itself.
    absl::Duration sync_interval = absl::Milliseconds(500);
    absl::Duration compaction_interval = absl::Minutes(1);
    std::function<void()> on_ready;   // After the replay.
    std::function<void()> on_synced;  // After each sync.
  };
  explicit Maintenance(Options options);
  ~Maintenance() { Stop(); }

  void Start();
  void Stop();

 private:
  void Run();
  void Sync();
  void RunCompactions();
  void WriteLateSamples();
  void SnapshotHead();
  absl::Status Compact();
  // Called between pieces of a compaction.
  absl::Status Yield();

  const Options options_;
  metrics::Summary* const sync_seconds_;
  bool sync_failed_ = false;  // Said once. Only touched by Run().
  // Only touched by RunCompactions().
  absl::Duration piece_began_;  // Monotonic, of the real clock.
  uint64_t samples_seen_ = 0;   // Appended when the last piece began.
  absl::StatusCode compaction_error_ = absl::StatusCode::kOk;  // Said once.
  StopSignal stop_;
  Thread thread_;
  Thread compaction_thread_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_
