#include "lib/service/ops_handlers.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/service/service.h"
#include "lib/textparse/writer.h"

namespace narthex::service {
namespace {

using http::ServerRequest;
using http::ServerResponse;

constexpr std::string_view kLifecycleOff = "Lifecycle API is not enabled.";

// "storage" to "Storage".
std::string Capitalised(std::string_view name) {
  std::string out(name);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z')
    out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

// `title` and `prefix` are ours and need no escaping.
std::string IndexPage(std::string_view title, std::string_view prefix) {
  const auto link = [prefix](std::string_view path) {
    return StrCat("<li><a href=\"", prefix, path, "\">", path, "</a></li>\n");
  };
  return StrCat("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>", title,
                "</title></head>\n<body>\n<h1>", title, "</h1>\n<p>Version ", Version(),
                ", revision ", Revision(), ".</p>\n<ul>\n", link("/metrics"), link("/-/healthy"),
                link("/-/ready"), "</ul>\n</body>\n</html>\n");
}

}  // namespace

void AddOpsHandlers(http::Router* router, const Env& env, OpsOptions options) {
  metrics::Registry* const registry = env.registry;
  registry->AddProcessMetrics();
  registry
      ->AddGauge("narthex_build_info",
                 "A constant 1, labelled by what this program was built from.",
                 {{"service", options.name},
                  {"version", std::string(Version())},
                  {"revision", std::string(Revision())}})
      ->Set(1);
  const std::string prefix = options.prefix;
  router->Handle("GET", StrCat(prefix, "/metrics"), [registry](const ServerRequest&) {
    ServerResponse response;
    response.content_type = textparse::kTextContentType;
    textparse::WriteFamilies(&response.body, registry->Collect());
    return response;
  });
  const std::string title = StrCat("Narthex ", Capitalised(options.name));
  router->Handle("GET", StrCat(prefix, "/-/healthy"), [title](const ServerRequest&) {
    return ServerResponse::Text(200, StrCat(title, " is Healthy.\n"));
  });
  router->Handle("GET", StrCat(prefix, "/-/ready"),
                 [title, ready = std::move(options.ready)](const ServerRequest&) {
                   return ready() ? ServerResponse::Text(200, StrCat(title, " is Ready.\n"))
                                  : ServerResponse::Text(503, "Service Unavailable");
                 });
  if (options.index_page) {
    router->Handle("GET", StrCat(prefix, "/"),
                   [page = IndexPage(title, prefix)](const ServerRequest&) {
                     ServerResponse response;
                     response.content_type = "text/html; charset=utf-8";
                     response.body = page;
                     return response;
                   });
  }
  const bool enabled = options.enable_lifecycle;
  router->Handle("POST,PUT", StrCat(prefix, "/-/reload"),
                 [enabled, reload = env.request_reload](const ServerRequest&) {
                   if (!enabled) return ServerResponse::Text(403, kLifecycleOff);
                   const absl::Status result = reload();
                   if (result.ok()) return ServerResponse::Text(200, "");
                   return ServerResponse::Text(
                       500, StrCat("failed to reload config: ", Message(result), "\n"));
                 });
  const bool quit = enabled && options.enable_quit;
  router->Handle("POST,PUT", StrCat(prefix, "/-/quit"),
                 [quit, stop = env.request_stop](const ServerRequest&) {
                   if (!quit) return ServerResponse::Text(403, kLifecycleOff);
                   stop();
                   return ServerResponse::Text(200, "Requesting termination... Goodbye!");
                 });
}

ReloadMetrics::ReloadMetrics(metrics::Registry* registry, Clock* clock, std::string_view prefix)
    : clock_(clock),
      successful_(
          registry->AddGauge(StrCat(prefix, "_config_last_reload_successful"),
                             "Whether the last configuration reload attempt was successful.")),
      timestamp_(registry->AddGauge(StrCat(prefix, "_config_last_reload_success_timestamp_seconds"),
                                    "Timestamp of the last successful configuration reload.")) {}

void ReloadMetrics::Record(const absl::Status& status) {
  successful_->Set(status.ok() ? 1 : 0);
  if (status.ok()) timestamp_->Set(static_cast<double>(absl::ToUnixMillis(clock_->Now())) / 1000);
}

}  // namespace narthex::service
