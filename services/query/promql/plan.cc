#include "services/query/promql/plan.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "lib/labels/labels.h"
#include "services/query/promql/aggregate.h"
#include "services/query/promql/binary.h"
#include "services/query/promql/functions.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"
#include "services/query/promql/selectors.h"
#include "services/query/promql/window_functions.h"

namespace narthex::promql {
namespace {

// Beyond these, times are cut, so that sums of them cannot overflow.
constexpr Timestamp kTimeMax = int64_t{1} << 61;

Timestamp Bounded(Timestamp time) { return std::clamp(time, -kTimeMax, kTimeMax); }

// Whose value depends on when they are asked although their arguments do not.
bool DependsOnStep(std::string_view function) {
  for (std::string_view name :
       {"time", "timestamp", "predict_linear", "minute", "hour", "day_of_week", "day_of_month",
        "day_of_year", "days_in_month", "month", "year", "start", "end", "step", "range"}) {
    if (function == name) return true;
  }
  return false;
}

bool KeepsNames(std::string_view function) {
  for (std::string_view name : {"last_over_time", "first_over_time", "sort", "sort_desc",
                                "sort_by_label", "sort_by_label_desc"}) {
    if (function == name) return true;
  }
  return false;
}

// Whose result has names that its arguments do not tell.
bool MakesNames(std::string_view function) {
  for (std::string_view name : {"label_replace", "label_join", "info"}) {
    if (function == name) return true;
  }
  return false;
}

bool SelectsOneName(const VectorSelector& selector) {
  return std::any_of(selector.matchers.begin(), selector.matchers.end(), [](const Matcher& m) {
    return m.name() == kMetricName && m.type() == MatchType::kEqual && !m.value().empty();
  });
}

bool KeepsElements(AggregateOp op) {
  return op == AggregateOp::kTopK || op == AggregateOp::kBottomK || op == AggregateOp::kLimitK ||
         op == AggregateOp::kLimitRatio;
}

bool IsUniqueCall(const Call& call, const EvalContext::Options& options) {
  const std::string_view name = call.function->name;
  if (MakesNames(name)) return false;
  if (!options.delayed_name_removal && !KeepsNames(name)) return true;
  for (const ExprPtr& arg : call.args) {
    const ValueType type = TypeOf(*arg);
    const bool series = type == ValueType::kVector || type == ValueType::kMatrix;
    if (series && !IsUniqueWithoutName(*arg, options)) return false;
  }
  return true;
}

bool IsUniqueBinary(const Binary& binary, const EvalContext::Options& options) {
  if (binary.op == BinaryOp::kOr) return false;
  if (!KeepsName(binary.op) && !IsSetOperator(binary.op) && !options.delayed_name_removal) {
    return true;
  }
  const bool scalar_left = TypeOf(*binary.left) == ValueType::kScalar;
  const bool swapped = binary.matching.has_value() &&
                       binary.matching->cardinality == VectorMatching::Cardinality::kOneToMany;
  if (binary.matching.has_value() && !binary.matching->include.empty()) return false;
  return IsUniqueWithoutName(scalar_left || swapped ? *binary.right : *binary.left, options);
}

// The first multiple of `step` that is greater than `after`.
Timestamp FirstMultipleAfter(Timestamp after, int64_t step) {
  Timestamp first = step * (after / step);
  if (first <= after) first += step;
  return first;
}

std::string StringOf(const Expr& expr) { return As<StringLiteral>(Unparen(expr)).value; }

}  // namespace

bool IsStepInvariant(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
      return true;
    case ExprKind::kVectorSelector:
      return As<VectorSelector>(expr).time.has_at();
    case ExprKind::kMatrixSelector:
      return As<MatrixSelector>(expr).selector->time.has_at();
    case ExprKind::kSubquery:
      return As<Subquery>(expr).time.has_at();
    case ExprKind::kCall:
      if (DependsOnStep(As<Call>(expr).function->name)) return false;
      break;
    case ExprKind::kUnary:
    case ExprKind::kBinary:
    case ExprKind::kAggregate:
    case ExprKind::kParen:
      break;
  }
  const std::vector<const Expr*> children = Children(expr);
  return std::all_of(children.begin(), children.end(),
                     [](const Expr* child) { return IsStepInvariant(*child); });
}

