#include "services/alertmanager/reloader.h"

#include <algorithm>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/discovery/http_client.h"
#include "services/alertmanager/config/print.h"
#include "services/alertmanager/notify/stage.h"
#include "services/alertmanager/notify/templates.h"
#include "services/alertmanager/notify/webhook/webhook.h"

namespace narthex::alertmanager_service {
namespace {

using alertmanager_config::Config;
using alertmanager_config::IntegrationConfig;
using alertmanager_config::ReceiverConfig;
using alertmanager_config::RouteConfig;

// How long a reload or a shutdown waits for notifications that are being sent.
constexpr absl::Duration kStopGrace = absl::Seconds(5);
constexpr char kUnusedGauge[] = "narthex_config_unused";
constexpr char kUnusedHelp[] =
    "1: the configuration has this, and this version does nothing with it.";

dispatch::RouteSpec ToSpec(const RouteConfig& config) {
  dispatch::RouteSpec spec;
  spec.receiver = config.receiver;
  spec.has_group_by = config.has_group_by;
  spec.group_by_all = config.group_by == std::vector<std::string>{"..."};
  if (!spec.group_by_all) spec.group_by = config.group_by;
  spec.matchers = config.AllMatchers();
  spec.mute_time_intervals = config.mute_time_intervals;
  spec.active_time_intervals = config.active_time_intervals;
  spec.continue_matching = config.continue_matching;
  spec.group_wait = config.group_wait;
  spec.group_interval = config.group_interval;
  spec.repeat_interval = config.repeat_interval;
  for (const RouteConfig& child : config.routes) spec.routes.push_back(ToSpec(child));
  return spec;
}

std::vector<inhibit::Rule> ToRules(const Config& config) {
  std::vector<inhibit::Rule> rules;
  for (const auto& rule : config.inhibit_rules) {
    rules.push_back({rule.name, rule.AllSourceMatchers(), rule.AllTargetMatchers(), rule.equal});
  }
  return rules;
}

std::shared_ptr<const notify::NamedIntervals> ToIntervals(const Config& config) {
  auto intervals = std::make_shared<notify::NamedIntervals>();
  for (const auto* list : {&config.mute_time_intervals, &config.time_intervals}) {
    for (const auto& named : *list) (*intervals)[named.name] = named.intervals;
  }
  return intervals;
}

}  // namespace

Reloader::Reloader(Options options)
    : options_(std::move(options)),
      receivers_gauge_(options_.env.registry->AddGauge("alertmanager_receivers",
                                                       "Number of configured receivers.")),
      integrations_gauge_(options_.env.registry->AddGauge("alertmanager_integrations",
                                                          "Number of configured integrations.")),
      rules_gauge_(options_.env.registry->AddGauge("alertmanager_inhibition_rules",
                                                   "Number of configured inhibition rules.")),
      hash_gauge_(options_.env.registry->AddGauge(
          "alertmanager_config_hash", "Hash of the currently loaded alertmanager configuration.")),
      groups_gauge_(options_.env.registry->AddGauge("alertmanager_dispatcher_aggregation_groups",
                                                    "Number of active aggregation groups")),
      processing_(options_.env.registry->AddSummary(
          "alertmanager_dispatcher_alert_processing_duration_seconds",
          "Summary of latencies for the processing of alerts.", {})) {}

absl::StatusOr<std::shared_ptr<notify::Templates>> Reloader::LoadTemplates(
    const std::vector<std::string>& patterns) {
  auto templates = std::make_shared<notify::Templates>(options_.env.clock);
  for (const std::string& pattern : patterns) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                             options_.env.file_system->Glob(pattern));
    for (const std::string& path : paths) {
      NARTHEX_ASSIGN_OR_RETURN(const std::string text, options_.env.file_system->ReadFile(path));
      const absl::Status status = templates->AddFile(io::BaseName(path), text);
      if (!status.ok()) return Annotate(status, path);
    }
  }
  return templates;
}

