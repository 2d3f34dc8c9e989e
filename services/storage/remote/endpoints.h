#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_

#include <memory>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/config/prometheus_config.h"
#include "lib/http/router.h"
#include "lib/labels/labels.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/remote/read_handler.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/write_handler.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/querier.h"

namespace narthex::storage_remote {

// What others write and read over HTTP: /api/v1/write and /api/v1/read.
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
  // Takes what the file says of them: global.external_labels.
  void Apply(const config::PrometheusConfig& config);

 private:
  // What a request reads of the configuration, as a whole.
  struct Applied {
    Labels external_labels;
  };
  std::shared_ptr<const Applied> applied() const;

  SeriesCache cache_;
  WriteHandler write_;
  tsdb::DbQuerier querier_;
  remote::ReadHandler read_;

  mutable Mutex mu_;
  std::shared_ptr<const Applied> applied_ ABSL_GUARDED_BY(mu_) = std::make_shared<const Applied>();
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
