#include "lib/yaml/writer.h"

#include "catch2/catch.hpp"

namespace narthex::yaml {
namespace {

TEST_CASE("Scalars are quoted only where a reader would take them for something else") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"abc", "abc"},
      {"localhost:9090", "localhost:9090"},
      {"", "\"\""},
      {"123", "\"123\""},
      {"1.5", "\"1.5\""},
      {"1.2.3.4:9093", "1.2.3.4:9093"},
      {"true", "\"true\""},
      {"Null", "\"Null\""},
      {"off", "\"off\""},
      {"1:30", "\"1:30\""},
      {"0x1f", "\"0x1f\""},
      {"2001-12-14", "\"2001-12-14\""},
      {"a: b", "'a: b'"},
      {"a #b", "'a #b'"},
      {"it's: x", "'it''s: x'"},
      {"*a", "'*a'"},
      {"(.*)", "(.*)"},
      {"$1", "$1"},
      {";", ";"},
      {"- a", "'- a'"},
      {"-a", "-a"},
      {" a", "' a'"},
      {"a\nb", "\"a\\nb\""},
      {"<secret>", "<secret>"},
      {"測試", "測試"},
      {"1m", "1m"},
      {"a:", "'a:'"},
      {"%a", "'%a'"},
  };
  for (const auto& [text, want] : cases) CHECK(QuoteScalar(text) == want);
}

TEST_CASE("What is written reads back the same") {
  const std::vector<std::string> texts = {
      "",      " ",       "a",      "a b",   "a: b", "'",    "\"",   "\\",   "a\tb", "\n",
      "a\n",   "- x",     "?",      ": x",   "#",    "a#b",  "a #",  "[x]",  "{x}",  "!x",
      "&x",    "*x",      "|",      ">",     "@",    "`",    "%",    "~",    "null", "1e3",
      "0b1",   "\u0085x", "\u2028", "\x7f",  "ä",    "<<",   "=",    "yes",  "...",  "---",
      "--- a", "1_000",   "+1",     "-.inf", "a,b",  "x: [", "\x01", "1:2:3"};
  for (const std::string& text : texts) {
    INFO(QuoteScalar(text));
    MappingWriter writer;
    writer("key", text, Policy::kAlways);
    writer(text.empty() ? "empty" : text, std::vector<std::string>{text, "x"});
    const std::string rendered = Render(writer.Take());
    INFO(rendered);
    const absl::StatusOr<Document> document = Document::Parse(rendered, "x.yml");
    REQUIRE(document.ok());
    const auto entries = document->root().Entries("map");
    REQUIRE(entries.ok());
    REQUIRE(entries->size() == 2);
    CHECK((*entries)[0].value.text() == text);
    if (!text.empty()) CHECK((*entries)[1].key.text() == text);
    CHECK((*entries)[1].value.Items("list")->at(0).text() == text);
  }
}

TEST_CASE("Structures are laid out as Go's yaml.v2 does") {
  MappingWriter inner;
  inner("name", std::string("x"));
  inner("list", std::vector<std::string>{"a", "b"});
  MappingWriter outer;
  outer("zero", 0);
  outer("zero_written", 0, Policy::kAlways);
  outer("flag", false, Policy::kAlways);
  outer("interval", absl::Seconds(90));
  outer("nothing", std::vector<std::string>{}, Policy::kAlways);
  outer("nobody", std::map<std::string, std::string>{}, Policy::kAlways);
  Tree items{.kind = Tree::Kind::kSequence};
  items.items.push_back(inner.Take());
  items.items.push_back(EncodeYaml(std::vector<int>{1, 2}));
  outer.Add("items", std::move(items));
  outer("map", std::map<std::string, int>{{"b", 2}, {"a", 1}});
  CHECK(Render(outer.Take()) ==
        "zero_written: 0\nflag: false\ninterval: 1m30s\nnothing: []\nnobody: {}\nitems:\n"
        "- name: x\n  list:\n  - a\n  - b\n- - 1\n  - 2\nmap:\n  a: 1\n  b: 2\n");
  CHECK(Render(MappingWriter().Take()) == "{}\n");
  Tree flow = EncodeYaml(std::vector<std::string>{"a", "b,c", "1", "x: y"});
  flow.flow = true;
  MappingWriter with_flow;
  with_flow.Add("list", flow);
  CHECK(Render(with_flow.Take()) == "list: [a, 'b,c', \"1\", 'x: y']\n");
}

}  // namespace
}  // namespace narthex::yaml
