#include "services/query/promql/duration_parser.h"

#include <cmath>
#include <utility>

#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

// What one duration expression may have; deeper ones would need too much stack.
constexpr int kNodesMax = 500;

struct DurationOperatorRow {
  TokenType token;
  DurationExpr::Op op;
  std::string_view verb;
  int precedence;
};

constexpr DurationOperatorRow kDurationOperators[] = {
    {TokenType::kAdd, DurationExpr::Op::kAdd, "", 1},
    {TokenType::kSub, DurationExpr::Op::kSub, "", 1},
    {TokenType::kMul, DurationExpr::Op::kMul, "", 2},
    {TokenType::kDiv, DurationExpr::Op::kDiv, "division by zero", 2},
    {TokenType::kMod, DurationExpr::Op::kMod, "modulo by zero", 2},
    {TokenType::kPow, DurationExpr::Op::kPow, "", 3},
};

constexpr std::string_view kDurationWanted = "number, duration, step(), or range()";

std::unique_ptr<DurationExpr> Signed(const Token& sign, std::unique_ptr<DurationExpr> operand) {
  if (operand == nullptr) return nullptr;
  const bool negate = sign.type == TokenType::kSub;
  if (operand->op == DurationExpr::Op::kNumber) {
    if (negate) operand->seconds = -operand->seconds;
    operand->position.start = sign.position.start;
    return operand;
  }
  auto node = std::make_unique<DurationExpr>();
  node->op = negate ? DurationExpr::Op::kNegate : DurationExpr::Op::kPlus;
  node->position = {sign.position.start, operand->position.end};
  node->left = std::move(operand);
  return node;
}

}  // namespace

DurationParser::DurationPtr DurationParser::ParseDurationExpr(int least_precedence,
                                                              std::string_view context) {
  DurationPtr left = ParseDurationOperand(context);
  while (left != nullptr) {
    const DurationOperatorRow* row = nullptr;
    for (const DurationOperatorRow& candidate : kDurationOperators) {
      if (candidate.token == token_.type) row = &candidate;
    }
    if (row == nullptr || row->precedence < least_precedence) break;
    if (++nodes_ > kNodesMax) {
      Fail(token_.position, "duration expression is too long");
      return nullptr;
    }
    Advance();
    const int next = row->precedence + (row->op == DurationExpr::Op::kPow ? 0 : 1);
    DurationPtr right = ParseDurationExpr(next, context);
    if (right == nullptr) return nullptr;
    if (!row->verb.empty() && right->op == DurationExpr::Op::kNumber && right->seconds == 0) {
      Fail(right->position, row->verb);
      return nullptr;
    }
    auto node = std::make_unique<DurationExpr>();
    node->op = row->op;
    node->position = {left->position.start, right->position.end};
    node->left = std::move(left);
    node->right = std::move(right);
    left = std::move(node);
  }
  return left;
}

DurationParser::DurationPtr DurationParser::ParseDurationOperand(std::string_view context) {
  if (++nodes_ > kNodesMax) {
    Fail(token_.position, "duration expression is too long");
    return nullptr;
  }
  if (token_.type == TokenType::kAdd || token_.type == TokenType::kSub) {
    const Token sign = token_;
    Advance();
    // As outside durations the sign binds like '*'.
    return Signed(sign, ParseDurationExpr(3, context));
  }
  if (token_.type == TokenType::kLeftParen) return ParseDurationParens(context);
  auto node = std::make_unique<DurationExpr>();
  node->position = token_.position;
  if (token_.type == TokenType::kNumber || token_.type == TokenType::kDuration) {
    if (!ParseNumberToken(&node->seconds, &node->written_as_duration)) return nullptr;
    return node;
  }
  if (token_.type == TokenType::kStep || token_.type == TokenType::kRange) {
    node->op = token_.type == TokenType::kStep ? DurationExpr::Op::kStep : DurationExpr::Op::kRange;
    Advance();
    if (!Expect(TokenType::kLeftParen, context, "\"(\"")) return nullptr;
    if (!Expect(TokenType::kRightParen, context, "\")\"")) return nullptr;
    node->position.end = last_end_;
    return node;
  }
  const bool min =
      token_.type == TokenType::kIdentifier && EqualsIgnoreCaseAscii(token_.text, "min_of");
  const bool max =
      token_.type == TokenType::kIdentifier && EqualsIgnoreCaseAscii(token_.text, "max_of");
  if (!min && !max) {
    Unexpected(context, kDurationWanted);
    return nullptr;
  }
  node->op = min ? DurationExpr::Op::kMinOf : DurationExpr::Op::kMaxOf;
  Advance();
  if (!Expect(TokenType::kLeftParen, context, "\"(\"")) return nullptr;
  node->left = ParseDurationExpr(0, context);
  if (node->left == nullptr || !Expect(TokenType::kComma, context, "\",\"")) return nullptr;
  node->right = ParseDurationExpr(0, context);
  if (node->right == nullptr || !Expect(TokenType::kRightParen, context, "\")\"")) return nullptr;
  node->position.end = last_end_;
  return node;
}

DurationParser::DurationPtr DurationParser::ParseDurationParens(std::string_view context) {
  const int start = token_.position.start;
  Advance();
  DurationPtr inner = ParseDurationExpr(0, context);
  if (inner == nullptr || !Expect(TokenType::kRightParen, context, "\")\"")) return nullptr;
  // A bare number needs no parentheses, a signed one does before '^'.
  inner->wrapped = inner->op != DurationExpr::Op::kNumber || inner->seconds < 0;
  inner->position = {start, last_end_};
  return inner;
}

DurationParser::DurationPtr DurationParser::ParseOffsetDuration() {
  constexpr std::string_view kContext = "offset";
  if (token_.type == TokenType::kAdd || token_.type == TokenType::kSub) {
    const Token sign = token_;
    Advance();
    return Signed(sign, ParseDurationOperand(kContext));
  }
  return ParseDurationOperand(kContext);
}

bool DurationParser::TakeDuration(DurationPtr duration, bool positive, DurationValue* value) {
  if (duration->op != DurationExpr::Op::kNumber) {
    value->expr = std::move(duration);
    return true;
  }
  if (positive && !(duration->seconds > 0)) {
    return Fail(duration->position, "duration must be greater than 0");
  }
  // Kept in nanoseconds upstream, and cut to milliseconds when used.
  const double ns = std::round(duration->seconds * 1e9);
  if (!(std::abs(ns) < 9.2e18)) return Fail(duration->position, "duration out of range");
  value->ms = static_cast<int64_t>(ns) / 1000000;
  if (positive && value->ms == 0) {
    return Fail(duration->position, "duration must be greater than 0");
  }
  return true;
}

}  // namespace narthex::promql
