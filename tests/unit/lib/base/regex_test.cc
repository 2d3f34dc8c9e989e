#include "lib/base/regex.h"

#include <string>

#include <random>
#include <string>
#include <vector>

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
      {"a[.]b", {"a.b"}, ""},
      {"a[.](x|y)", {"a.x", "a.y"}, ""},
      {"a[.]b.*", {}, "a.b"},
      {"a[.]*", {}, "a"},
      {"^a[.]b.*", {}, "a.b"},
      {"^(a|b)c$", {"ac", "bc"}, ""},
      {"^a$|^b|c$", {"a", "b", "c"}, ""},
      {"(a$)", {}, ""},
      {"a$b", {}, "a"},
      {"ab.c|abd.*|abc", {}, "ab"},
      {"(?:web-.*|web.x)", {}, "web"},
      {"aä.|aé.", {}, "a"},
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

// Two groups hide the shape of the expression, so that the automaton decides.
TEST_CASE("Literals with gaps between them match as the automaton says") {
  const std::vector<std::string> pieces = {"a",   "b", "ab", "[.]", "\\.", ".*", ".+", ".*?",
                                           ".+?", ".", "ä",  "-",   "^",   "$",  "|"};
  const std::vector<std::string> letters = {"a", "b", ".", "-", "ä", "\n", "\xff", "ab"};
  std::mt19937 random(8);
  size_t matches = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string pattern;
    for (size_t left = 1 + random() % 6; left > 0; --left) {
      pattern += pieces[random() % pieces.size()];
    }
    if (random() % 8 == 0) pattern = "(" + pattern + ")";
    const auto regex = Regex::Compile(pattern);
    const auto automaton = Regex::Compile("(?:(?:" + pattern + "))");
    REQUIRE(regex.ok() == automaton.ok());
    if (!regex.ok()) continue;
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (size_t left = random() % 7; left > 0; --left) text += letters[random() % letters.size()];
      CAPTURE(pattern, text);
      CHECK(regex->Matches(text) == automaton->Matches(text));
      matches += regex->Matches(text) ? 1 : 0;
    }
  }
  CHECK(matches > 5000);
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
