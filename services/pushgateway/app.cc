#include "services/pushgateway/app.h"

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/service/service.h"
#include "lib/textparse/writer.h"
#include "services/pushgateway/api_handlers.h"
#include "services/pushgateway/exposition.h"
#include "services/pushgateway/pushgateway_service.h"

namespace narthex::pushgateway {
namespace {

using http::ServerRequest;
using http::ServerResponse;

constexpr absl::Duration kStopGrace = absl::Seconds(5);

MetricStore::Options StoreOptions(const Options& options, metrics::Registry* registry) {
  MetricStore::Options store;
  store.check_consistency = !options.disable_consistency_check;
  store.own_families = [registry] { return registry->Collect(); };
  return store;
}

}  // namespace

App::App(const Options& options, service::Env env)
    : env_(std::move(env)),
      store_(StoreOptions(options, env_.registry), env_.clock),
      persister_({options.persistence_file, options.persistence_interval}, &store_,
                 env_.file_system, env_.clock, env_.logger.With({{"component", "persister"}}),
                 env_.registry),
      pusher_(&store_, env_.logger.With({{"component", "push"}}), env_.registry),
      groups_gauge_(
          env_.registry->AddCallback("pushgateway_groups", "Groups of pushed metrics.", "gauge", {},
                                     [this] { return static_cast<double>(store_.size().groups); })),
      series_gauge_(env_.registry->AddCallback(
          "pushgateway_series", "Metrics over all groups; a histogram or summary is one.", "gauge",
          {}, [this] { return static_cast<double>(store_.size().series); })) {}

App::~App() { Stop(); }

absl::StatusOr<std::unique_ptr<App>> App::Create(const Options& options, service::Env env) {
  if (!options.telemetry_path.starts_with('/')) {
    return InvalidArgument("--web.telemetry-path ", options.telemetry_path,
                           ": must start with a slash");
  }
  if (options.persistence_interval <= absl::ZeroDuration()) {
    return InvalidArgument("--persistence.interval must be positive");
  }
  std::unique_ptr<App> app(new App(options, std::move(env)));
  const std::string prefix = RoutePrefix(options);
  app->AddOwnHandlers(options);
  AddPushHandlers(&app->router_, {prefix, !options.disable_consistency_check}, &app->pusher_,
                  app->env_.registry);
  AddApiHandlers(&app->router_,
                 {prefix, options.enable_admin_api, app->env_.flags, app->env_.clock->Now()},
                 &app->store_);
  app->rpc_handlers_ =
      std::make_unique<PushgatewayService>(&app->pusher_, app->env_.request_reload);

  http::ServerOptions http_options;
  http_options.listen_address = options.web_listen_address;
  http_options.metrics_prefix = "pushgateway";
  NARTHEX_ASSIGN_OR_RETURN(
      app->http_,
      http::Server::Create(http_options, &app->router_,
                           app->env_.logger.With({{"component", "web"}}), app->env_.registry));
  rpc::ServerOptions rpc_options;
  rpc_options.listen_address = options.grpc_listen_address;
  NARTHEX_ASSIGN_OR_RETURN(app->rpc_, rpc::Server::Create(rpc_options, {app->rpc_handlers_.get()}));
  NARTHEX_RETURN_IF_ERROR(app->persister_.Restore());
  return app;
}

void App::AddOwnHandlers(const Options& options) {
  const std::string prefix = RoutePrefix(options);
  metrics::Registry* const registry = env_.registry;
  registry->AddProcessMetrics();
  registry
      ->AddGauge("pushgateway_build_info",
                 "A metric with a constant '1' value labeled by what this program was built from.",
                 {{"version", std::string(service::Version())},
                  {"revision", std::string(service::Revision())}})
      ->Set(1);
  const bool checked = !options.disable_consistency_check;
  router_.Handle(
      "GET", StrCat(prefix, options.telemetry_path),
      [this, checked, registry](const ServerRequest&) {
        const OwnFamilies own(registry->Collect());
        const absl::Status status = checked ? absl::OkStatus() : store_.Verify(own);
        if (!status.ok()) {
          return ServerResponse::Error(
              500, StrCat("An error has occurred while serving metrics:\n\n", Message(status)));
        }
        ServerResponse response;
        response.content_type = textparse::kTextContentType;
        WriteExposition(own, store_.Families(), &response.body);
        return response;
      });
  for (const std::string_view path : {"/-/healthy", "/-/ready"}) {
    router_.Handle("GET", StrCat(prefix, path),
                   [](const ServerRequest&) { return ServerResponse::Text(200, "OK"); });
  }
  const bool enabled = options.enable_lifecycle;
  router_.Handle("PUT,POST", StrCat(prefix, "/-/quit"),
                 [enabled, stop = env_.request_stop](const ServerRequest&) {
                   if (!enabled) return ServerResponse::Text(403, "Lifecycle API is not enabled.");
                   stop();
                   return ServerResponse::Text(200, "Requesting termination... Goodbye!");
                 });
  // Upstream has this one without the prefix.
  router_.Handle("GET", "/-/quit", [](const ServerRequest&) {
    return ServerResponse::Text(405, "Only POST or PUT requests allowed.");
  });
  router_.Handle("PUT,POST", StrCat(prefix, "/-/reload"), [enabled](const ServerRequest&) {
    return enabled ? ServerResponse::Text(200, "")
                   : ServerResponse::Text(403, "Lifecycle API is not enabled.");
  });
}

absl::Status App::Start() {
  persister_.Start();
  http_->Start();
  rpc_->SetReady(true);
  env_.logger.Info("listening", {{"http_port", http_->port()}, {"grpc_port", rpc_->port()}});
  return absl::OkStatus();
}

absl::Status App::Reload() { return absl::OkStatus(); }

void App::Stop() {
  // Create() may have failed before the servers were there.
  if (http_ != nullptr) http_->Stop(kStopGrace);
  if (rpc_ != nullptr) rpc_->Stop(kStopGrace);
  persister_.Stop();
}

int App::http_port() const { return http_->port(); }

int App::grpc_port() const { return rpc_->port(); }

}  // namespace narthex::pushgateway
