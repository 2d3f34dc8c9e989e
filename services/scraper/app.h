#ifndef NARTHEX_SERVICES_SCRAPER_APP_H_
#define NARTHEX_SERVICES_SCRAPER_APP_H_

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/file_loader.h"
#include "lib/discovery/manager.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "lib/rpc/append_client.h"
#include "lib/rpc/server.h"
#include "lib/service/env.h"
#include "lib/service/ops_handlers.h"
#include "services/scraper/options.h"
#include "services/scraper/scrape/scraper.h"
#include "services/scraper/scraper_service.h"
#include "services/scraper/spool/spool.h"

namespace narthex::scraper {

// The scraper service: discovery and scrape loops at one end, a spool in the middle, one Append
// stream for each storage endpoint at the other.
//
// Create() reads the configuration, opens the spool and binds both ports, but scrapes and serves
// nothing; Start() does. Stop() ends the scrapes, lets connected storages take what is in memory (a
// second at most), and leaves the rest in the spool. It knows no signals and no argv, so a test
// runs it in-process with port 0.
//
// Thread safety: Reload() may be called from any thread, but not beside itself or Stop(); the
// accessors from any thread.
class App {
 public:
  static absl::StatusOr<std::unique_ptr<App>> Create(const Options& options, service::Env env);
  ~App() { Stop(); }

  absl::Status Start();
  absl::Status Reload();  // All or nothing.
  void Stop();            // Idempotent.

  bool ready() const { return ready_.load(); }
  int grpc_port() const { return grpc_server_->port(); }
  int http_port() const { return http_server_->port(); }
  const scrape::Scraper& scraper() const { return *scraper_; }
  const Spool& spool() const { return *spool_; }

 private:
  App(Options options, service::Env env);
  absl::StatusOr<config::LoadedConfig> LoadConfig() const;
  void Apply(const config::LoadedConfig& loaded);
  void WarnOfUnused(const config::PrometheusConfig& config);

  // In dependency order: each may use only those above.
  const Options options_;
  const service::Env env_;
  service::ReloadMetrics reload_metrics_;
  std::set<std::string> warned_;  // Of sections and mechanisms. By Start() and Reload() only.
  std::set<std::string> unused_;  // That the gauge shows as unused now; likewise.
  config::LoadedConfig config_;   // What Start() applies.
  std::unique_ptr<Spool> spool_;
  std::vector<std::unique_ptr<rpc::AppendClient>> clients_;
  std::unique_ptr<scrape::Scraper> scraper_;
  std::unique_ptr<discovery::Manager> discovery_;
  std::unique_ptr<ScraperService> service_;
  http::Router router_;
  std::unique_ptr<rpc::Server> grpc_server_;
  std::unique_ptr<http::Server> http_server_;
  std::atomic<bool> ready_ = false;
  bool stopped_ = false;
};

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_APP_H_
