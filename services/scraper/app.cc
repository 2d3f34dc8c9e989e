#include "services/scraper/app.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/discovery/http_client.h"
#include "lib/service/service.h"

namespace narthex::scraper {
namespace {

constexpr char kDefaultEndpoint[] = "127.0.0.1:10901";
constexpr char kUnusedGauge[] = "narthex_config_unused_section";
constexpr char kUnusedHelp[] =
    "1: the configuration has this section or key, and this version does nothing with it.";
// How long Stop() lets connected storages take what is in memory; the rest waits in the spool.
constexpr absl::Duration kFarewell = absl::Seconds(1);
constexpr absl::Duration kGrace = absl::Seconds(5);

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

// Keys of one job that are accepted, and that the scraper does not act on yet.
std::vector<std::string> UnusedJobKeys(const config::ScrapeConfig& job,
                                       io::FileSystem* file_system) {
  std::vector<std::string> keys;
  const absl::Status client = discovery::MakeClientConfig(job.http_client, file_system).status();
  // Its targets are down, and say this, too.
  if (!client.ok()) keys.emplace_back(Message(client));
  const auto add = [&](bool set, const char* key) {
    if (set) keys.emplace_back(key);
  };
  add(job.histograms.scrape_native_histograms, "scrape_native_histograms");
  add(job.histograms.convert_classic_histograms_to_nhcb, "convert_classic_histograms_to_nhcb");
  add(job.histograms.always_scrape_classic_histograms, "always_scrape_classic_histograms");
  add(job.native_histogram_bucket_limit > 0, "native_histogram_bucket_limit");
  add(job.native_histogram_min_bucket_factor > 0, "native_histogram_min_bucket_factor");
  return keys;
}

absl::StatusOr<std::vector<std::string>> Endpoints(const Options& options) {
  std::vector<std::string> endpoints = options.storage_endpoints;
  if (endpoints.empty()) endpoints.emplace_back(kDefaultEndpoint);
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (endpoints[i].empty()) return InvalidArgument("--storage.endpoint: the endpoint is empty");
    if (std::find(endpoints.begin(), endpoints.begin() + static_cast<long>(i), endpoints[i]) !=
        endpoints.begin() + static_cast<long>(i)) {
      return InvalidArgument("--storage.endpoint ", endpoints[i], " is given twice");
    }
  }
  return endpoints;
}

}  // namespace

App::App(Options options, service::Env env)
    : options_(std::move(options)),
      env_(std::move(env)),
      reload_metrics_(env_.registry, env_.clock, "prometheus") {}

absl::StatusOr<std::unique_ptr<App>> App::Create(const Options& options, service::Env env) {
  std::unique_ptr<App> app(new App(options, std::move(env)));
  const service::Env& e = app->env_;
  App* const self = app.get();
  if (options.workers < 1 || options.workers > 256) {
    return InvalidArgument("--scrape.workers must be between 1 and 256");
  }
  NARTHEX_ASSIGN_OR_RETURN(app->config_, app->LoadConfig());
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, Endpoints(options));
  const std::string host_name = HostName();

  SpoolOptions spool_options;
  spool_options.path = options.spool_path;
  spool_options.endpoints = endpoints;
  spool_options.size_bytes_max = options.spool_size_max;
  absl::StatusOr<std::unique_ptr<Spool>> spool =
      Spool::Open(std::move(spool_options), e.file_system, e.clock,
                  e.logger.With({{"component", "spool"}}), e.registry);
  if (!spool.ok()) {
    return Annotate(spool.status(), StrCat("--spool.path ", options.spool_path));
  }
  app->spool_ = *std::move(spool);

  scrape::ScraperOptions scraper_options;
  scraper_options.workers = static_cast<int>(options.workers);
  scraper_options.alignment = {options.adjust_timestamps, options.timestamp_tolerance};
  scraper_options.user_agent = StrCat("Prometheus/", service::Version(), " (Narthex)");
  scraper_options.host_name = host_name;
  NARTHEX_ASSIGN_OR_RETURN(
      app->scraper_,
      scrape::Scraper::Create(std::move(scraper_options), e.clock, e.file_system, app->spool_.get(),
                              e.logger.With({{"component", "scrape"}}), e.registry));

  for (size_t i = 0; i < endpoints.size(); ++i) {
    rpc::AppendClientOptions client_options;
    client_options.endpoint = endpoints[i];
    client_options.description = StrCat("scraper at ", host_name);
    client_options.on_refused = [metrics = app->scraper_->metrics()](storage::Refusal refusal,
                                                                     uint64_t samples) {
      metrics->CountRefused(refusal, samples);
    };
    app->clients_.push_back(
        std::make_unique<rpc::AppendClient>(std::move(client_options), app->spool_->source(i),
                                            e.logger.With({{"component", "append"}}), e.registry));
  }

  discovery::ManagerOptions discovery_options;
  discovery_options.clock = e.clock;
  discovery_options.file_system = e.file_system;
  discovery_options.logger = e.logger.With({{"component", "discovery"}});
  discovery_options.registry = e.registry;
  discovery_options.update_interval = options.discovery_reload_interval;
  discovery_options.on_update = [scraper = app->scraper_.get()](const discovery::TargetSets& sets) {
    scraper->OnTargets(sets);
  };
  app->discovery_ = std::make_unique<discovery::Manager>(std::move(discovery_options));

  // Through Run()'s queue where there is one, so that reloads never overlap.
  app->service_ = std::make_unique<ScraperService>(app->scraper_.get(), host_name, [self] {
    return self->env_.request_reload ? self->env_.request_reload() : self->Reload();
  });
  service::OpsOptions ops;
  ops.name = "scraper";
  ops.ready = [self] { return self->ready(); };
  ops.enable_lifecycle = options.enable_lifecycle;
  service::AddOpsHandlers(&app->router_, e, std::move(ops));

  rpc::ServerOptions grpc_options;
  grpc_options.listen_address = options.grpc_listen_address;
  NARTHEX_ASSIGN_OR_RETURN(app->grpc_server_,
                           rpc::Server::Create(grpc_options, {app->service_->service()}));
  http::ServerOptions http_options;
  http_options.listen_address = options.web_listen_address;
  http_options.metrics_prefix = "prometheus";
  NARTHEX_ASSIGN_OR_RETURN(app->http_server_,
                           http::Server::Create(http_options, &app->router_,
                                                e.logger.With({{"component", "web"}}), e.registry));
  return app;
}

