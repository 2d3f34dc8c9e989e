#ifndef NARTHEX_SERVICES_ALERTMANAGER_RELOADER_H_
#define NARTHEX_SERVICES_ALERTMANAGER_RELOADER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/http/client.h"
#include "lib/service/env.h"
#include "services/alertmanager/alerts/alert_store.h"
#include "services/alertmanager/alerts/ingestion.h"
#include "services/alertmanager/api/api.h"
#include "services/alertmanager/config/config.h"
#include "services/alertmanager/config/load.h"
#include "services/alertmanager/dispatch/dispatcher.h"
#include "services/alertmanager/inhibit/inhibitor.h"
#include "services/alertmanager/nflog/notification_log.h"
#include "services/alertmanager/notify/notify_metrics.h"
#include "services/alertmanager/notify/pipeline.h"
#include "services/alertmanager/notify/templates.h"
#include "services/alertmanager/notify/timer_queue.h"
#include "services/alertmanager/silence/silences.h"

namespace narthex::alertmanager_service {

// Turns the configuration file into what runs: routes, receivers, inhibition rules, time intervals.
// A new configuration is built whole before anything changes, so that a bad one changes nothing;
// then the groups start anew, fed with every alert that is known, and the notification log keeps
// them from repeating anything.
//
// Thread safety: view() may be called from any thread; Load() and Stop() from one at a time.
class Reloader {
 public:
  struct Options {
    std::string config_file;
    alertmanager_config::LoadOptions load;
    std::string external_url;
    std::string version;
    absl::Time not_before;  // No group flushes before it.
    service::Env env;
    alerts::AlertStore* store = nullptr;
    alerts::Ingestion* ingestion = nullptr;
    silence::Silences* silences = nullptr;
    nflog::NotificationLog* log = nullptr;
    notify::TimerQueue* timers = nullptr;
    http::Client* client = nullptr;
    const notify::NotifyMetrics* metrics = nullptr;
    notify::Executor executor;
  };
  // The pointees must outlive the reloader.
  explicit Reloader(Options options);
  ~Reloader() { Stop(); }

  // Reads the file and makes it the running configuration.
  absl::Status Load();
  // Ends the groups; waits a moment for what is being sent.
  void Stop();
  // Null before the first Load().
  std::shared_ptr<const alertmanager_api::View> view() const;
  // Of the running configuration; null before the first Load().
  std::shared_ptr<inhibit::Inhibitor> inhibitor() const;

 private:
  // Everything that one configuration makes.
  struct Built {
    std::shared_ptr<inhibit::Inhibitor> inhibitor;
    std::shared_ptr<dispatch::Dispatcher> dispatcher;
    std::shared_ptr<const alertmanager_api::View> view;
    std::vector<std::string> warnings;
    std::vector<std::string> unused;
    absl::Duration resolve_timeout;
    uint64_t hash = 0;
    size_t receivers = 0;
    size_t integrations = 0;
    size_t inhibition_rules = 0;
  };
  absl::StatusOr<Built> Build();
  absl::StatusOr<std::shared_ptr<notify::Templates>> LoadTemplates(
      const std::vector<std::string>& patterns);
  absl::StatusOr<std::vector<notify::Slot>> BuildSlots(
      const alertmanager_config::ReceiverConfig& receiver,
      const std::shared_ptr<notify::Templates>& templates);
  void Apply(Built built);
  void WarnOfUnused(const std::vector<std::string>& unused);

  const Options options_;
  metrics::Gauge* const receivers_gauge_;
  metrics::Gauge* const integrations_gauge_;
  metrics::Gauge* const rules_gauge_;
  metrics::Gauge* const hash_gauge_;
  metrics::Gauge* const groups_gauge_;
  metrics::Summary* const processing_;
  std::set<std::string> warned_;  // Of what is not used; by Load() only, as the next.
  std::set<std::string> unused_;

  mutable Mutex mu_;
  std::shared_ptr<inhibit::Inhibitor> inhibitor_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<dispatch::Dispatcher> dispatcher_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const alertmanager_api::View> view_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::alertmanager_service

#endif  // NARTHEX_SERVICES_ALERTMANAGER_RELOADER_H_
