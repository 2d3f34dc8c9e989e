#ifndef NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_
#define NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/tsdb/db.h"

namespace grpc {
class Service;
}

namespace narthex::storage_service {

// The gRPC face of the database: narthex.v1.Storage. Translates messages, and keeps for each Append
// stream a second thread that acknowledges while the first one reads. Until the database is ready
// every call is Unavailable and says how far the replay is.
//
// Thread safety: all methods may be called from any thread.
class StorageService {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    Clock* clock = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
    std::function<absl::Status()> reload;
  };
  // The pointees must outlive the service, and it the server that it is registered with.
  explicit StorageService(Options options);
  ~StorageService();

  grpc::Service* service();
  // Tells the senders what has become durable.
  void OnSynced();
  // Ends the Append streams; new ones are Unavailable. What was not acknowledged is sent again
  // later, and skipped.
  void Stop();

 private:
  class Rep;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_