absl::StatusOr<std::vector<notify::Slot>> Reloader::BuildSlots(
    const ReceiverConfig& receiver, const std::shared_ptr<notify::Templates>& templates) {
  notify::IntegrationEnv env;
  env.clock = options_.env.clock;
  env.file_system = options_.env.file_system;
  env.client = options_.client;
  env.templates = templates;
  env.external_url = options_.external_url;
  env.user_agent = StrCat("Alertmanager/", options_.version);
  std::vector<notify::Slot> slots;
  uint32_t index = 0;
  for (const IntegrationConfig& config : receiver.integrations) {
    // The other kinds are named in a warning and a gauge (UnusedSections).
    if (config.kind != "webhook") continue;
    notify::WebhookOptions webhook;
    webhook.url = config.fields.Text("url");
    webhook.url_file = config.fields.Text("url_file");
    webhook.max_alerts = static_cast<uint64_t>(config.fields.Int("max_alerts"));
    webhook.timeout = config.fields.Duration("timeout");
    const absl::StatusOr<http::ClientConfig> client =
        discovery::MakeClientConfig(*config.http_client, options_.env.file_system);
    if (!client.ok()) return config.place.Error(StrCat("http_config: ", Message(client.status())));
    webhook.client_config = std::make_shared<const http::ClientConfig>(*client);
    notify::Slot slot;
    slot.kind = config.kind;
    slot.index = index++;
    slot.send_resolved = config.send_resolved;
    slot.integration = std::make_unique<notify::Webhook>(std::move(webhook), env);
    slots.push_back(std::move(slot));
  }
  return slots;
}

absl::StatusOr<Reloader::Built> Reloader::Build() {
  const service::Env& env = options_.env;
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, env.file_system->ReadFile(options_.config_file));
  NARTHEX_ASSIGN_OR_RETURN(const Config config, alertmanager_config::LoadText(
                                                    text, options_.config_file, options_.load));
  NARTHEX_ASSIGN_OR_RETURN(const std::shared_ptr<notify::Templates> templates,
                           LoadTemplates(config.templates));
  Built built;
  built.inhibitor = std::make_shared<inhibit::Inhibitor>(ToRules(config), env.clock);
  const std::shared_ptr<const notify::NamedIntervals> intervals = ToIntervals(config);

  const notify::NotifyMetrics& metrics = *options_.metrics;
  const std::vector<std::shared_ptr<notify::Stage>> stages = {
      std::make_shared<notify::MuteStage>(
          [inhibitor = built.inhibitor](const Labels& labels) {
            return !inhibitor->InhibitedBy(labels).empty();
          },
          metrics.Suppressed("inhibition")),
      std::make_shared<notify::IntervalStage>(intervals, metrics.Suppressed("mute_time_interval"),
                                              metrics.Suppressed("active_time_interval")),
      std::make_shared<notify::MuteStage>(
          [silences = options_.silences](const Labels& labels) {
            return !silences->SilencedBy(labels).empty();
          },
          metrics.Suppressed("silence"))};
  notify::PipelineEnv pipeline_env;
  pipeline_env.clock = env.clock;
  pipeline_env.timers = options_.timers;
  pipeline_env.log = options_.log;
  pipeline_env.metrics = options_.metrics;
  pipeline_env.executor = options_.executor;
  pipeline_env.logger = env.logger.With({{"component", "dispatcher"}});

  // Receivers that no route uses are not built, and their mistakes go unseen, as upstream does.
  const std::vector<std::string> used = alertmanager_config::UsedReceivers(config);
  std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines;
  auto view = std::make_shared<alertmanager_api::View>();
  for (const ReceiverConfig& receiver : config.receivers) {
    view->receivers.push_back(receiver.name);
    if (!std::binary_search(used.begin(), used.end(), receiver.name)) {
      env.logger.Info("skipping creation of receiver not referenced by any route",
                      {{"receiver", receiver.name}});
      continue;
    }
    NARTHEX_ASSIGN_OR_RETURN(std::vector<notify::Slot> slots, BuildSlots(receiver, templates));
    built.integrations += slots.size();
    pipelines[receiver.name] =
        std::make_shared<notify::Pipeline>(receiver.name, stages, std::move(slots), pipeline_env);
  }
  built.receivers = pipelines.size();

  dispatch::DispatcherEnv dispatcher_env;
  dispatcher_env.clock = env.clock;
  dispatcher_env.timers = options_.timers;
  dispatcher_env.executor = options_.executor;
  dispatcher_env.logger = env.logger.With({{"component", "dispatcher"}});
  dispatcher_env.groups = groups_gauge_;
  dispatcher_env.processing_duration = processing_;
  built.dispatcher = std::make_shared<dispatch::Dispatcher>(
      dispatch::Route::Build(ToSpec(config.route)), std::move(pipelines), std::move(dispatcher_env),
      options_.not_before);

  view->dispatcher = built.dispatcher;
  view->inhibitor = built.inhibitor;
  view->intervals = intervals;
  view->config_text = alertmanager_config::PrintConfig(config);
  built.view = std::move(view);
  built.warnings = config.warnings;
  built.unused = alertmanager_config::UnusedSections(config);
  built.resolve_timeout = config.resolve_timeout;
  built.inhibition_rules = config.inhibit_rules.size();
  built.hash = StableHash(text);
  return built;
}

