#ifndef NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_
#define NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/storage/storage.h"

namespace narthex::storage {

// Several stores as one: asks all of them at the same time, merges their series in label order and
// takes equal series together. With one store it hands everything through, and asks for no order.
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

  absl::StatusOr<SelectResult> Select(std::span<const Selector> selectors,
                                      const SelectOptions& options) override;
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
  Strings JoinStrings(const std::function<Strings(Querier*)>& ask,
                      std::vector<std::string>* warnings);

  // Constant after construction.
  const std::vector<Querier*> stores_;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_FANOUT_QUERIER_H_
