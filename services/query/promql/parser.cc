#include "services/query/promql/parser.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/labels/selector_format.h"
#include "services/query/promql/duration_parser.h"
#include "services/query/promql/functions.h"
#include "services/query/promql/type_check.h"

namespace narthex::promql {
namespace {

// The height of a tree (long chains of operators make high ones), and how deep parentheses, calls
// and signs may be nested in the text. All passes recur along the tree; these bounds keep them
// within a few megabytes of stack, also under sanitizers.
constexpr int kHeightMax = 1000;
constexpr int kDepthMax = 400;

// Binding strength of binary operators; higher binds tighter.
constexpr int kPowPrecedence = 6;

struct OperatorRow {
  TokenType token;
  BinaryOp op;
  int precedence;
};

constexpr OperatorRow kOperators[] = {
    {TokenType::kOr, BinaryOp::kOr, 1},
    {TokenType::kAnd, BinaryOp::kAnd, 2},
    {TokenType::kUnless, BinaryOp::kUnless, 2},
    {TokenType::kEqual, BinaryOp::kEqual, 3},
    {TokenType::kNotEqual, BinaryOp::kNotEqual, 3},
    {TokenType::kLess, BinaryOp::kLess, 3},
    {TokenType::kLessEqual, BinaryOp::kLessEqual, 3},
    {TokenType::kGreater, BinaryOp::kGreater, 3},
    {TokenType::kGreaterEqual, BinaryOp::kGreaterEqual, 3},
    {TokenType::kTrimUpper, BinaryOp::kTrimUpper, 3},
    {TokenType::kTrimLower, BinaryOp::kTrimLower, 3},
    {TokenType::kAdd, BinaryOp::kAdd, 4},
    {TokenType::kSub, BinaryOp::kSub, 4},
    {TokenType::kMul, BinaryOp::kMul, 5},
    {TokenType::kDiv, BinaryOp::kDiv, 5},
    {TokenType::kMod, BinaryOp::kMod, 5},
    {TokenType::kAtan2, BinaryOp::kAtan2, 5},
    {TokenType::kPow, BinaryOp::kPow, kPowPrecedence},
};

const OperatorRow* FindOperator(TokenType type) {
  for (const OperatorRow& row : kOperators) {
    if (row.token == type) return &row;
  }
  return nullptr;
}

// One parse of one text. A method that fails has set status_ and returns null or false; the first
// error stops everything.
class Parser : private DurationParser {
 public:
  Parser(std::string_view query, const ParserOptions& options)
      : DurationParser(query), options_(options) {}

  absl::StatusOr<ExprPtr> Expression() {
    ExprPtr expr;
    if (token_.type == TokenType::kEof) {
      Fail(token_.position, "no expression found in input");
    } else {
      expr = ParseBinary(0);
      if (expr != nullptr && token_.type != TokenType::kEof) Unexpected("", "");
    }
    if (!status_.ok()) return status_;
    NARTHEX_RETURN_IF_ERROR(CheckTypes(query_, expr.get()));
    return expr;
  }

  absl::StatusOr<std::vector<Matcher>> MetricSelector() {
    ExprPtr expr;
    if (token_.type == TokenType::kLeftBrace || UsableAsMetricName(token_.type)) {
      expr = ParseSelector();
      if (expr != nullptr && token_.type != TokenType::kEof) Unexpected("", "");
    } else {
      Unexpected("", "");
    }
    if (!status_.ok()) return status_;
    return std::move(As<VectorSelector>(*expr).matchers);
  }

  absl::StatusOr<Labels> Metric() {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<Matcher> matchers, MetricSelector());
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const Matcher& matcher : matchers) {
      if (matcher.type() != MatchType::kEqual) {
        return ParseErrorAt(query_, 0,
                            StrCat("unexpected <op:", MatchTypeText(matcher.type()),
                                   "> in label set, expected \"=\""));
      }
      for (const auto& [name, value] : pairs) {
        if (name == matcher.name()) {
          return ParseErrorAt(query_, 0, StrCat("label ", Quote(name), " set twice"));
        }
      }
      pairs.emplace_back(matcher.name(), matcher.value());
    }
    return Labels::FromPairs(std::move(pairs));
  }

