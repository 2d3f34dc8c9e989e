#ifndef NARTHEX_SERVICES_QUERY_PROMQL_SELECTORS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_SELECTORS_H_

#include <cstddef>
#include <vector>

#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

// The leaves of an operator tree: what reads from storage, and subqueries, which make a range
// vector of an instant one.
namespace narthex::promql {

struct InstantSelection {
  size_t selector = 0;  // Number in the query's Select.
  Grid grid;
  int64_t offset_ms = 0;
  int64_t lookback_ms = 0;
  bool fixed = false;  // With @.
  Timestamp fixed_time = 0;
  bool timestamps = false;  // timestamp(): the time of the sample in seconds instead of its value.
  bool smoothed = false;
};

VectorOperatorPtr MakeInstantSelector(EvalContext* context, const InstantSelection& selection);
RangeOperatorPtr MakeRangeSelector(EvalContext* context, size_t selector,
                                   const WindowSpec& windows);
// `inner` is evaluated on `inner_grid`; a null `inner` has no series.
RangeOperatorPtr MakeSubquery(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                              const WindowSpec& windows);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_SELECTORS_H_
