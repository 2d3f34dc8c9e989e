#include "lib/relabel/relabel.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/io/file_system.h"

namespace narthex::relabel {
namespace {

struct Case {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<RelabelConfig> rules;
  NameValidationScheme scheme = NameValidationScheme::kUtf8;
  std::optional<std::map<std::string, std::string>> want;
  bool invalid = false;  // A rule must fail Validate().
};

absl::Status DecodeYaml(const yaml::Value& value, Case* out) {
  std::string scheme;
  bool version3 = false;  // Prometheus 2 differs; only for the reader.
  yaml::Mapping fields(value, "Case");
  fields("name", out->name);
  fields("labels", out->labels);
  fields("rules", out->rules);
  fields("scheme", scheme);
  fields("version3", version3);
  fields("want", out->want);
  fields("invalid", out->invalid);
  if (scheme == "legacy") out->scheme = NameValidationScheme::kLegacy;
  for (RelabelConfig& rule : out->rules) rule.name_validation_scheme = out->scheme;
  return fields.Finish();
}

Labels FromMap(const std::map<std::string, std::string>& labels) {
  return Labels::FromPairs({labels.begin(), labels.end()});
}

TEST_CASE("The rules of the table do what the table says") {
  const absl::StatusOr<std::string> text = io::PosixFileSystem()->ReadFile(NARTHEX_RELABEL_CASES);
  REQUIRE(text.ok());
  const absl::StatusOr<yaml::Document> document = yaml::Document::Parse(*text, "cases.yml");
  REQUIRE(document.ok());
  std::vector<Case> cases;
  const absl::Status decoded = DecodeYaml(document->root(), &cases);
  INFO(Message(decoded));
  REQUIRE(decoded.ok());
  REQUIRE(cases.size() > 50);
  for (const Case& test : cases) {
    INFO(test.name);
    bool valid = true;
    for (const RelabelConfig& rule : test.rules) valid = valid && rule.Validate().ok();
    CHECK(valid == !test.invalid);
    if (!valid || test.invalid) continue;
    const std::optional<Labels> result = Process(test.rules, FromMap(test.labels));
    REQUIRE(result.has_value() == test.want.has_value());
    if (result.has_value()) CHECK(result->ToString() == FromMap(*test.want).ToString());
  }
}

TEST_CASE("One builder serves many sets") {
  const std::vector<RelabelConfig> rules = {
      {.source_labels = {"a"}, .target_label = "b"},
      {.source_labels = {"a"}, .regex = *Regex::Compile("drop"), .action = Action::kDrop},
  };
  LabelsBuilder builder;
  for (const std::string_view value : {"x", "drop", "y"}) {
    builder.Reset(Labels({{"a", value}}));
    CHECK(Process(rules, &builder) == (value != "drop"));
    if (value != "drop") CHECK(builder.Build() == Labels({{"a", value}, {"b", value}}));
  }
}

TEST_CASE("Actions have names and names have actions") {
  for (const std::string_view name :
       {"replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop",
        "labelkeep", "lowercase", "uppercase"}) {
    const std::optional<Action> action = ParseAction(name);
    REQUIRE(action.has_value());
    CHECK(ActionText(*action) == name);
  }
  CHECK_FALSE(ParseAction("").has_value());
  CHECK_FALSE(ParseAction("replaced").has_value());
}

TEST_CASE("Names are valid under their scheme") {
  const NameValidationScheme utf8 = NameValidationScheme::kUtf8;
  const NameValidationScheme legacy = NameValidationScheme::kLegacy;
  struct {
    std::string_view name;
    bool legacy_label, legacy_metric, utf8;
  } const cases[] = {
      {"", false, false, false},
      {"a", true, true, true},
      {"_", true, true, true},
      {"a:b", false, true, true},
      {"0a", false, false, true},
      {"a0", true, true, true},
      {"a.b", false, false, true},
      {"ä", false, false, true},
      {"a b", false, false, true},
      {"\xff", false, false, false},
      {":", false, true, true},
      {"__name__", true, true, true},
      {"\xed\xa0\x80", false, false, false},
  };
  for (const auto& test : cases) {
    INFO(test.name);
    CHECK(IsValidLabelName(test.name, legacy) == test.legacy_label);
    CHECK(IsValidMetricName(test.name, legacy) == test.legacy_metric);
    CHECK(IsValidLabelName(test.name, utf8) == test.utf8);
    CHECK(IsValidMetricName(test.name, utf8) == test.utf8);
  }
}

}  // namespace
}  // namespace narthex::relabel