 private:
  // Sets the height of a finished node; null when the tree has grown too high.
  template <typename T>
  ExprPtr Finish(std::unique_ptr<T> node) {
    int height = 0;
    for (const Expr* child : Children(*node)) height = std::max(height, child->height);
    node->height = height + 1;
    if (node->height > kHeightMax) {
      Fail(node->position, "expression is nested too deeply");
      return nullptr;
    }
    return node;
  }

  // -- Expressions.

  // Every way down into a nested expression leads through here.
  ExprPtr ParseBinary(int least_precedence) {
    if (depth_ == kDepthMax) {
      Fail(token_.position, "expression is nested too deeply");
      return nullptr;
    }
    ++depth_;
    ExprPtr expr = ParseBinaryChain(least_precedence);
    --depth_;
    return expr;
  }

  ExprPtr ParseBinaryChain(int least_precedence) {
    ExprPtr left = ParseUnary();
    while (left != nullptr) {
      const OperatorRow* row = FindOperator(token_.type);
      if (row == nullptr || row->precedence < least_precedence) break;
      auto binary = std::make_unique<Binary>(left->position);
      binary->op = row->op;
      binary->op_position = token_.position;
      Advance();
      if (!ParseBinaryModifiers(binary.get())) return nullptr;
      const bool right_associative = row->op == BinaryOp::kPow;
      binary->left = std::move(left);
      binary->right = ParseBinary(row->precedence + (right_associative ? 0 : 1));
      if (binary->right == nullptr) return nullptr;
      binary->position.end = binary->right->position.end;
      left = Finish(std::move(binary));
    }
    return left;
  }

  ExprPtr ParseUnary() {
    if (token_.type != TokenType::kAdd && token_.type != TokenType::kSub) return ParsePostfix();
    const bool negate = token_.type == TokenType::kSub;
    const int start = token_.position.start;
    Advance();
    // The sign binds like '*', so only '^' is stronger.
    ExprPtr operand = ParseBinary(kPowPrecedence);
    if (operand == nullptr) return nullptr;
    if (operand->kind == ExprKind::kNumberLiteral) {
      auto& number = As<NumberLiteral>(*operand);
      if (negate) number.value = -number.value;
      number.position.start = start;
      return operand;
    }
    auto unary = std::make_unique<Unary>(PositionRange{start, operand->position.end});
    unary->negate = negate;
    unary->expr = std::move(operand);
    return Finish(std::move(unary));
  }

  // A primary expression and what may follow it: [range], [range:step], offset, @, anchored,
  // smoothed.
  ExprPtr ParsePostfix() {
    ExprPtr expr = ParsePrimary();
    while (expr != nullptr) {
      bool ok = true;
      if (token_.type == TokenType::kLeftBracket) {
        expr = ParseBrackets(std::move(expr));
      } else if (token_.type == TokenType::kOffset) {
        ok = ParseOffset(expr.get());
      } else if (token_.type == TokenType::kAt) {
        ok = ParseAt(expr.get());
      } else if (token_.type == TokenType::kAnchored || token_.type == TokenType::kSmoothed) {
        ok = ParseExtension(expr.get());
      } else {
        break;
      }
      if (!ok) return nullptr;
    }
    return expr;
  }

