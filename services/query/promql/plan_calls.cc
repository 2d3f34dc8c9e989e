#include <algorithm>
#include <limits>
#include <utility>

#include "services/query/promql/functions.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/plan.h"
#include "services/query/promql/row_operators.h"
#include "services/query/promql/window_functions.h"

// Planning of function calls whose result is an instant vector.
namespace narthex::promql {
namespace {

std::string StringOf(const Expr& expr) { return As<StringLiteral>(Unparen(expr)).value; }

VectorOperatorPtr MakeNameDrop(EvalContext* context, VectorOperatorPtr child) {
  return MakeRowMap(context, std::move(child), {},
                    [context](Row* row, std::span<const std::vector<double>>) {
                      DropName(row, context->options());
                    });
}

// The rows of the child without what is in them.
VectorOperatorPtr MakeNothing(EvalContext* context, VectorOperatorPtr child) {
  return MakeRowMap(
      context, std::move(child), {},
      [](Row* row, std::span<const std::vector<double>>) { row->Reset(row->size()); });
}

// What absent() knows of the series that is missing: labels that the selector sets once, by
// equality.
Labels AbsentLabels(const Expr& expr) {
  const std::vector<Matcher>* matchers = nullptr;
  if (expr.kind == ExprKind::kVectorSelector) matchers = &As<VectorSelector>(expr).matchers;
  if (expr.kind == ExprKind::kMatrixSelector) {
    matchers = &As<MatrixSelector>(expr).selector->matchers;
  }
  if (matchers == nullptr) return Labels();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Matcher& matcher : *matchers) {
    if (matcher.name() == kMetricName || matcher.type() != MatchType::kEqual) continue;
    const auto same = [&](const Matcher& other) { return other.name() == matcher.name(); };
    if (std::count_if(matchers->begin(), matchers->end(), same) == 1) {
      pairs.emplace_back(matcher.name(), matcher.value());
    }
  }
  return Labels::FromPairs(std::move(pairs));
}

const WindowFunction* FindWindowFunction(std::string_view name) {
  const WindowFunction* function = FindRateFunction(name);
  return function != nullptr ? function : FindOverTimeFunction(name);
}

// The selector of a range vector, null for a subquery.
const VectorSelector* RangeSelectorOf(const Expr& expr) {
  const Expr& inner = Unparen(expr);
  return inner.kind == ExprKind::kMatrixSelector ? As<MatrixSelector>(inner).selector.get()
                                                 : nullptr;
}

}  // namespace

VectorOperatorPtr Planner::PlanCall(const Call& call, const Grid& grid, bool name_unused) {
  const std::string_view name = call.function->name;
  if (FindWindowFunction(name) != nullptr) return PlanWindowCall(call, grid, name_unused);
  if (FindTimeFunction(name) != nullptr) return PlanTimeCall(call, grid);
  if (name == "timestamp") return PlanTimestamp(call, grid);
  if (name == "absent" || name == "absent_over_time") return PlanAbsent(call, grid);
  if (name.starts_with("label_")) return PlanLabelCall(call, grid);
  if (name.starts_with("histogram_")) return PlanHistogramCall(call, grid);
  if (name.starts_with("sort")) return PlanSort(call, grid);
  if (name == "info") return PlanInfo(call, grid);
  if (name == "vector") {
    ScalarOperatorPtr scalar = PlanScalar(*call.args[0], grid);
    return scalar == nullptr ? nullptr : MakeVector(std::move(scalar));
  }
  if (name == "start_timestamp") return PlanStartTimestamp(call, grid);
  return PlanNumberCall(call, grid);
}

VectorOperatorPtr Planner::PlanWindowCall(const Call& call, const Grid& grid, bool name_unused) {
  WindowFunction function = *FindWindowFunction(call.function->name);
  size_t range_index = 0;
  while (TypeOf(*call.args[range_index]) != ValueType::kMatrix) ++range_index;
  const Expr& range_expr = *call.args[range_index];
  if (const VectorSelector* selector = RangeSelectorOf(range_expr)) {
    const bool wide = function.name == "changes" || function.name == "resets";
    if (selector->anchored && function.extended_kernel == nullptr) {
      context_->Error(
          "anchored modifier can only be used with: changes, delta, increase, rate, "
          "resets - not with ",
          function.name);
      return nullptr;
    }
    if (selector->smoothed && (function.extended_kernel == nullptr || wide)) {
      context_->Error("smoothed modifier can only be used with: delta, increase, rate - not with ",
                      function.name);
      return nullptr;
    }
  }
  RangeOperatorPtr range = PlanRange(range_expr, grid);
  if (range == nullptr) return nullptr;
  std::vector<ScalarOperatorPtr> params;
  for (size_t i = 0; i < call.args.size(); ++i) {
    if (i == range_index) continue;
    params.push_back(PlanScalar(*call.args[i], grid));
    if (params.back() == nullptr) return nullptr;
  }
  if (name_unused && IsUniqueWithoutName(range_expr, context_->options())) {
    function.keeps_name = true;
  }
  VectorOperatorPtr result = MakeWindowFunction(context_, function, std::move(range),
                                                std::move(params), call.args[0]->position);
  if (function.keeps_name) return result;
  return MergeUnlessUnique(range_expr, std::move(result));
}

