#include "lib/discovery/http_client.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::discovery {
namespace {

absl::Status NotAvailable(std::string_view what) {
  return absl::UnimplementedError(ToAbsl(StrCat(what, " is not available yet")));
}

absl::StatusOr<std::string> ReadTrimmed(io::FileSystem* file_system, const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, file_system->ReadFile(path));
  return std::string(TrimSpace(text));
}

absl::Status SetTls(const config::TlsConfig& from, http::ClientConfig* to) {
  if (!from.ca_ref.empty() || !from.cert_ref.empty() || !from.key_ref.empty()) {
    return NotAvailable("a TLS reference to a secret manager");
  }
  to->tls_ca = from.ca;
  to->tls_ca_file = from.ca_file;
  to->tls_cert = from.cert;
  to->tls_cert_file = from.cert_file;
  to->tls_key = from.key.reveal();
  to->tls_key_file = from.key_file;
  to->tls_server_name = from.server_name;
  to->tls_insecure_skip_verify = from.insecure_skip_verify;
  to->tls_min_version = from.min_version;
  to->tls_max_version = from.max_version;
  return absl::OkStatus();
}

absl::Status SetBasicAuth(const config::BasicAuth& from, io::FileSystem* file_system,
                          http::ClientConfig* to) {
  if (!from.username_ref.empty() || !from.password_ref.empty()) {
    return NotAvailable("a basic_auth reference to a secret manager");
  }
  to->basic_auth_username = from.username;
  if (!from.username_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(to->basic_auth_username, ReadTrimmed(file_system, from.username_file));
  }
  to->basic_auth_password = from.password.reveal();
  to->basic_auth_password_file = from.password_file;
  return absl::OkStatus();
}

absl::Status SetHeaders(const std::map<std::string, config::HttpHeader>& from,
                        io::FileSystem* file_system, http::ClientConfig* to) {
  for (const auto& [name, header] : from) {
    for (const std::string& value : header.values) to->headers.Add(name, value);
    for (const config::Secret& secret : header.secrets) to->headers.Add(name, secret.reveal());
    for (const std::string& path : header.files) {
      NARTHEX_ASSIGN_OR_RETURN(const std::string value, ReadTrimmed(file_system, path));
      to->headers.Add(name, value);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<http::ClientConfig> MakeClientConfig(const config::HttpClientConfig& config,
                                                    io::FileSystem* file_system) {
  if (config.oauth2.has_value()) return NotAvailable("oauth2");
  if (!config.proxy.proxy_connect_header.empty()) return NotAvailable("proxy_connect_header");
  http::ClientConfig client;
  NARTHEX_RETURN_IF_ERROR(SetTls(config.tls_config, &client));
  if (config.basic_auth.has_value()) {
    NARTHEX_RETURN_IF_ERROR(SetBasicAuth(*config.basic_auth, file_system, &client));
  }
  if (config.authorization.has_value()) {
    if (!config.authorization->credentials_ref.empty()) {
      return NotAvailable("an authorization reference to a secret manager");
    }
    client.authorization_type = config.authorization->type;
    client.authorization_credentials = config.authorization->credentials.reveal();
    client.authorization_credentials_file = config.authorization->credentials_file;
  }
  client.follow_redirects = config.follow_redirects;
  client.enable_http2 = config.enable_http2;
  client.proxy_url = config.proxy.proxy_url;
  client.no_proxy = config.proxy.no_proxy;
  client.proxy_from_environment = config.proxy.proxy_from_environment;
  NARTHEX_RETURN_IF_ERROR(SetHeaders(config.http_headers, file_system, &client));
  return client;
}

}  // namespace narthex::discovery
