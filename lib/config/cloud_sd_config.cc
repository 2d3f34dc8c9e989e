#include "lib/config/cloud_sd_config.h"

#include <algorithm>
#include <array>

#include "lib/config/sd_codec.h"

namespace narthex::config {

using yaml::Policy;

template <typename Fields>
void ListFields(Fields& fields, SdFilter& filter) {
  fields("name", filter.name);
  fields("values", filter.values);
}
absl::Status DecodeYaml(const yaml::Value& value, SdFilter* out) {
  yaml::Mapping fields(value, "config.Filter");
  ListFields(fields, *out);
  return fields.Finish();
}
yaml::Tree EncodeYaml(const SdFilter& filter) { return yaml::WriteFields(filter); }

absl::Status CheckFilters(const yaml::Mapping& fields, std::string_view owner,
                          const std::vector<SdFilter>& filters) {
  for (const SdFilter& filter : filters) {
    if (!filter.values.empty()) continue;
    return fields.ErrorAt("filters",
                          StrCat(owner, " SD configuration filter values cannot be empty"));
  }
  return absl::OkStatus();
}

namespace {

absl::Status CheckOneOf(const yaml::Mapping& fields, std::string_view key, std::string_view value,
                        std::initializer_list<std::string_view> allowed, std::string_view reason) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return absl::OkStatus();
  return fields.ErrorAt(key, reason);
}

absl::Status CheckNotEmpty(const yaml::Mapping& fields, std::string_view key,
                           std::string_view value, std::string_view reason) {
  return value.empty() ? fields.ErrorAt(key, reason) : absl::OkStatus();
}

}  // namespace

// AWS.

template <typename Fields>
void ListFields(Fields& fields, AwsAccess& access) {
  fields("endpoint", access.endpoint);
  fields("region", access.region);
  fields("access_key", access.access_key);
  fields("secret_key", access.secret_key);
  fields("profile", access.profile);
  fields("role_arn", access.role_arn);
  fields("external_id", access.external_id);
  fields("refresh_interval", access.refresh_interval);
  fields("port", access.port);
  HttpClientFields(fields, access.http_client);
}

std::string_view TypeName(const AwsSdConfig*) { return "aws.plain"; }
template <typename Fields>
void ListFields(Fields& fields, AwsSdConfig& config) {
  fields("role", config.role, Policy::kAlways);
  ListFields(fields, config.access);
  fields("filters", config.filters);
  fields("clusters", config.clusters);
  fields("request_concurrency", config.request_concurrency);
}
absl::Status CheckSd(yaml::Mapping& fields, AwsSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "role", config->role,
                                     {"ec2", "ecs", "elasticache", "lightsail", "msk", "rds"},
                                     StrCat("unknown AWS SD role ", Quote(config->role))));
  NARTHEX_RETURN_IF_ERROR(CheckFilters(fields, "AWS", config->filters));
  return ValidateHttpClient(fields, &config->access.http_client);
}

std::string_view TypeName(const Ec2SdConfig*) { return "aws.plain"; }
template <typename Fields>
void ListFields(Fields& fields, Ec2SdConfig& config) {
  ListFields(fields, config.access);
  fields("filters", config.filters);
}
absl::Status CheckSd(yaml::Mapping& fields, Ec2SdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckFilters(fields, "EC2", config->filters));
  return ValidateHttpClient(fields, &config->access.http_client);
}

std::string_view TypeName(const LightsailSdConfig*) { return "aws.plain"; }
template <typename Fields>
void ListFields(Fields& fields, LightsailSdConfig& config) {
  ListFields(fields, config.access);
}
absl::Status CheckSd(yaml::Mapping& fields, LightsailSdConfig* config) {
  return ValidateHttpClient(fields, &config->access.http_client);
}

// ECS, ElastiCache, MSK and RDS have the same keys.
template <typename T>
concept AwsClusterSdConfig = std::same_as<T, EcsSdConfig> || std::same_as<T, ElastiCacheSdConfig> ||
    std::same_as<T, MskSdConfig> || std::same_as<T, RdsSdConfig>;
