#ifndef NARTHEX_SERVICES_QUERY_PROMQL_DURATION_PARSER_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_DURATION_PARSER_H_

#include <memory>
#include <string_view>

#include "services/query/promql/ast.h"
#include "services/query/promql/token_cursor.h"

namespace narthex::promql {

// Parses what stands in brackets, after their colon, and after "offset": arithmetic on seconds.
// Thread safety: none.
class DurationParser : public TokenCursor {
 protected:
  using DurationPtr = std::unique_ptr<DurationExpr>;

  using TokenCursor::TokenCursor;

  // Null after an error. `context` names the place in messages.
  DurationPtr ParseDurationArithmetic(std::string_view context) {
    return ParseDurationExpr(0, context);
  }
  // After "offset" only one operand, so that "foo offset 5m + 1" is a sum.
  DurationPtr ParseOffsetDuration();
  // A plain number is taken at once; the rest waits for the query's step and range.
  bool TakeDuration(DurationPtr duration, bool positive, DurationValue* value);

 private:
  DurationPtr ParseDurationExpr(int least_precedence, std::string_view context);
  DurationPtr ParseDurationOperand(std::string_view context);
  DurationPtr ParseDurationParens(std::string_view context);

  int nodes_ = 0;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_DURATION_PARSER_H_
