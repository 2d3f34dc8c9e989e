#ifndef NARTHEX_LIB_RELABEL_NAME_VALIDATION_H_
#define NARTHEX_LIB_RELABEL_NAME_VALIDATION_H_

#include <string_view>

// Which names metrics and labels may have. The scheme is chosen per configuration
// (metric_name_validation_scheme); all functions are pure and thread-safe.
namespace narthex {

enum class NameValidationScheme {
  kUtf8,    // Any valid UTF-8 that is not empty.
  kLegacy,  // [a-zA-Z_][a-zA-Z0-9_]*, and ':' in metric names.
};
std::string_view NameValidationSchemeText(NameValidationScheme scheme);  // "utf8", "legacy"

bool IsValidLabelName(std::string_view name, NameValidationScheme scheme);
bool IsValidMetricName(std::string_view name, NameValidationScheme scheme);
// A label value may be anything that is valid UTF-8.
bool IsValidLabelValue(std::string_view value);

}  // namespace narthex

#endif  // NARTHEX_LIB_RELABEL_NAME_VALIDATION_H_
