#include "services/alertmanager/options.h"

#include <unistd.h>

#include <string_view>

#include "lib/base/strings.h"

namespace narthex::alertmanager_service {
namespace {

std::string Hostname() {
  char name[256];
  if (gethostname(name, sizeof name) != 0) return "localhost";
  name[sizeof name - 1] = '\0';
  return name;
}

// "am/" to "/am", "/" to "".
std::string CleanPrefix(std::string_view path) {
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path.empty() ? "" : StrCat("/", path);
}

}  // namespace

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("config.file", &options->config_file, "Alertmanager configuration file.");
  flags->String("storage.path", &options->storage_path,
                "Folder of the silences and the notification log.");
  flags->Duration("data.retention", &options->data_retention,
                  "How long expired silences and old notifications are kept.");
  flags->Duration("data.maintenance-interval", &options->maintenance_interval,
                  "Interval between the rewritings of silences and notification log.");
  flags->Int("silences.max-silences", &options->silences_max,
             "How many silences there may be, expired ones included. 0 is no limit.");
  flags->Int("silences.max-silence-size-bytes", &options->silence_bytes_max,
             "How large a silence may be. 0 is no limit.");
  flags->Duration("alerts.gc-interval", &options->alerts_gc_interval,
                  "Interval between the removals of resolved alerts.");
  flags->Int("alerts.per-alertname-limit", &options->per_alertname_limit,
             "How many alerts of one alertname may be active. 0 is no limit.");
  flags->Duration("dispatch.start-delay", &options->dispatch_start_delay,
                  "How long after the start the first notifications wait.");
  flags->String("web.listen-address", &options->web_listen_address,
                "Address of the HTTP API and telemetry.");
  flags->String("web.external-url", &options->web_external_url,
                "The URL under which users reach this service, for links back to it. Its path is "
                "the prefix of all pages, unless --web.route-prefix says otherwise.");
  flags->String("web.route-prefix", &options->web_route_prefix,
                "Prefix of all pages. Default: the path of --web.external-url.");
  flags->Int("web.get-concurrency", &options->web_get_concurrency,
             "How many requests are answered at once; more wait. 0 is 8.");
  flags->String("grpc.listen-address", &options->grpc_listen_address,
                "Address of the gRPC port: host:port or unix:path.");
  flags->Alias("cluster.listen-address", "grpc.listen-address");
  flags->Strings("cluster.peer", &options->cluster_peers,
                 "Another Alertmanager of the same cluster; may be repeated. Clustering comes in a "
                 "later version: peers are named in a warning and not talked to.");
  flags->Strings("enable-feature", &options->features,
                 "Comma separated features: classic-mode, utf8-strict-mode, and others of "
                 "upstream's that change nothing here.");

  constexpr std::string_view kAlone = "an Alertmanager alone has no cluster";
  for (const std::string_view name :
       {"cluster.advertise-address", "cluster.peer-name", "cluster.peer-timeout",
        "cluster.peers-resolve-timeout", "cluster.gossip-interval", "cluster.pushpull-interval",
        "cluster.tcp-timeout", "cluster.probe-timeout", "cluster.probe-interval",
        "cluster.settle-timeout", "cluster.reconnect-interval", "cluster.reconnect-timeout",
        "cluster.tls-config", "cluster.label"}) {
    flags->Ignored(name, true, kAlone);
  }
  flags->Ignored("cluster.allow-insecure-public-advertise-address-discovery", false, kAlone);
  flags->Ignored("dispatch.maintenance-interval", true, "empty groups go at once");
  flags->Ignored("web.timeout", true, "no request runs for long");
  flags->Ignored("auto-gomemlimit.ratio", true, "there is no garbage collector");
  flags->Ignored("log.silences", false, "changes of silences are not logged");
}

absl::StatusOr<alerts::MatcherMode> MatcherModeOf(const Options& options) {
  bool classic = false;
  bool strict = false;
  for (const std::string& list : options.features) {
    for (const std::string_view part : Split(list, ',')) {
      const std::string_view name = TrimSpace(part);
      if (name == "classic-mode") {
        classic = true;
      } else if (name == "utf8-strict-mode") {
        strict = true;
      } else if (!name.empty() && name != "alert-names-in-metrics" &&
                 name != "receiver-name-in-metrics" && name != "group-key-in-metrics" &&
                 name != "auto-gomemlimit" && name != "auto-gomaxprocs" &&
                 name != "event-recorder") {
        return InvalidArgument("--enable-feature: unknown option ", Quote(name));
      }
    }
  }
  if (classic && strict) {
    return InvalidArgument(
        "--enable-feature: classic-mode and utf8-strict-mode exclude each other");
  }
  if (classic) return alerts::MatcherMode::kClassic;
  return strict ? alerts::MatcherMode::kUtf8 : alerts::MatcherMode::kFallback;
}

absl::StatusOr<WebAddress> ComputeWebAddress(const Options& options, int port) {
  WebAddress address;
  std::string_view path;
  std::string_view url = options.web_external_url;
  if (url.empty()) {
    address.external_url = StrCat("http://", Hostname(), ":", port);
  } else {
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
  address.route_prefix =
      CleanPrefix(options.web_route_prefix.empty() ? path : options.web_route_prefix);
  return address;
}

}  // namespace narthex::alertmanager_service
