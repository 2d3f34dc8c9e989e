#ifndef NARTHEX_LIB_HTTP_SERVER_H_
#define NARTHEX_LIB_HTTP_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/http/router.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"

namespace narthex::http {

struct ServerOptions {
  std::string listen_address = "127.0.0.1:0";  // host:port, :port, [::1]:port
  int workers = 8;                             // Handlers that run at once.
  size_t connections_max = 4096;
  absl::Duration head_timeout =
      absl::Seconds(10);  // From the first byte of a request to the end of its head.
  absl::Duration idle_timeout = absl::Minutes(5);  // Keep-alive without a request.
  absl::Duration body_timeout = absl::Seconds(30);
  // Prefix of promhttp-style metrics: <prefix>_http_requests_total{handler,code},
  // …_request_duration_seconds, …_response_size_bytes.
  std::string metrics_prefix = "narthex";
  // Left out of the handler label, as upstream does with --web.route-prefix.
  std::string route_prefix;
};

// An HTTP/1.1 server on cpp-httplib: idle and half-sent connections wait in one epoll set, and a
// worker takes one only while there is something to read, answer or send, so idle or slow clients
// cost no thread. gzip answers where asked for and larger than 1 KiB.
//
// Create() binds and listens, so port() is known and a taken port is an error at once ("listen on
// 127.0.0.1:9090: address already in use"); connections wait until Start(). The router must be
// complete before Start() and outlive the server. Stop() refuses new requests, waits for running
// ones up to `grace`, and joins; the destructor calls it.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Create(const ServerOptions& options,
                                                        const Router* router, Logger logger,
                                                        metrics::Registry* registry);
  ~Server();
  void Start();
  void Stop(absl::Duration grace = absl::Seconds(10));
  int port() const;

 private:
  class Loop;
  explicit Server(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_SERVER_H_
