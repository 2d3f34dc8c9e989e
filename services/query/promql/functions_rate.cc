#include <cmath>

#include "services/query/promql/kahan.h"
#include "services/query/promql/window_functions.h"

// rate, increase, delta, irate, idelta, changes, resets, deriv, predict_linear.
namespace narthex::promql {
namespace {

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

// The indexes i at which a counter was reset: values[i] < values[i - 1]. There are few, so each
// window adds up its own.
std::vector<size_t> FindResets(std::span<const double> values) {
  std::vector<size_t> resets;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] < values[i - 1]) resets.push_back(i);
  }
  return resets;
}

// Sums up what was lost by the resets inside sliding windows.
class ResetCorrection {
 public:
  explicit ResetCorrection(std::span<const double> values)
      : values_(values), resets_(FindResets(values)) {}

  // REQUIRES: windows come in order.
  double AddTo(double result, const Window& window) {
    while (first_ < resets_.size() && resets_[first_] <= window.begin) ++first_;
    for (size_t k = first_; k < resets_.size() && resets_[k] < window.end; ++k) {
      result += values_[resets_[k] - 1];
    }
    return result;
  }

 private:
  const std::span<const double> values_;
  const std::vector<size_t> resets_;
  size_t first_ = 0;
};

// How much the change between the first and the last sample is stretched to cover the whole window:
// to its borders, but at most half a sample interval where a border is far, and never below zero
// for a counter.
double ExtrapolationFactor(const WindowInput& input, size_t step, double change, bool counter) {
  const Window& window = input.windows[step];
  const Timestamp first = input.timestamps[window.begin];
  const Timestamp last = input.timestamps[window.end - 1];
  const Timestamp range_end = input.spec->End(step);
  double to_start = Seconds(first - (range_end - input.spec->range_ms));
  double to_end = Seconds(range_end - last);
  const double sampled = Seconds(last - first);
  const double average = sampled / static_cast<double>(window.size() - 1);
  const double threshold = average * 1.1;
  if (to_start >= threshold) to_start = average / 2;
  if (counter && change > 0 && input.values[window.begin] >= 0) {
    const double to_zero = sampled * (input.values[window.begin] / change);
    if (to_zero < to_start) to_start = to_zero;
  }
  if (to_end >= threshold) to_end = average / 2;
  return (sampled + to_start + to_end) / sampled;
}

template <bool kCounter, bool kRate>
void Extrapolated(const WindowInput& input, std::span<double> out) {
  ResetCorrection correction(kCounter ? input.values : std::span<const double>());
  const double range = Seconds(input.spec->range_ms);
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    double change = input.values[window.end - 1] - input.values[window.begin];
    if (kCounter) change = correction.AddTo(change, window);
    double factor = ExtrapolationFactor(input, i, change, kCounter);
    if (kRate) factor /= range;
    out[i] = change * factor;
  }
}

// Between two samples; a counter that was reset between them counts from zero.
double Interpolate(const WindowInput& input, size_t left, Timestamp time, bool counter) {
  double from = input.values[left];
  const double to = input.values[left + 1];
  if (counter && to < from) from = 0;
  const Timestamp start = input.timestamps[left];
  return from + (to - from) * static_cast<double>(time - start) /
                    static_cast<double>(input.timestamps[left + 1] - start);
}

// anchored: from the sample at or before the start of the range to the last one inside. smoothed:
// between values interpolated at both borders.
template <bool kCounter, bool kRate>
void Extended(const WindowInput& input, std::span<double> out) {
  const bool smoothed = input.spec->smoothed;
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    const Timestamp range_end = input.spec->End(i);
    const Timestamp range_start = range_end - input.spec->range_ms;
    if (window.size() == 0) continue;
    size_t first = window.begin;
    size_t last = window.end - 1;
    if (input.timestamps[last] <= range_start || input.timestamps[first] > range_end) continue;
    double left = input.values[first];
    double right = input.values[last];
    if (smoothed && input.timestamps[first] < range_start) {
      left = Interpolate(input, first, range_start, kCounter);
    }
    if (smoothed && input.timestamps[last] > range_end) {
      right = Interpolate(input, last - 1, range_end, kCounter);
    }
    double change = right - left;
    if (kCounter) {
      // The borders themselves are left and right.
      if (input.timestamps[first] <= range_start) ++first;
      size_t end = last + 1;
      if (input.timestamps[last] >= range_end) --end;
      double previous = left;
      for (size_t k = first; k < end; ++k) {
        if (input.values[k] < previous) change += previous;
        previous = input.values[k];
      }
      if (right < previous) change += previous;
    }
    out[i] = kRate ? change / Seconds(input.spec->range_ms) : change;
  }
}

