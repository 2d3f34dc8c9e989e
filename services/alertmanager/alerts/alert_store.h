#ifndef NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_STORE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_STORE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "services/alertmanager/alerts/alert.h"

namespace narthex::alerts {

// Hears of every change of an alert. Called on the thread that puts it, without a lock of the
// store; two changes of one alert may arrive out of order and are told apart by updated_at.
class AlertListener {
 public:
  virtual ~AlertListener() = default;
  virtual void OnAlert(const AlertPtr& alert) = 0;
};

struct AlertStoreOptions {
  // Alerts of one alertname that may be active at once; 0 is no bound.
  size_t per_alertname_max = 0;
};

// All alerts that are known, firing and resolved, by fingerprint. In memory only; resolved ones
// leave with the next CollectGarbage().
//
// Thread safety: all methods may be called from any thread.
class AlertStore {
 public:
  AlertStore(Clock* clock, const AlertStoreOptions& options) : clock_(clock), options_(options) {}

  // Stores each alert, merged with what is known when their times overlap, and tells the listeners.
  // Returns how many were turned away by the bound.
  size_t Put(std::vector<Alert> alerts);

  // Null when it is not known.
  AlertPtr Get(uint64_t fingerprint) const;
  std::vector<AlertPtr> All() const;
  // Not resolved, and all others that are still here.
  void Count(size_t* firing, size_t* resolved) const;

  // Removes resolved alerts; returns how many.
  size_t CollectGarbage();

  // The listener first hears of every alert that is here, then of every change, until it is
  // removed. RemoveListener() waits for calls that are under way.
  void AddListener(AlertListener* listener);
  void RemoveListener(AlertListener* listener);

 private:
  // The alerts of one alertname that count against the bound, with the time at which each ends.
  using Bucket = absl::flat_hash_map<uint64_t, absl::Time>;

  bool AdmitLocked(const Alert& alert, uint64_t fingerprint, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  Clock* const clock_;
  const AlertStoreOptions options_;

  mutable Mutex mu_;
  absl::flat_hash_map<uint64_t, AlertPtr> alerts_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Bucket, std::less<>> buckets_ ABSL_GUARDED_BY(mu_);

  // Held shared while listeners are called, so that one can be removed for good. Taken before mu_.
  mutable Mutex listeners_mu_;
  std::vector<AlertListener*> listeners_ ABSL_GUARDED_BY(listeners_mu_);
};

}  // namespace narthex::alerts

#endif  // NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_STORE_H_
