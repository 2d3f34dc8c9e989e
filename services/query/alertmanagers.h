#ifndef NARTHEX_SERVICES_QUERY_ALERTMANAGERS_H_
#define NARTHEX_SERVICES_QUERY_ALERTMANAGERS_H_

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/config/alerting_config.h"
#include "lib/discovery/manager.h"
#include "lib/http/client.h"
#include "lib/model/alert.h"
#include "lib/service/env.h"
#include "services/query/notifier/notifier.h"

namespace narthex::query {

// The body of POST /api/v2/alerts.
std::string AlertsJson(std::span<const Alert> alerts);

// The Alertmanagers of one entry of alerting.alertmanagers, as discovery found them: relabelled,
// reached over HTTP. Targets without an address are dropped, and all of them without a
// client_config.
notifier::AlertmanagerSet MakeAlertmanagerSet(
    const config::AlertmanagerConfig& config,
    const std::shared_ptr<const http::ClientConfig>& client_config,
    const std::vector<discovery::TargetGroup>& groups, http::Client* client);

// Tells the notifier whom to send to: the endpoints of the command line, over gRPC, and what the
// configuration's discovery finds, over HTTP.
//
// Thread safety: Apply() calls must not overlap; discovery updates come on a thread of its own.
class Alertmanagers {
 public:
  // The pointees must outlive this.
  Alertmanagers(const std::vector<std::string>& grpc_endpoints, const service::Env& env,
                http::Client* client, notifier::Notifier* notifier);
  Alertmanagers(const Alertmanagers&) = delete;
  Alertmanagers& operator=(const Alertmanagers&) = delete;

  // Returns what of it cannot be acted on (mechanisms and client settings that this version lacks,
  // files that cannot be read); Alertmanagers that need it are shown as dropped.
  std::vector<std::string> Apply(std::vector<config::AlertmanagerConfig> configs);

 private:
  void Update(const discovery::TargetSets& found);

  // Constant after construction.
  io::FileSystem* const file_system_;
  http::Client* const client_;
  notifier::Notifier* const notifier_;
  notifier::AlertmanagerSet grpc_set_;

  struct Entry {
    config::AlertmanagerConfig config;
    // The same object as long as the settings are the same: connections hang on it.
    std::shared_ptr<const http::ClientConfig> client_config;
  };
  Mutex mu_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);

  std::unique_ptr<discovery::Manager> discovery_;  // Last: its thread calls Update().
};

}  // namespace narthex::query

#endif  // NARTHEX_SERVICES_QUERY_ALERTMANAGERS_H_
