#include "services/pushgateway/pushgateway_service.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/status.h"

namespace narthex::pushgateway {

absl::Status PushgatewayService::DoPush(const v1::PushRequest& request) {
  GroupingKey key;
  for (const v1::Label& label : request.grouping().labels()) {
    if (!key.try_emplace(label.name(), label.value()).second) {
      return InvalidArgument("duplicate label ", Quote(label.name()), " in the grouping key");
    }
  }
  NARTHEX_RETURN_IF_ERROR(ValidateGroupingKey(key));
  if (request.method() == v1::PushRequest::DELETE) {
    if (!request.body().empty()) return InvalidArgument("a DELETE has no body");
    pusher_->Delete(key);
    return absl::OkStatus();
  }
  if (request.method() != v1::PushRequest::PUT && request.method() != v1::PushRequest::POST) {
    return InvalidArgument("unknown method ", static_cast<int>(request.method()));
  }
  const absl::Status status =
      pusher_->Push(key, request.body(), request.method() == v1::PushRequest::PUT);
  if (status.ok()) return status;
  return InvalidArgument(Message(status));
}

grpc::Status PushgatewayService::Push(grpc::ServerContext*, const v1::PushRequest* request,
                                      v1::PushResponse*) {
  return rpc::ToGrpc(DoPush(*request));
}

grpc::Status PushgatewayService::Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                                        v1::ReloadResponse*) {
  return rpc::ToGrpc(reload_ == nullptr ? absl::OkStatus() : reload_());
}

}  // namespace narthex::pushgateway
