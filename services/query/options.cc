#include "services/query/options.h"

#include <unistd.h>

#include <string_view>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::query {
namespace {

// "" or "/a/b": one slash in front, none at the end.
std::string CleanPrefix(std::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  return path.empty() ? "" : StrCat("/", path);
}

}  // namespace

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("config.file", &options->config_file, "Prometheus configuration file path.");
  flags->Strings(
      "storage.endpoint", &options->storage_endpoints,
      "gRPC address of a storage node (host:port or unix:path); repeat it to query several. "
      "Default: 127.0.0.1:10901.");
  flags->Strings("scraper.endpoint", &options->scraper_endpoints,
                 "gRPC address of a scraper, for targets and metadata; may be repeated.");
  flags->Strings("alertmanager.endpoint", &options->alertmanager_endpoints,
                 "gRPC address of an Alertmanager, beside those of the configuration's `alerting` "
                 "section; may be repeated.");

  flags->String("web.listen-address", &options->web_listen_address,
                "Address of the HTTP API and telemetry.");
  flags->Bool("web.enable-lifecycle", &options->web_enable_lifecycle,
              "Enable shutdown and reload via HTTP request.");
  flags->Bool("web.enable-admin-api", &options->web_enable_admin_api,
              "Enable the endpoints that change what storage keeps. The storage nodes must be "
              "started with it as well.");
  flags->String(
      "web.external-url", &options->web_external_url,
      "The URL under which users reach this service, for links back to it. Its path is the "
      "prefix of all pages, unless --web.route-prefix says otherwise.");
  flags->String("web.route-prefix", &options->web_route_prefix,
                "Prefix of all pages. Default: the path of --web.external-url.");
  flags->String("web.cors.origin", &options->web_cors_origin,
                "Anchored regular expression of the origins that may call the API from a browser.");

  flags->String("web.page-title", &options->web_page_title, "Document title of the web pages.");
  flags->Duration("web.read-timeout", &options->web_read_timeout,
                  "Maximum time to read a request, and to keep a connection without one.");
  flags->Int("web.max-connections", &options->web_connections_max,
             "Maximum number of simultaneous connections; at the limit the longest idle one makes "
             "room.");
  flags->Int("web.max-notifications-subscribers", &options->web_notifications_subscribers_max,
             "Limits the maximum number of subscribers that can concurrently receive live "
             "notifications.");

  flags->Int("web.search.max-limit", &options->web_search_limit_max,
             "Maximum number of results of one search (--enable-feature=search-api); 0 is no "
             "limit.");

  flags->Duration("query.lookback-delta", &options->query_lookback_delta,
                  "How far back an instant selector looks for its sample.");
  flags->Duration("query.timeout", &options->query_timeout,
                  "Maximum time a query may take before being aborted.");
  flags->Int("query.max-concurrency", &options->query_concurrency_max,
             "Maximum number of queries executed concurrently; more wait.");
  flags->Duration("query.storage-timeout", &options->query_storage_timeout,
                  "A storage node that says nothing for so long while it is waited for is given "
                  "up: a warning as long as another one answers.");
  flags->Strings("query.replica-label", &options->query_replica_labels,
                 "Label, of series or of the external labels of storage nodes, by which replicas "
                 "differ: series that are equal without it are taken together, one replica at a "
                 "time; may be repeated.");
  flags->Int("query.max-samples", &options->query_samples_max,
             "Maximum number of samples a single query can hold at once; more is an error.");
  flags->Bytes("query.result-cache-size", &options->query_result_cache_bytes,
               "Memory for results of range queries, of which a refresh computes only what is new; "
               "0B keeps none.");
  flags->Bytes("query.max-memory", &options->query_memory_max,
               "Maximum number of bytes a single query can hold at once; more is an error. 0 is no "
               "limit.");
  flags->Int("query.read-ahead-threads", &options->query_read_ahead_threads,
             "Threads, for all queries together, that read and decode ahead of long queries. 0: "
             "each query stays on its thread.");
  options->query_data_path = "data-query/";
  flags->String("query.data-path", &options->query_data_path,
                "Directory of the file queries.active, which tells after a crash which queries "
                "were running. Empty: none is kept.");
  flags->Strings("enable-feature", &options->features,
                 "Comma separated feature names to enable: promql-experimental-functions, "
                 "promql-extended-range-selectors, promql-binop-fill-modifiers, "
                 "promql-delayed-name-removal, promql-per-step-stats, type-and-unit-labels, "
                 "search-api.");

  flags->Duration("rules.alert.for-outage-tolerance", &options->rules_outage_tolerance,
                  "Max time to tolerate an outage for restoring the \"for\" state of an alert.");
  flags->Duration(
      "rules.alert.for-grace-period", &options->rules_grace_period,
      "Minimum duration between alert and restored \"for\" state. This is maintained only "
      "for alerts with a configured \"for\" time greater than the grace period.");
  flags->Duration("rules.alert.resend-delay", &options->rules_resend_delay,
                  "Minimum amount of time to wait before resending an alert to Alertmanager.");
  flags->Ignored("rules.max-concurrent-evals", true,
                 "the rules of a group are evaluated one after another");

  flags->Int("alertmanager.notification-queue-capacity", &options->notification_queue_capacity,
             "The capacity of the queue of pending alerts, for each Alertmanager.");
  flags->Int("alertmanager.notification-batch-size", &options->notification_batch_size,
             "The maximum number of alerts in one message to an Alertmanager.");
  flags->Bool("alertmanager.drain-notification-queue-on-shutdown", &options->notification_drain,
              "Send all outstanding alerts when shutting down.");

  for (const std::string_view name :
       {"web.user-assets", "web.console.templates", "web.console.libraries"}) {
    flags->Ignored(name, true, "there are no pages to change");
  }
  for (const std::string_view name :
       {"storage.tsdb.path", "storage.tsdb.retention.time", "storage.tsdb.retention.size",
        "storage.tsdb.no-lockfile", "storage.tsdb.wal-compression",
        "storage.tsdb.wal-compression-type", "storage.tsdb.wal-segment-size",
        "storage.tsdb.min-block-duration", "storage.tsdb.max-block-duration",
        "storage.tsdb.head-chunks-write-queue-size", "storage.tsdb.allow-overlapping-blocks",
        "web.enable-remote-write-receiver", "web.enable-otlp-receiver",
        "storage.remote.read-sample-limit", "storage.remote.read-concurrent-limit",
        "storage.remote.read-max-bytes-in-frame", "storage.remote.flush-deadline"}) {
    flags->OwnedBy(name, "storage");
  }
  for (const std::string_view name : {"scrape.adjust-timestamps", "scrape.timestamp-tolerance",
                                      "scrape.discovery-reload-interval"}) {
    flags->OwnedBy(name, "scraper");
  }
}

