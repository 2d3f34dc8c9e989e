#ifndef NARTHEX_SERVICES_ALERTMANAGER_SILENCE_SILENCES_H_
#define NARTHEX_SERVICES_ALERTMANAGER_SILENCE_SILENCES_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/alertmanager/snapshot/record_file.h"

namespace narthex::silence {

enum class State { kPending, kActive, kExpired };
std::string_view StateText(State state);  // "pending", "active", "expired"

// Alerts that match all matchers are not notified between two times.
struct Silence {
  std::string id;
  std::vector<Matcher> matchers;
  absl::Time starts_at;
  absl::Time ends_at;  // The first moment at which it silences no more.
  absl::Time updated_at;
  std::string created_by;
  std::string comment;
  std::vector<std::pair<std::string, std::string>> annotations;  // Sorted by name.

  State StateAt(absl::Time now) const;
};
using SilencePtr = std::shared_ptr<const Silence>;

// A silence and when it may be forgotten, in upstream's bytes (format.md of snapshot/).
std::string EncodeSilence(const Silence& silence, absl::Time forgotten_at);
std::optional<Silence> DecodeSilence(std::string_view record, absl::Time* forgotten_at);

struct SilencesOptions {
  std::string path;                             // Empty: in memory only.
  absl::Duration retention = absl::Hours(120);  // How long an expired silence is kept.
  size_t silences_max = 0;                      // 0: no bound.
  size_t silence_bytes_max = 0;                 // Encoded; 0: no bound.
};

// All silences. Each change is on disk before it is answered.
//
// Thread safety: all methods may be called from any thread.
class Silences {
 public:
  // Reads what an earlier process left. The pointees must outlive the object.
  static absl::StatusOr<std::unique_ptr<Silences>> Open(const SilencesOptions& options,
                                                        io::FileSystem* file_system, Clock* clock,
                                                        Logger logger, metrics::Registry* registry);

  // Creates a silence (id empty) or changes one, and returns its id: changing the matchers, or the
  // past, expires the old silence and makes a new one. NotFound for an unknown id, InvalidArgument,
  // ResourceExhausted at a bound.
  absl::StatusOr<std::string> Set(Silence silence);
  // Ends it now; one that is over stays as it is. NotFound for an unknown id.
  absl::Status Expire(const std::string& id);

  SilencePtr Get(const std::string& id) const;  // Null when there is none.
  std::vector<SilencePtr> All() const;
  // The ids of the active silences that match, sorted.
  std::vector<std::string> SilencedBy(const Labels& labels) const;

  // Forgets silences whose retention is over and rewrites the file.
  absl::Status Maintain();

 private:
  struct Stored {
    SilencePtr silence;
    absl::Time forgotten_at;
  };
  Silences(const SilencesOptions& options, Clock* clock, metrics::Registry* registry);
  void AddGauges(metrics::Registry* registry);
  absl::Status StoreLocked(Silence silence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ExpireLocked(const Silence& silence, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status MaintainLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const SilencesOptions options_;
  Clock* const clock_;
  metrics::Counter* const queries_;
  metrics::Counter* const maintenances_;
  metrics::Counter* const maintenance_errors_;
  metrics::Gauge* const snapshot_size_;
  std::vector<std::shared_ptr<void>> gauges_;

  mutable Mutex mu_;
  std::map<std::string, Stored> silences_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<snapshot::RecordFile> file_ ABSL_GUARDED_BY(mu_);  // Null without a path.
};

}  // namespace narthex::silence

#endif  // NARTHEX_SERVICES_ALERTMANAGER_SILENCE_SILENCES_H_
