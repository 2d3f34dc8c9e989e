#include "services/query/rules/rule.h"

#include <variant>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::rules {

std::string_view RuleHealthName(RuleHealth health) {
  switch (health) {
    case RuleHealth::kOk:
      return "ok";
    case RuleHealth::kError:
      return "err";
    case RuleHealth::kUnknown:
      break;
  }
  return "unknown";
}

absl::StatusOr<promql::Vector> Evaluation::Query(const promql::Expr& expr) const {
  promql::QueryOptions options;
  options.cancelled = cancelled;
  options.origin = origin;
  NARTHEX_ASSIGN_OR_RETURN(promql::Result result,
                           engine->Instant(querier, expr, sample_time(), options));
  if (auto* vector = std::get_if<promql::Vector>(&result.value)) return std::move(*vector);
  if (const auto* scalar = std::get_if<promql::Scalar>(&result.value)) {
    return promql::Vector{{Labels(), scalar->timestamp, scalar->value}};
  }
  return FailedPrecondition("rule result is not a vector or scalar");
}

RuleStatus Rule::status() const {
  MutexLock lock(&mu_);
  return status_;
}

void Rule::SetStatus(RuleStatus status) {
  MutexLock lock(&mu_);
  status_ = std::move(status);
}

void Rule::SetError(const absl::Status& error) {
  MutexLock lock(&mu_);
  status_.health = RuleHealth::kError;
  status_.last_error = std::string(Message(error));
}

}  // namespace narthex::rules
