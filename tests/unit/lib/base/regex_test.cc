#include "lib/base/regex.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex {
namespace {

TEST_CASE("Expressions are anchored and a dot matches a newline") {
  const Regex regex = *Regex::Compile("a.c|x+");
  CHECK(regex.Matches("a\nc"));
  CHECK(regex.Matches("xxx"));
  CHECK(!regex.Matches("abcd"));
  CHECK(!regex.Matches("zxxx"));
  CHECK(Regex().Matches(""));
  CHECK(!Regex().Matches("a"));
}

TEST_CASE("Errors have Go's words") {
  const std::pair<const char*, const char*> rows[] = {
      {"(", "missing closing ): `(`"},
      {"a)", "unexpected ): `a)`"},
      {"[a", "missing closing ]: `[a`"},
      {"[z-a]", "invalid character class range: `z-a`"},
      {"*a", "missing argument to repetition operator: `*`"},
      {"a**", "invalid nested repetition operator: `**`"},
      {"a{1001}", "invalid repeat count: `{1001}`"},
      {"\\q", "invalid escape sequence: `\\q`"},
      {"a\\", "trailing backslash at end of expression: ``"},
      {"\\C", "invalid escape sequence: `\\C`"},
      {"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
  };
  for (const auto& [pattern, text] : rows) {
    CAPTURE(pattern);
    const auto regex = Regex::Compile(pattern);
    REQUIRE(!regex.ok());
    CHECK(Message(regex.status()) == StrCat("error parsing regexp: ", text));
  }
}

TEST_CASE("Literals and prefixes are found, and only where they are exact") {
  struct Row {
    const char* pattern;
    std::vector<std::string> literals;  // Empty: none expected.
    const char* prefix;
  };
  const Row rows[] = {
      {"api", {"api"}, ""},
      {"b|a|a", {"a", "b"}, ""},
      {"web-(1|2)", {"web-1", "web-2"}, ""},
      {"(?:a|b)c\\.d", {"ac.d", "bc.d"}, ""},
      {"|x", {"", "x"}, ""},
      {"api.*", {}, "api"},
      {"abc+", {}, "abc"},
      {"abc*", {}, "ab"},
      {"abc?d", {}, "ab"},
      {"a{2}", {}, ""},
      {".*x", {}, ""},
      {"(?i)abc", {}, ""},
      {"a.*|b", {}, ""},
      {"\\d+", {}, ""},
      {"a\\.b.+", {}, "a.b"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.pattern);
    const Regex regex = *Regex::Compile(row.pattern);
    CHECK(regex.literals().has_value() == !row.literals.empty());
    if (regex.literals()) CHECK(*regex.literals() == row.literals);
    CHECK(regex.prefix() == row.prefix);
  }
  CHECK(Regex::Compile("abc+")->Matches("abccc"));
  CHECK(Regex::Compile("(?i)abc")->Matches("ABC"));
}

TEST_CASE("Replacement expands groups as Go does") {
  const Regex regex = *Regex::Compile("(?P<name>[^:]+)(?::(\\d+))?");
  CHECK(regex.MatchAndExpand("host:90", "$1") == "host");
  CHECK(regex.MatchAndExpand("host:90", "${name}-$2") == "host-90");
  CHECK(regex.MatchAndExpand("host", "[$2]") == "[]");
  CHECK(regex.MatchAndExpand("host:90", "$1x") == "");  // The name is "1x".
  CHECK(regex.MatchAndExpand("host:90", "$$1 $ ${") == "$1 $ ${");
  CHECK(!regex.MatchAndExpand(":", "x").has_value());
  CHECK(Regex::Compile("(?<n>a)")->MatchAndExpand("a", "$n") == "a");
}

TEST_CASE("ReplaceAll treats empty matches as Go does") {
  const char* rows[][4] = {{"a*", "baaac", "X", "XbXcX"}, {"", "abc", "-", "-a-b-c-"},
                           {"b", "abc", "[$0]", "a[b]c"}, {"a*", "", "X", "X"},
                           {"x*", "axxb", "-", "-a-b-"},  {"(a)(b)", "abab", "$2$1", "baba"},
                           {"^a", "aaa", "X", "Xaa"},     {"a|", "ab", "X", "XbX"}};
  for (const auto& row : rows) {
    CAPTURE(row[0], row[1]);
    CHECK(Regex::CompileUnanchored(row[0])->ReplaceAll(row[1], row[2]) == row[3]);
  }
}

}  // namespace
}  // namespace narthex
