#ifndef NARTHEX_LIB_CONFIG_SD_CONFIG_H_
#define NARTHEX_LIB_CONFIG_SD_CONFIG_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/cloud_sd_config.h"
#include "lib/config/http_client_config.h"
#include "lib/config/secret.h"

// Service discovery: one struct a mechanism, and the closed set of all of them. Those of cloud
// providers are in cloud_sd_config.h. Plain data; an addition needs its row in sd_config.cc.
namespace narthex::config {

struct StaticSdConfig {
  std::vector<std::string> targets;
  std::map<std::string, std::string> labels;
  friend bool operator==(const StaticSdConfig&, const StaticSdConfig&) = default;
};

struct FileSdConfig {
  std::vector<std::string> files;  // The last element may be a glob.
  absl::Duration refresh_interval = absl::Minutes(5);
  friend bool operator==(const FileSdConfig&, const FileSdConfig&) = default;
};

struct HttpSdConfig {
  std::string url;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const HttpSdConfig&, const HttpSdConfig&) = default;
};

struct DnsSdConfig {
  std::vector<std::string> names;
  absl::Duration refresh_interval = absl::Seconds(30);
  std::string type = "SRV";  // SRV A AAAA MX NS
  int port = 0;              // Required unless SRV.
  friend bool operator==(const DnsSdConfig&, const DnsSdConfig&) = default;
};

struct ConsulSdConfig {
  std::string server = "localhost:8500";
  std::string path_prefix;
  Secret token;
  std::string datacenter;
  std::string namespace_name;
  std::string partition;
  std::string tag_separator = ",";
  std::string scheme = "http";
  std::string username;  // Empty once read: with the password, it becomes the basic_auth.
  Secret password;
  bool allow_stale = true;
  absl::Duration refresh_interval = absl::Seconds(30);
  std::vector<std::string> services;
  std::vector<std::string> tags;
  std::map<std::string, std::string> node_meta;
  std::string filter;
  std::string health_filter;
  HttpClientConfig http_client;
  friend bool operator==(const ConsulSdConfig&, const ConsulSdConfig&) = default;
};

struct DockerSdConfig {
  std::string host;
  int port = 80;
  std::vector<SdFilter> filters;
  std::string host_networking_host = "localhost";
  bool match_first_network = true;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const DockerSdConfig&, const DockerSdConfig&) = default;
};

struct DockerSwarmSdConfig {
  std::string host;
  std::string role;  // services tasks nodes
  int port = 80;
  std::vector<SdFilter> filters;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const DockerSwarmSdConfig&, const DockerSwarmSdConfig&) = default;
};

struct EurekaSdConfig {
  std::string server;
  absl::Duration refresh_interval = absl::Seconds(30);
  HttpClientConfig http_client;
  friend bool operator==(const EurekaSdConfig&, const EurekaSdConfig&) = default;
};

struct KubernetesSdConfig {
  struct Selector {
    std::string role;
    std::string label;
    std::string field;
    friend bool operator==(const Selector&, const Selector&) = default;
  };
  struct AttachMetadata {
    bool node = false;
    bool namespace_metadata = false;
    bool deployment = false;
    bool job = false;
    bool cronjob = false;
    friend bool operator==(const AttachMetadata&, const AttachMetadata&) = default;
  };
  std::string api_server;
  std::string role;  // node pod service endpoints endpointslice ingress
  std::string kubeconfig_file;
  bool own_namespace = false;
  std::vector<std::string> namespaces;
  std::vector<Selector> selectors;
  AttachMetadata attach_metadata;
  HttpClientConfig http_client;
  friend bool operator==(const KubernetesSdConfig&, const KubernetesSdConfig&) = default;
};

struct KumaSdConfig {
  std::string server;
  absl::Duration refresh_interval = absl::Seconds(15);
  absl::Duration fetch_timeout = absl::Minutes(2);
  std::string client_id;
  HttpClientConfig http_client;
  friend bool operator==(const KumaSdConfig&, const KumaSdConfig&) = default;
};

struct MarathonSdConfig {
  std::vector<std::string> servers;
  absl::Duration refresh_interval = absl::Seconds(30);
  Secret auth_token;
  std::string auth_token_file;
  HttpClientConfig http_client;
  friend bool operator==(const MarathonSdConfig&, const MarathonSdConfig&) = default;
};

// Nerve and Serverset: both read nodes of ZooKeeper.
struct NerveSdConfig {
  std::vector<std::string> servers;
  std::vector<std::string> paths;
  absl::Duration timeout = absl::Seconds(10);
  friend bool operator==(const NerveSdConfig&, const NerveSdConfig&) = default;
};

struct ServersetSdConfig {
  std::vector<std::string> servers;
  std::vector<std::string> paths;
  absl::Duration timeout = absl::Seconds(10);
  friend bool operator==(const ServersetSdConfig&, const ServersetSdConfig&) = default;
};

struct NomadSdConfig {
  bool allow_stale = true;
  std::string namespace_name = "default";
  absl::Duration refresh_interval = absl::Seconds(60);
  std::string region = "global";
  std::string server = "http://localhost:4646";
  std::string tag_separator = ",";
  HttpClientConfig http_client;
  friend bool operator==(const NomadSdConfig&, const NomadSdConfig&) = default;
};

struct PuppetDbSdConfig {
  std::string url;
  std::string query;
  bool include_parameters = false;
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const PuppetDbSdConfig&, const PuppetDbSdConfig&) = default;
};

struct UyuniSdConfig {
  std::string server;
  std::string username;
  Secret password;
  std::string entitlement = "monitoring_entitled";
  std::string separator = ",";
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const UyuniSdConfig&, const UyuniSdConfig&) = default;
};

// One configured mechanism.
using SdConfig =
    std::variant<AwsSdConfig, AzureSdConfig, ConsulSdConfig, DigitalOceanSdConfig, DockerSdConfig,
                 DockerSwarmSdConfig, DnsSdConfig, Ec2SdConfig, EcsSdConfig, ElastiCacheSdConfig,
                 EurekaSdConfig, FileSdConfig, GceSdConfig, HetznerSdConfig, HttpSdConfig,
                 IonosSdConfig, KubernetesSdConfig, KumaSdConfig, LightsailSdConfig, LinodeSdConfig,
                 MarathonSdConfig, MskSdConfig, NerveSdConfig, NomadSdConfig, OciSdConfig,
                 OpenStackSdConfig, OutscaleSdConfig, OvhCloudSdConfig, PuppetDbSdConfig,
                 RdsSdConfig, ScalewaySdConfig, ServersetSdConfig, StackitSdConfig, StaticSdConfig,
                 TritonSdConfig, UyuniSdConfig, VultrSdConfig>;

// "static", "file", "kubernetes", …: the key is this and "_sd_configs", but for "static_configs".
std::string_view SdName(const SdConfig& config);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_SD_CONFIG_H_
