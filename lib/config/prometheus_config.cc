#include "lib/config/prometheus_config.h"

#include <algorithm>
#include <set>

#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/config/config_decoder.h"
#include "lib/config/scrape_codec.h"

namespace narthex::config {

using yaml::Policy;

// What DecodeYaml reads in ways of its own.
static void ResolvedFields(yaml::Mapping&, GlobalConfig&) {}
static void ResolvedFields(yaml::MappingWriter& fields, GlobalConfig& config) {
  std::map<std::string, std::string> external;
  for (const LabelView label : config.external_labels) {
    external.emplace(label.name, label.value);
  }
  fields("external_labels", external);
  fields("metric_name_validation_scheme",
         NameValidationSchemeText(config.metric_name_validation_scheme));
  fields("metric_name_escaping_scheme", NameEscapingSchemeText(config.metric_name_escaping_scheme));
}

template <typename Fields>
void ListFields(Fields& fields, GlobalConfig& config) {
  fields("scrape_interval", config.scrape_interval);
  fields("scrape_timeout", config.scrape_timeout);
  fields("scrape_protocols", config.scrape_protocols);
  fields("evaluation_interval", config.evaluation_interval);
  fields("rule_query_offset", config.rule_query_offset);
  fields("query_log_file", config.query_log_file, Policy::kPath);
  fields("scrape_failure_log_file", config.scrape_failure_log_file, Policy::kPath);
  ListLimitFields(fields, config.limits);
  ListHistogramFields(fields, config.histograms);
  ResolvedFields(fields, config);
}

// Label sets are checked under the scheme of the same section.
static absl::Status DecodeExternalLabels(const yaml::Value& value, NameValidationScheme scheme,
                                         Labels* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value::Entry> entries, value.Entries("map"));
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const yaml::Value::Entry& entry : entries) {
    const std::string& name = entry.key.text();
    std::string text;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(entry.value, &text));
    if (!IsValidLabelName(name, scheme)) {
      return entry.key.Error(Quote(name), " is not a valid label name");
    }
    if (!IsValidLabelValue(text)) {
      return entry.value.Error(Quote(text), " is not a valid label value");
    }
    pairs.emplace_back(name, std::move(text));
  }
  *out = Labels::FromPairs(std::move(pairs));
  return absl::OkStatus();
}

// Zeros become defaults, as in Prometheus.
static absl::Status ResolveGlobal(const yaml::Mapping& fields, GlobalConfig* config) {
  const GlobalConfig defaults;
  if (config->scrape_interval == absl::ZeroDuration()) {
    config->scrape_interval = defaults.scrape_interval;
  }
  if (config->scrape_timeout > config->scrape_interval) {
    return fields.ErrorAt("scrape_timeout", "global scrape timeout greater than scrape interval");
  }
  if (config->scrape_timeout == absl::ZeroDuration()) {
    config->scrape_timeout = std::min(defaults.scrape_timeout, config->scrape_interval);
  }
  if (config->evaluation_interval == absl::ZeroDuration()) {
    config->evaluation_interval = defaults.evaluation_interval;
  }
  const yaml::Value* const protocols = fields.Peek("scrape_protocols");
  if (protocols != nullptr && !protocols->is_null() && config->scrape_protocols.empty()) {
    return protocols->Error("scrape_protocols cannot be empty for global config");
  }
  const absl::Status unique = CheckProtocols(config->scrape_protocols);
  if (!unique.ok()) return protocols->Error(Message(unique), " for global config");
  return absl::OkStatus();
}

absl::Status DecodeYaml(const yaml::Value& value, GlobalConfig* out) {
  out->scrape_interval = out->scrape_timeout = out->evaluation_interval = absl::ZeroDuration();
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  std::optional<NameValidationScheme> validation;
  std::optional<NameEscapingScheme> escaping;
  fields.Each("metric_name_validation_scheme",
              [&](const yaml::Value& v) { return DecodeValidationScheme(v, &validation); });
  fields.Each("metric_name_escaping_scheme",
              [&](const yaml::Value& v) { return DecodeEscapingScheme(v, &escaping); });
  out->metric_name_validation_scheme = validation.value_or(NameValidationScheme::kUtf8);
  out->metric_name_escaping_scheme =
      escaping.value_or(DefaultEscaping(out->metric_name_validation_scheme));
  fields.Each("external_labels", [&](const yaml::Value& labels) {
    return DecodeExternalLabels(labels, out->metric_name_validation_scheme, &out->external_labels);
  });
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  NARTHEX_RETURN_IF_ERROR(
      CheckSchemes(fields, out->metric_name_validation_scheme, out->metric_name_escaping_scheme));
  return ResolveGlobal(fields, out);
}

yaml::Tree EncodeYaml(const GlobalConfig& config) { return yaml::WriteFields(config); }

