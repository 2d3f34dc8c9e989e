#include "services/query/api/status_handlers.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

// Threads stand where upstream counts goroutines.
int64_t ThreadCount() {
  std::ifstream status("/proc/self/status");
  std::string line;
  constexpr std::string_view kKey = "Threads:";
  while (std::getline(status, line)) {
    int64_t count = 0;
    if (line.rfind(kKey, 0) == 0 &&
        ParseInt64(TrimSpace(std::string_view(line).substr(kKey.size())), &count)) {
      return count;
    }
  }
  return 0;
}

}  // namespace

Answer StatusHandlers::Config(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("yaml");
  writer.String(sources_.config_yaml());
  writer.EndObject();
  return answer;
}

Answer StatusHandlers::Flags(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  for (const auto& [name, value] : sources_.flags) {
    writer.Key(name);
    writer.String(value);
  }
  writer.EndObject();
  return answer;
}

Answer StatusHandlers::RuntimeInfo(const http::ServerRequest&) {
  std::error_code ignored;
  Answer answer;
  json::Writer writer(&answer.data);
  const auto text = [&writer](std::string_view key, std::string_view value) {
    writer.Key(key);
    writer.String(value);
  };
  writer.BeginObject();
  text("startTime", FormatApiTime(sources_.start_time));
  text("CWD", std::filesystem::current_path(ignored).string());
  text("hostname", sources_.hostname);
  text("serverTime", FormatApiTime(clock_->Now()));
  writer.Key("reloadConfigSuccess");
  writer.Bool(sources_.reload_successful());
  text("lastConfigTime", FormatApiTime(sources_.last_config_time()));
  writer.Key("corruptionCount");
  const StorageSummary storage = sources_.storage ? sources_.storage() : StorageSummary();
  writer.Uint(storage.corruptions);
  writer.Key("goroutineCount");
  writer.Int(ThreadCount());
  writer.Key("GOMAXPROCS");
  writer.Int(sysconf(_SC_NPROCESSORS_ONLN));
  // Knobs of Go's runtime, which there is none of.
  writer.Key("GOMEMLIMIT");
  writer.Int(0);
  text("GOGC", "");
  text("GODEBUG", "");
  text("storageRetention", storage.retention);
  writer.EndObject();
  return answer;
}

Answer StatusHandlers::BuildInfo(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  const auto text = [&writer](std::string_view key, std::string_view value) {
    writer.Key(key);
    writer.String(value);
  };
  // No "features" here: Grafana would take us for another program.
  writer.BeginObject();
  text("version", sources_.version);
  text("revision", sources_.revision);
  text("branch", "");
  text("buildUser", "");
  text("buildDate", "");
  text("goVersion", StrCat("none (C++20, ", __VERSION__, ")"));
  writer.EndObject();
  return answer;
}

Answer StatusHandlers::Features(const http::ServerRequest&) { return Answer::Data(features_); }

}  // namespace narthex::query_api
