#include "services/query/promql/ast.h"

#include <bit>

#include "services/query/promql/functions.h"

namespace narthex::promql {

std::string_view ValueTypeText(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
    case ValueType::kString:
      return "string";
  }
  return "";
}

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
    case ValueType::kString:
      return "string";
  }
  return "";
}

std::string_view BinaryOpText(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kMod:
      return "%";
    case BinaryOp::kPow:
      return "^";
    case BinaryOp::kAtan2:
      return "atan2";
    case BinaryOp::kEqual:
      return "==";
    case BinaryOp::kNotEqual:
      return "!=";
    case BinaryOp::kLess:
      return "<";
    case BinaryOp::kLessEqual:
      return "<=";
    case BinaryOp::kGreater:
      return ">";
    case BinaryOp::kGreaterEqual:
      return ">=";
    case BinaryOp::kTrimUpper:
      return "</";
    case BinaryOp::kTrimLower:
      return ">/";
    case BinaryOp::kAnd:
      return "and";
    case BinaryOp::kOr:
      return "or";
    case BinaryOp::kUnless:
      return "unless";
  }
  return "";
}

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEqual && op <= BinaryOp::kGreaterEqual; }

bool IsSetOperator(BinaryOp op) { return op >= BinaryOp::kAnd; }

std::string_view AggregateOpText(AggregateOp op) {
  switch (op) {
    case AggregateOp::kSum:
      return "sum";
    case AggregateOp::kAvg:
      return "avg";
    case AggregateOp::kMin:
      return "min";
    case AggregateOp::kMax:
      return "max";
    case AggregateOp::kCount:
      return "count";
    case AggregateOp::kGroup:
      return "group";
    case AggregateOp::kStddev:
      return "stddev";
    case AggregateOp::kStdvar:
      return "stdvar";
    case AggregateOp::kTopK:
      return "topk";
    case AggregateOp::kBottomK:
      return "bottomk";
    case AggregateOp::kQuantile:
      return "quantile";
    case AggregateOp::kCountValues:
      return "count_values";
    case AggregateOp::kLimitK:
      return "limitk";
    case AggregateOp::kLimitRatio:
      return "limit_ratio";
  }
  return "";
}

ValueType TypeOf(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
      return ValueType::kScalar;
    case ExprKind::kStringLiteral:
      return ValueType::kString;
    case ExprKind::kVectorSelector:
    case ExprKind::kAggregate:
      return ValueType::kVector;
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
      return ValueType::kMatrix;
    case ExprKind::kUnary:
      return TypeOf(*As<Unary>(expr).expr);
    case ExprKind::kBinary: {
      const auto& binary = As<Binary>(expr);
      const bool scalars =
          TypeOf(*binary.left) == ValueType::kScalar && TypeOf(*binary.right) == ValueType::kScalar;
      return scalars ? ValueType::kScalar : ValueType::kVector;
    }
    case ExprKind::kCall:
      return As<Call>(expr).function->return_type;
    case ExprKind::kParen:
      return TypeOf(*As<Paren>(expr).expr);
  }
  return ValueType::kNone;
}

const Expr& Unparen(const Expr& expr) {
  const Expr* inner = &expr;
  while (inner->kind == ExprKind::kParen) inner = As<Paren>(*inner).expr.get();
  return *inner;
}

std::vector<const Expr*> Children(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
    case ExprKind::kVectorSelector:
      return {};
    case ExprKind::kMatrixSelector:
      return {As<MatrixSelector>(expr).selector.get()};
    case ExprKind::kSubquery:
      return {As<Subquery>(expr).expr.get()};
    case ExprKind::kUnary:
      return {As<Unary>(expr).expr.get()};
    case ExprKind::kBinary:
      return {As<Binary>(expr).left.get(), As<Binary>(expr).right.get()};
    case ExprKind::kAggregate: {
      const auto& aggregate = As<Aggregate>(expr);
      if (aggregate.param == nullptr) return {aggregate.expr.get()};
      return {aggregate.param.get(), aggregate.expr.get()};
    }
    case ExprKind::kCall: {
      std::vector<const Expr*> children;
      for (const ExprPtr& arg : As<Call>(expr).args) children.push_back(arg.get());
      return children;
    }
    case ExprKind::kParen:
      return {As<Paren>(expr).expr.get()};
  }
  return {};
}

