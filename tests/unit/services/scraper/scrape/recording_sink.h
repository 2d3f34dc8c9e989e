#ifndef NARTHEX_TESTS_UNIT_SERVICES_SCRAPER_SCRAPE_RECORDING_SINK_H_
#define NARTHEX_TESTS_UNIT_SERVICES_SCRAPER_SCRAPE_RECORDING_SINK_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "lib/storage/numbered_batch.h"

namespace narthex::scrape {

// Keeps every batch with the labels spelled out, and insists that a retired number is not used
// again. Thread-safe.
class RecordingSink final : public storage::BatchSink {
 public:
  // Of one sample: "value" or "stale", with "@timestamp" when it is not the batch's.
  using Batch = std::map<std::string, std::string>;

  storage::SeriesNumber AddSeries(const Labels& labels) override {
    MutexLock lock(&mu_);
    labels_[++last_number_] = labels;
    return last_number_;
  }
  void RetireSeries(std::span<const storage::SeriesNumber> numbers) override {
    MutexLock lock(&mu_);
    for (const storage::SeriesNumber number : numbers) {
      NARTHEX_CHECK(labels_.erase(number) == 1);
    }
  }
  uint64_t Append(storage::NumberedBatch batch) override {
    MutexLock lock(&mu_);
    Batch shown;
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto it = labels_.find(batch.numbers[i]);
      NARTHEX_CHECK(it != labels_.end());
      std::string value = IsStale(batch.values[i]) ? "stale" : StrCat(batch.values[i]);
      if (batch.timestamp(i) != batch.base_timestamp) {
        StrAppend(&value, "@", batch.timestamp(i));
      }
      std::string& slot = shown[it->second.ToString()];
      slot = slot.empty() ? value : StrCat(slot, " ", value);
    }
    batches_.push_back(std::move(shown));
    times_.push_back(batch.base_timestamp);
    changed_.SignalAll();
    return batches_.size();
  }

  // Waits (real time, at most 10 s) until there are `count` batches.
  bool WaitForBatches(size_t count) {
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    MutexLock lock(&mu_);
    while (batches_.size() < count) {
      const absl::Duration left = deadline - RealClock()->Monotonic();
      if (left <= absl::ZeroDuration()) return false;
      changed_.WaitWithTimeout(&mu_, left);
    }
    return true;
  }
  size_t size() const {
    MutexLock lock(&mu_);
    return batches_.size();
  }
  Batch batch(size_t index) const {
    MutexLock lock(&mu_);
    return batches_.at(index);
  }
  Batch last() const {
    MutexLock lock(&mu_);
    return batches_.back();
  }
  std::vector<Timestamp> times() const {
    MutexLock lock(&mu_);
    return times_;
  }
  size_t numbers_in_use() const {
    MutexLock lock(&mu_);
    return labels_.size();
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  storage::SeriesNumber last_number_ = 0;
  std::map<storage::SeriesNumber, Labels> labels_;
  std::vector<Batch> batches_;
  std::vector<Timestamp> times_;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_TESTS_UNIT_SERVICES_SCRAPER_SCRAPE_RECORDING_SINK_H_
