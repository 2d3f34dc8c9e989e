// The first line is a label set (name=value,…), the rest a list of rules in YAML. Rules that are
// valid run, and what they leave is a label set in order.
#include <cstdint>
#include <map>

#include "lib/base/check.h"
#include "lib/config/codec.h"
#include "lib/relabel/relabel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line_end = std::min(input.find('\n'), input.size());
  std::map<std::string, std::string> pairs;
  for (const std::string_view pair : narthex::Split(input.substr(0, line_end), ',')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    if (equals == 0 || equals == pair.size()) continue;
    pairs.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  const auto document = narthex::yaml::Document::Parse(input.substr(line_end), "rules.yml");
  if (!document.ok()) return 0;
  std::vector<narthex::relabel::RelabelConfig> rules;
  if (!DecodeYaml(document->root(), &rules).ok()) return 0;
  for (const auto& rule : rules) {
    if (!rule.Validate().ok()) return 0;
  }
  const narthex::Labels labels = narthex::Labels::FromPairs({pairs.begin(), pairs.end()});
  const auto result = narthex::relabel::Process(rules, labels);
  if (!result.has_value()) return 0;
  std::string last;
  bool first = true;
  for (const narthex::LabelView label : *result) {
    NARTHEX_CHECK(first || last < label.name);
    NARTHEX_CHECK(!label.value.empty());
    last = std::string(label.name);
    first = false;
  }
  return 0;
}
