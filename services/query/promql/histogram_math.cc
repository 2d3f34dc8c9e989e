#include "services/query/promql/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "services/query/promql/histogram_buckets.h"

namespace narthex::promql {
namespace {

double Total(const KahanSum& sum) { return sum.Value(); }
bool IsEmpty(const KahanSum& sum) { return sum.sum == 0 && sum.compensation == 0; }

// Adds a number, or takes it away.
void AddSigned(const KahanSum& value, double sign, KahanSum* to) {
  to->Add(sign * value.sum);
  if (value.compensation != 0) to->Add(sign * value.compensation);
}

std::vector<double> SharedBounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> shared;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(shared));
  return shared;
}

}  // namespace

HistogramSum::Cells HistogramSum::MakeCells(const std::vector<HistogramSpan>& spans,
                                            const std::vector<double>& buckets) {
  Cells cells;
  cells.reserve(buckets.size());
  int64_t index = 0;
  size_t at = 0;
  for (const HistogramSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && at < buckets.size(); ++i) {
      cells.push_back({index++, {buckets[at++], 0}});
    }
  }
  return cells;
}

void HistogramSum::WriteCells(const Cells& cells, std::vector<HistogramSpan>* spans,
                              std::vector<double>* buckets) {
  int64_t next = 0;
  for (const Cell& cell : cells) {
    const double count = Total(cell.count);
    if (count == 0) continue;
    if (spans->empty() || cell.index != next) {
      spans->push_back({static_cast<int32_t>(cell.index - next), 0});
    }
    ++spans->back().length;
    buckets->push_back(count);
    next = cell.index + 1;
  }
}

HistogramSum::HistogramSum(const FloatHistogram& first)
    : hint_(first.reset_hint),
      schema_(first.schema),
      zero_threshold_(first.zero_threshold),
      zero_{first.zero_count, 0},
      count_{first.count, 0},
      sum_{first.sum, 0},
      positive_(MakeCells(first.positive_spans, first.positive_buckets)),
      negative_(MakeCells(first.negative_spans, first.negative_buckets)),
      custom_values_(first.custom_values) {}

template <typename Change>
void HistogramSum::ChangeAll(Change change) {
  const auto change_sum = [&](KahanSum* sum) {
    sum->sum = change(sum->sum);
    if (sum->compensation != 0) sum->compensation = change(sum->compensation);
  };
  change_sum(&zero_);
  change_sum(&count_);
  change_sum(&sum_);
  for (Cell& cell : positive_) change_sum(&cell.count);
  for (Cell& cell : negative_) change_sum(&cell.count);
}

void HistogramSum::Scale(double factor) {
  ChangeAll([factor](double number) { return number * factor; });
}

void HistogramSum::Divide(double divisor) {
  ChangeAll([divisor](double number) { return number / divisor; });
}

bool HistogramSum::HasOverflow() const {
  const auto over = [](const Cell& cell) { return std::isinf(cell.count.sum); };
  return std::isinf(zero_.sum) || std::isinf(count_.sum) || std::isinf(sum_.sum) ||
         std::any_of(positive_.begin(), positive_.end(), over) ||
         std::any_of(negative_.begin(), negative_.end(), over);
}

FloatHistogram HistogramSum::Result() const {
  FloatHistogram out;
  out.reset_hint = hint_;
  out.schema = schema_;
  out.zero_threshold = zero_threshold_;
  out.zero_count = Total(zero_);
  out.count = Total(count_);
  out.sum = Total(sum_);
  WriteCells(positive_, &out.positive_spans, &out.positive_buckets);
  WriteCells(negative_, &out.negative_spans, &out.negative_buckets);
  out.custom_values = custom_values_;
  return out;
}

void HistogramSum::MergeCells(const Cells& from, double sign, Cells* into) {
  Cells merged;
  merged.reserve(into->size() + from.size());
  size_t a = 0;
  for (const Cell& cell : from) {
    while (a < into->size() && (*into)[a].index < cell.index) merged.push_back((*into)[a++]);
    if (a < into->size() && (*into)[a].index == cell.index) {
      merged.push_back((*into)[a++]);
    } else {
      merged.push_back({cell.index, {}});
    }
    AddSigned(cell.count, sign, &merged.back().count);
  }
  merged.insert(merged.end(), into->begin() + static_cast<std::ptrdiff_t>(a), into->end());
  *into = std::move(merged);
}

