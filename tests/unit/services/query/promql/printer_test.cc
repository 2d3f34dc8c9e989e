#include "services/query/promql/printer.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/query/promql/parser.h"

namespace narthex::promql {
namespace {

const ParserOptions kAll = {true, true, true};

struct Row {
  const char* text;
  const char* printed;  // Null: as it is.
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {"1", nullptr},
      {"1.50", "1.5"},
      {"1e3", "1000"},
      {"0x10", "16"},
      {"Inf", "+Inf"},
      {"-inf", "-Inf"},
      {"-inf ^ a", "-Inf ^ a"},
      {"a ^ inf", "a ^ +Inf"},
      {"nan", "NaN"},
      {"5m", nullptr},
      {"90s", "1m30s"},
      {"\"a\\\"b\"", nullptr},
      {"'x'", "\"x\""},
      {"up", nullptr},
      {"up{}", "up"},
      {"up{ a = \"b\" , c!='d', e=~`f`, g!~\"h\", }", "up{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\"}"},
      {"{__name__=\"up\"}", nullptr},
      {"{\"my.metric\"}", "{__name__=\"my.metric\"}"},
      {"{\"my.metric\", \"a.b\"=\"c\"}", "{__name__=\"my.metric\",\"a.b\"=\"c\"}"},
      {"up offset 5m", nullptr},
      {"up offset -90", "up offset -1m30s"},
      {"up offset 0s", "up"},
      {"up @ 1.5", "up @ 1.500"},
      {"up offset 1m @ 100", "up @ 100.000 offset 1m"},
      {"up @ start()", nullptr},
      {"up[5m] @ end() offset 1h", nullptr},
      {"up[300]", "up[5m]"},
      {"up[1m + 2 * (step() - 5)]", nullptr},
      {"up[min_of(step(), 5m)]", nullptr},
      {"up[-step() + 5m]", nullptr},
      {"up offset (1m + 2m)", nullptr},
      {"up offset -(step() * 2)", nullptr},
      {"up offset -step()", nullptr},
      {"up offset max_of(step(), 1m)", nullptr},
      {"rate(up[5m])", nullptr},
      {"rate(up[5m] anchored)", nullptr},
      {"up smoothed offset 1m", nullptr},
      {"max_over_time(rate(up[5m])[1h:1m] offset 5m)", nullptr},
      {"a[1h:]", nullptr},
      {"sum(a)", nullptr},
      {"SUM(a) BY (b, c)", "sum by (b, c) (a)"},
      {"sum by () (a)", "sum(a)"},
      {"sum without () (a)", nullptr},
      {"topk without (\"a.b\", c) (5, a)", nullptr},
      {"count_values(\"x\", a)", nullptr},
      {"-a", nullptr},
      {"+a", nullptr},
      {"a + b", nullptr},
      {"a==b", "a == b"},
      {"a > bool 1", nullptr},
      {"a and b or c unless d", nullptr},
      {"a * on () b", nullptr},
      {"a * ignoring (x) b", nullptr},
      {"a * ignoring () b", "a * b"},
      {"a / on (x, y) group_left (z) b", nullptr},
      {"a / ignoring (x) group_right b", "a / ignoring (x) group_right () b"},
      {"a + fill(0) b", "a + fill (0) b"},
      {"a + on (x) fill_left (1) fill_right (-2) b", nullptr},
      {"a + fill_left(NaN) fill_right(NaN) b", "a + fill (NaN) b"},
      {"(a + b) * c", nullptr},
      {"label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")", nullptr},
      {"time()", nullptr},
      {"a </ 5", nullptr},
      {"a # comment\n + b", "a + b"},
  };
  return rows;
}

TEST_CASE("Expressions print in one canonical form, and that form reads back as the same tree") {
  for (const Row& row : Rows()) {
    INFO(row.text);
    const absl::StatusOr<ExprPtr> expr = ParseExpr(row.text, kAll);
    INFO(Message(expr.status()));
    REQUIRE(expr.ok());
    const std::string printed = ToString(**expr);
    CHECK(printed == (row.printed == nullptr ? row.text : row.printed));
    const absl::StatusOr<ExprPtr> again = ParseExpr(printed, kAll);
    INFO(printed << " " << Message(again.status()));
    REQUIRE(again.ok());
    CHECK(Equal(**expr, **again));
    CHECK(ToString(**again) == printed);
  }
}

TEST_CASE("Short expressions stay on one line, long ones are broken at their parts") {
  const auto pretty = [](const std::string& text) {
    const absl::StatusOr<ExprPtr> expr = ParseExpr(text, kAll);
    INFO(text << Message(expr.status()));
    REQUIRE(expr.ok());
    const std::string printed = Prettify(**expr);
    const absl::StatusOr<ExprPtr> again = ParseExpr(printed, kAll);
    REQUIRE(again.ok());
    CHECK(Equal(**expr, **again));
    return printed;
  };
  CHECK(pretty("sum(rate(a[5m]))by(b)") == "sum by (b) (rate(a[5m]))");
  const std::string name(60, 'a');
  CHECK(pretty(StrCat("sum by (x) (", name, ") / on (x) ", name)) ==
        StrCat("  sum by (x) (", name, ")\n/ on (x)\n  ", name));
  CHECK(pretty(StrCat("clamp(", name, " + ", name, ", 1, 2)")) ==
        StrCat("clamp(\n    ", name, "\n  +\n    ", name, ",\n  1,\n  2\n)"));
  CHECK(pretty(StrCat("-(", name, " + ", name, ")")) ==
        StrCat("-(\n    ", name, "\n  +\n    ", name, "\n)"));
  CHECK(pretty(StrCat("max_over_time((", name, " + ", name, ")[1h:1m] offset 1m)")) ==
        StrCat("max_over_time(\n  (\n      ", name, "\n    +\n      ", name,
               "\n  )[1h:1m] offset 1m\n)"));
}

}  // namespace
}  // namespace narthex::promql
