#include "lib/model/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex {
namespace {

absl::Status ValidateSpans(std::span<const HistogramSpan> spans, size_t buckets,
                           std::string_view side) {
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].offset < 0) {
      return InvalidArgument("histogram: ", side, " side: span number ", i + 1,
                             " has a negative offset: ", spans[i].offset);
    }
  }
  if (!SpansWithinReach(spans)) {
    return InvalidArgument("histogram: ", side, " side: a bucket beyond all doubles");
  }
  const size_t named = BucketCount(spans);
  if (named != buckets) {
    return InvalidArgument("histogram: ", side, " side: the spans name ", named,
                           " buckets, but there are ", buckets);
  }
  return absl::OkStatus();
}

absl::Status ValidateBounds(std::span<const double> bounds, std::span<const HistogramSpan> spans) {
  double previous = -std::numeric_limits<double>::infinity();
  for (const double bound : bounds) {
    if (!(bound > previous)) {
      return InvalidArgument("histogram: custom bounds are not strictly increasing: ", bound,
                             " after ", previous);
    }
    previous = bound;
  }
  if (!bounds.empty() && std::isinf(previous)) {
    return InvalidArgument("histogram: the last custom bound is +Inf, which goes without saying");
  }
  uint64_t reach = 0;
  for (const HistogramSpan& span : spans) {
    if (span.offset < 0) {
      return InvalidArgument("histogram: a span of custom buckets has a negative offset: ",
                             span.offset);
    }
    reach += static_cast<uint64_t>(span.offset) + span.length;
  }
  if (reach > bounds.size() + 1) {
    return InvalidArgument("histogram: ", bounds.size(), " custom bounds do not cover spans of ",
                           reach);
  }
  return absl::OkStatus();
}

// What does not depend on how buckets are counted.
template <typename H>
absl::Status ValidateLayout(const H& histogram, size_t positive, size_t negative) {
  if (!IsKnownSchema(histogram.schema)) {
    return InvalidArgument("histogram: unknown schema ", histogram.schema);
  }
  NARTHEX_RETURN_IF_ERROR(ValidateSpans(histogram.positive_spans, positive, "positive"));
  if (!histogram.uses_custom_buckets()) {
    if (!histogram.custom_values.empty()) {
      return InvalidArgument("histogram: custom bounds with schema ", histogram.schema);
    }
    return ValidateSpans(histogram.negative_spans, negative, "negative");
  }
  if (histogram.zero_count != 0 || histogram.zero_threshold != 0) {
    return InvalidArgument("histogram: custom buckets have no zero bucket");
  }
  if (!histogram.negative_spans.empty() || negative != 0) {
    return InvalidArgument("histogram: custom buckets have no negative side");
  }
  return ValidateBounds(histogram.custom_values, histogram.positive_spans);
}

// Adds up buckets that are given as differences; sums wrap, as upstream's do.
absl::Status AddBuckets(std::span<const int64_t> deltas, std::string_view side, uint64_t* sum) {
  uint64_t bucket = 0;
  for (size_t i = 0; i < deltas.size(); ++i) {
    bucket += static_cast<uint64_t>(deltas[i]);
    if (static_cast<int64_t>(bucket) < 0) {
      return InvalidArgument("histogram: ", side, " side: bucket number ", i + 1,
                             " has an observation count of ", static_cast<int64_t>(bucket));
    }
    *sum += bucket;
  }
  return absl::OkStatus();
}

absl::Status CheckBuckets(std::span<const double> buckets, std::string_view side) {
  for (size_t i = 0; i < buckets.size(); ++i) {
    if (buckets[i] < 0) {
      return InvalidArgument("histogram: ", side, " side: bucket number ", i + 1,
                             " has an observation count of ", buckets[i]);
    }
  }
  return absl::OkStatus();
}

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}
bool SameBits(uint64_t a, uint64_t b) { return a == b; }
bool SameBits(std::span<const double> a, std::span<const double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return SameBits(x, y); });
}

// The buckets in their order, as index and absolute count, those that are empty left out.
template <typename Bucket>
class BucketWalk {
 public:
  BucketWalk(std::span<const HistogramSpan> spans, std::span<const Bucket> buckets)
      : spans_(spans), buckets_(buckets) {
    if (!spans.empty()) index_ = spans.front().offset;
    Next();
  }

