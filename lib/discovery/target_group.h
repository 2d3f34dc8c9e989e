#ifndef NARTHEX_LIB_DISCOVERY_TARGET_GROUP_H_
#define NARTHEX_LIB_DISCOVERY_TARGET_GROUP_H_

#include <string>
#include <vector>

#include "lib/labels/labels.h"

namespace narthex::discovery {

// Targets that share labels and come from one source. Plain data.
struct TargetGroup {
  // Unique within its discoverer ("/etc/targets.yml:0"): a newer group of the same source replaces
  // the older one, and a group without targets takes it away.
  std::string source;
  // The labels of each target, __address__ among them.
  std::vector<Labels> targets;
  Labels labels;  // Of all targets; a target's own labels win.
  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_TARGET_GROUP_H_
