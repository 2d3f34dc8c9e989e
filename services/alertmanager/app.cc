#include "services/alertmanager/app.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/service/service.h"

namespace narthex::alertmanager_service {
namespace {

// Flushes only compute; what they send waits on the client's event thread.
constexpr int kFlushThreads = 4;
constexpr size_t kFlushQueueMax = size_t{1} << 20;
constexpr absl::Duration kInhibitorGcInterval = absl::Minutes(15);
constexpr absl::Duration kStopGrace = absl::Seconds(5);

}  // namespace

App::App(const Options& options, service::Env env, NameValidationScheme scheme)
    : options_(options),
      env_(std::move(env)),
      reload_metrics_(env_.registry, env_.clock, "alertmanager"),
      store_(env_.clock, {static_cast<size_t>(std::max<int64_t>(options.per_alertname_limit, 0))}),
      ingestion_(&store_, env_.clock, env_.registry, scheme),
      notify_metrics_(env_.registry),
      timers_(env_.clock),
      flush_pool_("flush", kFlushThreads, kFlushQueueMax),
      maintenance_(env_.clock) {}

absl::StatusOr<std::unique_ptr<App>> App::Create(const Options& options, service::Env env) {
  NARTHEX_ASSIGN_OR_RETURN(const alerts::MatcherMode mode, MatcherModeOf(options));
  std::unique_ptr<App> app(new App(options, std::move(env),
                                   mode == alerts::MatcherMode::kClassic
                                       ? NameValidationScheme::kLegacy
                                       : NameValidationScheme::kUtf8));
  const service::Env& e = app->env_;
  App* const self = app.get();

  absl::Status folder = e.file_system->CreateDirectories(options.storage_path);
  if (!folder.ok()) return Annotate(folder, StrCat("--storage.path ", options.storage_path));
  // Two processes that append to the same files would ruin them.
  absl::StatusOr<std::unique_ptr<io::DirectoryLock>> lock =
      e.file_system->LockDirectory(options.storage_path);
  if (!lock.ok()) {
    return Annotate(lock.status(), StrCat("--storage.path ", options.storage_path));
  }
  app->lock_ = *std::move(lock);
  nflog::NotificationLogOptions log_options;
  log_options.path = io::JoinPath(options.storage_path, "nflog");
  log_options.retention = options.data_retention;
  NARTHEX_ASSIGN_OR_RETURN(
      app->log_, nflog::NotificationLog::Open(log_options, e.file_system, e.clock,
                                              e.logger.With({{"component", "nflog"}}), e.registry));
  silence::SilencesOptions silence_options;
  silence_options.path = io::JoinPath(options.storage_path, "silences");
  silence_options.retention = options.data_retention;
  silence_options.silences_max = static_cast<size_t>(std::max<int64_t>(options.silences_max, 0));
  silence_options.silence_bytes_max =
      static_cast<size_t>(std::max<int64_t>(options.silence_bytes_max, 0));
  NARTHEX_ASSIGN_OR_RETURN(
      app->silences_,
      silence::Silences::Open(silence_options, e.file_system, e.clock,
                              e.logger.With({{"component", "silences"}}), e.registry));
  NARTHEX_ASSIGN_OR_RETURN(app->client_, http::Client::Create());

  app->service_ = std::make_unique<AlertmanagerService>(&app->ingestion_,
                                                        [self] { return self->RequestReload(); });
  rpc::ServerOptions grpc_options;
  if (!options.grpc_listen_address.empty()) {
    grpc_options.listen_address = options.grpc_listen_address;
  }
  NARTHEX_ASSIGN_OR_RETURN(app->grpc_server_,
                           rpc::Server::Create(grpc_options, {app->service_->service()}));
  http::ServerOptions http_options;
  http_options.listen_address = options.web_listen_address;
  http_options.metrics_prefix = "alertmanager";
  if (options.web_get_concurrency > 0) {
    http_options.workers = static_cast<int>(std::min<int64_t>(options.web_get_concurrency, 1000));
  }
  NARTHEX_ASSIGN_OR_RETURN(app->http_server_,
                           http::Server::Create(http_options, &app->router_,
                                                e.logger.With({{"component", "web"}}), e.registry));
  NARTHEX_ASSIGN_OR_RETURN(const WebAddress web, ComputeWebAddress(options, app->http_port()));

  Reloader::Options reloader;
  reloader.config_file = options.config_file;
  reloader.load = {mode, options.data_retention};
  reloader.external_url = web.external_url;
  reloader.version = std::string(service::Version());
  reloader.not_before = e.clock->Now() + options.dispatch_start_delay;
  reloader.env = e;
  reloader.store = &app->store_;
  reloader.ingestion = &app->ingestion_;
  reloader.silences = app->silences_.get();
  reloader.log = app->log_.get();
  reloader.timers = &app->timers_;
  reloader.client = app->client_.get();
  reloader.metrics = &app->notify_metrics_;
  reloader.executor = [self](std::function<void()> task) {
    self->flush_pool_.Submit(std::move(task));
  };
  app->reloader_ = std::make_unique<Reloader>(std::move(reloader));
  const absl::Status loaded = app->reloader_->Load();
  app->reload_metrics_.Record(loaded);
  NARTHEX_RETURN_IF_ERROR(loaded);

  alertmanager_api::Options api;
  api.store = &app->store_;
  api.ingestion = &app->ingestion_;
  api.silences = app->silences_.get();
  api.clock = e.clock;
  api.view = [self] { return self->reloader_->view(); };
  api.matcher_mode = mode;
  api.started_at = e.clock->Now();
  api.version = std::string(service::Version());
  api.revision = std::string(service::Revision());
  api.prefix = web.route_prefix;
  app->api_ = std::make_unique<alertmanager_api::Api>(std::move(api));
  app->api_->Register(&app->router_);

  service::OpsOptions ops;
  ops.name = "alertmanager";
  ops.ready = [self] { return self->ready_.load(); };
  ops.enable_lifecycle = true;  // Upstream has no flag for it.
  ops.enable_quit = false;
  ops.prefix = web.route_prefix;
  service::Env ops_env = e;
  ops_env.request_reload = [self] { return self->RequestReload(); };
  service::AddOpsHandlers(&app->router_, ops_env, std::move(ops));
  app->AddGauges();
  app->WarnOfCluster();
  app->AddChores();
  return app;
}

void App::AddGauges() {
  const auto alerts = [this](bool want_active) {
    size_t active = 0;
    size_t suppressed = 0;
    api_->CountAlerts(&active, &suppressed);
    return static_cast<double>(want_active ? active : suppressed);
  };
  constexpr char kAlerts[] = "alertmanager_alerts";
  constexpr char kHelp[] = "How many alerts by state.";
  gauges_.push_back(env_.registry->AddCallback(kAlerts, kHelp, "gauge", {{"state", "active"}},
                                               [alerts] { return alerts(true); }));
  gauges_.push_back(env_.registry->AddCallback(kAlerts, kHelp, "gauge", {{"state", "suppressed"}},
                                               [alerts] { return alerts(false); }));
  env_.registry
      ->AddGauge("alertmanager_cluster_enabled",
                 "Indicates whether the clustering is enabled or not.")
      ->Set(0);
  env_.registry
      ->AddGauge("alertmanager_build_info",
                 "A metric with a constant '1' value labeled by version and revision.",
                 {{"version", std::string(service::Version())},
                  {"revision", std::string(service::Revision())}})
      ->Set(1);
}

void App::WarnOfCluster() {
  if (options_.cluster_peers.empty()) return;
  env_.logger.Warn(
      "peers are given, but clustering comes in a later version: this Alertmanager works alone, "
      "and "
      "each of several ones sends every notification",
      {{"peers", Join(options_.cluster_peers, ",")}});
  env_.registry
      ->AddGauge("narthex_config_unused",
                 "1: the configuration has this, and this version does nothing with it.",
                 {{"name", "--cluster.peer"}})
      ->Set(1);
}

void App::AddChores() {
  const auto complain = [this](std::string_view what, const absl::Status& status) {
    if (!status.ok()) env_.logger.Error("maintenance failed", {{"of", what}, {"err", status}});
  };
  maintenance_.Add(options_.maintenance_interval,
                   [this, complain] { complain("nflog", log_->Maintain()); });
  maintenance_.Add(options_.maintenance_interval,
                   [this, complain] { complain("silences", silences_->Maintain()); });
  maintenance_.Add(options_.alerts_gc_interval, [this] { store_.CollectGarbage(); });
  maintenance_.Add(kInhibitorGcInterval, [this] { reloader_->inhibitor()->CollectGarbage(); });
}

absl::Status App::RequestReload() {
  // Through Run()'s queue where there is one, so that reloads never overlap.
  return env_.request_reload ? env_.request_reload() : Reload();
}

absl::Status App::Start() {
  timers_.Start();
  maintenance_.Start();
  http_server_->Start();
  grpc_server_->SetReady(true);
  ready_ = true;
  env_.logger.Info("ready", {{"grpc_port", grpc_port()}, {"http_port", http_port()}});
  return absl::OkStatus();
}

absl::Status App::Reload() {
  const absl::Status status = reloader_->Load();
  reload_metrics_.Record(status);
  if (status.ok()) {
    env_.logger.Info("configuration loaded", {{"file", options_.config_file}});
  } else {
    env_.logger.Error("the configuration cannot be loaded; the old one stays", {{"err", status}});
  }
  return status;
}

void App::Stop() {
  if (std::exchange(stopped_, true)) return;
  ready_ = false;
  if (grpc_server_ != nullptr) {
    grpc_server_->SetReady(false);
    grpc_server_->Stop(kStopGrace);
  }
  if (http_server_ != nullptr) http_server_->Stop(kStopGrace);
  maintenance_.Stop();
  if (reloader_ != nullptr) reloader_->Stop();
  timers_.Stop();
  flush_pool_.Stop();
  client_.reset();
  for (const absl::Status& status :
       {log_ != nullptr ? log_->Maintain() : absl::OkStatus(),
        silences_ != nullptr ? silences_->Maintain() : absl::OkStatus()}) {
    if (!status.ok()) env_.logger.Error("state could not be written", {{"err", status}});
  }
}

}  // namespace narthex::alertmanager_service