template <bool kRate>
void LastTwo(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    const size_t last = window.end - 1;
    const int64_t interval = input.timestamps[last] - input.timestamps[last - 1];
    double change = input.values[last] - input.values[last - 1];
    if (kRate && input.values[last] < input.values[last - 1]) change = input.values[last];
    out[i] = kRate ? change / Seconds(interval) : change;
  }
}

// Counts the neighbours within each window for which `differ(previous, current)` is true.
template <typename Differ>
void CountPairs(const WindowInput& input, std::span<double> out, Differ differ) {
  // pairs[i]: how many up to and with the pair (i - 1, i).
  std::vector<uint32_t> pairs(input.values.size(), 0);
  for (size_t i = 1; i < input.values.size(); ++i) {
    pairs[i] = pairs[i - 1] + (differ(input.values[i - 1], input.values[i]) ? 1 : 0);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() == 0) continue;
    if (input.spec->anchored) {
      const Timestamp range_start = input.spec->End(i) - input.spec->range_ms;
      if (input.timestamps[window.end - 1] <= range_start) continue;
    }
    out[i] = pairs[window.end - 1] - pairs[window.begin];
  }
}

void Changes(const WindowInput& input, std::span<double> out) {
  CountPairs(input, out, [](double previous, double current) {
    return current != previous && !(std::isnan(current) && std::isnan(previous));
  });
}

void Resets(const WindowInput& input, std::span<double> out) {
  CountPairs(input, out, [](double previous, double current) { return current < previous; });
}

struct Line {
  double slope;
  double intercept;
};

// Least squares over a window; x is the time in seconds after `origin`.
Line Regress(const WindowInput& input, const Window& window, Timestamp origin) {
  const double first = input.values[window.begin];
  KahanSum x_sum;
  KahanSum y_sum;
  KahanSum xy_sum;
  KahanSum xx_sum;
  bool constant = true;
  for (size_t k = window.begin; k < window.end; ++k) {
    const double x = Seconds(input.timestamps[k] - origin);
    const double y = input.values[k];
    if (y != first) constant = false;
    x_sum.Add(x);
    y_sum.Add(y);
    xy_sum.Add(x * y);
    xx_sum.Add(x * x);
  }
  if (constant) {
    if (std::isinf(first)) return {std::nan(""), std::nan("")};
    return {0, first};
  }
  const auto count = static_cast<double>(window.size());
  const double x = x_sum.sum + x_sum.compensation;
  const double y = y_sum.sum + y_sum.compensation;
  const double covariance = xy_sum.sum + xy_sum.compensation - x * y / count;
  const double variance = xx_sum.sum + xx_sum.compensation - x * x / count;
  const double slope = covariance / variance;
  return {slope, y / count - slope * x / count};
}

void Deriv(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    out[i] = Regress(input, window, input.timestamps[window.begin]).slope;
  }
}

void PredictLinear(const WindowInput& input, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    const Line line = Regress(input, window, input.spec->grid.At(i));
    out[i] = line.slope * input.params[0][i] + line.intercept;
  }
}

constexpr WindowFunction kRateFunctions[] = {
    {"rate", Extrapolated<true, true>, false, true, Extended<true, true>},
    {"increase", Extrapolated<true, false>, false, true, Extended<true, false>},
    {"delta", Extrapolated<false, false>, false, false, Extended<false, false>},
    {"irate", LastTwo<true>},
    {"idelta", LastTwo<false>},
    {"changes", Changes, false, false, Changes},
    {"resets", Resets, false, false, Resets},
    {"deriv", Deriv},
    {"predict_linear", PredictLinear},
};

}  // namespace

const WindowFunction* FindRateFunction(std::string_view name) {
  for (const WindowFunction& function : kRateFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace narthex::promql
