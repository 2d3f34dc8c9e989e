#include "services/query/promql/ast.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/query/promql/parser.h"
#include "services/query/promql/printer.h"

namespace narthex::promql {
namespace {

const ParserOptions kAll = {true, true, true};

ExprPtr Parse(std::string_view text) {
  absl::StatusOr<ExprPtr> expr = ParseExpr(text, kAll);
  INFO(text << " " << Message(expr.status()));
  REQUIRE(expr.ok());
  return *std::move(expr);
}

TEST_CASE("The selectors of an expression are found wherever they stand") {
  const ExprPtr expr = Parse(
      "sum(rate(a{x=\"y\"}[5m])) / topk(scalar(b), max_over_time((c + -d offset 1m)[1h:1m])) or "
      "(e)");
  std::string names;
  for (const VectorSelector* selector : Selectors(*expr)) StrAppend(&names, selector->name, " ");
  CHECK(names == "a b c d e ");
  CHECK(Selectors(*Parse("1 + time()")).empty());
}

TEST_CASE("Trees are equal when they say the same, wherever it was written") {
  CHECK(Equal(*Parse("a+b"), *Parse("a  +  b")));
  CHECK(Equal(*Parse("NaN"), *Parse("nan")));
  const std::vector<std::string> different = {"a",
                                              "b",
                                              "a{x=\"y\"}",
                                              "a offset 1m",
                                              "a @ 1",
                                              "a @ start()",
                                              "a[5m]",
                                              "a[6m]",
                                              "a[5m:]",
                                              "a[5m:1m]",
                                              "a + b",
                                              "a - b",
                                              "a + on (x) b",
                                              "a + ignoring (x) b",
                                              "a + on (x) group_left b",
                                              "a + fill (1) b",
                                              "a > 1",
                                              "a > bool 1",
                                              "-a",
                                              "+a",
                                              "sum(a)",
                                              "avg(a)",
                                              "sum by (x) (a)",
                                              "sum without (x) (a)",
                                              "topk(1, a)",
                                              "topk(2, a)",
                                              "abs(a)",
                                              "rate(a[5m])",
                                              "rate(a[5m] anchored)",
                                              "rate(a[step()])",
                                              "rate(a[step() + 1])",
                                              "(a)",
                                              "1",
                                              "\"1\""};
  for (size_t i = 0; i < different.size(); ++i) {
    for (size_t k = 0; k < different.size(); ++k) {
      INFO(different[i] << " and " << different[k]);
      CHECK(Equal(*Parse(different[i]), *Parse(different[k])) == (i == k));
    }
  }
}

TEST_CASE("A clone is equal and independent") {
  for (const char* text :
       {"sum by (x) (rate(a{y=~\"z\"}[5m] offset 1m)) / on (x) group_left (w) b @ end()",
        "max_over_time((-a)[5m:step()] @ 5)", "label_join(a, \"b\", \",\", \"c\")", "(1h)"}) {
    INFO(text);
    absl::StatusOr<ExprPtr> parsed = ParseExpr(text, kAll);
    REQUIRE(parsed.ok());
    const ExprPtr clone = Clone(**parsed);
    CHECK(Equal(**parsed, *clone));
    const std::string printed = ToString(**parsed);
    parsed->reset();
    CHECK(ToString(*clone) == printed);
  }
}

TEST_CASE("Types are known without evaluating") {
  CHECK(TypeOf(*Parse("1 + 2")) == ValueType::kScalar);
  CHECK(TypeOf(*Parse("1 + a")) == ValueType::kVector);
  CHECK(TypeOf(*Parse("(a[5m])")) == ValueType::kMatrix);
  CHECK(TypeOf(*Parse("a[5m:]")) == ValueType::kMatrix);
  CHECK(TypeOf(*Parse("-scalar(a)")) == ValueType::kScalar);
  CHECK(TypeOf(*Parse("(\"x\")")) == ValueType::kString);
  CHECK(TypeOf(*Parse("sum(a)")) == ValueType::kVector);
}

}  // namespace
}  // namespace narthex::promql
