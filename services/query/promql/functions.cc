#include "services/query/promql/functions.h"

#include <algorithm>
#include <iterator>

namespace narthex::promql {
namespace {

constexpr ValueType V = ValueType::kVector;
constexpr ValueType M = ValueType::kMatrix;
constexpr ValueType S = ValueType::kScalar;
constexpr ValueType T = ValueType::kString;
constexpr bool kExperimental = true;

// name, returns, argument types, argument count, variadic, experimental. Ordered by name.
constexpr FunctionSignature kFunctions[] = {
    {"abs", V, {V}, 1},
    {"absent", V, {V}, 1},
    {"absent_over_time", V, {M}, 1},
    {"acos", V, {V}, 1},
    {"acosh", V, {V}, 1},
    {"asin", V, {V}, 1},
    {"asinh", V, {V}, 1},
    {"atan", V, {V}, 1},
    {"atanh", V, {V}, 1},
    {"avg_over_time", V, {M}, 1},
    {"ceil", V, {V}, 1},
    {"changes", V, {M}, 1},
    {"clamp", V, {V, S, S}, 3},
    {"clamp_max", V, {V, S}, 2},
    {"clamp_min", V, {V, S}, 2},
    {"cos", V, {V}, 1},
    {"cosh", V, {V}, 1},
    {"count_over_time", V, {M}, 1},
    {"day_of_month", V, {V}, 1, 1},
    {"day_of_week", V, {V}, 1, 1},
    {"day_of_year", V, {V}, 1, 1},
    {"days_in_month", V, {V}, 1, 1},
    {"deg", V, {V}, 1},
    {"delta", V, {M}, 1},
    {"deriv", V, {M}, 1},
    {"double_exponential_smoothing", V, {M, S, S}, 3, 0, kExperimental},
    {"end", S, {}, 0, 0, kExperimental},
    {"exp", V, {V}, 1},
    {"first_over_time", V, {M}, 1},
    {"floor", V, {V}, 1},
    {"histogram_avg", V, {V}, 1},
    {"histogram_count", V, {V}, 1},
    {"histogram_fraction", V, {S, S, V}, 3},
    {"histogram_quantile", V, {S, V}, 2},
    {"histogram_quantiles", V, {V, T, S}, 3, 9, kExperimental},
    {"histogram_stddev", V, {V}, 1},
    {"histogram_stdvar", V, {V}, 1},
    {"histogram_sum", V, {V}, 1},
    {"hour", V, {V}, 1, 1},
    {"idelta", V, {M}, 1},
    {"increase", V, {M}, 1},
    {"info", V, {V, V}, 2, 1, kExperimental},
    {"irate", V, {M}, 1},
    {"label_join", V, {V, T, T, T}, 4, -1},
    {"label_replace", V, {V, T, T, T, T}, 5},
    {"last_over_time", V, {M}, 1},
    {"ln", V, {V}, 1},
    {"log10", V, {V}, 1},
    {"log2", V, {V}, 1},
    {"mad_over_time", V, {M}, 1, 0, kExperimental},
    {"max_of", S, {S, S}, 2, 0, kExperimental},
    {"max_over_time", V, {M}, 1},
    {"min_of", S, {S, S}, 2, 0, kExperimental},
    {"min_over_time", V, {M}, 1},
    {"minute", V, {V}, 1, 1},
    {"month", V, {V}, 1, 1},
    {"pi", S, {}, 0},
    {"predict_linear", V, {M, S}, 2},
    {"present_over_time", V, {M}, 1},
    {"quantile_over_time", V, {S, M}, 2},
    {"rad", V, {V}, 1},
    {"range", S, {}, 0, 0, kExperimental},
    {"rate", V, {M}, 1},
    {"resets", V, {M}, 1},
    {"round", V, {V, S}, 2, 1},
    {"scalar", S, {V}, 1},
    {"sgn", V, {V}, 1},
    {"sin", V, {V}, 1},
    {"sinh", V, {V}, 1},
    {"sort", V, {V}, 1},
    {"sort_by_label", V, {V, T}, 2, -1, kExperimental},
    {"sort_by_label_desc", V, {V, T}, 2, -1, kExperimental},
    {"sort_desc", V, {V}, 1},
    {"sqrt", V, {V}, 1},
    {"start", S, {}, 0, 0, kExperimental},
    {"start_timestamp", V, {V}, 1, 0, kExperimental},
    {"stddev_over_time", V, {M}, 1},
    {"stdvar_over_time", V, {M}, 1},
    {"step", S, {}, 0, 0, kExperimental},
    {"sum_over_time", V, {M}, 1},
    {"tan", V, {V}, 1},
    {"tanh", V, {V}, 1},
    {"time", S, {}, 0},
    {"timestamp", V, {V}, 1},
    {"ts_of_first_over_time", V, {M}, 1, 0, kExperimental},
    {"ts_of_last_over_time", V, {M}, 1, 0, kExperimental},
    {"ts_of_max_over_time", V, {M}, 1, 0, kExperimental},
    {"ts_of_min_over_time", V, {M}, 1, 0, kExperimental},
    {"vector", V, {S}, 1},
    {"year", V, {V}, 1, 1},
};
static_assert(std::size(kFunctions) == 90);

}  // namespace

std::span<const FunctionSignature> AllFunctions() { return kFunctions; }

const FunctionSignature* FindFunction(std::string_view name) {
  const auto* found = std::lower_bound(
      std::begin(kFunctions), std::end(kFunctions), name,
      [](const FunctionSignature& row, std::string_view wanted) { return row.name < wanted; });
  return found != std::end(kFunctions) && found->name == name ? found : nullptr;
}

}  // namespace narthex::promql
