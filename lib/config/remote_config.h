#ifndef NARTHEX_LIB_CONFIG_REMOTE_CONFIG_H_
#define NARTHEX_LIB_CONFIG_REMOTE_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/alerting_config.h"
#include "lib/config/http_client_config.h"
#include "lib/relabel/relabel_config.h"

// The `remote_write`, `remote_read`, `tracing` and `otlp` sections. Plain data.
namespace narthex::config {

struct QueueConfig {
  int64_t capacity = 10000;
  int64_t max_shards = 50;
  int64_t min_shards = 1;
  int64_t max_samples_per_send = 2000;
  absl::Duration batch_send_deadline = absl::Seconds(5);
  absl::Duration min_backoff = absl::Milliseconds(30);
  absl::Duration max_backoff = absl::Seconds(5);
  bool retry_on_http_429 = false;
  absl::Duration sample_age_limit;
  friend bool operator==(const QueueConfig&, const QueueConfig&) = default;
};

struct MetadataConfig {
  bool send = true;
  absl::Duration send_interval = absl::Minutes(1);
  int64_t max_samples_per_send = 2000;
  friend bool operator==(const MetadataConfig&, const MetadataConfig&) = default;
};

struct AzureAdConfig {
  struct ManagedIdentity {
    std::string client_id;
    friend bool operator==(const ManagedIdentity&, const ManagedIdentity&) = default;
  };
  struct OAuth {
    std::string client_id;
    Secret client_secret;
    std::string tenant_id;
    friend bool operator==(const OAuth&, const OAuth&) = default;
  };
  struct Sdk {
    std::string tenant_id;
    friend bool operator==(const Sdk&, const Sdk&) = default;
  };
  struct WorkloadIdentity {
    std::string client_id;
    std::string tenant_id;
    std::string token_file_path;
    friend bool operator==(const WorkloadIdentity&, const WorkloadIdentity&) = default;
  };
  std::optional<ManagedIdentity> managed_identity;
  std::optional<WorkloadIdentity> workload_identity;
  std::optional<OAuth> oauth;
  std::optional<Sdk> sdk;
  std::string cloud = "AzurePublic";
  std::string scope;
  friend bool operator==(const AzureAdConfig&, const AzureAdConfig&) = default;
};

struct GoogleIamConfig {
  std::string credentials_file;
  friend bool operator==(const GoogleIamConfig&, const GoogleIamConfig&) = default;
};

struct RemoteWriteConfig {
  std::string url;
  absl::Duration remote_timeout = absl::Seconds(30);
  std::map<std::string, std::string> headers;
  std::vector<relabel::RelabelConfig> write_relabel_configs;
  std::string name;  // Unique where not empty.
  bool send_exemplars = false;
  bool send_native_histograms = false;
  bool round_robin_dns = false;
  bool failed_request_logging = false;
  std::string protobuf_message = "prometheus.WriteRequest";
  HttpClientConfig http_client{.enable_http2 = false};
  QueueConfig queue_config;
  MetadataConfig metadata_config;
  std::optional<SigV4Config> sigv4;
  std::optional<AzureAdConfig> azuread;
  std::optional<GoogleIamConfig> google_iam;
  friend bool operator==(const RemoteWriteConfig&, const RemoteWriteConfig&) = default;
};

struct RemoteReadConfig {
  std::string url;
  absl::Duration remote_timeout = absl::Minutes(1);
  int64_t chunked_read_limit_bytes = 50'000'000;
  std::map<std::string, std::string> headers;
  bool read_recent = false;
  std::string name;  // Unique where not empty.
  HttpClientConfig http_client;
  std::map<std::string, std::string> required_matchers;
  bool filter_external_labels = true;
  friend bool operator==(const RemoteReadConfig&, const RemoteReadConfig&) = default;
};

struct TracingConfig {
  std::string client_type = "grpc";  // Or "http".
  std::string endpoint;              // Empty: tracing is off.
  double sampling_fraction = 0;
  bool insecure = false;
  TlsConfig tls_config;
  std::map<std::string, std::string> headers;
  std::string compression;  // "gzip" or empty.
  absl::Duration timeout = absl::Seconds(10);
  friend bool operator==(const TracingConfig&, const TracingConfig&) = default;
};

struct OtlpConfig {
  bool promote_all_resource_attributes = false;
  std::vector<std::string> promote_resource_attributes;
  std::vector<std::string> ignore_resource_attributes;
  std::string translation_strategy = "UnderscoreEscapingWithSuffixes";
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool label_name_underscore_sanitization = true;
  bool label_name_preserve_multiple_underscores = true;
  friend bool operator==(const OtlpConfig&, const OtlpConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_REMOTE_CONFIG_H_