std::vector<std::string> FeatureNames(const Options& options) {
  std::vector<std::string> names;
  for (const std::string& list : options.features) {
    for (const std::string_view name : Split(list, ',')) {
      if (!TrimSpace(name).empty()) names.emplace_back(TrimSpace(name));
    }
  }
  return names;
}

absl::StatusOr<WebAddress> ComputeWebAddress(const Options& options, int port) {
  WebAddress address;
  std::string_view path;
  if (options.web_external_url.empty()) {
    address.external_url = StrCat("http://", Hostname(), ":", port);
  } else {
    std::string_view url = options.web_external_url;
    const size_t scheme = url.find("://");
    if (scheme == std::string_view::npos ||
        (url.substr(0, scheme) != "http" && url.substr(0, scheme) != "https") ||
        scheme + 3 == url.size()) {
      return InvalidArgument("--web.external-url ", Quote(url), ": not an http or https URL");
    }
    while (url.back() == '/') url.remove_suffix(1);
    address.external_url = std::string(url);
    const size_t slash = url.find('/', scheme + 3);
    if (slash != std::string_view::npos) path = url.substr(slash);
  }
  address.external_path = CleanPrefix(path);
  address.route_prefix =
      CleanPrefix(options.web_route_prefix.empty() ? path : options.web_route_prefix);
  return address;
}

}  // namespace narthex::query
