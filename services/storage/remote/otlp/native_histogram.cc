#include "services/storage/remote/otlp/native_histogram.h"

#include <algorithm>

#include "lib/base/strings.h"
#include "lib/model/stale.h"

namespace narthex::otlp {
namespace {

// What OpenTelemetry's SDKs take for zero when a point does not say it.
constexpr double kZeroThreshold = 1e-128;
// Up to so many empty buckets are written out; more begin a new span.
constexpr int64_t kGapMax = 2;

// Builds spans and deltas from buckets that come in order of their index.
class Buckets {
 public:
  Buckets(std::vector<HistogramSpan>* spans, std::vector<int64_t>* deltas)
      : spans_(spans), deltas_(deltas) {}

  void Add(int64_t index, uint64_t count) {
    const int64_t gap = spans_->empty() ? 0 : index - next_;
    if (spans_->empty()) {
      spans_->push_back({static_cast<int32_t>(index), 0});
    } else if (gap > kGapMax) {
      spans_->push_back({static_cast<int32_t>(gap), 0});
    } else {
      for (int64_t i = 0; i < gap; ++i) Push(0);
    }
    Push(static_cast<int64_t>(count));
    next_ = index + 1;
  }

 private:
  void Push(int64_t count) {
    ++spans_->back().length;
    deltas_->push_back(
        static_cast<int64_t>(static_cast<uint64_t>(count) - static_cast<uint64_t>(previous_)));
    previous_ = count;
  }

  std::vector<HistogramSpan>* const spans_;
  std::vector<int64_t>* const deltas_;
  int64_t next_ = 0;
  int64_t previous_ = 0;
};

// OTLP names a bucket by its lower bound, Prometheus by its upper one: hence `shift`. Buckets whose
// index is the same after the reduction are joined.
void Convert(std::span<const uint64_t> counts, int64_t offset, int32_t scale_down, int64_t shift,
             Buckets* out) {
  bool open = false;
  int64_t index = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const int64_t to = ((offset + static_cast<int64_t>(i)) >> scale_down) + shift;
    if (open && to != index) {
      out->Add(index, sum);
      sum = 0;
    }
    open = true;
    index = to;
    sum += counts[i];
  }
  if (open) out->Add(index, sum);
}

Histogram Stale() {
  Histogram histogram;
  histogram.sum = StaleNan();
  return histogram;
}

}  // namespace

absl::StatusOr<Histogram> FromExponential(const Request& request, const Point& point) {
  if (point.scale < kExponentialSchemaMin) {
    return InvalidArgument("cannot convert exponential to native histogram. Scale must be >= ",
                           kExponentialSchemaMin, ", was ", point.scale);
  }
  if (point.no_recorded_value()) return Stale();
  // Beyond that far all that an index can be is 0 or -1.
  constexpr int32_t kScaleDownMax = 62;
  const int32_t scale_down =
      std::min(kScaleDownMax, std::max(0, point.scale - kExponentialSchemaMax));
  Histogram histogram;
  histogram.schema = std::min(point.scale, kExponentialSchemaMax);
  histogram.zero_count = point.zero_count;
  histogram.zero_threshold = point.zero_threshold > 0 ? point.zero_threshold : kZeroThreshold;
  histogram.count = point.count;
  if (point.has_sum) histogram.sum = point.sum;
  Buckets positive(&histogram.positive_spans, &histogram.positive_deltas);
  Convert(Request::Of(request.counts, point.positive), point.positive_offset, scale_down, 1,
          &positive);
  Buckets negative(&histogram.negative_spans, &histogram.negative_deltas);
  Convert(Request::Of(request.counts, point.negative), point.negative_offset, scale_down, 1,
          &negative);
  return histogram;
}

Histogram FromExplicit(const Request& request, const Point& point) {
  if (point.no_recorded_value()) {
    Histogram stale = Stale();
    stale.schema = kCustomBucketsSchema;
    const std::span<const double> bounds = Request::Of(request.reals, point.bounds);
    stale.custom_values.assign(bounds.begin(), bounds.end());
    return stale;
  }
  Histogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.count = point.count;
  if (point.has_sum) histogram.sum = point.sum;
  const std::span<const double> bounds = Request::Of(request.reals, point.bounds);
  histogram.custom_values.assign(bounds.begin(), bounds.end());
  Buckets buckets(&histogram.positive_spans, &histogram.positive_deltas);
  Convert(Request::Of(request.counts, point.bucket_counts), 0, 0, 0, &buckets);
  return histogram;
}

}  // namespace narthex::otlp
