#include "services/query/rule_file.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/temp_dir.h"

namespace narthex::query {
namespace {

RuleFileOptions Options() {
  RuleFileOptions options;
  options.interval = absl::Seconds(30);
  options.query_offset = absl::Seconds(5);
  return options;
}

// A file of one group with one rule of these lines.
std::string OneRule(const std::vector<std::string>& lines) {
  std::string text = "groups:\n  - name: g\n    rules:\n";
  for (size_t i = 0; i < lines.size(); ++i) {
    StrAppend(&text, i == 0 ? "      - " : "        ", lines[i], "\n");
  }
  return text;
}

TEST_CASE("A rule file is read with its defaults, and group labels join the rules' own") {
  const auto loaded = ParseRuleFile(R"(
groups:
  - name: first
    interval: 15s
    limit: 10
    query_offset: 0s
    labels: {team: core, severity: low}
    rules:
      - record: job:up:sum
        expr: sum  by(job)(up)
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1h
        labels: {severity: page}
        annotations: {summary: "{{ $labels.instance }} is down"}
  - name: second
)",
                                    "dir/rules.yml", Options());
  REQUIRE(loaded.ok());
  REQUIRE(loaded->groups.size() == 2);
  const rules::GroupDefinition& first = loaded->groups[0];
  CHECK(first.key() == "dir/rules.yml;first");
  CHECK(first.interval == absl::Seconds(15));
  CHECK(first.query_offset == absl::ZeroDuration());
  CHECK(first.limit == 10);
  REQUIRE(first.rules.size() == 2);
  CHECK(first.rules[0]->expression == "sum by (job) (up)");
  CHECK(first.rules[0]->labels == rules::TextPairs{{"severity", "low"}, {"team", "core"}});
  CHECK_FALSE(first.rules[0]->alerting);
  CHECK(first.rules[1]->alerting);
  CHECK(first.rules[1]->hold == absl::Minutes(5));
  CHECK(first.rules[1]->keep_firing_for == absl::Hours(1));
  CHECK(first.rules[1]->labels == rules::TextPairs{{"severity", "page"}, {"team", "core"}});
  CHECK(first.rules[1]->label_templates.size() == 2);
  CHECK(first.rules[1]->annotation_templates.size() == 1);
  const rules::GroupDefinition& second = loaded->groups[1];
  CHECK(second.interval == absl::Seconds(30));
  CHECK(second.query_offset == absl::Seconds(5));
  CHECK(second.rules.empty());
}

TEST_CASE("What is wrong in a rule file is named with its place") {
  struct Case {
    std::string text;
    std::string error;
  };
  for (
      const Case& c : std::vector<Case>{
          {"groups: [{name: a}, {name: a}]",
           "r.yml:1:21: groups[1]: groupname: \"a\" is repeated in the same file"},
          {"groups: [{interval: 5s}]", "r.yml:1:10: groups[0]: Groupname must not be empty"},
          {"groups: [{name: a, limit: -1}]", "r.yml:1:10: groups[0]: limit must not be negative"},
          {"groups: [{name: a, labels: {__name__: x}}]",
           "r.yml:1:10: groups[0]: invalid label name: __name__"},
          {OneRule({"record: a", "alert: b", "expr: \"1\""}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"b\": only one of 'record' and "
           "'alert' must be set"},
          {OneRule({"expr: \"1\""}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"\": one of 'record' or 'alert' "
           "must be set"},
          {OneRule({"record: a"}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": field 'expr' must be set in "
           "rule"},
          {OneRule({"record: a", "expr: sum("}),
           "r.yml:5:15: groups[0].rules[0].expr: group \"g\", rule 1, \"a\": could not parse "
           "expression: 1:5: parse error: unclosed left parenthesis"},
          {OneRule({"record: a", "expr: \"1\"", "for: 5m"}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": invalid field 'for' in "
           "recording rule"},
          {OneRule({"record: a", "expr: \"1\"", "keep_firing_for: 5m"}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": invalid field "
           "'keep_firing_for' in recording rule"},
          {OneRule({"record: a", "expr: \"1\"", "annotations: {x: y}"}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": invalid field 'annotations' "
           "in recording rule"},
          {OneRule({"record: 'a{b=\"c\"}'", "expr: \"1\""}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present "
           "in the recording rule name; should it be in expr?: a{b=\"c\"}"},
          {OneRule({"alert: a", "expr: \"1\"", "labels: {__name__: y}"}),
           "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": invalid label name: "
           "__name__"}}) {
    INFO(c.text);
    const auto loaded = ParseRuleFile(c.text, "r.yml", Options());
    CHECK(absl::IsInvalidArgument(loaded.status()));
    CHECK(Message(loaded.status()) == c.error);
  }
  // Where the words are the decoder's or the template's, the place and the beginning.
  for (const Case& c : std::vector<Case>{
           {OneRule({"record: a", "expr: \"1\"", "colour: red"}), "r.yml:6:9: "},
           {OneRule({"record: a", "record: b", "expr: \"1\""}), "r.yml:5:9: "},
           {OneRule({"alert: a", "expr: \"1\"", "for: soon"}),
            "r.yml:6:14: groups[0].rules[0].for: "},
           {OneRule({"alert: a", "expr: \"1\"", "annotations: {text: \"{{ $x }}\"}"}),
            "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": annotation \"text\": "},
           {OneRule({"alert: a", "expr: \"1\"", "labels: {text: \"{{ if }}\"}"}),
            "r.yml:4:9: groups[0].rules[0]: group \"g\", rule 1, \"a\": label \"text\": "},
           {"groups: 5", "r.yml:1:9: "},
           {"rules: []", "r.yml:1:1: "},
           {"groups: [", "r.yml:"}}) {
    INFO(c.text);
    const auto loaded = ParseRuleFile(c.text, "r.yml", Options());
    CHECK(absl::IsInvalidArgument(loaded.status()));
    CHECK(std::string(Message(loaded.status())).rfind(c.error, 0) == 0);
    CHECK(Message(loaded.status()) == Message(loaded.status()));
  }
}

TEST_CASE("Only the first document of a rule file counts, with a warning") {
  const auto loaded =
      ParseRuleFile("groups: [{name: a}]\n---\ngroups: [{name: b}]\n", "r.yml", Options());
  REQUIRE(loaded.ok());
  CHECK(loaded->groups.size() == 1);
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0].rfind("r.yml:2:", 0) == 0);
  CHECK(ParseRuleFile("", "r.yml", Options())->groups.empty());
}

TEST_CASE("Patterns are expanded, and a file that two of them match is read once") {
  TempDir dir;
  io::FileSystem* const fs = io::PosixFileSystem();
  const auto write = [&](std::string_view name, std::string_view text) {
    REQUIRE(fs->WriteFileAtomically(io::JoinPath(dir.path(), name), text).ok());
  };
  write("a.yml", "groups: [{name: a}]");
  write("b.yml", "groups: [{name: a}]");
  write("c.txt", "groups: 5");
  const auto loaded =
      LoadRuleFiles(fs,
                    {io::JoinPath(dir.path(), "*.yml"), io::JoinPath(dir.path(), "b.yml"),
                     io::JoinPath(dir.path(), "none*.yml")},
                    Options());
  REQUIRE(loaded.ok());
  REQUIRE(loaded->groups.size() == 2);
  CHECK(loaded->groups[0].file == io::JoinPath(dir.path(), "a.yml"));
  CHECK_FALSE(LoadRuleFiles(fs, {io::JoinPath(dir.path(), "*.txt")}, Options()).ok());
}

}  // namespace
}  // namespace narthex::query