template <AwsClusterSdConfig T>
std::string_view TypeName(const T*) {
  return "aws.plain";
}
template <typename Fields, AwsClusterSdConfig T>
void ListFields(Fields& fields, T& config) {
  ListFields(fields, config.access);
  fields("clusters", config.clusters);
  fields("request_concurrency", config.request_concurrency);
}
template <AwsClusterSdConfig T>
absl::Status CheckSd(yaml::Mapping& fields, T* config) {
  return ValidateHttpClient(fields, &config->access.http_client);
}

// Azure.

std::string_view TypeName(const AzureSdConfig*) { return "azure.plain"; }
template <typename Fields>
void ListFields(Fields& fields, AzureSdConfig& config) {
  fields("environment", config.environment);
  fields("port", config.port, Policy::kAlways);
  fields("subscription_id", config.subscription_id, Policy::kAlways);
  fields("tenant_id", config.tenant_id);
  fields("client_id", config.client_id);
  fields("client_secret", config.client_secret);
  fields("refresh_interval", config.refresh_interval);
  fields("authentication_method", config.authentication_method);
  fields("resource_group", config.resource_group);
  HttpClientFields(fields, config.http_client);
}
absl::Status CheckSd(yaml::Mapping& fields, AzureSdConfig* config) {
  const auto require = [&](std::string_view key, std::string_view value) {
    return CheckNotEmpty(fields, key, value, StrCat("azure SD configuration requires a ", key));
  };
  NARTHEX_RETURN_IF_ERROR(require("subscription_id", config->subscription_id));
  if (config->authentication_method == "OAuth") {
    NARTHEX_RETURN_IF_ERROR(require("tenant_id", config->tenant_id));
    NARTHEX_RETURN_IF_ERROR(require("client_id", config->client_id));
    NARTHEX_RETURN_IF_ERROR(require("client_secret", config->client_secret.reveal()));
  }
  NARTHEX_RETURN_IF_ERROR(
      CheckOneOf(fields, "authentication_method", config->authentication_method,
                 {"OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"},
                 StrCat("unknown authentication_type ", Quote(config->authentication_method),
                        ". Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or "
                        "\"WorkloadIdentity\"")));
  return ValidateHttpClient(fields, &config->http_client);
}

// Others, by name.

std::string_view TypeName(const DigitalOceanSdConfig*) { return "digitalocean.plain"; }
template <typename Fields>
void ListFields(Fields& fields, DigitalOceanSdConfig& config) {
  fields("role", config.role);
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, DigitalOceanSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "role", config->role, {"droplets", "databases"},
                                     StrCat("unknown role ", Quote(config->role))));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const GceSdConfig*) { return "gce.plain"; }
template <typename Fields>
void ListFields(Fields& fields, GceSdConfig& config) {
  fields("project", config.project, Policy::kAlways);
  fields("zone", config.zone, Policy::kAlways);
  fields("filter", config.filter);
  fields("refresh_interval", config.refresh_interval);
  fields("port", config.port, Policy::kAlways);
  fields("tag_separator", config.tag_separator);
}
absl::Status CheckSd(yaml::Mapping& fields, GceSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "project", config->project, "GCE SD configuration requires a project"));
  return CheckNotEmpty(fields, "zone", config->zone, "GCE SD configuration requires a zone");
}

std::string_view TypeName(const HetznerSdConfig*) { return "hetzner.plain"; }
template <typename Fields>
void ListFields(Fields& fields, HetznerSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("role", config.role, Policy::kAlways);
  fields("label_selector", config.label_selector);
}
absl::Status CheckSd(yaml::Mapping& fields, HetznerSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "role", config->role, "role missing (one of: robot, hcloud)"));
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "role", config->role, {"robot", "hcloud"},
                                     StrCat("unknown role ", Quote(config->role))));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const IonosSdConfig*) { return "ionos.plain"; }
template <typename Fields>
void ListFields(Fields& fields, IonosSdConfig& config) {
  fields("datacenter_id", config.datacenter_id, Policy::kAlways);
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, IonosSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "datacenter_id", config->datacenter_id,
                                        "datacenter id can't be empty"));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const LinodeSdConfig*) { return "linode.plain"; }
