#ifndef NARTHEX_SERVICES_QUERY_PROMQL_OPERATOR_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_OPERATOR_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lib/labels/labels.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/stale.h"
#include "lib/model/timestamp.h"

// How a query runs: a tree of operators in which each pulls series from its children. A series
// comes as one row that holds a value for every step, so that each operator is a loop over an
// array.
namespace narthex::promql {

// The moments at which an expression is evaluated: start, start + step, … (count of them).
struct Grid {
  Timestamp start = 0;
  int64_t step = 0;
  size_t count = 1;
  // How many steps of the query each of these stands for; 0 within subqueries, where upstream does
  // not count the samples that are looked at.
  size_t weight = 1;
  Timestamp At(size_t index) const { return start + static_cast<int64_t>(index) * step; }
  Timestamp last() const { return At(count - 1); }
  Grid FirstOnly() const { return {start, 0, 1, weight * count}; }
};

// Marks a step without a value in a row. It has the bits of the staleness marker, which no value
// can have: selectors take markers away, and arithmetic never makes a signalling NaN.
inline double Absent() { return StaleNan(); }
inline bool IsAbsent(double value) { return IsStale(value); }
inline bool IsPresent(double value) { return !IsStale(value); }

using HistogramPtr = std::shared_ptr<const FloatHistogram>;

size_t CountPresent(std::span<const double> values);

// One series of an instant vector over all steps. At a step it has a number, a native histogram or
// nothing; a series of numbers is its `values` and nothing else, so that loops over numbers need
// not look at histograms: where there is one, the number is absent.
struct Row {
  Labels labels;
  // With delayed name removal: the name goes at the end of the evaluation.
  bool drop_name = false;
  std::vector<double> values;  // One a step.
  // Empty when no step has a histogram; else one a step, null where there is none. A histogram is
  // never changed once it is here: rows share them.
  std::vector<HistogramPtr> histograms;

  size_t size() const { return values.size(); }
  bool has_histograms() const { return !histograms.empty(); }
  // Null when there is none.
  const FloatHistogram* HistogramAt(size_t step) const {
    return histograms.empty() ? nullptr : histograms[step].get();
  }
  bool PresentAt(size_t step) const {
    return IsPresent(values[step]) || HistogramAt(step) != nullptr;
  }
  // Nothing at any of `count` steps.
  void Reset(size_t count) {
    values.assign(count, Absent());
    histograms.clear();
  }
  void SetHistogram(size_t step, HistogramPtr histogram) {
    if (histograms.empty()) histograms.resize(values.size());
    values[step] = Absent();
    histograms[step] = std::move(histogram);
  }
  void SetNumber(size_t step, double value) {
    values[step] = value;
    if (!histograms.empty()) histograms[step] = nullptr;
  }
  // Nothing at `step`.
  void RemoveAt(size_t step) { SetNumber(step, Absent()); }
  // What a function of numbers makes of histograms.
  void DropHistograms() { histograms.clear(); }
  // What `from` has at `step`, which must be something.
  void CopyAt(size_t step, const Row& from) {
    if (from.HistogramAt(step) != nullptr) {
      SetHistogram(step, from.histograms[step]);
    } else {
      SetNumber(step, from.values[step]);
    }
  }
};

// How many steps have a number or a histogram.
size_t CountPresent(const Row& row);
// How many samples a histogram counts as where samples in memory are limited: as upstream, by its
// size against that of a sample of 16 bytes.
size_t SampleCount(const FloatHistogram& histogram);
// What the row counts as.
size_t SampleCount(const Row& row);
// About; histograms that rows share count for each of them.
size_t MemoryBytes(const Row& row);

// Gives the rows of an instant vector, in no particular order. Thread safety: none.
class VectorOperator {
 public:
  virtual ~VectorOperator() = default;
  // Overwrites `row` with the next; false at the end or on an error (see EvalContext::ok). A row
  // may have no present value.
  virtual bool Next(Row* row) = 0;
};
using VectorOperatorPtr = std::unique_ptr<VectorOperator>;

// Gives a scalar: one value a step, never absent.
class ScalarOperator {
 public:
  virtual ~ScalarOperator() = default;
  // Called once. False on an error.
  virtual bool Values(std::vector<double>* values) = 0;
};
using ScalarOperatorPtr = std::unique_ptr<ScalarOperator>;

// Where the windows of a range vector lie: the window of step i is (End(i) - range, End(i)].
struct WindowSpec {
  Grid grid;
  int64_t range_ms = 0;
  int64_t offset_ms = 0;
  bool fixed = false;  // With @: the same window for all steps.
  Timestamp fixed_time = 0;
  bool anchored = false;
  bool smoothed = false;
  int64_t lookback_ms = 0;  // How far beyond its window an anchored or smoothed range looks.
  bool extended() const { return anchored || smoothed; }
  Timestamp End(size_t index) const { return (fixed ? fixed_time : grid.At(index)) - offset_ms; }
  // (First start, last end] covers all windows.
  Timestamp first_start() const { return End(0) - range_ms; }
  Timestamp last_end() const { return End(grid.count - 1); }
};

// One series of a range vector: all samples of all windows, without staleness markers. Histograms
// are floats (SampleKind::kFloatHistogram).
struct RangeSeries {
  Labels labels;
  bool drop_name = false;
  SampleBuffer samples;
};

// Gives the series of a range vector. Thread safety: none.
class RangeOperator {
 public:
  explicit RangeOperator(const WindowSpec& windows) : windows_(windows) {}
  virtual ~RangeOperator() = default;
  virtual bool Next(RangeSeries* series) = 0;
  const WindowSpec& windows() const { return windows_; }

 private:
  const WindowSpec windows_;
};
using RangeOperatorPtr = std::unique_ptr<RangeOperator>;

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_OPERATOR_H_
