#ifndef NARTHEX_LIB_GOTEMPLATE_TEXT_FUNCTIONS_H_
#define NARTHEX_LIB_GOTEMPLATE_TEXT_FUNCTIONS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/gotemplate/template_set.h"

// Template functions that rules and notifications share, as bodies for a FunctionTable. All are
// pure and thread-safe.
namespace narthex::gotemplate {

using Args = std::span<const Value>;

absl::StatusOr<Value> ToUpperFunction(const Environment&, Args args);   // (text)
absl::StatusOr<Value> ToLowerFunction(const Environment&, Args args);   // (text)
absl::StatusOr<Value> SafeHtmlFunction(const Environment&, Args args);  // (text)
absl::StatusOr<Value> MatchFunction(const Environment&, Args args);     // (expression, text)
absl::StatusOr<Value> ReReplaceAllFunction(const Environment&,
                                           Args args);  // (expression, replacement, text)
absl::StatusOr<Value> HumanizeDurationFunction(const Environment&, Args args);  // (any number)

// What the humanizing functions take: numbers, text that is a number, and durations (as seconds).
// The error is "can't convert <type> to float", or Go's of ParseFloat.
absl::StatusOr<double> ToFloat(const Value& value);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_TEXT_FUNCTIONS_H_
