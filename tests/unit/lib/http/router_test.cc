#include "lib/http/router.h"

#include <string>

#include "catch2/catch.hpp"

namespace narthex::http {
namespace {

Handler Named(std::string name) {
  return [name](const ServerRequest& request) {
    std::string text = name;
    for (const auto& param : request.path_params) text += " " + param.first + "=" + param.second;
    return ServerResponse::Text(200, text);
  };
}

ServerResponse Ask(const Router& router, std::string method, std::string path) {
  ServerRequest request;
  request.method = std::move(method);
  request.raw_path = std::move(path);
  return router.Dispatch(request);
}

TEST_CASE("Literal segments win over one segment, that over the rest") {
  Router router;
  router.Handle("GET", "/*rest", Named("rest"));
  router.Handle("GET", "/api/v1/label/:name/values", Named("values"));
  router.Handle("GET", "/api/v1/:what", Named("what"));
  router.Handle("GET", "/api/v1/query", Named("query"));
  router.Handle("PUT,POST", "/metrics/job/*labels", Named("push"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/", "rest rest="},
      {"/static/app.js", "rest rest=static/app.js"},
      {"/api/v1/query", "query"},
      {"/api/v1/series", "what what=series"},
      {"/api/v1/a%2Fb", "what what=a/b"},
      {"/api/v1/label/a%20b/values", "values name=a b"},
      {"/api/v1/label//values", "rest rest=api/v1/label//values"},
      {"/api/v1/", "rest rest=api/v1/"},
  };
  for (const auto& test : cases) {
    INFO(test.first);
    CHECK(Ask(router, "GET", test.first).body == test.second);
  }
  CHECK(Ask(router, "PUT", "/metrics/job/x/instance/y").body == "push labels=x/instance/y");
}

TEST_CASE("HEAD is answered by GET, other methods are 405 with Allow") {
  Router router;
  router.Handle("GET,POST", "/api/v1/query", Named("query"));
  CHECK(Ask(router, "HEAD", "/api/v1/query").status == 200);
  const ServerResponse refused = Ask(router, "DELETE", "/api/v1/query");
  CHECK(refused.status == 405);
  CHECK(refused.headers.Get("Allow") == "GET, HEAD, OPTIONS, POST");
  const ServerResponse options = Ask(router, "OPTIONS", "/api/v1/query");
  CHECK(options.status == 200);
  CHECK(options.headers.Get("Allow") == "GET, HEAD, OPTIONS, POST");
  CHECK(Ask(router, "GET", "/api/v1/nothing").status == 404);
  CHECK(Ask(router, "OPTIONS", "/nothing").status == 404);
  CHECK(Ask(router, "GET", "/%zz").status == 404);
  CHECK(Ask(router, "GET", "*").status == 404);
}

TEST_CASE("Paths that are not clean are sent to the clean one") {
  Router router;
  router.Handle("GET,PUT", "/a/*rest", Named("a"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"//a/b", "/a/b?q=1"},  {"/a//b c/", "/a/b%20c/?q=1"},
      {"/a/./b", "/a/b?q=1"}, {"/a/x/../b", "/a/b?q=1"},
      {"/..", "/?q=1"},       {"/a/b", ""},
      {"/a/b/", ""},          {"/a/b..c", ""},
  };
  for (const auto& test : cases) {
    INFO(test.first);
    ServerRequest request;
    request.method = "PUT";
    request.raw_path = test.first;
    request.path = test.first;
    request.raw_query = "q=1";
    const ServerResponse response = router.Dispatch(request);
    CHECK(response.headers.Get("Location") == test.second);
    CHECK(response.status == (test.second.empty() ? 200 : 301));
  }
}

TEST_CASE("The body bound is the route's") {
  Router router;
  router.Handle("POST", "/small", Named("small"), 10);
  CHECK(router.BodyBytesMax("POST", "/small") == 10);
  CHECK(router.BodyBytesMax("POST", "/absent") == 0);
  CHECK(router.BodyBytesMax("PUT", "/small") == 0);
}

TEST_CASE("Dispatch tells the pattern that took the request") {
  Router router;
  router.Handle("GET", "/a/:b", Named("a"));
  ServerRequest request;
  request.method = "GET";
  request.raw_path = "/a/x";
  router.Dispatch(request);
  CHECK(request.route == "/a/:b");
  CHECK(request.PathParam("b") == "x");
  CHECK(request.PathParam("c") == "");
}

}  // namespace
}  // namespace narthex::http
