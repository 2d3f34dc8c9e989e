#ifndef NARTHEX_LIB_LABELS_SELECTOR_FORMAT_H_
#define NARTHEX_LIB_LABELS_SELECTOR_FORMAT_H_

#include <string>
#include <string_view>

// How names and values are written in selectors and label sets. All functions are pure and
// thread-safe.
namespace narthex {

// [a-zA-Z_][a-zA-Z0-9_]*: the label names that need no quotes.
bool IsLegacyLabelName(std::string_view name);
// [a-zA-Z_:][a-zA-Z0-9_:]*: the metric names that need no quotes.
bool IsLegacyMetricName(std::string_view name);

// Appends a label name, quoted as Go quotes where it is no legacy name.
void AppendLabelName(std::string* out, std::string_view name);

}  // namespace narthex

#endif  // NARTHEX_LIB_LABELS_SELECTOR_FORMAT_H_
