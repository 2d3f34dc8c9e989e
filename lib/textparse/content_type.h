#ifndef NARTHEX_LIB_TEXTPARSE_CONTENT_TYPE_H_
#define NARTHEX_LIB_TEXTPARSE_CONTENT_TYPE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Which exposition format a target is asked for, and which it answered with. All functions are pure
// and thread-safe.
namespace narthex::textparse {

enum class Format : uint8_t {
  kPrometheusText,  // Versions 0.0.4 and 1.0.0.
  kOpenMetrics,
  kProtobuf,
};

std::string_view MediaType(Format format);  // "text/plain", "application/openmetrics-text", …

// The format behind a name of scrape_protocols ("PrometheusText0.0.4", "OpenMetricsText1.0.0",
// "PrometheusProto", …).
std::optional<Format> FormatOfProtocol(std::string_view scrape_protocol);

struct ReceivedFormat {
  Format format = Format::kPrometheusText;
  std::string warning;  // Why the fallback was taken; empty when it was not, or when there was no
                        // Content-Type at all.
};

// The format of a body. A Content-Type that is blank, malformed or of another kind takes
// `fallback`, and is InvalidArgument without one.
absl::StatusOr<ReceivedFormat> ParseContentType(std::string_view content_type,
                                                std::optional<Format> fallback);

// The Accept header for these scrape_protocols, in order of preference: each weighs a tenth less
// than the one before, and any other type the least. `escaping` ("allow-utf-8", "underscores", …)
// goes to the versions that know it. Protocols without a parser here are left out.
std::string AcceptHeader(std::span<const std::string> scrape_protocols, std::string_view escaping);

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_CONTENT_TYPE_H_
