#ifndef NARTHEX_SERVICES_QUERY_API_STORAGE_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_STORAGE_HANDLERS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/http/message.h"
#include "lib/rpc/storage_client.h"
#include "services/query/api/envelope.h"
#include "services/query/promql/engine.h"

namespace narthex::query_api {

// query_exemplars, status/tsdb, status/walreplay, status/tsdb/blocks, admin/tsdb/…: what the
// storage nodes know beside samples, and what they are told.
//
// All nodes are asked. What they answer is joined; one that is down is a warning as long as another
// answers, but a change must succeed on all of them.
//
// Thread safety: all methods may be called from any thread.
class StorageHandlers {
 public:
  // The pointees must outlive the handlers.
  StorageHandlers(std::vector<rpc::StorageClient*> nodes, const promql::Engine* engine,
                  bool enable_admin)
      : nodes_(std::move(nodes)), engine_(engine), enable_admin_(enable_admin) {}

  Answer Exemplars(const http::ServerRequest& request);
  Answer Statistics(const http::ServerRequest& request);
  // Of the node that is furthest behind.
  Answer ReplayProgress(const http::ServerRequest& request);
  Answer Blocks(const http::ServerRequest& request);

  Answer DeleteSeries(const http::ServerRequest& request);
  Answer CleanTombstones(const http::ServerRequest& request);
  // Of several nodes the first name is "name", and "names" has those of all.
  Answer Snapshot(const http::ServerRequest& request);

 private:
  // Calls `ask` for every node. OK when one answered.
  absl::Status AskAll(const std::function<absl::Status(rpc::StorageClient*)>& ask,
                      std::vector<std::string>* warnings) const;
  // The first error, after all have been told.
  absl::Status TellAll(const std::function<absl::Status(rpc::StorageClient*)>& tell) const;

  const std::vector<rpc::StorageClient*> nodes_;
  const promql::Engine* const engine_;
  const bool enable_admin_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_STORAGE_HANDLERS_H_
