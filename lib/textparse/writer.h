#ifndef NARTHEX_LIB_TEXTPARSE_WRITER_H_
#define NARTHEX_LIB_TEXTPARSE_WRITER_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/metrics/registry.h"
#include "lib/model/timestamp.h"

// Writes the text exposition format 0.0.4. Pure functions that append to a string.
namespace narthex::textparse {

inline constexpr std::string_view kTextContentType = "text/plain; version=0.0.4; charset=utf-8";

// "# HELP name text" (backslash and newline escaped) and "# TYPE name type". An empty help is left
// out, as upstream does where it was never given.
void WriteHelp(std::string* out, std::string_view name, std::string_view help);
void WriteType(std::string* out, std::string_view name, std::string_view type);
// One sample line: name{a="b"} value [timestamp]. Label values escape backslash, quote and newline;
// values have Go's 'g' form. A name that is no legacy metric name is written inside the braces,
// quoted (format 1.0.0).
void WriteSample(std::string* out, std::string_view name,
                 const std::vector<std::pair<std::string, std::string>>& labels, double value,
                 std::optional<Timestamp> timestamp = std::nullopt);

void WriteFamilies(std::string* out, const std::vector<metrics::CollectedFamily>& families);

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_WRITER_H_
