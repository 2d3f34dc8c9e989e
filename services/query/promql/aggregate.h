#ifndef NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_H_

#include <string>
#include <vector>

#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

namespace narthex::promql {

struct AggregateArguments {
  AggregateOp op = AggregateOp::kSum;
  std::vector<std::string> grouping;
  bool without = false;
  std::string value_label;      // count_values
  PositionRange position;       // Of the aggregation.
  PositionRange expr_position;  // Of what is aggregated.
  PositionRange param_position;
};

// Reads `child` to its end and gives one row a group; `param` is the scalar parameter of the
// operators that have one. topk, bottomk, limitk and limit_ratio give rows of the child instead.
VectorOperatorPtr MakeAggregate(EvalContext* context, AggregateArguments arguments,
                                VectorOperatorPtr child, ScalarOperatorPtr param, size_t count);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_H_
