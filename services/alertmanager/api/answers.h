#ifndef NARTHEX_SERVICES_ALERTMANAGER_API_ANSWERS_H_
#define NARTHEX_SERVICES_ALERTMANAGER_API_ANSWERS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/http/message.h"
#include "lib/json/reader.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"

// The small forms that all handlers share: answers, errors in upstream's two shapes, times,
// filters. All functions are pure and thread-safe.
namespace narthex::alertmanager_api {

http::ServerResponse JsonAnswer(std::string json);
// An error of the application: a bare JSON string.
http::ServerResponse TextError(int code, std::string_view message);
// An error of upstream's framework: {"code":602,"message":"…"}; `code` is the status unless it is
// one of 600 and up, which go with 422.
http::ServerResponse FrameworkError(int code, std::string_view message);

// 2026-11-20T10:00:00.123Z
std::string TimeText(absl::Time time);
// The forms of date-time that upstream takes; Go's error for the last of them.
absl::StatusOr<absl::Time> ParseTime(std::string_view text);

// The body of a POST as JSON, or the error to answer with: wrong Content-Type, nothing, or no JSON.
// `what` names the parameter ("alerts").
std::optional<http::ServerResponse> ParseBody(const http::ServerRequest& request,
                                              std::string_view what, json::Value* body);
// "parsing alerts body from "" failed, because …".
http::ServerResponse BodyError(std::string_view what, std::string_view because);

// A boolean parameter: many spellings of true; absent is `otherwise`, all else is false.
bool BoolParam(const http::ServerRequest& request, std::string_view name, bool otherwise);

// Upstream's filters: a label that is not there passes an equality with "".
bool PassesFilters(const std::vector<Matcher>& filters, const Labels& labels);

}  // namespace narthex::alertmanager_api

#endif  // NARTHEX_SERVICES_ALERTMANAGER_API_ANSWERS_H_
