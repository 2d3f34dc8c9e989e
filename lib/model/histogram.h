#ifndef NARTHEX_LIB_MODEL_HISTOGRAM_H_
#define NARTHEX_LIB_MODEL_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "lib/model/stale.h"

// Native histograms as Prometheus defines them: sparse buckets of exponential width, or of given
// bounds. Spans say which buckets there are; the buckets follow in their order.
namespace narthex {

// What is known of the relation to the sample before; the numbers are those of the log and of
// remote write.
enum class CounterResetHint : uint8_t { kUnknown = 0, kReset = 1, kNotReset = 2, kGauge = 3 };

struct HistogramSpan {
  int32_t offset = 0;   // To the end of the span before; of the first, its index.
  uint32_t length = 0;  // Consecutive buckets.
  friend bool operator==(const HistogramSpan&, const HistogramSpan&) = default;
};

inline constexpr int32_t kCustomBucketsSchema = -53;
inline constexpr int32_t kExponentialSchemaMin = -4;
inline constexpr int32_t kExponentialSchemaMax = 8;

// With integer counts, as clients expose them. A bucket is the difference to the bucket before it.
// A sum that is the staleness marker makes the whole a staleness marker.
struct Histogram {
  CounterResetHint reset_hint = CounterResetHint::kUnknown;
  int32_t schema = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  uint64_t count = 0;
  double sum = 0;
  std::vector<HistogramSpan> positive_spans;
  std::vector<HistogramSpan> negative_spans;
  std::vector<int64_t> positive_deltas;
  std::vector<int64_t> negative_deltas;
  std::vector<double> custom_values;  // Upper bounds, of the custom buckets schema only.
  bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
};

// With counts of any value, as rules and arithmetic make them. Buckets are absolute.
struct FloatHistogram {
  CounterResetHint reset_hint = CounterResetHint::kUnknown;
  int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<HistogramSpan> positive_spans;
  std::vector<HistogramSpan> negative_spans;
  std::vector<double> positive_buckets;
  std::vector<double> negative_buckets;
  std::vector<double> custom_values;
  bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
};

inline bool IsStale(const Histogram& histogram) { return IsStale(histogram.sum); }
inline bool IsStale(const FloatHistogram& histogram) { return IsStale(histogram.sum); }

// Schemas above kExponentialSchemaMax are reserved: a reader reduces them to that one.
inline constexpr int32_t kExponentialSchemaMaxReserved = 52;
inline bool IsKnownSchema(int32_t schema) {
  return schema == kCustomBucketsSchema ||
         (schema >= kExponentialSchemaMin && schema <= kExponentialSchemaMaxReserved);
}

// The buckets that the spans name.
size_t BucketCount(std::span<const HistogramSpan> spans);
// Whether no bucket has an index as far from 0 as this: at the finest resolution that is reserved
// all doubles lie within, and the difference of two indices fits a span's offset.
inline constexpr int64_t kBucketIndexMax = int64_t{1} << 30;
bool SpansWithinReach(std::span<const HistogramSpan> spans);

// Whether it is one as Prometheus accepts it: a known schema, as many buckets as the spans name,
// no negative offsets but the first, no negative counts, buckets that add up to the count (a sum
// that is NaN lets the count be larger); custom buckets with ascending finite bounds, no negative
// or zero bucket. A staleness marker is always one. InvalidArgument otherwise.
absl::Status Validate(const Histogram& histogram);
absl::Status Validate(const FloatHistogram& histogram);

FloatHistogram ToFloat(const Histogram& histogram);

// The same layout, hint aside: as Prometheus compares a sample with the newest of its series.
// Floats are compared by their bits, empty spans do not matter, and neither do empty buckets.
bool Same(const Histogram& a, const Histogram& b);
bool Same(const FloatHistogram& a, const FloatHistogram& b);

// Joins buckets until the resolution is that of `schema`. REQUIRES: both schemas are exponential,
// `schema` is not the finer one, and the buckets are as many as the spans name.
void ReduceResolution(int32_t schema, Histogram* histogram);
void ReduceResolution(int32_t schema, FloatHistogram* histogram);

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_HISTOGRAM_H_
