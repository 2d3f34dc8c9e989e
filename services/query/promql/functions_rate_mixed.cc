#include <algorithm>
#include <optional>
#include <utility>

#include "services/query/promql/histogram_rate.h"
#include "services/query/promql/mixed_windows.h"

// rate, increase, delta, irate, idelta, changes and resets of series with histograms or start
// timestamps.
namespace narthex::promql {

MixedSeries::MixedSeries(const WindowInput& input)
    : samples_(*input.samples),
      starts_(input.context->options().use_start_timestamps ? samples_.start_timestamps()
                                                            : std::span<const Timestamp>()),
      site_{&input.context->annotations(), input.metric_name, input.position},
      histograms_before_(samples_.size() + 1, 0),
      resets_(samples_.size(), -1) {
  for (size_t i = 0; i < samples_.size(); ++i) {
    histograms_before_[i + 1] = histograms_before_[i] + (is_float(i) ? 0 : 1);
  }
}

bool MixedSeries::IsStartReset(size_t sample) const {
  return IsStartTimestampReset(start_time(sample - 1), time(sample - 1), start_time(sample),
                               time(sample));
}

bool MixedSeries::IsReset(size_t sample) const {
  int8_t& known = resets_[sample];
  if (known < 0) {
    const bool down = is_float(sample) ? value(sample) < value(sample - 1)
                                       : DetectReset(histogram(sample), histogram(sample - 1));
    known = down || IsStartReset(sample) ? 1 : 0;
  }
  return known == 1;
}

namespace {

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

void WarnOfOverlaps(const MixedSeries& series, const Window& window) {
  for (size_t i = window.begin + 1; i < window.end; ++i) {
    if (IsStartTimestampOverlap(series.start_time(i - 1), series.time(i - 1),
                                series.start_time(i))) {
      WarnOfStartTimeOverlap(series.site());
      return;
    }
  }
}

// All of one kind of buckets, but for a first one that does not count.
bool HaveOneKindOfBuckets(const MixedSeries& series, const Window& window, bool custom) {
  for (size_t i = window.begin + 1; i < window.end; ++i) {
    if (series.histogram(i).uses_custom_buckets() != custom) return false;
  }
  return true;
}

// By how much a counter went up within the window, over all resets. Nothing when the histograms
// have nothing in common. REQUIRES: two or more, all histograms.
std::optional<FloatHistogram> CounterIncrease(const MixedSeries& series, const Window& window) {
  const FloatHistogram& first = series.histogram(window.begin);
  const FloatHistogram& second = series.histogram(window.begin + 1);
  const FloatHistogram& last = series.histogram(window.end - 1);
  // A first histogram before a reset does not count, whatever its buckets.
  const bool reset_at_once = series.IsReset(window.begin + 1);
  FloatHistogram nothing;
  nothing.schema = second.schema;
  nothing.custom_values = second.custom_values;
  const FloatHistogram& base = reset_at_once ? nothing : first;
  if (!HaveOneKindOfBuckets(series, window, base.uses_custom_buckets())) {
    WarnOfMixedSchemas(series.site());
    return std::nullopt;
  }
  bool gauge = false;
  int32_t schema = base.schema;
  for (size_t i = window.begin; i < window.end; ++i) {
    gauge = gauge || series.histogram(i).reset_hint == CounterResetHint::kGauge;
    if (i > window.begin) schema = std::min(schema, series.histogram(i).schema);
  }
  if (gauge) WarnOfNoCounter(series.site());
  HistogramSum sum(last);
  sum.LimitResolution(schema);
  NoteOutcome(series.site(), sum.Sub(base), kHistogramSubtraction);
  WarnOfOverlaps(series, window);
  const FloatHistogram* previous = &base;
  for (size_t i = window.begin + 1; i < window.end; ++i) {
    const bool reset = previous == &nothing ? series.IsStartReset(i) || DetectReset(second, nothing)
                                            : series.IsReset(i);
    if (reset) NoteOutcome(series.site(), sum.Add(*previous), kHistogramAddition);
    previous = &series.histogram(i);
  }
  FloatHistogram increase = sum.Result();
  increase.reset_hint = CounterResetHint::kGauge;
  return increase;
}

// The difference of the last and the first of a gauge.
std::optional<FloatHistogram> GaugeChange(const MixedSeries& series, const FloatHistogram& first,
                                          const FloatHistogram& last) {
  HistogramSum sum(last);
  if (!NoteOutcome(series.site(), sum.Sub(first), kHistogramSubtraction)) return std::nullopt;
  if (first.reset_hint != CounterResetHint::kGauge || last.reset_hint != CounterResetHint::kGauge) {
    WarnOfNoGauge(series.site());
  }
  FloatHistogram change = sum.Result();
  change.reset_hint = CounterResetHint::kGauge;
  return change;
}

double FloatChange(const MixedSeries& series, const Window& window, bool counter) {
  double change = series.value(window.end - 1) - series.value(window.begin);
  if (!counter) return change;
  WarnOfOverlaps(series, window);
  for (size_t i = window.begin + 1; i < window.end; ++i) {
    if (series.IsReset(i)) change += series.value(i - 1);
  }
  return change;
}

// What a window of one kind changed by.
struct Change {
  double number = 0;
  std::optional<FloatHistogram> histogram;
  // Of the first sample, and of the change: values, or counts of observations.
  double first = 0;
  double total = 0;
};

template <bool kCounter, bool kRate>
class Extrapolation {
 public:
  explicit Extrapolation(const WindowInput& input) : input_(input), series_(input) {}

