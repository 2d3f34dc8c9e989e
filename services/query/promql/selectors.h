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
  // timestamp() and start_timestamp(): times in seconds instead of values.
  enum class Reads : uint8_t { kValues, kTimestamps, kStartTimestamps };
  Reads reads = Reads::kValues;
  // Nobody looks at the labels of the rows, which stay empty then.
  bool labels_unused = false;
  bool smoothed = false;
  // Histograms that do not know whether there was a counter reset before them are told, as upstream
  // tells them where only counts and sums are wanted.
  bool detect_resets = false;
  // Of info metrics: histograms are an error.
  bool numbers_only = false;
  PositionRange position;
};

VectorOperatorPtr MakeInstantSelector(EvalContext* context, const InstantSelection& selection);
// `detect_resets` as above.
RangeOperatorPtr MakeRangeSelector(EvalContext* context, size_t selector, const WindowSpec& windows,
                                   bool detect_resets);
// `inner` is evaluated on `inner_grid`; a null `inner` has no series.
RangeOperatorPtr MakeSubquery(EvalContext* context, VectorOperatorPtr inner, const Grid& inner_grid,
                              const WindowSpec& windows);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_SELECTORS_H_
