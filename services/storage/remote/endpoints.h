#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_

#include <memory>

#include "lib/base/clock.h"
#include "lib/config/prometheus_config.h"
#include "lib/http/router.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/write_handler.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_remote {

// What others write and read over HTTP: /api/v1/write.
//
// Made and owned by the App. Thread safety: the handlers may run in any number of threads; Apply()
// beside them.
class Endpoints {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    Clock* clock = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
  };
  // The pointees must outlive it.
  explicit Endpoints(const Options& options);

  // The router must not outlive the endpoints.
  void AddRoutes(http::Router* router);

 private:
  SeriesCache cache_;
  WriteHandler write_;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
