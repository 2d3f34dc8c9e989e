#include "services/query/promql/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

// Counts that differ by less, relatively, differ by rounding only.
constexpr double kSmallDifference = 1e-12;

bool AlmostEqual(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  const double size = std::abs(a) + std::abs(b);
  const double difference = std::abs(a - b);
  constexpr double kSmallest = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || size < kSmallest) return difference < kSmallDifference * kSmallest;
  return difference / std::min(size, std::numeric_limits<double>::max()) < kSmallDifference;
}

bool NanFirst(double a, double b) {
  if (std::isnan(b)) return false;
  return std::isnan(a) || a < b;
}

// A quantile lies between the elements at two ranks.
struct Ranks {
  size_t lower;
  size_t upper;
  double weight;  // Of the upper one.
};

// REQUIRES: q lies in 0…1, count > 0.
Ranks RanksOf(double q, size_t count) {
  const auto last = static_cast<double>(count - 1);
  const double rank = q * last;
  const double lower = std::max(0.0, std::floor(rank));
  return {static_cast<size_t>(lower), static_cast<size_t>(std::min(last, lower + 1)),
          rank - std::floor(rank)};
}

// Sorts by bound and joins equal bounds. False when there is no +Inf bucket.
bool Normalise(std::vector<Bucket>* buckets) {
  std::sort(buckets->begin(), buckets->end(),
            [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
  if (buckets->empty() || buckets->back().bound != kInfinity) return false;
  size_t last = 0;
  for (size_t i = 1; i < buckets->size(); ++i) {
    if ((*buckets)[i].bound == (*buckets)[last].bound) {
      (*buckets)[last].count += (*buckets)[i].count;
    } else {
      (*buckets)[++last] = (*buckets)[i];
    }
  }
  buckets->resize(last + 1);
  return true;
}

void MakeMonotonic(std::vector<Bucket>* buckets, BucketQuantileResult* result) {
  double previous = (*buckets)[0].count;
  for (size_t i = 1; i < buckets->size(); ++i) {
    Bucket& bucket = (*buckets)[i];
    if (AlmostEqual(previous, bucket.count)) {
      bucket.count = previous;
    } else if (bucket.count < previous) {
      if (!result->forced_monotonic) {
        result->bound_min = bucket.bound;
        result->bound_max = bucket.bound;
      }
      result->forced_monotonic = true;
      result->bound_min = std::min(result->bound_min, bucket.bound);
      result->bound_max = std::max(result->bound_max, bucket.bound);
      result->difference_max = std::max(result->difference_max, previous - bucket.count);
      bucket.count = previous;
    } else {
      previous = bucket.count;
    }
  }
}

}  // namespace

double Quantile(double q, std::vector<double>* values) {
  if (values->empty() || std::isnan(q)) return kNotANumber;
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  const Ranks ranks = RanksOf(q, values->size());
  // NaN first, then as far in order as is needed.
  const auto numbers = std::partition(values->begin(), values->end(),
                                      [](double value) { return std::isnan(value); });
  const auto lower = values->begin() + static_cast<std::ptrdiff_t>(ranks.lower);
  const auto upper = values->begin() + static_cast<std::ptrdiff_t>(ranks.upper);
  if (lower >= numbers) {
    std::nth_element(numbers, lower, values->end());
    if (upper != lower) std::iter_swap(upper, std::min_element(upper, values->end()));
  } else if (upper >= numbers) {
    std::iter_swap(upper, std::min_element(upper, values->end()));
  }
  return *lower * (1 - ranks.weight) + *upper * ranks.weight;
}

double QuantileOfSorted(double q, std::span<const double> values) {
  if (values.empty() || std::isnan(q)) return kNotANumber;
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  const Ranks ranks = RanksOf(q, values.size());
  return values[ranks.lower] * (1 - ranks.weight) + values[ranks.upper] * ranks.weight;
}

std::span<const double> SlidingOrder::Move(std::span<const double> values, size_t begin,
                                           size_t end) {
  const size_t kept_begin = std::max(begin, begin_);
  const size_t kept_end = std::min(end, end_);
  // Taking a value out or in moves those behind it, which is cheap beside ordering all of them, if
  // there are few.
  const size_t changes =
      (end - begin) + (end_ - begin_) - 2 * (std::max(kept_begin, kept_end) - kept_begin);
  if (kept_begin >= kept_end || changes * 8 > end - begin) {
    sorted_.assign(values.begin() + static_cast<std::ptrdiff_t>(begin),
                   values.begin() + static_cast<std::ptrdiff_t>(end));
    std::sort(sorted_.begin(), sorted_.end(), NanFirst);
  } else {
    for (size_t i = begin_; i < begin; ++i) {
      sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), values[i], NanFirst));
    }
    for (size_t i = end_; i < end; ++i) {
      sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), values[i], NanFirst),
                     values[i]);
    }
  }
  begin_ = begin;
  end_ = end;
  return sorted_;
}

void WarnOfQuantile(double q, PositionRange position, Annotations* annotations) {
  if (q >= 0 && q <= 1) return;
  annotations->Warn(StrCat("quantile value should be between 0 and 1, got ", FormatFloatG(q)),
                    position);
}

BucketQuantileResult BucketQuantile(double q, std::vector<Bucket>* buckets) {
  BucketQuantileResult result;
  result.value = kNotANumber;
  if (std::isnan(q)) return result;
  if (q < 0 || q > 1) {
    result.value = q < 0 ? -kInfinity : kInfinity;
    return result;
  }
  if (!Normalise(buckets)) return result;
  MakeMonotonic(buckets, &result);
  if (buckets->size() < 2) return result;
  const double observations = buckets->back().count;
  if (observations == 0 || std::isnan(observations)) return result;
  double rank = q * observations;
  size_t b = 0;
  while (b < buckets->size() - 1 && !((*buckets)[b].count >= rank)) ++b;
  if (b == buckets->size() - 1) {
    result.value = (*buckets)[b - 1].bound;
    return result;
  }
  if (b == 0 && (*buckets)[0].bound <= 0) {
    result.value = (*buckets)[0].bound;
    return result;
  }
  double start = 0;
  const double end = (*buckets)[b].bound;
  double count = (*buckets)[b].count;
  if (b > 0) {
    start = (*buckets)[b - 1].bound;
    count -= (*buckets)[b - 1].count;
    rank -= (*buckets)[b - 1].count;
  }
  result.value = start + (end - start) * (rank / count);
  return result;
}

double BucketFraction(double lower, double upper, std::vector<Bucket>* buckets) {
  if (!Normalise(buckets)) return kNotANumber;
  const double count = buckets->back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNotANumber;
  if (lower >= upper) return 0;
  // How many observations lie at or below `bound`. Inside the first bucket when that reaches down
  // to -Inf nothing is known: all observations count as `unknown` of 0 or 1.
  const auto rank_of = [&](double bound, double unknown) {
    double below = 0;
    double start = -kInfinity;
    for (size_t i = 0; i < buckets->size(); ++i) {
      const Bucket& bucket = (*buckets)[i];
      if (i == 0 && bucket.bound > 0 && bound > start) start = 0;
      if (start >= bound) break;
      if (bucket.bound > bound) {
        if (std::isinf(start)) return bucket.count * unknown;
        return below + (bucket.count - below) * (bound - start) / (bucket.bound - start);
      }
      below = bucket.count;
      start = bucket.bound;
    }
    return std::min(below, count);
  };
  return std::max(0.0, rank_of(upper, 0) - rank_of(lower, 1)) / count;
}

std::string FormatFixed(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return absl::StrFormat("%f", value);
}

}  // namespace narthex::promql