absl::Status Reloader::Load() {
  NARTHEX_ASSIGN_OR_RETURN(Built built, Build());
  Apply(std::move(built));
  return absl::OkStatus();
}

void Reloader::Apply(Built built) {
  for (const std::string& warning : built.warnings) options_.env.logger.Warn(warning);
  WarnOfUnused(built.unused);
  Stop();
  options_.ingestion->set_resolve_timeout(built.resolve_timeout);
  {
    MutexLock lock(&mu_);
    inhibitor_ = built.inhibitor;
    dispatcher_ = built.dispatcher;
    view_ = built.view;
  }
  // The inhibitor knows every alert before the first group can flush.
  options_.store->AddListener(built.inhibitor.get());
  options_.store->AddListener(built.dispatcher.get());
  receivers_gauge_->Set(static_cast<double>(built.receivers));
  integrations_gauge_->Set(static_cast<double>(built.integrations));
  rules_gauge_->Set(static_cast<double>(built.inhibition_rules));
  constexpr unsigned kHashBits = 48;
  hash_gauge_->Set(static_cast<double>(built.hash >> (64 - kHashBits)));
}

void Reloader::Stop() {
  std::shared_ptr<inhibit::Inhibitor> inhibitor;
  std::shared_ptr<dispatch::Dispatcher> dispatcher;
  {
    MutexLock lock(&mu_);
    inhibitor = inhibitor_;
    dispatcher = dispatcher_;
  }
  if (dispatcher == nullptr) return;
  options_.store->RemoveListener(dispatcher.get());
  options_.store->RemoveListener(inhibitor.get());
  dispatcher->Stop(kStopGrace);
}

void Reloader::WarnOfUnused(const std::vector<std::string>& unused) {
  const std::set<std::string> names(unused.begin(), unused.end());
  for (const std::string& name : unused_) {
    if (!names.contains(name)) options_.env.registry->Remove(kUnusedGauge, {{"name", name}});
  }
  for (const std::string& name : names) {
    options_.env.registry->AddGauge(kUnusedGauge, kUnusedHelp, {{"name", name}})->Set(1);
    if (!warned_.insert(name).second) continue;
    options_.env.logger.Warn(
        "the configuration has what this version accepts and does nothing with", {{"name", name}});
  }
  unused_ = names;
}

std::shared_ptr<const alertmanager_api::View> Reloader::view() const {
  MutexLock lock(&mu_);
  return view_;
}

std::shared_ptr<inhibit::Inhibitor> Reloader::inhibitor() const {
  MutexLock lock(&mu_);
  return inhibitor_;
}

}  // namespace narthex::alertmanager_service
