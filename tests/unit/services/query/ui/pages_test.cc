#include "services/query/ui/pages.h"

#include <string>

#include "catch2/catch.hpp"

namespace narthex::query_ui {
namespace {

http::ServerResponse Get(const http::Router& router, std::string path, std::string query = "") {
  http::ServerRequest request;
  request.method = "GET";
  request.raw_path = request.path = std::move(path);
  request.raw_query = std::move(query);
  return router.Dispatch(request);
}

TEST_CASE("Every page of upstream's menu is there, and nothing else") {
  http::Router router;
  AddPages(&router, {});
  for (const std::string path :
       {"/query", "/graph", "/alerts", "/rules", "/targets", "/service-discovery", "/status",
        "/tsdb-status", "/config", "/flags", "/alertmanager-discovery"}) {
    const http::ServerResponse response = Get(router, path, "g0.expr=up&g0.tab=1");
    CHECK(response.status == 200);
    CHECK(response.content_type == "text/html; charset=utf-8");
    CHECK(response.headers.Get("Content-Security-Policy").find("default-src 'none'") == 0);
  }
  CHECK(Get(router, "/query/x").status == 404);
  CHECK(Get(router, "/nosuch").status == 404);
  CHECK(Get(router, "/alertmanager/api/v2/status").status == 404);
}

TEST_CASE("The home page leads to the query page as browsers see it") {
  http::Router router;
  AddPages(&router, {"/inside", "/outside/prom", "t"});
  const http::ServerResponse home = Get(router, "/inside/", "a=b");
  CHECK(home.status == 302);
  CHECK(home.headers.Get("Location") == "/outside/prom/query?a=b");
  const std::string page = Get(router, "/inside/graph").body;
  CHECK(page.find("<base href=\"/outside/prom/\">") != std::string::npos);
  CHECK(page.find("<title>t</title>") != std::string::npos);
  CHECK(Get(router, "/graph").status == 404);
}

TEST_CASE("The page needs nothing from elsewhere, and its markers are escaped") {
  const std::string page = RenderPage({"", "", "<b>\"&"});
  CHECK(page.find("<title>&lt;b&gt;&quot;&amp;</title>") != std::string::npos);
  CHECK(page.find("@@") == std::string::npos);
  for (const std::string outside :
       {"http://", "https://", "src=", "@import", "innerHTML", "eval("}) {
    INFO(outside);
    CHECK(page.find(outside) == std::string::npos);
  }
}

}  // namespace
}  // namespace narthex::query_ui
