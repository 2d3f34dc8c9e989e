#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_MATH_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_MATH_H_

#include <cstdint>
#include <vector>

#include "lib/model/histogram.h"
#include "services/query/promql/kahan.h"

// Arithmetic of native histograms as Prometheus 3 does it. All functions are pure.
namespace narthex::promql {

// What adding or subtracting a histogram tells besides its result.
struct HistogramOutcome {
  // Exponential and custom buckets have nothing in common; nothing was done.
  bool incompatible = false;
  // Custom bounds differed: only those that both have are left.
  bool bounds_reconciled = false;
  // One said that there was a counter reset, the other that there was none.
  bool reset_collision = false;
};

// A sum of histograms under way. Everything is added with Neumaier's compensation. Where the two
// differ in resolution, the coarser one counts; where they differ in the width of the zero bucket,
// the wider one, and it grows until it ends between buckets.
//
// The result has no empty buckets.
class HistogramSum {
 public:
  explicit HistogramSum(const FloatHistogram& first);

  HistogramOutcome Add(const FloatHistogram& other) { return Combine(other, 1); }
  // The hints of counter resets are combined as for a sum; what `-` says is up to the caller.
  HistogramOutcome Sub(const FloatHistogram& other) { return Combine(other, -1); }
  // Everything, compensations included.
  void Scale(double factor);
  void Divide(double divisor);
  // Joins buckets until the resolution is no finer than that of `schema`.
  void LimitResolution(int32_t schema);
  // The count, the sum or a bucket is infinite.
  bool HasOverflow() const;
  FloatHistogram Result() const;

 private:
  struct Cell {
    int64_t index = 0;
    KahanSum count;
  };
  using Cells = std::vector<Cell>;

  static Cells MakeCells(const std::vector<HistogramSpan>& spans,
                         const std::vector<double>& buckets);
  static void WriteCells(const Cells& cells, std::vector<HistogramSpan>* spans,
                         std::vector<double>* buckets);
  static void MergeCells(const Cells& from, double sign, Cells* into);
  static void ReduceCells(int shift, Cells* cells);
  static bool AddToZero(const Cells& cells, int32_t schema, double* threshold, KahanSum* zero);
  static void DropWithin(double threshold, int32_t schema, Cells* cells);

  template <typename Change>
  void ChangeAll(Change change);
  HistogramOutcome Combine(const FloatHistogram& other, double sign);
  void WidenZero(double threshold);
  void ReconcileZero(HistogramSum* other);
  void ReduceTo(int32_t schema);
  void MapToBounds(const std::vector<double>& bounds);
  bool CombineHints(CounterResetHint other);

  CounterResetHint hint_ = CounterResetHint::kUnknown;
  int32_t schema_ = 0;
  double zero_threshold_ = 0;
  KahanSum zero_;
  KahanSum count_;
  KahanSum sum_;
  Cells positive_;
  Cells negative_;
  std::vector<double> custom_values_;
  friend bool DetectReset(const FloatHistogram& current, const FloatHistogram& previous);
};

// Multiplied; a negative factor makes a gauge of it.
FloatHistogram Multiply(const FloatHistogram& histogram, double factor);
// By zero no buckets are left, and count and sum are infinite or NaN.
FloatHistogram Divide(const FloatHistogram& histogram, double divisor);
// Without empty buckets.
FloatHistogram Compact(const FloatHistogram& histogram);

// The same counts in the same buckets; hints and empty buckets do not matter.
bool EqualHistograms(const FloatHistogram& a, const FloatHistogram& b);

// Whether a counter was reset between `previous` and `current`: the hint of `current` says so, or
// says nothing and something went down or is gone.
bool DetectReset(const FloatHistogram& current, const FloatHistogram& previous);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_MATH_H_
