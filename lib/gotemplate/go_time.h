#ifndef NARTHEX_LIB_GOTEMPLATE_GO_TIME_H_
#define NARTHEX_LIB_GOTEMPLATE_GO_TIME_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/gotemplate/value.h"

// Go's time layouts ("2006-01-02T15:04:05Z07:00"). All functions are pure and thread-safe.
namespace narthex::gotemplate {

std::string FormatTime(const ZonedTime& time, std::string_view layout);
// Go's time.Parse: what the layout does not mention is zero, without a zone it is UTC. Errors are
// Go's.
absl::StatusOr<ZonedTime> ParseTime(std::string_view layout, std::string_view text);
// Go's Time.String(): "2006-01-02 15:04:05.999999999 -0700 MST".
std::string TimeString(const ZonedTime& time);
// The instant of the zero time.Time: the first of January of the year 1.
absl::Time ZeroTime();

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_GO_TIME_H_
