#ifndef NARTHEX_SERVICES_SCRAPER_OPTIONS_H_
#define NARTHEX_SERVICES_SCRAPER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/flags/flags.h"

namespace narthex::scraper {

// What the flags say.
struct Options {
  std::string config_file = "prometheus.yml";
  std::vector<std::string> storage_endpoints;  // Empty: 127.0.0.1:10901.
  std::string spool_path = "spool/";
  uint64_t spool_size_max = uint64_t{4} << 30;
  std::string web_listen_address = ":9096";
  std::string grpc_listen_address = "127.0.0.1:9097";
  bool enable_lifecycle = false;
  bool adjust_timestamps = true;
  absl::Duration timestamp_tolerance = absl::Milliseconds(2);
  absl::Duration discovery_reload_interval = absl::Seconds(5);
  int64_t workers = 2;
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_OPTIONS_H_