  void Write(Row* out) const {
    for (size_t i = 0; i < out->size(); ++i) {
      const Window& window = input_.windows[i];
      if (window.size() == 0) continue;
      if (!input_.context->Tick(window.size())) return;
      if (series_.IsMixed(window)) {
        WarnOfMixedRange(series_.site());
      } else {
        WriteStep(i, window, out);
      }
    }
  }

 private:
  void WriteStep(size_t step, const Window& window, Row* out) const {
    const bool histograms = series_.Histograms(window) > 0;
    Change change;
    if (window.size() > 1 && !Measure(window, histograms, &change)) return;
    const Timestamp range_start = input_.spec->End(step) - input_.spec->range_ms;
    const Timestamp first_time = series_.time(window.begin);
    const Timestamp start = kCounter ? series_.start_time(window.begin) : 0;
    double sampled = Seconds(series_.time(window.end - 1) - first_time);
    double to_start = 0;
    if (start != 0 && start > range_start && start < first_time) {
      // The counter began within the range: what the first sample has came in the range, too.
      sampled = Seconds(series_.time(window.end - 1) - start);
      if (!AddFirst(window.begin, histograms, &change)) return;
    } else if (window.size() == 1) {
      return;
    } else {
      to_start = ToStart(window, first_time - range_start, sampled, change);
    }
    const double average = Average(window);
    double to_end = Seconds(input_.spec->End(step) - series_.time(window.end - 1));
    if (to_end >= average * 1.1) to_end = average / 2;
    double factor = sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
    if (kRate) factor /= Seconds(input_.spec->range_ms);
    if (histograms) {
      out->SetHistogram(step,
                        std::make_shared<FloatHistogram>(Multiply(*change.histogram, factor)));
    } else {
      out->SetNumber(step, change.number * factor);
    }
  }

  bool Measure(const Window& window, bool histograms, Change* change) const {
    if (!histograms) {
      change->number = FloatChange(series_, window, kCounter);
      change->first = series_.value(window.begin);
      change->total = change->number;
      return true;
    }
    const FloatHistogram& first = series_.histogram(window.begin);
    change->histogram = kCounter ? CounterIncrease(series_, window)
                                 : GaugeChange(series_, first, series_.histogram(window.end - 1));
    if (!change->histogram.has_value()) return false;
    change->first = first.count;
    change->total = change->histogram->count;
    return true;
  }

  bool AddFirst(size_t sample, bool histograms, Change* change) const {
    if (!histograms) {
      change->number += series_.value(sample);
      return true;
    }
    if (!change->histogram.has_value()) {
      change->histogram = series_.histogram(sample);
      return true;
    }
    HistogramSum sum(*change->histogram);
    if (!NoteOutcome(series_.site(), sum.Add(series_.histogram(sample)), kHistogramAddition)) {
      return false;
    }
    change->histogram = sum.Result();
    return true;
  }

