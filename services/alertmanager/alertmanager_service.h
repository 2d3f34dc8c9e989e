#ifndef NARTHEX_SERVICES_ALERTMANAGER_ALERTMANAGER_SERVICE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_ALERTMANAGER_SERVICE_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "services/alertmanager/alerts/ingestion.h"

namespace grpc {
class Service;
}

namespace narthex::alertmanager_service {

// The gRPC face: narthex.v1.Alertmanager. Translates messages, nothing else.
//
// Thread safety: all methods may be called from any thread.
class AlertmanagerService {
 public:
  // `ingestion` must outlive the service, and it the server that it is registered with.
  AlertmanagerService(alerts::Ingestion* ingestion, std::function<absl::Status()> reload);
  ~AlertmanagerService();
  grpc::Service* service();

 private:
  class Rep;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::alertmanager_service

#endif  // NARTHEX_SERVICES_ALERTMANAGER_ALERTMANAGER_SERVICE_H_
