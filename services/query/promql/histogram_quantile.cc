#include "services/query/promql/histogram_quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "services/query/promql/histogram_buckets.h"
#include "services/query/promql/histogram_math.h"
#include "services/query/promql/kahan.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using NanEffect = HistogramEstimate::NanEffect;

// A zero bucket next to buckets of one sign only has no observations of the other.
void NarrowZeroBucket(const FloatHistogram& histogram, HistogramBucket* bucket) {
  const bool negative = !histogram.negative_buckets.empty();
  const bool positive = !histogram.positive_buckets.empty();
  if (positive && !negative) bucket->lower = 0;
  if (negative && !positive) bucket->upper = 0;
}

double SumOfCounts(const std::vector<HistogramBucket>& buckets, size_t begin) {
  double sum = 0;
  for (size_t i = begin; i < buckets.size(); ++i) sum += buckets[i].count;
  return sum;
}

}  // namespace

HistogramEstimate HistogramQuantile(double q, const FloatHistogram& histogram) {
  if (q < 0) return {-kInfinity};
  if (q > 1) return {kInfinity};
  if (histogram.count == 0 || std::isnan(q)) return {kNan};
  const bool custom = histogram.uses_custom_buckets();
  const bool sum_is_nan = std::isnan(histogram.sum);
  // From the nearer end; with observations of NaN, which count as the greatest, from below.
  const bool forward = sum_is_nan || q < 0.5;
  double rank = (forward ? q : 1 - q) * histogram.count;
  std::vector<HistogramBucket> buckets = AllBuckets(histogram);
  if (!forward) std::reverse(buckets.begin(), buckets.end());
  HistogramBucket bucket;
  double count = 0;
  size_t next = 0;
  while (next < buckets.size()) {
    bucket = buckets[next++];
    if (bucket.count == 0) continue;
    count += bucket.count;
    if (count >= rank) break;
  }
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    NarrowZeroBucket(histogram, &bucket);
  } else if (custom && bucket.lower == -kInfinity) {
    if (bucket.upper <= 0) return {bucket.upper};
    bucket.lower = 0;
  } else if (custom && bucket.upper == kInfinity) {
    return {bucket.lower};
  }
  count = std::min(count, histogram.count);
  if (count < rank) {
    if (sum_is_nan) return {kNan, NanEffect::kResultNan};
    return {bucket.upper};
  }
  rank = forward ? rank - (count - bucket.count) : count - rank;
  const bool skewed = sum_is_nan && count + SumOfCounts(buckets, next) < histogram.count;
  const NanEffect effect = skewed ? NanEffect::kSkewed : NanEffect::kNone;
  const double fraction = rank / bucket.count;
  if (custom || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return {bucket.lower + (bucket.upper - bucket.lower) * fraction, effect};
  }
  const double log_lower = std::log2(std::abs(bucket.lower));
  const double log_upper = std::log2(std::abs(bucket.upper));
  if (bucket.lower > 0) {
    return {std::exp2(log_lower + (log_upper - log_lower) * fraction), effect};
  }
  return {-std::exp2(log_upper + (log_lower - log_upper) * (1 - fraction)), effect};
}

namespace {

// How much of a bucket lies at or below `value`, which is inside.
double FractionBelow(const HistogramBucket& bucket, double value, bool linear) {
  if (linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  const double log_lower = std::log2(std::abs(bucket.lower));
  const double log_upper = std::log2(std::abs(bucket.upper));
  const double log_value = std::log2(std::abs(value));
  if (value > 0) return (log_value - log_lower) / (log_upper - log_lower);
  return 1 - (log_value - log_upper) / (log_lower - log_upper);
}

// The observations at or below `value`; all of them where it is beyond the last bucket.
double RankOf(double value, const std::vector<HistogramBucket>& buckets,
              const FloatHistogram& histogram, double all) {
  double rank = 0;
  for (HistogramBucket bucket : buckets) {
    const bool around_zero = bucket.lower <= 0 && bucket.upper >= 0;
    if (around_zero) NarrowZeroBucket(histogram, &bucket);
    if (bucket.lower >= value) return std::min(rank, all);
    if (bucket.upper > value) {
      const bool linear = histogram.uses_custom_buckets() || around_zero;
      // Nothing is known of where observations lie in a bucket without end.
      if (linear && bucket.lower == -kInfinity) return std::min(bucket.count, all);
      return std::min(rank + bucket.count * FractionBelow(bucket, value, linear), all);
    }
    rank += bucket.count;
  }
  return all;
}

}  // namespace

HistogramEstimate HistogramFraction(double lower, double upper, const FloatHistogram& histogram) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) return {kNan};
  if (lower >= upper) return {0};
  const std::vector<HistogramBucket> buckets = AllBuckets(histogram);
  double all = histogram.count;
  NanEffect effect = NanEffect::kNone;
  if (std::isnan(histogram.sum)) {
    all = SumOfCounts(buckets, 0);
    if (all < histogram.count) effect = NanEffect::kSkewed;
  }
  const double between =
      RankOf(upper, buckets, histogram, all) - RankOf(lower, buckets, histogram, all);
  return {between / histogram.count, effect};
}