  bool done() const { return done_; }
  int64_t index() const { return index_ - 1; }
  Bucket count() const { return count_; }

  void Next() {
    while (true) {
      while (span_ < spans_.size() && within_ == spans_[span_].length) {
        within_ = 0;
        if (++span_ < spans_.size()) index_ += spans_[span_].offset;
      }
      if (span_ == spans_.size() || bucket_ == buckets_.size()) {
        done_ = true;
        return;
      }
      if constexpr (std::is_same_v<Bucket, double>) {
        count_ = buckets_[bucket_];
      } else {
        count_ = static_cast<int64_t>(static_cast<uint64_t>(count_) +
                                      static_cast<uint64_t>(buckets_[bucket_]));
      }
      ++bucket_;
      ++within_;
      ++index_;
      if (count_ != 0) return;
    }
  }

 private:
  const std::span<const HistogramSpan> spans_;
  const std::span<const Bucket> buckets_;
  size_t span_ = 0;
  uint32_t within_ = 0;  // Buckets of the span that lie behind.
  size_t bucket_ = 0;
  int64_t index_ = 0;  // Of the next bucket.
  Bucket count_ = 0;
  bool done_ = false;
};

template <typename Bucket>
bool SameBuckets(std::span<const HistogramSpan> a_spans, const std::vector<Bucket>& a_buckets,
                 std::span<const HistogramSpan> b_spans, const std::vector<Bucket>& b_buckets) {
  BucketWalk<Bucket> a(a_spans, a_buckets);
  BucketWalk<Bucket> b(b_spans, b_buckets);
  for (; !a.done() && !b.done(); a.Next(), b.Next()) {
    if (a.index() != b.index()) return false;
    if constexpr (std::is_same_v<Bucket, double>) {
      if (!SameBits(a.count(), b.count())) return false;
    } else if (a.count() != b.count()) {
      return false;
    }
  }
  return a.done() && b.done();
}

template <typename H>
bool SameHead(const H& a, const H& b) {
  const bool same_threshold =
      a.zero_threshold == b.zero_threshold || SameBits(a.zero_threshold, b.zero_threshold);
  return a.schema == b.schema && same_threshold && SameBits(a.zero_count, b.zero_count) &&
         SameBits(a.count, b.count) && SameBits(a.sum, b.sum) &&
         SameBits(a.custom_values, b.custom_values);
}

int64_t Sum(int64_t a, int64_t b) {  // Wraps.
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t Difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
double Sum(double a, double b) { return a + b; }
double Difference(double a, double b) { return a - b; }

// Joins buckets into those that are 2^shift times as wide.
template <typename Bucket>
void JoinBuckets(int shift, bool deltas, std::vector<HistogramSpan>* spans,
                 std::vector<Bucket>* buckets) {
  std::vector<HistogramSpan> joined_spans;
  std::vector<Bucket> joined;
  int64_t index = 0;
  int64_t last = 0;
  size_t at = 0;
  Bucket count = 0;
  for (const HistogramSpan& span : *spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      count = deltas ? Sum(count, (*buckets)[at]) : (*buckets)[at];
      // Bucket i ends at base^i: i of the finer resolution lies in ceil(i / 2^shift).
      const int64_t target = ((index - 1) >> shift) + 1;
      if (!joined.empty() && target == last) {
        joined.back() = Sum(joined.back(), count);
        continue;
      }
      if (!joined.empty() && target == last + 1) {
        ++joined_spans.back().length;
      } else {
        const int64_t from = joined.empty() ? 0 : last + 1;
        joined_spans.push_back({static_cast<int32_t>(target - from), 1});
      }
      joined.push_back(count);
      last = target;
    }
  }
  if (deltas) {
    for (size_t i = joined.size(); i > 1; --i) {
      joined[i - 1] = Difference(joined[i - 1], joined[i - 2]);
    }
  }
  *spans = std::move(joined_spans);
  *buckets = std::move(joined);
}

}  // namespace

size_t BucketCount(std::span<const HistogramSpan> spans) {
  size_t count = 0;
  for (const HistogramSpan& span : spans) count += span.length;
  return count;
}

bool SpansWithinReach(std::span<const HistogramSpan> spans) {
  int64_t index = 0;
  for (const HistogramSpan& span : spans) {
    index += span.offset;
    if (index <= -kBucketIndexMax) return false;
    index += span.length;
    if (index >= kBucketIndexMax) return false;
  }
  return true;
}