template <typename Fields>
void ListFields(Fields& fields, LinodeSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("tag_separator", config.tag_separator);
  fields("region", config.region);
}
absl::Status CheckSd(yaml::Mapping& fields, LinodeSdConfig* config) {
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const OciSdConfig*) { return "oci.plain"; }
template <typename Fields>
void ListFields(Fields& fields, OciSdConfig& config) {
  fields("auth", config.auth);
  fields("tenancy", config.tenancy);
  fields("user", config.user);
  fields("fingerprint", config.fingerprint);
  fields("key_file", config.key_file, Policy::kPath);
  fields("key_passphrase", config.key_passphrase);
  fields("key_passphrase_file", config.key_passphrase_file, Policy::kPath);
  fields("region", config.region, Policy::kAlways);
  fields("compartments", config.compartments);
  HttpClientFields(fields, config.http_client);
  fields("port", config.port, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, OciSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "region", config->region, "oci_sd: region is required"));
  const std::initializer_list<std::pair<std::string_view, std::string_view>> identity = {
      {"tenancy", config->tenancy},
      {"user", config->user},
      {"fingerprint", config->fingerprint},
      {"key_file", config->key_file}};
  if (config->auth == "api_key") {
    for (const auto& [key, value] : identity) {
      NARTHEX_RETURN_IF_ERROR(
          CheckNotEmpty(fields, key, value, StrCat("oci_sd: api_key auth requires ", key)));
    }
    if (!config->key_passphrase.empty() && !config->key_passphrase_file.empty()) {
      return fields.ErrorAt("key_passphrase",
                            "oci_sd: at most one of key_passphrase and key_passphrase_file must be "
                            "configured");
    }
  } else if (config->auth == "instance_principal") {
    bool any = !config->key_passphrase.empty() || !config->key_passphrase_file.empty();
    for (const auto& [key, value] : identity) any = any || !value.empty();
    if (any) {
      return fields.ErrorAt("auth",
                            "oci_sd: instance_principal auth must not have tenancy, user, "
                            "fingerprint, key_file, key_passphrase, or key_passphrase_file set");
    }
  } else {
    return fields.ErrorAt("auth", StrCat("oci_sd: unknown auth method ", Quote(config->auth),
                                         ", expected \"api_key\" or \"instance_principal\""));
  }
  for (size_t i = 0; i < config->compartments.size(); ++i) {
    if (config->compartments[i].empty()) {
      return fields.ErrorAt("compartments",
                            StrCat("oci_sd: compartments[", i, "] must not be empty"));
    }
  }
  if (config->refresh_interval <= absl::ZeroDuration()) {
    return fields.ErrorAt("refresh_interval", "oci_sd: refresh_interval must be positive, got 0s");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const OpenStackSdConfig*) { return "openstack.plain"; }
template <typename Fields>
void ListFields(Fields& fields, OpenStackSdConfig& config) {
  fields("identity_endpoint", config.identity_endpoint, Policy::kAlways);
  fields("username", config.username, Policy::kAlways);
  fields("userid", config.userid, Policy::kAlways);
  fields("password", config.password, Policy::kAlways);
  fields("project_name", config.project_name, Policy::kAlways);
  fields("project_id", config.project_id, Policy::kAlways);
  fields("domain_name", config.domain_name, Policy::kAlways);
  fields("domain_id", config.domain_id, Policy::kAlways);
  fields("application_credential_name", config.application_credential_name, Policy::kAlways);
  fields("application_credential_id", config.application_credential_id, Policy::kAlways);
  fields("application_credential_secret", config.application_credential_secret, Policy::kAlways);
  fields("role", config.role, Policy::kAlways);
  fields("region", config.region, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("all_tenants", config.all_tenants);
  fields("tls_config", config.tls_config);
  fields("availability", config.availability);
}
absl::Status CheckSd(yaml::Mapping& fields, OpenStackSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "role", config->role,
                                     {"", "instance", "hypervisor", "loadbalancer"},
                                     StrCat("unknown OpenStack SD role ", Quote(config->role))));
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "availability", config->availability,
                                     {"public", "internal", "admin"},
                                     StrCat("unknown availability ", config->availability,
                                            ", must be one of admin, internal or public")));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(
      fields, "role", config->role, "role missing (one of: instance, hypervisor, loadbalancer)"));
  return CheckNotEmpty(fields, "region", config->region,
                       "openstack SD configuration requires a region");
}

