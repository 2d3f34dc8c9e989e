#include "lib/http/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"

namespace narthex::http {
namespace {

constexpr long kReceiveBufferBytes = 32 << 10;
constexpr long kRedirectsMax = 10;  // Go's bound.
// A name is asked for again after this; kept connections do not ask at all. Longer would go on
// dialing an address that has moved.
constexpr long kDnsCacheSeconds = 60;
// How long an idle connection may be used again; what Prometheus' client keeps them for.
constexpr long kIdleConnectionSeconds = 300;

// scheme://authority and the rest, without checks: curl does those.
struct UrlParts {
  std::string_view scheme;
  std::string_view host;
  std::string_view port;
  std::string_view rest;
};

UrlParts SplitUrl(std::string_view url) {
  UrlParts parts;
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return parts;
  parts.scheme = url.substr(0, scheme);
  url.remove_prefix(scheme + 3);
  const size_t end = std::min(url.find_first_of("/?#"), url.size());
  std::string_view authority = url.substr(0, end);
  parts.rest = url.substr(end);
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) authority.remove_prefix(at + 1);
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  parts.host = authority.substr(0, has_port ? colon : authority.size());
  if (has_port) parts.port = authority.substr(colon + 1);
  return parts;
}

long TlsVersion(const std::string& name, long none, long tls10, long tls11, long tls12,
                long tls13) {
  if (name == "TLS10") return tls10;
  if (name == "TLS11") return tls11;
  if (name == "TLS12") return tls12;
  if (name == "TLS13") return tls13;
  return none;
}

void SetBlob(CURL* easy, CURLoption option, const std::string& content) {
  curl_blob blob{const_cast<char*>(content.data()), content.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy, option, &blob);
}

absl::StatusOr<std::string> ReadSecret(std::string_view what, const std::string& path) {
  absl::StatusOr<std::string> content = io::PosixFileSystem()->ReadFile(path);
  if (!content.ok()) {
    return FailedPrecondition("unable to read ", what, ": ", Message(content.status()));
  }
  return std::string(TrimSpace(*content));
}

std::string LowerFirst(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

const ClientConfig& DefaultConfig() {
  static const ClientConfig* const config = new ClientConfig();
  return *config;
}

}  // namespace

Transfer::Transfer(ClientRequest request, Client::Callback done)
    : request_(std::move(request)),
      config_(request_.config != nullptr
                  ? request_.config
                  : std::shared_ptr<const ClientConfig>(&DefaultConfig(), [](const auto*) {})),
      start_(std::chrono::steady_clock::now()),
      secrets_status_(ReadSecrets()),
      done_(std::move(done)) {}

Transfer::~Transfer() {
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

absl::Status Transfer::ReadSecrets() {
  password_ = config_->basic_auth_password;
  if (!config_->basic_auth_password_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(
        password_, ReadSecret("basic auth password file", config_->basic_auth_password_file));
  }
  credentials_ = config_->authorization_credentials;
  if (!config_->authorization_credentials_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(credentials_, ReadSecret("authorization credentials file",
                                                      config_->authorization_credentials_file));
  }
  return absl::OkStatus();
}

size_t Transfer::ServerKey() const {
  const UrlParts parts = SplitUrl(request_.url);
  return std::hash<std::string_view>{}(parts.host) * 31 +
         std::hash<std::string_view>{}(parts.port) +
         std::hash<std::string_view>{}(config_->unix_socket);
}

absl::Status Transfer::Prepare(CURL* easy) {
  NARTHEX_RETURN_IF_ERROR(secrets_status_);
  const std::string scheme = ToLowerAscii(SplitUrl(request_.url).scheme);
  if (scheme != "http" && scheme != "https") {
    return InvalidArgument("unsupported protocol scheme ", Quote(scheme));
  }
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::HeaderCallback);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::BodyCallback);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OpenSocketCallback);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  if (request_.timeout != absl::InfiniteDuration()) {
    const int64_t timeout_ms = std::max<int64_t>(absl::ToInt64Milliseconds(request_.timeout), 1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  }
  PrepareUrl(easy);
  PrepareMethod(easy);
  PrepareConnection(easy);
  PrepareTls(easy);
  PrepareHeaders(easy);
  return absl::OkStatus();
}

