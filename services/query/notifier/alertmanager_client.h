#ifndef NARTHEX_SERVICES_QUERY_NOTIFIER_ALERTMANAGER_CLIENT_H_
#define NARTHEX_SERVICES_QUERY_NOTIFIER_ALERTMANAGER_CLIENT_H_

#include <span>

#include "absl/status/status.h"
#include "lib/model/alert.h"

namespace narthex::notifier {

// One Alertmanager that takes alerts, over gRPC or HTTP. Used by one thread at a time.
class AlertmanagerClient {
 public:
  virtual ~AlertmanagerClient() = default;
  // Hands all of `alerts` over in one message, within the client's own timeout. Any error means
  // that none may have arrived.
  virtual absl::Status Post(std::span<const Alert> alerts) = 0;
};

}  // namespace narthex::notifier

#endif  // NARTHEX_SERVICES_QUERY_NOTIFIER_ALERTMANAGER_CLIENT_H_
