#ifndef NARTHEX_LIB_BASE_DURATION_H_
#define NARTHEX_LIB_BASE_DURATION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

// Prometheus durations: "1h30m", units y w d h m s ms from long to short, each at most once; "0" is
// zero. A year is 365 days. The texts of errors are upstream's (model.ParseDuration).
namespace narthex {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);
// (Not FormatDuration: that name would meet absl::FormatDuration by argument-dependent lookup.) The
// form Prometheus prints: "1h30m", "5m", "1d", "0s"; years and weeks only when nothing remains
// below them.
std::string FormatPrometheusDuration(absl::Duration duration);
// Go's time.ParseDuration ("1h2m3.5s", "-5ms", "100us"): silences, templates, a few flags.
absl::StatusOr<absl::Duration> ParseGoDuration(std::string_view text);
// Go's time.Duration.String(): "1h30m0s", "1.5s", "100ms", "0s".
std::string FormatGoDuration(absl::Duration duration);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_DURATION_H_
