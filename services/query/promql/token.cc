#include "services/query/promql/token.h"

#include <array>

#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

struct Keyword {
  std::string_view word;
  TokenType type;
  AggregateOp aggregate_op = AggregateOp::kSum;
};

constexpr auto kKeywords = std::to_array<Keyword>({
    {"and", TokenType::kAnd},
    {"or", TokenType::kOr},
    {"unless", TokenType::kUnless},
    {"atan2", TokenType::kAtan2},
    {"sum", TokenType::kAggregate, AggregateOp::kSum},
    {"avg", TokenType::kAggregate, AggregateOp::kAvg},
    {"count", TokenType::kAggregate, AggregateOp::kCount},
    {"min", TokenType::kAggregate, AggregateOp::kMin},
    {"max", TokenType::kAggregate, AggregateOp::kMax},
    {"group", TokenType::kAggregate, AggregateOp::kGroup},
    {"stddev", TokenType::kAggregate, AggregateOp::kStddev},
    {"stdvar", TokenType::kAggregate, AggregateOp::kStdvar},
    {"topk", TokenType::kAggregate, AggregateOp::kTopK},
    {"bottomk", TokenType::kAggregate, AggregateOp::kBottomK},
    {"count_values", TokenType::kAggregate, AggregateOp::kCountValues},
    {"quantile", TokenType::kAggregate, AggregateOp::kQuantile},
    {"limitk", TokenType::kAggregate, AggregateOp::kLimitK},
    {"limit_ratio", TokenType::kAggregate, AggregateOp::kLimitRatio},
    {"offset", TokenType::kOffset},
    {"smoothed", TokenType::kSmoothed},
    {"anchored", TokenType::kAnchored},
    {"by", TokenType::kBy},
    {"without", TokenType::kWithout},
    {"on", TokenType::kOn},
    {"ignoring", TokenType::kIgnoring},
    {"group_left", TokenType::kGroupLeft},
    {"group_right", TokenType::kGroupRight},
    {"bool", TokenType::kBool},
    {"fill", TokenType::kFill},
    {"fill_left", TokenType::kFillLeft},
    {"fill_right", TokenType::kFillRight},
    {"start", TokenType::kStart},
    {"end", TokenType::kEnd},
    {"step", TokenType::kStep},
    {"range", TokenType::kRange},
});

bool IsOperator(TokenType type) { return type >= TokenType::kAdd && type <= TokenType::kUnless; }

bool IsKeyword(TokenType type) {
  return type >= TokenType::kOffset && type <= TokenType::kSmoothed;
}

}  // namespace

TokenType LookupKeyword(std::string_view word, AggregateOp* aggregate_op) {
  for (const Keyword& keyword : kKeywords) {
    if (EqualsIgnoreCaseAscii(keyword.word, word)) {
      *aggregate_op = keyword.aggregate_op;
      return keyword.type;
    }
  }
  return TokenType::kIdentifier;
}

bool UsableAsMetricName(TokenType type) {
  switch (type) {
    case TokenType::kIdentifier:
    case TokenType::kMetricIdentifier:
    case TokenType::kAggregate:
    case TokenType::kAnd:
    case TokenType::kOr:
    case TokenType::kUnless:
    case TokenType::kOffset:
    case TokenType::kBy:
    case TokenType::kWithout:
    case TokenType::kFill:
    case TokenType::kFillLeft:
    case TokenType::kFillRight:
    case TokenType::kStart:
    case TokenType::kEnd:
    case TokenType::kStep:
    case TokenType::kRange:
    case TokenType::kAnchored:
    case TokenType::kSmoothed:
      return true;
    case TokenType::kEof:
    case TokenType::kError:
    case TokenType::kString:
    case TokenType::kNumber:
    case TokenType::kDuration:
    case TokenType::kLeftParen:
    case TokenType::kRightParen:
    case TokenType::kLeftBrace:
    case TokenType::kRightBrace:
    case TokenType::kLeftBracket:
    case TokenType::kRightBracket:
    case TokenType::kComma:
    case TokenType::kColon:
    case TokenType::kAssign:
    case TokenType::kRegexMatch:
    case TokenType::kRegexNotMatch:
    case TokenType::kAt:
    case TokenType::kAdd:
    case TokenType::kSub:
    case TokenType::kMul:
    case TokenType::kDiv:
    case TokenType::kMod:
    case TokenType::kPow:
    case TokenType::kAtan2:
    case TokenType::kEqual:
    case TokenType::kNotEqual:
    case TokenType::kLess:
    case TokenType::kLessEqual:
    case TokenType::kGreater:
    case TokenType::kGreaterEqual:
    case TokenType::kTrimUpper:
    case TokenType::kTrimLower:
    case TokenType::kOn:
    case TokenType::kIgnoring:
    case TokenType::kGroupLeft:
    case TokenType::kGroupRight:
    case TokenType::kBool:
      return false;
  }
  return false;
}

bool UsableAsLabelName(TokenType type) {
  return type == TokenType::kIdentifier || type == TokenType::kAggregate || IsKeyword(type) ||
         type == TokenType::kAnd || type == TokenType::kOr || type == TokenType::kUnless ||
         type == TokenType::kAtan2;
}

std::string Describe(const Token& token) {
  if (token.type == TokenType::kEof) return "end of input";
  if (IsKeyword(token.type)) return StrCat("<", token.text, ">");
  if (IsOperator(token.type)) return StrCat("<op:", token.text, ">");
  if (token.type == TokenType::kAggregate) return StrCat("<aggr:", token.text, ">");
  std::string text = Quote(token.text);
  if (token.type == TokenType::kIdentifier) return StrCat("identifier ", text);
  if (token.type == TokenType::kMetricIdentifier) return StrCat("metric identifier ", text);
  if (token.text.size() > 10) text = StrCat(Quote(token.text.substr(0, 10)), "...");
  if (token.type == TokenType::kString) return StrCat("string ", text);
  if (token.type == TokenType::kNumber) return StrCat("number ", text);
  if (token.type == TokenType::kDuration) return StrCat("duration ", text);
  // In upstream the matchers' signs are operators and the rest stand for themselves.
  if (token.type == TokenType::kAssign || token.type == TokenType::kRegexMatch ||
      token.type == TokenType::kRegexNotMatch) {
    return StrCat("<op:", token.text, ">");
  }
  return text;
}

}  // namespace narthex::promql
