#include "services/query/reloader.h"

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"

namespace narthex::query {

Reloader::Reloader(std::string config_file, service::Env env, ReloadTargets targets)
    : config_file_(std::move(config_file)),
      env_(std::move(env)),
      targets_(targets),
      metrics_(env_.registry, env_.clock, "prometheus"),
      config_(std::make_shared<const config::PrometheusConfig>()) {}

absl::Status Reloader::Load() {
  const absl::Status status = LoadAndApply();
  metrics_.Record(status);
  MutexLock lock(&mu_);
  last_successful_ = status.ok();
  if (status.ok()) last_success_time_ = env_.clock->Now();
  return status;
}

absl::Status Reloader::LoadAndApply() {
  config::LoadOptions load_options;
  load_options.environment = config::ProcessEnvironment;
  NARTHEX_ASSIGN_OR_RETURN(config::LoadedConfig loaded,
                           config::LoadFile(env_.file_system, config_file_, load_options));
  const config::GlobalConfig& global = loaded.config.global;
  RuleFileOptions rule_options;
  rule_options.interval = global.evaluation_interval;
  rule_options.query_offset = global.rule_query_offset;
  rule_options.parser = targets_.engine->options().parser;
  NARTHEX_ASSIGN_OR_RETURN(LoadedRules rules,
                           LoadRuleFiles(env_.file_system, loaded.config.rule_files, rule_options));

  NARTHEX_RETURN_IF_ERROR(targets_.engine->SetQueryLog(env_.file_system, global.query_log_file));
  // Nothing fails from here on.
  for (const std::string& warning : loaded.warnings) env_.logger.Warn(warning);
  for (const std::string& warning : rules.warnings) env_.logger.Warn(warning);
  targets_.engine->SetSubqueryStepDefault(global.evaluation_interval);
  targets_.cache->Clear();
  targets_.notifier->SetRelabelling(global.external_labels,
                                    loaded.config.alerting.alert_relabel_configs);
  const std::vector<std::string> unused_alerting =
      targets_.alertmanagers->Apply(loaded.config.alerting.alertmanagers);
  const size_t groups = rules.groups.size();
  targets_.rules->Apply(std::move(rules.groups), global.external_labels);
  ReportUnused(loaded.config, unused_alerting);
  env_.logger.Info("configuration loaded", {{"file", config_file_}, {"rule_groups", groups}});
  MutexLock lock(&mu_);
  config_ = std::make_shared<const config::PrometheusConfig>(std::move(loaded.config));
  return absl::OkStatus();
}

void Reloader::ReportUnused(const config::PrometheusConfig& config,
                            const std::vector<std::string>& alerting) {
  std::vector<std::string> sections = config::UnusedSections(config);
  sections.insert(sections.end(), alerting.begin(), alerting.end());
  for (const auto& [section, gauge] : unused_) gauge->Set(0);
  for (const std::string& section : sections) {
    metrics::Gauge*& gauge = unused_[section];
    if (gauge == nullptr) {
      gauge = env_.registry->AddGauge("narthex_config_unused_section",
                                      "Sections of the configuration that this version accepts and "
                                      "does not act on.",
                                      {{"section", section}});
      env_.logger.Warn("the configuration has a section that is accepted and not acted on yet",
                       {{"section", section}});
    }
    gauge->Set(1);
  }
}

Labels Reloader::external_labels() const {
  MutexLock lock(&mu_);
  return config_->global.external_labels;
}

std::shared_ptr<const config::PrometheusConfig> Reloader::config() const {
  MutexLock lock(&mu_);
  return config_;
}

std::string Reloader::config_yaml() const { return config::FormatYaml(*config()); }

bool Reloader::last_successful() const {
  MutexLock lock(&mu_);
  return last_successful_;
}

absl::Time Reloader::last_success_time() const {
  MutexLock lock(&mu_);
  return last_success_time_;
}

}  // namespace narthex::query