  ExprPtr ParsePrimary() {
    const TokenType type = token_.type;
    if (type == TokenType::kLeftParen) return ParseParenthesised();
    if (type == TokenType::kNumber || type == TokenType::kDuration) return ParseNumberLiteral();
    if (type == TokenType::kAggregate) return ParseAggregateOrSelector();
    if (type == TokenType::kIdentifier || type == TokenType::kStart || type == TokenType::kEnd ||
        type == TokenType::kStep || type == TokenType::kRange) {
      return ParseCallOrSelector();
    }
    if (type == TokenType::kLeftBrace || UsableAsMetricName(type)) return ParseSelector();
    if (type == TokenType::kString) {
      auto literal = std::make_unique<StringLiteral>(token_.position, UnquoteString(token_.text));
      Advance();
      return literal;
    }
    Unexpected("", "");
    return nullptr;
  }

  ExprPtr ParseParenthesised() {
    auto paren = std::make_unique<Paren>(token_.position);
    Advance();
    paren->expr = ParseBinary(0);
    if (paren->expr == nullptr) return nullptr;
    paren->position.end = token_.position.end;
    if (!Expect(TokenType::kRightParen, "", "")) return nullptr;
    return Finish(std::move(paren));
  }

  ExprPtr ParseNumberLiteral() {
    auto literal = std::make_unique<NumberLiteral>(token_.position, 0);
    if (!ParseNumberToken(&literal->value, &literal->written_as_duration)) return nullptr;
    return literal;
  }

  // -- Binary modifiers: bool, on/ignoring, group_left/group_right, fill.

  bool ParseBinaryModifiers(Binary* binary) {
    if (token_.type == TokenType::kBool) {
      binary->return_bool = true;
      Advance();
    }
    binary->matching.emplace();
    VectorMatching& matching = *binary->matching;
    if (token_.type == TokenType::kOn || token_.type == TokenType::kIgnoring) {
      matching.on = token_.type == TokenType::kOn;
      Advance();
      if (!ParseGroupingLabels(&matching.labels)) return false;
      if (token_.type == TokenType::kGroupLeft || token_.type == TokenType::kGroupRight) {
        matching.cardinality = token_.type == TokenType::kGroupLeft
                                   ? VectorMatching::Cardinality::kManyToOne
                                   : VectorMatching::Cardinality::kOneToMany;
        Advance();
        // A parenthesis here always opens the labels, never the right operand.
        if (token_.type == TokenType::kLeftParen && !ParseGroupingLabels(&matching.include)) {
          return false;
        }
      }
    }
    return ParseFills(&matching);
  }

  bool ParseFills(VectorMatching* matching) {
    while (token_.type == TokenType::kFill || token_.type == TokenType::kFillLeft ||
           token_.type == TokenType::kFillRight) {
      const Token fill = token_;
      if (!options_.fill_modifiers) {
        return Fail(fill.position, "binop fill modifiers are experimental and not enabled");
      }
      Advance();
      if (!Expect(TokenType::kLeftParen, "fill modifier", "\"(\"")) return false;
      double sign = 1;
      if (token_.type == TokenType::kAdd || token_.type == TokenType::kSub) {
        if (token_.type == TokenType::kSub) sign = -1;
        Advance();
      }
      if (token_.type != TokenType::kNumber && token_.type != TokenType::kDuration) {
        return Unexpected("fill modifier", "number");
      }
      double value = 0;
      bool duration = false;
      if (!ParseNumberToken(&value, &duration)) return false;
      if (!Expect(TokenType::kRightParen, "fill modifier", "\")\"")) return false;
      const bool left = fill.type != TokenType::kFillRight;
      const bool right = fill.type != TokenType::kFillLeft;
      if ((left && matching->fill_left.has_value()) ||
          (right && matching->fill_right.has_value())) {
        return Fail(fill.position, StrCat(fill.text, " may not be set multiple times"));
      }
      if (left) matching->fill_left = sign * value;
      if (right) matching->fill_right = sign * value;
    }
    return true;
  }

