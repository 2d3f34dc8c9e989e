#ifndef NARTHEX_SERVICES_QUERY_NOTIFIER_NOTIFIER_H_
#define NARTHEX_SERVICES_QUERY_NOTIFIER_NOTIFIER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/model/alert.h"
#include "lib/relabel/relabel_config.h"
#include "services/query/notifier/alertmanager_client.h"

namespace narthex::notifier {

struct NotifierOptions {
  size_t queue_capacity = 10'000;  // Alerts, for each Alertmanager.
  size_t batch_size = 256;
  bool drain_on_stop = true;
  absl::Duration drain_timeout = absl::Seconds(10);
};

// An Alertmanager to send to.
struct AlertmanagerEndpoint {
  std::string url;  // As shown by the API; the `alertmanager` label of the metrics.
  // Names url and settings: an endpoint with a known key keeps its connection and queue.
  std::string key;
  std::function<std::unique_ptr<AlertmanagerClient>()> connect;
};

// Alertmanagers that get the same alerts.
struct AlertmanagerSet {
  std::vector<relabel::RelabelConfig> alert_relabel_configs;
  std::vector<AlertmanagerEndpoint> endpoints;
  std::vector<std::string> dropped_urls;  // Discovered, and dropped by relabelling.
};

// Hands alerts to every Alertmanager: adds the external labels, relabels, and queues; a thread for
// each Alertmanager sends its queue in batches. Nothing is tried twice, because the rules send what
// goes on firing again; failures are counted and logged.
//
// Thread safety: all methods may be called from any thread.
class Notifier {
 public:
  // `registry` and `clock` must outlive the notifier.
  Notifier(NotifierOptions options, Clock* clock, Logger logger, metrics::Registry* registry);
  ~Notifier();  // Stops.
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void SetRelabelling(const Labels& external_labels,
                      std::vector<relabel::RelabelConfig> alert_relabel_configs);
  void SetAlertmanagers(std::vector<AlertmanagerSet> sets);
  // Does not block.
  void Send(std::vector<Alert> alerts);
  // Takes no more alerts, sends what is queued (for up to drain_timeout), and joins.
  void Stop();

  std::vector<std::string> active_urls() const;
  std::vector<std::string> dropped_urls() const;

 private:
  class Sender;
  class SenderMetrics;
  // How many senders use the series of each URL.
  struct MetricUsers {
    Mutex mu;
    std::map<std::string, int> by_url ABSL_GUARDED_BY(mu);
    bool stopped ABSL_GUARDED_BY(mu) = false;  // The last values stay to be seen.
  };
  struct Set {
    std::vector<relabel::RelabelConfig> alert_relabel_configs;
    std::vector<std::shared_ptr<Sender>> senders;
  };
  // What Send() reads; replaced as a whole.
  struct Snapshot {
    Labels external_labels;
    std::vector<relabel::RelabelConfig> alert_relabel_configs;
    std::vector<Set> sets;
    std::vector<std::string> dropped_urls;
  };
  std::shared_ptr<const Snapshot> snapshot() const;

  // Constant after construction.
  const NotifierOptions options_;
  Clock* const clock_;
  const Logger logger_;
  metrics::Registry* const registry_;
  metrics::Gauge* const discovered_;

  MetricUsers metric_users_;  // Synchronises itself; above the senders, which use it to their end.

  mutable Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<const Snapshot> snapshot_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::notifier

#endif  // NARTHEX_SERVICES_QUERY_NOTIFIER_NOTIFIER_H_
