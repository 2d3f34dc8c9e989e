#include "lib/rpc/alertmanager_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/unary_call.h"
#include "narthex/v1/alertmanager.grpc.pb.h"

namespace narthex::rpc {

struct AlertmanagerClient::Rep {
  std::string peer;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Alertmanager::Stub> stub;
};

AlertmanagerClient::AlertmanagerClient(std::string endpoint)
    : endpoint_(std::move(endpoint)), rep_(std::make_unique<Rep>()) {
  rep_->peer = StrCat("alertmanager ", endpoint_);
  rep_->channel = MakeChannel(endpoint_);
  rep_->stub = v1::Alertmanager::NewStub(rep_->channel);
}

AlertmanagerClient::~AlertmanagerClient() = default;

absl::StatusOr<std::vector<std::string>> AlertmanagerClient::PostAlerts(
    std::span<const Alert> alerts, absl::Duration timeout) {
  v1::PostAlertsRequest request;
  for (const Alert& alert : alerts) ToProto(alert, request.add_alerts());
  v1::PostAlertsResponse response;
  NARTHEX_RETURN_IF_ERROR(UnaryCall(rep_->channel.get(), rep_->stub.get(),
                                    &v1::Alertmanager::Stub::PostAlerts, rep_->peer, timeout,
                                    request, &response));
  return std::vector<std::string>(response.errors().begin(), response.errors().end());
}

}  // namespace narthex::rpc
