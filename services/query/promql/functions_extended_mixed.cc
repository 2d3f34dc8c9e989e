#include <algorithm>
#include <optional>
#include <utility>

#include "services/query/promql/histogram_rate.h"
#include "services/query/promql/mixed_windows.h"

// rate, increase and delta over anchored and smoothed ranges of series with histograms.
namespace narthex::promql {
namespace {

template <bool kCounter, bool kRate>
class ExtendedChange {
 public:
  ExtendedChange(const WindowInput& input, WindowKernel float_kernel)
      : input_(input), series_(input), float_kernel_(float_kernel) {}

  void Write(Row* out) const {
    // The windows of series of numbers end at the first neighbours on either side.
    std::vector<double> numbers(out->size(), Absent());
    (*float_kernel_)(input_, numbers);
    for (size_t i = 0; i < out->size(); ++i) {
      const Window window = WholeWindow(i);
      if (window.size() == 0) continue;
      if (!input_.context->Tick(window.size())) return;
      if (series_.IsMixed(window)) {
        WarnOfMixedRange(series_.site());
      } else if (series_.Floats(window) > 0) {
        out->SetNumber(i, numbers[i]);
      } else if (std::optional<FloatHistogram> change = Measure(i, window)) {
        out->SetHistogram(i, std::make_shared<FloatHistogram>(*std::move(change)));
      }
    }
  }

 private:
  // With all that the lookback reaches.
  Window WholeWindow(size_t step) const {
    const WindowSpec& spec = *input_.spec;
    const Timestamp after = spec.End(step) - spec.range_ms - spec.lookback_ms;
    const Timestamp end = spec.End(step) + (spec.smoothed ? spec.lookback_ms : 0);
    return {FirstAfter(after), FirstAfter(end)};
  }
  size_t FirstAfter(Timestamp time) const {
    return static_cast<size_t>(
        std::upper_bound(input_.timestamps.begin(), input_.timestamps.end(), time) -
        input_.timestamps.begin());
  }
  HistogramPoint Point(size_t sample) const {
    return {series_.time(sample), &series_.histogram(sample)};
  }

  std::optional<FloatHistogram> Measure(size_t step, const Window& window) const {
    const bool smoothed = input_.spec->smoothed;
    const Timestamp range_end = input_.spec->End(step);
    const Timestamp range_start = range_end - input_.spec->range_ms;
    // From the last sample at or before the start, to the last one inside or the first at or after
    // the end.
    size_t last = window.end - 1;
    const size_t later = std::min(FirstAfter(range_start), last);
    const size_t first = later > window.begin ? later - 1 : window.begin;
    if (smoothed) last = std::min(FirstAfter(range_end - 1), last);
    if (series_.time(last) <= range_start) return std::nullopt;
    if (smoothed && series_.time(first) > range_end) return std::nullopt;
    if (!Check({first, last + 1})) return std::nullopt;

    std::optional<FloatHistogram> left = series_.histogram(first);
    if (smoothed && series_.time(first) < range_start) {
      left = InterpolateHistograms(series_.site(), Point(first), Point(first + 1), range_start,
                                   kCounter);
    }
    std::optional<FloatHistogram> right = series_.histogram(last);
    if (smoothed && last > window.begin && series_.time(last) > range_end) {
      right =
          InterpolateHistograms(series_.site(), Point(last - 1), Point(last), range_end, kCounter);
    }
    if (!left.has_value() || !right.has_value()) return std::nullopt;
    if (!kCounter && (left->reset_hint != CounterResetHint::kGauge ||
                      right->reset_hint != CounterResetHint::kGauge)) {
      WarnOfNoGauge(series_.site());
    }
    HistogramSum change(*right);
    if (!NoteOutcome(series_.site(), change.Sub(*left), kHistogramSubtraction)) {
      return std::nullopt;
    }
    if (kCounter && !Correct(first, last, range_start, *left, *right, &change)) {
      return std::nullopt;
    }
    FloatHistogram result = change.Result();
    if (kRate) result = Divide(result, static_cast<double>(input_.spec->range_ms) / 1000);
    result.reset_hint = CounterResetHint::kGauge;
    return result;
  }

  bool Check(const Window& window) const {
    const bool custom = series_.histogram(window.begin).uses_custom_buckets();
    bool gauge = false;
    for (size_t i = window.begin; i < window.end; ++i) {
      if (series_.histogram(i).uses_custom_buckets() != custom) {
        WarnOfMixedSchemas(series_.site());
        return false;
      }
      gauge = gauge || series_.histogram(i).reset_hint == CounterResetHint::kGauge;
    }
    if (kCounter && gauge) WarnOfNoCounter(series_.site());
    return true;
  }

  // Adds what was lost by resets between the borders.
  bool Correct(size_t first, size_t last, Timestamp range_start, const FloatHistogram& left,
               const FloatHistogram& right, HistogramSum* change) const {
    size_t next = first + 1;
    const FloatHistogram* previous = &left;
    if (input_.spec->smoothed && series_.time(first) < range_start && next <= last &&
        DetectReset(series_.histogram(next), series_.histogram(first))) {
      // The left border lies within the reset and counts from nothing already.
      previous = &series_.histogram(next);
      ++next;
    }
    if (next > last) return true;
    const auto add = [&](const FloatHistogram& lost) {
      return NoteOutcome(series_.site(), change->Add(lost), kHistogramAddition);
    };
    for (; next < last; ++next) {
      const FloatHistogram& current = series_.histogram(next);
      if (DetectReset(current, *previous) && !add(*previous)) return false;
      previous = &current;
    }
    return !DetectReset(right, *previous) || add(*previous);
  }

  const WindowInput& input_;
  const MixedSeries series_;
  const WindowKernel float_kernel_;
};

WindowKernel FloatKernel(std::string_view name) { return FindRateFunction(name)->extended_kernel; }

}  // namespace

void MixedExtendedRate(const WindowInput& input, Row* out) {
  ExtendedChange<true, true>(input, FloatKernel("rate")).Write(out);
}
void MixedExtendedIncrease(const WindowInput& input, Row* out) {
  ExtendedChange<true, false>(input, FloatKernel("increase")).Write(out);
}
void MixedExtendedDelta(const WindowInput& input, Row* out) {
  ExtendedChange<false, false>(input, FloatKernel("delta")).Write(out);
}

}  // namespace narthex::promql
