#ifndef NARTHEX_SERVICES_QUERY_PROMQL_BINARY_NUMBER_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_BINARY_NUMBER_H_

#include <cmath>

#include "services/query/promql/ast.h"
#include "services/query/promql/operator.h"

namespace narthex::promql {

// Calls `visit(f)` with the function of an arithmetic operator on two numbers, so that loops are
// compiled for each. False when `op` is no arithmetic.
template <typename Visit>
bool WithArithmetic(BinaryOp op, Visit visit) {
  switch (op) {
    case BinaryOp::kAdd:
      visit([](double a, double b) { return a + b; });
      return true;
    case BinaryOp::kSub:
      visit([](double a, double b) { return a - b; });
      return true;
    case BinaryOp::kMul:
      visit([](double a, double b) { return a * b; });
      return true;
    case BinaryOp::kDiv:
      visit([](double a, double b) { return a / b; });
      return true;
    case BinaryOp::kMod:
      visit([](double a, double b) { return std::fmod(a, b); });
      return true;
    case BinaryOp::kPow:
      visit([](double a, double b) { return std::pow(a, b); });
      return true;
    case BinaryOp::kAtan2:
      visit([](double a, double b) { return std::atan2(a, b); });
      return true;
    case BinaryOp::kEqual:
    case BinaryOp::kNotEqual:
    case BinaryOp::kLess:
    case BinaryOp::kLessEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kGreaterEqual:
    case BinaryOp::kTrimUpper:
    case BinaryOp::kTrimLower:
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
    case BinaryOp::kUnless:
      break;
  }
  return false;
}

// The same for comparisons.
template <typename Visit>
bool WithComparison(BinaryOp op, Visit visit) {
  switch (op) {
    case BinaryOp::kEqual:
      visit([](double a, double b) { return a == b; });
      return true;
    case BinaryOp::kNotEqual:
      visit([](double a, double b) { return a != b; });
      return true;
    case BinaryOp::kLess:
      visit([](double a, double b) { return a < b; });
      return true;
    case BinaryOp::kLessEqual:
      visit([](double a, double b) { return a <= b; });
      return true;
    case BinaryOp::kGreater:
      visit([](double a, double b) { return a > b; });
      return true;
    case BinaryOp::kGreaterEqual:
      visit([](double a, double b) { return a >= b; });
      return true;
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kPow:
    case BinaryOp::kAtan2:
    case BinaryOp::kTrimUpper:
    case BinaryOp::kTrimLower:
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
    case BinaryOp::kUnless:
      break;
  }
  return false;
}

// Runs `op` over `count` pairs. left(i) and right(i) may be absent, and then so is the result; a
// comparison gives kept(i) or absent, or with `return_bool` 1 or 0. write(i, value) takes the
// results. Trim operators know no floats: all absent.
template <typename Left, typename Right, typename Kept, typename Write>
void ApplyBinary(BinaryOp op, bool return_bool, size_t count, Left left, Right right, Kept kept,
                 Write write) {
  const auto both = [&](size_t i) { return IsPresent(left(i)) && IsPresent(right(i)); };
  if (WithArithmetic(op, [&](auto calculate) {
        for (size_t i = 0; i < count; ++i) {
          write(i, both(i) ? calculate(left(i), right(i)) : Absent());
        }
      })) {
    return;
  }
  if (WithComparison(op, [&](auto compare) {
        for (size_t i = 0; i < count; ++i) {
          if (!both(i)) {
            write(i, Absent());
          } else if (return_bool) {
            write(i, compare(left(i), right(i)) ? 1.0 : 0.0);
          } else {
            write(i, compare(left(i), right(i)) ? kept(i) : Absent());
          }
        }
      })) {
    return;
  }
  for (size_t i = 0; i < count; ++i) write(i, Absent());
}

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_BINARY_NUMBER_H_
