#include "lib/config/scrape_config.h"

#include <algorithm>
#include <array>

#include "lib/base/strings.h"
#include "lib/config/byte_size.h"
#include "lib/config/codec.h"
#include "lib/config/scrape_codec.h"

namespace narthex::config {

using yaml::Policy;

static constexpr std::array<std::pair<ScrapeProtocol, std::string_view>, 5> kProtocols = {{
    {ScrapeProtocol::kOpenMetricsText0_0_1, "OpenMetricsText0.0.1"},
    {ScrapeProtocol::kOpenMetricsText1_0_0, "OpenMetricsText1.0.0"},
    {ScrapeProtocol::kPrometheusProto, "PrometheusProto"},
    {ScrapeProtocol::kPrometheusText0_0_4, "PrometheusText0.0.4"},
    {ScrapeProtocol::kPrometheusText1_0_0, "PrometheusText1.0.0"},
}};

static constexpr std::array<std::pair<NameEscapingScheme, std::string_view>, 4> kEscapings = {{
    {NameEscapingScheme::kAllowUtf8, "allow-utf-8"},
    {NameEscapingScheme::kUnderscores, "underscores"},
    {NameEscapingScheme::kDots, "dots"},
    {NameEscapingScheme::kValues, "values"},
}};

std::string_view ScrapeProtocolText(ScrapeProtocol protocol) {
  for (const auto& [candidate, text] : kProtocols) {
    if (candidate == protocol) return text;
  }
  return "";
}

std::string_view NameEscapingSchemeText(NameEscapingScheme scheme) {
  for (const auto& [candidate, text] : kEscapings) {
    if (candidate == scheme) return text;
  }
  return "";
}

static absl::StatusOr<ScrapeProtocol> ParseScrapeProtocol(std::string_view text) {
  std::string known;
  for (const auto& [protocol, name] : kProtocols) {
    if (name == text) return protocol;
    StrAppend(&known, known.empty() ? "" : " ", name);
  }
  return InvalidArgument("unknown scrape protocol ", text, ", supported: [", known, "]");
}

absl::Status DecodeYaml(const yaml::Value& value, ScrapeProtocol* out) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  const absl::StatusOr<ScrapeProtocol> protocol = ParseScrapeProtocol(text);
  if (!protocol.ok()) return value.Error(Message(protocol.status()));
  *out = *protocol;
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(ScrapeProtocol protocol) {
  return yaml::EncodeYaml(ScrapeProtocolText(protocol));
}

void ByteSizeField(yaml::Mapping& fields, std::string_view key, uint64_t& bytes) {
  fields.Each(key, [&bytes](const yaml::Value& value) -> absl::Status {
    std::string text;
    bytes = 0;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
    if (text.empty()) return absl::OkStatus();
    const absl::StatusOr<int64_t> parsed = ParseByteSize(text);
    if (!parsed.ok()) return value.Error(Message(parsed.status()));
    // Prometheus takes a negative limit for none.
    bytes = *parsed < 0 ? 0 : static_cast<uint64_t>(*parsed);
    return absl::OkStatus();
  });
}
void ByteSizeField(yaml::MappingWriter& fields, std::string_view key, uint64_t bytes) {
  if (bytes > 0) fields.Add(key, yaml::EncodeYaml(FormatByteSize(static_cast<int64_t>(bytes))));
}

absl::Status DecodeValidationScheme(const yaml::Value& value,
                                    std::optional<NameValidationScheme>* out) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  if (text == "utf8") {
    *out = NameValidationScheme::kUtf8;
  } else if (text == "legacy") {
    *out = NameValidationScheme::kLegacy;
  } else if (!text.empty()) {
    return value.Error("unrecognized ValidationScheme: ", Quote(text));
  }
  return absl::OkStatus();
}

absl::Status DecodeEscapingScheme(const yaml::Value& value,
                                  std::optional<NameEscapingScheme>* out) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  if (text.empty()) return absl::OkStatus();
  for (const auto& [scheme, name] : kEscapings) {
    if (name != text) continue;
    *out = scheme;
    return absl::OkStatus();
  }
  return value.Error(
      "unknown name escaping method specified, must be one of 'allow-utf-8', 'underscores', "
      "'dots', or 'values', got ",
      Quote(text));
}

NameEscapingScheme DefaultEscaping(NameValidationScheme scheme) {
  return scheme == NameValidationScheme::kLegacy ? NameEscapingScheme::kUnderscores
                                                 : NameEscapingScheme::kAllowUtf8;
}

absl::Status CheckSchemes(const yaml::Mapping& fields, NameValidationScheme validation,
                          NameEscapingScheme escaping) {
  if (validation == NameValidationScheme::kLegacy && escaping == NameEscapingScheme::kAllowUtf8) {
    return fields.ErrorAt("metric_name_escaping_scheme",
                          "utf8 metric names requested but validation scheme is not set to UTF8");
  }
  return absl::OkStatus();
}

