#ifndef NARTHEX_SERVICES_QUERY_API_REMOTE_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_REMOTE_HANDLERS_H_

#include <vector>

#include "lib/http/message.h"
#include "lib/remote/read_handler.h"
#include "lib/rpc/storage_client.h"

namespace narthex::query_api {

// What programs send to a Prometheus that they take us for: /api/v1/write and
// /api/v1/otlp/v1/metrics go to every storage node as they are, and the worst answer is ours (5xx
// before 4xx before 2xx), so that a sender comes again until all have it; /api/v1/read is answered
// from all nodes together.
//
// Thread safety: all methods may be called from any thread.
class RemoteHandlers {
 public:
  // The pointees must outlive it.
  RemoteHandlers(std::vector<rpc::StorageClient*> storages, remote::ReadHandlerOptions read);

  http::ServerResponse Write(const http::ServerRequest& request);
  http::ServerResponse WriteOtlp(const http::ServerRequest& request);
  http::ServerResponse Read(const http::ServerRequest& request) { return read_.Handle(request); }

 private:
  http::ServerResponse Forward(rpc::IngestCall::Protocol protocol,
                               const http::ServerRequest& request);

  const std::vector<rpc::StorageClient*> storages_;
  remote::ReadHandler read_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_REMOTE_HANDLERS_H_
