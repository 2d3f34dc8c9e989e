#include "services/query/api/routes.h"

#include <string_view>
#include <utility>

#include "lib/base/strings.h"
#include "services/query/api/envelope.h"
#include "services/query/api/federate.h"
#include "services/query/api/metadata_handlers.h"
#include "services/query/api/query_handlers.h"
#include "services/query/api/remote_handlers.h"
#include "services/query/api/rule_handlers.h"
#include "services/query/api/self_metrics.h"
#include "services/query/api/storage_handlers.h"
#include "services/query/api/target_handlers.h"

namespace narthex::query_api {
namespace {

// Adds routes whose answers get the envelope and the CORS headers.
class ApiRouter {
 public:
  ApiRouter(http::Router* router, const ApiOptions& options, std::function<bool()> ready)
      : router_(router),
        prefix_(StrCat(options.route_prefix, "/api/v1")),
        cors_origin_(options.cors_origin),
        ready_(std::move(ready)) {}

  template <typename Handlers>
  void Add(std::string_view methods, std::string_view path, std::shared_ptr<Handlers> handlers,
           Answer (Handlers::*method)(const http::ServerRequest&)) {
    AddWhen(ready_, methods, path, std::move(handlers), method);
  }
  // Answers also before the service is ready.
  template <typename Handlers>
  void AddAlways(std::string_view methods, std::string_view path,
                 std::shared_ptr<Handlers> handlers,
                 Answer (Handlers::*method)(const http::ServerRequest&)) {
    AddWhen([] { return true; }, methods, path, std::move(handlers), method);
  }

 private:
  template <typename Handlers>
  void AddWhen(std::function<bool()> when, std::string_view methods, std::string_view path,
               std::shared_ptr<Handlers> handlers,
               Answer (Handlers::*method)(const http::ServerRequest&)) {
    const auto handle = [cors_origin = cors_origin_, ready = std::move(when),
                         handlers = std::move(handlers),
                         method](const http::ServerRequest& request) {
      http::ServerResponse response = ready()
                                          ? ToResponse((handlers.get()->*method)(request))
                                          : http::ServerResponse::Text(503, "Service Unavailable");
      AddCorsHeaders(cors_origin, request, &response);
      return response;
    };
    router_->Handle(methods, StrCat(prefix_, path), handle);
    // What a browser asks before it calls from another origin. Only of known paths: a route for all
    // of them would answer unknown ones with 405, and clients tell servers apart by a 404.
    router_->Handle("OPTIONS", StrCat(prefix_, path),
                    [cors_origin = cors_origin_](const http::ServerRequest& request) {
                      http::ServerResponse response;
                      response.status = 204;
                      AddCorsHeaders(cors_origin, request, &response);
                      return response;
                    });
  }

