#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_REPORT_SERIES_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_REPORT_SERIES_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/storage/numbered_batch.h"

namespace narthex::scrape {

// What every scrape says about itself.
struct ScrapeReport {
  bool up = false;
  absl::Duration duration;
  uint64_t samples_scraped = 0;
  uint64_t samples_after_relabelling = 0;
  uint64_t series_added = 0;
  // Only written with extra_scrape_metrics.
  absl::Duration timeout;
  uint64_t sample_limit = 0;
  int64_t body_bytes = 0;  // -1: beyond the limit.
};

// The series `up`, `scrape_duration_seconds`, … of one target: their numbers, kept from the first
// scrape to the last. They carry the target's labels alone, whatever the target exposes under the
// same names. Thread safety: none.
class ReportSeries {
 public:
  // Adds the samples to a batch; asks `sink` for numbers the first time.
  void Append(const ScrapeReport& report, const Labels& target, bool extra,
              storage::BatchSink* sink, storage::NumberedBatch* batch);
  // Staleness markers for all of them.
  void AppendStale(storage::NumberedBatch* batch) const;
  // Numbers that no later batch uses, since the last call; for BatchSink::RetireSeries() after the
  // batch was appended.
  std::vector<storage::SeriesNumber> TakeRetired() { return std::exchange(retired_, {}); }
  // All numbers in use; the next Append() asks for new ones.
  std::vector<storage::SeriesNumber> Clear();

 private:
  static constexpr size_t kSeries = 8;
  std::array<storage::SeriesNumber, kSeries> numbers_ = {};  // 0: not written yet.
  std::vector<storage::SeriesNumber> retired_;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_REPORT_SERIES_H_
