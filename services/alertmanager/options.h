#ifndef NARTHEX_SERVICES_ALERTMANAGER_OPTIONS_H_
#define NARTHEX_SERVICES_ALERTMANAGER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/flags/flags.h"
#include "services/alertmanager/alerts/matchers.h"

namespace narthex::alertmanager_service {

// What the flags say.
struct Options {
  std::string config_file = "alertmanager.yml";
  std::string storage_path = "data/";
  absl::Duration data_retention = absl::Hours(120);
  absl::Duration maintenance_interval = absl::Minutes(15);
  absl::Duration alerts_gc_interval = absl::Minutes(30);
  int64_t per_alertname_limit = 0;  // 0: none, as the next two.
  int64_t silences_max = 0;
  int64_t silence_bytes_max = 0;
  absl::Duration dispatch_start_delay;
  std::string web_listen_address = ":9093";
  std::string web_external_url;
  std::string web_route_prefix;
  int64_t web_get_concurrency = 0;  // 0: 8.
  std::string grpc_listen_address = "127.0.0.1:9094";
  std::vector<std::string> cluster_peers;
  std::vector<std::string> features;  // Comma lists.
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

// The grammar of matchers that the features ask for; InvalidArgument for a feature that is none.
absl::StatusOr<alerts::MatcherMode> MatcherModeOf(const Options& options);

// Where users reach this service, and the path that all pages have before theirs.
struct WebAddress {
  std::string external_url;  // Without a slash at the end.
  std::string route_prefix;  // "" or "/prefix".
};
// `port` stands in for the one of the listen address when that is 0. InvalidArgument for a URL that
// is none.
absl::StatusOr<WebAddress> ComputeWebAddress(const Options& options, int port);

}  // namespace narthex::alertmanager_service

#endif  // NARTHEX_SERVICES_ALERTMANAGER_OPTIONS_H_
