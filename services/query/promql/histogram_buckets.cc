#include "services/query/promql/histogram_buckets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();

// The bounds between 0.5 and 1 at the finest resolution. Prometheus made its table by multiplying
// from one bound to the next and taking every second one of the next coarser resolution; it starts
// at a root that is one unit in the last place below the nearest double. Clients print these
// numbers, so they have to be the same ones.
std::vector<double> MakeFractions() {
  std::vector<double> fractions = {0.5, 0.7071067811865475};
  for (int schema = 2; schema <= kExponentialSchemaMax; ++schema) {
    const double factor = std::exp2(std::exp2(-schema));
    std::vector<double> finer;
    for (const double bound : fractions) {
      finer.push_back(bound);
      finer.push_back(bound * factor);
    }
    fractions = std::move(finer);
  }
  return fractions;
}

template <typename Visit>
void VisitBuckets(const std::vector<HistogramSpan>& spans, const std::vector<double>& buckets,
                  Visit visit) {
  int64_t index = 0;
  size_t at = 0;
  for (const HistogramSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && at < buckets.size(); ++i) {
      visit(index++, buckets[at++]);
    }
  }
}

void SetInclusion(bool custom, bool first, HistogramBucket* bucket) {
  bucket->lower_inclusive = custom ? first : bucket->lower < 0;
  bucket->upper_inclusive = custom || bucket->upper > 0;
}

HistogramBucket ZeroBucket(const FloatHistogram& histogram) {
  return {-histogram.zero_threshold, histogram.zero_threshold, true, true, histogram.zero_count};
}

void AppendBucket(std::string* out, const HistogramBucket& bucket) {
  if (bucket.count == 0) return;
  StrAppend(out, ", ", bucket.lower_inclusive ? "[" : "(", FormatFloatG(bucket.lower), ",",
            FormatFloatG(bucket.upper), bucket.upper_inclusive ? "]" : ")", ":",
            FormatFloatG(bucket.count));
}

}  // namespace

double ExponentialBound(int64_t index, int32_t schema) {
  static const std::vector<double>* const kFractions = new std::vector<double>(MakeFractions());
  // Beyond any double.
  static constexpr int64_t kExponentMax = 1100;
  const auto bounded = [](int64_t exponent) {
    return static_cast<int>(std::clamp(exponent, -kExponentMax, kExponentMax));
  };
  if (schema < 0) {
    const int64_t exponent = index * (int64_t{1} << -schema);
    return exponent == 1024 ? kLargest : std::ldexp(1, bounded(exponent));
  }
  schema = std::min(schema, kExponentialSchemaMax);
  const int64_t within = index & ((int64_t{1} << schema) - 1);
  const auto place = static_cast<size_t>(within << (kExponentialSchemaMax - schema));
  const int64_t exponent = (index >> schema) + 1;
  if (within == 0 && exponent == 1025) return kLargest;
  return std::ldexp((*kFractions)[place], bounded(exponent));
}

double CustomBound(int64_t index, std::span<const double> bounds) {
  if (index < 0) return -kInfinity;
  return static_cast<size_t>(index) < bounds.size() ? bounds[static_cast<size_t>(index)]
                                                    : kInfinity;
}

double UpperBound(int64_t index, const FloatHistogram& histogram) {
  return histogram.uses_custom_buckets() ? CustomBound(index, histogram.custom_values)
                                         : ExponentialBound(index, histogram.schema);
}

std::vector<HistogramBucket> PositiveBuckets(const FloatHistogram& histogram) {
  std::vector<HistogramBucket> out;
  out.reserve(histogram.positive_buckets.size());
  VisitBuckets(histogram.positive_spans, histogram.positive_buckets,
               [&](int64_t index, double count) {
                 HistogramBucket bucket;
                 bucket.lower = UpperBound(index - 1, histogram);
                 bucket.upper = UpperBound(index, histogram);
                 bucket.count = count;
                 SetInclusion(histogram.uses_custom_buckets(), index == 0, &bucket);
                 out.push_back(bucket);
               });
  return out;
}

std::vector<HistogramBucket> NegativeBuckets(const FloatHistogram& histogram) {
  std::vector<HistogramBucket> out;
  out.reserve(histogram.negative_buckets.size());
  VisitBuckets(histogram.negative_spans, histogram.negative_buckets,
               [&](int64_t index, double count) {
                 HistogramBucket bucket;
                 bucket.lower = -UpperBound(index, histogram);
                 bucket.upper = -UpperBound(index - 1, histogram);
                 bucket.count = count;
                 SetInclusion(/*custom=*/false, /*first=*/false, &bucket);
                 out.push_back(bucket);
               });
  return out;
}

std::vector<HistogramBucket> AllBuckets(const FloatHistogram& histogram) {
  std::vector<HistogramBucket> out = NegativeBuckets(histogram);
  std::reverse(out.begin(), out.end());
  const double threshold = histogram.zero_threshold;
  for (HistogramBucket& bucket : out) {
    if (bucket.upper < 0 && bucket.upper > -threshold) bucket.upper = -threshold;
  }
  if (histogram.zero_count > 0) out.push_back(ZeroBucket(histogram));
  for (HistogramBucket& bucket : PositiveBuckets(histogram)) {
    if (bucket.lower > 0 && bucket.lower < threshold) bucket.lower = threshold;
    out.push_back(bucket);
  }
  return out;
}

std::string HistogramText(const FloatHistogram& histogram) {
  std::string out =
      StrCat("{count:", FormatFloatG(histogram.count), ", sum:", FormatFloatG(histogram.sum));
  std::vector<HistogramBucket> negative = NegativeBuckets(histogram);
  std::reverse(negative.begin(), negative.end());
  for (const HistogramBucket& bucket : negative) AppendBucket(&out, bucket);
  AppendBucket(&out, ZeroBucket(histogram));
  for (const HistogramBucket& bucket : PositiveBuckets(histogram)) AppendBucket(&out, bucket);
  out += "}";
  return out;
}

}  // namespace narthex::promql
