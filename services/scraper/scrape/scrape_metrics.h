#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_METRICS_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_METRICS_H_

#include <map>
#include <string>

#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/metrics/registry.h"
#include "lib/storage/storage.h"

namespace narthex::scrape {

// The metrics of all pools, under upstream's names. Made once by the App. Thread safety: all
// methods may be called from any thread.
class ScrapeMetrics {
 public:
  explicit ScrapeMetrics(metrics::Registry* registry);

  // The time between the beginnings of two scrapes of one target.
  void ObserveInterval(absl::Duration configured, absl::Duration actual);
  // Storage refuses samples only when they arrive there.
  void CountRefused(storage::Refusal refusal, uint64_t samples);

  metrics::Registry* const registry;
  metrics::Counter* const pools;
  metrics::Counter* const reloads;
  metrics::Counter* const exceeded_target_limit;
  metrics::Counter* const exceeded_label_limits;
  metrics::Counter* const exceeded_sample_limit;
  metrics::Counter* const exceeded_body_size_limit;
  metrics::Counter* const duplicate_timestamp;
  metrics::Counter* const out_of_order;
  metrics::Counter* const out_of_bounds;
  metrics::Counter* const cache_flush_forced;
  metrics::Counter* const scrapes;
  metrics::Counter* const samples;

 private:
  Mutex mu_;
  std::map<absl::Duration, metrics::Summary*> interval_lengths_ ABSL_GUARDED_BY(mu_);
};

// The metrics of one pool; the destructor takes them away.
class PoolMetrics {
 public:
  PoolMetrics(metrics::Registry* registry, const std::string& job);
  ~PoolMetrics();
  PoolMetrics(const PoolMetrics&) = delete;
  PoolMetrics& operator=(const PoolMetrics&) = delete;

 private:
  metrics::Registry* const registry_;
  const metrics::LabelMap labels_;

 public:
  metrics::Counter* const syncs;
  metrics::Counter* const sync_failures;
  metrics::Summary* const sync_length;
  metrics::Gauge* const targets;
  metrics::Gauge* const target_limit;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_METRICS_H_
