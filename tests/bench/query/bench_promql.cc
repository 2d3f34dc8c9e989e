#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "services/query/promql/engine.h"
#include "tests/support/bench.h"

// Range queries over columns in memory: what the engine itself costs in CPU time. Run it from a
// release build.
namespace narthex {
namespace {

constexpr int kSeries = 1000;
constexpr int64_t kIntervalMs = 15000;
constexpr int64_t kSamples = 6 * 60 * 4;  // Six hours.
constexpr Timestamp kStart = 1700000000000;

// Answers every selector with the same series.
class ColumnsQuerier : public storage::Querier {
 public:
  ColumnsQuerier() {
    for (int i = 0; i < kSeries; ++i) {
      Series series;
      series.labels = Labels{{"__name__", "x_total"},
                             {"instance", StrCat("host-", i / 10, ":9100")},
                             {"job", StrCat("job-", i % 7)},
                             {"mode", StrCat("mode-", i % 10)}};
      double value = 0;
      for (int64_t k = 0; k < kSamples; ++k) {
        value += static_cast<double>((k * 31 + i * 7) % 100);
        series.samples.Append(kStart + k * kIntervalMs + i % 1000, value);
      }
      series_.push_back(std::move(series));
    }
  }

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions&) override {
    storage::SelectResult result;
    for (const storage::Selector& selector : selectors) {
      result.sets.push_back(std::make_unique<Set>(&series_, selector.hints));
    }
    return result;
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const std::vector<Matcher>>,
                                                      Timestamp, Timestamp) override {
    return std::vector<std::string>();
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view,
                                                       std::span<const std::vector<Matcher>>,
                                                       Timestamp, Timestamp) override {
    return std::vector<std::string>();
  }

 private:
  struct Series {
    Labels labels;
    SampleBuffer samples;
  };
  class Set : public storage::SeriesSet {
   public:
    Set(const std::vector<Series>* series, const storage::SelectHints& hints)
        : series_(series), hints_(hints) {}
    bool Next() override { return next_++ < series_->size(); }
    const Labels& labels() const override { return (*series_)[next_ - 1].labels; }
    absl::Status ReadSamples(SampleBuffer* out) override {
      const SampleBuffer& samples = (*series_)[next_ - 1].samples;
      for (size_t i = 0; i < samples.size(); ++i) {
        const Timestamp time = samples.timestamps()[i];
        if (time >= hints_.start && time <= hints_.end) out->Append(time, samples.values()[i]);
      }
      return absl::OkStatus();
    }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    const std::vector<Series>* const series_;
    const storage::SelectHints hints_;
    size_t next_ = 0;
  };

  std::vector<Series> series_;
};

void Run(promql::Engine* engine, ColumnsQuerier* querier, const char* query, int64_t step_ms) {
  const Timestamp end = kStart + kSamples * kIntervalMs;
  double best = 1e18;
  promql::QueryStats stats;
  for (int round = 0; round < 5; ++round) {
    const double started = testing::ClockNanos(CLOCK_PROCESS_CPUTIME_ID);
    const auto result = engine->Range(querier, query, kStart, end, step_ms);
    const double took = testing::ClockNanos(CLOCK_PROCESS_CPUTIME_ID) - started;
    if (!result.ok()) {
      std::printf("%s: %s\n", query, result.status().ToString().c_str());
      return;
    }
    best = std::min(best, took);
    stats = result->stats;
  }
  const double samples = static_cast<double>(stats.samples_read);
  const double outputs = kSeries * static_cast<double>((end - kStart) / step_ms + 1);
  std::printf("%-55s %8.1f ms %7.2f ns/sample read %7.2f ns/series step\n", query, best / 1e6,
              best / samples, best / outputs);
}

void Main() {
  ColumnsQuerier querier;
  metrics::Registry registry;
  promql::EngineOptions options;
  promql::Engine engine(options, RealClock(), &registry);
  std::printf("%d series, %lld samples each, step 30 s\n", kSeries,
              static_cast<long long>(kSamples));
  for (const char* query : {
           "x_total",
           "rate(x_total[5m])",
           "sum by (job) (rate(x_total[5m]))",
           "sum without (mode) (rate(x_total[5m]))",
           "sum_over_time(x_total[5m])",
           "max_over_time(x_total[1h])",
           "avg_over_time(x_total[1h])",
           "quantile_over_time(0.9, x_total[5m])",
           "x_total / x_total",
           "x_total * 2 + 1",
           "topk(5, x_total)",
           "sum by (job) (x_total)",
           "max_over_time(rate(x_total[5m])[30m:1m])",
       }) {
    Run(&engine, &querier, query, 30000);
  }
}

}  // namespace
}  // namespace narthex

int main() { narthex::Main(); }
