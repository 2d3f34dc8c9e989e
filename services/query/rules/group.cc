#include "services/query/rules/group.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "lib/storage/histogram_appender.h"
#include "services/query/rules/recording_rule.h"

namespace narthex::rules {
namespace {

// Errors that say nothing about the rule: there was nobody to answer.
bool IsStoreAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// What makes a rule the same one in a changed group.
std::string NameAndLabels(const RuleDefinition& rule) {
  std::string text = rule.name;
  for (const auto& [name, value] : rule.labels) StrAppend(&text, '\xff', name, '\xff', value);
  return text;
}

AlertingRule* AsAlerting(Rule* rule) {
  return rule->definition().alerting ? static_cast<AlertingRule*>(rule) : nullptr;
}

}  // namespace

std::string GroupDefinition::key() const { return StrCat(file, ";", name); }

bool operator==(const GroupDefinition& a, const GroupDefinition& b) {
  return a.name == b.name && a.file == b.file && a.interval == b.interval &&
         a.query_offset == b.query_offset && a.limit == b.limit &&
         std::equal(a.rules.begin(), a.rules.end(), b.rules.begin(), b.rules.end(),
                    [](const auto& x, const auto& y) { return *x == *y; });
}

Group::Group(GroupDefinition definition, const RuleEnvironment* environment, bool restored)
    : definition_(std::move(definition)),
      environment_(environment),
      previous_series_(definition_.rules.size()),
      restored_(restored) {
  for (const std::shared_ptr<const RuleDefinition>& rule : definition_.rules) {
    if (rule->alerting) {
      rules_.push_back(std::make_unique<AlertingRule>(rule, restored));
    } else {
      rules_.push_back(std::make_unique<RecordingRule>(rule));
    }
  }
  metrics::Registry* const registry = environment->registry;
  const metrics::LabelMap labels = {{"rule_group", definition_.key()}};
  metrics_.evaluations = registry->AddCounter("prometheus_rule_evaluations_total",
                                              "The total number of rule evaluations.", labels);
  metrics_.evaluation_failures =
      registry->AddCounter("prometheus_rule_evaluation_failures_total",
                           "The total number of rule evaluation failures.", labels);
  metrics_.iterations = registry->AddCounter(
      "prometheus_rule_group_iterations_total",
      "The total number of scheduled rule group evaluations, whether executed or missed.", labels);
  metrics_.iterations_missed = registry->AddCounter(
      "prometheus_rule_group_iterations_missed_total",
      "The total number of rule group evaluations missed due to slow rule group evaluation.",
      labels);
  metrics_.last_evaluation =
      registry->AddGauge("prometheus_rule_group_last_evaluation_timestamp_seconds",
                         "The timestamp of the last rule group evaluation in seconds.", labels);
  metrics_.last_duration =
      registry->AddGauge("prometheus_rule_group_last_duration_seconds",
                         "The duration of the last rule group evaluation.", labels);
  metrics_.last_rule_duration_sum = registry->AddGauge(
      "prometheus_rule_group_last_rule_duration_sum_seconds",
      "The sum of the durations of the rules in the last evaluation of the group.", labels);
  metrics_.last_restore_duration = registry->AddGauge(
      "prometheus_rule_group_last_restore_duration_seconds",
      "The duration of the last restoration of the state of alerting rules.", labels);
  metrics_.last_samples = registry->AddGauge(
      "prometheus_rule_group_last_evaluation_samples",
      "The number of samples returned during the last rule group evaluation.", labels);
  metrics_.rule_duration =
      registry->AddSummary("prometheus_rule_evaluation_duration_seconds",
                           "The duration for a rule to execute.", {0.5, 0.9, 0.99});
  metrics_.group_duration =
      registry->AddSummary("prometheus_rule_group_duration_seconds",
                           "The duration of rule group evaluations.", {0.01, 0.05, 0.5, 0.9, 0.99});
  registry
      ->AddGauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.", labels)
      ->Set(absl::ToDoubleSeconds(definition_.interval));
  registry->AddGauge("prometheus_rule_group_rules", "The number of rules.", labels)
      ->Set(static_cast<double>(rules_.size()));
}

void Group::RemoveMetrics(metrics::Registry* registry, const std::string& key) {
  for (const std::string_view name :
       {"prometheus_rule_evaluations_total", "prometheus_rule_evaluation_failures_total",
        "prometheus_rule_group_iterations_total", "prometheus_rule_group_iterations_missed_total",
        "prometheus_rule_group_last_evaluation_timestamp_seconds",
        "prometheus_rule_group_last_duration_seconds",
        "prometheus_rule_group_last_rule_duration_sum_seconds",
        "prometheus_rule_group_last_restore_duration_seconds",
        "prometheus_rule_group_last_evaluation_samples", "prometheus_rule_group_interval_seconds",
        "prometheus_rule_group_rules"}) {
    registry->Remove(name, {{"rule_group", key}});
  }
}

absl::Time Group::SlotAtOrBefore(absl::Time now) const {
  // Upstream's hash of the label set {file, name}, so that a group keeps its slots when one program
  // replaces the other.
  const uint64_t hash =
      StableHash(StrCat("file\xff", definition_.file, "\xffname\xff", definition_.name, "\xff"));
  const int64_t interval = absl::ToInt64Nanoseconds(definition_.interval);
  const int64_t offset = static_cast<int64_t>(hash % static_cast<uint64_t>(interval));
  const int64_t shifted = absl::ToUnixNanos(now) - offset;
  int64_t remainder = shifted % interval;
  if (remainder < 0) remainder += interval;
  return absl::FromUnixNanos(shifted - remainder + offset);
}

absl::Status Group::Evaluate(absl::Time slot, int64_t missed, const Labels& external_labels,
                             const std::function<bool()>& cancelled) {
  Clock* const clock = environment_->clock;
  const absl::Duration begin = clock->Monotonic();
  metrics_.iterations->Increment(static_cast<double>(missed + 1));
  metrics_.iterations_missed->Increment(static_cast<double>(missed));

  Evaluation evaluation;
  evaluation.engine = environment_->engine;
  evaluation.querier = environment_->querier;
  evaluation.time = slot;
  evaluation.query_offset = definition_.query_offset;
  evaluation.limit = definition_.limit;
  evaluation.external_labels = external_labels;
  evaluation.external_url = environment_->external_url;
  evaluation.cancelled = cancelled;
  evaluation.origin.rule_file = definition_.file;
  evaluation.origin.rule_group = definition_.name;
  evaluation.logger = environment_->logger;

  absl::Status away;
  size_t samples = 0;
  absl::Duration rule_durations;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (cancelled && cancelled()) return absl::OkStatus();
    const absl::Status status = EvaluateRule(i, evaluation, &samples);
    rule_durations += rules_[i]->status().evaluation_duration;
    if (!IsStoreAway(status) || !away.ok()) continue;
    away = status;
    // At once and for the whole group: the rules behind this one may each wait for a timeout.
    for (const std::unique_ptr<Rule>& rule : rules_) {
      if (AlertingRule* alerting = AsAlerting(rule.get())) SendAlerts(alerting, clock->Now());
    }
  }
  if (cancelled && cancelled()) return absl::OkStatus();
  CleanUpStaleSeries(evaluation.sample_time());

