#ifndef NARTHEX_SERVICES_ALERTMANAGER_NFLOG_NOTIFICATION_LOG_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NFLOG_NOTIFICATION_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/alertmanager/snapshot/record_file.h"

namespace narthex::nflog {

// One integration of one receiver.
struct ReceiverKey {
  std::string group_name;   // The receiver's name.
  std::string integration;  // "webhook"
  uint32_t index = 0;       // Among the receiver's integrations of that kind.
};

// What was last told to a receiver about a group of alerts.
struct Entry {
  std::string group_key;
  ReceiverKey receiver;
  absl::Time timestamp;
  // Hashes of alerts, sorted.
  std::vector<uint64_t> firing_alerts;
  std::vector<uint64_t> resolved_alerts;
};

// An entry and when it may be forgotten, in upstream's bytes (format.md of snapshot/).
std::string EncodeEntry(const Entry& entry, absl::Time expires_at);
std::optional<Entry> DecodeEntry(std::string_view record, absl::Time* expires_at);

struct NotificationLogOptions {
  std::string path;  // Empty: in memory only.
  absl::Duration retention = absl::Hours(120);
};

// Remembers notifications so that none is sent twice, also over restarts: each entry is in the file
// before Log() returns and survives the end of the process.
//
// Thread safety: all methods may be called from any thread.
class NotificationLog {
 public:
  // Reads what an earlier process left. `file_system`, `clock` and `registry` must outlive the log.
  static absl::StatusOr<std::unique_ptr<NotificationLog>> Open(
      const NotificationLogOptions& options, io::FileSystem* file_system, Clock* clock,
      Logger logger, metrics::Registry* registry);

  // Records what has just been sent. It may be forgotten after min(retention, expiry), 0 being no
  // bound of its own. The entry holds in memory even when the file cannot be written; that is the
  // error.
  absl::Status Log(Entry entry, absl::Duration expiry);
  // Also an entry that has expired and was not swept yet: an alert that outlives a short repeat
  // interval must still be told as resolved.
  std::optional<Entry> Query(const std::string& group_key, const ReceiverKey& receiver);

  // Drops entries that have expired and rewrites the file.
  absl::Status Maintain();
  size_t size() const;

 private:
  struct Stored {
    Entry entry;
    absl::Time expires_at;
  };
  NotificationLog(const NotificationLogOptions& options, Clock* clock, metrics::Registry* registry);
  absl::Status MaintainLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const NotificationLogOptions options_;
  Clock* const clock_;
  metrics::Counter* const queries_;
  metrics::Counter* const maintenances_;
  metrics::Counter* const maintenance_errors_;
  metrics::Gauge* const snapshot_size_;

  mutable Mutex mu_;
  std::map<std::string, Stored> entries_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<snapshot::RecordFile> file_ ABSL_GUARDED_BY(mu_);  // Null without a path.
};

}  // namespace narthex::nflog

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NFLOG_NOTIFICATION_LOG_H_
