#ifndef NARTHEX_LIB_CONFIG_PROMETHEUS_CONFIG_H_
#define NARTHEX_LIB_CONFIG_PROMETHEUS_CONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/alerting_config.h"
#include "lib/config/remote_config.h"
#include "lib/config/scrape_config.h"
#include "lib/config/storage_config.h"
#include "lib/labels/labels.h"

// The whole prometheus.yml as plain data: defaults filled in, paths joined to the file's folder,
// validated across sections. file_loader.h reads it. All types compare with ==.
namespace narthex::config {

struct GlobalConfig {
  absl::Duration scrape_interval = absl::Minutes(1);
  absl::Duration scrape_timeout = absl::Seconds(10);
  std::vector<ScrapeProtocol> scrape_protocols;  // Empty: not given.
  absl::Duration evaluation_interval = absl::Minutes(1);
  absl::Duration rule_query_offset;
  std::string query_log_file;
  std::string scrape_failure_log_file;
  Labels external_labels;  // Environment variables expanded.
  ScrapeLimits limits;
  NameValidationScheme metric_name_validation_scheme = NameValidationScheme::kUtf8;
  NameEscapingScheme metric_name_escaping_scheme = NameEscapingScheme::kAllowUtf8;
  HistogramOptions histograms;
  friend bool operator==(const GlobalConfig&, const GlobalConfig&) = default;
};

struct PrometheusConfig {
  GlobalConfig global;
  int64_t gogc = 75;                             // runtime.gogc: accepted, of no meaning here.
  std::vector<std::string> rule_files;           // Paths or globs.
  std::vector<std::string> scrape_config_files;  // Likewise; already read into scrape_configs.
  // The jobs of the file and then those of the scrape_config_files.
  std::vector<ScrapeConfig> scrape_configs;
  AlertingConfig alerting;
  StorageConfig storage;
  std::vector<RemoteWriteConfig> remote_write;
  std::vector<RemoteReadConfig> remote_read;
  TracingConfig tracing;
  OtlpConfig otlp;
  friend bool operator==(const PrometheusConfig&, const PrometheusConfig&) = default;
};

// The sections that are present in `config` and accepted, but that no service acts on yet
// ("remote_write", "tracing", …), in the order of the file format. Each service warns of them once
// and exports them.
std::vector<std::string> UnusedSections(const PrometheusConfig& config);

// The effective configuration as YAML, in upstream's order of keys, secrets as <secret>.
std::string FormatYaml(const PrometheusConfig& config);
std::string FormatYaml(const ScrapeConfig& config);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_PROMETHEUS_CONFIG_H_
