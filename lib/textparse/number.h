#ifndef NARTHEX_LIB_TEXTPARSE_NUMBER_H_
#define NARTHEX_LIB_TEXTPARSE_NUMBER_H_

#include <string_view>

#include "absl/status/status.h"

// Sample values as Go's strconv.ParseFloat reads them, less the forms that upstream refuses
// (hexadecimal, underscores). Pure and thread-safe.
namespace narthex::textparse {

// Reads a plain decimal number ("12", "-0.5", "1.5e+06") from the start of [from, end) and returns
// where it ends; null for everything that needs more care, which says nothing about whether it is a
// number.
const char* ParseDecimal(const char* from, const char* end, double* value);

// The whole of `text`; the error is in upstream's words.
absl::Status ParseValue(std::string_view text, double* value);

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_NUMBER_H_
