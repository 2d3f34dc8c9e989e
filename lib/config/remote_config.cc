#include "lib/config/remote_config.h"

#include <algorithm>
#include <array>

#include "lib/base/strings.h"
#include "lib/config/codec.h"

namespace narthex::config {

using yaml::Policy;

// Headers of remote requests that are not the user's, but for "authorization", which has an error
// of its own.
static constexpr std::array<std::string_view, 16> kReservedHeaders = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

static absl::Status CheckHeaders(const yaml::Mapping& fields,
                                 const std::map<std::string, std::string>& headers,
                                 std::string_view authorization_reason) {
  for (const auto& header : headers) {
    const std::string lower = ToLowerAscii(header.first);
    if (lower == "authorization") return fields.ErrorAt("headers", authorization_reason);
    if (std::find(kReservedHeaders.begin(), kReservedHeaders.end(), lower) !=
        kReservedHeaders.end()) {
      return fields.ErrorAt("headers",
                            StrCat(header.first, " is a reserved header. It must not be changed"));
    }
  }
  return absl::OkStatus();
}

static constexpr std::string_view kAuthorizationReason =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread or google_iam parameter";

template <typename Fields>
void ListFields(Fields& fields, QueueConfig& config) {
  fields("capacity", config.capacity);
  fields("max_shards", config.max_shards);
  fields("min_shards", config.min_shards);
  fields("max_samples_per_send", config.max_samples_per_send);
  fields("batch_send_deadline", config.batch_send_deadline);
  fields("min_backoff", config.min_backoff);
  fields("max_backoff", config.max_backoff);
  fields("retry_on_http_429", config.retry_on_http_429);
  fields("sample_age_limit", config.sample_age_limit);
}
absl::Status DecodeYaml(const yaml::Value& value, QueueConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const std::initializer_list<std::pair<std::string_view, int64_t>> positive = {
      {"max_samples_per_send", out->max_samples_per_send},
      {"max_shards", out->max_shards},
      {"min_shards", out->min_shards},
      {"capacity", out->capacity}};
  for (const auto& [key, number] : positive) {
    if (number > 0) continue;
    return fields.ErrorAt(key, StrCat("remote write queue ", key, " must be positive"));
  }
  if (out->min_shards > out->max_shards) {
    return fields.ErrorAt("min_shards",
                          "remote write queue min_shards must not be greater than max_shards");
  }
  if (out->max_backoff < out->min_backoff) {
    return fields.ErrorAt("max_backoff",
                          "remote write queue max_backoff must not be less than min_backoff");
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const QueueConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, MetadataConfig& config) {
  fields("send", config.send, Policy::kAlways);
  fields("send_interval", config.send_interval, Policy::kAlways);
  fields("max_samples_per_send", config.max_samples_per_send);
}
absl::Status DecodeYaml(const yaml::Value& value, MetadataConfig* out) {
  yaml::Mapping fields(value, "config.MetadataConfig");
  ListFields(fields, *out);
  return fields.Finish();
}
yaml::Tree EncodeYaml(const MetadataConfig& config) { return yaml::WriteFields(config); }

// The four ways of azuread, and their container.
template <typename Fields>
void ListFields(Fields& fields, AzureAdConfig::ManagedIdentity& config) {
  fields("client_id", config.client_id);
}
template <typename Fields>
void ListFields(Fields& fields, AzureAdConfig::OAuth& config) {
  fields("client_id", config.client_id);
  fields("client_secret", config.client_secret);
  fields("tenant_id", config.tenant_id);
}
template <typename Fields>
void ListFields(Fields& fields, AzureAdConfig::Sdk& config) {
  fields("tenant_id", config.tenant_id);
}
template <typename Fields>
void ListFields(Fields& fields, AzureAdConfig::WorkloadIdentity& config) {
  fields("client_id", config.client_id);
  fields("tenant_id", config.tenant_id);
  fields("token_file_path", config.token_file_path, Policy::kPath);
}
template <typename T>
concept AzureAdWay =
    std::same_as<T, AzureAdConfig::ManagedIdentity> || std::same_as<T, AzureAdConfig::OAuth> ||
    std::same_as<T, AzureAdConfig::Sdk> || std::same_as<T, AzureAdConfig::WorkloadIdentity>;
template <AzureAdWay T>
absl::Status DecodeYaml(const yaml::Value& value, T* out) {
  yaml::Mapping fields(value, "azuread.plain");
  ListFields(fields, *out);
  return fields.Finish();
}
template <AzureAdWay T>
yaml::Tree EncodeYaml(const T& config) {
  return yaml::WriteFields(config);
}

template <typename Fields>
void ListFields(Fields& fields, AzureAdConfig& config) {
  fields("managed_identity", config.managed_identity);
  fields("workload_identity", config.workload_identity);
  fields("oauth", config.oauth);
  fields("sdk", config.sdk);
  fields("cloud", config.cloud);
  fields("scope", config.scope);
}
absl::Status DecodeYaml(const yaml::Value& value, AzureAdConfig* out) {
  yaml::Mapping fields(value, "azuread.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const int ways = int{out->managed_identity.has_value()} +
                   int{out->workload_identity.has_value()} + int{out->oauth.has_value()} +
                   int{out->sdk.has_value()};
  if (ways == 0) {
    return fields.ErrorAt("managed_identity",
                          "must provide an Azure Managed Identity, Azure Workload Identity, Azure "
                          "OAuth or Azure SDK in the Azure AD config");
  }
  if (ways > 1) {
    return fields.ErrorAt("managed_identity",
                          "cannot provide multiple authentication methods in the Azure AD config");
  }
  static constexpr std::array<std::string_view, 3> kClouds = {"AzureChina", "AzureGovernment",
                                                              "AzurePublic"};
  if (std::find(kClouds.begin(), kClouds.end(), out->cloud) == kClouds.end()) {
    return fields.ErrorAt("cloud", "must provide a cloud in the Azure AD config");
  }
  if (out->oauth.has_value() &&
      (out->oauth->client_id.empty() || out->oauth->client_secret.empty() ||
       out->oauth->tenant_id.empty())) {
    return fields.ErrorAt("oauth",
                          "must provide an Azure OAuth client_id, client_secret and tenant_id in "
                          "the Azure AD config");
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const AzureAdConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, GoogleIamConfig& config) {
  fields("credentials_file", config.credentials_file, Policy::kPath);
}
absl::Status DecodeYaml(const yaml::Value& value, GoogleIamConfig* out) {
  yaml::Mapping fields(value, "googleiam.Config");
  ListFields(fields, *out);
  return fields.Finish();
}
yaml::Tree EncodeYaml(const GoogleIamConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, RemoteWriteConfig& config) {
  UrlField(fields, "url", config.url);
  fields("remote_timeout", config.remote_timeout);
  fields("headers", config.headers);
  RelabelField(fields, "write_relabel_configs", "relabeling rule in remote write config",
               config.write_relabel_configs);
  fields("name", config.name);
  fields("send_exemplars", config.send_exemplars);
  fields("send_native_histograms", config.send_native_histograms);
  fields("round_robin_dns", config.round_robin_dns);
  fields("failed_request_logging", config.failed_request_logging);
  fields("protobuf_message", config.protobuf_message);
  HttpClientFields(fields, config.http_client);
  fields("queue_config", config.queue_config);
  fields("metadata_config", config.metadata_config);
  fields("sigv4", config.sigv4);
  fields("azuread", config.azuread);
  fields("google_iam", config.google_iam);
}
absl::Status DecodeYaml(const yaml::Value& value, RemoteWriteConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->url.empty()) return fields.ErrorAt("url", "url for remote_write is empty");
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(fields, out->headers, kAuthorizationReason));
  if (out->protobuf_message != "prometheus.WriteRequest" &&
      out->protobuf_message != "io.prometheus.write.v2.Request") {
    return fields.ErrorAt(
        "protobuf_message",
        StrCat("invalid protobuf_message value: unknown type for remote write protobuf message ",
               out->protobuf_message,
               ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"));
  }
  NARTHEX_RETURN_IF_ERROR(ValidateHttpClient(fields, &out->http_client));
  const HttpClientConfig& client = out->http_client;
  const int ways = int{client.basic_auth.has_value() || client.oauth2.has_value() ||
                       client.authorization.has_value()} +
                   int{out->sigv4.has_value()} + int{out->azuread.has_value()} +
                   int{out->google_iam.has_value()};
  if (ways > 1) {
    return fields.ErrorAt("url",
                          "at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                          "google_iam must be configured");
  }
  return ValidateRelabel(fields, "write_relabel_configs", NameValidationScheme::kUtf8,
                         &out->write_relabel_configs);
}
yaml::Tree EncodeYaml(const RemoteWriteConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, RemoteReadConfig& config) {
  UrlField(fields, "url", config.url);
  fields("remote_timeout", config.remote_timeout);
  fields("chunked_read_limit", config.chunked_read_limit_bytes);
  fields("headers", config.headers);
  fields("read_recent", config.read_recent);
  fields("name", config.name);
  HttpClientFields(fields, config.http_client);
  LabelsField(fields, "required_matchers", config.required_matchers);
  fields("filter_external_labels", config.filter_external_labels, Policy::kAlways);
}
absl::Status DecodeYaml(const yaml::Value& value, RemoteReadConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->url.empty()) return fields.ErrorAt("url", "url for remote_read is empty");
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(fields, out->headers, kAuthorizationReason));
  return ValidateHttpClient(fields, &out->http_client);
}
yaml::Tree EncodeYaml(const RemoteReadConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, TracingConfig& config) {
  fields("client_type", config.client_type);
  fields("endpoint", config.endpoint);
  fields("sampling_fraction", config.sampling_fraction);
  fields("insecure", config.insecure);
  fields("tls_config", config.tls_config);
  fields("headers", config.headers);
  fields("compression", config.compression);
  fields("timeout", config.timeout);
}
absl::Status DecodeYaml(const yaml::Value& value, TracingConfig* out) {
  if (value.is_null()) return absl::OkStatus();
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->client_type != "http" && out->client_type != "grpc") {
    return fields.ErrorAt("client_type",
                          StrCat("expected tracing client type to be to be http or grpc, but got ",
                                 out->client_type));
  }
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(
      fields, out->headers, "custom authorization header configuration is not yet supported"));
  if (out->endpoint.empty()) return fields.ErrorAt("endpoint", "tracing endpoint must be set");
  if (!out->compression.empty() && out->compression != "gzip") {
    return fields.ErrorAt("compression", StrCat("invalid compression type ", out->compression,
                                                " provided, valid options: gzip"));
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const TracingConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, OtlpConfig& config) {
  fields("promote_all_resource_attributes", config.promote_all_resource_attributes);
  fields("promote_resource_attributes", config.promote_resource_attributes);
  fields("ignore_resource_attributes", config.ignore_resource_attributes);
  fields("translation_strategy", config.translation_strategy);
  fields("keep_identifying_resource_attributes", config.keep_identifying_resource_attributes);
  fields("convert_histograms_to_nhcb", config.convert_histograms_to_nhcb);
  fields("promote_scope_metadata", config.promote_scope_metadata);
  fields("label_name_underscore_sanitization", config.label_name_underscore_sanitization,
         Policy::kAlways);
  fields("label_name_preserve_multiple_underscores",
         config.label_name_preserve_multiple_underscores, Policy::kAlways);
}

// Trims each attribute; none may be empty or there twice.
static absl::Status SanitizeAttributes(const yaml::Mapping& fields, std::string_view key,
                                       std::vector<std::string>* attributes) {
  for (size_t i = 0; i < attributes->size(); ++i) {
    std::string& attribute = (*attributes)[i];
    attribute = std::string(TrimSpace(attribute));
    const auto error = [&](std::string_view reason) {
      return fields.ErrorAt(key, StrCat("invalid '", key, "': ", reason));
    };
    if (attribute.empty()) return error("empty attribute");
    const auto begin = attributes->begin();
    if (std::find(begin, begin + static_cast<ptrdiff_t>(i), attribute) !=
        begin + static_cast<ptrdiff_t>(i)) {
      return error(StrCat("duplicated attribute ", Quote(attribute)));
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeYaml(const yaml::Value& value, OtlpConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  static constexpr std::array<std::string_view, 4> kStrategies = {
      "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
      "NoUTF8EscapingWithSuffixes", "NoTranslation"};
  if (std::find(kStrategies.begin(), kStrategies.end(), out->translation_strategy) ==
      kStrategies.end()) {
    return fields.ErrorAt("translation_strategy", StrCat("unsupported OTLP translation strategy ",
                                                         Quote(out->translation_strategy)));
  }
  if (out->promote_all_resource_attributes) {
    if (!out->promote_resource_attributes.empty()) {
      return fields.ErrorAt("promote_resource_attributes",
                            "'promote_all_resource_attributes' and 'promote_resource_attributes' "
                            "cannot be configured simultaneously");
    }
  } else if (!out->ignore_resource_attributes.empty()) {
    return fields.ErrorAt("ignore_resource_attributes",
                          "'ignore_resource_attributes' cannot be configured unless "
                          "'promote_all_resource_attributes' is true");
  }
  NARTHEX_RETURN_IF_ERROR(
      SanitizeAttributes(fields, "ignore_resource_attributes", &out->ignore_resource_attributes));
  return SanitizeAttributes(fields, "promote_resource_attributes",
                            &out->promote_resource_attributes);
}
yaml::Tree EncodeYaml(const OtlpConfig& config) { return yaml::WriteFields(config); }

}  // namespace narthex::config
