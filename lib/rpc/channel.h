#ifndef NARTHEX_LIB_RPC_CHANNEL_H_
#define NARTHEX_LIB_RPC_CHANNEL_H_

#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace narthex::rpc {

// A lazily connecting channel to host:port or unix:/path; reconnects by itself (backoff 100 ms to 5
// s), keepalive 20 s, messages up to 64 MiB. Each call makes a connection of its own: use one for
// bulk and one for interactive calls. Reads that find their connection broken are tried again
// twice, within half a second.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint);

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_CHANNEL_H_
