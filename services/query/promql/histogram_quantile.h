#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_QUANTILE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_QUANTILE_H_

#include "lib/model/histogram.h"

// What native histograms tell of the observations in them. Inside a bucket of exponential width
// observations are taken to be spread evenly over the logarithm, inside the zero bucket and custom
// buckets over the value. All functions are pure.
namespace narthex::promql {

struct HistogramEstimate {
  // Observations of NaN are counted but lie in no bucket.
  enum class NanEffect { kNone, kResultNan, kSkewed };
  double value = 0;
  NanEffect nan_effect = NanEffect::kNone;
};

// The value below which the fraction `q` of the observations lies.
HistogramEstimate HistogramQuantile(double q, const FloatHistogram& histogram);
// The fraction of observations between two values. Observations of NaN are in no fraction:
// kSkewed tells that there are any.
HistogramEstimate HistogramFraction(double lower, double upper, const FloatHistogram& histogram);
// The mean squared distance from the mean, each observation at the middle of its bucket.
double HistogramVariance(const FloatHistogram& histogram);

// The observations below `bound`, or those above it: a bucket with the bound in it keeps its part,
// the sum is estimated anew from the middles of what is left. Where nothing is cut, the histogram
// is as it was.
FloatHistogram TrimHistogram(const FloatHistogram& histogram, double bound, bool keep_below);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_QUANTILE_H_
