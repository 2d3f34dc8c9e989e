#ifndef NARTHEX_SERVICES_QUERY_PROMQL_QUANTILE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_QUANTILE_H_

#include <span>
#include <string>
#include <vector>

#include "services/query/promql/annotations.h"

// Quantiles of plain values and of classic histograms. All functions are pure but for the order of
// their arguments.
namespace narthex::promql {

// The value at rank q * (n - 1), between neighbours in proportion. -Inf and +Inf beyond 0…1, NaN
// for NaN or no values; NaN counts as the smallest. Changes the order of
// `values`.
double Quantile(double q, std::vector<double>* values);
// The same of values that are in order, NaN first.
double QuantileOfSorted(double q, std::span<const double> values);

// The values of a sliding window in order, NaN first. REQUIRES: both ends never go back, and
// `values` are always the same. Thread safety: none.
class SlidingOrder {
 public:
  std::span<const double> Move(std::span<const double> values, size_t begin, size_t end);

 private:
  std::vector<double> sorted_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Warns when `q` lies outside 0…1.
void WarnOfQuantile(double q, PositionRange position, Annotations* annotations);

struct Bucket {
  double bound = 0;  // Upper, inclusive.
  double count = 0;  // Cumulative.
};

struct BucketQuantileResult {
  double value = 0;
  bool forced_monotonic = false;
  // Of the repaired buckets.
  double bound_min = 0;
  double bound_max = 0;
  double difference_max = 0;
};

// histogram_quantile of classic buckets. Sorts, joins and repairs `buckets`.
BucketQuantileResult BucketQuantile(double q, std::vector<Bucket>* buckets);

// histogram_fraction of classic buckets. Sorts and joins `buckets`.
double BucketFraction(double lower, double upper, std::vector<Bucket>* buckets);

// Go's %f.
std::string FormatFixed(double value);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_QUANTILE_H_
