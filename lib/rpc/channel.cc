#include "lib/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "lib/rpc/runtime.h"

namespace narthex::rpc {
namespace {
constexpr int kMessageBytesMax = 64 << 20;

// Reads are tried again by gRPC itself as long as nothing of an answer has come: the first call
// after a node was restarted meets the old connection. Append is not here; its client resends by
// sequence.
constexpr char kServiceConfig[] = R"({"methodConfig": [{
  "name": [{"service": "narthex.v1.Storage", "method": "Read"},
           {"service": "narthex.v1.Scraper", "method": "Targets"},
           {"service": "narthex.v1.Scraper", "method": "Metadata"}],
  "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.2s",
                  "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]})";
}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint) {
  StartRuntime();
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMessageBytesMax);
  args.SetMaxSendMessageSize(kMessageBytesMax);
  // The minimum is how long one attempt to connect may take; attempts start with the back-off.
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Channels share connections unless told otherwise, and bulk would then delay interactive calls.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The suite's own traffic does not go through a proxy that the environment names for the web.
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetServiceConfigJSON(kServiceConfig);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), args);
}

}  // namespace narthex::rpc
