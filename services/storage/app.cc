#include "services/storage/app.h"

#include <cstdio>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"
#include "services/storage/fsck_command.h"
#include "services/storage/settings.h"
#include "services/storage/upload_list.h"

namespace narthex::storage_service {

App::App(const Options& options, service::Env env)
    : options_(options),
      env_(std::move(env)),
      reload_metrics_(env_.registry, env_.clock, "prometheus") {}

absl::StatusOr<std::unique_ptr<App>> App::Create(const Options& options, service::Env env) {
  NARTHEX_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<App> app(new App(options, std::move(env)));
  const service::Env& e = app->env_;
  for (const std::string& feature : UnknownFeatures(options)) {
    e.logger.Warn("unknown option for --enable-feature", {{"option", feature}});
  }
  if (options.fsck) return app;
  const absl::Status loaded = app->LoadConfig();
  app->reload_metrics_.Record(loaded);
  NARTHEX_RETURN_IF_ERROR(loaded);

  tsdb::DbOptions db_options = MakeDbOptions(options, app->config_.storage);
  db_options.observer = MakeDbObserver(e.registry);
  if (!options.upload_list.empty()) {
    // Asked only within the background work, of which there is one at a time.
    auto list = std::make_shared<UploadList>(options.upload_list, e.file_system, e.clock,
                                             e.logger.With({{"component", "tsdb"}}));
    db_options.not_to_merge = [list](const tsdb::BlockMeta& meta) { return list->IsAwaited(meta); };
  }
  absl::StatusOr<std::unique_ptr<tsdb::Db>> db = tsdb::Db::Open(
      std::move(db_options), e.file_system, e.clock, e.logger.With({{"component", "tsdb"}}));
  if (!db.ok()) return Annotate(db.status(), StrCat("--storage.path ", options.path));
  app->db_ = std::move(db).value();
  app->db_metrics_ = std::make_unique<DbMetrics>(app->db_.get(), e.file_system, e.registry);
  app->ShowSettings(app->db_->settings());

  storage_remote::Endpoints::Options endpoints;
  endpoints.db = app->db_.get();
  endpoints.clock = e.clock;
  endpoints.logger = e.logger.With({{"component", "remote"}});
  endpoints.registry = e.registry;
  endpoints.enable_write = options.enable_remote_write_receiver;
  endpoints.enable_otlp = options.enable_otlp_receiver;
  endpoints.write_messages = options.remote_write_messages;
  endpoints.read_samples_max = static_cast<uint64_t>(options.remote_read_samples_max);
  endpoints.read_concurrency_max = static_cast<int>(options.remote_read_concurrent_max);
  endpoints.read_frame_bytes_max = static_cast<size_t>(options.remote_read_frame_bytes_max);
  endpoints.type_and_unit_labels = HasFeature(options, "type-and-unit-labels");
  if (HasFeature(options, "otlp-deltatocumulative")) {
    endpoints.otlp_delta = otlp::Settings::Delta::kToCumulative;
  } else if (HasFeature(options, "otlp-native-delta-ingestion")) {
    endpoints.otlp_delta = otlp::Settings::Delta::kAsTheyAre;
  }
  app->endpoints_ = std::make_unique<storage_remote::Endpoints>(endpoints);
  app->endpoints_->Apply(app->config_);
  app->endpoints_->AddRoutes(&app->router_);

  StorageService::Options service_options;
  service_options.db = app->db_.get();
  service_options.clock = e.clock;
  service_options.logger = e.logger.With({{"component", "grpc"}});
  service_options.registry = e.registry;
  // Through Run()'s queue where there is one, so that reloads never overlap.
  App* const self = app.get();
  service_options.reload = [self] {
    return self->env_.request_reload ? self->env_.request_reload() : self->Reload();
  };
  service_options.stall_max = options.answer_stall_max;
  service_options.enable_admin = options.enable_admin_api;
  service_options.each_minute = [self] { self->db_metrics_->Census(); };
  service_options.retention_text = [self] { return RetentionText(self->db_->settings()); };
  service_options.ingest = [endpoints = app->endpoints_.get()](const rpc::IngestCall& call) {
    return endpoints->Ingest(call);
  };
  service_options.external_labels = [endpoints = app->endpoints_.get()] {
    return endpoints->external_labels();
  };
  app->service_ = std::make_unique<StorageService>(std::move(service_options));

  service::OpsOptions ops;
  ops.name = "storage";
  ops.ready = [self] { return self->ready(); };
  ops.enable_lifecycle = options.enable_lifecycle;
  service::AddOpsHandlers(&app->router_, e, std::move(ops));

  rpc::ServerOptions grpc_options;
  grpc_options.listen_address = options.grpc_listen_address;
  grpc_options.streams_max = static_cast<int>(options.streams_max);
  NARTHEX_ASSIGN_OR_RETURN(app->grpc_server_,
                           rpc::Server::Create(grpc_options, {app->service_->service()}));
  http::ServerOptions http_options;
  http_options.listen_address = options.web_listen_address;
  http_options.metrics_prefix = "prometheus";
  NARTHEX_ASSIGN_OR_RETURN(app->http_server_,
                           http::Server::Create(http_options, &app->router_,
                                                e.logger.With({{"component", "web"}}), e.registry));

  Maintenance::Options maintenance;
  maintenance.db = app->db_.get();
  maintenance.logger = e.logger.With({{"component", "tsdb"}});
  maintenance.registry = e.registry;
  maintenance.compaction_interval = options.block_reload_interval;
  maintenance.on_ready = [self] {
    self->service_->OnReady();
    self->grpc_server_->SetReady(true);
    self->env_.logger.Info("ready",
                           {{"grpc_port", self->grpc_port()}, {"http_port", self->http_port()}});
  };
  maintenance.on_synced = [self] { self->service_->OnSynced(); };
  app->maintenance_ = std::make_unique<Maintenance>(std::move(maintenance));
  return app;
}

void App::ShowSettings(const tsdb::DbSettings& settings) {
  metrics::Registry* const registry = env_.registry;
  registry->AddGauge("prometheus_tsdb_retention_limit_seconds", "Retention by time; 0 is for ever.")
      ->Set(absl::ToDoubleSeconds(settings.retention_time));
  registry->AddGauge("prometheus_tsdb_retention_limit_bytes", "Retention by size; 0 is none.")
      ->Set(static_cast<double>(settings.retention_bytes));
  registry
      ->AddGauge("prometheus_tsdb_retention_limit_percentage",
                 "Retention by part of the disk, in percent; 0 is none.")
      ->Set(settings.retention_percentage);
}

absl::Status App::LoadConfig() {
  if (options_.config_file.empty()) return absl::OkStatus();
  config::LoadOptions load_options;
  load_options.environment = config::ProcessEnvironment;
  NARTHEX_ASSIGN_OR_RETURN(config::LoadedConfig loaded,
                           config::LoadFile(env_.file_system, options_.config_file, load_options));
  for (const std::string& warning : loaded.warnings) env_.logger.Warn(warning);
  for (const std::string& section : config::UnusedSections(loaded.config)) {
    if (!unused_sections_.insert(section).second) continue;
    env_.logger.Warn("a section of the configuration is accepted and not acted on yet",
                     {{"section", section}});
    env_.registry
        ->AddGauge("narthex_config_unused_section",
                   "1: this section of the configuration is accepted and not acted on yet.",
                   {{"section", section}})
        ->Set(1);
  }
  config_ = loaded.config;
  if (endpoints_ != nullptr) endpoints_->Apply(config_);
  return absl::OkStatus();
}

absl::Status App::CheckFolder() {
  const absl::Status checked =
      RunFsck(options_, env_.file_system, env_.clock, [](std::string_view line) {
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fputc('\n', stdout);
      });
  std::fflush(stdout);
  if (checked.ok() && env_.request_stop) env_.request_stop();
  return checked;
}

absl::Status App::Start() {
  if (options_.fsck) return CheckFolder();
  http_server_->Start();
  maintenance_->Start();
  return absl::OkStatus();
}

absl::Status App::Reload() {
  const absl::Status loaded = LoadConfig();
  reload_metrics_.Record(loaded);
  if (loaded.ok()) {
    const tsdb::DbSettings settings = MakeDbSettings(options_, config_.storage);
    db_->Apply(settings);
    ShowSettings(settings);
    env_.logger.Info("configuration loaded", {{"file", options_.config_file}});
  } else {
    env_.logger.Error("the configuration cannot be loaded; the old one stays", {{"err", loaded}});
  }
  return loaded;
}

void App::Stop() {
  if (std::exchange(stopped_, true)) return;
  constexpr absl::Duration kGrace = absl::Seconds(10);
  if (grpc_server_ != nullptr) {
    grpc_server_->SetReady(false);
    service_->Stop();
    grpc_server_->Stop(kGrace);
  }
  if (maintenance_ != nullptr) maintenance_->Stop();
  if (http_server_ != nullptr) http_server_->Stop(kGrace);
}

}  // namespace narthex::storage_service
