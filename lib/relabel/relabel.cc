#include "lib/relabel/relabel.h"

#include <openssl/evp.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::relabel {
namespace {

// The last eight bytes of the MD5 digest as a big-endian number: what Prometheus shards by.
uint64_t Md5Tail(std::string_view text) {
  std::array<unsigned char, 16> digest;
  unsigned int length = 0;
  const int done = EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_md5(), nullptr);
  NARTHEX_CHECK(done == 1 && length == digest.size());
  uint64_t tail = 0;
  for (size_t i = 8; i < digest.size(); ++i) tail = (tail << 8) | digest[i];
  return tail;
}

std::string JoinSources(const RelabelConfig& rule, const LabelsBuilder& labels) {
  std::string joined;
  for (size_t i = 0; i < rule.source_labels.size(); ++i) {
    if (i > 0) joined += rule.separator;
    joined += labels.Get(rule.source_labels[i]);
  }
  return joined;
}

bool HasVariable(std::string_view text) { return text.find('$') != std::string_view::npos; }

void Replace(const RelabelConfig& rule, const std::string& value, LabelsBuilder* labels) {
  if (!HasVariable(rule.target_label) && !HasVariable(rule.replacement)) {
    // Nothing to expand. An empty source and the default expression always match: the rule that
    // adds or deletes a fixed label.
    const bool always = value.empty() && rule.regex == DefaultRegex();
    if (!always && !rule.regex.Matches(value)) return;
    if (IsValidLabelName(rule.target_label, rule.name_validation_scheme)) {
      labels->Set(rule.target_label, rule.replacement);
    }
    return;
  }
  if (rule.replacement == "$1" && !HasVariable(rule.target_label) && rule.regex == DefaultRegex()) {
    // The rule that copies its sources.
    if (IsValidLabelName(rule.target_label, rule.name_validation_scheme)) {
      labels->Set(rule.target_label, value);
    }
    return;
  }
  const std::optional<std::string> target = rule.regex.MatchAndExpand(value, rule.target_label);
  if (!target.has_value() || !IsValidLabelName(*target, rule.name_validation_scheme)) return;
  labels->Set(*target, *rule.regex.MatchAndExpand(value, rule.replacement));
}

// The labels whose names match (or do not), copied out because the builder must not change while it
// is visited.
std::vector<std::pair<std::string, std::string>> Select(const RelabelConfig& rule, bool matching,
                                                        const LabelsBuilder& labels) {
  std::vector<std::pair<std::string, std::string>> selected;
  labels.ForEach([&](LabelView label) {
    if (rule.regex.Matches(label.name) == matching) selected.emplace_back(label.name, label.value);
  });
  return selected;
}

void MapNames(const RelabelConfig& rule, LabelsBuilder* labels) {
  for (const auto& [name, value] : Select(rule, /*matching=*/true, *labels)) {
    labels->Set(*rule.regex.MatchAndExpand(name, rule.replacement), value);
  }
}

bool Apply(const RelabelConfig& rule, LabelsBuilder* labels) {
  switch (rule.action) {
    case Action::kKeep:
      return rule.regex.Matches(JoinSources(rule, *labels));
    case Action::kDrop:
      return !rule.regex.Matches(JoinSources(rule, *labels));
    case Action::kKeepEqual:
      return labels->Get(rule.target_label) == JoinSources(rule, *labels);
    case Action::kDropEqual:
      return labels->Get(rule.target_label) != JoinSources(rule, *labels);
    case Action::kReplace:
      Replace(rule, JoinSources(rule, *labels), labels);
      return true;
    case Action::kHashMod:
      labels->Set(rule.target_label, StrCat(Md5Tail(JoinSources(rule, *labels)) % rule.modulus));
      return true;
    case Action::kLabelMap:
      MapNames(rule, labels);
      return true;
    case Action::kLabelDrop:
    case Action::kLabelKeep:
      for (const auto& label : Select(rule, rule.action == Action::kLabelDrop, *labels)) {
        labels->Del(label.first);
      }
      return true;
    case Action::kLowercase:
      labels->Set(rule.target_label, ToLowerUtf8(JoinSources(rule, *labels)));
      return true;
    case Action::kUppercase:
      labels->Set(rule.target_label, ToUpperUtf8(JoinSources(rule, *labels)));
      return true;
  }
  return true;
}

}  // namespace

bool Process(std::span<const RelabelConfig> rules, LabelsBuilder* labels) {
  for (const RelabelConfig& rule : rules) {
    if (!Apply(rule, labels)) return false;
  }
  return true;
}

std::optional<Labels> Process(std::span<const RelabelConfig> rules, const Labels& labels) {
  LabelsBuilder builder(labels);
  if (!Process(rules, &builder)) return std::nullopt;
  return builder.Build();
}

}  // namespace narthex::relabel
