#include <algorithm>
#include <cmath>
#include <limits>

#include "services/query/promql/kahan.h"
#include "services/query/promql/mixed_windows.h"
#include "services/query/promql/quantile.h"
#include "services/query/promql/window_functions.h"

// The *_over_time functions and double_exponential_smoothing.
namespace narthex::promql {
namespace {

KahanSum JoinSums(KahanSum a, const KahanSum& b) {
  a.Add(b);
  return a;
}

void SumOverTime(const WindowInput& input, std::span<double> out) {
  SlideWindows<KahanSum>(
      input.windows,
      [&](size_t k) {
        return KahanSum{input.values[k], 0};
      },
      JoinSums, [&](size_t step, const KahanSum& sum) { out[step] = sum.Value(); });
}

void AvgOverTime(const WindowInput& input, std::span<double> out) {
  SlideWindows<KahanSum>(
      input.windows,
      [&](size_t k) {
        return KahanSum{input.values[k], 0};
      },
      JoinSums,
      [&](size_t step, const KahanSum& sum) {
        const Window& window = input.windows[step];
        if (std::isfinite(sum.sum)) {
          const auto count = static_cast<double>(window.size());
          out[step] = sum.sum / count + sum.compensation / count;
          return;
        }
        RunningMean mean;
        for (size_t k = window.begin; k < window.end; ++k) mean.Add(input.values[k]);
        out[step] = mean.Value();
      });
}

void CountOverTime(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() > 0) out[i] = static_cast<double>(input.windows[i].size());
  }
}

void PresentOverTime(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() > 0) out[i] = 1;
  }
}

void LastOverTime(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() > 0) out[i] = input.values[input.windows[i].end - 1];
  }
}

void FirstOverTime(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() > 0) out[i] = input.values[input.windows[i].begin];
  }
}

void TimeOfFirst(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() == 0) continue;
    out[i] = static_cast<double>(input.timestamps[input.windows[i].begin]) / 1000;
  }
}

void TimeOfLast(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    if (input.windows[i].size() == 0) continue;
    out[i] = static_cast<double>(input.timestamps[input.windows[i].end - 1]) / 1000;
  }
}

// The extreme of a run: the index of its last occurrence. A NaN gives way to any number.
template <bool kMax>
void SlideExtreme(const WindowInput& input, std::span<double> out, bool time) {
  const auto better = [&](size_t a, size_t b) {  // b is later.
    const double x = input.values[a];
    const double y = input.values[b];
    if (std::isnan(y)) return std::isnan(x) ? b : a;
    if (std::isnan(x)) return b;
    return (kMax ? y >= x : y <= x) ? b : a;
  };
  SlideWindows<size_t>(
      input.windows, [](size_t k) { return k; }, better,
      [&](size_t step, size_t k) {
        out[step] = time ? static_cast<double>(input.timestamps[k]) / 1000 : input.values[k];
      });
}

void MinOverTime(const WindowInput& input, std::span<double> out) {
  SlideExtreme<false>(input, out, false);
}
void MaxOverTime(const WindowInput& input, std::span<double> out) {
  SlideExtreme<true>(input, out, false);
}
void TimeOfMin(const WindowInput& input, std::span<double> out) {
  SlideExtreme<false>(input, out, true);
}
void TimeOfMax(const WindowInput& input, std::span<double> out) {
  SlideExtreme<true>(input, out, true);
}

double Variance(std::span<const double> values) {
  double count = 0;
  KahanSum mean;
  KahanSum squares;
  for (double value : values) {
    ++count;
    const double delta = value - (mean.sum + mean.compensation);
    mean.Add(delta / count);
    squares.Add(delta * (value - (mean.sum + mean.compensation)));
  }
  return (squares.sum + squares.compensation) / count;
}

template <typename Function>
void EachWindow(const WindowInput& input, std::span<double> out, Function function) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() == 0) continue;
    if (!input.context->Tick(window.size())) return;
    out[i] = function(i, input.values.subspan(window.begin, window.size()));
  }
}

void StdvarOverTime(const WindowInput& input, std::span<double> out) {
  EachWindow(input, out, [](size_t, std::span<const double> values) { return Variance(values); });
}

