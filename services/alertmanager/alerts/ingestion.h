#ifndef NARTHEX_SERVICES_ALERTMANAGER_ALERTS_INGESTION_H_
#define NARTHEX_SERVICES_ALERTMANAGER_ALERTS_INGESTION_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/metrics/registry.h"
#include "lib/relabel/name_validation.h"
#include "services/alertmanager/alerts/alert_store.h"

namespace narthex::alerts {

// An alert as a client sent it, nothing filled in.
struct PostedAlert {
  std::vector<std::pair<std::string, std::string>> labels;
  Annotations annotations;
  absl::Time starts_at = absl::InfiniteFuture();  // InfiniteFuture(): not said.
  absl::Time ends_at = absl::InfiniteFuture();
  std::string generator_url;
};

struct IngestResult {
  size_t accepted = 0;
  // Which alert (from 0) and what is wrong with it.
  std::vector<std::pair<size_t, std::string>> errors;
};

// The one entrance of alerts, over HTTP and gRPC alike: fills in times, validates, counts, and puts
// what is valid into the store.
//
// Thread safety: all methods may be called from any thread.
class Ingestion {
 public:
  Ingestion(AlertStore* store, Clock* clock, metrics::Registry* registry,
            NameValidationScheme scheme);

  // For alerts that come without an end; global.resolve_timeout.
  void set_resolve_timeout(absl::Duration timeout) {
    resolve_timeout_ns_.store(absl::ToInt64Nanoseconds(timeout), std::memory_order_relaxed);
  }
  IngestResult Post(std::vector<PostedAlert> posted);

 private:
  absl::StatusOr<Alert> Build(PostedAlert posted, absl::Time now) const;

  AlertStore* const store_;
  Clock* const clock_;
  const NameValidationScheme scheme_;
  std::atomic<int64_t> resolve_timeout_ns_;
  metrics::Counter* const received_firing_;
  metrics::Counter* const received_resolved_;
  metrics::Counter* const invalid_;
  metrics::Counter* const limited_;
};

}  // namespace narthex::alerts

#endif  // NARTHEX_SERVICES_ALERTMANAGER_ALERTS_INGESTION_H_
