#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPER_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/worker_pool.h"
#include "lib/config/scrape_config.h"
#include "lib/discovery/manager.h"
#include "lib/http/client.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/numbered_batch.h"
#include "services/scraper/scrape/schedule.h"
#include "services/scraper/scrape/scrape_metrics.h"
#include "services/scraper/scrape/scrape_pool.h"

namespace narthex::scrape {

struct ScraperOptions {
  int workers = 2;  // Threads that parse.
  TimestampAlignment alignment;
  std::string user_agent;
  std::string host_name;  // Spreads the ticks of scrapers that scrape the same targets.
};

// All scrape pools, and the threads they share: one schedule, one HTTP client, a few workers.
//
// Made and owned by the App: Create(), Apply() with the configuration, OnTargets() whenever
// discovery has news, Stop(). Batches go to the sink in the order in which scrapes end.
//
// Thread safety: all methods may be called from any thread. Apply() and Stop() must not overlap.
class Scraper {
 public:
  // The pointers must outlive the Scraper.
  static absl::StatusOr<std::unique_ptr<Scraper>> Create(ScraperOptions options, Clock* clock,
                                                         io::FileSystem* file_system,
                                                         storage::BatchSink* sink, Logger logger,
                                                         metrics::Registry* registry);
  ~Scraper();

  // Makes the pools those of `jobs`. Loops of targets that stay go on; jobs that are gone end their
  // series.
  void Apply(const std::vector<config::ScrapeConfig>& jobs, const Labels& external_labels);
  void OnTargets(const discovery::TargetSets& sets);
  // Ends all scrapes and joins. No staleness markers: another scraper goes on where this one stops.
  void Stop();

  std::vector<std::string> pool_names() const;  // Sorted.
  // Visits the pools by name.
  void ForEachPool(
      const std::function<void(const std::string& name, const ScrapePool& pool)>& visit) const;
  ScrapeMetrics* metrics() { return &metrics_; }

 private:
  Scraper(ScraperOptions options, Clock* clock, io::FileSystem* file_system,
          storage::BatchSink* sink, Logger logger, metrics::Registry* registry,
          std::unique_ptr<http::Client> client);

  const ScraperOptions options_;
  io::FileSystem* const file_system_;
  ScrapeMetrics metrics_;
  WorkerPool workers_;
  Schedule schedule_;
  std::unique_ptr<http::Client> client_;
  ScrapeContext context_;  // Constant after construction.

  // The log of a path; opened anew, as for a new configuration. Null for an empty path.
  std::shared_ptr<FailureLog> OpenFailureLog(const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<ScrapePool>> pools_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<FailureLog>> failure_logs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPER_H_
