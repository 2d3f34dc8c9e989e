#ifndef NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_
#define NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/labels/labels.h"
#include "lib/storage/storage.h"

namespace narthex::storage {

// One of several stores.
struct FanoutStore {
  Querier* querier = nullptr;
  // What the store's series are known by outside of it, and do not carry: external labels. Asked
  // for before each question, so it should remember; a store that cannot say is left out. Empty:
  // none.
  std::function<absl::StatusOr<Labels>()> external_labels;
};

// Several stores as one: asks all of them at the same time, merges their series in label order and
// takes equal series together. With one store it hands everything through, and asks for no order.
//
// External labels in which the stores differ are added to their series (a label that a series has
// stays) and may be matched. Where replica labels are named, they are in no answer, and what is
// equal without them was read by replicas: one of them is followed at a time (MergeReplicas), where
// otherwise equal series are joined sample by sample.
//
// A store that does not answer (Unavailable, DeadlineExceeded) is left out and named in the
// warnings; when none answers, the first error is returned. A store that fails while its series are
// read ends the query with its error: what was read already cannot be taken back.
//
// Thread safety: all methods may be called from any thread.
class FanoutQuerier : public Querier {
 public:
  // REQUIRES: at least one store; they must outlive this.
  explicit FanoutQuerier(std::vector<Querier*> stores);
  FanoutQuerier(std::vector<FanoutStore> stores, std::vector<std::string> replica_labels);

  absl::StatusOr<SelectResult> Select(std::span<const Selector> selectors,
                                      const SelectOptions& options) override;
  // The revision names those of all stores. One that is away has none, so that anything may have
  // changed by the time it is back; when none answers it is an error.
  absl::StatusOr<DataChanges> Changes(std::string_view known_revision) override;
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;

  // The same, with a line appended to *warnings for each store that was left out.
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time,
      std::vector<std::string>* warnings);
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time, std::vector<std::string>* warnings);

 private:
  using Strings = absl::StatusOr<std::vector<std::string>>;
  class View;
  // What each store's series look like from outside, or why it cannot be asked.
  std::vector<absl::StatusOr<View>> Views() const;
  Strings JoinStrings(const std::function<Strings(const View&)>& ask,
                      std::vector<std::string>* warnings);

  // Constant after construction.
  const std::vector<FanoutStore> stores_;
  const std::vector<std::string> replica_labels_;
  const bool simple_;  // One store whose answers go through as they are.
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_
