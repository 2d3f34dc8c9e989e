#include "lib/config/http_client_config.h"

#include <algorithm>
#include <array>

#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/config/url.h"

namespace narthex::config {

using yaml::Policy;

template <typename Fields>
void ListFields(Fields& fields, TlsConfig& config) {
  fields("ca", config.ca);
  fields("cert", config.cert);
  fields("key", config.key);
  fields("ca_file", config.ca_file, Policy::kPath);
  fields("cert_file", config.cert_file, Policy::kPath);
  fields("key_file", config.key_file, Policy::kPath);
  fields("ca_ref", config.ca_ref);
  fields("cert_ref", config.cert_ref);
  fields("key_ref", config.key_ref);
  fields("server_name", config.server_name);
  fields("insecure_skip_verify", config.insecure_skip_verify, Policy::kAlways);
  fields("min_version", config.min_version);
  fields("max_version", config.max_version);
}

template <typename Fields>
void ListFields(Fields& fields, BasicAuth& config) {
  fields("username", config.username);
  fields("username_file", config.username_file, Policy::kPath);
  fields("username_ref", config.username_ref);
  fields("password", config.password);
  fields("password_file", config.password_file, Policy::kPath);
  fields("password_ref", config.password_ref);
}

template <typename Fields>
void ListFields(Fields& fields, Authorization& config) {
  fields("type", config.type);
  fields("credentials", config.credentials);
  fields("credentials_file", config.credentials_file, Policy::kPath);
  fields("credentials_ref", config.credentials_ref);
}

template <typename Fields>
void ListFields(Fields& fields, ProxyConfig& config) {
  UrlField(fields, "proxy_url", config.proxy_url);
  fields("no_proxy", config.no_proxy);
  fields("proxy_from_environment", config.proxy_from_environment);
  fields("proxy_connect_header", config.proxy_connect_header);
}

template <typename Fields>
void ListFields(Fields& fields, OAuth2& config) {
  fields("client_id", config.client_id);
  fields("client_secret", config.client_secret);
  fields("client_secret_file", config.client_secret_file, Policy::kPath);
  fields("client_secret_ref", config.client_secret_ref);
  fields("client_certificate_key_id", config.client_certificate_key_id);
  fields("client_certificate_key", config.client_certificate_key);
  fields("client_certificate_key_file", config.client_certificate_key_file, Policy::kPath);
  fields("client_certificate_key_ref", config.client_certificate_key_ref);
  fields("grant_type", config.grant_type);
  fields("signature_algorithm", config.signature_algorithm);
  fields("iss", config.iss);
  fields("audience", config.audience);
  fields("claims", config.claims);
  fields("scopes", config.scopes);
  fields("token_url", config.token_url);
  fields("endpoint_params", config.endpoint_params);
  fields("tls_config", config.tls_config);
  ListFields(fields, config.proxy);
}

template <typename Fields>
void ListFields(Fields& fields, HttpHeader& config) {
  fields("values", config.values);
  fields("secrets", config.secrets);
  fields("files", config.files, Policy::kPath);
}

namespace {

constexpr std::string_view kJwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";

// Headers that the client sets itself; users may not.
constexpr std::array<std::string_view, 18> kReservedHeaders = {
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

int CountSet(std::initializer_list<bool> conditions) {
  return static_cast<int>(std::count(conditions.begin(), conditions.end(), true));
}

absl::Status ValidateProxy(const yaml::Mapping& fields, const ProxyConfig& proxy) {
  if (!proxy.proxy_connect_header.empty() && !proxy.proxy_from_environment &&
      proxy.proxy_url.empty()) {
    return fields.ErrorAt("proxy_connect_header",
                          "if proxy_connect_header is configured, proxy_url or "
                          "proxy_from_environment must also be configured");
  }
  if (proxy.proxy_from_environment && !proxy.proxy_url.empty()) {
    return fields.ErrorAt(
        "proxy_url", "if proxy_from_environment is configured, proxy_url must not be configured");
  }
  if (proxy.proxy_from_environment && !proxy.no_proxy.empty()) {
    return fields.ErrorAt(
        "no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured");
  }
  if (proxy.proxy_url.empty() && !proxy.no_proxy.empty()) {
    return fields.ErrorAt("no_proxy",
                          "if no_proxy is configured, proxy_url must also be configured");
  }
  return absl::OkStatus();
}

absl::Status ValidateBasicAuth(const yaml::Mapping& fields, const BasicAuth& auth) {
  if (CountSet({!auth.username.empty(), !auth.username_file.empty(), !auth.username_ref.empty()}) >
      1) {
    return fields.ErrorAt("basic_auth",
                          "at most one of basic_auth username, username_file & username_ref must "
                          "be configured");
  }
  if (CountSet({!auth.password.empty(), !auth.password_file.empty(), !auth.password_ref.empty()}) >
      1) {
    return fields.ErrorAt("basic_auth",
                          "at most one of basic_auth password, password_file & password_ref must "
                          "be configured");
  }
  return absl::OkStatus();
}

absl::Status ValidateOAuth2(const yaml::Mapping& fields, const OAuth2& oauth2) {
  const auto error = [&](std::string_view reason) { return fields.ErrorAt("oauth2", reason); };
  if (oauth2.client_id.empty()) return error("oauth2 client_id must be configured");
  if (oauth2.token_url.empty()) return error("oauth2 token_url must be configured");
  if (oauth2.grant_type == kJwtBearer) {
    if (CountSet({!oauth2.client_certificate_key.empty(),
                  !oauth2.client_certificate_key_file.empty(),
                  !oauth2.client_certificate_key_ref.empty()}) > 1) {
      return error(
          "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
          "client_certificate_key_ref must be configured using grant-type=jwt-bearer");
    }
    static constexpr std::array<std::string_view, 4> kAlgorithms = {"", "RS256", "RS384", "RS512"};
    if (std::find(kAlgorithms.begin(), kAlgorithms.end(), oauth2.signature_algorithm) ==
        kAlgorithms.end()) {
      return error("oauth2 signature_algorithm must be one of: RS256, RS384, RS512");
    }
  } else if (!oauth2.grant_type.empty() && oauth2.grant_type != "client_credentials") {
    return error(StrCat("unsupported oauth2 grant_type ", Quote(oauth2.grant_type)));
  } else if (CountSet({!oauth2.client_secret.empty(), !oauth2.client_secret_file.empty(),
                       !oauth2.client_secret_ref.empty()}) > 1) {
    return error(
        "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
        "configured using grant-type=client_credentials");
  }
  return absl::OkStatus();
}

absl::Status ValidateAuthorization(const yaml::Mapping& fields, Authorization* authorization) {
  if (CountSet({!authorization->credentials.empty(), !authorization->credentials_file.empty(),
                !authorization->credentials_ref.empty()}) > 1) {
    return fields.ErrorAt("authorization",
                          "at most one of authorization credentials & credentials_file must be "
                          "configured");
  }
  authorization->type = std::string(TrimSpace(authorization->type));
  if (authorization->type.empty()) authorization->type = "Bearer";
  if (EqualsIgnoreCaseAscii(authorization->type, "basic")) {
    return fields.ErrorAt(
        "authorization",
        "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
  }
  return absl::OkStatus();
}

// basic_auth, oauth2, authorization, bearer_token and bearer_token_file exclude each other.
absl::Status ValidateAuthentication(yaml::Mapping& fields, HttpClientConfig* config) {
  Secret bearer_token;
  std::string bearer_token_file;
  fields("bearer_token", bearer_token);
  fields("bearer_token_file", bearer_token_file, Policy::kPath);
  const bool bearer = !bearer_token.empty() || !bearer_token_file.empty();
  if (!bearer_token.empty() && !bearer_token_file.empty()) {
    return fields.ErrorAt("bearer_token",
                          "at most one of bearer_token & bearer_token_file must be configured");
  }
  if ((config->basic_auth.has_value() || config->oauth2.has_value()) && bearer) {
    return fields.ErrorAt(fields.Has("bearer_token") ? "bearer_token" : "bearer_token_file",
                          "at most one of basic_auth, oauth2, bearer_token & bearer_token_file "
                          "must be configured");
  }
  if (config->basic_auth.has_value()) {
    NARTHEX_RETURN_IF_ERROR(ValidateBasicAuth(fields, *config->basic_auth));
  }
  if (config->authorization.has_value()) {
    if (bearer) {
      return fields.ErrorAt("authorization",
                            "authorization is not compatible with bearer_token & "
                            "bearer_token_file");
    }
    NARTHEX_RETURN_IF_ERROR(ValidateAuthorization(fields, &*config->authorization));
  }
  if (CountSet({config->basic_auth.has_value(), config->oauth2.has_value(),
                config->authorization.has_value()}) > 1) {
    return fields.ErrorAt("basic_auth",
                          "at most one of basic_auth, oauth2 & authorization must be configured");
  }
  if (bearer) {
    config->authorization =
        Authorization{.credentials = bearer_token, .credentials_file = bearer_token_file};
  }
  return config->oauth2.has_value() ? ValidateOAuth2(fields, *config->oauth2) : absl::OkStatus();
}

template <typename T>
absl::Status DecodeFields(const yaml::Value& value, std::string_view type, T* out) {
  yaml::Mapping fields(value, type);
  ListFields(fields, *out);
  return fields.Finish();
}

}  // namespace

absl::Status DecodeYaml(const yaml::Value& value, Secret* out) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  *out = Secret(std::move(text));
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const Secret& secret) { return yaml::EncodeYaml(secret.redacted()); }

static absl::Status ValidateTls(const yaml::Mapping& fields, const TlsConfig& config) {
  const int cas = CountSet({!config.ca.empty(), !config.ca_file.empty(), !config.ca_ref.empty()});
  const int certs =
      CountSet({!config.cert.empty(), !config.cert_file.empty(), !config.cert_ref.empty()});
  const int keys =
      CountSet({!config.key.empty(), !config.key_file.empty(), !config.key_ref.empty()});
  if (cas > 1) {
    return fields.ErrorAt("ca_file", "at most one of ca, ca_file & ca_ref must be configured");
  }
  if (certs > 1) {
    return fields.ErrorAt("cert_file",
                          "at most one of cert, cert_file & cert_ref must be configured");
  }
  if (keys > 1) {
    return fields.ErrorAt("key_file", "at most one of key, key_file & key_ref must be configured");
  }
  if (certs == 1 && keys == 0) {
    return fields.ErrorAt("cert_file",
                          "exactly one of key or key_file must be configured when a client "
                          "certificate is configured");
  }
  if (keys == 1 && certs == 0) {
    return fields.ErrorAt("key_file",
                          "exactly one of cert or cert_file must be configured when a client key "
                          "is configured");
  }
  return absl::OkStatus();
}

absl::Status DecodeYaml(const yaml::Value& value, TlsConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  for (const auto& [key, version] :
       {std::pair<std::string_view, const std::string&>{"min_version", out->min_version},
        {"max_version", out->max_version}}) {
    static constexpr std::array<std::string_view, 5> kVersions = {"", "TLS10", "TLS11", "TLS12",
                                                                  "TLS13"};
    if (std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end()) {
      return fields.ErrorAt(key, StrCat("unknown TLS version: ", version));
    }
  }
  return ValidateTls(fields, *out);
}
yaml::Tree EncodeYaml(const TlsConfig& config) {
  yaml::Tree tree = yaml::WriteFields(config);
  tree.empty = config == TlsConfig();
  return tree;
}

absl::Status DecodeYaml(const yaml::Value& value, BasicAuth* out) {
  return DecodeFields(value, "config.plain", out);
}
yaml::Tree EncodeYaml(const BasicAuth& config) { return yaml::WriteFields(config); }
absl::Status DecodeYaml(const yaml::Value& value, Authorization* out) {
  return DecodeFields(value, "config.plain", out);
}
yaml::Tree EncodeYaml(const Authorization& config) { return yaml::WriteFields(config); }
absl::Status DecodeYaml(const yaml::Value& value, OAuth2* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  return ValidateProxy(fields, out->proxy);
}
yaml::Tree EncodeYaml(const OAuth2& config) { return yaml::WriteFields(config); }
absl::Status DecodeYaml(const yaml::Value& value, HttpHeader* out) {
  return DecodeFields(value, "config.Header", out);
}
yaml::Tree EncodeYaml(const HttpHeader& config) { return yaml::WriteFields(config); }

namespace {

template <typename Fields>
void ListHttpClientFields(Fields& fields, HttpClientConfig& config) {
  fields("basic_auth", config.basic_auth);
  fields("authorization", config.authorization);
  fields("oauth2", config.oauth2);
  fields("tls_config", config.tls_config);
  fields("follow_redirects", config.follow_redirects, Policy::kAlways);
  fields("enable_http2", config.enable_http2, Policy::kAlways);
  ListFields(fields, config.proxy);
  fields("http_headers", config.http_headers);
}

}  // namespace

void HttpClientFields(yaml::Mapping& fields, HttpClientConfig& config) {
  ListHttpClientFields(fields, config);
  // Read once more, and kept, by ValidateHttpClient.
  Secret bearer_token;
  std::string bearer_token_file;
  fields("bearer_token", bearer_token);
  fields("bearer_token_file", bearer_token_file, Policy::kPath);
}

void HttpClientFields(yaml::MappingWriter& fields, HttpClientConfig& config) {
  ListHttpClientFields(fields, config);
}

absl::Status ValidateHttpClient(yaml::Mapping& fields, HttpClientConfig* config) {
  NARTHEX_RETURN_IF_ERROR(ValidateAuthentication(fields, config));
  NARTHEX_RETURN_IF_ERROR(ValidateProxy(fields, config->proxy));
  for (const auto& [name, header] : config->http_headers) {
    const std::string lower = ToLowerAscii(name);
    if (std::find(kReservedHeaders.begin(), kReservedHeaders.end(), lower) !=
        kReservedHeaders.end()) {
      return fields.ErrorAt("http_headers",
                            StrCat("setting header ", Quote(name), " is not allowed"));
    }
  }
  return absl::OkStatus();
}

void UrlField(yaml::Mapping& fields, std::string_view key, std::string& url) {
  fields.Each(key, [&url](const yaml::Value& value) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &url));
    const absl::StatusOr<Url> parsed = ParseUrl(url);
    return parsed.ok() ? absl::OkStatus() : value.Error(Message(parsed.status()));
  });
}
void UrlField(yaml::MappingWriter& fields, std::string_view key, const std::string& url) {
  fields(key, RedactUrl(url));
}

}  // namespace narthex::config