  bool ParseGroupingLabels(std::vector<std::string>* labels) {
    if (!Expect(TokenType::kLeftParen, "grouping opts", "\"(\"")) return false;
    if (token_.type == TokenType::kRightParen) {
      Advance();
      return true;
    }
    while (true) {
      if (token_.type == TokenType::kString) {
        std::string name = UnquoteString(token_.text);
        if (name.empty() || !IsValidUtf8(name)) {
          return Fail(token_.position, StrCat("invalid label name for grouping: ", Quote(name)));
        }
        labels->push_back(std::move(name));
      } else if (UsableAsLabelName(token_.type)) {
        labels->emplace_back(token_.text);
      } else {
        return Unexpected("grouping opts", "label");
      }
      Advance();
      if (token_.type == TokenType::kRightParen) break;
      if (!Expect(TokenType::kComma, "grouping opts", "\",\" or \")\"")) return false;
      if (token_.type == TokenType::kRightParen) break;
    }
    Advance();
    return true;
  }

  // -- Aggregations and calls.

  ExprPtr ParseAggregateOrSelector() {
    const Token op = token_;
    Advance();
    const bool aggregates = token_.type == TokenType::kLeftParen || token_.type == TokenType::kBy ||
                            token_.type == TokenType::kWithout;
    if (!aggregates) return ParseSelectorNamed(op);
    auto aggregate = std::make_unique<Aggregate>(op.position);
    aggregate->op = op.aggregate_op;
    bool modified = false;
    if (!ParseAggregateModifier(aggregate.get(), &modified)) return nullptr;
    std::vector<ExprPtr> args;
    if (token_.type != TokenType::kLeftParen) {
      Unexpected("aggregation", "");
      return nullptr;
    }
    if (!ParseArguments(&args)) return nullptr;
    aggregate->position.end = last_end_;
    if (!modified) {
      if (!ParseAggregateModifier(aggregate.get(), &modified)) return nullptr;
      if (modified) aggregate->position.end = last_end_;
    }
    if (!TakeAggregateArguments(aggregate.get(), op, std::move(args))) return nullptr;
    return Finish(std::move(aggregate));
  }

  bool ParseAggregateModifier(Aggregate* aggregate, bool* modified) {
    if (token_.type != TokenType::kBy && token_.type != TokenType::kWithout) return true;
    *modified = true;
    aggregate->without = token_.type == TokenType::kWithout;
    Advance();
    return ParseGroupingLabels(&aggregate->grouping);
  }

  bool TakeAggregateArguments(Aggregate* aggregate, const Token& op, std::vector<ExprPtr> args) {
    if (args.empty()) {
      return Fail(aggregate->position, "no arguments for aggregate expression provided");
    }
    const AggregateOp kind = aggregate->op;
    if ((kind == AggregateOp::kLimitK || kind == AggregateOp::kLimitRatio) &&
        !options_.experimental_functions) {
      return Fail(aggregate->position, StrCat(ToLowerAscii(op.text),
                                              "() is experimental and must be enabled with "
                                              "--enable-feature=promql-experimental-functions"));
    }
    size_t wanted = 1;
    switch (kind) {
      case AggregateOp::kTopK:
      case AggregateOp::kBottomK:
      case AggregateOp::kQuantile:
      case AggregateOp::kCountValues:
      case AggregateOp::kLimitK:
      case AggregateOp::kLimitRatio:
        wanted = 2;
        break;
      case AggregateOp::kSum:
      case AggregateOp::kAvg:
      case AggregateOp::kMin:
      case AggregateOp::kMax:
      case AggregateOp::kCount:
      case AggregateOp::kGroup:
      case AggregateOp::kStddev:
      case AggregateOp::kStdvar:
        break;
    }
    if (args.size() != wanted) {
      return Fail(aggregate->position,
                  StrCat("wrong number of arguments for aggregate expression provided, expected ",
                         wanted, ", got ", args.size()));
    }
    if (wanted == 2) aggregate->param = std::move(args[0]);
    aggregate->expr = std::move(args[wanted - 1]);
    return true;
  }

