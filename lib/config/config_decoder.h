#ifndef NARTHEX_LIB_CONFIG_CONFIG_DECODER_H_
#define NARTHEX_LIB_CONFIG_CONFIG_DECODER_H_

#include <vector>

#include "lib/config/prometheus_config.h"
#include "lib/yaml/decoder.h"

// The parts of reading prometheus.yml that the file loader puts together. Private to lib/config.
namespace narthex::config {

// One document, without what it names in scrape_config_files, environment variables not yet
// expanded.
absl::Status DecodeYaml(const yaml::Value& value, PrometheusConfig* out);
// Appends jobs whose names must differ from those in *out.
absl::Status DecodeScrapeConfigs(const yaml::Value& value, const GlobalConfig& global,
                                 std::vector<ScrapeConfig>* out);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_CONFIG_DECODER_H_