  // The first evaluation may have come before scrapes and recording rules had caught up.
  if (++evaluations_ >= 2 && !restored_) RestoreAlerts();

  const absl::Duration duration = clock->Monotonic() - begin;
  metrics_.last_samples->Set(static_cast<double>(samples));
  metrics_.last_duration->Set(absl::ToDoubleSeconds(duration));
  metrics_.last_rule_duration_sum->Set(absl::ToDoubleSeconds(rule_durations));
  metrics_.last_evaluation->Set(static_cast<double>(absl::ToUnixNanos(slot)) / 1e9);
  metrics_.group_duration->Observe(absl::ToDoubleSeconds(duration));
  MutexLock lock(&mu_);
  evaluation_duration_ = duration;
  last_evaluation_ = slot;
  return away;
}

absl::Status Group::EvaluateRule(size_t index, const Evaluation& evaluation, size_t* samples) {
  Rule* const rule = rules_[index].get();
  Clock* const clock = environment_->clock;
  const absl::Duration begin = clock->Monotonic();
  metrics_.evaluations->Increment();
  absl::StatusOr<promql::Vector> result = rule->Evaluate(evaluation);
  absl::Status status = result.status();

  RuleStatus rule_status;
  rule_status.last_evaluation = evaluation.time;
  rule_status.evaluation_duration = clock->Monotonic() - begin;
  rule_status.health = status.ok() ? RuleHealth::kOk : RuleHealth::kError;
  rule_status.last_error = std::string(Message(status));
  metrics_.rule_duration->Observe(absl::ToDoubleSeconds(rule_status.evaluation_duration));
  rule->SetStatus(std::move(rule_status));

  if (result.ok()) {
    *samples += result->size();
    // Before the samples are written: an alert does not wait for storage.
    if (AlertingRule* alerting = AsAlerting(rule)) SendAlerts(alerting, evaluation.time);
    status = WriteSamples(index, *result, evaluation.sample_time());
    if (!status.ok()) rule->SetError(status);
  }
  // A cancelled evaluation is one that a reload or the end has cut short.
  if (!status.ok() && !absl::IsCancelled(status)) {
    metrics_.evaluation_failures->Increment();
    environment_->logger.Warn("evaluating a rule failed", {{"file", definition_.file},
                                                           {"group", definition_.name},
                                                           {"name", rule->definition().name},
                                                           {"index", index},
                                                           {"error", status}});
  }
  return status;
}

