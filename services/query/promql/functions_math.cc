#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

struct MathRow {
  std::string_view name;
  NumberFunction function;
};

constexpr MathRow kMathFunctions[] = {
    {"abs", [](double x) { return std::abs(x); }},
    {"acos", [](double x) { return std::acos(x); }},
    {"acosh", [](double x) { return std::acosh(x); }},
    {"asin", [](double x) { return std::asin(x); }},
    {"asinh", [](double x) { return std::asinh(x); }},
    {"atan", [](double x) { return std::atan(x); }},
    {"atanh", [](double x) { return std::atanh(x); }},
    {"ceil", [](double x) { return std::ceil(x); }},
    {"cos", [](double x) { return std::cos(x); }},
    {"cosh", [](double x) { return std::cosh(x); }},
    {"deg", [](double x) { return x * 180 / std::numbers::pi; }},
    {"exp", [](double x) { return std::exp(x); }},
    {"floor", [](double x) { return std::floor(x); }},
    {"ln", [](double x) { return std::log(x); }},
    {"log10", [](double x) { return std::log10(x); }},
    {"log2", [](double x) { return std::log2(x); }},
    {"rad", [](double x) { return x * std::numbers::pi / 180; }},
    {"sgn", [](double x) { return x < 0   ? -1
                                  : x > 0 ? 1
                                          : x; }},
    {"sin", [](double x) { return std::sin(x); }},
    {"sinh", [](double x) { return std::sinh(x); }},
    {"sqrt", [](double x) { return std::sqrt(x); }},
    {"tan", [](double x) { return std::tan(x); }},
    {"tanh", [](double x) { return std::tanh(x); }},
};

// Unlike fmin and fmax, NaN when either is.
double Min(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NormalNan() : std::min(a, b);
}
double Max(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NormalNan() : std::max(a, b);
}

}  // namespace

NumberFunction FindMathFunction(std::string_view name) {
  for (const MathRow& row : kMathFunctions) {
    if (row.name == name) return row.function;
  }
  return nullptr;
}

VectorOperatorPtr MakeNumberMap(EvalContext* context, VectorOperatorPtr child,
                                NumberFunction function) {
  return MakeRowMap(context, std::move(child), {},
                    [context, function](Row* row, std::span<const std::vector<double>>) {
                      row->DropHistograms();
                      for (double& value : row->values) {
                        if (IsPresent(value)) value = function(value);
                      }
                      DropName(row, context->options());
                    });
}

VectorOperatorPtr MakeRound(EvalContext* context, VectorOperatorPtr child,
                            ScalarOperatorPtr nearest) {
  std::vector<ScalarOperatorPtr> params;
  params.push_back(std::move(nearest));
  return MakeRowMap(context, std::move(child), std::move(params),
                    [context](Row* row, std::span<const std::vector<double>> values) {
                      row->DropHistograms();
                      for (size_t i = 0; i < row->values.size(); ++i) {
                        if (IsAbsent(row->values[i])) continue;
                        // The inverse keeps 0.1 from giving 0.30000000000000004.
                        const double inverse = 1 / values[0][i];
                        row->values[i] = std::floor(row->values[i] * inverse + 0.5) / inverse;
                      }
                      DropName(row, context->options());
                    });
}

VectorOperatorPtr MakeClamp(EvalContext* context, VectorOperatorPtr child, ScalarOperatorPtr least,
                            ScalarOperatorPtr most) {
  const bool both = least != nullptr && most != nullptr;
  const bool has_least = least != nullptr;
  std::vector<ScalarOperatorPtr> params;
  if (least != nullptr) params.push_back(std::move(least));
  if (most != nullptr) params.push_back(std::move(most));
  return MakeRowMap(context, std::move(child), std::move(params),
                    [=](Row* row, std::span<const std::vector<double>> values) {
                      row->DropHistograms();
                      for (size_t i = 0; i < row->values.size(); ++i) {
                        double& value = row->values[i];
                        if (IsAbsent(value)) continue;
                        if (both) {
                          value = values[1][i] < values[0][i]
                                      ? Absent()
                                      : Max(values[0][i], Min(values[1][i], value));
                        } else {
                          value = has_least ? Max(values[0][i], value) : Min(values[0][i], value);
                        }
                      }
                      DropName(row, context->options());
                    });
}

}  // namespace narthex::promql
