#ifndef NARTHEX_LIB_DISCOVERY_MANAGER_H_
#define NARTHEX_LIB_DISCOVERY_MANAGER_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/config/sd_config.h"
#include "lib/discovery/discoverer.h"
#include "lib/discovery/file.h"
#include "lib/discovery/target_group.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"

namespace narthex::discovery {

// The groups of each set (scrape pool), in the order of its mechanisms.
using TargetSets = std::map<std::string, std::vector<TargetGroup>>;

// A mechanism that the configuration names and that this build cannot run.
struct UnavailableMechanism {
  std::string set;   // The scrape pool.
  std::string name;  // "kubernetes"
  friend bool operator==(const UnavailableMechanism&, const UnavailableMechanism&) = default;
};

// Makes the discoverer of a mechanism other than static; null when there is none.
using DiscovererFactory =
    std::function<std::unique_ptr<Discoverer>(const config::SdConfig&, const DiscovererContext&)>;
std::unique_ptr<Discoverer> MakeDiscoverer(const config::SdConfig& config,
                                           const DiscovererContext& context);

struct ManagerOptions {
  std::string name = "scrape";  // The `name` label of the metrics.
  Clock* clock = nullptr;
  io::FileSystem* file_system = nullptr;
  Logger logger;
  metrics::Registry* registry = nullptr;
  // Updates are gathered for this long. The first after Apply comes as soon as every new mechanism
  // has reported once, or after this long, so that a reload does not make targets flicker.
  absl::Duration update_interval = absl::Seconds(5);
  DiscovererFactory factory = MakeDiscoverer;
  // Called on the manager's thread with the groups of all sets whenever they may have changed. Must
  // not call the manager.
  std::function<void(const TargetSets&)> on_update;
};

// Runs the discovery mechanisms of all scrape pools, one thread each, and merges what they find.
// Mechanisms with equal configuration are shared between pools; those that a new configuration
// keeps go on undisturbed.
//
// Made and owned by the service's App. Thread safety: all methods may be called from any thread;
// Apply calls must not overlap. The destructor stops all threads.
class Manager {
 public:
  explicit Manager(ManagerOptions options);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Makes the running mechanisms those of `sets` and returns the ones that cannot run (their sets
  // still get the others' targets). Groups of mechanisms that are gone disappear with the next
  // update.
  std::vector<UnavailableMechanism> Apply(
      const std::map<std::string, std::vector<config::SdConfig>>& sets);

  // A copy of what the last update held or the next one will.
  TargetSets Current() const;

 private:
  struct Provider;

  std::shared_ptr<Provider> FindOrStart(const config::SdConfig& config,
                                        std::vector<std::shared_ptr<Provider>>* started);
  void Report(Provider* provider, std::vector<TargetGroup> groups);
  void DeliverLoop();
  absl::Time NextDeliveryLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  TargetSets CollectLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountTargets(const TargetSets& sets);

  // Constant after construction.
  const ManagerOptions options_;
  metrics::Counter* const received_updates_;
  metrics::Counter* const sent_updates_;
  metrics::Counter* const delayed_updates_;
  metrics::Gauge* const failed_configs_;

  // Only touched by the deliver thread.
  std::set<std::string> counted_sets_;

  mutable Mutex mu_;
  CondVar changed_cv_;
  bool changed_ ABSL_GUARDED_BY(mu_) = false;
  // A new mechanism reported for the first time, or Apply was called: no need to gather.
  bool at_once_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time applied_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Time delivered_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  // Each set's mechanisms, in order; a set without any still gets its (empty) entry.
  std::map<std::string, std::vector<std::shared_ptr<Provider>>> sets_ ABSL_GUARDED_BY(mu_);

  Thread deliver_thread_;
};

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_MANAGER_H_
