#include "services/query/promql/printer.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "lib/base/duration.h"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/labels/labels.h"
#include "lib/labels/selector_format.h"
#include "services/query/promql/functions.h"

namespace narthex::promql {
namespace {

constexpr size_t kLineMax = 100;

std::string DurationText(int64_t ms) {
  if (ms < 0) return StrCat("-", FormatPrometheusDuration(absl::Milliseconds(-ms)));
  return FormatPrometheusDuration(absl::Milliseconds(ms));
}

std::string SecondsText(double seconds, bool as_duration) {
  const double ms = seconds * 1000;
  if (as_duration && std::abs(ms) < 9e15 && ms == std::round(ms)) {
    return DurationText(static_cast<int64_t>(ms));
  }
  return FormatFloat(seconds);
}

std::string DurationExprText(const DurationExpr& expr) {
  std::string text;
  const auto infix = [&expr](std::string_view op) {
    return StrCat(DurationExprText(*expr.left), " ", op, " ", DurationExprText(*expr.right));
  };
  const auto call = [&expr](std::string_view name) {
    return StrCat(name, "(", DurationExprText(*expr.left), ", ", DurationExprText(*expr.right),
                  ")");
  };
  switch (expr.op) {
    case DurationExpr::Op::kNumber:
      text = SecondsText(expr.seconds, expr.written_as_duration);
      break;
    case DurationExpr::Op::kStep:
      text = "step()";
      break;
    case DurationExpr::Op::kRange:
      text = "range()";
      break;
    case DurationExpr::Op::kNegate:
      text = StrCat("-", DurationExprText(*expr.left));
      break;
    case DurationExpr::Op::kPlus:
      text = StrCat("+", DurationExprText(*expr.left));
      break;
    case DurationExpr::Op::kAdd:
      text = infix("+");
      break;
    case DurationExpr::Op::kSub:
      text = infix("-");
      break;
    case DurationExpr::Op::kMul:
      text = infix("*");
      break;
    case DurationExpr::Op::kDiv:
      text = infix("/");
      break;
    case DurationExpr::Op::kMod:
      text = infix("%");
      break;
    case DurationExpr::Op::kPow:
      text = infix("^");
      break;
    case DurationExpr::Op::kMinOf:
      text = call("min_of");
      break;
    case DurationExpr::Op::kMaxOf:
      text = call("max_of");
      break;
  }
  return expr.wrapped ? StrCat("(", text, ")") : text;
}

std::string DurationValueText(const DurationValue& value) {
  return value.expr != nullptr ? DurationExprText(*value.expr) : DurationText(value.ms);
}

std::string TimeText(const TimeModifiers& time) {
  std::string text;
  if (time.at.has_value()) {
    text = absl::StrFormat(" @ %.3f", static_cast<double>(*time.at) / 1000);
  } else if (time.at_preprocessor == TimeModifiers::AtPreprocessor::kStart) {
    text = " @ start()";
  } else if (time.at_preprocessor == TimeModifiers::AtPreprocessor::kEnd) {
    text = " @ end()";
  }
  // "offset 0s" says nothing.
  if (time.has_offset && (time.offset.expr != nullptr || time.offset.ms != 0)) {
    const DurationExpr* expr = time.offset.expr.get();
    // Only one operand may follow "offset" without parentheses.
    const bool bare = expr == nullptr || expr->wrapped || expr->op < DurationExpr::Op::kAdd ||
                      expr->op >= DurationExpr::Op::kMinOf;
    const std::string offset = DurationValueText(time.offset);
    StrAppend(&text, " offset ", bare ? offset : StrCat("(", offset, ")"));
  }
  return text;
}

std::string LabelList(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) {
    if (!text.empty()) text += ", ";
    AppendLabelName(&text, label);
  }
  return text;
}

std::string SelectorHead(const VectorSelector& selector) {
  std::string matchers;
  for (const Matcher& matcher : selector.matchers) {
    const bool is_name = matcher.name() == kMetricName && matcher.type() == MatchType::kEqual &&
                         matcher.value() == selector.name && !selector.name.empty();
    if (is_name) continue;
    if (!matchers.empty()) matchers += ",";
    matchers += matcher.ToString();
  }
  if (matchers.empty()) return selector.name.empty() ? "{}" : selector.name;
  return StrCat(selector.name, "{", matchers, "}");
}

// A sign would bind weaker than '^' and take the whole power.
std::string LeftText(const Binary& binary) {
  std::string text = ToString(*binary.left);
  const bool number = binary.left->kind == ExprKind::kNumberLiteral;
  if (binary.op == BinaryOp::kPow && number && text.starts_with("+")) text.erase(0, 1);
  return text;
}

std::string_view ExtensionText(const VectorSelector& selector) {
  if (selector.anchored) return " anchored";
  return selector.smoothed ? " smoothed" : "";
}

std::string MatchingText(const Binary& binary) {
  if (!binary.matching.has_value()) return "";
  const VectorMatching& matching = *binary.matching;
  const bool grouped = matching.cardinality == VectorMatching::Cardinality::kManyToOne ||
                       matching.cardinality == VectorMatching::Cardinality::kOneToMany;
  std::string text;
  if (matching.on || grouped || !matching.labels.empty()) {
    StrAppend(&text, matching.on ? " on (" : " ignoring (", LabelList(matching.labels), ")");
  }
  if (grouped) {
    const bool left = matching.cardinality == VectorMatching::Cardinality::kManyToOne;
    StrAppend(&text, left ? " group_left (" : " group_right (", LabelList(matching.include), ")");
  }
  const auto& left = matching.fill_left;
  const auto& right = matching.fill_right;
  if (left.has_value() && right.has_value() && FormatFloat(*left) == FormatFloat(*right)) {
    StrAppend(&text, " fill (", FormatFloat(*left), ")");
    return text;
  }
  if (left.has_value()) StrAppend(&text, " fill_left (", FormatFloat(*left), ")");
  if (right.has_value()) StrAppend(&text, " fill_right (", FormatFloat(*right), ")");
  return text;
}

std::string OperatorText(const Binary& binary) {
  return StrCat(BinaryOpText(binary.op), binary.return_bool ? " bool" : "", MatchingText(binary));
}

std::string AggregateHead(const Aggregate& aggregate) {
  const std::string_view op = AggregateOpText(aggregate.op);
  if (aggregate.without) return StrCat(op, " without (", LabelList(aggregate.grouping), ") ");
  if (aggregate.grouping.empty()) return std::string(op);
  return StrCat(op, " by (", LabelList(aggregate.grouping), ") ");
}

std::string SubqueryTail(const Subquery& subquery) {
  return StrCat("[", DurationValueText(subquery.range), ":",
                subquery.has_step ? DurationValueText(subquery.step) : "", "]",
                TimeText(subquery.time));
}

std::string ListText(const std::vector<const Expr*>& exprs) {
  std::string text;
  for (const Expr* expr : exprs) {
    if (!text.empty()) text += ", ";
    text += ToString(*expr);
  }
  return text;
}

std::string Indented(const Expr& expr, size_t level);

// "head(", the parts one level deeper, ")".
std::string IndentedList(const std::string& indent, std::string_view head,
                         const std::vector<const Expr*>& parts, size_t level) {
  std::string text = StrCat(indent, head, "(\n");
  for (size_t i = 0; i < parts.size(); ++i) {
    StrAppend(&text, Indented(*parts[i], level + 1), i + 1 < parts.size() ? ",\n" : "\n");
  }
  return StrCat(text, indent, ")");
}

std::string Indented(const Expr& expr, size_t level) {
  const std::string indent(2 * level, ' ');
  const std::string line = ToString(expr);
  if (line.size() <= kLineMax) return indent + line;
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
    case ExprKind::kVectorSelector:
    case ExprKind::kMatrixSelector:
      return indent + line;
    case ExprKind::kSubquery:
      return Indented(*As<Subquery>(expr).expr, level) + SubqueryTail(As<Subquery>(expr));
    case ExprKind::kUnary: {
      const auto& unary = As<Unary>(expr);
      const std::string operand = Indented(*unary.expr, level);
      return StrCat(indent, unary.negate ? "-" : "+", TrimSpace(operand));
    }
    case ExprKind::kBinary: {
      const auto& binary = As<Binary>(expr);
      const bool power = binary.op == BinaryOp::kPow;
      const std::string left = power && binary.left->kind == ExprKind::kNumberLiteral
                                   ? StrCat(indent, "  ", LeftText(binary))
                                   : Indented(*binary.left, level + 1);
      return StrCat(left, "\n", indent, OperatorText(binary), "\n",
                    Indented(*binary.right, level + 1));
    }
    case ExprKind::kAggregate:
      return IndentedList(indent, AggregateHead(As<Aggregate>(expr)), Children(expr), level);
    case ExprKind::kCall:
      return IndentedList(indent, As<Call>(expr).function->name, Children(expr), level);
    case ExprKind::kParen:
      return IndentedList(indent, "", Children(expr), level);
  }
  return line;
}

}  // namespace

