#include "services/query/promql/selectors.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/query/promql/histogram_annotations.h"
#include "services/query/promql/histogram_rate.h"

namespace narthex::promql {

size_t CountPresent(std::span<const double> values) {
  return static_cast<size_t>(std::count_if(values.begin(), values.end(), IsPresent));
}

size_t CountPresent(const Row& row) {
  const auto histograms =
      std::count_if(row.histograms.begin(), row.histograms.end(),
                    [](const HistogramPtr& histogram) { return histogram != nullptr; });
  return CountPresent(row.values) + static_cast<size_t>(histograms);
}

size_t SampleCount(const FloatHistogram& histogram) {
  constexpr size_t kFixedBytes = 168;  // Without its lists, as upstream counts.
  constexpr size_t kSampleBytes = 16;
  const size_t listed = histogram.positive_spans.size() + histogram.negative_spans.size() +
                        histogram.positive_buckets.size() + histogram.negative_buckets.size() +
                        histogram.custom_values.size();
  return (kFixedBytes + sizeof(Timestamp) + listed * sizeof(double)) / kSampleBytes;
}

size_t SampleCount(const Row& row) {
  size_t count = CountPresent(row.values);
  for (const HistogramPtr& histogram : row.histograms) {
    if (histogram != nullptr) count += SampleCount(*histogram);
  }
  return count;
}

size_t MemoryBytes(const Row& row) {
  size_t bytes = sizeof(Row) + row.values.capacity() * sizeof(double);
  if (row.histograms.empty()) return bytes;
  bytes += row.histograms.capacity() * sizeof(HistogramPtr);
  for (const HistogramPtr& histogram : row.histograms) {
    if (histogram != nullptr) bytes += SampleCount(*histogram) * sizeof(double) * 2;
  }
  return bytes;
}

namespace {

// A MutexLock where there is a mutex.
class OptionalLock {
 public:
  explicit OptionalLock(Mutex* mu) {
    if (mu != nullptr) lock_.emplace(mu);
  }

 private:
  std::optional<MutexLock> lock_;
};

// Reads the series of one selector into a buffer, one at a time.
class StorageReader {
 public:
  StorageReader(EvalContext* context, size_t selector, bool detect_resets)
      : context_(context), selector_(selector), detect_resets_(detect_resets), holding_(context) {}

  ~StorageReader() {
    if (set_ == nullptr) return;
    const OptionalLock lock(context_->sets_mutex());
    set_.reset();
  }

  // False at the end or on an error.
  bool Next(SampleBuffer* samples) {
    if (!context_->ok()) return false;
    if (!(ahead_ != nullptr ? NextAhead(samples) : NextHere(samples))) return false;
    size_t samples_held = samples->size();
    context_->stats().samples_read += samples_held;
    if (samples->has_histograms()) {
      samples_held += HistogramsToFloat(samples);
      if (detect_resets_) DetectResets(samples);
    }
    const size_t ahead = ahead_ == nullptr ? 0 : ahead_->memory_bytes();
    return holding_.Set(samples_held,
                        ahead + std::max(samples->memory_bytes(), samples_held * 16)) &&
           context_->Tick(samples_held);
  }
  const Labels& labels() const { return ahead_ != nullptr ? ahead_->labels() : set_->labels(); }

 private:
  bool Failed(const absl::Status& status) {
    if (!status.ok()) context_->Fail(status);
    return false;
  }

  bool NextHere(SampleBuffer* samples) {
    if (set_ == nullptr) set_ = context_->TakeSeriesSet(selector_);
    if (read_ >= context_->options().read_ahead_samples_min && !asked_ahead_) {
      asked_ahead_ = true;
      ahead_ = context_->StartReadAhead(&set_);
      if (ahead_ != nullptr) return NextAhead(samples);
    }
    const OptionalLock lock(context_->sets_mutex());
    if (!set_->Next()) return Failed(set_->status());
    samples->Clear();
    if (absl::Status status = set_->ReadSamples(samples); !status.ok()) return Failed(status);
    read_ += samples->size();
    return true;
  }

  bool NextAhead(SampleBuffer* samples) {
    return ahead_->Next(samples) || Failed(ahead_->status());
  }

