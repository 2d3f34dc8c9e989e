#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_BUCKETS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_BUCKETS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/model/histogram.h"

// The buckets of a native histogram with their bounds, as Prometheus defines them. All functions
// are pure.
namespace narthex::promql {

struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
  double count = 0;
};

// The upper bound of positive bucket `index` of an exponential schema. The last bucket of regular
// numbers ends at the largest double, the one after it at +Inf.
double ExponentialBound(int64_t index, int32_t schema);
// The upper bound of bucket `index` of custom bounds: -Inf for -1, +Inf beyond the last.
double CustomBound(int64_t index, std::span<const double> bounds);
// Of either kind.
double UpperBound(int64_t index, const FloatHistogram& histogram);

// The buckets of one side in the order in which they are stored, empty ones too.
std::vector<HistogramBucket> PositiveBuckets(const FloatHistogram& histogram);
std::vector<HistogramBucket> NegativeBuckets(const FloatHistogram& histogram);
// All in ascending order, the zero bucket among them if something is in it. A bucket that reaches
// into the zero bucket ends where that begins.
std::vector<HistogramBucket> AllBuckets(const FloatHistogram& histogram);

// "{count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}", what count_values and templates show; empty
// buckets are left out.
std::string HistogramText(const FloatHistogram& histogram);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_BUCKETS_H_
