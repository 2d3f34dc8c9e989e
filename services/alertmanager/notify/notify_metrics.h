#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFY_METRICS_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFY_METRICS_H_

#include <map>
#include <string>
#include <string_view>

#include "lib/metrics/registry.h"
#include "services/alertmanager/notify/integration.h"

namespace narthex::notify {

// The metrics of one kind of integration, under upstream's names.
struct IntegrationMetrics {
  metrics::Counter* notifications = nullptr;
  metrics::Counter* requests = nullptr;
  metrics::Counter* requests_failed = nullptr;
  metrics::Histogram* latency = nullptr;
  std::map<Failure, metrics::Counter*> failed;
};

// The metrics of notifications. They exist for every kind from the start, so that rates begin at
// zero. Immutable after construction; the handles are thread-safe.
class NotifyMetrics {
 public:
  explicit NotifyMetrics(metrics::Registry* registry);
  // REQUIRES: `kind` is one of kIntegrationKinds.
  const IntegrationMetrics& Of(std::string_view kind) const;
  metrics::Counter* Suppressed(std::string_view reason) const;

 private:
  std::map<std::string, IntegrationMetrics, std::less<>> kinds_;
  std::map<std::string, metrics::Counter*, std::less<>> suppressed_;
};

// Every integration that a receiver can have.
inline constexpr std::string_view kIntegrationKinds[] = {
    "webhook",   "email",     "pagerduty", "opsgenie",   "wechat",     "slack",
    "victorops", "pushover",  "sns",       "telegram",   "discord",    "webex",
    "msteams",   "msteamsv2", "jira",      "incidentio", "rocketchat", "mattermost"};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_NOTIFY_METRICS_H_
