#include "lib/yaml/decoder.h"

#include "catch2/catch.hpp"

namespace narthex::yaml {
namespace {

struct Inner {
  std::string name;
  int count = 7;
};
absl::Status DecodeYaml(const Value& value, Inner* out) {
  Mapping fields(value, "test.Inner");
  fields.Required("name", out->name);
  fields("count", out->count);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->count < 0) return fields.ErrorAt("count", "must not be negative");
  return absl::OkStatus();
}

struct Outer {
  std::string text = "default";
  bool flag = true;
  double number = 1.5;
  uint64_t limit = 3;
  int64_t wide = 0;
  absl::Duration interval = absl::Minutes(1);
  std::vector<Inner> inner;
  std::map<std::string, std::string> labels;
  std::optional<Inner> maybe;
  std::string file;
  std::vector<std::string> files;
};
absl::Status DecodeYaml(const Value& value, Outer* out) {
  Mapping fields(value, "test.Outer");
  fields("text", out->text);
  fields("flag", out->flag);
  fields("number", out->number);
  fields("limit", out->limit);
  fields("wide", out->wide);
  fields("interval", out->interval);
  fields("inner", out->inner);
  fields("labels", out->labels);
  fields("maybe", out->maybe);
  fields("file", out->file, Policy::kPath);
  fields("files", out->files, Policy::kPath);
  return fields.Finish();
}

absl::StatusOr<Outer> Read(std::string_view text, std::string_view file = "a.yml") {
  NARTHEX_ASSIGN_OR_RETURN(const Document document, Document::Parse(text, file));
  Outer out;
  NARTHEX_RETURN_IF_ERROR(DecodeYaml(document.root(), &out));
  return out;
}

std::string ErrorOf(std::string_view text) {
  const absl::StatusOr<Outer> read = Read(text);
  return read.ok() ? "accepted" : std::string(Message(read.status()));
}

TEST_CASE("Each refusal names file, line, column, key and reason") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"text: a\nbad: 1\n", "a.yml:2:1: bad: field bad not found in type test.Outer"},
      {"text: a\ntext: b\n", "a.yml:2:1: text: field text already set in type test.Outer"},
      {"labels:\n  a: x\n  a: y\n", "a.yml:3:3: labels.a: key \"a\" already set in map"},
      {"inner:\n  - name: x\n    colour: red\n",
       "a.yml:3:5: inner[0].colour: field colour not found in type test.Inner"},
      {"inner:\n  - name: x\n  - count: 1\n", "a.yml:3:5: inner[1]: missing required field"},
      {"inner:\n  - name: x\n    count: -1\n", "a.yml:3:5: inner[0].count: must not be negative"},
      {"inner: {}\n", "a.yml:1:8: inner: cannot unmarshal !!map into list"},
      {"inner: [x]\n", "a.yml:1:9: inner[0]: cannot unmarshal !!str `x` into test.Inner"},
      {"text: [a]\n", "a.yml:1:7: text: cannot unmarshal !!seq into string"},
      {"flag: 1\n", "a.yml:1:7: flag: cannot unmarshal !!int `1` into bool"},
      {"flag: \"true\"\n", "a.yml:1:7: flag: cannot unmarshal !!str `true` into bool"},
      {"number: abc\n", "a.yml:1:9: number: cannot unmarshal !!str `abc` into float64"},
      {"limit: -1\n", "a.yml:1:8: limit: cannot unmarshal !!int `-1` into uint"},
      {"limit: '1'\n", "a.yml:1:8: limit: cannot unmarshal !!str `1` into uint"},
      {"limit: averylongsecret\n",
       "a.yml:1:8: limit: cannot unmarshal !!str `averylo...` into uint"},
      {"wide: 9223372036854775808\n",
       "a.yml:1:7: wide: cannot unmarshal !!int `9223372...` into int"},
      {"maybe:\n  name: x\n  count: 3000000000\n",
       "a.yml:3:10: maybe.count: cannot unmarshal !!int `3000000000` into int"},
      {"interval: 10\n", "a.yml:1:11: interval: not a valid duration string: \"10\""},
      {"interval: 1h30\n", "a.yml:1:11: interval: not a valid duration string: \"1h30\""},
      {"- a\n", "a.yml:1:1: cannot unmarshal !!seq into test.Outer"},
      {"labels:\n  [a]: b\n", "a.yml:2:3: labels: invalid map key"},
      {"text: !!binary \"/w==$\"\n", "a.yml:1:7: !!binary value contains invalid base64 data"},
      {"text: *nobody\n", "a.yml:1:7: yaml: the referenced anchor is not defined"},
      {"labels: &l\n  a: *l\n", "a.yml:2:6: anchor value contains itself"},
      {"labels:\n  <<: 3\n",
       "a.yml:2:7: labels.3: map merge requires map or sequence of maps as the value"},
      {"text: a\n---\ntext: b\n", "a.yml:2:1: a second document is not allowed in this file"},
      {"text: \"a\x01\"\n", "a.yml:1:9: control characters are not allowed"},
      {"flag: true\ntext: a\xff\n", "a.yml:2:8: invalid UTF-8"},
  };
  for (const auto& [text, error] : cases) {
    INFO(text);
    CHECK(ErrorOf(text) == error);
  }
}

