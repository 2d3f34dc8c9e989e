#include "lib/relabel/name_validation.h"

#include "lib/base/utf8.h"
#include "lib/labels/selector_format.h"

namespace narthex {

std::string_view NameValidationSchemeText(NameValidationScheme scheme) {
  return scheme == NameValidationScheme::kUtf8 ? "utf8" : "legacy";
}

bool IsValidLabelName(std::string_view name, NameValidationScheme scheme) {
  if (scheme == NameValidationScheme::kLegacy) return IsLegacyLabelName(name);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidMetricName(std::string_view name, NameValidationScheme scheme) {
  if (scheme == NameValidationScheme::kLegacy) return IsLegacyMetricName(name);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidLabelValue(std::string_view value) { return IsValidUtf8(value); }

}  // namespace narthex