absl::StatusOr<config::LoadedConfig> App::LoadConfig() const {
  config::LoadOptions load_options;
  load_options.environment = config::ProcessEnvironment;
  return config::LoadFile(env_.file_system, options_.config_file, load_options);
}

absl::Status App::Start() {
  spool_->Start();
  for (const std::unique_ptr<rpc::AppendClient>& client : clients_) client->Start();
  http_server_->Start();
  Apply(config_);
  reload_metrics_.Record(absl::OkStatus());
  ready_ = true;
  grpc_server_->SetReady(true);
  env_.logger.Info("ready", {{"grpc_port", grpc_port()}, {"http_port", http_port()}});
  return absl::OkStatus();
}

absl::Status App::Reload() {
  absl::StatusOr<config::LoadedConfig> loaded = LoadConfig();
  reload_metrics_.Record(loaded.status());
  if (!loaded.ok()) {
    env_.logger.Error("the configuration cannot be loaded; the old one stays",
                      {{"err", loaded.status()}});
    return loaded.status();
  }
  Apply(*loaded);
  env_.logger.Info("configuration loaded", {{"file", options_.config_file}});
  return absl::OkStatus();
}

void App::Apply(const config::LoadedConfig& loaded) {
  for (const std::string& warning : loaded.warnings) env_.logger.Warn(warning);
  WarnOfUnused(loaded.config);
  scraper_->Apply(loaded.config.scrape_configs, loaded.config.global.external_labels);
  std::map<std::string, std::vector<config::SdConfig>> sets;
  for (const config::ScrapeConfig& job : loaded.config.scrape_configs) {
    sets[job.job_name] = job.service_discovery;
  }
  for (const discovery::UnavailableMechanism& missing : discovery_->Apply(sets)) {
    const std::string key = StrCat(missing.set, ": ", missing.name, "_sd_configs");
    unused_.insert(key);
    env_.registry->AddGauge(kUnusedGauge, kUnusedHelp, {{"section", key}})->Set(1);
    if (!warned_.insert(key).second) continue;
    env_.logger.Warn("this version cannot discover these targets",
                     {{"scrape_pool", missing.set}, {"mechanism", missing.name}});
  }
}

void App::WarnOfUnused(const config::PrometheusConfig& config) {
  std::set<std::string> unused;
  for (const std::string& section : config::UnusedSections(config)) unused.insert(section);
  for (const config::ScrapeConfig& job : config.scrape_configs) {
    for (const std::string& key : UnusedJobKeys(job, env_.file_system)) {
      unused.insert(StrCat(job.job_name, ": ", key));
    }
  }
  for (const std::string& name : unused_) {
    if (!unused.contains(name)) env_.registry->Remove(kUnusedGauge, {{"section", name}});
  }
  for (const std::string& name : unused) {
    env_.registry->AddGauge(kUnusedGauge, kUnusedHelp, {{"section", name}})->Set(1);
    if (!warned_.insert(name).second) continue;
    env_.logger.Warn("the configuration has what this version does nothing with",
                     {{"section", name}});
  }
  unused_ = std::move(unused);
}

void App::Stop() {
  if (std::exchange(stopped_, true)) return;
  ready_ = false;
  if (grpc_server_ != nullptr) grpc_server_->SetReady(false);
  discovery_.reset();
  if (scraper_ != nullptr) scraper_->Stop();
  if (grpc_server_ != nullptr) grpc_server_->Stop(kGrace);
  if (spool_ != nullptr) {
    spool_->WaitAccepted(kFarewell);
    for (const std::unique_ptr<rpc::AppendClient>& client : clients_) client->Stop();
    const absl::Status closed = spool_->Close();
    if (!closed.ok()) env_.logger.Error("the spool was not closed", {{"err", closed}});
  }
  if (http_server_ != nullptr) http_server_->Stop(kGrace);
}

}  // namespace narthex::scraper