TEST_CASE("Broken YAML is refused with its place") {
  for (const std::string_view text : {"text: [a\n", "text: \"a\n", "a: b: c\n", "{a: b\n",
                                      "text: @a\n", "- a\nb: c\n", "text: 'a\n", "%YAML 1\n"}) {
    INFO(text);
    const std::string error = ErrorOf(text);
    CHECK(error.starts_with("a.yml:"));
  }
}

TEST_CASE("Absent fields keep their defaults and null ones become zero") {
  const absl::StatusOr<Outer> absent = Read("");
  REQUIRE(absent.ok());
  CHECK(absent->text == "default");
  CHECK(absent->flag);
  CHECK(absent->interval == absl::Minutes(1));
  const absl::StatusOr<Outer> null =
      Read("text:\nflag: ~\nnumber: null\nlimit:\ninterval:\ninner:\nlabels:\nmaybe:\n");
  REQUIRE(null.ok());
  CHECK(null->text.empty());
  CHECK_FALSE(null->flag);
  CHECK(null->number == 0);
  CHECK(null->limit == 0);
  CHECK(null->interval == absl::ZeroDuration());
  CHECK(null->inner.empty());
  CHECK_FALSE(null->maybe.has_value());
}

TEST_CASE("Scalars are read as Go's YAML 1.1 reads them") {
  for (const auto& [text, want] : std::vector<std::pair<std::string, bool>>{{"yes", true},
                                                                            {"On", true},
                                                                            {"TRUE", true},
                                                                            {"y", true},
                                                                            {"no", false},
                                                                            {"off", false}}) {
    INFO(text);
    const absl::StatusOr<Outer> read = Read("flag: " + text);
    REQUIRE(read.ok());
    CHECK(read->flag == want);
  }
  for (const auto& [text, want] :
       std::vector<std::pair<std::string, uint64_t>>{{"12", 12},
                                                     {"0x1F", 31},
                                                     {"0b101", 5},
                                                     {"010", 8},
                                                     {"0o17", 15},
                                                     {"1_000", 1000},
                                                     {"1e3", 1000},
                                                     {"2.9", 2},
                                                     {"0", 0},
                                                     {"18446744073709551615", UINT64_MAX}}) {
    INFO(text);
    const absl::StatusOr<Outer> read = Read("limit: " + text);
    REQUIRE(read.ok());
    CHECK(read->limit == want);
  }
  for (const auto& [text, want] : std::vector<std::pair<std::string, double>>{
           {"0.25", 0.25}, {".5", 0.5}, {"-3", -3}, {"1e-3", 0.001}, {".inf", HUGE_VAL}}) {
    INFO(text);
    const absl::StatusOr<Outer> read = Read("number: " + text);
    REQUIRE(read.ok());
    CHECK(read->number == want);
  }
  for (const auto& [text, want] : std::vector<std::pair<std::string, std::string>>{
           {"yes", "yes"},
           {"010", "010"},
           {"1.50", "1.50"},
           {"'a b'", "a b"},
           {"\"\\u00e4\"", "ä"},
           {"|\n  a\n  b\n", "a\nb\n"},
           {">-\n  a\n  b\n", "a b"},
           {"\"\\N\\_x\\x85\"", "\xC2\x85\xC2\xA0x\xC2\x85"},
           {"|+\n  a\n\n", "a\n\n"},
           {"|+\n  a\n", "a\n"},
           {"a", "a"},
           {"!!binary YWI=", "ab"},
           {"!!str 5", "5"},
           {"null", ""},
           {"\"null\"", "null"}}) {
    INFO(text);
    const absl::StatusOr<Outer> read = Read("text: " + text);
    REQUIRE(read.ok());
    CHECK(read->text == want);
  }
  CHECK(Read("wide: -9223372036854775808")->wide == INT64_MIN);
}

