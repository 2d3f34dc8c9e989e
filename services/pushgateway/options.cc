#include "services/pushgateway/options.h"

#include <string_view>

#include "lib/base/strings.h"

namespace narthex::pushgateway {

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("web.listen-address", &options->web_listen_address,
                "Address to listen on for the web interface, API, and telemetry.");
  flags->String("grpc.listen-address", &options->grpc_listen_address,
                "Address to listen on for gRPC: host:port or unix:path.");
  flags->String("web.telemetry-path", &options->telemetry_path,
                "Path under which to expose metrics.");
  flags->String("web.external-url", &options->external_url,
                "The URL under which the Pushgateway is externally reachable.");
  flags->String("web.route-prefix", &options->route_prefix,
                "Prefix for the internal routes of web endpoints. Defaults to the path of "
                "--web.external-url.");
  flags->Bool("web.enable-lifecycle", &options->enable_lifecycle,
              "Enable shutdown via HTTP request.");
  flags->Bool("web.enable-admin-api", &options->enable_admin_api,
              "Enable API endpoints for admin control actions.");
  flags->String("persistence.file", &options->persistence_file,
                "File to persist metrics. If empty, metrics are only kept in memory.");
  flags->Duration("persistence.interval", &options->persistence_interval,
                  "The minimum interval at which to write out the persistence file.");
  flags->Bool("push.disable-consistency-check", &options->disable_consistency_check,
              "Do not check consistency of pushed metrics. DANGEROUS.");
}

std::string RoutePrefix(const Options& options) {
  std::string_view prefix = options.route_prefix;
  if (prefix.empty()) {
    prefix = options.external_url;
    const size_t scheme = prefix.find("://");
    if (scheme != std::string_view::npos) prefix.remove_prefix(scheme + 3);
    const size_t path = prefix.find('/');
    prefix.remove_prefix(path == std::string_view::npos ? prefix.size() : path);
  }
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix.empty() ? "" : StrCat("/", prefix);
}

}  // namespace narthex::pushgateway