  ExprPtr ParseCallOrSelector() {
    const Token name = token_;
    Advance();
    if (token_.type != TokenType::kLeftParen) return ParseSelectorNamed(name);
    std::string function_name(name.text);
    if (name.type != TokenType::kIdentifier) function_name = ToLowerAscii(function_name);
    const FunctionSignature* function = FindFunction(function_name);
    if (function == nullptr) {
      Fail(name.position, StrCat("unknown function with name ", Quote(name.text)));
      return nullptr;
    }
    if (function->experimental && !options_.experimental_functions) {
      Fail(name.position, StrCat("function ", Quote(name.text), " is not enabled"));
      return nullptr;
    }
    auto call = std::make_unique<Call>(name.position, function);
    if (!ParseArguments(&call->args)) return nullptr;
    call->position.end = last_end_;
    return Finish(std::move(call));
  }

  bool ParseArguments(std::vector<ExprPtr>* args) {
    Advance();  // The left parenthesis.
    if (token_.type == TokenType::kRightParen) {
      Advance();
      return true;
    }
    while (true) {
      ExprPtr arg = ParseBinary(0);
      if (arg == nullptr) return false;
      args->push_back(std::move(arg));
      if (token_.type != TokenType::kComma) break;
      const PositionRange comma = token_.position;
      Advance();
      if (token_.type == TokenType::kRightParen) {
        return Fail(comma, "trailing commas not allowed in function call args");
      }
    }
    return Expect(TokenType::kRightParen, "", "");
  }

  // -- Selectors.

  ExprPtr ParseSelector() {
    if (token_.type == TokenType::kLeftBrace) {
      auto selector = std::make_unique<VectorSelector>(token_.position);
      if (!ParseMatchers(selector.get())) return nullptr;
      selector->position.end = last_end_;
      return Finish(std::move(selector));
    }
    const Token name = token_;
    Advance();
    return ParseSelectorNamed(name);
  }

  // After the name.
  ExprPtr ParseSelectorNamed(const Token& name) {
    auto selector = std::make_unique<VectorSelector>(name.position);
    selector->name = name.text;
    if (token_.type == TokenType::kLeftBrace) {
      if (!ParseMatchers(selector.get())) return nullptr;
      selector->position.end = last_end_;
    }
    selector->matchers.push_back(Matcher::Equal(kMetricName, selector->name));
    return Finish(std::move(selector));
  }

  bool ParseMatchers(VectorSelector* selector) {
    constexpr std::string_view kContext = "label matching";
    Advance();  // The left brace.
    while (token_.type != TokenType::kRightBrace) {
      const Token name = token_;
      if (name.type != TokenType::kIdentifier && name.type != TokenType::kString) {
        return Unexpected(kContext, "identifier or \"}\"");
      }
      Advance();
      const bool quoted = name.type == TokenType::kString;
      if (quoted && (token_.type == TokenType::kComma || token_.type == TokenType::kRightBrace)) {
        if (!AddQuotedMetricName(selector, name)) return false;
      } else if (!ParseMatcher(selector, name)) {
        return false;
      }
      if (token_.type == TokenType::kRightBrace) break;
      if (token_.type != TokenType::kComma) return Unexpected(kContext, "\",\" or \"}\"");
      Advance();
    }
    Advance();
    return true;
  }

  bool AddQuotedMetricName(VectorSelector* selector, const Token& token) {
    const std::string name = UnquoteString(token.text);
    if (selector->name.empty()) {
      for (const Matcher& matcher : selector->matchers) {
        if (matcher.name() == kMetricName && matcher.type() == MatchType::kEqual) {
          return Fail(selector->position, StrCat("metric name must not be set twice: ",
                                                 Quote(matcher.value()), " or ", Quote(name)));
        }
      }
    }
    selector->matchers.push_back(Matcher::Equal(kMetricName, name));
    return true;
  }

