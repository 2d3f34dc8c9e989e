#include "services/query/app.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/service/ops_handlers.h"
#include "lib/service/service.h"
#include "services/query/api/routes.h"
#include "services/query/ui/pages.h"

namespace narthex::query {
namespace {

constexpr std::string_view kSearchFeature = "search-api";
constexpr absl::Duration kScraperTimeout = absl::Seconds(10);
// Workers beside those that queries and live streams may hold, so that the rest of the API answers
// under load.
constexpr int kSpareWorkers = 12;

promql::EngineOptions MakeEngineOptions(const Options& options, promql::ActiveQueries* active,
                                        const Logger& logger) {
  promql::EngineOptions engine;
  engine.logger = logger;
  engine.active_queries = active;
  engine.samples_max = static_cast<uint64_t>(options.query_samples_max);
  engine.memory_max = options.query_memory_max;
  engine.read_ahead_threads = static_cast<int>(options.query_read_ahead_threads);
  engine.timeout = options.query_timeout;
  engine.lookback_delta = options.query_lookback_delta;
  engine.concurrency_max = static_cast<int>(options.query_concurrency_max);
  for (const std::string& feature : FeatureNames(options)) {
    if (feature == "promql-experimental-functions") {
      engine.parser.experimental_functions = true;
    } else if (feature == "promql-extended-range-selectors") {
      engine.parser.extended_range_selectors = true;
    } else if (feature == "promql-binop-fill-modifiers") {
      engine.parser.fill_modifiers = true;
    } else if (feature == "promql-delayed-name-removal") {
      engine.delayed_name_removal = true;
    } else if (feature == "promql-per-step-stats") {
      engine.per_step_stats = true;
    } else if (feature == "use-start-timestamps") {
      engine.use_start_timestamps = true;
    } else if (feature == "type-and-unit-labels") {
      engine.type_and_unit_labels = true;
    } else if (feature != kSearchFeature) {
      logger.Warn("unknown option for --enable-feature", {{"option", feature}});
    }
  }
  return engine;
}

absl::Status CheckOptions(const Options& options) {
  if (options.query_concurrency_max < 1 || options.query_concurrency_max > 1000) {
    return InvalidArgument("--query.max-concurrency must be between 1 and 1000");
  }
  if (options.query_read_ahead_threads < 0 || options.query_read_ahead_threads > 256) {
    return InvalidArgument("--query.read-ahead-threads must be between 0 and 256");
  }
  if (options.query_samples_max < 1) {
    return InvalidArgument("--query.max-samples must be positive");
  }
  if (options.query_timeout <= absl::ZeroDuration() ||
      options.query_storage_timeout <= absl::ZeroDuration() ||
      options.query_lookback_delta <= absl::ZeroDuration()) {
    return InvalidArgument(
        "--query.timeout, --query.storage-timeout and --query.lookback-delta must be positive");
  }
  for (const std::string& name : options.query_replica_labels) {
    if (name.empty() || name == kMetricName) {
      return InvalidArgument("--query.replica-label must name a label that is not __name__");
    }
  }
  if (options.web_connections_max < 1 || options.web_notifications_subscribers_max < 0 ||
      options.web_notifications_subscribers_max > 1000 || options.web_search_limit_max < 0 ||
      options.web_read_timeout <= absl::ZeroDuration()) {
    return InvalidArgument(
        "--web.max-connections and --web.read-timeout must be positive, "
        "--web.search.max-limit not negative, and "
        "--web.max-notifications-subscribers between 0 and 1000");
  }
  if (options.notification_queue_capacity < 1 || options.notification_batch_size < 1) {
    return InvalidArgument("--alertmanager.notification-* must be positive");
  }
  return absl::OkStatus();
}

// Null when there is no place for the file: queries work without.
std::unique_ptr<promql::ActiveQueries> OpenActiveQueries(const Options& options,
                                                         const service::Env& env) {
  if (options.query_data_path.empty()) return nullptr;
  const std::string unfinished =
      promql::ActiveQueries::ReadUnfinished(env.file_system, options.query_data_path);
  if (!unfinished.empty()) {
    env.logger.Info("These queries didn't finish in prometheus' last run:",
                    {{"queries", unfinished}});
  }
  auto active =
      promql::ActiveQueries::Create(env.file_system, options.query_data_path,
                                    static_cast<int>(options.query_concurrency_max), env.clock);
  if (active.ok()) return *std::move(active);
  env.logger.Warn("running queries are not written down", {{"error", active.status()}});
  return nullptr;
}

// The page that shows an expression as a table.
std::string TableLink(std::string_view external_url, std::string_view expression) {
  return StrCat(external_url, "/graph?g0.expr=", http::UrlEncodeQuery(expression), "&g0.tab=1");
}

// Nodes that do not answer are left out: this page is looked at when something is wrong.
query_api::StorageSummary Summarize(const std::vector<rpc::StorageClient*>& storages) {
  query_api::StorageSummary summary;
  for (rpc::StorageClient* const storage : storages) {
    const absl::StatusOr<rpc::StorageStatus> status = storage->Status();
    if (!status.ok()) continue;
    if (summary.retention.empty()) summary.retention = status->retention;
    summary.corruptions += status->corruptions;
  }
  return summary;
}

}  // namespace

App::App(const Options& options, service::Env env) : options_(options), env_(std::move(env)) {}

App::~App() { Stop(); }

absl::StatusOr<std::unique_ptr<App>> App::Create(const Options& options, service::Env env) {
  NARTHEX_RETURN_IF_ERROR(CheckOptions(options));
  absl::StatusOr<Regex> cors_origin = Regex::Compile(options.web_cors_origin);
  if (!cors_origin.ok()) return Annotate(cors_origin.status(), "--web.cors.origin");

  std::unique_ptr<App> app(new App(options, std::move(env)));
  const service::Env& e = app->env_;

  http::ServerOptions server_options;
  server_options.listen_address = options.web_listen_address;
  server_options.workers =
      static_cast<int>(options.query_concurrency_max + options.web_notifications_subscribers_max) +
      kSpareWorkers;
  server_options.connections_max = static_cast<size_t>(options.web_connections_max);
  server_options.idle_timeout = server_options.body_timeout = options.web_read_timeout;
  server_options.head_timeout = std::min(server_options.head_timeout, options.web_read_timeout);
  server_options.metrics_prefix = "prometheus";
  NARTHEX_ASSIGN_OR_RETURN(const WebAddress prefix, ComputeWebAddress(options, 0));
  server_options.route_prefix = prefix.route_prefix;
  NARTHEX_ASSIGN_OR_RETURN(app->server_,
                           http::Server::Create(server_options, &app->router_,
                                                e.logger.With({{"component", "web"}}), e.registry));
  NARTHEX_ASSIGN_OR_RETURN(const WebAddress web, ComputeWebAddress(options, app->server_->port()));

  NARTHEX_ASSIGN_OR_RETURN(app->http_client_, http::Client::Create());
  std::vector<std::string> endpoints = options.storage_endpoints;
  if (endpoints.empty()) endpoints.push_back("127.0.0.1:10901");
  std::vector<storage::FanoutStore> stores;
  for (const std::string& endpoint : endpoints) {
    rpc::RemoteQuerierOptions store;
    store.endpoint = endpoint;
    store.call_timeout = options.query_timeout;
    store.silence_max = options.query_storage_timeout;
    if (options.query_memory_max > 0) store.buffer_bytes_max = options.query_memory_max;
    app->stores_.push_back(std::make_unique<rpc::RemoteQuerier>(std::move(store)));
    rpc::RemoteQuerier* const querier = app->stores_.back().get();
    stores.push_back({querier, [querier] { return querier->ExternalLabels(); }});
  }
  std::vector<rpc::StorageClient*> storages;
  for (const std::string& endpoint : endpoints) {
    rpc::StorageClient::Options storage;
    storage.endpoint = endpoint;
    storage.call_timeout = options.query_timeout;
    app->storages_.push_back(std::make_unique<rpc::StorageClient>(std::move(storage)));
    storages.push_back(app->storages_.back().get());
  }
  std::vector<rpc::ScraperClient*> scrapers;
  for (const std::string& endpoint : options.scraper_endpoints) {
    app->scrapers_.push_back(std::make_unique<rpc::ScraperClient>(endpoint, kScraperTimeout));
    scrapers.push_back(app->scrapers_.back().get());
  }
  app->querier_ =
      std::make_unique<storage::FanoutQuerier>(std::move(stores), options.query_replica_labels);
  app->active_queries_ = OpenActiveQueries(options, e);
  app->engine_ = std::make_unique<promql::Engine>(
      MakeEngineOptions(options, app->active_queries_.get(), e.logger), e.clock, e.registry);
  app->cache_ = std::make_unique<query_cache::ResultCache>(
      options.query_result_cache_bytes, app->engine_.get(), app->querier_.get(), e.registry);
  app->appenders_ = std::make_unique<rpc::RemoteAppenderFactory>(
      endpoints, e.logger.With({{"component", "rule appender"}}), e.registry, e.clock);

  notifier::NotifierOptions notifier_options;
  notifier_options.queue_capacity = static_cast<size_t>(options.notification_queue_capacity);
  notifier_options.batch_size = static_cast<size_t>(options.notification_batch_size);
  notifier_options.drain_on_stop = options.notification_drain;
  app->notifier_ = std::make_unique<notifier::Notifier>(
      notifier_options, e.clock, e.logger.With({{"component", "notifier"}}), e.registry);
  app->alertmanagers_ = std::make_unique<Alertmanagers>(
      options.alertmanager_endpoints, e, app->http_client_.get(), app->notifier_.get());

  rules::ManagerOptions rules_options;
  rules::RuleEnvironment& environment = rules_options.environment;
  environment.clock = e.clock;
  environment.logger = e.logger.With({{"component", "rules"}});
  environment.registry = e.registry;
  environment.engine = app->engine_.get();
  environment.querier = app->querier_.get();
  environment.new_appender = [factory = app->appenders_.get()] { return factory->New(); };
  environment.send_alerts = [notifier = app->notifier_.get()](std::vector<Alert> alerts) {
    notifier->Send(std::move(alerts));
  };
  environment.generator_url = [url = web.external_url](std::string_view expression) {
    return TableLink(url, expression);
  };
  environment.external_url = web.external_url;
  environment.restore = {options.rules_outage_tolerance, options.rules_grace_period};
  environment.resend_delay = options.rules_resend_delay;
  rules_options.storage_alert_after = options.rules_resend_delay;
  app->rules_ = std::make_unique<rules::Manager>(std::move(rules_options));

  app->reloader_ = std::make_unique<Reloader>(
      options.config_file, e,
      ReloadTargets{app->engine_.get(), app->cache_.get(), app->rules_.get(), app->notifier_.get(),
                    app->alertmanagers_.get()});
  NARTHEX_RETURN_IF_ERROR(app->reloader_->Load());

  app->notifications_ = std::make_unique<query_api::Notifications>(
      e.clock, e.registry, static_cast<size_t>(options.web_notifications_subscribers_max));
  const auto ready = [&flag = app->ready_] { return flag.load(); };
  query_api::ApiParts parts;
  parts.clock = e.clock;
  parts.registry = e.registry;
  parts.engine = app->engine_.get();
  parts.cache = app->cache_.get();
  parts.querier = app->querier_.get();
  parts.rules = app->rules_.get();
  parts.notifier = app->notifier_.get();
  parts.scrapers = std::move(scrapers);
  parts.storages = storages;
  parts.status.storage = [storages] { return Summarize(storages); };
  parts.status.version = std::string(service::Version());
  parts.status.revision = std::string(service::Revision());
  parts.status.hostname = Hostname();
  parts.status.start_time = e.clock->Now();
  parts.status.flags = e.flags;
  const Reloader* const reloader = app->reloader_.get();
  parts.status.config_yaml = [reloader] { return reloader->config_yaml(); };
  parts.status.reload_successful = [reloader] { return reloader->last_successful(); };
  parts.status.last_config_time = [reloader] { return reloader->last_success_time(); };
  parts.notifications = app->notifications_.get();
  parts.config = [reloader] { return reloader->config(); };
  const std::vector<std::string> features = FeatureNames(options);
  const bool search = std::find(features.begin(), features.end(), kSearchFeature) != features.end();
  parts.features = query_api::CollectFeatures(app->engine_->options(), options.web_enable_admin_api,
                                              options.web_enable_lifecycle, search);
  parts.external_labels = [reloader] { return reloader->external_labels(); };
  parts.ready = ready;
  query_api::ApiOptions api_options;
  api_options.route_prefix = web.route_prefix;
  api_options.cors_origin = *cors_origin;
  api_options.query_timeout = options.query_timeout;
  api_options.enable_admin = options.web_enable_admin_api;
  api_options.search.enabled = search;
  api_options.search.limit_max = static_cast<size_t>(options.web_search_limit_max);
  query_api::AddApiRoutes(&app->router_, std::move(parts), std::move(api_options));
  query_ui::PageOptions pages;
  pages.route_prefix = web.route_prefix;
  pages.external_path = web.external_path;
  pages.title = options.web_page_title;
  query_ui::AddPages(&app->router_, pages);
  service::OpsOptions ops;
  ops.name = "query";
  ops.ready = ready;
  ops.enable_lifecycle = options.web_enable_lifecycle;
  ops.prefix = web.route_prefix;
  ops.index_page = false;
  service::AddOpsHandlers(&app->router_, e, std::move(ops));
  e.registry
      ->AddGauge("prometheus_build_info",
                 "A metric with a constant '1' value, for dashboards that look for it.",
                 {{"version", std::string(service::Version())},
                  {"revision", std::string(service::Revision())}})
      ->Set(1);
  return app;
}

absl::Status App::Start() {
  SetReady(true);
  rules_->Start();
  server_->Start();
  env_.logger.Info("server is ready to receive web requests", {{"port", http_port()}});
  return absl::OkStatus();
}

absl::Status App::Reload() {
  absl::Status first_error = reloader_->Load();
  if (first_error.ok()) {
    notifications_->Remove(query_api::Notifications::kReloadFailed);
  } else {
    notifications_->Add(query_api::Notifications::kReloadFailed);
  }
  // A configuration that is bad here is bad there too.
  if (!first_error.ok()) {
    env_.logger.Error("reloading the configuration failed", {{"error", first_error}});
    return first_error;
  }
  for (const auto& store : stores_) first_error.Update(store->Reload());
  for (const auto& scraper : scrapers_) first_error.Update(scraper->Reload());
  if (!first_error.ok()) {
    env_.logger.Error("reloading another service failed", {{"error", first_error}});
  }
  return first_error;
}

void App::SetReady(bool ready) {
  ready_ = ready;
  env_.registry
      ->AddGauge("prometheus_ready", "Whether the service is ready: 1 from its start to its end.")
      ->Set(ready ? 1 : 0);
}

void App::Stop() {
  SetReady(false);
  if (notifications_ != nullptr) {
    notifications_->Add(query_api::Notifications::kShuttingDown);
    notifications_->Close();
  }
  if (server_ != nullptr) server_->Stop();
  if (rules_ != nullptr) rules_->Stop();
  if (notifier_ != nullptr) notifier_->Stop();
}

}  // namespace narthex::query
