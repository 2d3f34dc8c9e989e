#include "services/query/rules/alerting_rule.h"

#include <algorithm>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/labels_builder.h"
#include "lib/model/sample.h"
#include "lib/model/stale.h"

namespace narthex::rules {
namespace {

constexpr std::string_view kAlertName = "alertname";
constexpr std::string_view kAlertStateLabel = "alertstate";
constexpr std::string_view kAlertMetric = "ALERTS";
constexpr std::string_view kAlertForStateMetric = "ALERTS_FOR_STATE";

// A resolved alert is sent again for so long, in case the first message was lost or Alertmanager
// was restarted.
constexpr absl::Duration kResolvedRetention = absl::Minutes(15);
constexpr absl::Duration kRestoreTimeout = absl::Minutes(1);

gotemplate::LabelPairs ToPairs(const Labels& labels) {
  gotemplate::LabelPairs pairs;
  pairs.reserve(labels.size());
  for (const LabelView label : labels) pairs.emplace_back(label.name, label.value);
  return pairs;
}

// The function `query` of templates.
absl::StatusOr<std::vector<gotemplate::QuerySample>> TemplateQuery(const Evaluation& evaluation,
                                                                   std::string_view expression,
                                                                   absl::Time time) {
  NARTHEX_ASSIGN_OR_RETURN(const promql::ExprPtr expr, evaluation.engine->Parse(expression));
  Evaluation at = evaluation;
  at.time = time;
  at.query_offset = absl::ZeroDuration();
  NARTHEX_ASSIGN_OR_RETURN(const promql::Vector vector, at.Query(*expr));
  std::vector<gotemplate::QuerySample> samples;
  samples.reserve(vector.size());
  for (const promql::VectorSample& sample : vector) {
    samples.push_back({ToPairs(sample.labels), sample.value});
  }
  return samples;
}

bool NeedsSending(const ActiveAlert& alert, absl::Time time, absl::Duration resend_delay) {
  if (alert.state == AlertState::kPending) return false;
  return alert.resolved_at > alert.last_sent_at || alert.last_sent_at + resend_delay < time;
}

// When the alert that was last seen at `down_at` and active since `active_at` has to have begun for
// its remaining time to be the same now, or the grace period if that is longer.
absl::Time RestoredStart(absl::Time active_at, absl::Time down_at, absl::Time now,
                         absl::Duration hold, absl::Duration grace_period) {
  const absl::Duration remaining = hold - (down_at - active_at);
  if (remaining <= absl::ZeroDuration()) return active_at;  // It was firing.
  if (remaining < grace_period) return now + grace_period - hold;
  return active_at + (now - down_at);
}

}  // namespace

std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kInactive:
      return "inactive";
    case AlertState::kPending:
      return "pending";
    case AlertState::kFiring:
      return "firing";
    case AlertState::kUnknown:
      break;
  }
  return "unknown";
}

ActiveAlert AlertingRule::MakeAlert(const promql::VectorSample& sample,
                                    const Evaluation& evaluation) const {
  gotemplate::RuleData data;
  data.labels = ToPairs(sample.labels);
  data.external_labels = ToPairs(evaluation.external_labels);
  data.external_url = evaluation.external_url;
  data.value = sample.value;
  gotemplate::RuleEnvironment environment;
  environment.query = [&](std::string_view expression, absl::Time time) {
    return TemplateQuery(evaluation, expression, time);
  };
  environment.time = evaluation.time;
  environment.external_url = evaluation.external_url;
  const auto expand = [&](const TemplateText& text) -> std::string {
    absl::StatusOr<std::string> expanded = text.compiled.Expand(data, environment);
    if (expanded.ok()) return *std::move(expanded);
    evaluation.logger.Warn("expanding an alert template failed",
                           {{"alert", definition_->name}, {"error", expanded.status()}});
    return StrCat("<error expanding template: ", Message(expanded.status()), ">");
  };

  LabelsBuilder labels(sample.labels);
  labels.Del(kMetricName);
  for (const TemplateText& text : definition_->label_templates) {
    labels.Set(text.name, expand(text));
  }
  labels.Set(kAlertName, definition_->name);
  LabelsBuilder annotations;
  for (const TemplateText& text : definition_->annotation_templates) {
    annotations.Set(text.name, expand(text));
  }
  ActiveAlert alert;
  alert.labels = labels.Build();
  alert.annotations = annotations.Build();
  alert.value = sample.value;
  alert.active_at = evaluation.time;
  return alert;
}

