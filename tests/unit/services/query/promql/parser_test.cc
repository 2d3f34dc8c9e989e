#include "services/query/promql/parser.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/query/promql/functions.h"
#include "services/query/promql/printer.h"

namespace narthex::promql {
namespace {

const ParserOptions kAll = {true, true, true};

std::string ErrorOf(std::string_view text, const ParserOptions& options = kAll) {
  const absl::StatusOr<ExprPtr> expr = ParseExpr(text, options);
  if (expr.ok()) return StrCat("parsed: ", ToString(**expr));
  CHECK(expr.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(Message(expr.status()));
}

// The tree in a form that shows what binds to what.
std::string Shape(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kBinary: {
      const auto& binary = As<Binary>(expr);
      return StrCat("(", Shape(*binary.left), " ", BinaryOpText(binary.op), " ",
                    Shape(*binary.right), ")");
    }
    case ExprKind::kUnary:
      return StrCat("(", As<Unary>(expr).negate ? "-" : "+", Shape(*As<Unary>(expr).expr), ")");
    case ExprKind::kParen:
      return Shape(*As<Paren>(expr).expr);
    case ExprKind::kNumberLiteral:
    case ExprKind::kStringLiteral:
    case ExprKind::kVectorSelector:
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
    case ExprKind::kAggregate:
    case ExprKind::kCall:
      return ToString(expr);
  }
  return "";
}

TEST_CASE("Operators bind as upstream's do") {
  struct Row {
    const char* text;
    const char* shape;
  };
  const std::vector<Row> rows = {
      {"a + b * c", "(a + (b * c))"},
      {"a * b + c", "((a * b) + c)"},
      {"a - b - c", "((a - b) - c)"},
      {"a ^ b ^ c", "(a ^ (b ^ c))"},
      {"a / b % c atan2 d", "(((a / b) % c) atan2 d)"},
      {"a or b and c", "(a or (b and c))"},
      {"a and b unless c", "((a and b) unless c)"},
      {"a == b + c", "(a == (b + c))"},
      {"a > b < c", "((a > b) < c)"},
      {"a and b > c", "(a and (b > c))"},
      {"-a ^ b", "(-(a ^ b))"},
      {"-a * b", "((-a) * b)"},
      {"a ^ -b", "(a ^ (-b))"},
      {"a ^ -b * c", "((a ^ (-b)) * c)"},
      {"- - a", "(-(-a))"},
      {"-1 ^ 2", "(-(1 ^ 2))"},
      {"-1 * 2", "(-1 * 2)"},
      {"(a + b) * c", "((a + b) * c)"},
      {"a offset -2 ^ 2", "(a offset -2s ^ 2)"},
      {"a offset 1m + b", "(a offset 1m + b)"},
      {"a offset (1m + 2m) + b", "(a offset (1m + 2m) + b)"},
      {"a </ 2 + 1", "(a </ (2 + 1))"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const absl::StatusOr<ExprPtr> expr = ParseExpr(row.text, kAll);
    INFO(Message(expr.status()));
    REQUIRE(expr.ok());
    CHECK(Shape(**expr) == row.shape);
  }
}

TEST_CASE("Numbers are read as Go reads them") {
  struct Row {
    const char* text;
    double value;
  };
  const std::vector<Row> rows = {
      {"1", 1},        {"+5.5e-3", 0.0055}, {"-.5", -0.5},     {"1.", 1},
      {"0x1F", 31},    {"017", 15},         {"08", 8},         {"1_000", 1000},
      {"1h30m", 5400}, {"500ms", 0.5},      {"0.00_1", 0.001},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const absl::StatusOr<ExprPtr> expr = ParseExpr(row.text);
    REQUIRE(expr.ok());
    REQUIRE((*expr)->kind == ExprKind::kNumberLiteral);
    CHECK(As<NumberLiteral>(**expr).value == row.value);
  }
}

TEST_CASE("Syntax errors have upstream's texts and places") {
  struct Row {
    const char* text;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"", "1:1: parse error: no expression found in input"},
      {"*1", "1:1: parse error: unexpected <op:*>"},
      {"1 +", "1:4: parse error: unexpected end of input"},
      {"1\n+\n *", "3:2: parse error: unexpected <op:*>"},
      {"(1))", "1:4: parse error: unexpected right parenthesis ')'"},
      {"((1)", "1:5: parse error: unclosed left parenthesis"},
      {"999999999999999999999999999999999999 x", "1:38: parse error: unexpected identifier \"x\""},
      {"foo{", "1:5: parse error: unexpected end of input inside braces"},
      {"foo{a", "1:6: parse error: unexpected end of input inside braces"},
      {"foo{a>\"b\"}", "1:6: parse error: unexpected character inside braces: '>'"},
      {"foo{1}", "1:5: parse error: unexpected character inside braces: '1'"},
      {"foo{a=b}",
       "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
      {"foo{a \"b\"}",
       "1:7: parse error: unexpected string \"\\\"b\\\"\" in label matching, expected label "
       "matching "
       "operator"},
      {"foo{a=\"b\" c=\"d\"}",
       "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
      {"foo{,}",
       "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
      {"sum(a) by", "1:10: parse error: unexpected end of input in grouping opts, expected \"(\""},
      {"sum(a) by (1)",
       "1:12: parse error: unexpected number \"1\" in grouping opts, expected label"},
      {"sum(a) by (b c)",
       "1:14: parse error: unexpected identifier \"c\" in grouping opts, expected \",\" or \")\""},
      {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
      {"sum(a, b)",
       "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, "
       "got 2"},
      {"topk(a)",
       "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, "
       "got 1"},
      {"nothing(a)", "1:1: parse error: unknown function with name \"nothing\""},
      {"abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"},
      {"a[5m", "1:5: parse error: unclosed left bracket"},
      {"a[]",
       "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, "
       "duration, "
       "step(), or range()"},
      {"a[0]", "1:3: parse error: duration must be greater than 0"},
      {"a[5m/0]", "1:6: parse error: division by zero"},
      {"a[5m % 0]", "1:8: parse error: modulo by zero"},
      {"a[5m:1m x]",
       "1:9: parse error: unexpected identifier \"x\" in subquery selector, expected \"]\""},
      {"1[5m]", "1:1: parse error: ranges only allowed for vector selectors"},
      {"sum(a)[5m]", "1:1: parse error: ranges only allowed for vector selectors"},
      {"a offset 1m[5m]", "1:1: parse error: no offset modifiers allowed before range"},
      {"a @ 1[5m]", "1:1: parse error: no @ modifiers allowed before range"},
      {"a offset",
       "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or "
       "range()"},
      {"a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"},
      {"sum(a) offset 1m",
       "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
       "vector selector or a subquery"},
      {"(a) @ 1",
       "1:1: parse error: @ modifier must be preceded by an instant vector selector or range "
       "vector "
       "selector or a subquery"},
      {"a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
      {"a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"},
      {"a @ Inf", "1:5: parse error: timestamp out of bounds for @ modifier: +Inf"},
      {"a @ -NaN", "1:6: parse error: timestamp out of bounds for @ modifier: NaN"},
      {"bool", "1:1: parse error: unexpected <bool>"},
      {"a + fill(x) b",
       "1:10: parse error: unexpected identifier \"x\" in fill modifier, expected number"},
      {"a anchored smoothed",
       "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
      {"a[5m:] smoothed", "1:1: parse error: smoothed modifier not implemented"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(ErrorOf(row.text) == row.message);
  }
}

TEST_CASE("Type errors have upstream's texts and places") {
  struct Row {
    const char* text;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"{x=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"{x=~\".*\"}",
       "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"foo{__name__=\"bar\"}",
       "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
      {"{\"foo\", \"bar\"}",
       "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
      {"rate(foo)",
       "1:6: parse error: expected type range vector in call to function \"rate\", got instant "
       "vector"},
      {"abs(foo[5m])",
       "1:5: parse error: expected type instant vector in call to function \"abs\", got range "
       "vector"},
      {"abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0"},
      {"round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"},
      {"round(a, 1, 2)",
       "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
      {"label_join(a, \"b\")",
       "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"},
      {"label_replace(a, b, \"\", \"\", \"\")",
       "1:18: parse error: expected type string in call to function \"label_replace\", got instant "
       "vector"},
      {"sum(1)",
       "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
      {"topk(\"x\", a)",
       "1:6: parse error: expected type scalar in aggregation parameter, got string"},
      {"count_values(1, a)",
       "1:14: parse error: expected type string in aggregation parameter, got scalar"},
      {"-\"x\"",
       "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
       "vector, got \"string\""},
      {"1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"1 + bool 2", "1:3: parse error: bool modifier can only be used on comparison operators"},
      {"a[5m] + 1",
       "1:1: parse error: binary expression must contain only scalar and instant vector types"},
      {"1 + \"x\"",
       "1:5: parse error: binary expression must contain only scalar and instant vector types"},
      {"1 and a", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
      {"a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
      {"a + fill(0) 1",
       "1:1: parse error: filling in missing series only allowed between instant vectors"},
      {"a and on(x) group_left b", "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"a or fill(0) b",
       "1:1: parse error: filling in missing series not allowed for set operators"},
      {"a + on(x) group_left(x) b",
       "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
      {"a[5m][5m:]",
       "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
      {"1[5m:]",
       "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"},
      {"info(a, b)",
       "1:9: parse error: expected label selectors only, got vector selector instead"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(ErrorOf(row.text) == row.message);
  }
}

TEST_CASE("What is experimental needs its switch") {
  CHECK(ErrorOf("mad_over_time(a[5m])", {}) ==
        "1:1: parse error: function \"mad_over_time\" is not enabled");
  CHECK(ErrorOf("limitk(1, a)", {}) ==
        "1:1: parse error: limitk() is experimental and must be enabled with "
        "--enable-feature=promql-experimental-functions");
  CHECK(ErrorOf("rate(a[5m] anchored)", {}) ==
        "1:6: parse error: anchored modifier is experimental and not enabled");
  CHECK(ErrorOf("a + fill(0) b", {}) ==
        "1:5: parse error: binop fill modifiers are experimental and not enabled");
  for (const char* text : {"mad_over_time(a[5m])", "limitk(1, a)", "a + fill(0) b"}) {
    INFO(text);
    CHECK(ParseExpr(text, kAll).ok());
  }
}

TEST_CASE("Keywords are metrics and labels where no keyword can stand") {
  for (const char* text :
       {"sum", "offset", "by", "and", "start", "end", "step", "range", "fill", "sum{by=\"x\"}",
        "sum(sum) by (sum, on, bool)", "a + on(offset, and) b", "smoothed", "start + end"}) {
    INFO(text);
    const absl::StatusOr<ExprPtr> expr = ParseExpr(text, kAll);
    INFO(Message(expr.status()));
    CHECK(expr.ok());
  }
  for (const char* text : {"bool", "on", "ignoring", "group_left", "group_right"}) {
    INFO(text);
    CHECK_FALSE(ParseExpr(text, kAll).ok());
  }
}

TEST_CASE("Every function parses with its arguments") {
  CHECK(AllFunctions().size() == 90);
  for (const FunctionSignature& function : AllFunctions()) {
    std::string call = StrCat(function.name, "(");
    for (int i = 0; i < function.arg_count; ++i) {
      if (i > 0) call += ", ";
      switch (function.arg_types[static_cast<size_t>(i)]) {
        case ValueType::kVector:
          call += function.name == "info" && i == 1 ? "{x=\"y\"}" : "a";
          break;
        case ValueType::kMatrix:
          call += "a[5m]";
          break;
        case ValueType::kScalar:
          call += "1";
          break;
        case ValueType::kString:
          call += "\"s\"";
          break;
        case ValueType::kNone:
          break;
      }
    }
    call += ")";
    INFO(call);
    const absl::StatusOr<ExprPtr> expr = ParseExpr(call, kAll);
    INFO(Message(expr.status()));
    REQUIRE(expr.ok());
    CHECK(TypeOf(**expr) == function.return_type);
    CHECK(FindFunction(function.name) == &function);
  }
  CHECK(FindFunction("rat") == nullptr);
  CHECK(FindFunction("") == nullptr);
}

TEST_CASE("Nesting has a limit, so that no query can exhaust the stack") {
  const auto repeat = [](std::string_view text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  const std::vector<std::string> deep = {
      StrCat(repeat("(", 100000), "1", repeat(")", 100000)),
      repeat("-", 100000) + "a",
      repeat("abs(", 100000) + "a" + repeat(")", 100000),
      "a" + repeat(" + a", 100000),
      "a" + repeat(" ^ a", 100000),
      "a" + repeat("[1m:]", 100000),
      StrCat("a[", repeat("(", 100000), "1m", repeat(")", 100000), "]"),
      StrCat("a[1m", repeat("+1m", 100000), "]"),
      StrCat("a[", repeat("-", 100000), "1m]"),
      repeat("sum(", 100000) + "a" + repeat(")", 100000),
  };
  for (const std::string& text : deep) {
    INFO(text.substr(0, 20));
    const absl::StatusOr<ExprPtr> expr = ParseExpr(text, kAll);
    REQUIRE_FALSE(expr.ok());
    CHECK(expr.status().message().size() < 200);
  }
  CHECK(ParseExpr("a" + repeat(" or a", 900)).ok());
  CHECK(ParseExpr(repeat("(", 390) + "a" + repeat(")", 390)).ok());
}

TEST_CASE("Metric selectors are read for the series endpoints") {
  const absl::StatusOr<std::vector<Matcher>> matchers =
      ParseMetricSelector("up{job=\"x\",instance!~\"y.*\"}");
  REQUIRE(matchers.ok());
  REQUIRE(matchers->size() == 3);
  CHECK((*matchers)[0].ToString() == "job=\"x\"");
  CHECK((*matchers)[1].ToString() == "instance!~\"y.*\"");
  CHECK((*matchers)[2].ToString() == "__name__=\"up\"");
  CHECK(ParseMetricSelector("{}").ok());
  for (const char* wrong : {"", "up[5m]", "up + 1", "sum(up)", "up{", "1", "up up"}) {
    INFO(wrong);
    CHECK_FALSE(ParseMetricSelector(wrong).ok());
  }
}

TEST_CASE("Metrics are read with their labels") {
  const absl::StatusOr<Labels> labels = ParseMetric("{\"my.metric\", \"a.b\"=\"c\", d=\"\"}");
  REQUIRE(labels.ok());
  CHECK(labels->ToString() == "{__name__=\"my.metric\", \"a.b\"=\"c\"}");
  CHECK_FALSE(ParseMetric("a{b=~\"c\"}").ok());
  CHECK_FALSE(ParseMetric("a{b=\"c\",b=\"d\"}").ok());
}

}  // namespace
}  // namespace narthex::promql
