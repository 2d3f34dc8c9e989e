#include <cmath>

#include "services/query/promql/kahan.h"
#include "services/query/promql/mixed_windows.h"
#include "services/query/promql/window_functions.h"

// rate, increase, delta, irate, idelta, changes, resets, deriv, predict_linear.
namespace narthex::promql {
namespace {

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

// Whether a counter was reset among `count` values after the first.
bool HasReset(const double* values, size_t count) {
  // Resets are rare, so a run is looked at without branches, and several values at once: how far
  // they fall at most. A NaN does not count.
  constexpr size_t kRun = 32;
  constexpr size_t kLanes = 4;
  size_t i = 1;
  for (; i + kRun <= count; i += kRun) {
    double fall[kLanes] = {};
    for (size_t k = i; k < i + kRun; k += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const double lost = values[k + lane - 1] - values[k + lane];
        fall[lane] = lost > fall[lane] ? lost : fall[lane];
      }
    }
    if (fall[0] > 0 || fall[1] > 0 || fall[2] > 0 || fall[3] > 0) return true;
  }
  for (; i < count; ++i) {
    if (values[i] < values[i - 1]) return true;
  }
  return false;
}

// Sums up what was lost by the resets of a counter inside sliding windows. There are few, so each
// window adds up its own.
class ResetCorrection {
 public:
  explicit ResetCorrection(std::span<const double> values) : values_(values) {
    if (!HasReset(values.data(), values.size())) return;
    for (size_t i = 1; i < values.size(); ++i) {
      if (values[i] < values[i - 1]) resets_.push_back(i);
    }
  }

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
  std::vector<size_t> resets_;  // The indexes i with values[i] < values[i - 1].
  size_t first_ = 0;
};

// What extrapolation needs of some windows, as columns: the arithmetic, which is mostly divisions,
// then works on several windows at once. Times are in milliseconds.
struct Extrapolation {
  static constexpr size_t kSize = 32;
  double to_start[kSize];  // From the start of the window to its first sample.
  double to_end[kSize];
  double sampled[kSize];  // From the first sample to the last.
  double gaps[kSize];     // Between that many samples.
  double first[kSize];
  double change[kSize];
  double result[kSize];
  size_t step[kSize];
};

// Stretches the change between the first and the last sample to cover the whole window: to its
// borders, but at most half a sample interval where a border is far, and never below zero for a
// counter.
template <bool kCounter, bool kRate>
void Extrapolate(double range, Extrapolation* windows) {
  for (size_t k = 0; k < Extrapolation::kSize; ++k) {
    const double change = windows->change[k];
    const double sampled = windows->sampled[k] / 1000;
    const double average = sampled / windows->gaps[k];
    const double half = average / 2;
    const double threshold = average * 1.1;
    double to_start = windows->to_start[k] / 1000;
    double to_end = windows->to_end[k] / 1000;
    to_start = to_start >= threshold ? half : to_start;
    if (kCounter) {
      const double to_zero = sampled * (windows->first[k] / change);
      const bool cut = (change > 0) & (windows->first[k] >= 0) & (to_zero < to_start);
      to_start = cut ? to_zero : to_start;
    }
    to_end = to_end >= threshold ? half : to_end;
    double factor = (sampled + to_start + to_end) / sampled;
    if (kRate) factor /= range;
    windows->result[k] = change * factor;
  }
}

template <bool kCounter, bool kRate>
void Extrapolated(const WindowInput& input, std::span<double> out) {
  ResetCorrection correction(kCounter ? input.values : std::span<const double>());
  const double range = Seconds(input.spec->range_ms);
  Extrapolation windows{};
  size_t used = 0;
  const auto finish = [&] {
    Extrapolate<kCounter, kRate>(range, &windows);
    for (size_t k = 0; k < used; ++k) out[windows.step[k]] = windows.result[k];
    used = 0;
  };
  for (size_t i = 0; i < out.size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    const Timestamp first = input.timestamps[window.begin];
    const Timestamp last = input.timestamps[window.end - 1];
    const Timestamp range_end = input.spec->End(i);
    const double change = input.values[window.end - 1] - input.values[window.begin];
    windows.to_start[used] = static_cast<double>(first - (range_end - input.spec->range_ms));
    windows.to_end[used] = static_cast<double>(range_end - last);
    windows.sampled[used] = static_cast<double>(last - first);
    windows.gaps[used] = static_cast<double>(window.size() - 1);
    windows.first[used] = input.values[window.begin];
    windows.change[used] = kCounter ? correction.AddTo(change, window) : change;
    windows.step[used] = i;
    if (++used == Extrapolation::kSize) finish();
  }
  if (used > 0) finish();
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

constexpr bool kUsesStartTimestamps = true;

constexpr WindowFunction kRateFunctions[] = {
    {"rate", Extrapolated<true, true>, false, true, Extended<true, true>, false, MixedRate,
     MixedExtendedRate, kUsesStartTimestamps},
    {"increase", Extrapolated<true, false>, false, true, Extended<true, false>, false,
     MixedIncrease, MixedExtendedIncrease, kUsesStartTimestamps},
    {"delta", Extrapolated<false, false>, false, false, Extended<false, false>, false, MixedDelta,
     MixedExtendedDelta},
    {"irate", LastTwo<true>, false, false, nullptr, false, MixedIrate, nullptr,
     kUsesStartTimestamps},
    {"idelta", LastTwo<false>, false, false, nullptr, false, MixedIdelta},
    {"changes", Changes, false, false, Changes, false, MixedChanges, MixedChanges},
    {"resets", Resets, false, false, Resets, false, MixedResets, MixedResets, kUsesStartTimestamps},
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
