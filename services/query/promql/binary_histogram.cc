#include "services/query/promql/binary_histogram.h"

#include <utility>

#include "services/query/promql/binary_number.h"
#include "services/query/promql/histogram_annotations.h"
#include "services/query/promql/histogram_math.h"
#include "services/query/promql/histogram_quantile.h"

namespace narthex::promql {
namespace {

std::string_view KindText(const Operand& operand) {
  return operand.histogram != nullptr ? "histogram" : "float";
}

BinaryResult Incompatible(EvalContext* context, const BinaryArguments& arguments,
                          const Operand& left, const Operand& right) {
  const std::string_view op = BinaryOpText(arguments.op);
  context->annotations().Inform(
      StrCat("incompatible sample types encountered for binary operator ", Quote(op), ": ",
             KindText(left), " ", op, " ", KindText(right)),
      arguments.position);
  BinaryResult result;
  result.incompatible = true;
  return result;
}

BinaryResult Number(double value) {
  BinaryResult result;
  result.value.number = value;
  return result;
}

BinaryResult OfHistogram(FloatHistogram histogram) {
  BinaryResult result;
  result.value.histogram = std::make_shared<FloatHistogram>(std::move(histogram));
  return result;
}

BinaryResult Combine(EvalContext* context, const BinaryArguments& arguments,
                     const FloatHistogram& left, const FloatHistogram& right) {
  const bool adds = arguments.op == BinaryOp::kAdd;
  const std::string_view operation = adds ? kHistogramAddition : kHistogramSubtraction;
  const AnnotationSite site{&context->annotations(), "", arguments.position};
  HistogramSum sum(left);
  const HistogramOutcome outcome = adds ? sum.Add(right) : sum.Sub(right);
  if (outcome.incompatible) {
    context->annotations().Warn(
        StrCat("incompatible bucket layout encountered for binary operator ",
               BinaryOpText(arguments.op)),
        arguments.position);
    BinaryResult result;
    result.incompatible = true;
    return result;
  }
  if (outcome.reset_collision) WarnOfResetCollision(site, operation);
  if (outcome.bounds_reconciled) InformOfReconciledBounds(site, operation);
  FloatHistogram histogram = sum.Result();
  if (!adds) histogram.reset_hint = CounterResetHint::kGauge;
  return OfHistogram(std::move(histogram));
}

BinaryResult OfTwoHistograms(EvalContext* context, const BinaryArguments& arguments,
                             const Operand& left, const Operand& right) {
  const FloatHistogram& a = *left.histogram;
  const FloatHistogram& b = *right.histogram;
  if (arguments.op == BinaryOp::kAdd || arguments.op == BinaryOp::kSub) {
    return Combine(context, arguments, a, b);
  }
  if (arguments.op != BinaryOp::kEqual && arguments.op != BinaryOp::kNotEqual) {
    return Incompatible(context, arguments, left, right);
  }
  BinaryResult result;
  result.value = left;
  result.filtered = EqualHistograms(a, b) != (arguments.op == BinaryOp::kEqual);
  return result;
}

BinaryResult OfNumbers(EvalContext* context, const BinaryArguments& arguments, const Operand& left,
                       const Operand& right) {
  BinaryResult result;
  if (WithArithmetic(arguments.op, [&](auto calculate) {
        result = Number(calculate(left.number, right.number));
      })) {
    return result;
  }
  if (WithComparison(arguments.op, [&](auto compare) {
        result.value = left;
        result.filtered = !compare(left.number, right.number);
      })) {
    return result;
  }
  return Incompatible(context, arguments, left, right);
}

}  // namespace

void WriteResult(const BinaryArguments& arguments, BinaryResult result, size_t step, Row* out) {
  if (result.incompatible) {
    out->RemoveAt(step);
  } else if (arguments.return_bool) {
    out->SetNumber(step, result.filtered ? 0 : 1);
  } else if (result.filtered) {
    out->RemoveAt(step);
  } else if (result.value.histogram != nullptr) {
    out->SetHistogram(step, std::move(result.value.histogram));
  } else {
    out->SetNumber(step, result.value.number);
  }
}

BinaryResult CalculateOne(EvalContext* context, const BinaryArguments& arguments,
                          const Operand& left, const Operand& right) {
  if (left.histogram != nullptr && right.histogram != nullptr) {
    return OfTwoHistograms(context, arguments, left, right);
  }
  if (left.histogram == nullptr && right.histogram == nullptr) {
    return OfNumbers(context, arguments, left, right);
  }
  const bool times = arguments.op == BinaryOp::kMul;
  if (right.histogram != nullptr) {
    if (times) return OfHistogram(Multiply(*right.histogram, left.number));
    return Incompatible(context, arguments, left, right);
  }
  if (times) return OfHistogram(Multiply(*left.histogram, right.number));
  if (arguments.op == BinaryOp::kDiv) return OfHistogram(Divide(*left.histogram, right.number));
  if (IsTrim(arguments.op)) {
    return OfHistogram(TrimHistogram(*left.histogram, right.number,
                                     /*keep_below=*/arguments.op == BinaryOp::kTrimUpper));
  }
  return Incompatible(context, arguments, left, right);
}

}  // namespace narthex::promql
