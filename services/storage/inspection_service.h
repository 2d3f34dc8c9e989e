#ifndef NARTHEX_SERVICES_STORAGE_INSPECTION_SERVICE_H_
#define NARTHEX_SERVICES_STORAGE_INSPECTION_SERVICE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "services/storage/growth_marks.h"
#include "services/storage/tsdb/db.h"

namespace narthex::v1 {
class AdminRequest;
class AdminResponse;
class ExemplarsRequest;
class ExemplarsResponse;
class MetadataRequest;
class MetadataResponse;
class StatisticsRequest;
class StatisticsResponse;
class StatusResponse;
}  // namespace narthex::v1

namespace narthex::storage_service {

// The part of narthex.v1.Storage that is not about samples: what the node has and is, and what it
// is told by hand. StorageService hands the calls through.
//
// Thread safety: all methods may be called from any thread.
class Inspection {
 public:
  struct Options {
    tsdb::Db* db = nullptr;
    Clock* clock = nullptr;
    Logger logger;
    bool enable_admin = false;
    std::function<std::string()> retention_text;  // What is kept, for people.
  };
  // The pointees must outlive it.
  explicit Inspection(Options options);

  // `send` takes one piece of the answer; false: nobody wants more. `cancelled` is polled.
  absl::Status Exemplars(const v1::ExemplarsRequest& request,
                         const std::function<bool()>& cancelled,
                         const std::function<bool(const v1::ExemplarsResponse&)>& send) const;
  absl::Status Metadata(const v1::MetadataRequest& request, const std::function<bool()>& cancelled,
                        const std::function<bool(const v1::MetadataResponse&)>& send) const;
  absl::Status Statistics(const v1::StatisticsRequest& request, v1::StatisticsResponse* response);
  // Also before the log is replayed.
  absl::Status Status(v1::StatusResponse* response) const;
  // `cancelled` ends what can be ended in the middle.
  absl::Status Admin(const v1::AdminRequest& request, const std::function<bool()>& cancelled,
                     v1::AdminResponse* response);

  // Called now and then, so that the growth of series is known.
  void NoteGrowth();

 private:
  absl::Status AdminChecked(const v1::AdminRequest& request, const tsdb::Pace& pace,
                            v1::AdminResponse* response);

  const Options options_;
  tsdb::Db* const db_;
  GrowthMarks growth_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_INSPECTION_SERVICE_H_
