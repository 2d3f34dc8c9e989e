#include "lib/storage/fanout_querier.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/storage/merge.h"

namespace narthex::storage {
namespace {

// Asks every store on a thread of its own, the first one on this thread.
template <typename Result>
std::vector<absl::StatusOr<Result>> AskAll(
    const std::vector<Querier*>& stores,
    const std::function<absl::StatusOr<Result>(Querier*)>& ask) {
  std::vector<absl::StatusOr<Result>> results(stores.size());
  std::vector<Thread> threads;
  for (size_t i = 1; i < stores.size(); ++i) {
    threads.emplace_back("fanout", [&, i] { results[i] = ask(stores[i]); });
  }
  results[0] = ask(stores[0]);
  for (Thread& thread : threads) thread.Join();
  return results;
}

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// OK when some store answered and every other one is merely away: those are named in *warnings.
template <typename Result>
absl::Status Judge(const std::vector<absl::StatusOr<Result>>& results,
                   std::vector<std::string>* warnings) {
  size_t answered = 0;
  for (const absl::StatusOr<Result>& result : results) {
    if (result.ok()) {
      ++answered;
    } else if (IsAway(result.status())) {
      warnings->emplace_back(Message(result.status()));
    } else {
      return result.status();
    }
  }
  return answered > 0 ? absl::OkStatus() : results[0].status();
}

}  // namespace

FanoutQuerier::FanoutQuerier(std::vector<Querier*> stores) : stores_(std::move(stores)) {
  NARTHEX_CHECK(!stores_.empty());
}

absl::StatusOr<SelectResult> FanoutQuerier::Select(std::span<const Selector> selectors,
                                                   const SelectOptions& options) {
  if (stores_.size() == 1) return stores_[0]->Select(selectors, options);
  SelectOptions sorted = options;
  sorted.sorted = true;
  std::vector<absl::StatusOr<SelectResult>> results = AskAll<SelectResult>(
      stores_, [&](Querier* store) { return store->Select(selectors, sorted); });
  SelectResult joined;
  NARTHEX_RETURN_IF_ERROR(Judge(results, &joined.warnings));
  for (size_t selector = 0; selector < selectors.size(); ++selector) {
    std::vector<std::unique_ptr<SeriesSet>> sets;
    for (absl::StatusOr<SelectResult>& result : results) {
      if (result.ok()) sets.push_back(std::move(result->sets[selector]));
    }
    joined.sets.push_back(MergeSeriesSets(std::move(sets)));
  }
  for (const absl::StatusOr<SelectResult>& result : results) {
    if (!result.ok()) continue;
    joined.warnings.insert(joined.warnings.end(), result->warnings.begin(), result->warnings.end());
  }
  return joined;
}

FanoutQuerier::Strings FanoutQuerier::JoinStrings(const std::function<Strings(Querier*)>& ask,
                                                  std::vector<std::string>* warnings) {
  if (stores_.size() == 1) return ask(stores_[0]);
  std::vector<Strings> results = AskAll<std::vector<std::string>>(stores_, ask);
  NARTHEX_RETURN_IF_ERROR(Judge(results, warnings));
  std::vector<std::string> joined;
  for (Strings& result : results) {
    if (!result.ok()) continue;
    joined.insert(joined.end(), std::make_move_iterator(result->begin()),
                  std::make_move_iterator(result->end()));
  }
  std::sort(joined.begin(), joined.end());
  joined.erase(std::unique(joined.begin(), joined.end()), joined.end());
  return joined;
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time,
    std::vector<std::string>* warnings) {
  return JoinStrings(
      [&](Querier* store) { return store->LabelNames(matcher_sets, min_time, max_time); },
      warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time, std::vector<std::string>* warnings) {
  return JoinStrings(
      [&](Querier* store) { return store->LabelValues(name, matcher_sets, min_time, max_time); },
      warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  std::vector<std::string> warnings;
  return LabelNames(matcher_sets, min_time, max_time, &warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  std::vector<std::string> warnings;
  return LabelValues(name, matcher_sets, min_time, max_time, &warnings);
}

}  // namespace narthex::storage
