#include "services/query/cache/cache_scope.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "services/query/promql/functions.h"

namespace narthex::query_cache {
namespace {

using promql::Expr;
using promql::ExprKind;
using promql::TimeModifiers;

// When a part of an expression is evaluated: at t + shift_ms, or at a fixed time.
struct Place {
  int64_t shift_ms = 0;
  bool fixed = false;
  Timestamp fixed_time = 0;
};

class Walk {
 public:
  explicit Walk(int64_t lookback_ms) : lookback_ms_(lookback_ms) {}

  bool Visit(const Expr& expr, const Place& place) {
    switch (expr.kind) {
      case ExprKind::kNumberLiteral:
      case ExprKind::kStringLiteral:
        return true;
      case ExprKind::kVectorSelector:
        return VisitSelector(promql::As<promql::VectorSelector>(expr), place);
      case ExprKind::kMatrixSelector: {
        const auto& matrix = promql::As<promql::MatrixSelector>(expr);
        return matrix.range.expr == nullptr && VisitSelector(*matrix.selector, place);
      }
      case ExprKind::kSubquery: {
        const auto& subquery = promql::As<promql::Subquery>(expr);
        Place inner = place;
        return subquery.range.expr == nullptr && subquery.step.expr == nullptr &&
               Move(subquery.time, &inner) && Visit(*subquery.expr, inner);
      }
      case ExprKind::kCall: {
        constexpr std::array<std::string_view, 4> kOfBounds = {"start", "end", "range", "step"};
        const std::string_view name = promql::As<promql::Call>(expr).function->name;
        if (std::find(kOfBounds.begin(), kOfBounds.end(), name) != kOfBounds.end()) return false;
        break;
      }
      case ExprKind::kUnary:
      case ExprKind::kBinary:
      case ExprKind::kAggregate:
      case ExprKind::kParen:
        break;
    }
    const std::vector<const Expr*> children = promql::Children(expr);
    return std::all_of(children.begin(), children.end(),
                       [&](const Expr* child) { return Visit(*child, place); });
  }

  const CacheScope& scope() const { return scope_; }

 private:
  static bool Move(const TimeModifiers& time, Place* place) {
    if (time.at_preprocessor != TimeModifiers::AtPreprocessor::kNone) return false;
    if (time.has_offset && time.offset.expr != nullptr) return false;
    const int64_t offset_ms = time.has_offset ? time.offset.ms : 0;
    if (time.at.has_value()) {
      *place = {0, true, *time.at};
    }
    if (place->fixed) {
      place->fixed_time -= offset_ms;
    } else {
      place->shift_ms -= offset_ms;
    }
    return true;
  }

  bool VisitSelector(const promql::VectorSelector& selector, const Place& outer) {
    Place place = outer;
    if (!Move(selector.time, &place)) return false;
    // A smoothed range looks at the sample behind its end, too.
    const int64_t beyond_ms = selector.smoothed ? lookback_ms_ : 0;
    if (place.fixed) {
      scope_.fixed_until = std::max(scope_.fixed_until, place.fixed_time + beyond_ms);
    } else {
      scope_.ahead_ms = std::max(scope_.ahead_ms, place.shift_ms + beyond_ms);
    }
    return true;
  }

  const int64_t lookback_ms_;
  CacheScope scope_;
};

}  // namespace

std::optional<CacheScope> ScopeOf(const Expr& expr, int64_t lookback_ms) {
  Walk walk(lookback_ms);
  if (!walk.Visit(expr, Place())) return std::nullopt;
  return walk.scope();
}

}  // namespace narthex::query_cache
