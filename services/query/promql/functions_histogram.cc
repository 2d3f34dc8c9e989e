#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/base/float_format.h"
#include "lib/labels/labels_builder.h"
#include "services/query/promql/histogram_quantile.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/quantile.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kBucketLabel = "le";

// The buckets of one classic histogram, each a row.
struct ClassicHistogram {
  Labels labels;  // Without le.
  bool drop_name = false;
  std::vector<std::pair<double, const Row*>> buckets;
};

std::string ForMetric(std::string_view name) {
  return name.empty() ? "" : StrCat(" for metric name ", Quote(name));
}

// All rows of an argument sorted into histograms.
class HistogramRows {
 public:
  // Series of numbers without a usable le are left out with a warning; where a series has both
  // kinds of histograms at one step, neither counts.
  HistogramRows(std::vector<Row> rows, PositionRange position, Annotations* annotations)
      : rows_(std::move(rows)) {
    for (const Row& row : rows_) {
      if (row.has_histograms()) native_.push_back(row);
      AddBucket(row, position, annotations);
    }
    for (Row& native : native_) {
      const auto found = index_.find(native.labels);
      if (found == index_.end()) continue;
      Separate(&native, found->second, position, annotations);
    }
  }

  const std::vector<Row>& native() const { return native_; }
  size_t classic_size() const { return classic_.size(); }
  const ClassicHistogram& classic(size_t number) const { return classic_[number]; }

  // The buckets that are there at one step; empty when there are none that count.
  void BucketsAt(size_t number, size_t step, std::vector<Bucket>* buckets) const {
    buckets->clear();
    if (number < conflicts_.size() && !conflicts_[number].empty() && conflicts_[number][step]) {
      return;
    }
    for (const auto& [bound, row] : classic_[number].buckets) {
      if (IsPresent(row->values[step])) buckets->push_back({bound, row->values[step]});
    }
  }

 private:
  void AddBucket(const Row& row, PositionRange position, Annotations* annotations) {
    const std::string_view le = row.labels.Get(kBucketLabel);
    const bool any = CountPresent(row.values) > 0;
    double bound = 0;
    if (!ParseDouble(le, &bound)) {
      if (!any) return;
      annotations->Warn(StrCat("bucket label \"le\" is missing or has a malformed value of ",
                               Quote(le), ForMetric(row.labels.metric_name())),
                        position);
      return;
    }
    if (row.has_histograms() && !any) return;
    LabelsBuilder builder(row.labels);
    builder.Del(kBucketLabel);
    const Labels labels = builder.Build();
    const auto [it, added] = index_.try_emplace(labels, classic_.size());
    if (added) {
      classic_.emplace_back();
      classic_.back().labels = labels;
    }
    ClassicHistogram& histogram = classic_[it->second];
    histogram.drop_name = histogram.drop_name || row.drop_name;
    histogram.buckets.emplace_back(bound, &row);
  }

  void Separate(Row* native, size_t number, PositionRange position, Annotations* annotations) {
    conflicts_.resize(classic_.size());
    conflicts_[number].resize(native->size());
    for (size_t i = 0; i < native->size(); ++i) {
      if (native->HistogramAt(i) == nullptr) continue;
      const auto& buckets = classic_[number].buckets;
      if (std::none_of(buckets.begin(), buckets.end(),
                       [i](const auto& bucket) { return IsPresent(bucket.second->values[i]); })) {
        continue;
      }
      annotations->Warn(StrCat("vector contains a mix of classic and native histograms",
                               ForMetric(native->labels.metric_name())),
                        position);
      conflicts_[number][i] = true;
      native->RemoveAt(i);
    }
  }

  const std::vector<Row> rows_;
  std::vector<Row> native_;
  std::vector<ClassicHistogram> classic_;
  absl::flat_hash_map<Labels, size_t> index_;  // Of classic_.
  // Steps at which a classic histogram has a native one beside it.
  std::vector<std::vector<bool>> conflicts_;
};

// Says what observations of NaN do to an estimate.
void Annotate(EvalContext* context, HistogramEstimate::NanEffect effect, bool fraction,
              std::string_view name, PositionRange position) {
  std::string text;
  switch (effect) {
    case HistogramEstimate::NanEffect::kNone:
      return;
    case HistogramEstimate::NanEffect::kResultNan:
      text = "input to histogram_quantile has NaN observations, result is NaN";
      break;
    case HistogramEstimate::NanEffect::kSkewed:
      text = fraction ? "input to histogram_fraction has NaN observations, which are excluded from "
                        "all fractions"
                      : "input to histogram_quantile has NaN observations, result is skewed higher";
      break;
  }
  context->annotations().Inform(StrCat(text, ForMetric(name)), position);
}

// One row of results for each histogram: `native(histogram, step, row)` and `classic(buckets, step,
// row)` estimate.
template <typename Native, typename Classic>
void EstimateAll(EvalContext* context, const HistogramRows& histograms, size_t count, Native native,
                 Classic classic, std::vector<Row>* out) {
  const auto begin = [&](const Labels& labels, bool drop_name) {
    Row row;
    row.labels = labels;
    row.drop_name = drop_name;
    row.Reset(count);
    return row;
  };
  const auto end = [&](Row row) {
    DropName(&row, context->options());
    out->push_back(std::move(row));
  };
  for (const Row& source : histograms.native()) {
    Row row = begin(source.labels, source.drop_name);
    for (size_t i = 0; i < count; ++i) {
      const FloatHistogram* histogram = source.HistogramAt(i);
      if (histogram == nullptr) continue;
      if (!context->Tick(histogram->positive_buckets.size())) return;
      row.values[i] = native(*histogram, i, row);
    }
    end(std::move(row));
  }
  std::vector<Bucket> buckets;
  for (size_t k = 0; k < histograms.classic_size(); ++k) {
    Row row = begin(histograms.classic(k).labels, histograms.classic(k).drop_name);
    for (size_t i = 0; i < count; ++i) {
      histograms.BucketsAt(k, i, &buckets);
      if (buckets.empty()) continue;
      if (!context->Tick(buckets.size())) return;
      row.values[i] = classic(&buckets, i, row);
    }
    end(std::move(row));
  }
}

