#ifndef NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "services/query/promql/ast.h"

namespace narthex::promql {

// Operators stand side by side, and so do keywords.
enum class TokenType : uint8_t {
  kEof,
  kError,  // text is the message
  // Values.
  kIdentifier,
  kMetricIdentifier,  // An identifier with a colon.
  kString,
  kNumber,
  kDuration,
  // Punctuation.
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kColon,
  kAssign,      // "="
  kRegexMatch,  // "=~", only inside braces
  kRegexNotMatch,
  kAt,
  // Operators.
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kEqual,  // "=="
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kTrimUpper,
  kTrimLower,
  kAnd,
  kOr,
  kUnless,
  // Aggregations; AggregateOp in aggregate_op.
  kAggregate,
  // Keywords.
  kOffset,
  kBy,
  kWithout,
  kOn,
  kIgnoring,
  kGroupLeft,
  kGroupRight,
  kBool,
  kFill,
  kFillLeft,
  kFillRight,
  kStart,
  kEnd,
  kStep,
  kRange,
  kAnchored,
  kSmoothed,
};

// One lexical unit. `text` points into the query, or into static storage or the lexer's message for
// kError.
struct Token {
  TokenType type = TokenType::kEof;
  AggregateOp aggregate_op = AggregateOp::kSum;
  std::string_view text;
  PositionRange position;
};

// Words that are operators, aggregations or keywords, compared without case; kIdentifier when
// `word` is none of them.
TokenType LookupKeyword(std::string_view word, AggregateOp* aggregate_op);

// Whether a bare metric may be called like this keyword ("sum", "offset", but not "bool").
bool UsableAsMetricName(TokenType type);
// Whether a label may be called like this without quotes: any word.
bool UsableAsLabelName(TokenType type);

// How upstream names a token after "unexpected": `identifier "foo"`, `<by>`, `<op:*>`, `"{"`, `end
// of input`.
std::string Describe(const Token& token);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_TOKEN_H_
