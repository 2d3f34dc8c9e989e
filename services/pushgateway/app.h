#ifndef NARTHEX_SERVICES_PUSHGATEWAY_APP_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_APP_H_

#include <memory>

#include "absl/status/statusor.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "lib/rpc/server.h"
#include "lib/service/env.h"
#include "services/pushgateway/metric_store.h"
#include "services/pushgateway/options.h"
#include "services/pushgateway/persister.h"
#include "services/pushgateway/push_handlers.h"

namespace narthex::pushgateway {

class PushgatewayService;

// The pushgateway: groups of pushed metrics behind one HTTP and one gRPC server.
//
// Create() binds both ports and reads the persistence file; Start() serves; Stop() drains and
// writes the file a last time. It knows no signals and no argv, so a test runs it in-process with
// port 0 and a FakeClock.
class App {
 public:
  static absl::StatusOr<std::unique_ptr<App>> Create(const Options& options, service::Env env);
  ~App();
  absl::Status Start();
  absl::Status Reload();  // There is no configuration file: always OK.
  void Stop();
  int http_port() const;
  int grpc_port() const;

 private:
  App(const Options& options, service::Env env);
  void AddOwnHandlers(const Options& options);

  // In dependency order: each may use only those above.
  const service::Env env_;
  MetricStore store_;
  Persister persister_;
  Pusher pusher_;
  std::shared_ptr<void> groups_gauge_;
  std::shared_ptr<void> series_gauge_;
  http::Router router_;
  std::unique_ptr<PushgatewayService> rpc_handlers_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<rpc::Server> rpc_;
};

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_APP_H_