// Scaleway and Outscale take their secret from one of two keys.
template <typename T>
absl::Status CheckSecretKey(const yaml::Mapping& fields, const T& config) {
  if (config.secret_key.empty() && config.secret_key_file.empty()) {
    return fields.ErrorAt("secret_key", "one of secret_key & secret_key_file must be configured");
  }
  if (!config.secret_key.empty() && !config.secret_key_file.empty()) {
    return fields.ErrorAt("secret_key",
                          "at most one of secret_key & secret_key_file must be configured");
  }
  return absl::OkStatus();
}

std::string_view TypeName(const OutscaleSdConfig*) { return "outscale.plain"; }
template <typename Fields>
void ListFields(Fields& fields, OutscaleSdConfig& config) {
  fields("endpoint", config.endpoint);
  fields("region", config.region, Policy::kAlways);
  fields("access_key", config.access_key, Policy::kAlways);
  fields("secret_key", config.secret_key);
  fields("secret_key_file", config.secret_key_file, Policy::kPath);
  fields("refresh_interval", config.refresh_interval);
  fields("port", config.port, Policy::kAlways);
  HttpClientFields(fields, config.http_client);
}
absl::Status CheckSd(yaml::Mapping& fields, OutscaleSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "region", config->region,
                                        "outscale SD configuration requires a region"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "access_key", config->access_key,
                                        "outscale SD configuration requires access_key"));
  NARTHEX_RETURN_IF_ERROR(CheckSecretKey(fields, *config));
  if (config->endpoint.empty()) {
    config->endpoint = StrCat("https://api.", config->region, ".outscale.com/api/v1");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const OvhCloudSdConfig*) { return "ovhcloud.plain"; }
template <typename Fields>
void ListFields(Fields& fields, OvhCloudSdConfig& config) {
  fields("endpoint", config.endpoint, Policy::kAlways);
  fields("application_key", config.application_key, Policy::kAlways);
  fields("application_secret", config.application_secret, Policy::kAlways);
  fields("consumer_key", config.consumer_key, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("service", config.service, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, OvhCloudSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "endpoint", config->endpoint, "endpoint can not be empty"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "application_key", config->application_key,
                                        "application key can not be empty"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "application_secret",
                                        config->application_secret.reveal(),
                                        "application secret can not be empty"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "consumer_key", config->consumer_key.reveal(),
                                        "consumer key can not be empty"));
  return CheckOneOf(fields, "service", config->service, {"vps", "dedicated_server"},
                    StrCat("unknown service: ", config->service));
}

std::string_view TypeName(const ScalewaySdConfig*) { return "scaleway.plain"; }
template <typename Fields>
void ListFields(Fields& fields, ScalewaySdConfig& config) {
  fields("project_id", config.project_id, Policy::kAlways);
  fields("api_url", config.api_url);
  fields("zone", config.zone, Policy::kAlways);
  fields("access_key", config.access_key, Policy::kAlways);
  fields("secret_key", config.secret_key);
  fields("secret_key_file", config.secret_key_file, Policy::kPath);
  fields("name_filter", config.name_filter);
  fields("tags_filter", config.tags_filter);
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("role", config.role, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, ScalewaySdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "role", config->role, "role missing (one of: instance, baremetal)"));
  NARTHEX_RETURN_IF_ERROR(CheckOneOf(fields, "role", config->role, {"instance", "baremetal"},
                                     StrCat("unknown role ", Quote(config->role))));
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "project_id", config->project_id, "project_id is mandatory"));
  NARTHEX_RETURN_IF_ERROR(CheckSecretKey(fields, *config));
  NARTHEX_RETURN_IF_ERROR(
      CheckNotEmpty(fields, "access_key", config->access_key, "access_key is mandatory"));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const StackitSdConfig*) { return "stackit.plain"; }
