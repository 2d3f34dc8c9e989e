#ifndef NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_
#define NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/rpc/storage_client.h"
#include "services/storage/tsdb/db.h"

namespace grpc {
class Service;
}

namespace narthex::storage_service {

// The gRPC face of the database: narthex.v1.Storage. Translates messages, and keeps for each Append
// stream a second thread that acknowledges while the first one reads. Until the log is replayed
// only what is in blocks is answered; every other call is Unavailable and says how far it is.
//
// An answer is made as fast as its receiver takes it: what waits is one frame of a megabyte and
// what the transport's window holds. A thread of its own ends those that nobody takes.
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
    bool enable_admin = false;  // Whether Admin changes anything.
    std::function<std::string()> retention_text;
    // Those of the configuration; called from any thread, may be empty.
    std::function<Labels()> external_labels;
    // What the HTTP port would answer; called from any thread.
    std::function<rpc::IngestAnswer(const rpc::IngestCall&)> ingest;
    // Called once a minute by the service's own thread; may be empty.
    std::function<void()> each_minute;
    // An answer whose receiver takes nothing for so long is ended: it holds truncations back.
    absl::Duration stall_max = absl::Minutes(1);
  };
  // The pointees must outlive the service, and it the server that it is registered with.
  explicit StorageService(Options options);
  ~StorageService();

  grpc::Service* service();
  // The log is replayed: from now on series are new.
  void OnReady();
  // Tells the senders what has become durable.
  void OnSynced();
  // Ends the Append streams, and those of Read once they have answered; new ones are Unavailable.
  // What was not acknowledged is sent again later, and skipped.
  void Stop();

 private:
  class Rep;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_STORAGE_SERVICE_H_
