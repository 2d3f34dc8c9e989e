#ifndef NARTHEX_LIB_CONFIG_TARGET_FILE_H_
#define NARTHEX_LIB_CONFIG_TARGET_FILE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/config/sd_config.h"

namespace narthex::config {

// The target groups of a file of the `file` mechanism (or of an answer of the `http` one): a list
// of {targets, labels}, as JSON when the name ends so and as YAML otherwise. Strict: unknown keys,
// null groups and bad label names are errors with their place (JSON: with the index of the group).
// Pure function; thread-safe.
absl::StatusOr<std::vector<StaticSdConfig>> ParseTargetFile(std::string_view text,
                                                            std::string_view file_name);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_TARGET_FILE_H_
