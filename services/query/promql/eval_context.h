#ifndef NARTHEX_SERVICES_QUERY_PROMQL_EVAL_CONTEXT_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_EVAL_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/storage/storage.h"
#include "services/query/promql/annotations.h"
#include "services/query/promql/value.h"

namespace narthex::promql {

// What all operators of one running query share: its bounds, limits, error and findings. The first
// error wins; operators stop when ok() is false. Thread safety: none, a query runs on one thread.
class EvalContext {
 public:
  struct Options {
    // The whole query's bounds, for start(), end(), range() and step().
    Timestamp start = 0;
    Timestamp end = 0;
    int64_t step_ms = 0;
    bool instant = false;
    int64_t lookback_ms = 0;
    int64_t subquery_step_ms = 0;
    uint64_t samples_max = 0;
    bool delayed_name_removal = false;
    bool type_and_unit_labels = false;
    absl::Time deadline = absl::InfiniteFuture();
    std::function<bool()> cancelled;
  };

  EvalContext(Options options, Clock* clock) : options_(std::move(options)), clock_(clock) {}

  const Options& options() const { return options_; }
  Annotations& annotations() { return annotations_; }
  QueryStats& stats() { return stats_; }

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  // An execution error.
  template <typename... Pieces>
  void Error(const Pieces&... pieces) {
    Fail(FailedPrecondition(pieces...));
  }

  // Counts work in samples and, now and then, looks at the clock and the caller. False when the
  // query has to stop.
  bool Tick(size_t work) {
    work_ += work + 16;
    if (work_ < kWorkBetweenLooks) return status_.ok();
    work_ = 0;
    return Look();
  }
  // Looks at once.
  bool Look();

  // Counts samples that stay in memory until Release(). False (and an error) when they are too
  // many.
  bool Hold(size_t samples) {
    held_ += samples;
    if (held_ > stats_.samples_peak) stats_.samples_peak = held_;
    if (held_ <= options_.samples_max) return true;
    Fail(ResourceExhausted(
        "query processing would load too many samples into memory in query execution"));
    return false;
  }
  void Release(size_t samples) { held_ -= samples; }

  // The answer of the one Select; selectors take their sets by number.
  void SetSeriesSets(std::vector<std::unique_ptr<storage::SeriesSet>> sets) {
    sets_ = std::move(sets);
  }
  std::unique_ptr<storage::SeriesSet> TakeSeriesSet(size_t selector) {
    return std::move(sets_[selector]);
  }

 private:
  static constexpr size_t kWorkBetweenLooks = 16384;

  const Options options_;
  Clock* const clock_;
  Annotations annotations_;
  QueryStats stats_;
  absl::Status status_;
  size_t work_ = 0;
  uint64_t held_ = 0;
  std::vector<std::unique_ptr<storage::SeriesSet>> sets_;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_EVAL_CONTEXT_H_
