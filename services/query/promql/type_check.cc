#include "services/query/promql/type_check.h"

#include <algorithm>
#include <string>

#include "absl/base/attributes.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/labels.h"
#include "services/query/promql/functions.h"

namespace narthex::promql {

absl::Status ParseErrorAt(std::string_view query, int position, std::string_view message) {
  int line = 1;
  int last_break = -1;
  for (int i = 0; i < position && i < static_cast<int>(query.size()); ++i) {
    if (query[static_cast<size_t>(i)] == '\n') {
      last_break = i;
      ++line;
    }
  }
  return InvalidArgument(line, ":", position - last_break, ": parse error: ", message);
}

namespace {

class TypeChecker {
 public:
  explicit TypeChecker(std::string_view query) : query_(query) {}

  absl::Status Check(Expr* expr) {
    switch (expr->kind) {
      case ExprKind::kNumberLiteral:
      case ExprKind::kStringLiteral:
        return absl::OkStatus();
      case ExprKind::kVectorSelector:
        return CheckSelector(As<VectorSelector>(*expr));
      case ExprKind::kMatrixSelector:
        return Check(As<MatrixSelector>(*expr).selector.get());
      case ExprKind::kSubquery:
        return CheckSubquery(&As<Subquery>(*expr));
      case ExprKind::kUnary:
        return CheckUnary(&As<Unary>(*expr));
      case ExprKind::kBinary:
        return CheckBinary(&As<Binary>(*expr));
      case ExprKind::kAggregate:
        return CheckAggregate(&As<Aggregate>(*expr));
      case ExprKind::kCall:
        return CheckCall(&As<Call>(*expr));
      case ExprKind::kParen:
        return Check(As<Paren>(*expr).expr.get());
    }
    return absl::OkStatus();
  }

 private:
  // Not inlined, so that the frames of the recursion stay small.
  template <typename... Pieces>
  ABSL_ATTRIBUTE_NOINLINE absl::Status Error(int position, const Pieces&... pieces) const {
    return ParseErrorAt(query_, position, StrCat(pieces...));
  }

  absl::Status Expect(Expr* expr, ValueType wanted, std::string_view context) {
    NARTHEX_RETURN_IF_ERROR(Check(expr));
    const ValueType got = TypeOf(*expr);
    if (got == wanted) return absl::OkStatus();
    return Error(expr->position.start, "expected type ", ValueTypeText(wanted), " in ", context,
                 ", got ", ValueTypeText(got));
  }

  absl::Status CheckSelector(const VectorSelector& selector) const {
    const std::string* name = selector.name.empty() ? nullptr : &selector.name;
    // The matcher of a name outside the braces is the last.
    const size_t inside = selector.matchers.size() - (name == nullptr ? 0 : 1);
    for (size_t i = 0; i < inside; ++i) {
      const Matcher& matcher = selector.matchers[i];
      if (matcher.name() == kMetricName && name != nullptr) {
        return Error(selector.position.start, "metric name must not be set twice: ", Quote(*name),
                     " or ", Quote(matcher.value()));
      }
    }
    if (name != nullptr || selector.bypass_empty_check) return absl::OkStatus();
    for (const Matcher& matcher : selector.matchers) {
      if (!matcher.MatchesEmpty()) return absl::OkStatus();
    }
    return Error(selector.position.start,
                 "vector selector must contain at least one non-empty matcher");
  }

  absl::Status CheckSubquery(Subquery* subquery) {
    NARTHEX_RETURN_IF_ERROR(Check(subquery->expr.get()));
    const ValueType type = TypeOf(*subquery->expr);
    if (type == ValueType::kVector) return absl::OkStatus();
    return Error(subquery->position.start, "subquery is only allowed on instant vector, got ",
                 ValueTypeName(type), " instead");
  }

  absl::Status CheckUnary(Unary* unary) {
    NARTHEX_RETURN_IF_ERROR(Check(unary->expr.get()));
    const ValueType type = TypeOf(*unary->expr);
    if (type == ValueType::kScalar || type == ValueType::kVector) return absl::OkStatus();
    return Error(unary->position.start,
                 "unary expression only allowed on expressions of type scalar or instant vector, "
                 "got ",
                 Quote(ValueTypeText(type)));
  }

  absl::Status CheckMatching(Binary* binary, bool vectors) const {
    VectorMatching& matching = *binary->matching;
    const bool fills = matching.fill_left.has_value() || matching.fill_right.has_value();
    if (!vectors) {
      if (!matching.labels.empty()) {
        return Error(binary->position.start,
                     "vector matching only allowed between instant vectors");
      }
      if (fills) {
        return Error(binary->position.start,
                     "filling in missing series only allowed between instant vectors");
      }
      binary->matching.reset();
      return absl::OkStatus();
    }
    if (!IsSetOperator(binary->op)) return absl::OkStatus();
    if (matching.cardinality != VectorMatching::Cardinality::kOneToOne) {
      return Error(binary->position.start, "no grouping allowed for ",
                   Quote(BinaryOpText(binary->op)), " operation");
    }
    if (fills) {
      return Error(binary->position.start,
                   "filling in missing series not allowed for set operators");
    }
    matching.cardinality = VectorMatching::Cardinality::kManyToMany;
    return absl::OkStatus();
  }

