#ifndef NARTHEX_LIB_DISCOVERY_STATIC_H_
#define NARTHEX_LIB_DISCOVERY_STATIC_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/config/sd_config.h"
#include "lib/discovery/target_group.h"

namespace narthex::discovery {

// The group of one configured {targets, labels}, with `extra` added to its labels (and winning).
// Pure function; thread-safe.
TargetGroup MakeGroup(const config::StaticSdConfig& config, std::string source,
                      const std::vector<std::pair<std::string, std::string>>& extra = {});

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_STATIC_H_
