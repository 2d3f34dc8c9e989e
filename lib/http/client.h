#ifndef NARTHEX_LIB_HTTP_CLIENT_H_
#define NARTHEX_LIB_HTTP_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/http/message.h"

namespace narthex::http {

// How to reach a server: the HTTP client block of the configuration, with secrets and files as
// values. Plain data.
struct ClientConfig {
  std::string basic_auth_username;
  std::string basic_auth_password;
  std::string basic_auth_password_file;  // Read at each request.
  std::string authorization_type;        // "Bearer"
  std::string authorization_credentials;
  std::string authorization_credentials_file;
  bool follow_redirects = true;
  bool enable_http2 = true;
  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::string tls_ca_file, tls_cert_file, tls_key_file, tls_server_name, tls_min_version,
      tls_max_version;
  std::string tls_ca, tls_cert, tls_key;  // PEM.
  bool tls_insecure_skip_verify = false;
  Headers headers;
  std::string unix_socket;
  friend bool operator==(const ClientConfig&, const ClientConfig&) = default;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  absl::Duration timeout = absl::Seconds(10);
  // Bound on the body after decompression; 0 is none. Passing it is ResourceExhausted "body size
  // limit exceeded".
  size_t body_bytes_max = 0;
  std::shared_ptr<const ClientConfig>
      config;  // Null: the defaults. Requests with the same pointer share connections.
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;  // Decompressed (gzip, zstd, deflate).
  size_t wire_bytes = 0;
  absl::Duration duration;
};

// Fetches over libcurl multi on one event thread. Connections are kept and reused. Any HTTP status
// is an OK result; an error is Unavailable (no connection, bad TLS, broken answer),
// DeadlineExceeded ("context deadline exceeded"), or the size bound.
//
// Thread safety: all methods may be called from any thread. The destructor cancels what is under
// way: its callbacks run with Cancelled before it returns.
class Client {
 public:
  using Callback = std::function<void(absl::StatusOr<ClientResponse>)>;
  static absl::StatusOr<std::unique_ptr<Client>> Create();
  ~Client();
  // `done` runs on the event thread and must not block.
  void FetchAsync(ClientRequest request, Callback done);
  absl::StatusOr<ClientResponse> Fetch(ClientRequest request);

 private:
  class Loop;
  explicit Client(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_CLIENT_H_
