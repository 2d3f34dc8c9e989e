#include "lib/rpc/runtime.h"

#include <grpc/grpc.h>

namespace narthex::rpc {

void StartRuntime() {
  static const bool started = [] {
    grpc_init();
    return true;
  }();
  (void)started;
}

}  // namespace narthex::rpc