absl::Status CheckProtocols(const std::vector<ScrapeProtocol>& protocols) {
  for (size_t i = 0; i < protocols.size(); ++i) {
    if (std::find(protocols.begin(), protocols.begin() + static_cast<ptrdiff_t>(i), protocols[i]) ==
        protocols.begin() + static_cast<ptrdiff_t>(i)) {
      continue;
    }
    std::vector<std::string> names;
    for (const ScrapeProtocol protocol : protocols)
      names.emplace_back(ScrapeProtocolText(protocol));
    return InvalidArgument("duplicated protocol in scrape_protocols, got [", Join(names, " "), "]");
  }
  return absl::OkStatus();
}

// What a job takes from `global` in ways of its own: read by DecodeScrapeConfig, written as it came
// out.
static void ResolvedFields(yaml::Mapping&, ScrapeConfig&) {}
static void ResolvedFields(yaml::MappingWriter& fields, ScrapeConfig& config) {
  fields("scrape_protocols", config.scrape_protocols);
  fields("fallback_scrape_protocol", config.fallback_scrape_protocol);
  fields("metric_name_validation_scheme",
         NameValidationSchemeText(config.metric_name_validation_scheme));
  fields("metric_name_escaping_scheme", NameEscapingSchemeText(config.metric_name_escaping_scheme));
}

template <typename Fields>
void ListFields(Fields& fields, ScrapeConfig& config) {
  fields("job_name", config.job_name);
  fields("honor_labels", config.honor_labels);
  fields("honor_timestamps", config.honor_timestamps, Policy::kAlways);
  fields("track_timestamps_staleness", config.track_timestamps_staleness, Policy::kAlways);
  fields("params", config.params);
  fields("scrape_interval", config.scrape_interval);
  fields("scrape_timeout", config.scrape_timeout);
  ResolvedFields(fields, config);
  ListHistogramFields(fields, config.histograms);
  fields("native_histogram_bucket_limit", config.native_histogram_bucket_limit);
  fields("native_histogram_min_bucket_factor", config.native_histogram_min_bucket_factor);
  fields("metrics_path", config.metrics_path);
  fields("scheme", config.scheme);
  fields("enable_compression", config.enable_compression, Policy::kAlways);
  ListLimitFields(fields, config.limits);
  fields("scrape_failure_log_file", config.scrape_failure_log_file, Policy::kPath);
  HttpClientFields(fields, config.http_client);
  RelabelField(fields, "relabel_configs", "target relabeling rule in scrape config",
               config.relabel_configs);
  RelabelField(fields, "metric_relabel_configs", "metric relabeling rule in scrape config",
               config.metric_relabel_configs);
  SdFields(fields, config.service_discovery);
}

// A switch that is null is inherited like one that is absent.
static void InheritNullSwitches(const yaml::Mapping& fields, const HistogramOptions& from,
                                HistogramOptions* to) {
  const auto inherit = [&fields](std::string_view key, bool value, bool* own) {
    const yaml::Value* const given = fields.Peek(key);
    if (given != nullptr && given->is_null()) *own = value;
  };
  inherit("scrape_native_histograms", from.scrape_native_histograms, &to->scrape_native_histograms);
  inherit("always_scrape_classic_histograms", from.always_scrape_classic_histograms,
          &to->always_scrape_classic_histograms);
  inherit("convert_classic_histograms_to_nhcb", from.convert_classic_histograms_to_nhcb,
          &to->convert_classic_histograms_to_nhcb);
  inherit("extra_scrape_metrics", from.extra_scrape_metrics, &to->extra_scrape_metrics);
}

// Limits of zero are inherited.
static void InheritLimits(const ScrapeLimits& from, ScrapeLimits* to) {
  const auto inherit = [](uint64_t value, uint64_t* own) {
    if (*own == 0) *own = value;
  };
  inherit(from.body_size_bytes, &to->body_size_bytes);
  inherit(from.samples, &to->samples);
  inherit(from.targets, &to->targets);
  inherit(from.labels, &to->labels);
  inherit(from.label_name_length, &to->label_name_length);
  inherit(from.label_value_length, &to->label_value_length);
  inherit(from.keep_dropped_targets, &to->keep_dropped_targets);
}

static absl::Status ResolveTimes(const yaml::Mapping& fields, const GlobalConfig& global,
                                 ScrapeConfig* config) {
  if (config->scrape_interval == absl::ZeroDuration()) {
    config->scrape_interval = global.scrape_interval;
  }
  if (config->scrape_timeout > config->scrape_interval) {
    return fields.ErrorAt(
        "scrape_timeout",
        StrCat("scrape timeout greater than scrape interval for scrape config with job name ",
               Quote(config->job_name)));
  }
  if (config->scrape_timeout == absl::ZeroDuration()) {
    config->scrape_timeout = std::min(global.scrape_timeout, config->scrape_interval);
  }
  return absl::OkStatus();
}

