#include "services/alertmanager/api/answers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/strings.h"
#include "lib/gotemplate/go_time.h"
#include "lib/json/writer.h"

namespace narthex::alertmanager_api {

using http::ServerRequest;
using http::ServerResponse;

http::ServerResponse JsonAnswer(std::string json) {
  json.push_back('\n');
  ServerResponse response = ServerResponse::Json(200, std::move(json));
  response.headers.Set("Cache-Control", "no-store");
  response.headers.Set("Vary", "Origin");
  response.headers.Set("Access-Control-Allow-Origin", "*");
  response.headers.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.headers.Set("Access-Control-Allow-Headers",
                       "Accept, Authorization, Content-Type, Origin");
  response.headers.Set("Access-Control-Expose-Headers", "Date");
  return response;
}

http::ServerResponse TextError(int code, std::string_view message) {
  std::string json;
  json::AppendQuoted(&json, message);
  ServerResponse response = JsonAnswer(std::move(json));
  response.status = code;
  return response;
}

http::ServerResponse FrameworkError(int code, std::string_view message) {
  std::string json;
  json::Writer writer(&json);
  writer.BeginObject();
  writer.Key("code");
  writer.Int(code);
  writer.Key("message");
  writer.String(message);
  writer.EndObject();
  ServerResponse response = JsonAnswer(std::move(json));
  response.body.pop_back();  // Without the newline of the application's answers.
  response.status = code >= 600 ? 422 : code;
  return response;
}

std::string TimeText(absl::Time time) {
  return gotemplate::FormatTime({time, absl::UTCTimeZone()}, "2006-01-02T15:04:05.000Z07:00");
}

absl::StatusOr<absl::Time> ParseTime(std::string_view text) {
  constexpr std::array<std::string_view, 6> kLayouts = {"2006-01-02T15:04:05.999999999Z07:00",
                                                        "2006-01-02T15:04:05.999999999Z0700",
                                                        "2006-01-02T15:04:05",
                                                        "2006-01-02T15:04Z07:00",
                                                        "2006-01-02T15:04",
                                                        "2006-01-02 15:04:05"};
  absl::Status last;
  for (const std::string_view layout : kLayouts) {
    const absl::StatusOr<gotemplate::ZonedTime> time = gotemplate::ParseTime(layout, text);
    if (time.ok()) return time->time;
    last = time.status();
  }
  return last;
}

http::ServerResponse BodyError(std::string_view what, std::string_view because) {
  return FrameworkError(400, StrCat("parsing ", what, " body from \"\" failed, because ", because));
}

std::optional<http::ServerResponse> ParseBody(const ServerRequest& request, std::string_view what,
                                              json::Value* body) {
  std::string_view type = request.headers.Get("Content-Type");
  type = TrimSpace(type.substr(0, type.find(';')));
  if (!EqualsIgnoreCaseAscii(type, "application/json")) {
    const std::string_view shown = type.empty() ? "application/octet-stream" : type;
    return FrameworkError(415, StrCat("unsupported media type ", Quote(shown),
                                      ", only [application/json] are allowed"));
  }
  if (TrimSpace(request.body).empty()) {
    return FrameworkError(602, StrCat(what, " in body is required"));
  }
  absl::StatusOr<json::Value> parsed = json::Parse(request.body);
  if (!parsed.ok()) return BodyError(what, Message(parsed.status()));
  *body = *std::move(parsed);
  return std::nullopt;
}

bool BoolParam(const ServerRequest& request, std::string_view name, bool otherwise) {
  if (!request.params.Has(name)) return otherwise;
  constexpr std::array<std::string_view, 10> kTrue = {
      "true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"};
  const std::string text = ToLowerAscii(request.params.Get(name));
  return std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end();
}

bool PassesFilters(const std::vector<Matcher>& filters, const Labels& labels) {
  return std::all_of(filters.begin(), filters.end(), [&labels](const Matcher& filter) {
    return filter.Matches(labels.Get(filter.name()));
  });
}

}  // namespace narthex::alertmanager_api
