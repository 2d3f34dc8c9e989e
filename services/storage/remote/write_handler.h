#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_HANDLER_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_HANDLER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/http/message.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/work_pool.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_remote {

enum class WriteVersion { kV1, kV2 };

// POST /api/v1/write: remote write 1.0 and 2.0. What it answers, and what becomes of requests that
// are good in part, is upstream's; README.md has the table.
//
// Thread safety: all methods may be called from any thread.
class WriteHandler {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    SeriesCache* cache = nullptr;
    SeriesCache* metadata_cache = nullptr;
    Clock* clock = nullptr;
    Logger logger;
    metrics::Registry* registry = nullptr;
    // The names of those that are taken ("prometheus.WriteRequest"); empty: both.
    std::vector<std::string> messages;
    // Of a message after decompression; longer ones are answered with 413.
    size_t message_bytes_max = size_t{256} << 20;
  };
  // The pointees must outlive it.
  explicit WriteHandler(Options options);
  ~WriteHandler();

  // Of the request its headers Content-Type and Content-Encoding, and its body.
  http::ServerResponse Write(std::string_view content_type, std::string_view content_encoding,
                             std::string_view body);

 private:
  struct Work;
  bool Accepts(WriteVersion version) const;
  http::ServerResponse WriteV1(std::string_view message, Work* work);
  http::ServerResponse WriteV2(std::string_view message, Work* work);
  http::ServerResponse StorageError(const absl::Status& status) const;
  void NoteProblems(std::string_view version, const std::string& first);

  // Constant after construction.
  const Options options_;
  metrics::Counter* const invalid_labels_;
  metrics::Counter* const without_metadata_;
  metrics::Counter* const samples_;
  metrics::Counter* const histograms_;
  metrics::Counter* const exemplars_;

  const std::unique_ptr<WorkPool<Work>> work_;
  Mutex mu_;
  absl::Time next_problem_log_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

// By the content type; an empty one is 1.0. InvalidArgument says what is wrong with it.
absl::StatusOr<WriteVersion> ParseWriteVersion(std::string_view content_type);

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_HANDLER_H_