TEST_CASE("Anchors, aliases and merge keys work, and a mapping's own keys win") {
  const absl::StatusOr<Outer> read = Read(
      "maybe: &base\n  name: n\n  count: 2\n"
      "inner:\n"
      "  - *base\n"
      "  - <<: *base\n    count: 3\n"
      "  - count: 4\n    <<: [{name: first}, *base]\n");
  REQUIRE(read.ok());
  REQUIRE(read->inner.size() == 3);
  CHECK(read->inner[0].name == "n");
  CHECK(read->inner[1].name == "n");
  CHECK(read->inner[1].count == 3);
  CHECK(read->inner[2].name == "first");
  CHECK(read->inner[2].count == 4);
}

TEST_CASE("The growth by aliases is bounded") {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string previous(1, static_cast<char>(c - 1));
    bomb += StrCat(c, ": &", c, " [");
    for (int i = 0; i < 10; ++i) bomb += StrCat(i ? "," : "", "*", previous);
    bomb += "]\n";
  }
  const absl::StatusOr<Document> parsed = Document::Parse(bomb, "bomb.yml");
  REQUIRE_FALSE(parsed.ok());
  CHECK(Message(parsed.status()).find("excessive aliasing") != std::string_view::npos);
}

TEST_CASE("Depth is bounded") {
  for (const auto& [open, close] :
       std::vector<std::pair<std::string, std::string>>{{"[", "]"}, {"{a: ", "}"}, {"- ", ""}}) {
    std::string deep = "";
    for (int i = 0; i < 100'000; ++i) deep += open;
    const absl::StatusOr<Document> parsed = Document::Parse(deep, "deep.yml");
    CHECK_FALSE(parsed.ok());
  }
}

TEST_CASE("A second document may be ignored and is reported") {
  const auto parse = [](std::string_view text) {
    return Document::Parse(text, "a.yml", Document::MoreDocuments::kIgnore);
  };
  CHECK(parse("a: b\n")->second_document_line() == 0);
  CHECK(parse("---\na: b\n")->second_document_line() == 0);
  CHECK(parse("a: b\n...\n")->second_document_line() == 0);
  CHECK(parse("a: b\n---\nc: d\n")->second_document_line() == 2);
  CHECK(parse("a: b\n...\n...\n")->second_document_line() == 0);
  CHECK(parse("")->second_document_line() == 0);
  const absl::StatusOr<Document> garbage = parse("a: b\n---\n{[\n");
  REQUIRE(garbage.ok());
  CHECK(garbage->second_document_line() == 2);
}

TEST_CASE("Paths are relative to the folder of the document") {
  const absl::StatusOr<Outer> read =
      Read("file: ../x/./y.pem\nfiles: [/abs, rel, '']\n", "/etc/prom/a.yml");
  REQUIRE(read.ok());
  CHECK(read->file == "/etc/x/y.pem");
  CHECK(read->files == std::vector<std::string>{"/abs", "/etc/prom/rel", ""});
  CHECK(Read("file: b/c\n", "a.yml")->file == "b/c");
  CHECK(Read("file: ./c\n", "x/a.yml")->file == "x/c");
}

}  // namespace
}  // namespace narthex::yaml
