#include "tests/conformance/query/script_storage.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lib/base/strings.h"
#include "services/query/promql/histogram_math.h"

namespace narthex::testing {
namespace {

// Whether a chunk of histograms that ends with `previous` goes on with `histogram`: no counter
// reset, and the same kind of buckets.
bool GoesOn(const FloatHistogram& previous, const FloatHistogram& histogram) {
  FloatHistogram current = histogram;
  if (current.reset_hint == CounterResetHint::kNotReset) {
    current.reset_hint = CounterResetHint::kUnknown;
  }
  return previous.reset_hint != CounterResetHint::kGauge && previous.schema == current.schema &&
         previous.zero_threshold == current.zero_threshold &&
         previous.custom_values == current.custom_values && !promql::DetectReset(current, previous);
}

struct Sample {
  double value = 0;
  std::shared_ptr<const FloatHistogram> histogram;
  Timestamp start = 0;
};
using Samples = std::map<Timestamp, Sample>;

class CopiedSet : public storage::SeriesSet {
 public:
  void Add(const Labels* labels, SampleBuffer samples) {
    series_.emplace_back(labels, std::move(samples));
  }
  bool Next() override { return next_++ < series_.size(); }
  const Labels& labels() const override { return *series_[next_ - 1].first; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    out->AppendAll(series_[next_ - 1].second);
    return absl::OkStatus();
  }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  std::vector<std::pair<const Labels*, SampleBuffer>> series_;
  size_t next_ = 0;
};

class MemoryScriptStorage : public ScriptStorage, public storage::Querier {
 public:
  absl::Status Clear() override {
    series_.clear();
    return absl::OkStatus();
  }

  absl::Status Load(const std::vector<LoadedSeries>& loaded) override {
    for (const LoadedSeries& series : loaded) {
      Samples& samples = series_[series.labels];
      for (size_t i = 0; i < series.samples.size(); ++i) {
        Sample sample;
        sample.value = series.samples.values()[i];
        if (series.samples.kind(i) == SampleKind::kFloatHistogram) {
          sample.histogram = std::make_shared<FloatHistogram>(series.samples.float_histogram(i));
        }
        const auto starts = series.samples.start_timestamps();
        if (!starts.empty()) sample.start = starts[i];
        samples[series.samples.timestamps()[i]] = std::move(sample);
      }
      SetHints(&samples);
    }
    return absl::OkStatus();
  }

  storage::Querier* querier() override { return this; }

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions&) override {
    storage::SelectResult result;
    for (const storage::Selector& selector : selectors) {
      auto set = std::make_unique<CopiedSet>();
      for (const auto& [labels, samples] : series_) {
        const bool matches = std::all_of(
            selector.matchers.begin(), selector.matchers.end(),
            [&](const Matcher& matcher) { return matcher.Matches(labels.Get(matcher.name())); });
        if (!matches) continue;
        SampleBuffer picked = Pick(samples, selector.hints);
        if (!picked.empty()) set->Add(&labels, std::move(picked));
      }
      result.sets.push_back(std::move(set));
    }
    return result;
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const std::vector<Matcher>>,
                                                      Timestamp, Timestamp) override {
    return absl::UnimplementedError("scripts only select");
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view,
                                                       std::span<const std::vector<Matcher>>,
                                                       Timestamp, Timestamp) override {
    return absl::UnimplementedError("scripts only select");
  }

 private:
  // The first histogram of a chunk does not know of a counter reset, the others know of none.
  static void SetHints(Samples* samples) {
    const FloatHistogram* previous = nullptr;
    for (auto& [time, sample] : *samples) {
      if (sample.histogram == nullptr) {
        previous = nullptr;
        continue;
      }
      if (sample.histogram->reset_hint != CounterResetHint::kGauge) {
        auto hinted = std::make_shared<FloatHistogram>(*sample.histogram);
        hinted->reset_hint = previous != nullptr && GoesOn(*previous, *sample.histogram)
                                 ? CounterResetHint::kNotReset
                                 : CounterResetHint::kUnknown;
        sample.histogram = std::move(hinted);
      }
      previous = IsStale(*sample.histogram) ? nullptr : sample.histogram.get();
    }
  }

  static SampleBuffer Pick(const Samples& samples, const storage::SelectHints& hints) {
    SampleBuffer out;
    for (auto i = samples.lower_bound(hints.start); i != samples.end() && i->first <= hints.end;
         ++i) {
      if (hints.newest_only) out.Clear();
      if (i->second.histogram != nullptr) {
        out.AppendFloatHistogram(i->first, *i->second.histogram);
      } else {
        out.Append(i->first, i->second.value);
      }
      out.SetStartTimestamp(i->second.start);
    }
    return out;
  }

  std::map<Labels, Samples> series_;
};

}  // namespace

std::unique_ptr<ScriptStorage> MakeMemoryScriptStorage() {
  return std::make_unique<MemoryScriptStorage>();
}

}  // namespace narthex::testing
