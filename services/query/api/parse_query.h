#ifndef NARTHEX_SERVICES_QUERY_API_PARSE_QUERY_H_
#define NARTHEX_SERVICES_QUERY_API_PARSE_QUERY_H_

#include "lib/json/writer.h"
#include "services/query/promql/ast.h"

namespace narthex::query_api {

// The tree of an expression as parse_query answers it: objects with a "type" and upstream's fields,
// keys in alphabetical order. Pure.
void WriteAst(const promql::Expr& expr, json::Writer* writer);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_PARSE_QUERY_H_