  bool ParseMatcher(VectorSelector* selector, const Token& name) {
    constexpr std::string_view kContext = "label matching";
    MatchType type = MatchType::kEqual;
    if (token_.type == TokenType::kNotEqual) {
      type = MatchType::kNotEqual;
    } else if (token_.type == TokenType::kRegexMatch) {
      type = MatchType::kRegex;
    } else if (token_.type == TokenType::kRegexNotMatch) {
      type = MatchType::kNotRegex;
    } else if (token_.type != TokenType::kAssign) {
      return Unexpected(kContext, "label matching operator");
    }
    Advance();
    if (token_.type != TokenType::kString) return Unexpected(kContext, "string");
    const std::string label =
        name.type == TokenType::kString ? UnquoteString(name.text) : std::string(name.text);
    absl::StatusOr<Matcher> matcher = Matcher::Create(type, label, UnquoteString(token_.text));
    if (!matcher.ok()) return Fail(name.position, Message(matcher.status()));
    selector->matchers.push_back(*std::move(matcher));
    Advance();
    return true;
  }

  // -- Time: ranges, subqueries, offset, @.

  ExprPtr ParseBrackets(ExprPtr expr) {
    Advance();  // The left bracket.
    constexpr std::string_view kContext = "subquery or range selector";
    DurationPtr range = ParseDurationArithmetic(kContext);
    if (range == nullptr) return nullptr;
    DurationValue value;
    if (!TakeDuration(std::move(range), /*positive=*/true, &value)) return nullptr;
    if (token_.type == TokenType::kColon) return ParseSubquery(std::move(expr), std::move(value));
    if (token_.type != TokenType::kRightBracket) {
      Unexpected("subquery or range", "\":\" or \"]\"");
      return nullptr;
    }
    const PositionRange whole{expr->position.start, token_.position.end};
    Advance();
    if (expr->kind != ExprKind::kVectorSelector) {
      Fail(whole, "ranges only allowed for vector selectors");
      return nullptr;
    }
    auto matrix = std::make_unique<MatrixSelector>(whole);
    matrix->selector.reset(static_cast<VectorSelector*>(expr.release()));
    if (matrix->selector->time.has_offset) {
      Fail(whole, "no offset modifiers allowed before range");
      return nullptr;
    }
    if (matrix->selector->time.has_at()) {
      Fail(whole, "no @ modifiers allowed before range");
      return nullptr;
    }
    matrix->range = std::move(value);
    return Finish(std::move(matrix));
  }

  ExprPtr ParseSubquery(ExprPtr expr, DurationValue range) {
    Advance();  // The colon.
    auto subquery = std::make_unique<Subquery>(expr->position);
    subquery->expr = std::move(expr);
    subquery->range = std::move(range);
    if (token_.type != TokenType::kRightBracket) {
      DurationPtr step = ParseDurationArithmetic("subquery selector");
      if (step == nullptr) return nullptr;
      subquery->has_step = true;
      if (!TakeDuration(std::move(step), /*positive=*/true, &subquery->step)) return nullptr;
    }
    subquery->position.end = token_.position.end;
    if (!Expect(TokenType::kRightBracket, "subquery selector", "\"]\"")) return nullptr;
    return Finish(std::move(subquery));
  }

  // Where a modifier after `expr` goes; null (and an error) when it may not stand there.
  TimeModifiers* ModifiersOf(Expr* expr, std::string_view modifier) {
    if (expr->kind == ExprKind::kVectorSelector) return &As<VectorSelector>(*expr).time;
    if (expr->kind == ExprKind::kMatrixSelector) return &As<MatrixSelector>(*expr).selector->time;
    if (expr->kind == ExprKind::kSubquery) return &As<Subquery>(*expr).time;
    Fail(expr->position, StrCat(modifier,
                                " must be preceded by an instant vector selector or range vector "
                                "selector or a subquery"));
    return nullptr;
  }

