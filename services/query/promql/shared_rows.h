#ifndef NARTHEX_SERVICES_QUERY_PROMQL_SHARED_ROWS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_SHARED_ROWS_H_

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

// Expressions that a query contains several times: evaluated once.
namespace narthex::promql {

// Which expressions of a query are worth keeping the rows of: aggregations, whose results are
// small, and at a single step everything that reads storage. Thread safety: none.
class Repeats {
 public:
  // Looks through `root`.
  void Find(const Expr& root);
  // The text of an expression that comes more than once and may be shared at `steps` steps, null
  // for all others.
  const std::string* TextOf(const Expr& expr, size_t steps) const;

 private:
  absl::flat_hash_map<const Expr*, std::string> texts_;  // Of those that are repeated.
};

// The rows of an operator for several readers. The first that asks reads it to its end.
class SharedRows;
std::shared_ptr<SharedRows> MakeSharedRows(EvalContext* context, VectorOperatorPtr child);
VectorOperatorPtr MakeSharedReader(std::shared_ptr<SharedRows> rows);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_SHARED_ROWS_H_
