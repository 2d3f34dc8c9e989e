#ifndef NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_DISPATCHER_H_
#define NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_DISPATCHER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/alertmanager/alerts/alert_store.h"
#include "services/alertmanager/dispatch/route.h"
#include "services/alertmanager/notify/lifetime.h"
#include "services/alertmanager/notify/pipeline.h"
#include "services/alertmanager/notify/timer_queue.h"

namespace narthex::dispatch {

struct DispatcherEnv {
  Clock* clock = nullptr;
  notify::TimerQueue* timers = nullptr;
  notify::Executor executor;
  Logger logger;
  metrics::Gauge* groups = nullptr;
  metrics::Summary* processing_duration = nullptr;
};

// The alerts of one group as the API shows them.
struct GroupView {
  const Route* route = nullptr;
  Labels labels;
  std::vector<alerts::AlertPtr> alerts;  // Sorted by fingerprint.
};

// Sorts alerts into groups by the route tree and flushes each group to its receiver: first after
// group_wait, then every group_interval, never twice at once. Made for one configuration; the next
// one gets a new Dispatcher, which hears of all alerts again, and the notification log keeps it
// from repeating anything.
//
// Register it with the store after construction, take it away before Stop(). Thread safety: all
// methods may be called from any thread.
class Dispatcher : public alerts::AlertListener {
 public:
  // `pipelines` has one for each receiver that a route names. No group flushes before `not_before`.
  Dispatcher(std::shared_ptr<const Route> root,
             std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines, DispatcherEnv env,
             absl::Time not_before);
  ~Dispatcher() override;

  void OnAlert(const alerts::AlertPtr& alert) override;

  // The groups that pass both filters, with the alerts that do; groups without one are left out.
  // Sorted by labels, then receiver.
  std::vector<GroupView> Groups(
      const std::function<bool(const Route&)>& route_filter,
      const std::function<bool(const alerts::Alert&)>& alert_filter) const;
  const Route& root() const;

  // Ends all groups. Waits (real time) at most `grace` for notifications that are being sent.
  void Stop(absl::Duration grace);

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace narthex::dispatch

#endif  // NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_DISPATCHER_H_
