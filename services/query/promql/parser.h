#ifndef NARTHEX_SERVICES_QUERY_PROMQL_PARSER_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_PARSER_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "services/query/promql/ast.h"

namespace narthex::promql {

// What of the language is behind a switch. (Upstream's feature flags promql-experimental-functions,
// promql-extended-range-selectors and promql-binop-fill-modifiers.)
struct ParserOptions {
  bool experimental_functions = false;  // Functions and aggregations.
  bool extended_range_selectors = false;
  bool fill_modifiers = false;
};

// Parses and type-checks an expression. Errors are InvalidArgument with upstream's text ("1:5:
// parse error: unexpected ..."). Never recurses deeper than a fixed limit.
absl::StatusOr<ExprPtr> ParseExpr(std::string_view text, const ParserOptions& options = {});

// The matchers of one series selector ("up", {job="x"}): match[] of the series, labels and
// federation endpoints.
absl::StatusOr<std::vector<Matcher>> ParseMetricSelector(std::string_view text);

// A metric written with its labels: name{a="b"} or {"name", a="b"}. Only equality.
absl::StatusOr<Labels> ParseMetric(std::string_view text);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_PARSER_H_
