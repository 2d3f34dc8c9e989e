#ifndef NARTHEX_SERVICES_QUERY_RULES_GROUP_H_
#define NARTHEX_SERVICES_QUERY_RULES_GROUP_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/base/clock.h"
#include "lib/metrics/registry.h"
#include "lib/model/alert.h"
#include "services/query/rules/alerting_rule.h"
#include "services/query/rules/rule.h"

namespace narthex::rules {

// A group as its file says it.
struct GroupDefinition {
  std::string name;
  std::string file;
  absl::Duration interval;
  absl::Duration query_offset;
  size_t limit = 0;  // Of each rule's results; 0 is none.
  std::vector<std::shared_ptr<const RuleDefinition>> rules;

  // "file;name": unique, and the rule_group label of the metrics.
  std::string key() const;
  friend bool operator==(const GroupDefinition& a, const GroupDefinition& b);
};

// What groups reach outside of themselves; the same for all. The pointees outlive them.
struct RuleEnvironment {
  Clock* clock = nullptr;
  Logger logger;
  metrics::Registry* registry = nullptr;
  promql::Engine* engine = nullptr;
  storage::Querier* querier = nullptr;
  std::function<std::unique_ptr<storage::Appender>()> new_appender;
  // Hands alerts on; must not block.
  std::function<void(std::vector<Alert>)> send_alerts;
  // The page that shows an expression; what alerts point back to.
  std::function<std::string(std::string_view expression)> generator_url;
  std::string external_url;
  RestoreOptions restore;
  absl::Duration resend_delay = absl::Minutes(1);
};

// Rules that are evaluated one after another at one interval, each seeing what those before it
// wrote.
//
// While the store does not answer, the alerts that fire are sent again with a new end: what cannot
// be looked at is not over.
//
// Thread safety: Evaluate(), CopyStateFrom() and MarkAllStale() belong to one thread at a time (the
// Manager sees to it); everything else may be called from any thread.
class Group {
 public:
  // `restored`: the alerts of its rules have no past to be restored.
  Group(GroupDefinition definition, const RuleEnvironment* environment, bool restored);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  const GroupDefinition& definition() const { return definition_; }
  std::span<const std::unique_ptr<Rule>> rules() const { return rules_; }

  // The group's newest slot that is not after `now`. Slots are an interval apart, and shifted by a
  // hash of file and name, so that groups spread over the interval.
  absl::Time SlotAtOrBefore(absl::Time now) const;

  // Evaluates all rules for `slot`; `missed` slots before it were passed over. Stops between rules
  // once `cancelled` says so. The status is not OK when the store did not answer some rule.
  absl::Status Evaluate(absl::Time slot, int64_t missed, const Labels& external_labels,
                        const std::function<bool()>& cancelled);

  // Goes on where the older version of this group stood: alerts of equal rules, and the series that
  // a staleness marker is still owed to. REQUIRES: `from` does not run any more.
  void CopyStateFrom(const Group& from);
  // The group is gone: ends all its series at `time`.
  void MarkAllStale(absl::Time time);

  absl::Duration evaluation_duration() const;
  absl::Time last_evaluation() const;  // InfinitePast(): there was none.

  // Takes the group's metrics away.
  static void RemoveMetrics(metrics::Registry* registry, const std::string& key);

 private:
  using SeriesSet = absl::flat_hash_set<Labels>;
  struct Metrics {
    metrics::Counter* evaluations;
    metrics::Counter* evaluation_failures;
    metrics::Counter* iterations;
    metrics::Counter* iterations_missed;
    metrics::Gauge* last_evaluation;
    metrics::Gauge* last_duration;
    metrics::Gauge* last_rule_duration_sum;
    metrics::Gauge* last_restore_duration;
    metrics::Gauge* last_samples;
    metrics::Summary* rule_duration;
    metrics::Summary* group_duration;
  };

  // The rule's status; its samples are added to *samples.
  absl::Status EvaluateRule(size_t index, const Evaluation& evaluation, size_t* samples);
  // Writes `samples`, and staleness markers for the series of the last time that are not among
  // them.
  absl::Status WriteSamples(size_t index, const promql::Vector& samples, Timestamp time);
  void SendAlerts(AlertingRule* rule, absl::Time time);
  void CleanUpStaleSeries(Timestamp time);
  void RestoreAlerts();

  // Constant after construction.
  const GroupDefinition definition_;
  const RuleEnvironment* const environment_;
  Metrics metrics_;
  std::vector<std::unique_ptr<Rule>> rules_;

  // Only touched by the thread that evaluates.
  std::vector<SeriesSet> previous_series_;  // One a rule.
  SeriesSet stale_series_;                  // Of rules that are gone.
  int evaluations_ = 0;
  bool restored_;

  mutable Mutex mu_;
  absl::Duration evaluation_duration_ ABSL_GUARDED_BY(mu_);
  absl::Time last_evaluation_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace narthex::rules

#endif  // NARTHEX_SERVICES_QUERY_RULES_GROUP_H_