  absl::Status CheckBinary(Binary* binary) {
    NARTHEX_RETURN_IF_ERROR(Check(binary->left.get()));
    NARTHEX_RETURN_IF_ERROR(Check(binary->right.get()));
    const ValueType left = TypeOf(*binary->left);
    const ValueType right = TypeOf(*binary->right);
    const int op = binary->op_position.start;
    if (binary->return_bool && !IsComparison(binary->op)) {
      return Error(op, "bool modifier can only be used on comparison operators");
    }
    const bool scalars = left == ValueType::kScalar && right == ValueType::kScalar;
    if (IsComparison(binary->op) && !binary->return_bool && scalars) {
      return Error(op, "comparisons between scalars must use BOOL modifier");
    }
    if (binary->matching.has_value() && binary->matching->on) {
      for (const std::string& label : binary->matching->labels) {
        for (const std::string& include : binary->matching->include) {
          if (label == include) {
            return Error(op, "label ", Quote(label),
                         " must not occur in ON and GROUP clause at once");
          }
        }
      }
    }
    for (const Expr* side : {binary->left.get(), binary->right.get()}) {
      const ValueType type = TypeOf(*side);
      if (type != ValueType::kScalar && type != ValueType::kVector) {
        return Error(side->position.start,
                     "binary expression must contain only scalar and instant vector types");
      }
    }
    if (binary->matching.has_value()) {
      const bool vectors = left == ValueType::kVector && right == ValueType::kVector;
      NARTHEX_RETURN_IF_ERROR(CheckMatching(binary, vectors));
    }
    if (IsSetOperator(binary->op) && (left == ValueType::kScalar || right == ValueType::kScalar)) {
      return Error(binary->position.start, "set operator ", Quote(BinaryOpText(binary->op)),
                   " not allowed in binary scalar expression");
    }
    return absl::OkStatus();
  }

  absl::Status CheckAggregate(Aggregate* aggregate) {
    NARTHEX_RETURN_IF_ERROR(
        Expect(aggregate->expr.get(), ValueType::kVector, "aggregation expression"));
    if (aggregate->param == nullptr) return absl::OkStatus();
    const ValueType wanted =
        aggregate->op == AggregateOp::kCountValues ? ValueType::kString : ValueType::kScalar;
    return Expect(aggregate->param.get(), wanted, "aggregation parameter");
  }

  absl::Status CheckArgumentCount(const Call& call) const {
    const int given = static_cast<int>(call.args.size());
    const FunctionSignature& function = *call.function;
    const std::string in_call =
        StrCat(" argument(s) in call to ", Quote(function.name), ", got ", given);
    if (function.variadic == 0) {
      if (given == function.arg_count) return absl::OkStatus();
      return Error(call.position.start, "expected ", function.arg_count, in_call);
    }
    const int least = function.arg_count - 1;
    if (given < least) return Error(call.position.start, "expected at least ", least, in_call);
    const int most = least + function.variadic;
    if (function.variadic > 0 && given > most) {
      return Error(call.position.start, "expected at most ", most, in_call);
    }
    return absl::OkStatus();
  }

  absl::Status CheckCall(Call* call) {
    NARTHEX_RETURN_IF_ERROR(CheckArgumentCount(*call));
    const std::string context = StrCat("call to function ", Quote(call->function->name));
    if (call->function->name == "info" && call->args.size() > 1) {
      Expr& labels = *call->args[1];
      if (labels.kind != ExprKind::kVectorSelector) {
        if (TypeOf(labels) == ValueType::kVector) {
          return Error(labels.position.start, "expected label selectors only");
        }
        return Error(labels.position.start, "expected type instant vector in ", context, ", got ",
                     ValueTypeText(TypeOf(labels)));
      }
      auto& selector = As<VectorSelector>(labels);
      if (!selector.name.empty()) {
        return Error(selector.position.start,
                     "expected label selectors only, got vector selector instead");
      }
      selector.bypass_empty_check = true;
    }
    for (size_t i = 0; i < call->args.size(); ++i) {
      const size_t last = static_cast<size_t>(call->function->arg_count - 1);
      NARTHEX_RETURN_IF_ERROR(
          Expect(call->args[i].get(), call->function->arg_types[std::min(i, last)], context));
    }
    return absl::OkStatus();
  }

  const std::string_view query_;
};

}  // namespace

absl::Status CheckTypes(std::string_view query, Expr* expr) {
  return TypeChecker(query).Check(expr);
}

}  // namespace narthex::promql
