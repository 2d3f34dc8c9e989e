#include <cmath>
#include <limits>
#include <utility>

#include "lib/base/float_format.h"
#include "lib/labels/labels_builder.h"
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

// All rows sorted into histograms; those without a usable le are left out with a warning.
std::vector<ClassicHistogram> GroupBuckets(const std::vector<Row>& rows, PositionRange position,
                                           Annotations* annotations) {
  std::vector<ClassicHistogram> histograms;
  absl::flat_hash_map<Labels, size_t> index;
  LabelsBuilder builder;
  for (const Row& row : rows) {
    const std::string_view le = row.labels.Get(kBucketLabel);
    double bound = 0;
    if (!ParseDouble(le, &bound)) {
      if (CountPresent(row.values) == 0) continue;
      annotations->Warn(
          StrCat("bucket label \"le\" is missing or has a malformed value of ", Quote(le),
                 row.labels.metric_name().empty() ? "" : " for metric name ",
                 row.labels.metric_name().empty() ? "" : Quote(row.labels.metric_name())),
          position);
      continue;
    }
    builder.Reset(row.labels);
    builder.Del(kBucketLabel);
    const Labels labels = builder.Build();
    const auto [it, added] = index.try_emplace(labels, histograms.size());
    if (added) {
      histograms.emplace_back();
      histograms.back().labels = labels;
    }
    ClassicHistogram& histogram = histograms[it->second];
    histogram.drop_name = histogram.drop_name || row.drop_name;
    histogram.buckets.emplace_back(bound, &row);
  }
  return histograms;
}

// The buckets that are there at one step.
void BucketsAt(const ClassicHistogram& histogram, size_t step, std::vector<Bucket>* buckets) {
  buckets->clear();
  for (const auto& [bound, row] : histogram.buckets) {
    if (IsPresent(row->values[step])) buckets->push_back({bound, row->values[step]});
  }
}

void Quantiles(EvalContext* context, const ClassicHistogram& histogram,
               const std::vector<double>& quantiles, const Grid& grid, PositionRange position,
               Row* out) {
  std::vector<Bucket> buckets;
  out->labels = histogram.labels;
  out->drop_name = histogram.drop_name;
  out->values.assign(quantiles.size(), Absent());
  DropName(out, context->options());
  for (size_t i = 0; i < quantiles.size(); ++i) {
    BucketsAt(histogram, i, &buckets);
    if (buckets.empty() || !context->Tick(buckets.size())) continue;
    const BucketQuantileResult result = BucketQuantile(quantiles[i], &buckets);
    out->values[i] = result.value;
    if (!result.forced_monotonic) continue;
    context->annotations().InformForcedMonotonicity(histogram.labels.metric_name(), position,
                                                    grid.At(i), result.bound_min, result.bound_max,
                                                    result.difference_max);
  }
}

std::string BoundText(double value) {
  std::string text = FormatFloatG(value);
  const bool integral = text.find_first_not_of("-0123456789") == std::string::npos;
  return integral ? text + ".0" : text;
}

}  // namespace

VectorOperatorPtr MakeHistogramQuantile(EvalContext* context, VectorOperatorPtr child,
                                        ScalarOperatorPtr quantile, const Grid& grid,
                                        PositionRange position) {
  std::vector<ScalarOperatorPtr> quantiles;
  quantiles.push_back(std::move(quantile));
  return MakeHistogramQuantiles(context, std::move(child), "", std::move(quantiles), grid,
                                position);
}

VectorOperatorPtr MakeHistogramQuantiles(EvalContext* context, VectorOperatorPtr child,
                                         std::string label,
                                         std::vector<ScalarOperatorPtr> quantiles, const Grid& grid,
                                         PositionRange position) {
  auto shared = std::make_shared<std::vector<ScalarOperatorPtr>>(std::move(quantiles));
  return MakeCollect(context, std::move(child),
                     [=, label = std::move(label)](std::vector<Row> rows, std::vector<Row>* out) {
                       const std::vector<ClassicHistogram> histograms =
                           GroupBuckets(rows, position, &context->annotations());
                       std::vector<double> values;
                       LabelsBuilder builder;
                       for (const ScalarOperatorPtr& quantile : *shared) {
                         if (!quantile->Values(&values)) return;
                         for (double value : values)
                           WarnOfQuantile(value, position, &context->annotations());
                         for (const ClassicHistogram& histogram : histograms) {
                           Row row;
                           Quantiles(context, histogram, values, grid, position, &row);
                           if (!label.empty()) {
                             builder.Reset(row.labels);
                             builder.Set(label, BoundText(values[0]));
                             row.labels = builder.Build();
                           }
                           out->push_back(std::move(row));
                         }
                       }
                     });
}

VectorOperatorPtr MakeHistogramFraction(EvalContext* context, VectorOperatorPtr child,
                                        ScalarOperatorPtr lower, ScalarOperatorPtr upper,
                                        const Grid& grid, PositionRange position) {
  std::shared_ptr<ScalarOperator> from = std::move(lower);
  std::shared_ptr<ScalarOperator> to = std::move(upper);
  return MakeCollect(context, std::move(child), [=](std::vector<Row> rows, std::vector<Row>* out) {
    std::vector<double> lowers;
    std::vector<double> uppers;
    if (!from->Values(&lowers) || !to->Values(&uppers)) return;
    std::vector<Bucket> buckets;
    for (const ClassicHistogram& histogram :
         GroupBuckets(rows, position, &context->annotations())) {
      Row row;
      row.labels = histogram.labels;
      row.drop_name = histogram.drop_name;
      DropName(&row, context->options());
      row.Reset(grid.count);
      for (size_t i = 0; i < grid.count; ++i) {
        BucketsAt(histogram, i, &buckets);
        if (buckets.empty() || !context->Tick(buckets.size())) continue;
        row.values[i] = BucketFraction(lowers[i], uppers[i], &buckets);
      }
      out->push_back(std::move(row));
    }
  });
}

}  // namespace narthex::promql
