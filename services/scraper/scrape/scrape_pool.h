#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_POOL_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_POOL_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "lib/discovery/target_group.h"
#include "services/scraper/scrape/scrape_loop.h"
#include "services/scraper/scrape/target_set.h"

namespace narthex::scrape {

// What a pool tells of itself at one moment.
struct PoolStatus {
  std::vector<TargetStatus> active;
  std::vector<Labels> dropped;
  size_t dropped_count = 0;
};

// The targets of one scrape job: makes, changes and ends loops as discovery and configuration
// change. A loop goes on untouched as long as its target's labels and URL stay the same.
//
// Owned by the Scraper. Thread safety: all methods may be called from any thread.
class ScrapePool {
 public:
  // `context` must outlive the pool and its loops.
  ScrapePool(const ScrapeContext* context, std::shared_ptr<const ScrapeJob> job,
             uint64_t offset_seed);

  // What discovery has now.
  void Sync(std::vector<discovery::TargetGroup> groups);
  void Reload(std::shared_ptr<const ScrapeJob> job, uint64_t offset_seed);
  // The job is gone: all its series end, in their time.
  void Retire();
  // The scraper ends.
  void Stop();

  std::string name() const;
  PoolStatus status() const;
  void ForEachMetadata(const std::function<void(const Labels& target, const std::string& family,
                                                const Metadata&)>& visit) const;
  size_t metadata_entries() const;

 private:
  using Loops = absl::flat_hash_map<Target::Identity, std::shared_ptr<ScrapeLoop>>;

  void SyncLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(TargetSet set) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::shared_ptr<ScrapeLoop>> ActiveLoops() const;

  const ScrapeContext* const context_;

  mutable Mutex mu_;
  std::shared_ptr<const ScrapeJob> job_ ABSL_GUARDED_BY(mu_);
  uint64_t offset_seed_ ABSL_GUARDED_BY(mu_);
  std::vector<discovery::TargetGroup> groups_ ABSL_GUARDED_BY(mu_);
  Loops loops_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<ScrapeLoop>> order_ ABSL_GUARDED_BY(mu_);  // As discovered.
  Loops retired_ ABSL_GUARDED_BY(mu_);  // May come back before their markers are written.
  std::vector<Labels> dropped_ ABSL_GUARDED_BY(mu_);
  size_t dropped_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::string> errors_ ABSL_GUARDED_BY(mu_);  // Of the last sync, to log only new ones.
  PoolMetrics metrics_;
  const std::shared_ptr<void> metadata_entries_;  // A metric that is read when asked for.
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_POOL_H_
