#ifndef NARTHEX_LIB_CONFIG_SCRAPE_CONFIG_H_
#define NARTHEX_LIB_CONFIG_SCRAPE_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/http_client_config.h"
#include "lib/config/sd_config.h"
#include "lib/relabel/name_validation.h"
#include "lib/relabel/relabel_config.h"

namespace narthex::config {

enum class ScrapeProtocol {
  kOpenMetricsText0_0_1,
  kOpenMetricsText1_0_0,
  kPrometheusProto,
  kPrometheusText0_0_4,
  kPrometheusText1_0_0,
};
std::string_view ScrapeProtocolText(ScrapeProtocol protocol);  // "OpenMetricsText1.0.0"

// How names that are not legacy are asked for from targets.
enum class NameEscapingScheme { kAllowUtf8, kUnderscores, kDots, kValues };
std::string_view NameEscapingSchemeText(NameEscapingScheme scheme);  // "allow-utf-8"

// Limits on what one scrape may bring. 0 is none.
struct ScrapeLimits {
  uint64_t body_size_bytes = 0;
  uint64_t samples = 0;
  uint64_t targets = 0;
  uint64_t labels = 0;
  uint64_t label_name_length = 0;
  uint64_t label_value_length = 0;
  uint64_t keep_dropped_targets = 0;
  friend bool operator==(const ScrapeLimits&, const ScrapeLimits&) = default;
};

// What native histograms and synthetic series a job wants.
struct HistogramOptions {
  bool scrape_native_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool always_scrape_classic_histograms = false;
  bool extra_scrape_metrics = false;
  friend bool operator==(const HistogramOptions&, const HistogramOptions&) = default;
};

// One scrape job with everything inherited from `global` filled in. Plain data.
struct ScrapeConfig {
  std::string job_name;  // Unique over all files.
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  std::map<std::string, std::vector<std::string>> params;
  absl::Duration scrape_interval;
  absl::Duration scrape_timeout;                 // <= scrape_interval
  std::vector<ScrapeProtocol> scrape_protocols;  // In order of preference; never empty.
  // The protocol of answers without a usable Content-Type; nothing: such scrapes fail.
  std::optional<ScrapeProtocol> fallback_scrape_protocol;
  HistogramOptions histograms;
  uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  bool enable_compression = true;
  ScrapeLimits limits;
  std::string scrape_failure_log_file;
  NameValidationScheme metric_name_validation_scheme = NameValidationScheme::kUtf8;
  NameEscapingScheme metric_name_escaping_scheme = NameEscapingScheme::kAllowUtf8;
  HttpClientConfig http_client;
  std::vector<SdConfig> service_discovery;  // Static groups, files, and all other mechanisms.
  std::vector<relabel::RelabelConfig> relabel_configs;
  std::vector<relabel::RelabelConfig> metric_relabel_configs;
  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_SCRAPE_CONFIG_H_
