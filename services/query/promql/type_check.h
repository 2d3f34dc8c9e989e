#ifndef NARTHEX_SERVICES_QUERY_PROMQL_TYPE_CHECK_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_TYPE_CHECK_H_

#include <string_view>

#include "absl/status/status.h"
#include "services/query/promql/ast.h"

namespace narthex::promql {

// The error that a query with a mistake at byte `position` gets: "2:7: parse error: <message>".
absl::Status ParseErrorAt(std::string_view query, int position, std::string_view message);

// Checks what the grammar cannot: argument types and counts, which operators go with which
// operands, selectors that select everything. Completes the tree on the way (set operators are
// many-to-many; matching is dropped where there are no two vectors). The first violation is
// InvalidArgument.
absl::Status CheckTypes(std::string_view query, Expr* expr);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_TYPE_CHECK_H_
