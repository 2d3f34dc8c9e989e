#include "lib/labels/matcher.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace narthex {
namespace {

struct MatchCase {
  MatchType type;
  std::string pattern;
  std::string value;
  bool matches;
};

TEST_CASE("matchers match as upstream's") {
  using enum MatchType;
  const std::vector<MatchCase> cases = {
      {kEqual, "bar", "bar", true},
      {kEqual, "bar", "foo-bar", false},
      {kEqual, "", "", true},
      {kNotEqual, "bar", "bar", false},
      {kNotEqual, "bar", "foo-bar", true},
      {kNotEqual, "", "", false},
      {kRegex, "bar", "bar", true},
      {kRegex, "bar", "foo-bar", false},
      {kRegex, ".*bar", "foo-bar", true},
      {kRegex, "foo.*", "foo-bar", true},
      {kRegex, "foo.*", "fo", false},
      {kRegex, "foo.+", "foo", false},
      {kRegex, "a|b|c", "b", true},
      {kRegex, "a|b|c", "d", false},
      {kRegex, "a|b|c", "ab", false},
      {kRegex, "a|", "", true},
      {kRegex, "(api|web)-(1|2)", "web-2", true},
      {kRegex, "(api|web)-(1|2)", "web-3", false},
      {kRegex, "(?i)FOO", "foo", true},
      {kRegex, ".*", "", true},
      {kRegex, ".+", "", false},
      {kRegex, "a.c", "a\nc", true},
      {kRegex, "", "", true},
      {kRegex, "", "x", false},
      {kRegex, "caf\xc3\xa9|x", "caf\xc3\xa9", true},
      {kNotRegex, "bar", "bar", false},
      {kNotRegex, "bar", "foo-bar", true},
      {kNotRegex, ".*bar", "foo-bar", false},
      {kNotRegex, "a|b", "c", true},
      {kNotRegex, ".+", "", true},
  };
  for (const MatchCase& c : cases) {
    INFO(MatchTypeText(c.type) << " " << c.pattern << " on '" << c.value << "'");
    const auto matcher = Matcher::Create(c.type, "name", c.pattern);
    REQUIRE(matcher.ok());
    CHECK(matcher->Matches(c.value) == c.matches);
    if (c.value.empty()) CHECK(matcher->MatchesEmpty() == c.matches);
  }
}

TEST_CASE("a matcher with a bad expression is refused in Go's words") {
  const auto matcher = Matcher::Create(MatchType::kRegex, "a", "(b");
  REQUIRE_FALSE(matcher.ok());
  CHECK(matcher.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(matcher.status().message()) == "error parsing regexp: missing closing ): `(b`");
  // Without an expression there is nothing to refuse.
  CHECK(Matcher::Create(MatchType::kNotEqual, "a", "(b").ok());
}

TEST_CASE("a matcher prints as upstream prints it") {
  using enum MatchType;
  const std::vector<std::tuple<MatchType, std::string, std::string, std::string>> cases = {
      {kEqual, "foo", "bar", R"(foo="bar")"},
      {kNotEqual, "foo", "bar", R"(foo!="bar")"},
      {kRegex, "foo", "b.r", R"(foo=~"b.r")"},
      {kNotRegex, "foo", "b.r", R"(foo!~"b.r")"},
      {kEqual, "foo.bar", "x", R"("foo.bar"="x")"},
      {kEqual, "", "x", R"(""="x")"},
      {kEqual, "1a", "x", R"("1a"="x")"},
      {kEqual, "__name__", "a\"b\\c\n", R"(__name__="a\"b\\c\n")"},
      {kEqual, "caf\xc3\xa9", "x", "\"caf\xc3\xa9\"=\"x\""},
  };
  for (const auto& [type, name, value, printed] : cases) {
    CHECK(Matcher::Create(type, name, value)->ToString() == printed);
  }
  CHECK(Matcher::Equal("a", "b") == *Matcher::Create(kEqual, "a", "b"));
}

}  // namespace
}  // namespace narthex
