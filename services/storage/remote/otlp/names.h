#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NAMES_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NAMES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/storage/remote/otlp/request.h"

// OpenTelemetry's names in Prometheus' words, as upstream's otlptranslator makes them. All
// functions are pure and thread-safe.
namespace narthex::otlp {

// How names are translated; the four strategies are its combinations.
struct NameOptions {
  bool escape = true;    // Into the legacy character set; else names stay as they are.
  bool suffixes = true;  // Units and types are added at the end.
  // Of labels, where names are escaped.
  bool underscore_sanitization = true;        // "_x" becomes "key_x".
  bool preserve_multiple_underscores = true;  // "a..b" becomes "a__b", else "a_b".
};

// InvalidArgument when nothing but underscores would be left.
absl::StatusOr<std::string> MetricName(const Metric& metric, const NameOptions& options);
absl::StatusOr<std::string> LabelName(std::string_view key, const NameOptions& options);
// Of metadata: "By/s" is "bytes_per_second".
std::string UnitName(std::string_view unit, const NameOptions& options);

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NAMES_H_
