#include "services/alertmanager/alerts/matchers.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::alerts {
namespace {

std::string Parse(std::string_view text, MatcherMode mode) {
  const auto matchers = ParseMatchers(text, mode, nullptr);
  return matchers.ok() ? MatchersText(*matchers) : StrCat("error: ", Message(matchers.status()));
}

TEST_CASE("the UTF-8 grammar reads what upstream reads") {
  const char* const rows[][2] = {
      {"", "{}"},
      {"{}", "{}"},
      {"foo=bar", "{foo=\"bar\"}"},
      {"{foo=bar}", "{foo=\"bar\"}"},
      {"{foo=bar,}", "{foo=\"bar\"}"},
      {"foo=bar,", "{foo=\"bar\"}"},
      {" { foo != \"bar\" , bar =~ \"[a-z]+\" , c!~d } ",
       "{foo!=\"bar\",bar=~\"[a-z]+\",c!~\"d\"}"},
      {"{\"foo\"=\"bar\"}", "{foo=\"bar\"}"},
      {"{foo=🙂}", "{foo=\"🙂\"}"},
      {"{\"foo🙂\"=\"b\\\"r\\n\"}", "{foo🙂=\"b\\\"r\\n\"}"},
      {"{\"foo bar\"=x}", "{\"foo bar\"=\"x\"}"},
      {"{foo=\"\"}", "{foo=\"\"}"},
      {"{foo=bar", "error: 0:8: end of input: expected close brace"},
      {"foo=bar}", "error: 0:8: }: expected opening brace"},
      {"{foo=}", "error: 5:6: unexpected }: expected label value"},
      {"{foo=bar}}", "error: 9:10: unexpected }: expected end of input"},
      {"{foo}", "error: 4:5: unexpected }: expected an operator such as '=', '!=', '=~' or '!~'"},
      {"{=bar}", "error: 1:2: unexpected =: expected label name"},
      {"{foo=bar,,baz=qux}", "error: 9:10: unexpected ,: expected label name"},
      {"{foo=bar baz=qux}", "error: 9:12: unexpected baz: expected a comma or close brace"},
      {"{foo=\"bar}", "error: 5:10: \"bar}: missing end \""},
      {"{foo!bar}", "error: 4:6: !b: expected one of '=~'"},
      {"foo=`bar`", "error: 4:5: `: invalid input"},
  };
  for (const auto& row : rows) {
    INFO(row[0]);
    CHECK(Parse(row[0], MatcherMode::kUtf8) == row[1]);
  }
}

TEST_CASE("the classic grammar reads what upstream reads") {
  const char* const rows[][2] = {
      {"foo=bar", "{foo=\"bar\"}"},
      {"{foo=\"bar\",bar!~\"x,y\"}", "{foo=\"bar\",bar!~\"x,y\"}"},
      {"foo=\"bar", "error: matcher value contains unescaped double quote: \"bar"},
      {"foo=bar\"baz", "error: matcher value contains unescaped double quote: bar\"baz"},
      {"foo=", "{foo=\"\"}"},
      {"foo=a\\\\b\\nc\\d", "{foo=\"a\\\\b\\nc\\\\d\"}"},
      {"{foo=a b c}", "{foo=\"a b c\"}"},
      {"foo={bar}", "{foo=\"{bar\"}"},
      {"1foo=x", "error: bad matcher format: 1foo=x"},
      {"foo", "error: bad matcher format: foo"},
      {"foo=x,,", "error: bad matcher format: "},
      {"", "{}"},
  };
  for (const auto& row : rows) {
    INFO(row[0]);
    CHECK(Parse(row[0], MatcherMode::kClassic) == row[1]);
  }
}

TEST_CASE("the fallback warns of what means two things or only the old one") {
  struct Row {
    const char* text;
    const char* result;
    size_t warnings;
  };
  const Row rows[] = {
      {"foo=bar", "{foo=\"bar\"}", 0},
      {"foo=bar baz", "{foo=\"bar baz\"}", 1},        // Only classic.
      {"{\"foo\"=bar}", "{foo=\"bar\"}", 0},          // Only UTF-8.
      {"foo=\"\\u0041\"", "{foo=\"\\\\u0041\"}", 1},  // Both, and not the same.
      {"!", "error: 0:1: unexpected end of input, expected one of '=~'", 0},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    std::vector<std::string> warnings;
    const auto matchers = ParseMatchers(row.text, MatcherMode::kFallback, &warnings);
    CHECK((matchers.ok() ? MatchersText(*matchers)
                         : StrCat("error: ", Message(matchers.status()))) == row.result);
    CHECK(warnings.size() == row.warnings);
  }
}

TEST_CASE("a single matcher has no braces and no company") {
  const auto parse = [](std::string_view text) {
    const auto matcher = ParseMatcher(text, MatcherMode::kUtf8, nullptr);
    return matcher.ok() ? MatcherText(*matcher) : StrCat("error: ", Message(matcher.status()));
  };
  CHECK(parse("a=~\"b|c\"") == "a=~\"b|c\"");
  CHECK(parse("{a=b}") == "error: unexpected open or close brace: {a=b}");
  CHECK(parse("a=b,c=d") == "error: expected 1 matcher, found 2");
  CHECK(parse("") == "error: no matchers");
  CHECK(parse("a=~\"(\"").find("error: failed to create matcher: error parsing regexp") == 0);
}

TEST_CASE("matchers are sorted by name, value and type") {
  auto matchers = *ParseMatchers("b=1,a=2,a=1,a!=1", MatcherMode::kUtf8, nullptr);
  SortMatchers(&matchers);
  CHECK(MatchersText(matchers) == "{a=\"1\",a!=\"1\",a=\"2\",b=\"1\"}");
  CHECK(MatchesAll(matchers, {{"a", "1"}}) == false);
  CHECK(MatchesAll({}, {}));
}

}  // namespace
}  // namespace narthex::alerts
