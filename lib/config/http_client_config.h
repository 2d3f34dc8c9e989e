#ifndef NARTHEX_LIB_CONFIG_HTTP_CLIENT_CONFIG_H_
#define NARTHEX_LIB_CONFIG_HTTP_CLIENT_CONFIG_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/secret.h"

// The HTTP client block that scrape jobs, discovery mechanisms, alertmanagers and remote endpoints
// share. Plain data; paths are already relative to the configuration's folder. narthex::yaml
// decodes and prints them (http_client_fields.h).
namespace narthex::config {

struct TlsConfig {
  std::string ca;
  std::string cert;
  Secret key;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string ca_ref;  // The *_ref keys name secrets of a secret manager.
  std::string cert_ref;
  std::string key_ref;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string min_version;  // "TLS10" to "TLS13", or empty.
  std::string max_version;
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct BasicAuth {
  std::string username;
  std::string username_file;
  std::string username_ref;
  Secret password;
  std::string password_file;
  std::string password_ref;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

struct Authorization {
  std::string type = "Bearer";
  Secret credentials;
  std::string credentials_file;
  std::string credentials_ref;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

struct ProxyConfig {
  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::map<std::string, std::vector<Secret>> proxy_connect_header;
  friend bool operator==(const ProxyConfig&, const ProxyConfig&) = default;
};

struct OAuth2 {
  std::string client_id;
  Secret client_secret;
  std::string client_secret_file;
  std::string client_secret_ref;
  std::string
      grant_type;  // "", "client_credentials" or "urn:ietf:params:oauth:grant-type:jwt-bearer".
  std::string client_certificate_key_id;
  Secret client_certificate_key;
  std::string client_certificate_key_file;
  std::string client_certificate_key_ref;
  std::string signature_algorithm;  // "RS256" and the like.
  std::string iss;
  std::string audience;
  std::map<std::string, std::string> claims;
  std::vector<std::string> scopes;
  std::string token_url;
  std::map<std::string, std::string> endpoint_params;
  TlsConfig tls_config;
  ProxyConfig proxy;
  friend bool operator==(const OAuth2&, const OAuth2&) = default;
};

struct HttpHeader {
  std::vector<std::string> values;
  std::vector<Secret> secrets;
  std::vector<std::string> files;
  friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

struct HttpClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;  // Also where bearer_token and bearer_token_file end.
  std::optional<OAuth2> oauth2;
  TlsConfig tls_config;
  bool follow_redirects = true;
  bool enable_http2 = true;
  ProxyConfig proxy;
  std::map<std::string, HttpHeader> http_headers;
  friend bool operator==(const HttpClientConfig&, const HttpClientConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_HTTP_CLIENT_CONFIG_H_