template <typename Fields>
void ListFields(Fields& fields, StackitSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("project", config.project, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval);
  fields("port", config.port);
  fields("region", config.region);
  fields("endpoint", config.endpoint);
  fields("service_account_key", config.service_account_key);
  fields("private_key", config.private_key);
  fields("service_account_key_path", config.service_account_key_path, Policy::kPath);
  fields("private_key_path", config.private_key_path, Policy::kPath);
  fields("credentials_file_path", config.credentials_file_path, Policy::kPath);
}
absl::Status CheckSd(yaml::Mapping& fields, StackitSdConfig* config) {
  if (config->endpoint.empty() && config->region.empty()) {
    return fields.ErrorAt("region", "stackit_sd: endpoint and region missing");
  }
  const absl::StatusOr<Url> url = ParseUrl(config->endpoint);
  if (!url.ok()) {
    return fields.ErrorAt("endpoint", StrCat("stackit_sd: invalid endpoint ",
                                             Quote(config->endpoint), ": ", Message(url.status())));
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const TritonSdConfig*) { return "triton.plain"; }
template <typename Fields>
void ListFields(Fields& fields, TritonSdConfig& config) {
  fields("account", config.account, Policy::kAlways);
  fields("role", config.role, Policy::kAlways);
  fields("dns_suffix", config.dns_suffix, Policy::kAlways);
  fields("endpoint", config.endpoint, Policy::kAlways);
  fields("groups", config.groups);
  fields("port", config.port, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval);
  fields("tls_config", config.tls_config);
  fields("version", config.version, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, TritonSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      CheckOneOf(fields, "role", config->role, {"container", "cn"},
                 "triton SD configuration requires role to be 'container' or 'cn'"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "account", config->account,
                                        "triton SD configuration requires an account"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "dns_suffix", config->dns_suffix,
                                        "triton SD configuration requires a dns_suffix"));
  NARTHEX_RETURN_IF_ERROR(CheckNotEmpty(fields, "endpoint", config->endpoint,
                                        "triton SD configuration requires an endpoint"));
  if (config->refresh_interval <= absl::ZeroDuration()) {
    return fields.ErrorAt(
        "refresh_interval",
        "triton SD configuration requires RefreshInterval to be a positive integer");
  }
  return absl::OkStatus();
}

std::string_view TypeName(const VultrSdConfig*) { return "vultr.plain"; }
template <typename Fields>
void ListFields(Fields& fields, VultrSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, VultrSdConfig* config) {
  return ValidateHttpClient(fields, &config->http_client);
}

std::vector<SdKey> CloudSdKeys() {
  return {
      SdRow<AwsSdConfig>("aws", "aws_sd_configs"),
      SdRow<AzureSdConfig>("azure", "azure_sd_configs"),
      SdRow<DigitalOceanSdConfig>("digitalocean", "digitalocean_sd_configs"),
      SdRow<Ec2SdConfig>("ec2", "ec2_sd_configs"),
      SdRow<EcsSdConfig>("ecs", "ecs_sd_configs"),
      SdRow<ElastiCacheSdConfig>("elasticache", "elasticache_sd_configs"),
      SdRow<GceSdConfig>("gce", "gce_sd_configs"),
      SdRow<HetznerSdConfig>("hetzner", "hetzner_sd_configs"),
      SdRow<IonosSdConfig>("ionos", "ionos_sd_configs"),
      SdRow<LightsailSdConfig>("lightsail", "lightsail_sd_configs"),
      SdRow<LinodeSdConfig>("linode", "linode_sd_configs"),
      SdRow<MskSdConfig>("msk", "msk_sd_configs"),
      SdRow<OciSdConfig>("oci", "oci_sd_configs"),
      SdRow<OpenStackSdConfig>("openstack", "openstack_sd_configs"),
      SdRow<OutscaleSdConfig>("outscale", "outscale_sd_configs"),
      SdRow<OvhCloudSdConfig>("ovhcloud", "ovhcloud_sd_configs"),
      SdRow<RdsSdConfig>("rds", "rds_sd_configs"),
      SdRow<ScalewaySdConfig>("scaleway", "scaleway_sd_configs"),
      SdRow<StackitSdConfig>("stackit", "stackit_sd_configs"),
      SdRow<TritonSdConfig>("triton", "triton_sd_configs"),
      SdRow<VultrSdConfig>("vultr", "vultr_sd_configs"),
  };
}

}  // namespace narthex::config