absl::Status Validate(const Histogram& histogram) {
  if (IsStale(histogram)) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(ValidateLayout(histogram, histogram.positive_deltas.size(),
                                         histogram.negative_deltas.size()));
  uint64_t sum = histogram.zero_count;
  NARTHEX_RETURN_IF_ERROR(AddBuckets(histogram.negative_deltas, "negative", &sum));
  NARTHEX_RETURN_IF_ERROR(AddBuckets(histogram.positive_deltas, "positive", &sum));
  // Observations of NaN are counted, but lie in no bucket.
  if (std::isnan(histogram.sum) ? sum > histogram.count : sum != histogram.count) {
    return InvalidArgument("histogram: ", sum, " observations in the buckets, but the count is ",
                           histogram.count);
  }
  return absl::OkStatus();
}

absl::Status Validate(const FloatHistogram& histogram) {
  if (IsStale(histogram)) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(ValidateLayout(histogram, histogram.positive_buckets.size(),
                                         histogram.negative_buckets.size()));
  NARTHEX_RETURN_IF_ERROR(CheckBuckets(histogram.negative_buckets, "negative"));
  NARTHEX_RETURN_IF_ERROR(CheckBuckets(histogram.positive_buckets, "positive"));
  if (histogram.zero_count < 0 || histogram.count < 0) {
    return InvalidArgument("histogram: a negative count");
  }
  return absl::OkStatus();
}

FloatHistogram ToFloat(const Histogram& histogram) {
  FloatHistogram out;
  out.reset_hint = histogram.reset_hint;
  out.schema = histogram.schema;
  out.zero_threshold = histogram.zero_threshold;
  out.zero_count = static_cast<double>(histogram.zero_count);
  out.count = static_cast<double>(histogram.count);
  out.sum = histogram.sum;
  out.positive_spans = histogram.positive_spans;
  out.negative_spans = histogram.negative_spans;
  const auto convert = [](const std::vector<int64_t>& deltas, std::vector<double>* buckets) {
    buckets->reserve(deltas.size());
    uint64_t bucket = 0;
    for (const int64_t delta : deltas) {
      bucket += static_cast<uint64_t>(delta);
      buckets->push_back(static_cast<double>(static_cast<int64_t>(bucket)));
    }
  };
  convert(histogram.positive_deltas, &out.positive_buckets);
  convert(histogram.negative_deltas, &out.negative_buckets);
  out.custom_values = histogram.custom_values;
  return out;
}

bool Same(const Histogram& a, const Histogram& b) {
  if (IsStale(a) || IsStale(b)) return IsStale(a) && IsStale(b);
  return SameHead(a, b) &&
         SameBuckets(a.positive_spans, a.positive_deltas, b.positive_spans, b.positive_deltas) &&
         SameBuckets(a.negative_spans, a.negative_deltas, b.negative_spans, b.negative_deltas);
}

bool Same(const FloatHistogram& a, const FloatHistogram& b) {
  if (IsStale(a) || IsStale(b)) return IsStale(a) && IsStale(b);
  return SameHead(a, b) &&
         SameBuckets(a.positive_spans, a.positive_buckets, b.positive_spans, b.positive_buckets) &&
         SameBuckets(a.negative_spans, a.negative_buckets, b.negative_spans, b.negative_buckets);
}

void ReduceResolution(int32_t schema, Histogram* histogram) {
  NARTHEX_CHECK(schema <= histogram->schema && schema >= kExponentialSchemaMin);
  const int shift = histogram->schema - schema;
  JoinBuckets(shift, /*deltas=*/true, &histogram->positive_spans, &histogram->positive_deltas);
  JoinBuckets(shift, /*deltas=*/true, &histogram->negative_spans, &histogram->negative_deltas);
  histogram->schema = schema;
}

void ReduceResolution(int32_t schema, FloatHistogram* histogram) {
  NARTHEX_CHECK(schema <= histogram->schema && schema >= kExponentialSchemaMin);
  const int shift = histogram->schema - schema;
  JoinBuckets(shift, /*deltas=*/false, &histogram->positive_spans, &histogram->positive_buckets);
  JoinBuckets(shift, /*deltas=*/false, &histogram->negative_spans, &histogram->negative_buckets);
  histogram->schema = schema;
}

}  // namespace narthex
