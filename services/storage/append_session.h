#ifndef NARTHEX_SERVICES_STORAGE_APPEND_SESSION_H_
#define NARTHEX_SERVICES_STORAGE_APPEND_SESSION_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/append_batch.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// What a sender is told: everything since the last time.
struct AppendNews {
  uint64_t accepted_sequence = 0;
  std::vector<tsdb::AppendResult::NewReference> new_references;
  std::array<uint64_t, storage::kRefusalCount> refused = {};
  uint64_t refused_sequence = 0;  // 0: no batch was refused.
  std::vector<storage::SeriesRef> unknown_references;
  std::vector<uint64_t> quarantined_sequences;

  // Whether the sender waits for more than the mere sequence.
  bool urgent() const {
    return !new_references.empty() || refused_sequence != 0 || !quarantined_sequences.empty();
  }
};

// Counters that all sessions share.
struct AppendMetrics {
  explicit AppendMetrics(metrics::Registry* registry);
  metrics::Counter* const bytes;
  metrics::Counter* const quarantined;
  metrics::Gauge* const streams;
  metrics::Gauge* const appenders;  // The same, under upstream's name.
};

// One sender's end of an Append stream, without the transport: puts split batches together, decodes
// and applies them in order, and collects what the sender must hear. After a batch with unknown
// references it drops everything until that batch comes again.
//
// Thread safety: none; the stream's reading thread.
class AppendSession {
 public:
  // `db`, which is ready, `sender` and `metrics` must outlive the session.
  AppendSession(tsdb::Db* db, tsdb::Sender* sender, const AppendMetrics* metrics, Logger logger);

  // Takes one frame and adds to *news. An error ends the stream: the batch is not stored, and
  // neither is any later one.
  absl::Status OnFrame(uint64_t sequence, std::string_view columns, bool commit, AppendNews* news);

 private:
  absl::Status OnBatch(uint64_t sequence, std::string_view columns, AppendNews* news);
  absl::Status Quarantine(uint64_t sequence, std::string_view columns, const absl::Status& cause,
                          AppendNews* news);

  // Constant after construction.
  tsdb::Db* const db_;
  tsdb::Sender* const sender_;
  const AppendMetrics* const metrics_;
  const Logger logger_;

  tsdb::HeadAppender appender_;
  storage::AppendBatch batch_;
  tsdb::AppendResult result_;
  uint64_t accepted_;
  uint64_t refused_ = 0;  // The batch that must come again; 0 for none.
  // A batch that is not complete yet.
  uint64_t pieces_sequence_ = 0;
  std::string pieces_;
  bool pieces_too_long_ = false;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_APPEND_SESSION_H_
