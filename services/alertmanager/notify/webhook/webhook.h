#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_WEBHOOK_WEBHOOK_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_WEBHOOK_WEBHOOK_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/http/client.h"
#include "lib/io/file_system.h"
#include "services/alertmanager/notify/integration.h"
#include "services/alertmanager/notify/templates.h"

namespace narthex::notify {

struct WebhookOptions {
  std::string url;          // May be a template.
  std::string url_file;     // Read at each notification, when there is no url.
  uint64_t max_alerts = 0;  // 0: all.
  absl::Duration timeout;   // 0: the deadline of the notification alone.
  std::shared_ptr<const http::ClientConfig> client_config;
};

// What integrations share. The pointees outlive them.
struct IntegrationEnv {
  Clock* clock = nullptr;
  io::FileSystem* file_system = nullptr;
  http::Client* client = nullptr;
  std::shared_ptr<const Templates> templates;
  std::string external_url;
  std::string user_agent;  // "Alertmanager/0.1.0"
};

// The body of a webhook, version 4: upstream's bytes.
std::string WebhookPayload(const NotificationData& data, std::string_view group_key,
                           uint64_t truncated_alerts);

// Posts the alerts of a group as JSON. 2xx is success; 5xx and failures to connect are worth
// another attempt, all else is not.
class Webhook : public Integration {
 public:
  Webhook(WebhookOptions options, IntegrationEnv env)
      : options_(std::move(options)), env_(std::move(env)) {}
  void Notify(const Notification& notification, Reason reason,
              const std::vector<alerts::AlertPtr>& alerts,
              std::function<void(Outcome)> done) override;

 private:
  absl::StatusOr<std::string> Url(const NotificationData& data) const;

  const WebhookOptions options_;
  const IntegrationEnv env_;
};

// What an HTTP answer (or the lack of one) means for a notification.
Outcome OutcomeOf(const absl::StatusOr<http::ClientResponse>& response);

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_WEBHOOK_WEBHOOK_H_
