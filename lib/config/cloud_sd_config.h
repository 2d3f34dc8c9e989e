#ifndef NARTHEX_LIB_CONFIG_CLOUD_SD_CONFIG_H_
#define NARTHEX_LIB_CONFIG_CLOUD_SD_CONFIG_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/config/http_client_config.h"
#include "lib/config/secret.h"

// Service discovery by the interfaces of cloud and hosting providers. Plain data.
namespace narthex::config {

struct SdFilter {
  std::string name;
  std::vector<std::string> values;  // Never empty.
  friend bool operator==(const SdFilter&, const SdFilter&) = default;
};

// What all AWS mechanisms share.
struct AwsAccess {
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  absl::Duration refresh_interval = absl::Seconds(60);
  int port = 80;
  HttpClientConfig http_client;
  friend bool operator==(const AwsAccess&, const AwsAccess&) = default;
};

struct AwsSdConfig {
  std::string role;  // ec2 ecs elasticache lightsail msk rds
  AwsAccess access;
  std::vector<SdFilter> filters;      // ec2
  std::vector<std::string> clusters;  // ecs, elasticache, msk, rds
  int request_concurrency = 10;
  friend bool operator==(const AwsSdConfig&, const AwsSdConfig&) = default;
};

struct Ec2SdConfig {
  AwsAccess access;
  std::vector<SdFilter> filters;
  friend bool operator==(const Ec2SdConfig&, const Ec2SdConfig&) = default;
};

struct LightsailSdConfig {
  AwsAccess access;
  friend bool operator==(const LightsailSdConfig&, const LightsailSdConfig&) = default;
};

struct EcsSdConfig {
  AwsAccess access;
  std::vector<std::string> clusters;
  int request_concurrency = 10;
  friend bool operator==(const EcsSdConfig&, const EcsSdConfig&) = default;
};

struct ElastiCacheSdConfig {
  AwsAccess access;
  std::vector<std::string> clusters;
  int request_concurrency = 10;
  friend bool operator==(const ElastiCacheSdConfig&, const ElastiCacheSdConfig&) = default;
};

struct MskSdConfig {
  AwsAccess access;
  std::vector<std::string> clusters;
  int request_concurrency = 10;
  friend bool operator==(const MskSdConfig&, const MskSdConfig&) = default;
};

struct RdsSdConfig {
  AwsAccess access;
  std::vector<std::string> clusters;
  int request_concurrency = 10;
  friend bool operator==(const RdsSdConfig&, const RdsSdConfig&) = default;
};

struct AzureSdConfig {
  std::string environment = "AzurePublicCloud";
  std::string authentication_method = "OAuth";
  std::string subscription_id;
  std::string tenant_id;
  std::string client_id;
  Secret client_secret;
  std::string resource_group;
  int port = 80;
  absl::Duration refresh_interval = absl::Minutes(5);
  HttpClientConfig http_client;
  friend bool operator==(const AzureSdConfig&, const AzureSdConfig&) = default;
};

struct DigitalOceanSdConfig {
  std::string role = "droplets";  // Or "databases".
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const DigitalOceanSdConfig&, const DigitalOceanSdConfig&) = default;
};

struct GceSdConfig {
  std::string project;
  std::string zone;
  std::string filter;
  absl::Duration refresh_interval = absl::Seconds(60);
  int port = 80;
  std::string tag_separator = ",";
  friend bool operator==(const GceSdConfig&, const GceSdConfig&) = default;
};

struct HetznerSdConfig {
  std::string role;  // hcloud robot
  std::string label_selector;
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const HetznerSdConfig&, const HetznerSdConfig&) = default;
};

struct IonosSdConfig {
  std::string datacenter_id;
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const IonosSdConfig&, const IonosSdConfig&) = default;
};

struct LinodeSdConfig {
  std::string region;
  int port = 80;
  std::string tag_separator = ",";
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const LinodeSdConfig&, const LinodeSdConfig&) = default;
};

struct OciSdConfig {
  std::string auth = "api_key";  // Or "instance_principal".
  std::string region;
  std::string tenancy;
  std::string user;
  std::string fingerprint;
  std::string key_file;
  Secret key_passphrase;
  std::string key_passphrase_file;
  std::vector<std::string> compartments;
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const OciSdConfig&, const OciSdConfig&) = default;
};

struct OpenStackSdConfig {
  std::string identity_endpoint;
  std::string username;
  std::string userid;
  Secret password;
  std::string project_name;
  std::string project_id;
  std::string domain_name;
  std::string domain_id;
  std::string application_credential_name;
  std::string application_credential_id;
  Secret application_credential_secret;
  std::string role;  // hypervisor instance loadbalancer
  std::string region;
  absl::Duration refresh_interval = absl::Seconds(60);
  int port = 80;
  bool all_tenants = false;
  std::string availability = "public";
  TlsConfig tls_config;
  friend bool operator==(const OpenStackSdConfig&, const OpenStackSdConfig&) = default;
};

struct OutscaleSdConfig {
  std::string endpoint;
  std::string region = "eu-west-2";
  std::string access_key;
  Secret secret_key;
  std::string secret_key_file;
  absl::Duration refresh_interval = absl::Seconds(60);
  int port = 80;
  HttpClientConfig http_client;
  friend bool operator==(const OutscaleSdConfig&, const OutscaleSdConfig&) = default;
};

struct OvhCloudSdConfig {
  std::string endpoint = "ovh-eu";
  std::string application_key;
  Secret application_secret;
  Secret consumer_key;
  absl::Duration refresh_interval = absl::Seconds(60);
  std::string service;  // vps dedicated_server
  friend bool operator==(const OvhCloudSdConfig&, const OvhCloudSdConfig&) = default;
};

struct ScalewaySdConfig {
  std::string project_id;
  std::string api_url = "https://api.scaleway.com";
  std::string zone = "fr-par-1";
  std::string access_key;
  Secret secret_key;
  std::string secret_key_file;
  std::string name_filter;
  std::vector<std::string> tags_filter;
  absl::Duration refresh_interval = absl::Seconds(60);
  int port = 80;
  std::string role;  // baremetal instance
  HttpClientConfig http_client;
  friend bool operator==(const ScalewaySdConfig&, const ScalewaySdConfig&) = default;
};

struct StackitSdConfig {
  std::string project;
  std::string endpoint;
  std::string region = "eu01";
  int port = 80;
  Secret service_account_key;
  Secret private_key;
  std::string service_account_key_path;
  std::string private_key_path;
  std::string credentials_file_path;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const StackitSdConfig&, const StackitSdConfig&) = default;
};

struct TritonSdConfig {
  std::string account;
  std::string role = "container";  // Or "cn".
  std::string dns_suffix;
  std::string endpoint;
  std::vector<std::string> groups;
  int port = 9163;
  absl::Duration refresh_interval = absl::Seconds(60);
  TlsConfig tls_config;
  int version = 1;
  friend bool operator==(const TritonSdConfig&, const TritonSdConfig&) = default;
};

struct VultrSdConfig {
  int port = 80;
  absl::Duration refresh_interval = absl::Seconds(60);
  HttpClientConfig http_client;
  friend bool operator==(const VultrSdConfig&, const VultrSdConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_CLOUD_SD_CONFIG_H_
