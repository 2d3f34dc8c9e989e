#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_LOOP_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/worker_pool.h"
#include "lib/http/client.h"
#include "lib/log/log.h"
#include "lib/storage/numbered_batch.h"
#include "services/scraper/scrape/metadata_cache.h"
#include "services/scraper/scrape/report_series.h"
#include "services/scraper/scrape/schedule.h"
#include "services/scraper/scrape/scrape_batch.h"
#include "services/scraper/scrape/scrape_cache.h"
#include "services/scraper/scrape/scrape_job.h"
#include "services/scraper/scrape/scrape_metrics.h"
#include "services/scraper/scrape/target.h"

namespace narthex::scrape {

// What all loops share. Everything outlives every loop.
struct ScrapeContext {
  Clock* clock = nullptr;
  http::Client* client = nullptr;
  WorkerPool* workers = nullptr;
  Schedule* schedule = nullptr;
  storage::BatchSink* sink = nullptr;
  ScrapeMetrics* metrics = nullptr;
  Logger logger;
  TimestampAlignment alignment;
  std::string user_agent;
};

enum class Health : uint8_t { kUnknown, kUp, kDown };

// What /api/v1/targets shows of a target.
struct TargetStatus {
  Target target;
  Health health = Health::kUnknown;
  std::string last_error;  // Empty after a good scrape.
  absl::Time last_scrape = absl::InfinitePast();
  absl::Duration last_duration;
};

// Scrapes one target at its ticks: the schedule begins a scrape, the HTTP client fetches on its
// thread, a worker parses and hands one batch to the sink. There is never more than one scrape of a
// target under way.
//
// Owned by its ScrapePool and by the tasks it has in flight. Thread safety: all methods may be
// called from any thread.
class ScrapeLoop : public std::enable_shared_from_this<ScrapeLoop> {
 public:
  // `context` must outlive the loop; `offset_hash` places its ticks.
  ScrapeLoop(const ScrapeContext* context, std::shared_ptr<const ScrapeJob> job, Target target,
             uint64_t offset_hash);

  void Start();
  // Another configuration, or other discovered labels or times, of the same target. The cache is
  // kept; ticks move only when the interval changes, and no staleness marker is written.
  void Update(std::shared_ptr<const ScrapeJob> job, Target target, uint64_t offset_hash);
  // Not OK: scrapes fail with this without asking the target (target_limit).
  void SetForcedError(absl::Status error);
  // The target is gone. Two intervals and a tenth after its last tick its series end with staleness
  // markers, unless Resume() comes before.
  void Retire();
  // The target is back.
  void Resume();
  // Retired for good, or stopped: nothing is left of it.
  bool finished() const;
  // The scraper ends: nothing more is written.
  void Stop();

  TargetStatus status() const;
  size_t metadata_entries() const { return metadata_entries_.load(std::memory_order_relaxed); }
  void ForEachMetadata(const std::function<void(const std::string&, const Metadata&)>& visit) const;

 private:
  enum class State : uint8_t { kRunning, kRetired, kFinished };
  // One scrape from its tick to its batch.
  struct Scrape {
    std::shared_ptr<const ScrapeJob> job;
    Target target;
    absl::Status forced_error;
    uint64_t epoch = 0;
    Timestamp timestamp = 0;
    absl::Time begun_at;
    absl::Duration begun;  // Monotonic.
  };
  using Response = absl::StatusOr<http::ClientResponse>;

  void ScheduleLocked(absl::Time tick) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // On the schedule's thread.
  void Begin(uint64_t epoch);
  void EndWithMarkers(uint64_t epoch, absl::Time stale_time);
  // On a worker.
  void Finish(const Scrape& scrape, const Response& response);
  absl::Status ReadResponse(const Scrape& scrape, const Response& response,
                            storage::NumberedBatch* batch, BodyCounts* counts)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_mu_);
  void CountOutcome(const absl::Status& status, const BodyCounts& counts);
  void WriteMarkers(uint64_t epoch, absl::Time stale_time);

  // Constant after construction.
  const ScrapeContext* const context_;

  // Lock order: data_mu_ before mu_.
  mutable Mutex data_mu_;  // Held while a body is read.
  ScrapeCache cache_ ABSL_GUARDED_BY(data_mu_);
  MetadataCache metadata_ ABSL_GUARDED_BY(data_mu_);
  ReportSeries report_ ABSL_GUARDED_BY(data_mu_);
  std::atomic<size_t> metadata_entries_ = 0;

  mutable Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kRunning;
  std::shared_ptr<const ScrapeJob> job_ ABSL_GUARDED_BY(mu_);
  TargetStatus status_ ABSL_GUARDED_BY(mu_);
  uint64_t offset_hash_ ABSL_GUARDED_BY(mu_);
  absl::Status forced_error_ ABSL_GUARDED_BY(mu_);
  uint64_t epoch_ ABSL_GUARDED_BY(mu_) = 0;  // Scheduled tasks of another epoch are void.
  absl::Time tick_ ABSL_GUARDED_BY(mu_);     // The next one, or the one that is under way.
  bool under_way_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration last_begun_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_LOOP_H_
