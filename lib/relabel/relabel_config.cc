#include "lib/relabel/relabel_config.h"

#include <array>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::relabel {
namespace {

constexpr std::array<std::pair<Action, std::string_view>, 11> kActions = {{
    {Action::kReplace, "replace"},
    {Action::kKeep, "keep"},
    {Action::kDrop, "drop"},
    {Action::kKeepEqual, "keepequal"},
    {Action::kDropEqual, "dropequal"},
    {Action::kHashMod, "hashmod"},
    {Action::kLabelMap, "labelmap"},
    {Action::kLabelDrop, "labeldrop"},
    {Action::kLabelKeep, "labelkeep"},
    {Action::kLowercase, "lowercase"},
    {Action::kUppercase, "uppercase"},
}};

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A legacy label name in which $1, $name, ${1} and ${name} may stand anywhere; digits alone may not
// begin it.
bool IsLegacyNameTemplate(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  size_t i = 0;
  while (i < text.size()) {
    if (IsWordByte(text[i])) {
      ++i;
      continue;
    }
    if (text[i] != '$') return false;
    ++i;
    const bool braces = i < text.size() && text[i] == '{';
    if (braces) ++i;
    const size_t begin = i;
    while (i < text.size() && IsWordByte(text[i])) ++i;
    if (i == begin) return false;
    if (braces && (i == text.size() || text[i++] != '}')) return false;
  }
  return true;
}

bool IsNameTemplate(std::string_view text, NameValidationScheme scheme) {
  if (scheme == NameValidationScheme::kLegacy) return IsLegacyNameTemplate(text);
  return IsValidLabelName(text, scheme);  // UTF-8 names may hold '$' and braces anyway.
}

}  // namespace

std::string_view ActionText(Action action) {
  for (const auto& [candidate, text] : kActions) {
    if (candidate == action) return text;
  }
  return "";
}

std::optional<Action> ParseAction(std::string_view text) {
  const std::string lower = ToLowerAscii(text);
  for (const auto& [action, name] : kActions) {
    if (lower == name) return action;
  }
  return std::nullopt;
}

const Regex& DefaultRegex() {
  static const Regex* const regex = [] {
    absl::StatusOr<Regex> compiled = Regex::Compile("(.*)");
    NARTHEX_CHECK(compiled.ok());
    return new Regex(*std::move(compiled));
  }();
  return *regex;
}

absl::Status RelabelConfig::Validate() const {
  const std::string_view name = ActionText(action);
  const bool compares_labels = action == Action::kKeepEqual || action == Action::kDropEqual;
  const bool changes_case = action == Action::kLowercase || action == Action::kUppercase;
  if (modulus == 0 && action == Action::kHashMod) {
    return InvalidArgument("relabel configuration for hashmod requires non-zero modulus");
  }
  const bool needs_target =
      compares_labels || changes_case || action == Action::kReplace || action == Action::kHashMod;
  if (needs_target && target_label.empty()) {
    return InvalidArgument("relabel configuration for ", name,
                           " action requires 'target_label' value");
  }
  const bool target_is_template = action == Action::kReplace;
  if (needs_target &&
      !(target_is_template ? IsNameTemplate(target_label, name_validation_scheme)
                           : IsValidLabelName(target_label, name_validation_scheme))) {
    return InvalidArgument(Quote(target_label), " is invalid 'target_label' for ", name, " action");
  }
  if ((changes_case || compares_labels) && replacement != "$1") {
    return InvalidArgument("'replacement' can not be set for ", name, " action");
  }
  if (action == Action::kLabelMap && !IsNameTemplate(replacement, name_validation_scheme)) {
    return InvalidArgument(Quote(replacement), " is invalid 'replacement' for ", name, " action");
  }
  if (compares_labels && (!(regex == DefaultRegex()) || modulus != 0 || separator != ";")) {
    return InvalidArgument(
        name, " action requires only 'source_labels' and `target_label`, and no other fields");
  }
  if ((action == Action::kLabelDrop || action == Action::kLabelKeep) &&
      (!source_labels.empty() || !target_label.empty() || modulus != 0 || separator != ";" ||
       replacement != "$1")) {
    return InvalidArgument(name, " action requires only 'regex', and no other fields");
  }
  return absl::OkStatus();
}

}  // namespace narthex::relabel
