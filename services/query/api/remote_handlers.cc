#include "services/query/api/remote_handlers.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/base/thread.h"

namespace narthex::query_api {
namespace {

http::ServerResponse ToResponse(absl::StatusOr<rpc::IngestAnswer> answer) {
  if (!answer.ok()) {
    // The node may be back soon; its own refusals come as answers.
    return http::ServerResponse::Error(503, Message(answer.status()));
  }
  http::ServerResponse response = http::ServerResponse::Text(answer->status, answer->body);
  response.content_type = std::move(answer->content_type);
  for (const auto& [name, value] : answer->headers) response.headers.Set(name, value);
  return response;
}

}  // namespace

RemoteHandlers::RemoteHandlers(std::vector<rpc::StorageClient*> storages,
                               remote::ReadHandlerOptions read)
    : storages_(std::move(storages)), read_(std::move(read)) {}

http::ServerResponse RemoteHandlers::Write(const http::ServerRequest& request) {
  return Forward(rpc::IngestCall::Protocol::kRemoteWrite, request);
}

http::ServerResponse RemoteHandlers::WriteOtlp(const http::ServerRequest& request) {
  return Forward(rpc::IngestCall::Protocol::kOtlp, request);
}

http::ServerResponse RemoteHandlers::Forward(rpc::IngestCall::Protocol protocol,
                                             const http::ServerRequest& request) {
  if (storages_.empty()) return http::ServerResponse::Error(503, "there is no storage");
  rpc::IngestCall call;
  call.protocol = protocol;
  call.content_type = request.headers.Get("Content-Type");
  call.content_encoding = request.headers.Get("Content-Encoding");
  call.body = request.body;
  std::vector<http::ServerResponse> responses(storages_.size());
  {
    // The other nodes at the same time; their threads end with this block.
    std::vector<Thread> others;
    for (size_t i = 1; i < storages_.size(); ++i) {
      others.emplace_back("forward", [this, i, &call, &responses] {
        responses[i] = ToResponse(storages_[i]->Ingest(call));
      });
    }
    responses[0] = ToResponse(storages_[0]->Ingest(call));
  }
  size_t worst = 0;
  for (size_t i = 1; i < responses.size(); ++i) {
    if (responses[i].status / 100 > responses[worst].status / 100) worst = i;
  }
  return std::move(responses[worst]);
}

}  // namespace narthex::query_api