absl::Status Group::WriteSamples(size_t index, const promql::Vector& samples, Timestamp time) {
  SeriesSet& previous = previous_series_[index];
  if (samples.empty() && previous.empty()) return absl::OkStatus();
  const std::unique_ptr<storage::Appender> appender = environment_->new_appender();
  SeriesSet written;
  size_t refused = 0;
  for (const promql::VectorSample& sample : samples) {
    const storage::Refusal refusal =
        sample.histogram != nullptr
            ? storage::AppendHistogram(appender.get(), sample.labels, sample.timestamp,
                                       *sample.histogram)
            : appender->Append(sample.labels, sample.timestamp, sample.value);
    if (refusal == storage::Refusal::kNone) {
      written.insert(sample.labels);
    } else {
      ++refused;
    }
  }
  for (const Labels& labels : previous) {
    if (!written.contains(labels)) appender->Append(labels, time, StaleNan());
  }
  const absl::Status status = appender->Commit();
  if (!status.ok()) return Annotate(status, "writing the results");
  previous = std::move(written);
  if (refused > 0) {
    environment_->logger.Warn("samples of a rule were refused",
                              {{"file", definition_.file},
                               {"group", definition_.name},
                               {"name", rules_[index]->definition().name},
                               {"samples", refused}});
  }
  return absl::OkStatus();
}

void Group::SendAlerts(AlertingRule* rule, absl::Time time) {
  std::vector<Alert> alerts =
      rule->TakeAlertsToSend(time, environment_->resend_delay, definition_.interval);
  if (alerts.empty()) return;
  const std::string url = environment_->generator_url(rule->definition().expression);
  for (Alert& alert : alerts) alert.generator_url = url;
  environment_->send_alerts(std::move(alerts));
}

void Group::CleanUpStaleSeries(Timestamp time) {
  if (stale_series_.empty()) return;
  const std::unique_ptr<storage::Appender> appender = environment_->new_appender();
  for (const Labels& labels : stale_series_) appender->Append(labels, time, StaleNan());
  const absl::Status status = appender->Commit();
  if (status.ok()) {
    stale_series_.clear();
  } else {
    environment_->logger.Warn("ending the series of rules that are gone failed",
                              {{"group", definition_.name}, {"error", status}});
  }
}

void Group::RestoreAlerts() {
  Clock* const clock = environment_->clock;
  const absl::Duration begin = clock->Monotonic();
  bool all = true;
  for (const std::unique_ptr<Rule>& rule : rules_) {
    AlertingRule* const alerting = AsAlerting(rule.get());
    if (alerting == nullptr || alerting->restored()) continue;
    const absl::Status status =
        alerting->Restore(environment_->querier, clock->Now(), environment_->restore);
    if (status.ok()) continue;
    all = false;  // Tried again after the next evaluation.
    environment_->logger.Warn(
        "restoring the state of an alert failed",
        {{"group", definition_.name}, {"alert", alerting->definition().name}, {"error", status}});
  }
  restored_ = all;
  metrics_.last_restore_duration->Set(absl::ToDoubleSeconds(clock->Monotonic() - begin));
}

void Group::CopyStateFrom(const Group& from) {
  {
    MutexLock lock(&from.mu_);
    MutexLock own_lock(&mu_);
    evaluation_duration_ = from.evaluation_duration_;
    last_evaluation_ = from.last_evaluation_;
  }
  evaluations_ = from.evaluations_;
  restored_ = from.restored_;
  std::multimap<std::string, size_t> old_rules;
  for (size_t i = 0; i < from.rules_.size(); ++i) {
    old_rules.emplace(NameAndLabels(from.rules_[i]->definition()), i);
  }
  for (size_t i = 0; i < rules_.size(); ++i) {
    // Equal keys keep the order of insertion, so the first of several is matched with the first.
    const auto it = old_rules.lower_bound(NameAndLabels(rules_[i]->definition()));
    if (it == old_rules.end() || it->first != NameAndLabels(rules_[i]->definition())) continue;
    Rule* const old_rule = from.rules_[it->second].get();
    previous_series_[i] = from.previous_series_[it->second];
    old_rules.erase(it);
    AlertingRule* const to_alerting = AsAlerting(rules_[i].get());
    const AlertingRule* const from_alerting = AsAlerting(old_rule);
    if (to_alerting != nullptr && from_alerting != nullptr) {
      to_alerting->TakeAlertsFrom(*from_alerting);
    }
  }
  stale_series_ = from.stale_series_;
  for (const auto& [key, index] : old_rules) {
    stale_series_.insert(from.previous_series_[index].begin(), from.previous_series_[index].end());
  }
}

void Group::MarkAllStale(absl::Time time) {
  for (SeriesSet& series : previous_series_) {
    stale_series_.insert(series.begin(), series.end());
    series.clear();
  }
  CleanUpStaleSeries(ToTimestamp(time - definition_.query_offset));
}

absl::Duration Group::evaluation_duration() const {
  MutexLock lock(&mu_);
  return evaluation_duration_;
}

absl::Time Group::last_evaluation() const {
  MutexLock lock(&mu_);
  return last_evaluation_;
}

}  // namespace narthex::rules
