#include "lib/config/alerting_config.h"

#include "lib/base/strings.h"
#include "lib/config/codec.h"

namespace narthex::config {

using yaml::Policy;

template <typename Fields>
void ListFields(Fields& fields, SigV4Config& config) {
  fields("region", config.region);
  fields("access_key", config.access_key);
  fields("secret_key", config.secret_key);
  fields("profile", config.profile);
  fields("role_arn", config.role_arn);
  fields("external_id", config.external_id);
  fields("use_fips_sts_endpoint", config.use_fips_sts_endpoint);
  fields("service_name", config.service_name);
}
absl::Status DecodeYaml(const yaml::Value& value, SigV4Config* out) {
  yaml::Mapping fields(value, "sigv4.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->access_key.empty() != out->secret_key.empty()) {
    return fields.ErrorAt("access_key",
                          "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                          "specified in the SigV4 config");
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const SigV4Config& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, AlertmanagerConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("sigv4", config.sigv4);
  fields("scheme", config.scheme);
  fields("path_prefix", config.path_prefix);
  fields("timeout", config.timeout);
  fields("api_version", config.api_version, Policy::kAlways);
  RelabelField(fields, "relabel_configs", "Alertmanager target relabeling rule",
               config.relabel_configs);
  RelabelField(fields, "alert_relabel_configs", "Alertmanager alert relabeling rule",
               config.alert_relabel_configs);
  SdFields(fields, config.service_discovery);
}

absl::Status DecodeYaml(const yaml::Value& value, AlertmanagerConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->api_version != "v2") {
    return fields.ErrorAt(
        "api_version",
        StrCat("expected Alertmanager api version to be one of [v2] but got ", out->api_version));
  }
  NARTHEX_RETURN_IF_ERROR(ValidateHttpClient(fields, &out->http_client));
  const HttpClientConfig& client = out->http_client;
  if (out->sigv4.has_value() && (client.basic_auth.has_value() || client.oauth2.has_value() ||
                                 client.authorization.has_value())) {
    return fields.ErrorAt(
        "sigv4", "at most one of basic_auth, authorization, oauth2, or sigv4 must be configured");
  }
  if (out->relabel_configs.empty()) {
    NARTHEX_RETURN_IF_ERROR(CheckStaticTargets(fields, out->service_discovery));
  }
  NARTHEX_RETURN_IF_ERROR(ValidateRelabel(fields, "relabel_configs", NameValidationScheme::kUtf8,
                                          &out->relabel_configs));
  return ValidateRelabel(fields, "alert_relabel_configs", NameValidationScheme::kUtf8,
                         &out->alert_relabel_configs);
}
yaml::Tree EncodeYaml(const AlertmanagerConfig& config) { return yaml::WriteFields(config); }

template <typename Fields>
void ListFields(Fields& fields, AlertingConfig& config) {
  RelabelField(fields, "alert_relabel_configs", "alert relabeling rule",
               config.alert_relabel_configs);
  fields("alertmanagers", config.alertmanagers);
}
absl::Status DecodeYaml(const yaml::Value& value, AlertingConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  return ValidateRelabel(fields, "alert_relabel_configs", NameValidationScheme::kUtf8,
                         &out->alert_relabel_configs);
}
yaml::Tree EncodeYaml(const AlertingConfig& config) { return yaml::WriteFields(config); }

}  // namespace narthex::config
