#ifndef NARTHEX_SERVICES_PUSHGATEWAY_PUSHGATEWAY_SERVICE_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_PUSHGATEWAY_SERVICE_H_

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "narthex/v1/pushgateway.grpc.pb.h"
#include "services/pushgateway/push_handlers.h"

namespace narthex::pushgateway {

// The gRPC face of the pushgateway: what the HTTP push paths do, with the same texts. Thread-safe,
// as its Pusher.
class PushgatewayService : public v1::Pushgateway::Service {
 public:
  // `pusher` must outlive the service. `reload` may be empty: then Reload() answers at once.
  PushgatewayService(Pusher* pusher, std::function<absl::Status()> reload)
      : pusher_(pusher), reload_(std::move(reload)) {}

  grpc::Status Push(grpc::ServerContext* context, const v1::PushRequest* request,
                    v1::PushResponse* response) override;
  grpc::Status Reload(grpc::ServerContext* context, const v1::ReloadRequest* request,
                      v1::ReloadResponse* response) override;

 private:
  absl::Status DoPush(const v1::PushRequest& request);

  Pusher* const pusher_;
  const std::function<absl::Status()> reload_;
};

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_PUSHGATEWAY_SERVICE_H_
