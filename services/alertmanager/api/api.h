#ifndef NARTHEX_SERVICES_ALERTMANAGER_API_API_H_
#define NARTHEX_SERVICES_ALERTMANAGER_API_API_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/http/router.h"
#include "services/alertmanager/alerts/alert_store.h"
#include "services/alertmanager/alerts/ingestion.h"
#include "services/alertmanager/alerts/matchers.h"
#include "services/alertmanager/dispatch/dispatcher.h"
#include "services/alertmanager/inhibit/inhibitor.h"
#include "services/alertmanager/notify/stage.h"
#include "services/alertmanager/silence/silences.h"

// Upstream's HTTP API, version 2: the same paths, parameters, JSON and errors.
namespace narthex::alertmanager_api {

// What belongs to one configuration. Replaced as a whole by a reload.
struct View {
  std::shared_ptr<const dispatch::Dispatcher> dispatcher;
  std::shared_ptr<const inhibit::Inhibitor> inhibitor;
  std::shared_ptr<const notify::NamedIntervals> intervals;
  std::vector<std::string> receivers;  // In the order of the file.
  std::string config_text;             // Secrets hidden.
};

struct Options {
  alerts::AlertStore* store = nullptr;
  alerts::Ingestion* ingestion = nullptr;
  silence::Silences* silences = nullptr;
  Clock* clock = nullptr;
  std::function<std::shared_ptr<const View>()> view;
  alerts::MatcherMode matcher_mode = alerts::MatcherMode::kFallback;
  absl::Time started_at;
  std::string version;
  std::string revision;
  std::string prefix;  // "" or "/prefix", before every path.
};

// Why an alert is not notified, asked now and not remembered from the last flush.
struct AlertStatus {
  std::vector<std::string> inhibited_by;  // Fingerprints.
  std::vector<std::string> silenced_by;   // Ids of silences.
  std::vector<std::string> muted_by;      // Time intervals of the route.
  bool suppressed() const {
    return !inhibited_by.empty() || !silenced_by.empty() || !muted_by.empty();
  }
};

// The handlers. Lives as long as the router that it filled. Thread safety: handlers run on any
// thread.
class Api {
 public:
  explicit Api(Options options) : options_(std::move(options)) {}
  void Register(http::Router* router);

  // The alerts that the API shows, by state: "active" or "suppressed".
  void CountAlerts(size_t* active, size_t* suppressed) const;

 private:
  struct AlertFilter;

  http::ServerResponse GetAlerts(const http::ServerRequest& request) const;
  http::ServerResponse PostAlerts(const http::ServerRequest& request) const;
  http::ServerResponse GetGroups(const http::ServerRequest& request) const;
  http::ServerResponse GetSilences(const http::ServerRequest& request) const;
  http::ServerResponse PostSilence(const http::ServerRequest& request) const;
  http::ServerResponse GetSilence(const http::ServerRequest& request) const;
  http::ServerResponse DeleteSilence(const http::ServerRequest& request) const;
  http::ServerResponse GetReceivers(const http::ServerRequest& request) const;
  http::ServerResponse GetStatus(const http::ServerRequest& request) const;

  absl::StatusOr<AlertFilter> ParseAlertFilter(const http::ServerRequest& request) const;
  absl::StatusOr<std::vector<Matcher>> ParseFilters(const http::ServerRequest& request) const;
  AlertStatus StatusOf(const View& view, const Labels& labels) const;

  const Options options_;
};

}  // namespace narthex::alertmanager_api

#endif  // NARTHEX_SERVICES_ALERTMANAGER_API_API_H_
