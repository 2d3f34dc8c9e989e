#ifndef NARTHEX_SERVICES_PUSHGATEWAY_OPTIONS_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_OPTIONS_H_

#include <string>

#include "absl/time/time.h"
#include "lib/flags/flags.h"

namespace narthex::pushgateway {

// What the command line says. Plain data.
struct Options {
  std::string web_listen_address = ":9091";
  std::string grpc_listen_address = "127.0.0.1:9095";
  std::string telemetry_path = "/metrics";
  std::string external_url;
  std::string route_prefix;  // Empty: the path of external_url.
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  std::string persistence_file;
  absl::Duration persistence_interval = absl::Minutes(5);
  bool disable_consistency_check = false;
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

// The prefix of all routes: "" or "/a/b", without a slash at the end.
std::string RoutePrefix(const Options& options);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_OPTIONS_H_
