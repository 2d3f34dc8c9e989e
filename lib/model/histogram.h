#ifndef NARTHEX_LIB_MODEL_HISTOGRAM_H_
#define NARTHEX_LIB_MODEL_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

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

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_HISTOGRAM_H_