bool AlertingRule::Advance(bool in_result, absl::Time time, ActiveAlert* alert) const {
  if (!in_result) {
    if (alert->state == AlertState::kPending) return false;
    if (alert->state == AlertState::kInactive) {
      return time - alert->resolved_at <= kResolvedRetention;
    }
    bool keep_firing = false;
    if (definition_->keep_firing_for > absl::ZeroDuration()) {
      if (alert->keep_firing_since == absl::InfinitePast()) alert->keep_firing_since = time;
      keep_firing = time - alert->keep_firing_since < definition_->keep_firing_for;
    }
    if (!keep_firing) {
      alert->state = AlertState::kInactive;
      alert->resolved_at = time;
    }
    return true;
  }
  alert->keep_firing_since = absl::InfinitePast();
  if (alert->state == AlertState::kPending && time - alert->active_at >= definition_->hold) {
    alert->state = AlertState::kFiring;
    alert->fired_at = time;
  }
  return true;
}

absl::StatusOr<promql::Vector> AlertingRule::Evaluate(const Evaluation& evaluation) {
  NARTHEX_ASSIGN_OR_RETURN(const promql::Vector result, evaluation.Query(*definition_->expr));
  absl::flat_hash_map<Labels, ActiveAlert> found;
  for (const promql::VectorSample& sample : result) {
    ActiveAlert alert = MakeAlert(sample, evaluation);
    const Labels labels = alert.labels;
    if (!found.try_emplace(labels, std::move(alert)).second) {
      return FailedPrecondition(
          "vector contains metrics with the same labelset after applying alert labels");
    }
  }

  MutexLock lock(&mu_);
  evaluated_ = true;
  for (auto& [labels, alert] : found) {
    const auto it = active_.find(labels);
    if (it != active_.end() && it->second.state != AlertState::kInactive) {
      it->second.value = alert.value;
      it->second.annotations = alert.annotations;
    } else {
      active_[labels] = alert;
    }
  }
  const Timestamp sample_time = evaluation.sample_time();
  promql::Vector samples;
  size_t alerts = 0;
  LabelsBuilder builder;
  for (auto it = active_.begin(); it != active_.end();) {
    ActiveAlert& alert = it->second;
    if (!Advance(found.contains(it->first), evaluation.time, &alert)) {
      active_.erase(it++);
      continue;
    }
    ++it;
    if (alert.state == AlertState::kInactive) continue;
    ++alerts;
    if (!restored_) continue;
    builder.Reset(alert.labels);
    builder.Set(kMetricName, kAlertForStateMetric);
    const double active_seconds = static_cast<double>(absl::ToUnixSeconds(alert.active_at));
    samples.push_back({builder.Build(), sample_time, active_seconds});
    builder.Set(kMetricName, kAlertMetric);
    builder.Set(kAlertStateLabel, AlertStateName(alert.state));
    samples.push_back({builder.Build(), sample_time, 1});
  }
  if (evaluation.limit > 0 && alerts > evaluation.limit) {
    active_.clear();
    return FailedPrecondition("exceeded limit of ", evaluation.limit, " with ", alerts, " alerts");
  }
  return samples;
}