  // Evaluation knows one kind of histogram. What the histograms count as beyond one sample each.
  static size_t HistogramsToFloat(SampleBuffer* samples) {
    SampleBuffer converted;
    converted.Reserve(samples->size());
    size_t more = 0;
    for (size_t i = 0; i < samples->size(); ++i) {
      if (samples->kind(i) == SampleKind::kHistogram) {
        FloatHistogram histogram = ToFloat(samples->histogram(i));
        Simplify(&histogram);
        more += SampleCount(histogram) - 1;
        converted.AppendFloatHistogram(samples->timestamps()[i], std::move(histogram));
      } else if (samples->kind(i) == SampleKind::kFloatHistogram) {
        FloatHistogram histogram = samples->float_histogram(i);
        Simplify(&histogram);
        more += SampleCount(histogram) - 1;
        converted.AppendFloatHistogram(samples->timestamps()[i], std::move(histogram));
      } else {
        converted.Append(samples->timestamps()[i], samples->values()[i]);
      }
      if (!samples->start_timestamps().empty()) {
        converted.SetStartTimestamp(samples->start_timestamps()[i]);
      }
    }
    *samples = std::move(converted);
    return more;
  }

  // Reserved resolutions are finer than anything that evaluation knows.
  static void Simplify(FloatHistogram* histogram) {
    if (histogram->schema > kExponentialSchemaMax) {
      ReduceResolution(kExponentialSchemaMax, histogram);
    }
  }

  static void DetectResets(SampleBuffer* samples) {
    const FloatHistogram* previous = nullptr;
    for (size_t i = 0; i < samples->size(); ++i) {
      if (samples->kind(i) != SampleKind::kFloatHistogram || IsStale(samples->values()[i]))
        continue;
      FloatHistogram* const histogram = samples->mutable_float_histogram(i);
      if (histogram->reset_hint == CounterResetHint::kUnknown && previous != nullptr) {
        histogram->reset_hint = DetectReset(*histogram, *previous) ? CounterResetHint::kReset
                                                                   : CounterResetHint::kNotReset;
      }
      previous = histogram;
    }
  }

  EvalContext* const context_;
  const size_t selector_;
  const bool detect_resets_;
  std::unique_ptr<storage::SeriesSet> set_;  // Null before the start, and when ahead_ has it.
  std::unique_ptr<ReadAhead> ahead_;
  bool asked_ahead_ = false;
  size_t read_ = 0;
  Holding holding_;
};

class InstantSelector : public VectorOperator {
 public:
  InstantSelector(EvalContext* context, const InstantSelection& selection)
      : context_(context),
        selection_(selection),
        reader_(context, selection.selector, selection.detect_resets) {}

  bool Next(Row* row) override {
    if (!reader_.Next(&samples_)) return false;
    // What is said of histograms names their metric.
    const bool labelled = !selection_.labels_unused || samples_.has_histograms();
    row->labels = labelled ? reader_.labels() : Labels();
    row->drop_name = false;
    row->values.resize(selection_.grid.count);
    row->histograms.clear();
    if (samples_.has_histograms()) {
      ReadMixed(row);
    } else if (selection_.fixed) {
      size_t cursor = 0;
      const double value = ValueAt(selection_.fixed_time - selection_.offset_ms, &cursor);
      std::fill(row->values.begin(), row->values.end(), value);
    } else {
      size_t cursor = 0;
      for (size_t i = 0; i < row->values.size(); ++i) {
        row->values[i] = ValueAt(selection_.grid.At(i) - selection_.offset_ms, &cursor);
      }
    }
    CountSamples(*row);
    return context_->ok();
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // Of a series with histograms. Steps that see the same sample share its histogram.
  void ReadMixed(Row* row) {
    row->Reset(selection_.grid.count);
    size_t cursor = 0;
    size_t last = kNone;
    HistogramPtr shared;
    for (size_t i = 0; i < row->size(); ++i) {
      const Timestamp time =
          (selection_.fixed ? selection_.fixed_time : selection_.grid.At(i)) - selection_.offset_ms;
      if (selection_.smoothed) {
        Smooth(row, i, time, &cursor);
        continue;
      }
      const size_t newest = NewestAt(time, &cursor);
      if (newest == kNone) continue;
      const double value = samples_.values()[newest];
      if (selection_.numbers_only && samples_.kind(newest) != SampleKind::kFloat &&
          !IsStale(value)) {
        context_->Error("this should be an info metric, with float samples: ",
                        row->labels.ToString());
        return;
      }
      if (samples_.kind(newest) == SampleKind::kFloat || IsStale(value) ||
          selection_.reads != InstantSelection::Reads::kValues) {
        row->SetNumber(i, ReadNumber(newest));
        continue;
      }
      if (newest != last) {
        shared = std::make_shared<FloatHistogram>(samples_.float_histogram(newest));
        last = newest;
      }
      row->SetHistogram(i, shared);
    }
  }

  void CountSamples(const Row& row) {
    context_->CountQueryable(selection_.grid, CountPresent(row));
    if (!context_->counts_steps()) return;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row.PresentAt(i)) context_->CountStep(selection_.grid, i, 1);
    }
  }

