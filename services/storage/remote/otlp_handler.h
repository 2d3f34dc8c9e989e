#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_HANDLER_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_HANDLER_H_

#include <functional>
#include <memory>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/remote/otlp/delta_state.h"
#include "services/storage/remote/otlp/translator.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/work_pool.h"
#include "services/storage/remote/write_session.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_remote {

// POST /api/v1/otlp/v1/metrics: OTLP metrics in Protocol Buffers and JSON. Answers are those of the
// OTLP specification: 200 with what was rejected because Prometheus has no place for it, 400 with a
// status for what is malformed or refused by the head (the rest is stored), 503 for what may be
// sent again.
//
// Thread safety: all methods may be called from any thread.
class OtlpHandler {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    SeriesCache* cache = nullptr;
    SeriesCache* metadata_cache = nullptr;
    Clock* clock = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
    // What the configuration says at the moment.
    std::function<std::shared_ptr<const otlp::Settings>()> settings;
  };
  // The pointees must outlive it.
  explicit OtlpHandler(Options options);

  // Of the request its headers Content-Type and Content-Encoding, and its body.
  http::ServerResponse Write(std::string_view content_type, std::string_view content_encoding,
                             std::string_view body);

 private:
  struct Work {
    explicit Work(const Options& options)
        : session(&options.db->head(), options.cache, options.metadata_cache, options.clock) {}
    bool worth_keeping() const { return request.points.size() < kKeptPointsMax; }
    static constexpr size_t kKeptPointsMax = 1 << 18;
    otlp::Request request;
    otlp::Translator translator;
    WriteColumns columns;
    WriteSession session;
    WriteReport report;
  };
  http::ServerResponse Store(bool json, Work* work);

  // Constant after construction.
  const Options options_;
  metrics::Counter* const samples_;
  metrics::Counter* const rejected_;

  otlp::DeltaState deltas_;
  WorkPool<Work> work_;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_HANDLER_H_