  bool ParseOffset(Expr* expr) {
    Advance();
    DurationPtr duration = ParseOffsetDuration();
    if (duration == nullptr) return false;
    TimeModifiers* time = ModifiersOf(expr, "offset modifier");
    if (time == nullptr) return false;
    if (time->has_offset) return Fail(expr->position, "offset may not be set multiple times");
    time->has_offset = true;
    expr->position.end = last_end_;
    return TakeDuration(std::move(duration), /*positive=*/false, &time->offset);
  }

  bool ParseAt(Expr* expr) {
    Advance();
    double sign = 1;
    TimeModifiers value;
    if (token_.type == TokenType::kStart || token_.type == TokenType::kEnd) {
      value.at_preprocessor = token_.type == TokenType::kStart
                                  ? TimeModifiers::AtPreprocessor::kStart
                                  : TimeModifiers::AtPreprocessor::kEnd;
      Advance();
      if (!Expect(TokenType::kLeftParen, "@", "\"(\"")) return false;
      if (!Expect(TokenType::kRightParen, "@", "\")\"")) return false;
    } else {
      if (token_.type == TokenType::kAdd || token_.type == TokenType::kSub) {
        if (token_.type == TokenType::kSub) sign = -1;
        Advance();
      }
      if (token_.type != TokenType::kNumber && token_.type != TokenType::kDuration) {
        return Unexpected("@", "timestamp");
      }
      double seconds = 0;
      bool duration = false;
      const PositionRange position = token_.position;
      if (!ParseNumberToken(&seconds, &duration)) return false;
      const double ms = sign * seconds * 1000;
      if (!(std::abs(ms) < 0x1p63)) {
        std::string shown;
        StrAppend(&shown, sign * seconds);
        if (std::isinf(seconds)) shown = sign > 0 ? "+Inf" : "-Inf";
        if (std::isnan(seconds)) shown = "NaN";
        return Fail(position, StrCat("timestamp out of bounds for @ modifier: ", shown));
      }
      value.at = static_cast<Timestamp>(std::round(ms));
    }
    TimeModifiers* time = ModifiersOf(expr, "@ modifier");
    if (time == nullptr) return false;
    if (time->has_at()) {
      return Fail(expr->position, "@ <timestamp> may not be set multiple times");
    }
    time->at = value.at;
    time->at_preprocessor = value.at_preprocessor;
    expr->position.end = last_end_;
    return true;
  }

  // anchored and smoothed.
  bool ParseExtension(Expr* expr) {
    const bool anchored = token_.type == TokenType::kAnchored;
    const std::string_view word = anchored ? "anchored" : "smoothed";
    if (!options_.extended_range_selectors) {
      return Fail(expr->position, StrCat(word, " modifier is experimental and not enabled"));
    }
    Advance();
    VectorSelector* selector = nullptr;
    if (expr->kind == ExprKind::kVectorSelector) selector = &As<VectorSelector>(*expr);
    if (expr->kind == ExprKind::kMatrixSelector) {
      selector = As<MatrixSelector>(*expr).selector.get();
    }
    if (selector == nullptr) return Fail(expr->position, StrCat(word, " modifier not implemented"));
    (anchored ? selector->anchored : selector->smoothed) = true;
    if (selector->anchored && selector->smoothed) {
      return Fail(expr->position, "anchored and smoothed modifiers cannot be used together");
    }
    expr->position.end = last_end_;
    return true;
  }

  const ParserOptions options_;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<ExprPtr> ParseExpr(std::string_view text, const ParserOptions& options) {
  return Parser(text, options).Expression();
}

absl::StatusOr<std::vector<Matcher>> ParseMetricSelector(std::string_view text) {
  return Parser(text, {}).MetricSelector();
}

absl::StatusOr<Labels> ParseMetric(std::string_view text) { return Parser(text, {}).Metric(); }

}  // namespace narthex::promql