  // `*cursor` is the number of samples at or before the last asked time, which never goes back.
  double ValueAt(Timestamp time, size_t* cursor) const {
    const size_t newest = NewestAt(time, cursor);
    if (selection_.smoothed) return SmoothedAt(time, *cursor);
    return newest == kNone ? Absent() : ReadNumber(newest);
  }

  // The sample that an instant selector sees at `time`.
  size_t NewestAt(Timestamp time, size_t* cursor) const {
    const std::span<const Timestamp> timestamps = samples_.timestamps();
    while (*cursor < timestamps.size() && timestamps[*cursor] <= time) ++*cursor;
    if (*cursor == 0) return kNone;
    const size_t newest = *cursor - 1;
    return timestamps[newest] <= time - selection_.lookback_ms ? kNone : newest;
  }

  double ReadNumber(size_t sample) const {
    const double value = samples_.values()[sample];
    if (IsStale(value) || selection_.reads == InstantSelection::Reads::kValues) return value;
    const bool starts = selection_.reads == InstantSelection::Reads::kStartTimestamps;
    if (starts && samples_.start_timestamps().empty()) return 0;
    const Timestamp time =
        starts ? samples_.start_timestamps()[sample] : samples_.timestamps()[sample];
    return static_cast<double>(time) / 1000;
  }

  // Between its neighbours within the lookback on either side; `after` is the first sample later
  // than `time`.
  double SmoothedAt(Timestamp time, size_t after) const {
    const std::span<const Timestamp> timestamps = samples_.timestamps();
    const std::span<const double> values = samples_.values();
    size_t before = after;
    while (before > 0 && IsStale(values[before - 1])) --before;
    while (after < values.size() && IsStale(values[after])) ++after;
    if (before == 0) return Absent();
    --before;
    if (timestamps[before] <= time - selection_.lookback_ms) return Absent();
    if (timestamps[before] == time || after == values.size() ||
        timestamps[after] > time + selection_.lookback_ms) {
      return values[before];
    }
    const double fraction = static_cast<double>(time - timestamps[before]) /
                            static_cast<double>(timestamps[after] - timestamps[before]);
    return values[before] + (values[after] - values[before]) * fraction;
  }

  // The same of histograms; a series that goes from one kind to the other has no value between.
  void Smooth(Row* row, size_t step, Timestamp time, size_t* cursor) {
    NewestAt(time, cursor);
    const std::span<const Timestamp> timestamps = samples_.timestamps();
    const std::span<const double> values = samples_.values();
    size_t first = *cursor;
    while (first > 0 && timestamps[first - 1] > time - selection_.lookback_ms) --first;
    size_t before = kNone;
    size_t after = kNone;
    bool floats = false;
    bool histograms = false;
    for (size_t i = first; i < values.size(); ++i) {
      if (timestamps[i] > time + selection_.lookback_ms) break;
      if (IsStale(values[i])) continue;
      const bool is_float = samples_.kind(i) == SampleKind::kFloat;
      floats = floats || is_float;
      histograms = histograms || !is_float;
      if (timestamps[i] <= time) before = i;
      if (timestamps[i] > time && after == kNone) after = i;
    }
    const AnnotationSite site{&context_->annotations(), row->labels.metric_name(),
                              selection_.position};
    if (floats && histograms) {
      WarnOfMixedRange(site);
    } else if (floats) {
      row->SetNumber(step, SmoothedAt(time, *cursor));
    } else if (before != kNone) {
      std::optional<FloatHistogram> between = Between(site, before, after, time);
      if (!between.has_value()) return;
      row->SetHistogram(step, std::make_shared<FloatHistogram>(*std::move(between)));
    }
  }

