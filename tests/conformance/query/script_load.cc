#include "tests/conformance/query/script_load.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "lib/base/strings.h"
#include "lib/labels/labels_builder.h"
#include "services/query/promql/histogram_math.h"

namespace narthex::testing {
namespace {

SampleBuffer SamplesOf(const ScriptSeries& series, int64_t step_ms) {
  SampleBuffer samples;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const ScriptPoint& point = series.points[i];
    const Timestamp time = static_cast<int64_t>(i) * step_ms;
    if (point.kind == ScriptPoint::Kind::kGap) continue;
    if (point.kind == ScriptPoint::Kind::kHistogram) {
      samples.AppendFloatHistogram(time, *point.histogram);
    } else {
      samples.Append(time, point.value);
    }
    if (i < series.start_offsets.size() && series.start_offsets[i].has_value()) {
      samples.SetStartTimestamp(time + *series.start_offsets[i]);
    }
  }
  return samples;
}

// What the series of one classic histogram say at one time.
struct Classic {
  std::map<double, double> buckets;  // Cumulative, by upper bound.
  std::optional<double> count;
  double sum = 0;

  FloatHistogram ToCustomBuckets() const {
    FloatHistogram histogram;
    histogram.schema = kCustomBucketsSchema;
    histogram.sum = sum;
    double before = 0;
    for (const auto& [bound, cumulative] : buckets) {
      if (std::isinf(bound)) continue;
      histogram.custom_values.push_back(bound);
      histogram.positive_buckets.push_back(cumulative - before);
      before = cumulative;
    }
    const auto last = buckets.find(INFINITY);
    histogram.count = count.value_or(last == buckets.end() ? before : last->second);
    histogram.positive_buckets.push_back(histogram.count - before);
    histogram.positive_spans.push_back(
        {0, static_cast<uint32_t>(histogram.positive_buckets.size())});
    return promql::Compact(histogram);
  }
};

void AddClassic(const ScriptSeries& series, int64_t step_ms,
                std::map<Labels, std::map<Timestamp, Classic>>* histograms) {
  const std::string_view name = series.labels.metric_name();
  double bound = 0;
  const bool bucket = name.ends_with("_bucket") && ParseDouble(series.labels.Get("le"), &bound);
  const bool sum = name.ends_with("_sum");
  if (!bucket && !sum && !name.ends_with("_count")) return;
  LabelsBuilder builder(series.labels);
  builder.Set(kMetricName, std::string(name.substr(0, name.rfind('_'))));
  builder.Del("le");
  std::map<Timestamp, Classic>& times = (*histograms)[builder.Build()];
  for (size_t i = 0; i < series.points.size(); ++i) {
    if (series.points[i].kind != ScriptPoint::Kind::kFloat) continue;
    const double value = series.points[i].value;
    Classic& classic = times[static_cast<int64_t>(i) * step_ms];
    if (bucket) {
      classic.buckets[bound] = value;
    } else if (sum) {
      classic.sum = value;
    } else {
      classic.count = value;
    }
  }
}

}  // namespace

std::vector<LoadedSeries> LoadedBy(const ScriptCommand& command) {
  std::vector<LoadedSeries> loaded;
  std::map<Labels, std::map<Timestamp, Classic>> histograms;
  for (const ScriptSeries& series : command.series) {
    // Of two lines for one series in a block the later counts.
    if (std::any_of(&series + 1, command.series.data() + command.series.size(),
                    [&](const ScriptSeries& later) { return later.labels == series.labels; })) {
      continue;
    }
    loaded.push_back({series.labels, SamplesOf(series, command.step_ms)});
    if (command.with_nhcb) AddClassic(series, command.step_ms, &histograms);
  }
  for (const auto& [labels, times] : histograms) {
    LoadedSeries series;
    series.labels = labels;
    for (const auto& [time, classic] : times) {
      series.samples.AppendFloatHistogram(time, classic.ToCustomBuckets());
    }
    loaded.push_back(std::move(series));
  }
  return loaded;
}

}  // namespace narthex::testing
