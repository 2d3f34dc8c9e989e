#ifndef NARTHEX_LIB_RPC_UNARY_CALL_H_
#define NARTHEX_LIB_RPC_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/rpc/status.h"

// What the clients of this folder share: one way to call, to reconnect, and to name the peer in
// errors. All functions may be called from any thread.
namespace narthex::rpc {

inline std::chrono::system_clock::time_point DeadlineIn(absl::Duration timeout) {
  return absl::ToChronoTime(RealClock()->Now() + timeout);
}

// Tries again at once where gRPC would still wait after failed attempts, so that the first call
// after a peer is back succeeds. Costs nothing while the channel is connected, and one refused
// connection while the peer is down.
inline void WakeChannel(grpc::Channel* channel) {
  if (channel->GetState(true) != GRPC_CHANNEL_TRANSIENT_FAILURE) return;
  grpc::experimental::ChannelResetConnectionBackoff(channel);
  channel->WaitForStateChange(GRPC_CHANNEL_TRANSIENT_FAILURE, DeadlineIn(absl::Milliseconds(20)));
  channel->WaitForStateChange(GRPC_CHANNEL_CONNECTING, DeadlineIn(absl::Milliseconds(200)));
}

// Calls `method` of `stub` with a deadline of `timeout`. `peer` ("storage 127.0.0.1:10901") is put
// before the message of an error. A call that the peer cut off is Unavailable, since nobody here
// cancels.
template <typename Stub, typename Request, typename Response>
absl::Status UnaryCall(grpc::Channel* channel, Stub* stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                    Response*),
                       std::string_view peer, absl::Duration timeout, const Request& request,
                       Response* response) {
  WakeChannel(channel);
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(timeout));
  absl::Status status = FromGrpc((stub->*method)(&context, request, response));
  if (absl::IsCancelled(status)) status = Unavailable("the call was cut off: ", Message(status));
  return Annotate(status, peer);
}

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_UNARY_CALL_H_