bool IsUniqueWithoutName(const Expr& expr, const EvalContext::Options& options) {
  if (options.type_and_unit_labels) return false;
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
      return true;
    case ExprKind::kVectorSelector:
      return SelectsOneName(As<VectorSelector>(expr));
    case ExprKind::kMatrixSelector:
      return SelectsOneName(*As<MatrixSelector>(expr).selector);
    case ExprKind::kSubquery:
      return IsUniqueWithoutName(*As<Subquery>(expr).expr, options);
    case ExprKind::kUnary:
      if (As<Unary>(expr).negate && !options.delayed_name_removal) return true;
      return IsUniqueWithoutName(*As<Unary>(expr).expr, options);
    case ExprKind::kBinary:
      return IsUniqueBinary(As<Binary>(expr), options);
    case ExprKind::kAggregate: {
      const auto& aggregate = As<Aggregate>(expr);
      if (KeepsElements(aggregate.op)) return IsUniqueWithoutName(*aggregate.expr, options);
      if (aggregate.op == AggregateOp::kCountValues) return false;
      return aggregate.without || std::find(aggregate.grouping.begin(), aggregate.grouping.end(),
                                            kMetricName) == aggregate.grouping.end();
    }
    case ExprKind::kCall:
      return IsUniqueCall(As<Call>(expr), options);
    case ExprKind::kParen:
      return IsUniqueWithoutName(*As<Paren>(expr).expr, options);
  }
  return false;
}

// -- Times and selectors.

bool Planner::EvaluateDuration(const DurationExpr& expr, double* seconds) {
  double left = 0;
  double right = 0;
  if (expr.left != nullptr && !EvaluateDuration(*expr.left, &left)) return false;
  if (expr.right != nullptr && !EvaluateDuration(*expr.right, &right)) return false;
  const EvalContext::Options& options = context_->options();
  switch (expr.op) {
    case DurationExpr::Op::kNumber:
      *seconds = expr.seconds;
      return true;
    case DurationExpr::Op::kStep:
      *seconds = static_cast<double>(options.step_ms) / 1000;
      return true;
    case DurationExpr::Op::kRange:
      *seconds = static_cast<double>(options.end - options.start) / 1000;
      return true;
    case DurationExpr::Op::kNegate:
      *seconds = -left;
      return true;
    case DurationExpr::Op::kPlus:
      *seconds = left;
      return true;
    case DurationExpr::Op::kAdd:
      *seconds = left + right;
      return true;
    case DurationExpr::Op::kSub:
      *seconds = left - right;
      return true;
    case DurationExpr::Op::kMul:
      *seconds = left * right;
      return true;
    case DurationExpr::Op::kDiv:
      if (right == 0) context_->Error("division by zero");
      *seconds = left / right;
      return context_->ok();
    case DurationExpr::Op::kMod:
      if (right == 0) context_->Error("modulo by zero");
      *seconds = std::fmod(left, right);
      return context_->ok();
    case DurationExpr::Op::kPow:
      *seconds = std::pow(left, right);
      return true;
    case DurationExpr::Op::kMinOf:
      *seconds = std::min(left, right);
      return true;
    case DurationExpr::Op::kMaxOf:
      *seconds = std::max(left, right);
      return true;
  }
  return false;
}

bool Planner::ResolveDuration(const DurationValue& value, bool positive, int64_t* ms) {
  if (value.expr == nullptr) {
    *ms = value.ms;
    return true;
  }
  double seconds = 0;
  if (!EvaluateDuration(*value.expr, &seconds)) return false;
  const double ns = std::round(seconds * 1e9);
  if (!(std::abs(ns) < 9.2e18)) {
    context_->Error("duration is out of range");
    return false;
  }
  *ms = static_cast<int64_t>(ns) / 1000000;
  if (positive && *ms <= 0) context_->Error("duration must be greater than 0");
  return context_->ok();
}

