#ifndef NARTHEX_LIB_RPC_RUNTIME_H_
#define NARTHEX_LIB_RPC_RUNTIME_H_

namespace narthex::rpc {

// Starts gRPC's own threads and keeps them until the process ends. Otherwise gRPC stops with its
// last object, and one of its threads that sits in a poll then holds that destructor, and so the
// end of the process, for up to ten seconds. Thread-safe.
void StartRuntime();

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_RUNTIME_H_
