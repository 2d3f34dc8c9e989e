#include "lib/discovery/static.h"

#include <map>

namespace narthex::discovery {

TargetGroup MakeGroup(const config::StaticSdConfig& config, std::string source,
                      const std::vector<std::pair<std::string, std::string>>& extra) {
  TargetGroup group;
  group.source = std::move(source);
  group.targets.reserve(config.targets.size());
  for (const std::string& target : config.targets) {
    group.targets.push_back(Labels({{"__address__", target}}));
  }
  std::map<std::string, std::string> labels = config.labels;
  for (const auto& [name, value] : extra) labels[name] = value;
  group.labels = Labels::FromPairs({labels.begin(), labels.end()});
  return group;
}

}  // namespace narthex::discovery
