#ifndef NARTHEX_LIB_RELABEL_RELABEL_CONFIG_H_
#define NARTHEX_LIB_RELABEL_RELABEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/regex.h"
#include "lib/relabel/name_validation.h"

namespace narthex::relabel {

enum class Action {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};
std::string_view ActionText(Action action);  // "replace", "keepequal", …
// The action of a name in any case; nothing for an unknown one.
std::optional<Action> ParseAction(std::string_view text);

// "(.*)", compiled once. Never destroyed.
const Regex& DefaultRegex();

// One relabelling rule. Plain data, comparable; Validate() says whether the fields fit together.
struct RelabelConfig {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  Regex regex = DefaultRegex();
  uint64_t modulus = 0;  // Only for kHashMod, and then at least 1.
  std::string target_label;
  std::string replacement = "$1";
  Action action = Action::kReplace;
  // Names of produced labels must be valid under it; from the scrape job, not a key of the rule.
  NameValidationScheme name_validation_scheme = NameValidationScheme::kUtf8;

  // InvalidArgument with upstream's text.
  absl::Status Validate() const;
  friend bool operator==(const RelabelConfig&, const RelabelConfig&) = default;
};

}  // namespace narthex::relabel

#endif  // NARTHEX_LIB_RELABEL_RELABEL_CONFIG_H_
