#include "services/query/rules/recording_rule.h"

#include "absl/container/flat_hash_set.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/labels_builder.h"

namespace narthex::rules {

absl::StatusOr<promql::Vector> RecordingRule::Evaluate(const Evaluation& evaluation) {
  NARTHEX_ASSIGN_OR_RETURN(promql::Vector vector, evaluation.Query(*definition_->expr));
  LabelsBuilder builder;
  absl::flat_hash_set<Labels> seen;
  seen.reserve(vector.size());
  for (promql::VectorSample& sample : vector) {
    builder.Reset(sample.labels);
    builder.Set(kMetricName, definition_->name);
    for (const auto& [name, value] : definition_->labels) builder.Set(name, value);
    sample.labels = builder.Build();
    if (!seen.insert(sample.labels).second) {
      return FailedPrecondition(
          "vector contains metrics with the same labelset after applying rule labels");
    }
  }
  if (evaluation.limit > 0 && vector.size() > evaluation.limit) {
    return FailedPrecondition("exceeded limit of ", evaluation.limit, " with ", vector.size(),
                              " series");
  }
  return vector;
}

}  // namespace narthex::rules
