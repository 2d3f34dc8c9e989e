#ifndef NARTHEX_SERVICES_PUSHGATEWAY_METRIC_STORE_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_METRIC_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "services/pushgateway/consistency.h"
#include "services/pushgateway/grouping_key.h"
#include "services/pushgateway/metric_family.h"

namespace narthex::pushgateway {

// The two gauges that the store keeps in every group, whatever is pushed under their names.
inline constexpr std::string_view kPushTime = "push_time_seconds";
inline constexpr std::string_view kPushFailureTime = "push_failure_time_seconds";

struct StoredFamily {
  std::shared_ptr<const MetricFamily> family;
  absl::Time pushed;
};

// One group as a reader sees it.
struct Group {
  GroupingKey key;
  uint64_t number = 0;  // In order of creation.
  std::map<std::string, StoredFamily, std::less<>> families;
  bool LastPushSuccessful() const;
};

// A name over all groups, oldest group first.
struct MergedFamily {
  std::string name;
  std::vector<std::shared_ptr<const MetricFamily>> parts;
};

// The groups of pushed metrics. Every write is whole or not at all, and a reader that comes after
// it sees it.
//
// With the consistency check a push that would break the scrape of anybody is refused before it
// changes anything; its cost is that of the pushed series and their group, not of the whole store,
// because the store keeps an index of families and series.
//
// Thread safety: all methods may be called from any thread; writes are in one order.
class MetricStore {
 public:
  struct Options {
    bool check_consistency = true;
    // What the process itself exposes at the moment. Must be thread-safe.
    std::function<std::vector<metrics::CollectedFamily>()> own_families;
  };
  MetricStore(Options options, Clock* clock);

  // Adds the families to the group, in place of those of the same names; with `replace`, in place
  // of all. Labels of the group win over those of the metrics. InvalidArgument when a metric has a
  // timestamp, or does not fit the rest: the group's failure time says so, and nothing else
  // changes.
  absl::Status Push(const GroupingKey& key, FamilyMap families, bool replace);
  void Delete(const GroupingKey& key);
  void Wipe();

  std::vector<Group> Groups() const;           // By grouping key.
  std::vector<MergedFamily> Families() const;  // By name.
  // Whether a scrape would be consistent; only without the check can it not be.
  absl::Status Verify(const OwnFamilies& own) const;

  // Counts writes: a reader that saw this number has nothing new to save.
  uint64_t version() const;
  // Fills an empty store. REQUIRES: no group is there, keys are unique.
  void Restore(std::vector<Group> groups);

  struct Size {
    size_t groups = 0;
    size_t series = 0;
  };
  Size size() const;

 private:
  using SeriesCounts = absl::flat_hash_map<uint64_t, int>;

  absl::Status CheckLocked(const GroupingKey& key, const FamilyMap& families, bool replace,
                           const OwnFamilies& own) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(const GroupingKey& key, FamilyMap families, bool replace, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteFailureLocked(const GroupingKey& key, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetFamilyLocked(Group* group, MetricFamily family, absl::Time pushed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveFamilyLocked(Group* group, const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveGroupLocked(Group* group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  Clock* const clock_;

  mutable Mutex mu_;
  std::map<GroupingKey, Group> groups_ ABSL_GUARDED_BY(mu_);
  uint64_t next_number_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  // Indexes over groups_: each family by name and number of the group, and how often each series is
  // there.
  std::map<std::string, std::map<uint64_t, std::shared_ptr<const MetricFamily>>, std::less<>>
      families_ ABSL_GUARDED_BY(mu_);
  SeriesCounts series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_METRIC_STORE_H_
