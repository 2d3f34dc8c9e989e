#ifndef NARTHEX_SERVICES_ALERTMANAGER_APP_H_
#define NARTHEX_SERVICES_ALERTMANAGER_APP_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/worker_pool.h"
#include "lib/http/client.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "lib/io/file_system.h"
#include "lib/rpc/server.h"
#include "lib/service/env.h"
#include "lib/service/ops_handlers.h"
#include "services/alertmanager/alertmanager_service.h"
#include "services/alertmanager/alerts/alert_store.h"
#include "services/alertmanager/alerts/ingestion.h"
#include "services/alertmanager/api/api.h"
#include "services/alertmanager/maintenance.h"
#include "services/alertmanager/nflog/notification_log.h"
#include "services/alertmanager/notify/notify_metrics.h"
#include "services/alertmanager/notify/timer_queue.h"
#include "services/alertmanager/options.h"
#include "services/alertmanager/reloader.h"
#include "services/alertmanager/silence/silences.h"

namespace narthex::alertmanager_service {

// The alertmanager service: alerts in over HTTP and gRPC, notifications out.
//
// Create() locks the data folder, reads silences and notification log, loads the configuration and
// binds both ports; Start() serves and lets groups flush; Stop() refuses new calls, waits a moment
// for notifications under way, and writes silences and log. It knows no signals and no argv, so a
// test runs it in-process with port 0 and a FakeClock.
class App {
 public:
  static absl::StatusOr<std::unique_ptr<App>> Create(const Options& options, service::Env env);
  ~App() { Stop(); }

  absl::Status Start();
  absl::Status Reload();  // All or nothing.
  void Stop();            // Idempotent.

  int grpc_port() const { return grpc_server_->port(); }
  int http_port() const { return http_server_->port(); }
  alerts::AlertStore& store() { return store_; }

 private:
  App(const Options& options, service::Env env, NameValidationScheme scheme);
  void AddGauges();
  void WarnOfCluster();
  absl::Status RequestReload();
  void AddChores();

  // In dependency order: each may use only those above.
  const Options options_;
  const service::Env env_;
  service::ReloadMetrics reload_metrics_;
  alerts::AlertStore store_;
  alerts::Ingestion ingestion_;
  std::unique_ptr<io::DirectoryLock> lock_;
  std::unique_ptr<nflog::NotificationLog> log_;
  std::unique_ptr<silence::Silences> silences_;
  notify::NotifyMetrics notify_metrics_;
  notify::TimerQueue timers_;
  WorkerPool flush_pool_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<alertmanager_api::Api> api_;
  std::unique_ptr<AlertmanagerService> service_;
  http::Router router_;
  std::vector<std::shared_ptr<void>> gauges_;
  std::unique_ptr<rpc::Server> grpc_server_;
  std::unique_ptr<http::Server> http_server_;
  Maintenance maintenance_;
  std::atomic<bool> ready_{false};
  bool stopped_ = false;
};

}  // namespace narthex::alertmanager_service

#endif  // NARTHEX_SERVICES_ALERTMANAGER_APP_H_
