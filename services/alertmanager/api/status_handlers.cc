#include <utility>

#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/alertmanager/api/answers.h"
#include "services/alertmanager/api/api.h"

namespace narthex::alertmanager_api {
namespace {

using http::ServerRequest;
using http::ServerResponse;

void WriteText(json::Writer* writer, std::string_view key, std::string_view value) {
  writer->Key(key);
  writer->String(value);
}

}  // namespace

http::ServerResponse Api::GetReceivers(const ServerRequest&) const {
  std::string out;
  json::Writer writer(&out);
  writer.BeginArray();
  for (const std::string& name : options_.view()->receivers) {
    writer.BeginObject();
    WriteText(&writer, "name", name);
    writer.EndObject();
  }
  writer.EndArray();
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::GetStatus(const ServerRequest&) const {
  std::string out;
  json::Writer writer(&out);
  writer.BeginObject();
  writer.Key("cluster");
  writer.BeginObject();
  writer.Key("peers");
  writer.BeginArray();
  writer.EndArray();
  WriteText(&writer, "status", "disabled");
  writer.EndObject();
  writer.Key("config");
  writer.BeginObject();
  WriteText(&writer, "original", options_.view()->config_text);
  writer.EndObject();
  WriteText(&writer, "uptime", TimeText(options_.started_at));
  writer.Key("versionInfo");
  writer.BeginObject();
  WriteText(&writer, "branch", "main");
  WriteText(&writer, "buildDate", "");
  WriteText(&writer, "buildUser", "narthex");
  WriteText(&writer, "goVersion", "none (C++20)");
  WriteText(&writer, "revision", options_.revision);
  WriteText(&writer, "version", options_.version);
  writer.EndObject();
  writer.EndObject();
  return JsonAnswer(std::move(out));
}

void Api::Register(http::Router* router) {
  using Method = http::ServerResponse (Api::*)(const ServerRequest&) const;
  const auto handle = [this, router](std::string_view methods, std::string_view path,
                                     Method method) {
    router->Handle(
        methods, StrCat(options_.prefix, "/api/v2", path),
        [this, method](const ServerRequest& request) { return (this->*method)(request); });
  };
  // The methods that a path has; for the others the answer names them.
  const auto refuse = [this, router](std::string_view methods, std::string_view path,
                                     std::string_view allowed, std::string_view allow_header) {
    router->Handle(
        methods, StrCat(options_.prefix, "/api/v2", path),
        [allowed = std::string(allowed),
         allow = std::string(allow_header)](const ServerRequest& request) {
          ServerResponse response = FrameworkError(
              405, StrCat("method ", request.method, " is not allowed, but [", allowed, "] are"));
          response.headers.Set("Allow", allow);
          return response;
        });
  };
  handle("GET", "/alerts", &Api::GetAlerts);
  handle("POST", "/alerts", &Api::PostAlerts);
  refuse("PUT,DELETE", "/alerts", "POST,GET", "GET,POST");
  handle("GET", "/alerts/groups", &Api::GetGroups);
  refuse("POST,PUT,DELETE", "/alerts/groups", "GET", "GET");
  handle("GET", "/silences", &Api::GetSilences);
  handle("POST", "/silences", &Api::PostSilence);
  refuse("PUT,DELETE", "/silences", "POST,GET", "GET,POST");
  handle("GET", "/silence/:id", &Api::GetSilence);
  handle("DELETE", "/silence/:id", &Api::DeleteSilence);
  refuse("POST,PUT", "/silence/:id", "DELETE,GET", "DELETE,GET");
  handle("GET", "/receivers", &Api::GetReceivers);
  refuse("POST,PUT,DELETE", "/receivers", "GET", "GET");
  handle("GET", "/status", &Api::GetStatus);
  refuse("POST,PUT,DELETE", "/status", "GET", "GET");
  router->Handle("GET,POST,PUT,DELETE", StrCat(options_.prefix, "/api/v2/*rest"),
                 [](const ServerRequest& request) {
                   return FrameworkError(404, StrCat("path ", request.raw_path, " was not found"));
                 });
  router->Handle("GET,POST,PUT,DELETE", StrCat(options_.prefix, "/api/v1/*rest"),
                 [](const ServerRequest&) {
                   ServerResponse response = JsonAnswer(
                       "{\"status\":\"deprecated\",\"error\":\"The Alertmanager v1 API was "
                       "deprecated in version "
                       "0.16.0 and is removed as of version 0.27.0 - please use the equivalent "
                       "route in the v2 "
                       "API\"}");
                   response.status = 410;
                   return response;
                 });
}

}  // namespace narthex::alertmanager_api