  std::optional<FloatHistogram> Between(const AnnotationSite& site, size_t before, size_t after,
                                        Timestamp time) const {
    const std::span<const Timestamp> timestamps = samples_.timestamps();
    const FloatHistogram& first = samples_.float_histogram(before);
    if (timestamps[before] == time) return first;
    if (after == kNone) {
      // The hint tells of the sample before, not of the value.
      FloatHistogram carried = first;
      carried.reset_hint = CounterResetHint::kUnknown;
      return carried;
    }
    const FloatHistogram& second = samples_.float_histogram(after);
    if (first.uses_custom_buckets() != second.uses_custom_buckets()) {
      WarnOfMixedSchemas(site);
      return std::nullopt;
    }
    const bool counter = first.reset_hint != CounterResetHint::kGauge ||
                         second.reset_hint != CounterResetHint::kGauge;
    return InterpolateHistograms(site, {timestamps[before], &first}, {timestamps[after], &second},
                                 time, counter);
  }

  EvalContext* const context_;
  const InstantSelection selection_;
  StorageReader reader_;
  SampleBuffer samples_;
};

class RangeSelector : public RangeOperator {
 public:
  RangeSelector(EvalContext* context, size_t selector, const WindowSpec& windows,
                bool detect_resets)
      : RangeOperator(windows), reader_(context, selector, detect_resets) {}

  bool Next(RangeSeries* series) override {
    if (!reader_.Next(&series->samples)) return false;
    series->labels = reader_.labels();
    series->drop_name = false;
    RemoveStale(&series->samples);
    return true;
  }

 private:
  static void RemoveStale(SampleBuffer* samples) {
    const std::span<const double> values = samples->values();
    const auto first =
        std::find_if(values.begin(), values.end(), [](double value) { return IsStale(value); });
    if (first == values.end()) return;
    samples->Filter(static_cast<size_t>(first - values.begin()),
                    [&](size_t i) { return !IsStale(values[i]); });
  }

  StorageReader reader_;
};

class SubqueryRange : public RangeOperator {
 public:
  SubqueryRange(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                const WindowSpec& windows)
      : RangeOperator(windows),
        context_(context),
        inner_(std::move(inner)),
        grid_(inner_grid),
        holding_(context) {}

  bool Next(RangeSeries* series) override {
    if (inner_ == nullptr || !inner_->Next(&row_)) return false;
    series->labels = row_.labels;
    series->drop_name = row_.drop_name;
    series->samples.Clear();
    for (size_t i = 0; i < row_.values.size(); ++i) {
      if (const FloatHistogram* histogram = row_.HistogramAt(i)) {
        FloatHistogram sample = *histogram;
        // What it knows of resets is about the sample that was stored before it.
        if (sample.reset_hint != CounterResetHint::kGauge) {
          sample.reset_hint = CounterResetHint::kUnknown;
        }
        series->samples.AppendFloatHistogram(grid_.At(i), std::move(sample));
      } else if (IsPresent(row_.values[i])) {
        series->samples.Append(grid_.At(i), row_.values[i]);
      }
    }
    const size_t samples = SampleCount(row_);
    return holding_.Set(samples, std::max(series->samples.memory_bytes(), samples * 16)) &&
           context_->Tick(samples);
  }

 private:
  EvalContext* const context_;
  const VectorOperatorPtr inner_;
  const Grid grid_;
  Row row_;
  Holding holding_;
};

}  // namespace

VectorOperatorPtr MakeInstantSelector(EvalContext* context, const InstantSelection& selection) {
  return std::make_unique<InstantSelector>(context, selection);
}

RangeOperatorPtr MakeRangeSelector(EvalContext* context, size_t selector, const WindowSpec& windows,
                                   bool detect_resets) {
  return std::make_unique<RangeSelector>(context, selector, windows, detect_resets);
}

RangeOperatorPtr MakeSubquery(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                              const WindowSpec& windows) {
  return std::make_unique<SubqueryRange>(context, std::move(inner), inner_grid, windows);
}

}  // namespace narthex::promql
