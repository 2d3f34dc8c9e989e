#ifndef NARTHEX_LIB_RPC_SERVER_H_
#define NARTHEX_LIB_RPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Service;
}

namespace narthex::rpc {

struct ServerOptions {
  std::string listen_address = "127.0.0.1:0";  // host:port or unix:/path
  int streams_max = 64;  // Long-lived streams expected; threads are sized as streams plus a margin.
};

// A gRPC server (sync API) with the standard health and reflection services; messages up to 64 MiB;
// tolerant of clients that ping every 5 s.
//
// Create() binds and serves health as NOT_SERVING ("alive, not yet ready"); the services answer
// from the start and must say FailedPrecondition or Unavailable themselves until they can do more.
// Stop() refuses new calls, gives running ones `grace`, then cancels them; a handler that blocks
// must watch ServerContext::IsCancelled(). Services must outlive the server.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Create(
      const ServerOptions& options, const std::vector<grpc::Service*>& services);
  ~Server();
  void SetReady(bool ready);  // The health service, for "" and each service name.
  void Stop(absl::Duration grace);
  int port() const;  // 0 for unix sockets.

 private:
  struct Rep;
  explicit Server(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_SERVER_H_
