#ifndef NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_
#define NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_

#include <functional>

#include "absl/time/time.h"
#include "lib/base/thread.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// The background work of a database: replays the log once, then syncs it at least once a second.
//
// Start() begins, Stop() (or the destructor) ends within the sync in progress, and syncs once more.
// Thread safety: Start() and Stop() by one thread.
class Maintenance {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
    // Half of the second that is promised: a sync takes time itself.
    absl::Duration sync_interval = absl::Milliseconds(500);
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

  const Options options_;
  metrics::Histogram* const sync_seconds_;
  bool sync_failed_ = false;  // Said once. Only touched by Run().
  StopSignal stop_;
  Thread thread_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_MAINTENANCE_H_
