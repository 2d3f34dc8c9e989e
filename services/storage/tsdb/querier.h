#ifndef NARTHEX_SERVICES_STORAGE_TSDB_QUERIER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_QUERIER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/db_reader.h"

namespace narthex::tsdb {

// The bounds of one Select, counted up while series are answered.
class SelectBudget {
 public:
  // `clock` and the options must outlive it.
  SelectBudget(const storage::SelectOptions& options, Clock* clock)
      : options_(options), clock_(clock) {}

  // Adds one series to the answer: ResourceExhausted, DeadlineExceeded or Cancelled when that is
  // too much.
  absl::Status Spend(uint64_t samples, uint64_t bytes);

 private:
  const storage::SelectOptions& options_;
  Clock* const clock_;
  uint64_t series_ = 0;
  uint64_t samples_ = 0;
  uint64_t bytes_ = 0;
};

// About how many of a chunk's samples lie in min_time…max_time, taken as evenly spread.
uint64_t SamplesWithin(const storage::SelectChunk& chunk, Timestamp min_time, Timestamp max_time);

// The database as an engine in the same process reads it: decoded. Over gRPC StorageService answers
// with the chunks as they are instead.
class DbQuerier : public storage::Querier {
 public:
  // `db` and `clock` must outlive the querier and its sets.
  DbQuerier(const Db* db, Clock* clock) : db_(db), clock_(clock) {}

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override;
  absl::StatusOr<storage::DataChanges> Changes(std::string_view known_revision) override;
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;

 private:
  class Selection;
  class Set;
  const Db* const db_;
  Clock* const clock_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_QUERIER_H_