absl::Status AlertingRule::Restore(storage::Querier* querier, absl::Time now,
                                   const RestoreOptions& options) {
  {
    MutexLock lock(&mu_);
    // A rule whose whole wait is shorter than the grace period loses less by waiting again.
    if (active_.empty() || definition_->hold < options.grace_period) restored_ = true;
    if (restored_) return absl::OkStatus();
  }
  storage::Selector selector;
  selector.matchers = {Matcher::Equal(kMetricName, kAlertForStateMetric),
                       Matcher::Equal(kAlertName, definition_->name)};
  selector.hints.start = ToTimestamp(now - options.outage_tolerance);
  selector.hints.end = ToTimestamp(now);
  storage::SelectOptions select_options;
  select_options.deadline = now + kRestoreTimeout;
  NARTHEX_ASSIGN_OR_RETURN(storage::SelectResult result,
                           querier->Select(std::span(&selector, 1), select_options));
  storage::SeriesSet& set = *result.sets[0];
  absl::flat_hash_map<Labels, Sample> last_samples;
  SampleBuffer samples;
  while (set.Next()) {
    samples.Clear();
    NARTHEX_RETURN_IF_ERROR(set.ReadSamples(&samples));
    if (samples.empty() || IsStale(samples.values().back())) continue;
    LabelsBuilder labels(set.labels());
    labels.Del(kMetricName);
    last_samples[labels.Build()] = {samples.timestamps().back(), samples.values().back()};
  }
  NARTHEX_RETURN_IF_ERROR(set.status());

  MutexLock lock(&mu_);
  for (auto& [labels, alert] : active_) {
    const auto it = last_samples.find(labels);
    if (it == last_samples.end() || alert.state == AlertState::kInactive) continue;
    // Whole seconds, as upstream counts them.
    const absl::Time down_at = absl::FromUnixSeconds(it->second.timestamp / 1000);
    const absl::Time active_at = absl::FromUnixSeconds(static_cast<int64_t>(it->second.value));
    alert.active_at =
        RestoredStart(active_at, down_at, now, definition_->hold, options.grace_period);
  }
  restored_ = true;
  return absl::OkStatus();
}

bool AlertingRule::restored() const {
  MutexLock lock(&mu_);
  return restored_;
}

void AlertingRule::TakeAlertsFrom(const AlertingRule& from) {
  absl::flat_hash_map<Labels, ActiveAlert> alerts;
  bool restored;
  {
    MutexLock lock(&from.mu_);
    alerts = from.active_;
    restored = from.restored_;
  }
  MutexLock lock(&mu_);
  active_ = std::move(alerts);
  restored_ = restored;
}

std::vector<Alert> AlertingRule::TakeAlertsToSend(absl::Time time, absl::Duration resend_delay,
                                                  absl::Duration interval) {
  // Room for two evaluations or two messages that fail.
  const absl::Time valid_until = time + 4 * std::max(interval, resend_delay);
  std::vector<Alert> alerts;
  MutexLock lock(&mu_);
  for (auto& [labels, alert] : active_) {
    if (!NeedsSending(alert, time, resend_delay)) continue;
    alert.last_sent_at = time;
    const bool resolved = alert.resolved_at != absl::InfinitePast();
    alerts.push_back({alert.labels, alert.annotations, alert.fired_at,
                      resolved ? alert.resolved_at : valid_until, ""});
  }
  return alerts;
}

AlertState AlertingRule::state() const {
  MutexLock lock(&mu_);
  if (!evaluated_) return AlertState::kUnknown;
  AlertState state = AlertState::kInactive;
  for (const auto& [labels, alert] : active_) state = std::max(state, alert.state);
  return state;
}

std::vector<ActiveAlert> AlertingRule::alerts() const {
  std::vector<ActiveAlert> alerts;
  {
    MutexLock lock(&mu_);
    for (const auto& [labels, alert] : active_) {
      if (alert.state != AlertState::kInactive) alerts.push_back(alert);
    }
  }
  std::sort(alerts.begin(), alerts.end(),
            [](const ActiveAlert& a, const ActiveAlert& b) { return a.labels < b.labels; });
  return alerts;
}

}  // namespace narthex::rules