bool Planner::Resolve(const TimeModifiers& time, Place* place) {
  if (!ResolveDuration(time.offset, /*positive=*/false, &place->offset_ms)) return false;
  place->fixed = time.has_at();
  if (time.at.has_value()) place->fixed_time = Bounded(*time.at);
  if (time.at_preprocessor == TimeModifiers::AtPreprocessor::kStart) {
    place->fixed_time = context_->options().start;
  } else if (time.at_preprocessor == TimeModifiers::AtPreprocessor::kEnd) {
    place->fixed_time = context_->options().end;
  }
  return true;
}

size_t Planner::AddSelector(const VectorSelector& selector, Timestamp start, Timestamp end,
                            const Grid& grid, int64_t range_ms) {
  storage::Selector request;
  request.matchers = selector.matchers;
  request.hints.start = start;
  request.hints.end = end;
  request.hints.step_ms = grid.count > 1 ? grid.step : 0;
  request.hints.range_ms = range_ms;
  request.hints.newest_only = range_ms == 0 && !selector.smoothed && !detects_resets() &&
                              (grid.count == 1 || selector.time.has_at());
  Surroundings around = std::exchange(surroundings_, {});
  request.hints.function = std::move(around.function);
  request.hints.grouping = std::move(around.grouping);
  request.hints.by = around.by;
  selectors_.push_back(std::move(request));
  return selectors_.size() - 1;
}

VectorOperatorPtr Planner::PlanSelector(const VectorSelector& selector, const Grid& grid,
                                        InstantSelection::Reads reads, bool labels_unused,
                                        bool numbers_only) {
  if (selector.anchored) {
    context_->Error("anchored modifier can only be used with range selectors");
    return nullptr;
  }
  Place place;
  if (!Resolve(selector.time, &place)) return nullptr;
  InstantSelection selection;
  selection.grid = grid;
  selection.offset_ms = place.offset_ms;
  selection.lookback_ms = context_->options().lookback_ms;
  selection.fixed = place.fixed;
  selection.fixed_time = place.fixed_time;
  selection.reads = reads;
  selection.labels_unused = labels_unused;
  selection.numbers_only = numbers_only;
  selection.detect_resets = detects_resets();
  selection.position = selector.position;
  selection.smoothed = selector.smoothed;
  const Timestamp first = (place.fixed ? place.fixed_time : grid.start) - place.offset_ms;
  const Timestamp last = (place.fixed ? place.fixed_time : grid.last()) - place.offset_ms;
  selection.selector =
      AddSelector(selector, first - selection.lookback_ms + 1,
                  selector.smoothed ? last + selection.lookback_ms : last, grid, 0);
  return MakeInstantSelector(context_, selection);
}

RangeOperatorPtr Planner::PlanRange(const Expr& expr, const Grid& grid) {
  const Expr& inner = Unparen(expr);
  if (inner.kind == ExprKind::kSubquery) return PlanSubquery(As<Subquery>(inner), grid);
  return PlanMatrixSelector(As<MatrixSelector>(inner), grid);
}

RangeOperatorPtr Planner::PlanMatrixSelector(const MatrixSelector& matrix, const Grid& grid) {
  const VectorSelector& selector = *matrix.selector;
  Place place;
  WindowSpec windows;
  if (!Resolve(selector.time, &place)) return nullptr;
  if (!ResolveDuration(matrix.range, /*positive=*/true, &windows.range_ms)) return nullptr;
  windows.grid = grid;
  windows.offset_ms = place.offset_ms;
  windows.fixed = place.fixed;
  windows.fixed_time = place.fixed_time;
  windows.anchored = selector.anchored;
  windows.smoothed = selector.smoothed;
  Timestamp start = windows.first_start() + 1;
  Timestamp end = windows.last_end();
  if (windows.extended()) {
    windows.lookback_ms = context_->options().lookback_ms;
    start -= windows.lookback_ms;
    if (windows.smoothed) end += windows.lookback_ms;
  }
  const size_t number = AddSelector(selector, start, end, grid, windows.range_ms);
  return MakeRangeSelector(context_, number, windows, detects_resets());
}

