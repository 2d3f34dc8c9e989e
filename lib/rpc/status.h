#ifndef NARTHEX_LIB_RPC_STATUS_H_
#define NARTHEX_LIB_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace narthex::rpc {

// The codes are equal by number; the message travels as it is.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_STATUS_H_
