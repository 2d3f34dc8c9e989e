#ifndef NARTHEX_SERVICES_QUERY_RULES_RECORDING_RULE_H_
#define NARTHEX_SERVICES_QUERY_RULES_RECORDING_RULE_H_

#include "services/query/rules/rule.h"

namespace narthex::rules {

// Writes the value of an expression under a new metric name. It keeps nothing between evaluations.
// Thread safety: as Rule.
class RecordingRule : public Rule {
 public:
  using Rule::Rule;
  absl::StatusOr<promql::Vector> Evaluate(const Evaluation& evaluation) override;
};

}  // namespace narthex::rules

#endif  // NARTHEX_SERVICES_QUERY_RULES_RECORDING_RULE_H_