RangeOperatorPtr Planner::PlanSubquery(const Subquery& subquery, const Grid& grid) {
  Place place;
  WindowSpec windows;
  int64_t step = context_->options().subquery_step_ms;
  if (!Resolve(subquery.time, &place)) return nullptr;
  if (!ResolveDuration(subquery.range, /*positive=*/true, &windows.range_ms)) return nullptr;
  if (subquery.has_step && !ResolveDuration(subquery.step, /*positive=*/true, &step)) {
    return nullptr;
  }
  step = std::max<int64_t>(step, 1);
  windows.grid = grid;
  windows.offset_ms = place.offset_ms;
  windows.fixed = place.fixed;
  windows.fixed_time = place.fixed_time;
  Grid inner;
  inner.start = FirstMultipleAfter(windows.first_start(), step);
  inner.step = step;
  if (inner.start > windows.last_end()) return MakeSubquery(context_, nullptr, inner, windows);
  const auto steps = static_cast<uint64_t>((windows.last_end() - inner.start) / step) + 1;
  if (steps > context_->options().samples_max) {
    context_->Hold(steps, 0);
    context_->Release(steps, 0);
    return nullptr;
  }
  inner.count = steps;
  const bool whole = std::exchange(reads_buckets_, true);
  inner.weight = 0;
  VectorOperatorPtr child = PlanVector(*subquery.expr, inner);
  reads_buckets_ = whole;
  if (child == nullptr) return nullptr;
  return MakeSubquery(context_, std::move(child), inner, windows);
}

// -- Expressions.

VectorOperatorPtr Planner::PlanVector(const Expr& expr, const Grid& grid) {
  if (grid.count > 1 && IsStepInvariant(expr)) {
    VectorOperatorPtr once = PlanVectorNode(expr, grid.FirstOnly());
    return once == nullptr ? nullptr : MakeBroadcast(context_, std::move(once), grid.count);
  }
  if (const std::string* text = repeats_.TextOf(expr, grid.count)) {
    return PlanShared(expr, *text, grid);
  }
  return PlanVectorNode(expr, grid);
}

ScalarOperatorPtr Planner::PlanScalar(const Expr& expr, const Grid& grid) {
  if (grid.count > 1 && expr.kind != ExprKind::kNumberLiteral && IsStepInvariant(expr)) {
    ScalarOperatorPtr once = PlanScalarNode(expr, grid.FirstOnly());
    return once == nullptr ? nullptr : MakeScalarBroadcast(std::move(once), grid.count);
  }
  return PlanScalarNode(expr, grid);
}

// The same text planned for the same steps in the same surroundings gives the same rows.
VectorOperatorPtr Planner::PlanShared(const Expr& expr, const std::string& text, const Grid& grid) {
  std::string key = StrCat(text, "\n", grid.start, " ", grid.step, " ", grid.count, " ",
                           grid.weight, " ", name_unused_, labels_unused_, reads_counts_,
                           reads_buckets_, surroundings_.by, "\n", surroundings_.function);
  for (const std::string& name : surroundings_.grouping) StrAppend(&key, "\n", name);
  const auto found = shared_.find(key);
  if (found != shared_.end()) {
    surroundings_ = {};
    name_unused_ = labels_unused_ = false;
    return MakeSharedReader(found->second);
  }
  VectorOperatorPtr child = PlanVectorNode(expr, grid);
  if (child == nullptr) return nullptr;
  std::shared_ptr<SharedRows> rows = MakeSharedRows(context_, std::move(child));
  shared_.emplace(std::move(key), rows);
  return MakeSharedReader(std::move(rows));
}

VectorOperatorPtr Planner::PlanVectorNode(const Expr& expr, const Grid& grid) {
  if (expr.kind == ExprKind::kParen) return PlanVector(*As<Paren>(expr).expr, grid);
  const bool name_unused = std::exchange(name_unused_, false);
  const bool labels_unused = std::exchange(labels_unused_, false);
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
      return PlanSelector(As<VectorSelector>(expr), grid, InstantSelection::Reads::kValues,
                          labels_unused);
    case ExprKind::kUnary: {
      surroundings_ = {};
      VectorOperatorPtr child = PlanVector(*As<Unary>(expr).expr, grid);
      if (child == nullptr || !As<Unary>(expr).negate) return child;
      return MergeUnlessUnique(*As<Unary>(expr).expr, MakeNegation(context_, std::move(child)));
    }
    case ExprKind::kBinary:
      surroundings_ = {};
      return PlanBinary(As<Binary>(expr), grid);
    case ExprKind::kAggregate:
      return PlanAggregate(As<Aggregate>(expr), grid);
    case ExprKind::kCall:
      surroundings_ = {std::string(As<Call>(expr).function->name), {}, false};
      return PlanCall(As<Call>(expr), grid, name_unused);
    case ExprKind::kParen:
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
      break;
  }
  context_->Fail(Internal("planned an expression of another type as an instant vector"));
  return nullptr;
}

