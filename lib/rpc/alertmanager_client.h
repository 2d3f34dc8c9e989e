#ifndef NARTHEX_LIB_RPC_ALERTMANAGER_CLIENT_H_
#define NARTHEX_LIB_RPC_ALERTMANAGER_CLIENT_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/model/alert.h"

namespace narthex::rpc {

// One of our Alertmanagers over gRPC. Errors name it ("alertmanager 127.0.0.1:9094: …").
//
// Thread safety: all methods may be called from any thread.
class AlertmanagerClient {
 public:
  explicit AlertmanagerClient(std::string endpoint);
  ~AlertmanagerClient();

  // The complaints about alerts that were not taken; the others were.
  absl::StatusOr<std::vector<std::string>> PostAlerts(std::span<const Alert> alerts,
                                                      absl::Duration timeout);

  const std::string& endpoint() const { return endpoint_; }

 private:
  struct Rep;
  const std::string endpoint_;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_ALERTMANAGER_CLIENT_H_
