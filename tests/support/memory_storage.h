#ifndef NARTHEX_TESTS_SUPPORT_MEMORY_STORAGE_H_
#define NARTHEX_TESTS_SUPPORT_MEMORY_STORAGE_H_

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/storage/storage.h"

namespace narthex::testing {

// Samples in maps: the obviously correct store that real ones are checked against, and the store of
// tests that need one. A Select copies what it answers, so that it sees one moment. Series come in
// label order; a series without a sample in the range of a query is not answered.
//
// Thread safety: all methods may be called from any thread. Appenders and SeriesSets must not
// outlive it.
class MemoryStorage : public storage::Querier {
 public:
  // Deadlines of Select are kept by `clock`, and ignored without one.
  explicit MemoryStorage(Clock* clock = nullptr) : clock_(clock) {}

  std::unique_ptr<storage::Appender> NewAppender();
  // A transaction of one sample.
  storage::Refusal Append(const Labels& labels, Timestamp timestamp, double value);
  // As a late sample is written, or over one that is there.
  void Put(const Labels& labels, Timestamp timestamp, double value);
  // Takes the samples from min_time to max_time away.
  void Delete(const Labels& labels, Timestamp min_time, Timestamp max_time);

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override;
  absl::StatusOr<storage::DataChanges> Changes(std::string_view known_revision) override;
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;

  size_t series() const;
  size_t samples() const;
  // What a series holds; empty when it is not there.
  std::map<Timestamp, double> SamplesOf(const Labels& labels) const;
  // Samples refused so far, by Append() or at Commit().
  uint64_t refused(storage::Refusal reason) const;

 private:
  class MemoryAppender;
  using SeriesMap = std::map<Labels, std::map<Timestamp, double>>;

  // One rule for both the check at Append() and the one at Commit(): `newest` is what the series
  // ends with, or null.
  static storage::Refusal Check(const std::pair<const Timestamp, double>* newest,
                                Timestamp timestamp, double value);
  // Whether the same sample is there already, which is accepted and changes nothing.
  static bool Repeats(const std::map<Timestamp, double>& stored, Timestamp timestamp, double value);

  storage::DataChanges ChangesLocked(std::string_view known_revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Clock* const clock_;
  mutable Mutex mu_;
  // The oldest sample of each transaction; their count is the revision.
  std::vector<Timestamp> changes_ ABSL_GUARDED_BY(mu_);
  SeriesMap series_ ABSL_GUARDED_BY(mu_);
  std::array<uint64_t, storage::kRefusalCount> refused_ ABSL_GUARDED_BY(mu_) = {};
};

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_SUPPORT_MEMORY_STORAGE_H_
