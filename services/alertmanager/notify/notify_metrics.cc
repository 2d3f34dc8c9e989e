#include "services/alertmanager/notify/notify_metrics.h"

#include "lib/base/check.h"

namespace narthex::notify {

std::string_view FailureText(Failure failure) {
  switch (failure) {
    case Failure::kOther:
      return "other";
    case Failure::kClientError:
      return "clientError";
    case Failure::kServerError:
      return "serverError";
    case Failure::kContextCanceled:
      return "contextCanceled";
    case Failure::kContextDeadlineExceeded:
      return "contextDeadlineExceeded";
    case Failure::kAuthError:
      return "authError";
    case Failure::kRateLimited:
      return "rateLimited";
  }
  return "";
}

std::string_view ReasonText(Reason reason) {
  switch (reason) {
    case Reason::kUnknown:
      return "unknown";
    case Reason::kFirst:
      return "first notification";
    case Reason::kNewAlerts:
      return "new alerts added";
    case Reason::kSomeResolved:
      return "some alerts resolved";
    case Reason::kAllResolved:
      return "all alerts resolved";
    case Reason::kRepeat:
      return "repeat interval elapsed";
  }
  return "";
}

NotifyMetrics::NotifyMetrics(metrics::Registry* registry) {
  for (const std::string_view kind : kIntegrationKinds) {
    const metrics::LabelMap labels = {{"integration", std::string(kind)}};
    IntegrationMetrics made;
    made.notifications = registry->AddCounter(
        "alertmanager_notifications_total", "The total number of attempted notifications.", labels);
    made.requests =
        registry->AddCounter("alertmanager_notification_requests_total",
                             "The total number of attempted notification requests.", labels);
    made.requests_failed =
        registry->AddCounter("alertmanager_notification_requests_failed_total",
                             "The total number of failed notification requests.", labels);
    made.latency = registry->AddHistogram("alertmanager_notification_latency_seconds",
                                          "The latency of notifications in seconds.",
                                          {1, 5, 10, 15, 20}, labels);
    for (const Failure failure : kFailures) {
      made.failed[failure] = registry->AddCounter(
          "alertmanager_notifications_failed_total", "The total number of failed notifications.",
          {{"integration", std::string(kind)}, {"reason", std::string(FailureText(failure))}});
    }
    kinds_.emplace(kind, std::move(made));
  }
  for (const std::string_view reason :
       {"silence", "inhibition", "mute_time_interval", "active_time_interval"}) {
    suppressed_.emplace(
        reason, registry->AddCounter("alertmanager_notifications_suppressed_total",
                                     "The total number of notifications suppressed for being "
                                     "silenced, inhibited, outside of active time intervals or "
                                     "within muted time intervals.",
                                     {{"reason", std::string(reason)}}));
  }
}

const IntegrationMetrics& NotifyMetrics::Of(std::string_view kind) const {
  const auto found = kinds_.find(kind);
  NARTHEX_CHECK(found != kinds_.end());
  return found->second;
}

metrics::Counter* NotifyMetrics::Suppressed(std::string_view reason) const {
  const auto found = suppressed_.find(reason);
  NARTHEX_CHECK(found != suppressed_.end());
  return found->second;
}

}  // namespace narthex::notify
