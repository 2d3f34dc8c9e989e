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
#include "services/query/promql/operator.h"
#include "services/query/promql/read_ahead.h"
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
    uint64_t memory_max = 0;              // Bytes; 0 is no limit.
    ReadAheadPool* read_ahead = nullptr;  // Null: everything is read on the query's thread.
    uint64_t read_ahead_samples_min = 0;
    size_t counted_steps = 0;  // Of samples_per_step; 0 when they are not counted.
    bool delayed_name_removal = false;
    bool type_and_unit_labels = false;
    bool use_start_timestamps = false;
    absl::Time deadline = absl::InfiniteFuture();
    std::function<bool()> cancelled;
  };

  EvalContext(Options options, Clock* clock) : options_(std::move(options)), clock_(clock) {}

  const Options& options() const { return options_; }
  Clock* clock() const { return clock_; }
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

  // Counts what stays in memory until Release(). False (and an error) when it is too much. Most
  // operators have a Holding for that.
  bool Hold(size_t samples, size_t bytes) {
    held_samples_ += samples;
    held_bytes_ += bytes;
    if (held_samples_ > stats_.samples_peak) stats_.samples_peak = held_samples_;
    if (held_bytes_ > stats_.memory_peak) stats_.memory_peak = held_bytes_;
    if (held_samples_ <= options_.samples_max &&
        (options_.memory_max == 0 || held_bytes_ <= options_.memory_max)) {
      return true;
    }
    return Refuse();
  }
  void Release(size_t samples, size_t bytes) {
    held_samples_ -= samples;
    held_bytes_ -= bytes;
  }

  // Counts the samples that the steps of `grid` look at, all together. Where counts_steps() is
  // true, CountStep() wants to know them step by step as well.
  void CountQueryable(const Grid& grid, size_t samples) {
    stats_.samples_queryable += samples * grid.weight;
  }
  bool counts_steps() const { return options_.counted_steps > 0; }
  void CountStep(const Grid& grid, size_t step, size_t samples);

  // The answer of the one Select; selectors take their sets by number.
  void SetSeriesSets(std::vector<std::unique_ptr<storage::SeriesSet>> sets) {
    sets_ = std::move(sets);
  }
  std::unique_ptr<storage::SeriesSet> TakeSeriesSet(size_t selector) {
    return std::move(sets_[selector]);
  }

  // Hands a set to a thread that reads ahead. Null when there is none; `*set` is as before then.
  std::unique_ptr<ReadAhead> StartReadAhead(std::unique_ptr<storage::SeriesSet>* set) {
    if (options_.read_ahead == nullptr) return nullptr;
    if (sets_mutex_ == nullptr) sets_mutex_ = std::make_shared<Mutex>();
    return ReadAhead::Start(options_.read_ahead, sets_mutex_, set);
  }
  // Held around every use of a set; null as long as no other thread reads one.
  Mutex* sets_mutex() const { return sets_mutex_.get(); }

 private:
  static constexpr size_t kWorkBetweenLooks = 16384;

  bool Refuse();

  const Options options_;
  Clock* const clock_;
  Annotations annotations_;
  QueryStats stats_;
  absl::Status status_;
  size_t work_ = 0;
  uint64_t held_samples_ = 0;
  uint64_t held_bytes_ = 0;
  std::vector<std::unique_ptr<storage::SeriesSet>> sets_;
  std::shared_ptr<Mutex> sets_mutex_;
};

// What one operator keeps in memory; given back when it is destroyed.
class Holding {
 public:
  explicit Holding(EvalContext* context) : context_(context) {}
  ~Holding() { context_->Release(samples_, bytes_); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  // False (and an error in the context) when the query holds too much.
  bool Add(size_t samples, size_t bytes) {
    samples_ += samples;
    bytes_ += bytes;
    return context_->Hold(samples, bytes);
  }
  bool Set(size_t samples, size_t bytes) {
    context_->Release(samples_, bytes_);
    samples_ = bytes_ = 0;
    return Add(samples, bytes);
  }

 private:
  EvalContext* const context_;
  size_t samples_ = 0;
  size_t bytes_ = 0;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_EVAL_CONTEXT_H_
