#ifndef NARTHEX_LIB_HTTP_EXCHANGE_H_
#define NARTHEX_LIB_HTTP_EXCHANGE_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/http/request_parser.h"
#include "lib/http/router.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"

namespace narthex::http {

// Bytes on their way to a client.
struct OutBuffer {
  std::string bytes;
  size_t sent = 0;

  bool empty() const { return sent == bytes.size(); }
  // Sends as much as the socket takes without waiting; false when the connection is gone.
  bool SendSome(int fd);
};

// One complete request and the answer to it. Plain data; owned by the worker that has the
// connection.
struct Exchange {
  // The request.
  int fd = -1;
  std::string remote_address;
  RequestHead head;
  std::string body;
  size_t body_bytes_max = 0;                   // Also after decompression.
  const std::atomic<bool>* aborted = nullptr;  // The server gives up on running requests.
  bool close = false;                          // Close after the answer.

  // The answer.
  OutBuffer out;        // Less what was sent already.
  bool broken = false;  // The answer is incomplete; close now.
};

// The request metrics of a server. `registry` may be null: no metrics. Thread-safe.
class ServerMetrics {
 public:
  // `route_prefix` is left out of the handler label.
  ServerMetrics(metrics::Registry* registry, std::string prefix, std::string route_prefix);
  // `route` is "" for requests that no route took.
  void Record(const std::string& route, int code, absl::Duration duration, size_t response_bytes);

 private:
  struct RouteMetrics {
    metrics::Histogram* duration;
    metrics::Histogram* size;
    absl::flat_hash_map<int, metrics::Counter*> by_code;
  };
  metrics::Registry* const registry_;
  const std::string prefix_;
  const std::string route_prefix_;
  Mutex mu_;
  absl::flat_hash_map<std::string, RouteMetrics> routes_ ABSL_GUARDED_BY(mu_);
};

// Answers requests, one at a time: calls the router and writes the answer through cpp-httplib. One
// for each worker thread.
//
// cpp-httplib sees a head of our making and no body, because the loop has checked the real head and
// collected the body: its own parser decodes percent signs in header fields, bounds forms at 8 KiB,
// and would wait for bodies on the worker's time.
class Responder {
 public:
  Responder(const Router* router, Logger logger, ServerMetrics* metrics);
  ~Responder();
  void Answer(Exchange* exchange);

 private:
  class HttplibServer;
  std::unique_ptr<HttplibServer> server_;
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_EXCHANGE_H_
