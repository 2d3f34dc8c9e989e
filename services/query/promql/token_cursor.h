#ifndef NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_CURSOR_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_CURSOR_H_

#include <string_view>

#include "absl/status/status.h"
#include "services/query/promql/lexer.h"
#include "services/query/promql/token.h"

namespace narthex::promql {

// Walks the tokens of a query with one token of look-ahead, and keeps the first error, after which
// parsing stops. The base of the parsers. Thread safety: none.
class TokenCursor {
 protected:
  explicit TokenCursor(std::string_view query) : query_(query), lexer_(query) {
    token_ = lexer_.Next();
  }

  void Advance() {
    last_end_ = token_.position.end;
    token_ = lexer_.Next();
  }
  // These give false, so that a caller can return their result.
  bool Fail(PositionRange position, std::string_view message);
  // "unexpected <the token> in <context>, expected <expected>"; the latter may be empty.
  bool Unexpected(std::string_view context, std::string_view expected);
  // Steps over a token of this type.
  bool Expect(TokenType type, std::string_view context, std::string_view expected);
  // Reads a number or duration, in seconds, and steps over it. REQUIRES: the token is one.
  bool ParseNumberToken(double* value, bool* is_duration);

  const std::string_view query_;
  Token token_;
  int last_end_ = 0;  // Where the token before token_ ended.
  absl::Status status_;

 private:
  Lexer lexer_;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_CURSOR_H_
