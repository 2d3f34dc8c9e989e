#ifndef NARTHEX_SERVICES_QUERY_RULES_ALERTING_RULE_H_
#define NARTHEX_SERVICES_QUERY_RULES_ALERTING_RULE_H_

#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/model/alert.h"
#include "services/query/rules/rule.h"

namespace narthex::rules {

// In order of weight: a rule's state is that of its heaviest alert.
enum class AlertState { kUnknown, kInactive, kPending, kFiring };
std::string_view AlertStateName(AlertState state);

// One alert of a rule: an element of the expression's last results, or one that was.
// InfinitePast() is "never".
struct ActiveAlert {
  Labels labels;
  Labels annotations;
  AlertState state = AlertState::kPending;
  double value = 0;
  absl::Time active_at = absl::InfinitePast();
  absl::Time fired_at = absl::InfinitePast();
  absl::Time resolved_at = absl::InfinitePast();
  absl::Time keep_firing_since = absl::InfinitePast();
  absl::Time last_sent_at = absl::InfinitePast();
};

struct RestoreOptions {
  absl::Duration outage_tolerance = absl::Hours(1);
  absl::Duration grace_period = absl::Minutes(10);
};

// Watches an expression: each element is an alert that is pending until it has been there for
// `for`, then fires, and is resolved when it goes (and keep_firing_for is over). A resolved alert
// is kept for 15 minutes, so that it can be sent again.
//
// The series ALERTS and ALERTS_FOR_STATE are given only once the state from before a restart has
// been restored, lest they cover what is to be read. Thread safety: as Rule.
class AlertingRule : public Rule {
 public:
  // `restored`: there is nothing to restore.
  AlertingRule(std::shared_ptr<const RuleDefinition> definition, bool restored)
      : Rule(std::move(definition)), restored_(restored) {}

  absl::StatusOr<promql::Vector> Evaluate(const Evaluation& evaluation) override;

  // Takes the start of alerts that are active again from ALERTS_FOR_STATE, as if the time without
  // us had not been. OK when there is nothing to restore; after an error it may be called again.
  absl::Status Restore(storage::Querier* querier, absl::Time now, const RestoreOptions& options);
  bool restored() const;
  // Alerts of an older version of this rule go on.
  void TakeAlertsFrom(const AlertingRule& from);

  // The alerts that must be sent at `time` (new, resolved, or not sent for `resend_delay`), marked
  // as sent. A firing alert ends at `time` plus four times the longer of interval and resend_delay,
  // unless it is sent again.
  std::vector<Alert> TakeAlertsToSend(absl::Time time, absl::Duration resend_delay,
                                      absl::Duration interval);

  AlertState state() const;
  // Pending and firing alerts, in order of labels.
  std::vector<ActiveAlert> alerts() const;

 private:
  // Labels and annotations of the alert for `sample`.
  ActiveAlert MakeAlert(const promql::VectorSample& sample, const Evaluation& evaluation) const;
  // Moves the state of `alert` to `time`. False when it is to be forgotten.
  bool Advance(bool in_result, absl::Time time, ActiveAlert* alert) const;

  bool restored_ ABSL_GUARDED_BY(mu_);
  bool evaluated_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_map<Labels, ActiveAlert> active_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::rules

#endif  // NARTHEX_SERVICES_QUERY_RULES_ALERTING_RULE_H_
