#include "services/query/promql/selectors.h"

#include <algorithm>
#include <utility>

namespace narthex::promql {

size_t CountPresent(std::span<const double> values) {
  return static_cast<size_t>(std::count_if(values.begin(), values.end(), IsPresent));
}

namespace {

// Reads the series of one selector into a buffer, one at a time.
class StorageReader {
 public:
  StorageReader(EvalContext* context, size_t selector) : context_(context), selector_(selector) {}
  ~StorageReader() { context_->Release(held_); }
  StorageReader(const StorageReader&) = delete;
  StorageReader& operator=(const StorageReader&) = delete;

  // False at the end or on an error.
  bool Next(SampleBuffer* samples) {
    if (set_ == nullptr) set_ = context_->TakeSeriesSet(selector_);
    if (!context_->ok()) return false;
    if (!set_->Next()) {
      if (!set_->status().ok()) context_->Fail(set_->status());
      return false;
    }
    context_->Release(std::exchange(held_, 0));
    samples->Clear();
    if (absl::Status status = set_->ReadSamples(samples); !status.ok()) {
      context_->Fail(std::move(status));
      return false;
    }
    // The functions and operators of this engine are those of floats.
    samples->DropHistograms();
    held_ = samples->size();
    context_->stats().samples_read += held_;
    return context_->Hold(held_) && context_->Tick(held_);
  }
  const Labels& labels() const { return set_->labels(); }

 private:
  EvalContext* const context_;
  const size_t selector_;
  std::unique_ptr<storage::SeriesSet> set_;
  uint64_t held_ = 0;
};

class InstantSelector : public VectorOperator {
 public:
  InstantSelector(EvalContext* context, const InstantSelection& selection)
      : context_(context), selection_(selection), reader_(context, selection.selector) {}

  bool Next(Row* row) override {
    if (!reader_.Next(&samples_)) return false;
    row->labels = reader_.labels();
    row->drop_name = false;
    row->values.resize(selection_.grid.count);
    if (selection_.fixed) {
      size_t cursor = 0;
      const double value = ValueAt(selection_.fixed_time - selection_.offset_ms, &cursor);
      std::fill(row->values.begin(), row->values.end(), value);
    } else {
      size_t cursor = 0;
      for (size_t i = 0; i < row->values.size(); ++i) {
        row->values[i] = ValueAt(selection_.grid.At(i) - selection_.offset_ms, &cursor);
      }
    }
    context_->stats().samples_queryable += CountPresent(row->values);
    return true;
  }

 private:
  // `*cursor` is the number of samples at or before the last asked time, which never goes back.
  double ValueAt(Timestamp time, size_t* cursor) const {
    const std::span<const Timestamp> timestamps = samples_.timestamps();
    while (*cursor < timestamps.size() && timestamps[*cursor] <= time) ++*cursor;
    if (selection_.smoothed) return SmoothedAt(time, *cursor);
    if (*cursor == 0) return Absent();
    const size_t newest = *cursor - 1;
    if (timestamps[newest] <= time - selection_.lookback_ms) return Absent();
    const double value = samples_.values()[newest];
    if (IsStale(value) || !selection_.timestamps) return value;
    return static_cast<double>(timestamps[newest]) / 1000;
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

  EvalContext* const context_;
  const InstantSelection selection_;
  StorageReader reader_;
  SampleBuffer samples_;
};

class RangeSelector : public RangeOperator {
 public:
  RangeSelector(EvalContext* context, size_t selector, const WindowSpec& windows)
      : RangeOperator(windows), reader_(context, selector) {}

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
    size_t kept = static_cast<size_t>(first - values.begin());
    for (size_t i = kept; i < values.size(); ++i) {
      if (IsStale(values[i])) continue;
      samples->mutable_values()[kept] = values[i];
      samples->mutable_timestamps()[kept] = samples->timestamps()[i];
      ++kept;
    }
    samples->Resize(kept);
  }

  StorageReader reader_;
};

class SubqueryRange : public RangeOperator {
 public:
  SubqueryRange(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                const WindowSpec& windows)
      : RangeOperator(windows), context_(context), inner_(std::move(inner)), grid_(inner_grid) {}
  ~SubqueryRange() override { context_->Release(held_); }

  bool Next(RangeSeries* series) override {
    if (inner_ == nullptr || !inner_->Next(&row_)) return false;
    series->labels = row_.labels;
    series->drop_name = row_.drop_name;
    series->samples.Clear();
    for (size_t i = 0; i < row_.values.size(); ++i) {
      if (IsPresent(row_.values[i])) series->samples.Append(grid_.At(i), row_.values[i]);
    }
    context_->Release(std::exchange(held_, series->samples.size()));
    return context_->Hold(held_) && context_->Tick(held_);
  }

 private:
  EvalContext* const context_;
  const VectorOperatorPtr inner_;
  const Grid grid_;
  Row row_;
  uint64_t held_ = 0;
};

}  // namespace

VectorOperatorPtr MakeInstantSelector(EvalContext* context, const InstantSelection& selection) {
  return std::make_unique<InstantSelector>(context, selection);
}

RangeOperatorPtr MakeRangeSelector(EvalContext* context, size_t selector,
                                   const WindowSpec& windows) {
  return std::make_unique<RangeSelector>(context, selector, windows);
}

RangeOperatorPtr MakeSubquery(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                              const WindowSpec& windows) {
  return std::make_unique<SubqueryRange>(context, std::move(inner), inner_grid, windows);
}

}  // namespace narthex::promql
