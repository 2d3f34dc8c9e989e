#ifndef NARTHEX_SERVICES_QUERY_API_PARAMS_H_
#define NARTHEX_SERVICES_QUERY_API_PARAMS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/http/message.h"
#include "lib/labels/matcher.h"
#include "lib/model/timestamp.h"

// The texts of API parameters. Errors are InvalidArgument with upstream's reasons, without the
// "invalid parameter" before them. All functions are pure and thread-safe.
namespace narthex::query_api {

// The times that stand for "no bound": upstream's own minimum and maximum, which clients send back
// as text.
extern const Timestamp kApiMinTime;
extern const Timestamp kApiMaxTime;

// Unix seconds with a fraction (rounded to milliseconds), or RFC 3339. Times outside of the API's
// bounds are moved to them.
absl::StatusOr<Timestamp> ParseTime(std::string_view text);
// Seconds with a fraction, or a Prometheus duration.
absl::StatusOr<absl::Duration> ParseApiDuration(std::string_view text);
// Go's strconv.Atoi, with its error texts.
absl::StatusOr<int64_t> ParseGoInt(std::string_view text);
absl::StatusOr<bool> ParseGoBool(std::string_view text);  // 1 t T TRUE true True 0 f F …

// The parameter, or `missing` when it is absent or empty.
absl::StatusOr<Timestamp> TimeParam(const http::Params& params, std::string_view name,
                                    Timestamp missing);
// A number that is not negative; 0, no limit, when absent.
absl::StatusOr<size_t> LimitParam(const http::Params& params, std::string_view name = "limit");
// All match[]; each must have a matcher that the empty string does not satisfy.
absl::StatusOr<std::vector<std::vector<Matcher>>> MatchParams(const http::Params& params);

// "U__http_2e_status" to "http.status", as clients write names that are no legacy names into paths.
// A text that was not escaped that way stays as it is.
std::string UnescapeName(std::string_view name);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_PARAMS_H_