  double Average(const Window& window) const {
    if (window.size() < 2) return 0;
    return Seconds(series_.time(window.end - 1) - series_.time(window.begin)) /
           static_cast<double>(window.size() - 1);
  }

  double ToStart(const Window& window, int64_t distance_ms, double sampled,
                 const Change& change) const {
    const double average = Average(window);
    double to_start = Seconds(distance_ms);
    if (to_start >= average * 1.1) to_start = average / 2;
    if (kCounter && change.total > 0 && change.first >= 0) {
      to_start = std::min(to_start, sampled * (change.first / change.total));
    }
    return to_start;
  }

  const WindowInput& input_;
  const MixedSeries series_;
};

// The last two samples of each window; of a counter, `kRate`.
template <bool kRate>
void LastTwo(const WindowInput& input, Row* out) {
  const MixedSeries series(input);
  for (size_t i = 0; i < out->size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() < 2) continue;
    const size_t last = window.end - 1;
    if (series.is_float(last) != series.is_float(last - 1)) {
      WarnOfMixedRange(series.site());
      continue;
    }
    const double seconds = Seconds(series.time(last) - series.time(last - 1));
    if (series.is_float(last)) {
      const bool reset = kRate && series.IsReset(last);
      const double change = series.value(last) - (reset ? 0 : series.value(last - 1));
      out->SetNumber(i, kRate ? change / seconds : change);
      continue;
    }
    const FloatHistogram& first = series.histogram(last - 1);
    const FloatHistogram& second = series.histogram(last);
    std::optional<FloatHistogram> change;
    if (!kRate) {
      change = GaugeChange(series, first, second);
    } else {
      if (first.reset_hint == CounterResetHint::kGauge ||
          second.reset_hint == CounterResetHint::kGauge) {
        WarnOfNoCounter(series.site());
      }
      HistogramSum sum(second);
      if (series.IsReset(last) ||
          NoteOutcome(series.site(), sum.Sub(first), kHistogramSubtraction)) {
        change = Divide(sum.Result(), seconds);
        change->reset_hint = CounterResetHint::kGauge;
      }
    }
    if (change.has_value()) {
      out->SetHistogram(i, std::make_shared<FloatHistogram>(*std::move(change)));
    }
  }
}

// Counts the neighbours for which `differ(series, sample)` is true; a change of kind always counts.
template <typename Differ>
void CountPairs(const WindowInput& input, Row* out, Differ differ) {
  const MixedSeries series(input);
  for (size_t i = 0; i < out->size(); ++i) {
    const Window& window = input.windows[i];
    if (window.size() == 0) continue;
    if (input.spec->anchored) {
      const Timestamp range_start = input.spec->End(i) - input.spec->range_ms;
      if (series.time(window.end - 1) <= range_start) continue;
    }
    double pairs = 0;
    for (size_t k = window.begin + 1; k < window.end; ++k) {
      const bool other_kind = series.is_float(k) != series.is_float(k - 1);
      if (other_kind || differ(series, k)) ++pairs;
    }
    out->SetNumber(i, pairs);
  }
}

}  // namespace

void MixedRate(const WindowInput& input, Row* out) { Extrapolation<true, true>(input).Write(out); }
void MixedIncrease(const WindowInput& input, Row* out) {
  Extrapolation<true, false>(input).Write(out);
}
void MixedDelta(const WindowInput& input, Row* out) {
  Extrapolation<false, false>(input).Write(out);
}
void MixedIrate(const WindowInput& input, Row* out) { LastTwo<true>(input, out); }
void MixedIdelta(const WindowInput& input, Row* out) { LastTwo<false>(input, out); }

void MixedChanges(const WindowInput& input, Row* out) {
  CountPairs(input, out, [](const MixedSeries& series, size_t k) {
    if (!series.is_float(k)) return !EqualHistograms(series.histogram(k), series.histogram(k - 1));
    const double previous = series.value(k - 1);
    const double current = series.value(k);
    return current != previous && !(std::isnan(current) && std::isnan(previous));
  });
}

void MixedResets(const WindowInput& input, Row* out) {
  CountPairs(input, out, [](const MixedSeries& series, size_t k) { return series.IsReset(k); });
}

}  // namespace narthex::promql