// curl takes the name for SNI and verification from the URL. Another server name therefore goes
// into the URL, and the connection is told to go where the URL pointed.
void Transfer::PrepareUrl(CURL* easy) {
  const UrlParts parts = SplitUrl(request_.url);
  if (config_->tls_server_name.empty() || !EqualsIgnoreCaseAscii(parts.scheme, "https")) {
    curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
    return;
  }
  const std::string_view port = parts.port.empty() ? std::string_view("443") : parts.port;
  const std::string url = StrCat("https://", config_->tls_server_name, ":", port, parts.rest);
  const std::string connect_to =
      StrCat(config_->tls_server_name, ":", port, ":", parts.host, ":", port);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  connect_to_ = curl_slist_append(nullptr, connect_to.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_);
  if (!request_.headers.Has("Host") && !config_->headers.Has("Host")) {
    AddHeader("Host",
              parts.port.empty() ? std::string(parts.host) : StrCat(parts.host, ":", parts.port));
  }
}

void Transfer::PrepareMethod(CURL* easy) {
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request_.method == "POST" || !request_.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
  }
  // POST and GET may change on a redirect, as in every browser; a custom method would stay.
  const bool plain =
      request_.method == "POST" || (request_.method == "GET" && request_.body.empty());
  if (!plain) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void Transfer::PrepareConnection(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, kDnsCacheSeconds);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kIdleConnectionSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, config_->follow_redirects ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   config_->enable_http2 ? static_cast<long>(CURL_HTTP_VERSION_2TLS)
                                         : static_cast<long>(CURL_HTTP_VERSION_1_1));
  if (!config_->unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, config_->unix_socket.c_str());
  }
  // Left alone, curl takes a proxy from the environment.
  if (!config_->proxy_from_environment) {
    curl_easy_setopt(easy, CURLOPT_PROXY, config_->proxy_url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOPROXY, config_->no_proxy.c_str());
  }
  if (!config_->basic_auth_username.empty() || !password_.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_USERNAME, config_->basic_auth_username.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, password_.c_str());
  }
}

