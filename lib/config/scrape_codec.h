#ifndef NARTHEX_LIB_CONFIG_SCRAPE_CODEC_H_
#define NARTHEX_LIB_CONFIG_SCRAPE_CODEC_H_

#include <optional>
#include <vector>

#include "lib/config/codec.h"

// The keys that `global` and scrape jobs share. Private to lib/config.
namespace narthex::config {

template <typename Fields>
void ListLimitFields(Fields& fields, ScrapeLimits& limits) {
  ByteSizeField(fields, "body_size_limit", limits.body_size_bytes);
  fields("sample_limit", limits.samples);
  fields("target_limit", limits.targets);
  fields("label_limit", limits.labels);
  fields("label_name_length_limit", limits.label_name_length);
  fields("label_value_length_limit", limits.label_value_length);
  fields("keep_dropped_targets", limits.keep_dropped_targets);
}

template <typename Fields>
void ListHistogramFields(Fields& fields, HistogramOptions& options) {
  fields("scrape_native_histograms", options.scrape_native_histograms, yaml::Policy::kAlways);
  fields("always_scrape_classic_histograms", options.always_scrape_classic_histograms,
         yaml::Policy::kAlways);
  fields("convert_classic_histograms_to_nhcb", options.convert_classic_histograms_to_nhcb,
         yaml::Policy::kAlways);
  fields("extra_scrape_metrics", options.extra_scrape_metrics, yaml::Policy::kAlways);
}

absl::Status DecodeValidationScheme(const yaml::Value& value,
                                    std::optional<NameValidationScheme>* out);
absl::Status DecodeEscapingScheme(const yaml::Value& value, std::optional<NameEscapingScheme>* out);
// What goes with a validation scheme where nothing is said.
NameEscapingScheme DefaultEscaping(NameValidationScheme scheme);
absl::Status CheckSchemes(const yaml::Mapping& fields, NameValidationScheme validation,
                          NameEscapingScheme escaping);
// No protocol twice.
absl::Status CheckProtocols(const std::vector<ScrapeProtocol>& protocols);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_SCRAPE_CODEC_H_
