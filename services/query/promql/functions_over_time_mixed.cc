#include <algorithm>
#include <cmath>
#include <utility>

#include "services/query/promql/histogram_fold.h"
#include "services/query/promql/kahan.h"
#include "services/query/promql/mixed_windows.h"

// The *_over_time functions of series with histograms.
namespace narthex::promql {
namespace {

// Sums and means of windows of one kind.
template <bool kMean>
void Combine(const WindowInput& input, Row* out) {
  const MixedSeries series(input);
  for (size_t i = 0; i < out->size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() == 0) continue;
    if (!input.context->Tick(window.size())) return;
    if (series.IsMixed(window)) {
      WarnOfMixedRange(series.site());
      continue;
    }
    if (series.Floats(window) > 0) {
      RunningMean mean;
      KahanSum sum;
      for (size_t k = window.begin; k < window.end; ++k) {
        if (kMean) mean.Add(series.value(k));
        if (!kMean) sum.Add(series.value(k));
      }
      out->SetNumber(i, kMean ? mean.Value() : sum.Value());
      continue;
    }
    HistogramFold fold(kMean);
    bool together = true;
    for (size_t k = window.begin; together && k < window.end; ++k) {
      together = fold.Add(series.histogram(k), series.site());
    }
    if (!together) continue;
    fold.Annotate(series.site());
    out->SetHistogram(i, std::make_shared<FloatHistogram>(fold.Result()));
  }
}

template <bool kLast>
void Pick(const WindowInput& input, Row* out) {
  const MixedSeries series(input);
  size_t picked = SIZE_MAX;
  HistogramPtr shared;
  for (size_t i = 0; i < out->size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() == 0) continue;
    const size_t sample = kLast ? window.end - 1 : window.begin;
    if (series.is_float(sample)) {
      out->SetNumber(i, series.value(sample));
      continue;
    }
    if (sample != picked) {
      shared = std::make_shared<FloatHistogram>(series.histogram(sample));
      picked = sample;
    }
    out->SetHistogram(i, shared);
  }
}

}  // namespace

void MixedSumOverTime(const WindowInput& input, Row* out) { Combine<false>(input, out); }
void MixedAvgOverTime(const WindowInput& input, Row* out) { Combine<true>(input, out); }
void MixedLastOverTime(const WindowInput& input, Row* out) { Pick<true>(input, out); }
void MixedFirstOverTime(const WindowInput& input, Row* out) { Pick<false>(input, out); }

void IgnoreHistograms(WindowKernel kernel, const WindowInput& input, Row* out) {
  const MixedSeries series(input);
  std::vector<Timestamp> timestamps;
  std::vector<double> values;
  std::vector<size_t> floats_before = {0};
  for (size_t i = 0; i < input.timestamps.size(); ++i) {
    if (series.is_float(i)) {
      timestamps.push_back(input.timestamps[i]);
      values.push_back(input.values[i]);
    }
    floats_before.push_back(values.size());
  }
  std::vector<Window> windows;
  for (const Window& window : input.windows) {
    windows.push_back({floats_before[window.begin], floats_before[window.end]});
    if (series.IsMixed(window)) InformOfIgnoredInRange(series.site());
  }
  WindowInput floats = input;
  floats.windows = windows;
  floats.timestamps = timestamps;
  floats.values = values;
  kernel(floats, out->values);
}

}  // namespace narthex::promql
