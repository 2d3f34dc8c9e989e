#include "services/scraper/scrape/target_set.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "lib/base/strings.h"

namespace narthex::scrape {

TargetSet MakeTargetSet(std::span<const discovery::TargetGroup> groups,
                        const config::ScrapeConfig& config) {
  TargetSet set;
  absl::flat_hash_set<Target::Identity> seen;
  for (const discovery::TargetGroup& group : groups) {
    for (size_t i = 0; i < group.targets.size(); ++i) {
      const Labels discovered = DiscoveredLabels(group.targets[i], group.labels, config);
      absl::StatusOr<std::optional<Target>> target = MakeTarget(discovered, config);
      if (!target.ok()) {
        set.errors.push_back(
            StrCat("instance ", i, " in group ", group.source, ": ", Message(target.status())));
      } else if (!target->has_value()) {
        ++set.dropped_count;
        const uint64_t keep = config.limits.keep_dropped_targets;
        if (keep == 0 || set.dropped.size() < keep) set.dropped.push_back(discovered);
      } else if (seen.insert((*target)->identity()).second) {
        set.active.push_back(std::move(**target));
      }
    }
  }
  return set;
}

}  // namespace narthex::scrape
