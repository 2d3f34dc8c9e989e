#ifndef NARTHEX_SERVICES_QUERY_OPTIONS_H_
#define NARTHEX_SERVICES_QUERY_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/flags/flags.h"

namespace narthex::query {

// What the command line says. Plain data.
struct Options {
  std::string config_file = "prometheus.yml";
  std::vector<std::string> storage_endpoints;  // None given: storage's default port on loopback.
  std::vector<std::string> scraper_endpoints;
  std::vector<std::string> alertmanager_endpoints;

  std::string web_listen_address = ":9090";
  bool web_enable_lifecycle = false;
  bool web_enable_admin_api = false;
  std::string web_external_url;
  std::string web_route_prefix;
  std::string web_cors_origin = ".*";
  std::string web_page_title = "Narthex Time Series Collection and Processing Server";
  absl::Duration web_read_timeout = absl::Minutes(5);
  int64_t web_connections_max = 512;
  int64_t web_notifications_subscribers_max = 16;
  int64_t web_search_limit_max = 10'000;

  absl::Duration query_lookback_delta = absl::Minutes(5);
  absl::Duration query_timeout = absl::Minutes(2);
  int64_t query_concurrency_max = 20;
  int64_t query_samples_max = 50'000'000;
  absl::Duration query_storage_timeout = absl::Seconds(30);
  std::vector<std::string> query_replica_labels;
  uint64_t query_result_cache_bytes = uint64_t{64} << 20;
  uint64_t query_memory_max = uint64_t{1} << 30;
  int64_t query_read_ahead_threads = 2;
  std::string query_data_path;        // By the flag: data-query/. Empty: nothing is kept.
  std::vector<std::string> features;  // --enable-feature, each maybe several with commas.

  absl::Duration rules_outage_tolerance = absl::Hours(1);
  absl::Duration rules_grace_period = absl::Minutes(10);
  absl::Duration rules_resend_delay = absl::Minutes(1);

  int64_t notification_queue_capacity = 10'000;
  int64_t notification_batch_size = 256;
  bool notification_drain = true;
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

// The names given to --enable-feature, one by one.
std::vector<std::string> FeatureNames(const Options& options);

std::string Hostname();

// Where users reach this service, and the path that all pages have before theirs.
struct WebAddress {
  std::string external_url;   // Without a slash at the end.
  std::string external_path;  // Of that URL: "" or "/prefix".
  std::string route_prefix;   // "" or "/prefix".
};
// `port` stands in for the one of the listen address when that is 0. InvalidArgument for a URL that
// is none.
absl::StatusOr<WebAddress> ComputeWebAddress(const Options& options, int port);

}  // namespace narthex::query

#endif  // NARTHEX_SERVICES_QUERY_OPTIONS_H_