void StddevOverTime(const WindowInput& input, std::span<double> out) {
  EachWindow(input, out,
             [](size_t, std::span<const double> values) { return std::sqrt(Variance(values)); });
}

// Whether the next window shares most of its samples with this one.
bool SlidesSlowly(const WindowInput& input, size_t step) {
  if (step + 1 >= input.windows.size()) return false;
  const Window& here = input.windows[step];
  const Window& next = input.windows[step + 1];
  return (next.begin - here.begin + next.end - here.end) * 8 <= here.size();
}

void QuantileOverTime(const WindowInput& input, std::span<double> out) {
  std::vector<double> values;
  SlidingOrder order;
  bool ordered = false;
  EachWindow(input, out, [&](size_t step, std::span<const double> window_values) {
    const Window& window = input.windows[step];
    const double rank = input.params[0][step];
    WarnOfQuantile(rank, input.position, &input.context->annotations());
    if (ordered || SlidesSlowly(input, step)) {
      const std::span<const double> sorted = order.Move(input.values, window.begin, window.end);
      ordered = SlidesSlowly(input, step);
      return QuantileOfSorted(rank, sorted);
    }
    values.assign(window_values.begin(), window_values.end());
    return Quantile(rank, &values);
  });
}

void MadOverTime(const WindowInput& input, std::span<double> out) {
  std::vector<double> sorted;
  EachWindow(input, out, [&](size_t, std::span<const double> values) {
    if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); })) {
      return NormalNan();
    }
    sorted.assign(values.begin(), values.end());
    const double median = Quantile(0.5, &sorted);
    for (double& value : sorted) value = std::abs(value - median);
    return Quantile(0.5, &sorted);
  });
}

void DoubleExponentialSmoothing(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const double smoothing = input.params[0][i];
    const double trend = input.params[1][i];
    if (!(smoothing > 0 && smoothing < 1)) {
      input.context->Error("invalid smoothing factor. Expected: 0 < sf < 1, got: ",
                           FormatFixed(smoothing));
      return;
    }
    if (!(trend > 0 && trend < 1)) {
      input.context->Error("invalid trend factor. Expected: 0 < tf < 1, got: ", FormatFixed(trend));
      return;
    }
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    if (!input.context->Tick(window.size())) return;
    const std::span<const double> values = input.values.subspan(window.begin, window.size());
    double previous = 0;
    double level = values[0];
    double slope = values[1] - values[0];
    for (size_t k = 1; k < values.size(); ++k) {
      if (k > 1) slope = trend * (level - previous) + (1 - trend) * slope;
      const double next = smoothing * values[k] + (1 - smoothing) * (level + slope);
      previous = level;
      level = next;
    }
    out[i] = level;
  }
}

constexpr bool kKeepsName = true;
constexpr bool kAnyKind = true;

constexpr WindowFunction kOverTimeFunctions[] = {
    {"sum_over_time", SumOverTime, false, false, nullptr, false, MixedSumOverTime},
    {"avg_over_time", AvgOverTime, false, false, nullptr, false, MixedAvgOverTime},
    {"count_over_time", CountOverTime, false, false, nullptr, kAnyKind},
    {"min_over_time", MinOverTime},
    {"max_over_time", MaxOverTime},
    {"last_over_time", LastOverTime, kKeepsName, false, nullptr, false, MixedLastOverTime},
    {"first_over_time", FirstOverTime, kKeepsName, false, nullptr, false, MixedFirstOverTime},
    {"present_over_time", PresentOverTime, false, false, nullptr, kAnyKind},
    {"stddev_over_time", StddevOverTime},
    {"stdvar_over_time", StdvarOverTime},
    {"quantile_over_time", QuantileOverTime},
    {"mad_over_time", MadOverTime},
    {"ts_of_first_over_time", TimeOfFirst, false, false, nullptr, kAnyKind},
    {"ts_of_last_over_time", TimeOfLast, false, false, nullptr, kAnyKind},
    {"ts_of_min_over_time", TimeOfMin},
    {"ts_of_max_over_time", TimeOfMax},
    {"double_exponential_smoothing", DoubleExponentialSmoothing},
};

}  // namespace

const WindowFunction* FindOverTimeFunction(std::string_view name) {
  for (const WindowFunction& function : kOverTimeFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace narthex::promql
