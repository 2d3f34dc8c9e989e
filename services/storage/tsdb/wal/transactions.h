#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_TRANSACTIONS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_TRANSACTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/storage/tsdb/wal/log_reader.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::wal {

// Puts the records of a log back into batches (format.md): those behind a batch header are handed
// on once all of them are there, others at once; markers and headers say who wrote the log and what
// the senders are at. Replay and checkpoints read the log through it, so that both leave out the
// same.
//
// Thread safety: none.
class Transactions {
 public:
  struct Handlers {
    // A record that counts, in order; markers and headers are not among them.
    std::function<absl::Status(LogRecord*)> apply;
    // A batch of a sender was applied, or passed over, at its sequence; or one without a sender
    // that has late samples was.
    std::function<void(const BatchHeader& header)> applied;
    // A batch lacks `missing` records; `records` are those that are there.
    std::function<void(uint64_t missing, uint64_t sequence, const std::vector<LogRecord>& records)>
        dropped;
  };
  explicit Transactions(Handlers handlers) : handlers_(std::move(handlers)) {}

  // A segment begins, which has this number. REQUIRES: it is not empty.
  void BeginSegment(uint64_t number);
  // A checkpoint's segment begins: the markers in it are those of segment `covers`.
  void BeginCheckpoint(uint64_t covers);
  // The log goes on within the segment of this marker, between two batches.
  void Resume(const SegmentMarker& marker);
  // Takes the record. DataLoss when it is none that could be there; errors of `apply`.
  absl::Status Add(LogRecord record);
  // The log ends here: a batch that lacks records is dropped.
  void Finish() { DropBatch(); }

  // A batch waits for its last records.
  bool batch_open() const { return batch_.has_value(); }
  // What the newest segment that is not empty begins with; nullopt when it was not ours.
  const std::optional<SegmentMarker>& marker() const { return marker_; }
  // Of the last marker; 0 before.
  uint64_t session() const { return session_; }
  // The greatest that the markers say may have been given away; 0 when there were none.
  uint64_t reference_max() const { return reference_max_; }

 private:
  struct Batch {  // Of which some records are still to come.
    uint64_t records_left = 0;
    std::string sender;
    uint64_t sequence = 0;
    std::optional<LogPlace> late;
    std::vector<LogRecord> records;
  };

  absl::Status OnMarker(std::string_view record);
  absl::Status OnBatch(std::string_view record);
  void DropBatch();

  const Handlers handlers_;
  std::optional<Batch> batch_;
  std::optional<SegmentMarker> marker_;
  uint64_t number_ = 0;    // Of the segment in work.
  bool in_log_ = false;    // Not in a checkpoint.
  bool at_start_ = false;  // Before its first record.
  uint64_t session_ = 0;
  uint64_t reference_max_ = 0;
};

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_TRANSACTIONS_H_