VectorOperatorPtr Planner::PlanTimeCall(const Call& call, const Grid& grid) {
  const NumberFunction function = FindTimeFunction(call.function->name);
  if (call.args.empty()) return MakeNumberMap(context_, MakeVector(MakeTime(grid)), function);
  VectorOperatorPtr child = PlanVector(*call.args[0], grid);
  if (child == nullptr) return nullptr;
  return MergeUnlessUnique(*call.args[0], MakeNumberMap(context_, std::move(child), function));
}

VectorOperatorPtr Planner::PlanTimestamp(const Call& call, const Grid& grid) {
  const Expr& arg = Unparen(*call.args[0]);
  VectorOperatorPtr result;
  if (arg.kind == ExprKind::kVectorSelector) {
    result = PlanSelector(As<VectorSelector>(arg), grid, InstantSelection::Reads::kTimestamps);
    if (result != nullptr) result = MakeNameDrop(context_, std::move(result));
  } else {
    result = PlanVector(arg, grid);
    if (result != nullptr) result = MakeStepTimes(context_, std::move(result), grid);
  }
  return result == nullptr ? nullptr : MergeUnlessUnique(arg, std::move(result));
}

VectorOperatorPtr Planner::PlanStartTimestamp(const Call& call, const Grid& grid) {
  const Expr& arg = Unparen(*call.args[0]);
  VectorOperatorPtr child;
  // Only samples as they are stored have one.
  if (context_->options().use_start_timestamps && arg.kind == ExprKind::kVectorSelector) {
    child = PlanSelector(As<VectorSelector>(arg), grid, InstantSelection::Reads::kStartTimestamps);
  } else {
    child = PlanVector(arg, grid);
    if (child != nullptr) child = MakeNothing(context_, std::move(child));
  }
  if (child == nullptr) return nullptr;
  return MergeUnlessUnique(arg, MakeNameDrop(context_, std::move(child)));
}

VectorOperatorPtr Planner::PlanAbsent(const Call& call, const Grid& grid) {
  const Expr& arg = Unparen(*call.args[0]);
  VectorOperatorPtr child;
  if (call.function->name == "absent") {
    child = PlanVector(arg, grid);
  } else {
    RangeOperatorPtr range = PlanRange(arg, grid);
    if (range == nullptr) return nullptr;
    child = MakeWindowFunction(context_, *FindOverTimeFunction("present_over_time"),
                               std::move(range), {}, arg.position);
  }
  if (child == nullptr) return nullptr;
  return MakeAbsent(context_, std::move(child), AbsentLabels(arg), grid.count);
}

VectorOperatorPtr Planner::PlanLabelCall(const Call& call, const Grid& grid) {
  VectorOperatorPtr child = PlanVector(*call.args[0], grid);
  if (child == nullptr) return nullptr;
  std::vector<std::string> strings;
  for (size_t i = 1; i < call.args.size(); ++i) strings.push_back(StringOf(*call.args[i]));
  if (call.function->name == "label_replace") {
    return MakeLabelReplace(context_, std::move(child),
                            {strings[0], strings[1], strings[2], strings[3]});
  }
  return MakeLabelJoin(context_, std::move(child), strings[0], strings[1],
                       {strings.begin() + 2, strings.end()});
}

VectorOperatorPtr Planner::PlanHistogramCall(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  const HistogramNumber number = FindHistogramNumber(name);
  bool* const reads =
      name == "histogram_count" || name == "histogram_sum" || name == "histogram_avg"
          ? &reads_counts_
          : &reads_buckets_;
  // Upstream looks at counts alone for the first three, and at what it will for deviations.
  const bool tells = number == nullptr || reads == &reads_counts_;
  const bool before = *reads;
  if (tells) *reads = true;
  std::vector<ScalarOperatorPtr> scalars;
  VectorOperatorPtr child;
  const Expr* vector = nullptr;
  HistogramArguments arguments;
  arguments.first = call.args[0]->position;
  for (const ExprPtr& arg : call.args) {
    if (TypeOf(*arg) == ValueType::kString) {
      arguments.label = StringOf(*arg);
    } else if (TypeOf(*arg) == ValueType::kVector) {
      vector = arg.get();
      child = PlanVector(*arg, grid);
      arguments.vector = arg->position;
    } else {
      scalars.push_back(PlanScalar(*arg, grid));
      arguments.quantiles.push_back(arg->position);
    }
    if (!context_->ok()) break;
  }
  *reads = before;
  if (!context_->ok()) return nullptr;
  if (number != nullptr) {
    return MergeUnlessUnique(*vector, MakeHistogramNumber(context_, std::move(child), number));
  }
  // Histograms of several metrics can become equal by losing their names.
  if (name == "histogram_fraction") {
    return MakeMerge(context_,
                     MakeHistogramFraction(context_, std::move(child), std::move(scalars[0]),
                                           std::move(scalars[1]), grid, std::move(arguments)));
  }
  return MakeMerge(context_, MakeHistogramQuantiles(context_, std::move(child), std::move(scalars),
                                                    grid, std::move(arguments)));
}