void HistogramSum::ReduceCells(int shift, Cells* cells) {
  Cells reduced;
  for (const Cell& cell : *cells) {
    // Bucket i ends at base^i: i of the finer resolution lies in ceil(i / 2^shift).
    const int64_t index = ((cell.index - 1) >> shift) + 1;
    if (reduced.empty() || reduced.back().index != index) {
      reduced.push_back({index, cell.count});
    } else {
      AddSigned(cell.count, 1, &reduced.back().count);
    }
  }
  *cells = std::move(reduced);
}

void HistogramSum::LimitResolution(int32_t schema) {
  if (schema_ != kCustomBucketsSchema && schema < schema_) ReduceTo(schema);
}

void HistogramSum::ReduceTo(int32_t schema) {
  if (schema == schema_) return;
  ReduceCells(schema_ - schema, &positive_);
  ReduceCells(schema_ - schema, &negative_);
  schema_ = schema;
}

// Adds the buckets of one side that begin within `*threshold` to `*zero`. True when a bucket with
// something in it reaches beyond, to where the threshold has grown now.
bool HistogramSum::AddToZero(const Cells& cells, int32_t schema, double* threshold,
                             KahanSum* zero) {
  for (const Cell& cell : cells) {
    if (ExponentialBound(cell.index - 1, schema) >= *threshold) return false;
    const double upper = ExponentialBound(cell.index, schema);
    const bool beyond = upper > *threshold;
    AddSigned(cell.count, 1, zero);
    if (beyond) {
      if (IsEmpty(cell.count)) return false;
      *threshold = upper;
      return true;
    }
  }
  return false;
}

void HistogramSum::DropWithin(double threshold, int32_t schema, Cells* cells) {
  std::erase_if(
      *cells, [&](const Cell& cell) { return ExponentialBound(cell.index, schema) <= threshold; });
}

// Makes the zero bucket as wide as `threshold`, or wider where that lies within a bucket that has
// something in it. REQUIRES: threshold > zero_threshold_.
void HistogramSum::WidenZero(double threshold) {
  while (true) {
    KahanSum zero = zero_;
    AddToZero(positive_, schema_, &threshold, &zero);
    // What grows the zero bucket on this side makes the count of the other side wrong.
    if (AddToZero(negative_, schema_, &threshold, &zero)) continue;
    zero_ = zero;
    break;
  }
  zero_threshold_ = threshold;
  DropWithin(threshold, schema_, &positive_);
  DropWithin(threshold, schema_, &negative_);
}

// Gives both the same zero bucket.
void HistogramSum::ReconcileZero(HistogramSum* other) {
  while (zero_threshold_ != other->zero_threshold_) {
    if (std::isnan(zero_threshold_) || std::isnan(other->zero_threshold_)) return;
    if (zero_threshold_ > other->zero_threshold_) {
      other->WidenZero(zero_threshold_);
    } else {
      WidenZero(other->zero_threshold_);
    }
  }
  // Buckets that never should have been within the zero bucket are not counted.
  DropWithin(zero_threshold_, other->schema_, &other->positive_);
  DropWithin(zero_threshold_, other->schema_, &other->negative_);
}

// Joins custom buckets until only `bounds` are left, all of which are bounds already.
void HistogramSum::MapToBounds(const std::vector<double>& bounds) {
  Cells mapped;
  for (const Cell& cell : positive_) {
    const double bound = CustomBound(cell.index, custom_values_);
    const auto index = std::lower_bound(bounds.begin(), bounds.end(), bound) - bounds.begin();
    if (mapped.empty() || mapped.back().index != index) {
      mapped.push_back({index, cell.count});
    } else {
      AddSigned(cell.count, 1, &mapped.back().count);
    }
  }
  positive_ = std::move(mapped);
  custom_values_ = bounds;
}

// True when the hints contradict each other.
bool HistogramSum::CombineHints(CounterResetHint other) {
  if (other == hint_ || hint_ == CounterResetHint::kGauge) return false;
  if (other == CounterResetHint::kGauge) {
    hint_ = other;
    return false;
  }
  const bool collision = hint_ != CounterResetHint::kUnknown && other != CounterResetHint::kUnknown;
  hint_ = CounterResetHint::kUnknown;
  return collision;
}

