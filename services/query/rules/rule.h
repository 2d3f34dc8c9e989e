#ifndef NARTHEX_SERVICES_QUERY_RULES_RULE_H_
#define NARTHEX_SERVICES_QUERY_RULES_RULE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/gotemplate/prometheus_functions.h"
#include "lib/labels/labels.h"
#include "lib/log/log.h"
#include "lib/storage/storage.h"
#include "services/query/promql/engine.h"

namespace narthex::rules {

// Names and texts in order of names; unlike Labels it keeps empty values, which take a label away.
using TextPairs = std::vector<std::pair<std::string, std::string>>;

// A label or annotation of an alerting rule, parsed.
struct TemplateText {
  std::string name;
  gotemplate::RuleTemplate compiled;
};

// A rule as its file says it, with everything that can fail done. Immutable once built.
struct RuleDefinition {
  bool alerting = false;
  std::string name;  // Of the recorded metric, or of the alert.
  std::shared_ptr<const promql::Expr> expr;
  std::string expression;  // The canonical text of `expr`.
  // Those of the group already joined in.
  TextPairs labels;
  TextPairs annotations;
  absl::Duration hold;  // `for`
  absl::Duration keep_firing_for;
  // Of an alerting rule.
  std::vector<TemplateText> label_templates;
  std::vector<TemplateText> annotation_templates;

  // Whether both say the same, whatever file they are in.
  friend bool operator==(const RuleDefinition& a, const RuleDefinition& b) {
    return a.alerting == b.alerting && a.name == b.name && a.expression == b.expression &&
           a.labels == b.labels && a.annotations == b.annotations && a.hold == b.hold &&
           a.keep_firing_for == b.keep_firing_for;
  }
};

enum class RuleHealth { kUnknown, kOk, kError };
std::string_view RuleHealthName(RuleHealth health);  // "unknown" "ok" "err"

// How the last evaluation of a rule went.
struct RuleStatus {
  RuleHealth health = RuleHealth::kUnknown;
  std::string last_error;
  absl::Duration evaluation_duration;
  absl::Time last_evaluation = absl::InfinitePast();  // InfinitePast(): there was none.
};

// What one evaluation is given.
struct Evaluation {
  promql::Engine* engine = nullptr;
  storage::Querier* querier = nullptr;
  absl::Time time;  // The slot; not the wall clock.
  // The expression is evaluated, and samples are written, so much earlier.
  absl::Duration query_offset;
  size_t limit = 0;  // More results are an error; 0 is no limit.
  Labels external_labels;
  std::string external_url;
  std::function<bool()> cancelled;
  promql::QueryOrigin origin;  // For the query log.
  Logger logger;

  Timestamp sample_time() const { return ToTimestamp(time - query_offset); }
  // The expression's value at sample_time() as a vector; a scalar is one sample without labels.
  absl::StatusOr<promql::Vector> Query(const promql::Expr& expr) const;
};

// One rule with its state. Made by the Group that evaluates it.
//
// Thread safety: Evaluate() belongs to the thread that runs the group; everything else may be
// called from any thread.
class Rule {
 public:
  explicit Rule(std::shared_ptr<const RuleDefinition> definition)
      : definition_(std::move(definition)) {}
  virtual ~Rule() = default;

  const RuleDefinition& definition() const { return *definition_; }
  // The samples that the rule gives. Errors are those of the engine, and FailedPrecondition for a
  // limit or for label sets that come out equal.
  virtual absl::StatusOr<promql::Vector> Evaluate(const Evaluation& evaluation) = 0;

  RuleStatus status() const;
  void SetStatus(RuleStatus status);
  // Keeps the timing and changes the rest: writing the results failed after a good evaluation.
  void SetError(const absl::Status& error);

 protected:
  const std::shared_ptr<const RuleDefinition> definition_;
  mutable Mutex mu_;

 private:
  RuleStatus status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::rules

#endif  // NARTHEX_SERVICES_QUERY_RULES_RULE_H_