ScalarOperatorPtr Planner::PlanScalarNode(const Expr& expr, const Grid& grid) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral:
      return MakeConstant(As<NumberLiteral>(expr).value, grid.count);
    case ExprKind::kParen:
      return PlanScalarNode(*As<Paren>(expr).expr, grid);
    case ExprKind::kUnary: {
      const auto& unary = As<Unary>(expr);
      std::vector<ScalarOperatorPtr> params;
      params.push_back(PlanScalar(*unary.expr, grid));
      if (params[0] == nullptr) return nullptr;
      const double sign = unary.negate ? -1 : 1;
      return MakeScalarFunction(
          std::move(params), grid.count,
          [sign](std::span<const std::vector<double>> values, std::vector<double>* out) {
            for (size_t i = 0; i < out->size(); ++i) (*out)[i] = sign * values[0][i];
          });
    }
    case ExprKind::kBinary: {
      const auto& binary = As<Binary>(expr);
      ScalarOperatorPtr left = PlanScalar(*binary.left, grid);
      ScalarOperatorPtr right = left == nullptr ? nullptr : PlanScalar(*binary.right, grid);
      if (right == nullptr) return nullptr;
      return MakeScalarBinary(context_, {binary.op, true, binary.position}, std::move(left),
                              std::move(right), grid.count);
    }
    case ExprKind::kCall: {
      const auto& call = As<Call>(expr);
      const EvalContext::Options& options = context_->options();
      const std::string_view name = call.function->name;
      if (name == "time") return MakeTime(grid);
      if (name == "pi") return MakeConstant(std::acos(-1.0), grid.count);
      if (name == "start")
        return MakeConstant(static_cast<double>(options.start) / 1000, grid.count);
      if (name == "end") return MakeConstant(static_cast<double>(options.end) / 1000, grid.count);
      if (name == "step") {
        return MakeConstant(static_cast<double>(options.step_ms) / 1000, grid.count);
      }
      if (name == "range") {
        return MakeConstant(static_cast<double>(options.end - options.start) / 1000, grid.count);
      }
      if (name == "scalar") {
        surroundings_ = {std::string(name), {}, false};
        VectorOperatorPtr child = PlanVector(*call.args[0], grid);
        return child == nullptr ? nullptr : MakeScalar(context_, std::move(child), grid.count);
      }
      // min_of and max_of.
      std::vector<ScalarOperatorPtr> params;
      for (const ExprPtr& arg : call.args) {
        params.push_back(PlanScalar(*arg, grid));
        if (params.back() == nullptr) return nullptr;
      }
      const bool min = name == "min_of";
      return MakeScalarFunction(
          std::move(params), grid.count,
          [min](std::span<const std::vector<double>> values, std::vector<double>* out) {
            for (size_t i = 0; i < out->size(); ++i) {
              const double a = values[0][i];
              const double b = values[1][i];
              const bool nan = std::isnan(a) || std::isnan(b);
              (*out)[i] = nan ? NormalNan() : min ? std::min(a, b) : std::max(a, b);
            }
          });
    }
    case ExprKind::kStringLiteral:
    case ExprKind::kVectorSelector:
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
    case ExprKind::kAggregate:
      break;
  }
  context_->Fail(Internal("planned an expression of another type as a scalar"));
  return nullptr;
}

VectorOperatorPtr Planner::MergeUnlessUnique(const Expr& source, VectorOperatorPtr child) {
  const EvalContext::Options& options = context_->options();
  if (options.delayed_name_removal || IsUniqueWithoutName(source, options)) return child;
  return MakeMerge(context_, std::move(child));
}