void Transfer::PrepareTls(CURL* easy) {
  if (!config_->tls_ca_file.empty() || !config_->tls_ca.empty()) {
    // Only this authority: the distribution's directory would be believed besides.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    if (config_->tls_ca.empty()) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, config_->tls_ca_file.c_str());
    } else {
      SetBlob(easy, CURLOPT_CAINFO_BLOB, config_->tls_ca);
    }
  }
  if (!config_->tls_cert.empty()) {
    SetBlob(easy, CURLOPT_SSLCERT_BLOB, config_->tls_cert);
  } else if (!config_->tls_cert_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, config_->tls_cert_file.c_str());
  }
  if (!config_->tls_key.empty()) {
    SetBlob(easy, CURLOPT_SSLKEY_BLOB, config_->tls_key);
  } else if (!config_->tls_key_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLKEY, config_->tls_key_file.c_str());
  }
  // Go's own default is TLS 1.2.
  const long min_version =
      TlsVersion(config_->tls_min_version, CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                 CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3);
  const long max_version = TlsVersion(config_->tls_max_version, CURL_SSLVERSION_MAX_NONE,
                                      CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1,
                                      CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, min_version | max_version);
  if (config_->tls_insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void Transfer::PrepareHeaders(CURL* easy) {
  for (const auto& field : request_.headers.fields()) AddHeader(field.first, field.second);
  for (const auto& field : config_->headers.fields()) {
    if (!request_.headers.Has(field.first)) AddHeader(field.first, field.second);
  }
  const auto has = [this](std::string_view name) {
    return request_.headers.Has(name) || config_->headers.Has(name);
  };
  if (!credentials_.empty() && !has("Authorization")) {
    const std::string& type = config_->authorization_type;
    AddHeader("Authorization", StrCat(type.empty() ? "Bearer" : type, " ", credentials_));
  }
  if (!has("Accept-Encoding")) AddHeader("Accept-Encoding", "gzip");
  // What curl would add to a body by itself.
  headers_ = curl_slist_append(headers_, "Expect:");
  if (!has("Content-Type")) headers_ = curl_slist_append(headers_, "Content-Type:");
  if (!has("Accept")) headers_ = curl_slist_append(headers_, "Accept:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
}

void Transfer::AddHeader(std::string_view name, std::string_view value) {
  // A line break would start another header.
  if (value.find_first_of("\r\n") != std::string_view::npos) return;
  const std::string line = value.empty() ? StrCat(name, ";") : StrCat(name, ": ", value);
  headers_ = curl_slist_append(headers_, line.c_str());
}

void Transfer::Finish(CURL* easy, CURLcode result) {
  absl::Status status = body_status_;
  if (status.ok() && result != CURLE_OK) status = ErrorOf(easy, result);
  if (status.ok() && decompressor_ != nullptr) status = decompressor_->Finish();
  if (!status.ok()) return Fail(status);
  long code = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
  response_.status = static_cast<int>(code);
  if (decompressor_ != nullptr) {
    response_.headers.Remove("Content-Encoding");
    response_.headers.Remove("Content-Length");
  }
  response_.duration = absl::FromChrono(std::chrono::steady_clock::now() - start_);
  std::exchange(done_, nullptr)(std::move(response_));
}

void Transfer::Fail(const absl::Status& status) { std::exchange(done_, nullptr)(status); }

// Users see these as the last error of a target, so they read as Go's.
absl::Status Transfer::ErrorOf(CURL* easy, CURLcode result) const {
  const std::string text = error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(result);
  long os_error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
  const std::string os_text =
      os_error == 0 ? text : LowerFirst(std::strerror(static_cast<int>(os_error)));
  switch (static_cast<int>(result)) {
    case CURLE_OPERATION_TIMEDOUT:
      // curl gives up on a connection by itself only through the timeout that we set.
      return DeadlineExceeded("context deadline exceeded");
    case CURLE_COULDNT_RESOLVE_HOST:
      return Unavailable("dial tcp: lookup ", SplitUrl(request_.url).host, ": no such host");
    case CURLE_COULDNT_CONNECT:
      return Unavailable("dial ",
                         dialed_.empty() ? StrCat("tcp ", SplitUrl(request_.url).host) : dialed_,
                         ": connect: ", os_text);
    case CURLE_GOT_NOTHING:
      return Unavailable("EOF");
    case CURLE_PARTIAL_FILE:
      return Unavailable("unexpected EOF");
    case CURLE_RECV_ERROR:
      return Unavailable("read: ", os_text);
    case CURLE_SEND_ERROR:
      return Unavailable("write: ", os_text);
    case CURLE_TOO_MANY_REDIRECTS:
      return Unavailable("stopped after ", kRedirectsMax, " redirects");
    case CURLE_URL_MALFORMAT:
      return InvalidArgument("malformed URL ", Quote(request_.url), ": ", text);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return Unavailable("malformed HTTP response: ", text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return Unavailable("tls: ", text);
    default:
      return Unavailable(text);
  }
}

size_t Transfer::OnHeader(std::string_view line) {
  if (line.starts_with("HTTP/")) {  // A new answer: after a redirect, or after 100 Continue.
    response_.headers = Headers();
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    response_.headers.Add(line.substr(0, colon), TrimSpace(line.substr(colon + 1)));
  }
  return line.size();
}

size_t Transfer::OnBody(std::string_view bytes) {
  if (!std::exchange(body_began_, true)) {
    decompressor_ = Decompressor::Create(response_.headers.Get("Content-Encoding"));
  }
  response_.wire_bytes += bytes.size();
  if (decompressor_ != nullptr) {
    body_status_ = decompressor_->Write(bytes, request_.body_bytes_max, &response_.body);
  } else {
    response_.body.append(bytes);
    if (request_.body_bytes_max != 0 && response_.body.size() > request_.body_bytes_max) {
      body_status_ = BodySizeLimitExceeded();
    }
  }
  return body_status_.ok() ? bytes.size() : 0;
}

size_t Transfer::HeaderCallback(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->OnHeader({data, size * count});
}

size_t Transfer::BodyCallback(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->OnBody({data, size * count});
}

curl_socket_t Transfer::OpenSocketCallback(void* self, curlsocktype, curl_sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  std::string& dialed = static_cast<Transfer*>(self)->dialed_;
  if (address->family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address->addr);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    dialed = StrCat("tcp ", text.data(), ":", ntohs(v4->sin_port));
  } else if (address->family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address->addr);
    inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    dialed = StrCat("tcp [", text.data(), "]:", ntohs(v6->sin6_port));
  } else {
    dialed = StrCat("unix ", static_cast<Transfer*>(self)->config_->unix_socket);
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

}  // namespace narthex::http
