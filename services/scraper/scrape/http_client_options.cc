#include "services/scraper/scrape/http_client_options.h"

namespace narthex::scrape {

http::ClientConfig MakeClientConfig(const config::HttpClientConfig& config) {
  http::ClientConfig out;
  if (config.basic_auth.has_value()) {
    out.basic_auth_username = config.basic_auth->username;
    out.basic_auth_password = config.basic_auth->password.reveal();
    out.basic_auth_password_file = config.basic_auth->password_file;
  }
  if (config.authorization.has_value()) {
    out.authorization_type = config.authorization->type;
    out.authorization_credentials = config.authorization->credentials.reveal();
    out.authorization_credentials_file = config.authorization->credentials_file;
  }
  out.follow_redirects = config.follow_redirects;
  out.enable_http2 = config.enable_http2;
  out.proxy_url = config.proxy.proxy_url;
  out.no_proxy = config.proxy.no_proxy;
  out.proxy_from_environment = config.proxy.proxy_from_environment;
  const config::TlsConfig& tls = config.tls_config;
  out.tls_ca = tls.ca;
  out.tls_cert = tls.cert;
  out.tls_key = tls.key.reveal();
  out.tls_ca_file = tls.ca_file;
  out.tls_cert_file = tls.cert_file;
  out.tls_key_file = tls.key_file;
  out.tls_server_name = tls.server_name;
  out.tls_min_version = tls.min_version;
  out.tls_max_version = tls.max_version;
  out.tls_insecure_skip_verify = tls.insecure_skip_verify;
  for (const auto& [name, header] : config.http_headers) {
    for (const std::string& value : header.values) out.headers.Add(name, value);
    for (const config::Secret& value : header.secrets) out.headers.Add(name, value.reveal());
  }
  return out;
}

std::vector<std::string> UnusedClientKeys(const config::HttpClientConfig& config) {
  std::vector<std::string> keys;
  const auto add = [&](bool set, const char* key) {
    if (set) keys.emplace_back(key);
  };
  add(config.oauth2.has_value(), "oauth2");
  add(config.basic_auth.has_value() &&
          (!config.basic_auth->username_file.empty() || !config.basic_auth->username_ref.empty() ||
           !config.basic_auth->password_ref.empty()),
      "basic_auth.username_file or *_ref");
  add(config.authorization.has_value() && !config.authorization->credentials_ref.empty(),
      "authorization.credentials_ref");
  add(!config.proxy.proxy_connect_header.empty(), "proxy_connect_header");
  const config::TlsConfig& tls = config.tls_config;
  add(!tls.ca_ref.empty() || !tls.cert_ref.empty() || !tls.key_ref.empty(), "tls_config.*_ref");
  bool header_files = false;
  for (const auto& [name, header] : config.http_headers) header_files |= !header.files.empty();
  add(header_files, "http_headers.files");
  return keys;
}

}  // namespace narthex::scrape
