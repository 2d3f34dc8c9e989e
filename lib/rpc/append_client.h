#ifndef NARTHEX_LIB_RPC_APPEND_CLIENT_H_
#define NARTHEX_LIB_RPC_APPEND_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/storage.h"

namespace narthex::rpc {

struct AppendClientOptions {
  std::string endpoint;                      // host:port or unix:/path
  std::string description;                   // For storage's log: "scraper at host:9097".
  size_t message_bytes = size_t{128} << 10;  // Small batches share a message up to about this…
  absl::Duration linger = absl::Milliseconds(5);  // …or until the first of them has waited so long.
  size_t frame_bytes_max = size_t{1} << 20;       // A larger batch is split.
  size_t in_flight_bytes_max = size_t{8} << 20;  // Sent and not yet accepted.
  absl::Duration backoff_min = absl::Milliseconds(100);
  absl::Duration backoff_max = absl::Seconds(2);
  // Samples that storage refused, for the owner's own counters; called from the reading thread. May
  // be empty.
  std::function<void(storage::Refusal, uint64_t)> on_refused;
};

// One storage endpoint's end of the Append stream. It pulls batches from `source` in order of
// sequence, writes series as references that this endpoint gave (or as definitions where it gave
// none), and tells the source what is accepted and durable. When the stream breaks it connects
// again with growing pauses and goes on after the last accepted sequence; when storage does not
// know a reference it goes back to that batch. A sample costs an array lookup here: no allocation,
// no hash, no virtual call.
//
// Two threads: one connects and writes, one reads acknowledgements. Thread safety: all methods may
// be called from any thread.
class AppendClient {
 public:
  // `source` and `registry` must outlive the client.
  AppendClient(AppendClientOptions options, storage::BatchSource* source, Logger logger,
               metrics::Registry* registry);
  ~AppendClient();  // Stops.
  AppendClient(const AppendClient&) = delete;
  AppendClient& operator=(const AppendClient&) = delete;

  void Start();
  // Breaks the stream and joins; what is not acknowledged stays with the source.
  void Stop();

 private:
  class Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_APPEND_CLIENT_H_
