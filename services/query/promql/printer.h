#ifndef NARTHEX_SERVICES_QUERY_PROMQL_PRINTER_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_PRINTER_H_

#include <string>

#include "services/query/promql/ast.h"

namespace narthex::promql {

// The canonical text of an expression on one line; parsing it gives an equal tree. It is what the
// rules API shows and what rules are compared by.
std::string ToString(const Expr& expr);

// The text on several lines, indented by two blanks a level where a line would be longer than 100
// columns (the format_query API).
std::string Prettify(const Expr& expr);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_PRINTER_H_
