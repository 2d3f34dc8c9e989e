#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/config/prometheus_config.h"
#include "lib/http/router.h"
#include "lib/labels/labels.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/remote/read_handler.h"
#include "lib/rpc/storage_client.h"
#include "services/storage/remote/otlp_handler.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/write_handler.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/querier.h"

namespace narthex::storage_remote {

// What others write and read over HTTP: /api/v1/write,
// /api/v1/otlp/v1/metrics and /api/v1/read.
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
    // What is not enabled answers 404, as upstream.
    bool enable_write = true;
    bool enable_otlp = true;
    // Empty: both.
    std::vector<std::string> write_messages;
    uint64_t read_samples_max = 50'000'000;
    int read_concurrency_max = 10;  // 0 is no limit.
    size_t read_frame_bytes_max = size_t{1} << 20;
    // Of --enable-feature: otlp-deltatocumulative, otlp-native-delta-ingestion,
    // type-and-unit-labels.
    otlp::Settings::Delta otlp_delta = otlp::Settings::Delta::kRefuse;
    bool type_and_unit_labels = false;
  };
  // The pointees must outlive it.
  explicit Endpoints(const Options& options);

  // The router must not outlive the endpoints.
  void AddRoutes(http::Router* router);
  // The same for requests that query got and handed on.
  rpc::IngestAnswer Ingest(const rpc::IngestCall& call);
  // Takes what the file says of them: global.external_labels, and otlp.
  void Apply(const config::PrometheusConfig& config);
  // Of the configuration that was applied last.
  Labels external_labels() const { return applied()->external_labels; }

 private:
  // What a request reads of the configuration, as a whole.
  struct Applied {
    Labels external_labels;
    std::shared_ptr<const otlp::Settings> otlp;
  };
  http::ServerResponse Write(std::string_view content_type, std::string_view content_encoding,
                             std::string_view body);
  http::ServerResponse WriteOtlp(std::string_view content_type, std::string_view content_encoding,
                                 std::string_view body);
  std::shared_ptr<const Applied> Make(const config::PrometheusConfig& config) const;
  std::shared_ptr<const Applied> applied() const;

  const Options options_;
  SeriesCache cache_;
  SeriesCache metadata_cache_;
  WriteHandler write_;
  OtlpHandler otlp_;
  tsdb::DbQuerier querier_;
  remote::ReadHandler read_;

  mutable Mutex mu_;
  std::shared_ptr<const Applied> applied_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_ENDPOINTS_H_