  http::Router* const router_;
  const std::string prefix_;
  const Regex cors_origin_;
  const std::function<bool()> ready_;
};

}  // namespace

void AddApiRoutes(http::Router* router, ApiParts parts, ApiOptions options) {
  constexpr std::string_view kBoth = "GET,POST";
  ApiRouter api(router, options, parts.ready);

  const auto query =
      std::make_shared<QueryHandlers>(parts.engine, parts.cache, parts.querier, parts.clock);
  api.Add(kBoth, "/query", query, &QueryHandlers::Instant);
  api.Add(kBoth, "/query_range", query, &QueryHandlers::Range);
  api.Add(kBoth, "/format_query", query, &QueryHandlers::Format);
  api.Add(kBoth, "/parse_query", query, &QueryHandlers::Parse);

  const auto metadata =
      std::make_shared<MetadataHandlers>(parts.querier, parts.clock, options.query_timeout);
  api.Add(kBoth, "/labels", metadata, &MetadataHandlers::LabelNames);
  api.Add("GET", "/label/:name/values", metadata, &MetadataHandlers::LabelValues);
  api.Add(kBoth, "/series", metadata, &MetadataHandlers::Series);

  const auto targets = std::make_shared<TargetHandlers>(parts.scrapers, parts.storages);
  api.Add("GET", "/targets", targets, &TargetHandlers::Targets);
  api.Add("GET", "/targets/metadata", targets, &TargetHandlers::TargetMetadata);
  api.Add("GET", "/scrape_pools", targets, &TargetHandlers::ScrapePools);
  api.Add("GET", "/metadata", targets, &TargetHandlers::Metadata);

  const auto search =
      std::make_shared<SearchHandlers>(parts.querier, targets.get(), parts.clock, options.search);
  const auto add_search = [&](std::string_view path, http::ServerResponse (SearchHandlers::*method)(
                                                         const http::ServerRequest&)) {
    router->Handle(kBoth, StrCat(options.route_prefix, "/api/v1/search/", path),
                   [search, targets, method, ready = parts.ready,
                    cors = options.cors_origin](const http::ServerRequest& request) {
                     http::ServerResponse response =
                         ready() ? (search.get()->*method)(request)
                                 : http::ServerResponse::Text(503, "Service Unavailable");
                     AddCorsHeaders(cors, request, &response);
                     return response;
                   });
  };
  add_search("metric_names", &SearchHandlers::MetricNames);
  add_search("label_names", &SearchHandlers::LabelNames);
  add_search("label_values", &SearchHandlers::LabelValues);

  const auto config = std::make_shared<ConfigHandlers>(std::move(parts.config));
  api.Add("GET", "/scrape_pools/config", config, &ConfigHandlers::ScrapePoolConfig);
  api.Add("GET", "/targets/relabel_steps", config, &ConfigHandlers::RelabelSteps);

  const auto rules = std::make_shared<RuleHandlers>(parts.rules, parts.notifier);
  api.Add("GET", "/rules", rules, &RuleHandlers::Rules);
  api.Add("GET", "/alerts", rules, &RuleHandlers::Alerts);
  api.Add("GET", "/alertmanagers", rules, &RuleHandlers::Alertmanagers);

  const auto status = std::make_shared<StatusHandlers>(std::move(parts.status), parts.clock,
                                                       FeaturesJson(parts.features));
  api.Add("GET", "/status/config", status, &StatusHandlers::Config);
  api.Add("GET", "/status/flags", status, &StatusHandlers::Flags);
  api.Add("GET", "/status/runtimeinfo", status, &StatusHandlers::RuntimeInfo);
  api.Add("GET", "/status/buildinfo", status, &StatusHandlers::BuildInfo);
  api.Add("GET", "/features", status, &StatusHandlers::Features);
  api.Add("GET", "/status/self_metrics", std::make_shared<SelfMetrics>(parts.registry),
          &SelfMetrics::Handle);

  if (Notifications* const notifications = parts.notifications; notifications != nullptr) {
    // They outlive the router, and are somebody else's.
    const std::shared_ptr<Notifications> shared(std::shared_ptr<void>(), notifications);
    api.AddAlways("GET", "/notifications", shared, &Notifications::List);
    router->Handle("GET", StrCat(options.route_prefix, "/api/v1/notifications/live"),
                   [notifications, cors = options.cors_origin](const http::ServerRequest& request) {
                     http::ServerResponse response = notifications->Live(request);
                     AddCorsHeaders(cors, request, &response);
                     return response;
                   });
  }

  const auto storage =
      std::make_shared<StorageHandlers>(parts.storages, parts.engine, options.enable_admin);
  constexpr std::string_view kChange = "POST,PUT";
  api.Add(kBoth, "/query_exemplars", storage, &StorageHandlers::Exemplars);
  api.Add("GET", "/status/tsdb", storage, &StorageHandlers::Statistics);
  api.Add("GET", "/status/tsdb/blocks", storage, &StorageHandlers::Blocks);
  api.AddAlways("GET", "/status/walreplay", storage, &StorageHandlers::ReplayProgress);
  api.Add(kChange, "/admin/tsdb/delete_series", storage, &StorageHandlers::DeleteSeries);
  api.Add(kChange, "/admin/tsdb/clean_tombstones", storage, &StorageHandlers::CleanTombstones);
  api.Add(kChange, "/admin/tsdb/snapshot", storage, &StorageHandlers::Snapshot);

  remote::ReadHandlerOptions read;
  read.querier = parts.querier;
  read.external_labels = parts.external_labels;
  read.registry = parts.registry;
  const auto remote = std::make_shared<RemoteHandlers>(parts.storages, std::move(read));
  const auto add_remote = [&](std::string_view path, http::ServerResponse (RemoteHandlers::*method)(
                                                         const http::ServerRequest&)) {
    router->Handle("POST", StrCat(options.route_prefix, "/api/v1", path),
                   [remote, method, ready = parts.ready](const http::ServerRequest& request) {
                     return ready() ? (remote.get()->*method)(request)
                                    : http::ServerResponse::Text(503, "Service Unavailable");
                   });
  };
  add_remote("/write", &RemoteHandlers::Write);
  // Where Grafana writes recorded series, unless its data source says that it is a Prometheus.
  add_remote("/push", &RemoteHandlers::Write);
  add_remote("/otlp/v1/metrics", &RemoteHandlers::WriteOtlp);
  add_remote("/read", &RemoteHandlers::Read);

  FederateHandler::Options federate_options;
  federate_options.lookback_delta = parts.engine->options().lookback_delta;
  federate_options.timeout = options.query_timeout;
  federate_options.external_labels = parts.external_labels;
  const auto federate =
      std::make_shared<FederateHandler>(parts.querier, parts.clock, std::move(federate_options));
  router->Handle("GET", StrCat(options.route_prefix, "/federate"),
                 [federate, ready = parts.ready](const http::ServerRequest& request) {
                   return ready() ? federate->Handle(request)
                                  : http::ServerResponse::Text(503, "Service Unavailable");
                 });

  // Upstream's own page of the same data, which scripts ask.
  router->Handle("GET", StrCat(options.route_prefix, "/version"),
                 [status](const http::ServerRequest& request) {
                   return http::ServerResponse::Json(200, status->BuildInfo(request).data);
                 });
}

}  // namespace narthex::query_api