void Quantiles(EvalContext* context, const HistogramRows& histograms,
               const std::vector<double>& quantiles, const Grid& grid,
               const HistogramArguments& arguments, std::vector<Row>* out) {
  EstimateAll(
      context, histograms, grid.count,
      [&](const FloatHistogram& histogram, size_t step, const Row& row) {
        const HistogramEstimate estimate = HistogramQuantile(quantiles[step], histogram);
        Annotate(context, estimate.nan_effect, /*fraction=*/false, row.labels.metric_name(),
                 arguments.first);
        return estimate.value;
      },
      [&](std::vector<Bucket>* buckets, size_t step, const Row& row) {
        const BucketQuantileResult result = BucketQuantile(quantiles[step], buckets);
        if (result.forced_monotonic) {
          context->annotations().InformForcedMonotonicity(
              context->options().delayed_name_removal ? row.labels.metric_name() : "",
              arguments.vector, grid.At(step), result.bound_min, result.bound_max,
              result.difference_max);
        }
        return result.value;
      },
      out);
}

std::string BoundText(double value) {
  std::string text = FormatFloatG(value);
  const bool integral = text.find_first_not_of("-0123456789") == std::string::npos;
  return integral ? text + ".0" : text;
}

}  // namespace

VectorOperatorPtr MakeHistogramNumber(EvalContext* context, VectorOperatorPtr child,
                                      HistogramNumber number) {
  return MakeRowMap(context, std::move(child), {},
                    [context, number](Row* row, std::span<const std::vector<double>>) {
                      for (size_t i = 0; i < row->size(); ++i) {
                        const FloatHistogram* histogram = row->HistogramAt(i);
                        row->values[i] = histogram == nullptr ? Absent() : number(*histogram);
                      }
                      row->DropHistograms();
                      DropName(row, context->options());
                    });
}

HistogramNumber FindHistogramNumber(std::string_view name) {
  if (name == "histogram_count") return [](const FloatHistogram& h) { return h.count; };
  if (name == "histogram_sum") return [](const FloatHistogram& h) { return h.sum; };
  if (name == "histogram_avg") return [](const FloatHistogram& h) { return h.sum / h.count; };
  if (name == "histogram_stdvar") return HistogramVariance;
  if (name == "histogram_stddev") {
    return [](const FloatHistogram& h) { return std::sqrt(HistogramVariance(h)); };
  }
  return nullptr;
}

VectorOperatorPtr MakeHistogramQuantiles(EvalContext* context, VectorOperatorPtr child,
                                         std::vector<ScalarOperatorPtr> quantiles, const Grid& grid,
                                         HistogramArguments arguments) {
  auto shared = std::make_shared<std::vector<ScalarOperatorPtr>>(std::move(quantiles));
  return MakeCollect(context, std::move(child),
                     [context, shared, grid, arguments = std::move(arguments)](
                         std::vector<Row> rows, std::vector<Row>* out) {
                       const HistogramRows histograms(std::move(rows), arguments.vector,
                                                      &context->annotations());
                       std::vector<double> values;
                       LabelsBuilder builder;
                       for (size_t k = 0; k < shared->size(); ++k) {
                         if (!(*shared)[k]->Values(&values)) return;
                         for (const double value : values) {
                           WarnOfQuantile(value, arguments.quantiles[k], &context->annotations());
                         }
                         const size_t first = out->size();
                         Quantiles(context, histograms, values, grid, arguments, out);
                         if (arguments.label.empty()) continue;
                         for (size_t i = first; i < out->size(); ++i) {
                           builder.Reset((*out)[i].labels);
                           builder.Set(arguments.label, BoundText(values[0]));
                           (*out)[i].labels = builder.Build();
                         }
                       }
                     });
}

VectorOperatorPtr MakeHistogramFraction(EvalContext* context, VectorOperatorPtr child,
                                        ScalarOperatorPtr lower, ScalarOperatorPtr upper,
                                        const Grid& grid, HistogramArguments arguments) {
  std::shared_ptr<ScalarOperator> from = std::move(lower);
  std::shared_ptr<ScalarOperator> to = std::move(upper);
  return MakeCollect(
      context, std::move(child),
      [context, from, to, grid, arguments = std::move(arguments)](std::vector<Row> rows,
                                                                  std::vector<Row>* out) {
        std::vector<double> lowers;
        std::vector<double> uppers;
        if (!from->Values(&lowers) || !to->Values(&uppers)) return;
        EstimateAll(
            context, HistogramRows(std::move(rows), arguments.vector, &context->annotations()),
            grid.count,
            [&](const FloatHistogram& histogram, size_t step, const Row& row) {
              const HistogramEstimate estimate =
                  HistogramFraction(lowers[step], uppers[step], histogram);
              Annotate(context, estimate.nan_effect, /*fraction=*/true, row.labels.metric_name(),
                       arguments.first);
              return estimate.value;
            },
            [&](std::vector<Bucket>* buckets, size_t step, const Row&) {
              return BucketFraction(lowers[step], uppers[step], buckets);
            },
            out);
      });
}

}  // namespace narthex::promql