std::string ToString(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral: {
      const auto& literal = As<NumberLiteral>(expr);
      return SecondsText(literal.value, literal.written_as_duration);
    }
    case ExprKind::kStringLiteral:
      return Quote(As<StringLiteral>(expr).value);
    case ExprKind::kVectorSelector: {
      const auto& selector = As<VectorSelector>(expr);
      return StrCat(SelectorHead(selector), ExtensionText(selector), TimeText(selector.time));
    }
    case ExprKind::kMatrixSelector: {
      const auto& matrix = As<MatrixSelector>(expr);
      const VectorSelector& selector = *matrix.selector;
      return StrCat(SelectorHead(selector), "[", DurationValueText(matrix.range), "]",
                    ExtensionText(selector), TimeText(selector.time));
    }
    case ExprKind::kSubquery:
      return StrCat(ToString(*As<Subquery>(expr).expr), SubqueryTail(As<Subquery>(expr)));
    case ExprKind::kUnary:
      return StrCat(As<Unary>(expr).negate ? "-" : "+", ToString(*As<Unary>(expr).expr));
    case ExprKind::kBinary: {
      const auto& binary = As<Binary>(expr);
      return StrCat(LeftText(binary), " ", OperatorText(binary), " ", ToString(*binary.right));
    }
    case ExprKind::kAggregate:
      return StrCat(AggregateHead(As<Aggregate>(expr)), "(", ListText(Children(expr)), ")");
    case ExprKind::kCall:
      return StrCat(As<Call>(expr).function->name, "(", ListText(Children(expr)), ")");
    case ExprKind::kParen:
      return StrCat("(", ToString(*As<Paren>(expr).expr), ")");
  }
  return "";
}

std::string Prettify(const Expr& expr) { return Indented(expr, 0); }

}  // namespace narthex::promql