namespace {

void CollectSelectors(const Expr& expr, std::vector<const VectorSelector*>* out) {
  if (expr.kind == ExprKind::kVectorSelector) out->push_back(&As<VectorSelector>(expr));
  for (const Expr* child : Children(expr)) CollectSelectors(*child, out);
}

bool EqualDurationExprs(const DurationExpr* a, const DurationExpr* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->op == b->op && a->seconds == b->seconds && a->wrapped == b->wrapped &&
         EqualDurationExprs(a->left.get(), b->left.get()) &&
         EqualDurationExprs(a->right.get(), b->right.get());
}

bool EqualDurations(const DurationValue& a, const DurationValue& b) {
  return a.ms == b.ms && EqualDurationExprs(a.expr.get(), b.expr.get());
}

bool EqualTimes(const TimeModifiers& a, const TimeModifiers& b) {
  return EqualDurations(a.offset, b.offset) && a.at == b.at &&
         a.at_preprocessor == b.at_preprocessor;
}

bool EqualNumbers(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (a != a && b != b);
}

bool EqualFills(const std::optional<double>& a, const std::optional<double>& b) {
  return a.has_value() == b.has_value() && (!a.has_value() || EqualNumbers(*a, *b));
}

bool EqualMatchings(const std::optional<VectorMatching>& a,
                    const std::optional<VectorMatching>& b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() == b.has_value();
  return a->cardinality == b->cardinality && a->on == b->on && a->labels == b->labels &&
         a->include == b->include && EqualFills(a->fill_left, b->fill_left) &&
         EqualFills(a->fill_right, b->fill_right);
}

// What the nodes themselves say, children aside.
bool EqualShallow(const Expr& a, const Expr& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case ExprKind::kNumberLiteral:
      return EqualNumbers(As<NumberLiteral>(a).value, As<NumberLiteral>(b).value);
    case ExprKind::kStringLiteral:
      return As<StringLiteral>(a).value == As<StringLiteral>(b).value;
    case ExprKind::kVectorSelector: {
      const auto& left = As<VectorSelector>(a);
      const auto& right = As<VectorSelector>(b);
      return left.name == right.name && left.matchers == right.matchers &&
             EqualTimes(left.time, right.time) && left.anchored == right.anchored &&
             left.smoothed == right.smoothed;
    }
    case ExprKind::kMatrixSelector:
      return EqualDurations(As<MatrixSelector>(a).range, As<MatrixSelector>(b).range);
    case ExprKind::kSubquery: {
      const auto& left = As<Subquery>(a);
      const auto& right = As<Subquery>(b);
      return EqualDurations(left.range, right.range) && left.has_step == right.has_step &&
             EqualDurations(left.step, right.step) && EqualTimes(left.time, right.time);
    }
    case ExprKind::kUnary:
      return As<Unary>(a).negate == As<Unary>(b).negate;
    case ExprKind::kBinary: {
      const auto& left = As<Binary>(a);
      const auto& right = As<Binary>(b);
      return left.op == right.op && left.return_bool == right.return_bool &&
             EqualMatchings(left.matching, right.matching);
    }
    case ExprKind::kAggregate: {
      const auto& left = As<Aggregate>(a);
      const auto& right = As<Aggregate>(b);
      return left.op == right.op && left.grouping == right.grouping &&
             left.without == right.without;
    }
    case ExprKind::kCall:
      return As<Call>(a).function == As<Call>(b).function;
    case ExprKind::kParen:
      return true;
  }
  return false;
}

template <typename T>
std::unique_ptr<T> CloneSelector(const T& source) {
  auto copy = std::make_unique<T>(source.position);
  copy->name = source.name;
  copy->matchers = source.matchers;
  copy->time = source.time;
  copy->anchored = source.anchored;
  copy->smoothed = source.smoothed;
  copy->bypass_empty_check = source.bypass_empty_check;
  return copy;
}

ExprPtr CloneNode(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral: {
      const auto& source = As<NumberLiteral>(expr);
      auto copy = std::make_unique<NumberLiteral>(source.position, source.value);
      copy->written_as_duration = source.written_as_duration;
      return copy;
    }
    case ExprKind::kStringLiteral:
      return std::make_unique<StringLiteral>(expr.position, As<StringLiteral>(expr).value);
    case ExprKind::kVectorSelector:
      return CloneSelector(As<VectorSelector>(expr));
    case ExprKind::kMatrixSelector: {
      const auto& source = As<MatrixSelector>(expr);
      auto copy = std::make_unique<MatrixSelector>(source.position);
      copy->selector = CloneSelector(*source.selector);
      copy->range = source.range;
      return copy;
    }
    case ExprKind::kSubquery: {
      const auto& source = As<Subquery>(expr);
      auto copy = std::make_unique<Subquery>(source.position);
      copy->expr = Clone(*source.expr);
      copy->range = source.range;
      copy->has_step = source.has_step;
      copy->step = source.step;
      copy->time = source.time;
      return copy;
    }
    case ExprKind::kUnary: {
      auto copy = std::make_unique<Unary>(expr.position);
      copy->negate = As<Unary>(expr).negate;
      copy->expr = Clone(*As<Unary>(expr).expr);
      return copy;
    }
    case ExprKind::kBinary: {
      const auto& source = As<Binary>(expr);
      auto copy = std::make_unique<Binary>(source.position);
      copy->op = source.op;
      copy->op_position = source.op_position;
      copy->left = Clone(*source.left);
      copy->right = Clone(*source.right);
      copy->return_bool = source.return_bool;
      copy->matching = source.matching;
      return copy;
    }
    case ExprKind::kAggregate: {
      const auto& source = As<Aggregate>(expr);
      auto copy = std::make_unique<Aggregate>(source.position);
      copy->op = source.op;
      if (source.param != nullptr) copy->param = Clone(*source.param);
      copy->expr = Clone(*source.expr);
      copy->grouping = source.grouping;
      copy->without = source.without;
      return copy;
    }
    case ExprKind::kCall: {
      const auto& source = As<Call>(expr);
      auto copy = std::make_unique<Call>(source.position, source.function);
      for (const ExprPtr& arg : source.args) copy->args.push_back(Clone(*arg));
      return copy;
    }
    case ExprKind::kParen: {
      auto copy = std::make_unique<Paren>(expr.position);
      copy->expr = Clone(*As<Paren>(expr).expr);
      return copy;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<const VectorSelector*> Selectors(const Expr& expr) {
  std::vector<const VectorSelector*> selectors;
  CollectSelectors(expr, &selectors);
  return selectors;
}

bool Equal(const Expr& a, const Expr& b) {
  if (!EqualShallow(a, b)) return false;
  const std::vector<const Expr*> left = Children(a);
  const std::vector<const Expr*> right = Children(b);
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!Equal(*left[i], *right[i])) return false;
  }
  return true;
}

ExprPtr Clone(const Expr& expr) {
  ExprPtr copy = CloneNode(expr);
  copy->height = expr.height;
  return copy;
}

}  // namespace narthex::promql
