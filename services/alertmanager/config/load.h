#ifndef NARTHEX_SERVICES_ALERTMANAGER_CONFIG_LOAD_H_
#define NARTHEX_SERVICES_ALERTMANAGER_CONFIG_LOAD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/io/file_system.h"
#include "services/alertmanager/alerts/matchers.h"
#include "services/alertmanager/config/config.h"

namespace narthex::alertmanager_config {

struct LoadOptions {
  alerts::MatcherMode matcher_mode = alerts::MatcherMode::kFallback;
  absl::Duration data_retention = absl::Hours(120);  // For a warning.
};

// Decodes and validates a configuration. `file_name` is for errors and gives the folder of relative
// paths. Errors are InvalidArgument "alertmanager.yml:12:5: route.routes[0].receiver: …".
absl::StatusOr<Config> LoadText(std::string_view text, const std::string& file_name,
                                const LoadOptions& options = {});
absl::StatusOr<Config> LoadFile(io::FileSystem* file_system, const std::string& path,
                                const LoadOptions& options = {});

}  // namespace narthex::alertmanager_config

#endif  // NARTHEX_SERVICES_ALERTMANAGER_CONFIG_LOAD_H_
