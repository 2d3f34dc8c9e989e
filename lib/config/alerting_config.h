#ifndef NARTHEX_LIB_CONFIG_ALERTING_CONFIG_H_
#define NARTHEX_LIB_CONFIG_ALERTING_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/http_client_config.h"
#include "lib/config/sd_config.h"
#include "lib/relabel/relabel_config.h"

// The `alerting` section: where alerts go and how they are relabelled on the way. Plain data.
namespace narthex::config {

struct SigV4Config {
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  bool use_fips_sts_endpoint = false;
  std::string service_name;
  friend bool operator==(const SigV4Config&, const SigV4Config&) = default;
};

struct AlertmanagerConfig {
  std::vector<SdConfig> service_discovery;
  HttpClientConfig http_client;
  std::optional<SigV4Config> sigv4;
  std::string scheme = "http";
  std::string path_prefix;
  absl::Duration timeout = absl::Seconds(10);
  std::string api_version = "v2";
  std::vector<relabel::RelabelConfig> relabel_configs;  // On the alertmanagers' target labels.
  std::vector<relabel::RelabelConfig> alert_relabel_configs;  // On alerts, after the global ones.
  friend bool operator==(const AlertmanagerConfig&, const AlertmanagerConfig&) = default;
};

struct AlertingConfig {
  std::vector<relabel::RelabelConfig> alert_relabel_configs;
  std::vector<AlertmanagerConfig> alertmanagers;
  friend bool operator==(const AlertingConfig&, const AlertingConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_ALERTING_CONFIG_H_