// A glob may have a '*' in the last element only.
static absl::Status DecodePathPatterns(const yaml::Value& value, std::string_view what,
                                       std::vector<std::string>* out) {
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, out));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
  for (size_t i = 0; i < out->size(); ++i) {
    const std::string& pattern = (*out)[i];
    const size_t star = pattern.find('*');
    if (star != std::string::npos && pattern.find('/', star) != std::string::npos) {
      return items[i].Error("invalid ", what, " path ", Quote(pattern));
    }
  }
  yaml::ResolvePath(value, out);
  return absl::OkStatus();
}

absl::Status DecodeScrapeConfigs(const yaml::Value& value, const GlobalConfig& global,
                                 std::vector<ScrapeConfig>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
  for (const yaml::Value& item : items) {
    ScrapeConfig config;
    NARTHEX_RETURN_IF_ERROR(DecodeScrapeConfig(item, global, &config));
    for (const ScrapeConfig& other : *out) {
      if (other.job_name != config.job_name) continue;
      return item.Error("found multiple scrape configs with job name ", Quote(config.job_name));
    }
    out->push_back(std::move(config));
  }
  return absl::OkStatus();
}

// Remote endpoints without a name are told apart by their content, so only given names must differ.
template <typename T>
static absl::Status DecodeRemotes(const yaml::Value& value, std::string_view what,
                                  std::vector<T>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
  std::set<std::string> names;
  for (const yaml::Value& item : items) {
    if (item.is_null()) return item.Error("empty or null ", what, " config section");
    T config;
    NARTHEX_RETURN_IF_ERROR(DecodeYaml(item, &config));
    if (!config.name.empty() && !names.insert(config.name).second) {
      return item.Error("found multiple ", what, " configs with job name ", Quote(config.name));
    }
    out->push_back(std::move(config));
  }
  return absl::OkStatus();
}

static absl::Status DecodeRuntime(const yaml::Value& value, int64_t* gogc) {
  yaml::Mapping fields(value, "config.plain");
  fields("gogc", *gogc);
  return fields.Finish();
}

absl::Status DecodeYaml(const yaml::Value& value, PrometheusConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  // First, because the jobs inherit from it; a null section is the default one.
  fields("global", out->global);
  fields.Each("runtime", [&](const yaml::Value& v) { return DecodeRuntime(v, &out->gogc); });
  fields.Each("rule_files", [&](const yaml::Value& v) {
    return DecodePathPatterns(v, "rule file", &out->rule_files);
  });
  fields.Each("scrape_config_files", [&](const yaml::Value& v) {
    return DecodePathPatterns(v, "scrape config file", &out->scrape_config_files);
  });
  fields.Each("scrape_configs", [&](const yaml::Value& v) {
    return DecodeScrapeConfigs(v, out->global, &out->scrape_configs);
  });
  fields("alerting", out->alerting);
  fields("storage", out->storage);
  fields.Each("remote_write", [&](const yaml::Value& v) {
    return DecodeRemotes(v, "remote write", &out->remote_write);
  });
  fields.Each("remote_read", [&](const yaml::Value& v) {
    return DecodeRemotes(v, "remote read", &out->remote_read);
  });
  fields("tracing", out->tracing);
  fields("otlp", out->otlp);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const std::string& strategy = out->otlp.translation_strategy;
  if (out->global.metric_name_validation_scheme == NameValidationScheme::kLegacy &&
      (strategy == "NoUTF8EscapingWithSuffixes" || strategy == "NoTranslation")) {
    return fields.ErrorAt("otlp", StrCat("OTLP translation strategy ", Quote(strategy),
                                         " is not allowed when UTF8 is disabled"));
  }
  return absl::OkStatus();
}

std::vector<std::string> UnusedSections(const PrometheusConfig& config) {
  std::vector<std::string> unused;
  const auto add = [&unused](std::string_view name, bool present) {
    if (present) unused.emplace_back(name);
  };
  bool failure_log = !config.global.scrape_failure_log_file.empty();
  for (const ScrapeConfig& job : config.scrape_configs) {
    failure_log = failure_log || !job.scrape_failure_log_file.empty();
  }
  add("scrape_failure_log_file", failure_log);
  add("remote_write", !config.remote_write.empty());
  add("remote_read", !config.remote_read.empty());
  add("tracing", !config.tracing.endpoint.empty());
  return unused;
}

std::string FormatYaml(const PrometheusConfig& config) {
  yaml::MappingWriter fields;
  fields("global", config.global);
  yaml::MappingWriter runtime;
  runtime("gogc", config.gogc);
  fields.Add("runtime", runtime.Take());
  if (!(config.alerting == AlertingConfig())) fields("alerting", config.alerting);
  fields("rule_files", config.rule_files);
  fields("scrape_config_files", config.scrape_config_files);
  fields("scrape_configs", config.scrape_configs);
  if (!(config.storage == StorageConfig())) fields("storage", config.storage);
  if (!config.tracing.endpoint.empty()) fields("tracing", config.tracing);
  fields("remote_write", config.remote_write);
  fields("remote_read", config.remote_read);
  fields("otlp", config.otlp);
  return yaml::Render(fields.Take());
}

std::string FormatYaml(const ScrapeConfig& config) { return yaml::Render(EncodeYaml(config)); }

}  // namespace narthex::config
