#ifndef NARTHEX_SERVICES_QUERY_PROMQL_BINARY_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_BINARY_H_

#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

// Binary operators on scalars and instant vectors, and unary minus.
namespace narthex::promql {

struct BinaryArguments {
  BinaryOp op = BinaryOp::kAdd;
  bool return_bool = false;
  PositionRange position;
};

ScalarOperatorPtr MakeScalarBinary(EvalContext* context, const BinaryArguments& arguments,
                                   ScalarOperatorPtr left, ScalarOperatorPtr right, size_t count);

// `</` and `>/`, which take a part of a histogram.
bool IsTrim(BinaryOp op);
// Whether the result is still what the name says: a part of the operands.
bool KeepsName(BinaryOp op);

// `swapped`: the scalar stands on the left.
VectorOperatorPtr MakeVectorScalarBinary(EvalContext* context, const BinaryArguments& arguments,
                                         VectorOperatorPtr vector, ScalarOperatorPtr scalar,
                                         bool swapped);

// Arithmetic and comparison of two vectors. The "one" side is read into memory, the other streams.
// Rows of the result may have equal labels at different steps: a Merge has to follow unless that is
// known to be impossible.
VectorOperatorPtr MakeVectorBinary(EvalContext* context, const BinaryArguments& arguments,
                                   const VectorMatching& matching, VectorOperatorPtr left,
                                   VectorOperatorPtr right, size_t count);

// and, or, unless. The result of "or" needs a Merge, too.
VectorOperatorPtr MakeSetOperator(EvalContext* context, BinaryOp op, const VectorMatching& matching,
                                  VectorOperatorPtr left, VectorOperatorPtr right, size_t count);

VectorOperatorPtr MakeNegation(EvalContext* context, VectorOperatorPtr child);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_BINARY_H_
