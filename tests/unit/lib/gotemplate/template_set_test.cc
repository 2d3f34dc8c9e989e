#include "lib/gotemplate/template_set.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/gotemplate/go_time.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::gotemplate {
namespace {

const FunctionTable& NoFunctions() {
  static const FunctionTable table({});
  return table;
}

std::string Run(const TemplateSet& set, std::string_view name, const Limits& limits = {}) {
  const auto output = set.Execute(name, Value(), Environment(), limits);
  return output.ok() ? *output : StrCat("error: ", Message(output.status()));
}

TEST_CASE("a later text overrides what an earlier one defines, unless it is empty") {
  TemplateSet set(&NoFunctions());
  REQUIRE(set.Parse("a", "{{ define \"x\" }}one{{ end }}{{ template \"x\" }}").ok());
  CHECK(Run(set, "a") == "one");
  TemplateSet copy = set;
  REQUIRE(copy.Parse("b", "{{ define \"x\" }}two{{ end }}").ok());
  CHECK(Run(copy, "a") == "two");
  REQUIRE(copy.Parse("c", "{{ define \"x\" }}  {{ end }}").ok());
  CHECK(Run(copy, "a") == "two");
  CHECK(Run(set, "a") == "one");
  CHECK(set.Has("x"));
  CHECK_FALSE(set.Has("b"));
}

TEST_CASE("a text that does not parse leaves the set as it was") {
  TemplateSet set(&NoFunctions());
  REQUIRE(set.Parse("a", "one").ok());
  CHECK_FALSE(set.Parse("a", "{{ define \"a\" }}two{{ end }}{{ if }}").ok());
  CHECK(Run(set, "a") == "one");
}

TEST_CASE("a template that is not there is an error") {
  TemplateSet set(&NoFunctions());
  CHECK(Run(set, "x") == "error: template: no template \"x\" associated with template \"\"");
}

TEST_CASE("bounds end what would never end") {
  TemplateSet set(&NoFunctions());
  Limits limits;
  limits.output_bytes_max = 1000;
  limits.steps_max = 10'000;
  const auto expect_exhausted = [&](std::string_view text) {
    INFO(text);
    TemplateSet one(&NoFunctions());
    REQUIRE(one.Parse("t", text).ok());
    CHECK(one.Execute("t", Value(), Environment(), limits).status().code() ==
          absl::StatusCode::kResourceExhausted);
  };
  expect_exhausted("{{ range 1000000000 }}{{ end }}");
  expect_exhausted("{{ range 500 }}abc{{ end }}");
  expect_exhausted("{{ printf \"%2000d\" 1 }}");
  expect_exhausted(
      "{{ $x := \"aaaaaaaa\" }}{{ range 100 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}");
  TemplateSet recursive(&NoFunctions());
  REQUIRE(
      recursive.Parse("t", "{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}")
          .ok());
  CHECK(Run(recursive, "t").find("exceeded maximum template depth (1000)") != std::string::npos);
}

TEST_CASE("deep nesting is refused by the parser") {
  TemplateSet set(&NoFunctions());
  std::string text = "{{ ";
  text.append(100'000, '(');
  CHECK_FALSE(set.Parse("t", text).ok());
  std::string blocks;
  for (int i = 0; i < 10'000; ++i) blocks.append("{{if 1}}");
  CHECK_FALSE(set.Parse("t", blocks).ok());
}

TEST_CASE("times are parsed by Go's layouts") {
  struct Row {
    const char* layout;
    const char* text;
    const char* result;  // Go's error when it begins with "parsing".
  };
  const Row rows[] = {
      {"2006-01-02T15:04:05Z07:00", "2026-03-07T16:05:09.25+02:00",
       "2026-03-07 16:05:09.25 +0200 +0200"},
      {"2006-01-02T15:04:05Z07:00", "2026-03-07T16:05:09Z", "2026-03-07 16:05:09 +0000 UTC"},
      {"2006-01-02", "2026-03-07", "2026-03-07 00:00:00 +0000 UTC"},
      {"Jan _2 3:04PM 06", "Mar  7 4:05PM 26", "2026-03-07 16:05:00 +0000 UTC"},
      {"Monday, January 2 2006", "Saturday, March 7 2026", "2026-03-07 00:00:00 +0000 UTC"},
      {"2006-002", "2026-066", "2026-03-07 00:00:00 +0000 UTC"},
      {"2006-01-02", "2026-02-30", "parsing time \"2026-02-30\": day out of range"},
      {"2006-01-02", "2026-13-01", "parsing time \"2026-13-01\": month out of range"},
      {"2006-01-02", "nope",
       "parsing time \"nope\" as \"2006-01-02\": cannot parse \"nope\" as \"2006\""},
      {"2006-01-02", "2026-03-07x", "parsing time \"2026-03-07x\": extra text: \"x\""},
      {"15:04", "25:00", "parsing time \"25:00\": hour out of range"},
  };
  for (const Row& row : rows) {
    INFO(row.layout << " " << row.text);
    const auto parsed = ParseTime(row.layout, row.text);
    CHECK((parsed.ok() ? TimeString(*parsed) : std::string(Message(parsed.status()))) ==
          row.result);
  }
}

TEST_CASE("titles are cased as the field expects") {
  const char* const rows[][3] = {
      // Text, cases.Title, strings.Title.
      {"hELLO foo-bar", "Hello Foo-Bar", "HELLO Foo-Bar"},
      {"don't stop", "Don't Stop", "Don'T Stop"},
      {"a_b c.d", "A_b C.d", "A_b C.D"},
      {"élan vital", "Élan Vital", "Élan Vital"},
      {"", "", ""},
  };
  for (const auto& row : rows) {
    CHECK(TitleCase(row[0]) == row[1]);
    CHECK(CapitalizeWords(row[0]) == row[2]);
  }
}

}  // namespace
}  // namespace narthex::gotemplate