VectorOperatorPtr Planner::PlanBinary(const Binary& binary, const Grid& grid) {
  const BinaryArguments arguments{binary.op, binary.return_bool, binary.position};
  const bool drops_name = !KeepsName(binary.op) || binary.return_bool;
  const bool scalar_left = TypeOf(*binary.left) == ValueType::kScalar;
  const bool scalar_right = TypeOf(*binary.right) == ValueType::kScalar;
  if (scalar_left || scalar_right) {
    const Expr& vector = scalar_left ? *binary.right : *binary.left;
    const bool whole = reads_buckets_;
    reads_buckets_ = whole || IsTrim(binary.op);
    VectorOperatorPtr child = PlanVector(vector, grid);
    reads_buckets_ = whole;
    ScalarOperatorPtr scalar =
        child == nullptr ? nullptr : PlanScalar(scalar_left ? *binary.left : *binary.right, grid);
    if (scalar == nullptr) return nullptr;
    VectorOperatorPtr result = MakeVectorScalarBinary(context_, arguments, std::move(child),
                                                      std::move(scalar), scalar_left);
    return drops_name ? MergeUnlessUnique(vector, std::move(result)) : std::move(result);
  }
  VectorOperatorPtr left = PlanVector(*binary.left, grid);
  VectorOperatorPtr right = left == nullptr ? nullptr : PlanVector(*binary.right, grid);
  if (right == nullptr) return nullptr;
  const VectorMatching matching = binary.matching.value_or(VectorMatching());
  if (IsSetOperator(binary.op)) {
    VectorOperatorPtr result = MakeSetOperator(context_, binary.op, matching, std::move(left),
                                               std::move(right), grid.count);
    return binary.op == BinaryOp::kOr ? MakeMerge(context_, std::move(result)) : std::move(result);
  }
  VectorOperatorPtr result = MakeVectorBinary(context_, arguments, matching, std::move(left),
                                              std::move(right), grid.count);
  // Each group gives one result, or each element of the "many" side one that only lost its name.
  const bool grouped = matching.cardinality != VectorMatching::Cardinality::kOneToOne;
  const bool whole = grouped || (!matching.on && matching.labels.empty());
  const bool fills = matching.fill_left.has_value() || matching.fill_right.has_value();
  const bool swapped = matching.cardinality == VectorMatching::Cardinality::kOneToMany;
  const Expr& many = swapped ? *binary.right : *binary.left;
  if (whole && !fills && matching.include.empty() &&
      IsUniqueWithoutName(many, context_->options())) {
    return result;
  }
  return MakeMerge(context_, std::move(result));
}

VectorOperatorPtr Planner::PlanAggregate(const Aggregate& aggregate, const Grid& grid) {
  AggregateArguments arguments;
  arguments.op = aggregate.op;
  arguments.grouping = aggregate.grouping;
  arguments.without = aggregate.without;
  arguments.position = aggregate.position;
  arguments.expr_position = aggregate.expr->position;
  ScalarOperatorPtr param;
  if (aggregate.param != nullptr) {
    arguments.param_position = aggregate.param->position;
    if (aggregate.op == AggregateOp::kCountValues) {
      arguments.value_label = StringOf(*aggregate.param);
    } else {
      param = PlanScalar(*aggregate.param, grid);
      if (param == nullptr) return nullptr;
    }
  }
  surroundings_ = {std::string(AggregateOpText(aggregate.op)), aggregate.grouping,
                   !aggregate.without};
  name_unused_ = !aggregate.without && !KeepsElements(aggregate.op) &&
                 std::none_of(aggregate.grouping.begin(), aggregate.grouping.end(),
                              [](const std::string& name) { return name.starts_with("__"); });
  labels_unused_ = name_unused_ && aggregate.grouping.empty();
  VectorOperatorPtr child = PlanVector(*aggregate.expr, grid);
  if (child == nullptr) return nullptr;
  return MakeAggregate(context_, std::move(arguments), std::move(child), std::move(param),
                       grid.count);
}

}  // namespace narthex::promql
