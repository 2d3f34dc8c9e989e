#include "services/scraper/scrape/report_series.h"

#include <string_view>

#include "lib/labels/labels_builder.h"
#include "lib/model/stale.h"

namespace narthex::scrape {
namespace {

constexpr size_t kAlways = 5;  // The rest comes with extra_scrape_metrics.
constexpr std::string_view kNames[] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};

}  // namespace

void ReportSeries::Append(const ScrapeReport& report, const Labels& target, bool extra,
                          storage::BatchSink* sink, storage::NumberedBatch* batch) {
  static_assert(std::size(kNames) == kSeries);
  const double values[kSeries] = {
      report.up ? 1.0 : 0.0,
      absl::ToDoubleSeconds(report.duration),
      static_cast<double>(report.samples_scraped),
      static_cast<double>(report.samples_after_relabelling),
      static_cast<double>(report.series_added),
      absl::ToDoubleSeconds(report.timeout),
      static_cast<double>(report.sample_limit),
      static_cast<double>(report.body_bytes),
  };
  for (size_t i = 0; i < kSeries; ++i) {
    if (i >= kAlways && !extra) {
      // They end when the job does without them.
      if (numbers_[i] != 0) {
        batch->Add(numbers_[i], StaleNan());
        retired_.push_back(numbers_[i]);
        numbers_[i] = 0;
      }
      continue;
    }
    if (numbers_[i] == 0) {
      LabelsBuilder builder(target);
      builder.Set(kMetricName, kNames[i]);
      numbers_[i] = sink->AddSeries(builder.Build());
    }
    batch->Add(numbers_[i], values[i]);
  }
}

void ReportSeries::AppendStale(storage::NumberedBatch* batch) const {
  for (const storage::SeriesNumber number : numbers_) {
    if (number != 0) batch->Add(number, StaleNan());
  }
}

std::vector<storage::SeriesNumber> ReportSeries::Clear() {
  std::vector<storage::SeriesNumber> numbers = TakeRetired();
  for (const storage::SeriesNumber number : numbers_) {
    if (number != 0) numbers.push_back(number);
  }
  numbers_ = {};
  return numbers;
}

}  // namespace narthex::scrape