VectorOperatorPtr Planner::PlanNumberCall(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  VectorOperatorPtr child = PlanVector(*call.args[0], grid);
  if (child == nullptr) return nullptr;
  std::vector<ScalarOperatorPtr> params;
  for (size_t i = 1; i < call.args.size(); ++i) {
    params.push_back(PlanScalar(*call.args[i], grid));
    if (params.back() == nullptr) return nullptr;
  }
  VectorOperatorPtr result;
  if (const NumberFunction function = FindMathFunction(name)) {
    result = MakeNumberMap(context_, std::move(child), function);
  } else if (name == "round") {
    ScalarOperatorPtr nearest = params.empty() ? MakeConstant(1, grid.count) : std::move(params[0]);
    result = MakeRound(context_, std::move(child), std::move(nearest));
  } else if (name == "clamp_min") {
    result = MakeClamp(context_, std::move(child), std::move(params[0]), nullptr);
  } else if (name == "clamp_max") {
    result = MakeClamp(context_, std::move(child), nullptr, std::move(params[0]));
  } else if (name == "clamp") {
    result = MakeClamp(context_, std::move(child), std::move(params[0]), std::move(params[1]));
  } else {
    context_->Fail(Internal("no implementation of function ", name));
    return nullptr;
  }
  return MergeUnlessUnique(*call.args[0], std::move(result));
}

VectorOperatorPtr Planner::PlanSort(const Call& call, const Grid& grid) {
  VectorOperatorPtr child = PlanVector(*call.args[0], grid);
  if (child == nullptr) return nullptr;
  if (!context_->options().instant || grid.count > 1) {
    context_->annotations().Warn(
        "sort is ineffective for range queries since results are always ordered by labels",
        call.position);
    return child;
  }
  const std::string_view name = call.function->name;
  if (name == "sort" || name == "sort_desc") {
    return MakeSort(context_, std::move(child), name == "sort_desc");
  }
  std::vector<std::string> labels;
  for (size_t i = 1; i < call.args.size(); ++i) labels.push_back(StringOf(*call.args[i]));
  return MakeSortByLabel(context_, std::move(child), std::move(labels),
                         name == "sort_by_label_desc");
}

VectorOperatorPtr Planner::PlanInfo(const Call& call, const Grid& grid) {
  VectorOperatorPtr child = PlanVector(*call.args[0], grid);
  if (child == nullptr) return nullptr;
  InfoArguments arguments;
  if (call.args.size() > 1) {
    for (const Matcher& matcher : As<VectorSelector>(*call.args[1]).matchers) {
      (matcher.name() == kMetricName ? arguments.name_matchers : arguments.data_matchers)
          .push_back(matcher);
    }
  }
  const bool positive = std::any_of(
      arguments.name_matchers.begin(), arguments.name_matchers.end(), [](const Matcher& matcher) {
        return matcher.type() == MatchType::kEqual || matcher.type() == MatchType::kRegex;
      });
  VectorSelector selector(call.position);
  if (arguments.name_matchers.empty()) {
    arguments.name_matchers.push_back(Matcher::Equal(kMetricName, "target_info"));
  } else if (!positive) {
    arguments.name_matchers.push_back(*Matcher::Create(MatchType::kRegex, kMetricName, ".+_info"));
  }
  selector.matchers = arguments.name_matchers;
  selector.matchers.insert(selector.matchers.end(), arguments.data_matchers.begin(),
                           arguments.data_matchers.end());
  // The info series are read where the first selector of the argument reads.
  const std::vector<const VectorSelector*> selectors = Selectors(*call.args[0]);
  if (!selectors.empty()) selector.time = selectors.front()->time;
  VectorOperatorPtr info = PlanSelector(selector, grid, InstantSelection::Reads::kTimestamps,
                                        /*labels_unused=*/false, /*numbers_only=*/true);
  if (info == nullptr) return nullptr;
  return MakeInfo(context_, std::move(child), std::move(info), std::move(arguments), grid.count);
}

}  // namespace narthex::promql