double HistogramVariance(const FloatHistogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  KahanSum squares;
  for (const HistogramBucket& bucket : AllBuckets(histogram)) {
    if (bucket.count == 0) continue;
    double middle = 0;
    if (histogram.uses_custom_buckets()) {
      middle = (bucket.upper + bucket.lower) / 2;
    } else if (bucket.lower > 0 || bucket.upper < 0) {
      middle = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) middle = -middle;
    }
    const double distance = middle - mean;
    squares.Add(bucket.count * distance * distance);
  }
  return (squares.sum + squares.compensation) / histogram.count;
}

// -- Trimming.

namespace {

// What is left of a bucket: how many observations, and the value that stands for them.
struct Part {
  double count = 0;
  double middle = 0;
};

double FiniteOrZero(double value) { return std::isinf(value) ? 0 : value; }

double Middle(double lower, double upper, bool linear) {
  if (std::isinf(lower)) {
    if (std::isinf(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (std::isinf(upper)) return lower;
  if (linear) return (lower + upper) / 2;
  const double mean = std::sqrt(std::abs(lower * upper));
  return lower < 0 || upper < 0 ? -mean : mean;
}

// Of a bucket without end nobody knows where in it observations lie: it stays whole or goes whole,
// unless its lower end can be taken to be 0.
Part TrimEndless(const HistogramBucket& bucket, double bound, bool keep_below) {
  if (bucket.lower == -kInfinity) {
    const bool from_zero = bucket.upper > 0 && bucket.upper != kInfinity;
    if (keep_below) {
      if (bound >= bucket.upper) return {bucket.count, 0};
      if (from_zero && bound > 0) return {bucket.count * bound / bucket.upper, bound / 2};
      if (bucket.upper <= 0) return {bucket.count, bound};
      return {0, FiniteOrZero(bucket.upper)};
    }
    if (bound <= bucket.lower) return {bucket.count, 0};
    if (bound >= 0 && bucket.upper > bound && bucket.upper != kInfinity) {
      return {bucket.count * (1 - bound / bucket.upper), (bound + bucket.upper) / 2};
    }
    return {0, FiniteOrZero(bucket.upper)};
  }
  if (!keep_below && bound >= bucket.lower) return {bucket.count, bound};
  return {0, FiniteOrZero(bucket.lower)};
}

Part TrimBucket(const HistogramBucket& bucket, double bound, bool keep_below, bool linear) {
  const bool inside = keep_below ? bucket.upper <= bound : bucket.lower >= bound;
  if (inside) return {bucket.count, Middle(bucket.lower, bucket.upper, linear)};
  const bool outside = keep_below ? bucket.lower >= bound : bucket.upper <= bound;
  if (outside) return {0, 0};
  if (std::isinf(bucket.lower) || std::isinf(bucket.upper)) {
    return TrimEndless(bucket, bound, keep_below);
  }
  const double below = bucket.count * FractionBelow(bucket, bound, linear);
  if (keep_below) return {below, Middle(bucket.lower, bound, linear)};
  return {bucket.count - below, Middle(bound, bucket.upper, linear)};
}

Part TrimZeroBucket(HistogramBucket bucket, double bound, bool keep_below) {
  const double middle = (bucket.lower + bucket.upper) / 2;
  if (bound <= bucket.lower) return keep_below ? Part{} : Part{bucket.count, middle};
  if (bound >= bucket.upper) return keep_below ? Part{bucket.count, middle} : Part{};
  const double below = (bound - bucket.lower) / (bucket.upper - bucket.lower);
  if (keep_below) return {bucket.count * below, (bucket.lower + bound) / 2};
  const double above = (bucket.upper - bound) / (bucket.upper - bucket.lower);
  return {bucket.count * above, (bound + bucket.upper) / 2};
}

}  // namespace

FloatHistogram TrimHistogram(const FloatHistogram& histogram, double bound, bool keep_below) {
  FloatHistogram out = histogram;
  const bool linear = histogram.uses_custom_buckets();
  double count = 0;
  double sum = 0;
  bool cut = false;
  const auto add = [&](const Part& part, double* stored) {
    count += part.count;
    sum += part.middle * part.count;
    cut = cut || *stored != part.count;
    *stored = part.count;
  };
  const auto trim_side = [&](const std::vector<HistogramBucket>& buckets,
                             std::vector<double>* stored) {
    bool any = false;
    for (size_t i = 0; i < buckets.size(); ++i) {
      if (buckets[i].count == 0) continue;
      any = true;
      add(TrimBucket(buckets[i], bound, keep_below, linear), &(*stored)[i]);
    }
    return any;
  };
  const bool positive = trim_side(PositiveBuckets(histogram), &out.positive_buckets);
  const bool negative = trim_side(NegativeBuckets(histogram), &out.negative_buckets);
  if (histogram.zero_count > 0) {
    HistogramBucket zero;
    zero.lower = positive && !negative ? 0 : -histogram.zero_threshold;
    zero.upper = negative && !positive ? 0 : histogram.zero_threshold;
    zero.count = histogram.zero_count;
    add(TrimZeroBucket(zero, bound, keep_below), &out.zero_count);
  }
  if (!cut) return histogram;
  out.count = count;
  out.sum = sum;
  return Compact(out);
}

}  // namespace narthex::promql
