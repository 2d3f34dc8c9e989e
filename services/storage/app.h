#ifndef NARTHEX_SERVICES_STORAGE_APP_H_
#define NARTHEX_SERVICES_STORAGE_APP_H_

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/prometheus_config.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "lib/rpc/server.h"
#include "lib/service/env.h"
#include "lib/service/ops_handlers.h"
#include "services/storage/db_metrics.h"
#include "services/storage/maintenance.h"
#include "services/storage/options.h"
#include "services/storage/remote/endpoints.h"
#include "services/storage/storage_service.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// The storage service: one TSDB behind one gRPC and one HTTP server.
//
// Create() locks the data directory and binds both ports but serves nothing but refusals; Start()
// serves at once (alive, not yet ready) and replays in the background; Stop() refuses new calls,
// drains running ones, and syncs. It knows no signals and no argv, so a test runs it in-process
// with port 0. With --fsck Create() opens nothing, and Start() checks the folder and asks for the
// end.
class App {
 public:
  static absl::StatusOr<std::unique_ptr<App>> Create(const Options& options, service::Env env);
  ~App() { Stop(); }

  absl::Status Start();
  absl::Status Reload();  // All or nothing.
  void Stop();            // Idempotent.

  bool ready() const { return db_->ready(); }
  int grpc_port() const { return grpc_server_->port(); }
  int http_port() const { return http_server_->port(); }
  tsdb::Db& db() { return *db_; }

 private:
  App(const Options& options, service::Env env);
  absl::Status LoadConfig();
  absl::Status CheckFolder();  // All that Start() does with --fsck.
  void ShowSettings(const tsdb::DbSettings& settings);

  // In dependency order: each may use only those above.
  const Options options_;
  const service::Env env_;
  service::ReloadMetrics reload_metrics_;
  std::set<std::string> unused_sections_;  // Warned of already. By Create() and Reload() only.
  config::PrometheusConfig config_;        // The last that was good. Likewise.
  std::unique_ptr<tsdb::Db> db_;
  std::unique_ptr<DbMetrics> db_metrics_;
  std::unique_ptr<storage_remote::Endpoints> endpoints_;
  std::unique_ptr<StorageService> service_;
  http::Router router_;
  std::unique_ptr<rpc::Server> grpc_server_;
  std::unique_ptr<http::Server> http_server_;
  std::unique_ptr<Maintenance> maintenance_;
  bool stopped_ = false;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_APP_H_
