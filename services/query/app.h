#ifndef NARTHEX_SERVICES_QUERY_APP_H_
#define NARTHEX_SERVICES_QUERY_APP_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/http/client.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "lib/rpc/remote_appender.h"
#include "lib/rpc/remote_storage.h"
#include "lib/rpc/scraper_client.h"
#include "lib/rpc/storage_client.h"
#include "lib/service/env.h"
#include "lib/storage/fanout_querier.h"
#include "services/query/alertmanagers.h"
#include "services/query/api/notifications.h"
#include "services/query/cache/result_cache.h"
#include "services/query/notifier/notifier.h"
#include "services/query/options.h"
#include "services/query/promql/engine.h"
#include "services/query/reloader.h"
#include "services/query/rules/manager.h"

namespace narthex::query {

// The query service: PromQL and rules over remote storage nodes, the notifier, and the HTTP API.
//
// Create() reads the configuration and binds the port but serves nothing; Start() serves and
// evaluates rules; Stop() refuses new requests, ends running ones and sends the alerts that wait.
// It knows no signals and no argv, so a test runs it in its own process with port 0.
//
// Thread safety: Start(), Reload() and Stop() must not overlap.
class App {
 public:
  static absl::StatusOr<std::unique_ptr<App>> Create(const Options& options, service::Env env);
  ~App();
  absl::Status Start();
  // Of this service (all or nothing), and then of its storage nodes and scrapers: the first error.
  absl::Status Reload();
  void Stop();

  int http_port() const { return server_->port(); }
  const rules::Manager& rules() const { return *rules_; }

 private:
  App(const Options& options, service::Env env);
  void SetReady(bool ready);

  // In dependency order: each may use only those above.
  const Options options_;
  const service::Env env_;
  std::unique_ptr<http::Client> http_client_;
  std::vector<std::unique_ptr<rpc::RemoteQuerier>> stores_;
  std::vector<std::unique_ptr<rpc::StorageClient>> storages_;  // Of the same nodes.
  std::vector<std::unique_ptr<rpc::ScraperClient>> scrapers_;
  std::unique_ptr<storage::FanoutQuerier> querier_;
  std::unique_ptr<promql::ActiveQueries> active_queries_;  // May be null.
  std::unique_ptr<promql::Engine> engine_;
  std::unique_ptr<query_cache::ResultCache> cache_;
  std::unique_ptr<rpc::RemoteAppenderFactory> appenders_;
  std::unique_ptr<notifier::Notifier> notifier_;
  std::unique_ptr<Alertmanagers> alertmanagers_;
  std::unique_ptr<rules::Manager> rules_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<query_api::Notifications> notifications_;
  std::atomic<bool> ready_{false};
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace narthex::query

#endif  // NARTHEX_SERVICES_QUERY_APP_H_
