#ifndef NARTHEX_LIB_CONFIG_FILE_LOADER_H_
#define NARTHEX_LIB_CONFIG_FILE_LOADER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/config/prometheus_config.h"
#include "lib/io/file_system.h"

namespace narthex::config {

struct LoadOptions {
  // The value of an environment variable, for external_labels. Empty: none is set.
  std::function<std::optional<std::string>(const std::string& name)> environment;
};

// A configuration and what is worth a warning in it.
struct LoadedConfig {
  PrometheusConfig config;
  uint64_t hash =
      0;  // StableHash of the bytes of all files read: tells whether a reload changed anything.
  std::vector<std::string> warnings;
};

// Reads, decodes and validates prometheus.yml and its scrape_config_files. Errors are
// InvalidArgument "prometheus.yml:12:5: scrape_configs[0].scrape_interval: …", or the file
// system's.
absl::StatusOr<LoadedConfig> LoadFile(io::FileSystem* fs, const std::string& path,
                                      const LoadOptions& options = {});

// The same for a text; `file_name` is for errors and gives the folder of relative paths.
absl::StatusOr<LoadedConfig> LoadText(io::FileSystem* fs, std::string_view text,
                                      const std::string& file_name,
                                      const LoadOptions& options = {});

// os.Getenv for LoadOptions.
std::optional<std::string> ProcessEnvironment(const std::string& name);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_FILE_LOADER_H_