static absl::Status ResolveProtocols(const yaml::Mapping& fields, const GlobalConfig& global,
                                     ScrapeConfig* config) {
  const std::string job = StrCat(" for scrape config with job name ", Quote(config->job_name));
  // Decoded here, because the errors name the job.
  const auto decode_list = [&](const yaml::Value& list) -> absl::Status {
    std::vector<std::string> names;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(list, &names));
    for (const std::string& name : names) {
      const absl::StatusOr<ScrapeProtocol> protocol = ParseScrapeProtocol(name);
      if (!protocol.ok()) {
        return list.Error("scrape_protocols: ", Message(protocol.status()), job);
      }
      config->scrape_protocols.push_back(*protocol);
    }
    const absl::Status unique = CheckProtocols(config->scrape_protocols);
    return unique.ok() ? unique : list.Error(Message(unique), job);
  };
  if (const yaml::Value* const list = fields.Peek("scrape_protocols")) {
    NARTHEX_RETURN_IF_ERROR(decode_list(*list));
  }
  if (config->scrape_protocols.empty()) config->scrape_protocols = global.scrape_protocols;
  if (config->scrape_protocols.empty()) {
    config->scrape_protocols = {
        ScrapeProtocol::kOpenMetricsText1_0_0, ScrapeProtocol::kOpenMetricsText0_0_1,
        ScrapeProtocol::kPrometheusText1_0_0, ScrapeProtocol::kPrometheusText0_0_4};
    if (config->histograms.scrape_native_histograms) {
      config->scrape_protocols.insert(config->scrape_protocols.begin(),
                                      ScrapeProtocol::kPrometheusProto);
    }
  }
  if (const yaml::Value* const value = fields.Peek("fallback_scrape_protocol")) {
    std::string name;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(*value, &name));
    if (name.empty()) return absl::OkStatus();
    const absl::StatusOr<ScrapeProtocol> protocol = ParseScrapeProtocol(name);
    if (!protocol.ok()) {
      return value->Error("invalid fallback_scrape_protocol", job, ": ",
                          Message(protocol.status()));
    }
    config->fallback_scrape_protocol = *protocol;
  }
  return absl::OkStatus();
}

absl::Status DecodeScrapeConfig(const yaml::Value& value, const GlobalConfig& global,
                                ScrapeConfig* out) {
  if (value.is_null()) return value.Error("empty or null scrape config section");
  out->histograms = global.histograms;
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  InheritNullSwitches(fields, global.histograms, &out->histograms);
  std::optional<NameValidationScheme> validation;
  std::optional<NameEscapingScheme> escaping;
  fields.Each("metric_name_validation_scheme",
              [&](const yaml::Value& v) { return DecodeValidationScheme(v, &validation); });
  fields.Each("metric_name_escaping_scheme",
              [&](const yaml::Value& v) { return DecodeEscapingScheme(v, &escaping); });
  fields.Find("scrape_protocols");
  fields.Find("fallback_scrape_protocol");
  NARTHEX_RETURN_IF_ERROR(fields.Finish());

  if (out->job_name.empty()) return fields.ErrorAt("job_name", "job_name is empty");
  NARTHEX_RETURN_IF_ERROR(ValidateHttpClient(fields, &out->http_client));
  // Where no rule can still change them.
  if (out->relabel_configs.empty()) {
    NARTHEX_RETURN_IF_ERROR(CheckStaticTargets(fields, out->service_discovery));
  }
  NARTHEX_RETURN_IF_ERROR(ResolveTimes(fields, global, out));
  InheritLimits(global.limits, &out->limits);
  if (out->scrape_failure_log_file.empty()) {
    out->scrape_failure_log_file = global.scrape_failure_log_file;
  }
  NARTHEX_RETURN_IF_ERROR(ResolveProtocols(fields, global, out));
  out->metric_name_validation_scheme = validation.value_or(global.metric_name_validation_scheme);
  // A job with a validation scheme of its own takes the escaping that goes with it, not the global
  // one.
  out->metric_name_escaping_scheme = escaping.value_or(
      validation.has_value() ? DefaultEscaping(*validation) : global.metric_name_escaping_scheme);
  NARTHEX_RETURN_IF_ERROR(
      CheckSchemes(fields, out->metric_name_validation_scheme, out->metric_name_escaping_scheme));
  NARTHEX_RETURN_IF_ERROR(ValidateRelabel(
      fields, "relabel_configs", out->metric_name_validation_scheme, &out->relabel_configs));
  return ValidateRelabel(fields, "metric_relabel_configs", out->metric_name_validation_scheme,
                         &out->metric_relabel_configs);
}

yaml::Tree EncodeYaml(const ScrapeConfig& config) { return yaml::WriteFields(config); }

}  // namespace narthex::config
