#include "services/query/ui/pages.h"

#include <string_view>

#include "lib/base/strings.h"

namespace narthex::query_ui {
namespace {

constexpr std::string_view kHomePage = "/query";
constexpr std::string_view kPaths[] = {"/query",
                                       "/graph",
                                       "/alerts",
                                       "/rules",
                                       "/targets",
                                       "/service-discovery",
                                       "/tsdb-status",
                                       "/status",
                                       "/config",
                                       "/flags",
                                       "/alertmanager-discovery"};

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

void Fill(std::string_view marker, std::string_view text, std::string* page) {
  const size_t at = page->find(marker);
  if (at != std::string::npos) page->replace(at, marker.size(), text);
}

}  // namespace

std::string RenderPage(const PageOptions& options) {
  std::string page = kPageHtml;
  Fill("@@BASE@@", EscapeHtml(StrCat(options.external_path, "/")), &page);
  Fill("@@TITLE@@", EscapeHtml(options.title), &page);
  return page;
}

void AddPages(http::Router* router, const PageOptions& options) {
  const auto serve = [page = RenderPage(options)](const http::ServerRequest&) {
    http::ServerResponse response;
    response.content_type = "text/html; charset=utf-8";
    // Labels and annotations are anybody's text; nothing but our own script may run.
    response.headers.Set("Content-Security-Policy",
                         "default-src 'none'; script-src 'unsafe-inline'; style-src "
                         "'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'self'; "
                         "form-action 'none'; frame-ancestors 'self'");
    response.body = page;
    return response;
  };
  for (const std::string_view path : kPaths) {
    router->Handle("GET", StrCat(options.route_prefix, path), serve);
  }
  const std::string home = StrCat(options.external_path, kHomePage);
  const auto redirect = [home](const http::ServerRequest& request) {
    http::ServerResponse response;
    response.status = 302;
    response.headers.Set("Location",
                         request.raw_query.empty() ? home : StrCat(home, "?", request.raw_query));
    return response;
  };
  router->Handle("GET", StrCat(options.route_prefix, "/"), redirect);
}

}  // namespace narthex::query_ui