HistogramOutcome HistogramSum::Combine(const FloatHistogram& other, double sign) {
  HistogramOutcome outcome;
  const bool custom = schema_ == kCustomBucketsSchema;
  if (custom != other.uses_custom_buckets()) {
    outcome.incompatible = true;
    return outcome;
  }
  outcome.reset_collision = CombineHints(other.reset_hint);
  HistogramSum from(other);
  if (!custom) {
    ReconcileZero(&from);
    AddSigned(from.zero_, sign, &zero_);
    const int32_t schema = std::min(schema_, from.schema_);
    ReduceTo(schema);
    from.ReduceTo(schema);
    MergeCells(from.negative_, sign, &negative_);
  } else if (custom_values_ != from.custom_values_) {
    outcome.bounds_reconciled = true;
    const std::vector<double> bounds = SharedBounds(custom_values_, from.custom_values_);
    MapToBounds(bounds);
    from.MapToBounds(bounds);
  }
  MergeCells(from.positive_, sign, &positive_);
  AddSigned(from.count_, sign, &count_);
  AddSigned(from.sum_, sign, &sum_);
  return outcome;
}

FloatHistogram Multiply(const FloatHistogram& histogram, double factor) {
  HistogramSum scaled(histogram);
  scaled.Scale(factor);
  FloatHistogram out = scaled.Result();
  if (factor < 0) out.reset_hint = CounterResetHint::kGauge;
  return out;
}

FloatHistogram Divide(const FloatHistogram& histogram, double divisor) {
  FloatHistogram out = histogram;
  out.zero_count /= divisor;
  out.count /= divisor;
  out.sum /= divisor;
  if (divisor == 0) {
    out.positive_spans.clear();
    out.negative_spans.clear();
    out.positive_buckets.clear();
    out.negative_buckets.clear();
    return out;
  }
  for (double& bucket : out.positive_buckets) bucket /= divisor;
  for (double& bucket : out.negative_buckets) bucket /= divisor;
  if (divisor < 0) out.reset_hint = CounterResetHint::kGauge;
  return Compact(out);
}

FloatHistogram Compact(const FloatHistogram& histogram) { return HistogramSum(histogram).Result(); }

bool EqualHistograms(const FloatHistogram& a, const FloatHistogram& b) { return Same(a, b); }

namespace {

// The counts of custom buckets up to each bound that both have.
std::vector<double> CountsUpTo(const FloatHistogram& histogram, const std::vector<double>& bounds) {
  std::vector<double> counts(bounds.size() + 1, 0);
  for (const HistogramBucket& bucket : PositiveBuckets(histogram)) {
    const auto place = std::lower_bound(bounds.begin(), bounds.end(), bucket.upper);
    counts[static_cast<size_t>(place - bounds.begin())] += bucket.count;
  }
  return counts;
}

bool AnyWentDown(const FloatHistogram& current, const FloatHistogram& previous) {
  const std::vector<double> bounds = SharedBounds(current.custom_values, previous.custom_values);
  const std::vector<double> now = CountsUpTo(current, bounds);
  const std::vector<double> before = CountsUpTo(previous, bounds);
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i] < before[i]) return true;
  }
  return false;
}

}  // namespace

bool DetectReset(const FloatHistogram& current, const FloatHistogram& previous) {
  if (current.reset_hint == CounterResetHint::kReset) return true;
  if (current.reset_hint == CounterResetHint::kNotReset) return false;
  if (current.count < previous.count) return true;
  if (current.uses_custom_buckets()) {
    if (!previous.uses_custom_buckets()) return true;
    return AnyWentDown(current, previous);
  }
  // A finer resolution or a narrower zero bucket cannot come out of what was counted before.
  if (previous.uses_custom_buckets() || current.schema > previous.schema ||
      current.zero_threshold < previous.zero_threshold) {
    return true;
  }
  HistogramSum before(previous);
  if (current.zero_threshold > previous.zero_threshold) before.WidenZero(current.zero_threshold);
  if (before.zero_threshold_ != current.zero_threshold) return true;
  if (current.zero_count < Total(before.zero_)) return true;
  before.ReduceTo(current.schema);
  const auto went_down = [&](const HistogramSum::Cells& now, HistogramSum::Cells was) {
    HistogramSum::DropWithin(current.zero_threshold, current.schema, &was);
    size_t i = 0;
    for (const HistogramSum::Cell& cell : was) {
      while (i < now.size() && now[i].index < cell.index) ++i;
      const bool there = i < now.size() && now[i].index == cell.index;
      if (there ? Total(now[i].count) < Total(cell.count) : Total(cell.count) != 0) return true;
    }
    return false;
  };
  const HistogramSum after(current);
  return went_down(after.positive_, before.positive_) ||
         went_down(after.negative_, before.negative_);
}

}  // namespace narthex::promql
