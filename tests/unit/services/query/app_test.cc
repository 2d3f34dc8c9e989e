// The whole query service in the test's process, in front of a storage node of the test's.
#include "services/query/app.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/client.h"
#include "lib/http/router.h"
#include "lib/http/server.h"
#include "tests/support/fake_storage_server.h"
#include "tests/support/temp_dir.h"

namespace narthex::query {
namespace {

template <typename Condition>
bool Eventually(const Condition& condition) {
  const absl::Time end = RealClock()->Now() + absl::Seconds(20);
  StopSignal never;
  while (!condition()) {
    if (RealClock()->Now() > end) return false;
    never.WaitFor(absl::Milliseconds(10));
  }
  return true;
}

struct Fixture {
  Fixture() {
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.logger = Logger::ToLines(&log);
    env.registry = &registry;
    env.flags = {{"config.file", "x"}};
    options.config_file = Path("prometheus.yml");
    options.web_listen_address = "127.0.0.1:0";
    options.storage_endpoints = {storage.endpoint()};
    Write("prometheus.yml", "global: {evaluation_interval: 100ms}\n");
  }

  std::string Path(std::string_view name) const { return io::JoinPath(dir.path(), name); }
  void Write(std::string_view name, std::string_view text) {
    REQUIRE(env.file_system->WriteFileAtomically(Path(name), text).ok());
  }
  absl::StatusOr<std::unique_ptr<App>> Create() { return App::Create(options, env); }
  std::unique_ptr<App> Started() {
    absl::StatusOr<std::unique_ptr<App>> app = Create();
    REQUIRE(app.ok());
    REQUIRE((*app)->Start().ok());
    return *std::move(app);
  }

  http::ClientResponse Fetch(const App& app, std::string_view path, std::string body = "") {
    http::ClientRequest request;
    request.url = StrCat("http://127.0.0.1:", app.http_port(), path);
    if (!body.empty()) {
      request.method = "POST";
      request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
      request.body = std::move(body);
    }
    absl::StatusOr<http::ClientResponse> response = client->Fetch(std::move(request));
    REQUIRE(response.ok());
    return *std::move(response);
  }

  TempDir dir;
  testing::FakeStorageServer storage;
  metrics::Registry registry;
  std::vector<std::string> log;
  service::Env env;
  Options options;
  std::unique_ptr<http::Client> client = http::Client::Create().value();
};

TEST_CASE("The service answers queries from its storage node, and says when that is away") {
  Fixture f;
  f.storage.memory().Append(Labels{{kMetricName, "up"}, {"job", "x"}},
                            ToTimestamp(RealClock()->Now()) - 1000, 1);
  const auto app = f.Started();
  CHECK(f.Fetch(*app, "/-/ready").status == 200);
  CHECK(f.Fetch(*app, "/api/v1/query?query=up").body.find("\"job\":\"x\"") != std::string::npos);
  // A form in the body, larger than a request line may be, with another parameter in the URL.
  const std::string long_query = "query=up%20or%20absent(a" + std::string(20'000, 'b') + ")";
  const http::ClientResponse posted = f.Fetch(*app, "/api/v1/query?stats=all", long_query);
  CHECK(posted.status == 200);
  CHECK(posted.body.find("\"stats\"") != std::string::npos);
  CHECK(f.Fetch(*app, "/metrics").body.find("prometheus_engine_queries") != std::string::npos);
  CHECK(f.Fetch(*app, "/query").body.find("<html") != std::string::npos);
  f.storage.Stop();
  const http::ClientResponse away = f.Fetch(*app, "/api/v1/query?query=up");
  CHECK(away.status == 503);
  CHECK(away.body.find(StrCat("storage ", f.options.storage_endpoints[0])) != std::string::npos);
  CHECK(f.Fetch(*app, "/-/healthy").status == 200);
  app->Stop();
}

TEST_CASE("Of several storage nodes one may be away, with a warning that names it") {
  Fixture f;
  testing::FakeStorageServer second;
  const Timestamp now = ToTimestamp(RealClock()->Now()) - 1000;
  f.storage.memory().Append(Labels{{kMetricName, "up"}, {"job", "a"}}, now, 1);
  f.storage.memory().Append(Labels{{kMetricName, "up"}, {"job", "both"}}, now, 1);
  second.memory().Append(Labels{{kMetricName, "up"}, {"job", "both"}}, now, 1);
  second.memory().Append(Labels{{kMetricName, "up"}, {"job", "z"}}, now, 1);
  f.options.storage_endpoints.push_back(second.endpoint());
  const auto app = f.Started();
  CHECK(f.Fetch(*app, "/api/v1/query?query=count(up)").body.find(",\"3\"]") != std::string::npos);
  CHECK(f.Fetch(*app, "/api/v1/label/job/values").body ==
        R"({"status":"success","data":["a","both","z"]})");
  second.Stop();
  for (const std::string path :
       {"query?query=up", "labels", "label/job/values", "series?match[]=up"}) {
    const http::ClientResponse partial = f.Fetch(*app, "/api/v1/" + path);
    CHECK(partial.status == 200);
    CHECK(partial.body.find(StrCat("\"warnings\":[\"storage ", second.endpoint())) !=
          std::string::npos);
  }
  f.storage.Stop();
  CHECK(f.Fetch(*app, "/api/v1/query?query=up").status == 503);
}

TEST_CASE("A configuration that is bad is an error at the start, with file, line and key") {
  Fixture f;
  const auto error = [&] { return std::string(Message(f.Create().status())); };
  f.Write("prometheus.yml", "global: {evaluation_intervall: 1s}\n");
  CHECK(error().find(f.Path("prometheus.yml") + ":1:") == 0);
  f.Write("prometheus.yml", "rule_files: [rules.yml]\n");
  f.Write("rules.yml", "groups: [{name: g, rules: [{record: a, expr: 'sum('}]}]\n");
  CHECK(error().find(f.Path("rules.yml") + ":1:") == 0);
  f.options.config_file = f.Path("none.yml");
  CHECK(error().find("none.yml") != std::string::npos);
  f.options.query_concurrency_max = 0;
  CHECK(error().find("--query.max-concurrency") != std::string::npos);
  f.options.query_concurrency_max = 1;
  f.options.web_cors_origin = "(";
  CHECK(error().find("--web.cors.origin") != std::string::npos);
}

TEST_CASE("A reload is all or nothing, and goes on to storage") {
  Fixture f;
  f.Write("prometheus.yml", "rule_files: [rules.yml]\n");
  f.Write("rules.yml", "groups: [{name: g, rules: [{record: a, expr: '1'}]}]\n");
  const auto app = f.Started();
  CHECK(app->rules().groups().size() == 1);
  f.Write("rules.yml", "groups: [{name: g}, {name: h}]\n");
  CHECK(app->Reload().ok());
  CHECK(app->rules().groups().size() == 2);
  CHECK(f.storage.reloads() == 1);

  f.Write("rules.yml", "groups: [{name: g, colour: red}]\n");
  const absl::Status bad = app->Reload();
  CHECK(absl::IsInvalidArgument(bad));
  CHECK(app->rules().groups().size() == 2);
  CHECK(f.storage.reloads() == 1);
  CHECK(f.Fetch(*app, "/metrics").body.find("prometheus_config_last_reload_successful 0") !=
        std::string::npos);
  CHECK(f.Fetch(*app, "/api/v1/status/runtimeinfo").body.find("\"reloadConfigSuccess\":false") !=
        std::string::npos);

  f.Write("rules.yml", "groups: []\n");
  f.storage.SetReloadResult(absl::InvalidArgumentError("prometheus.yml:2:1: no"));
  const absl::Status forwarded = app->Reload();
  CHECK(Message(forwarded) ==
        StrCat("storage ", f.options.storage_endpoints[0], ": prometheus.yml:2:1: no"));
  CHECK(app->rules().groups().empty());
}

TEST_CASE("Sections whose function comes later are named once in the log and in a gauge") {
  Fixture f;
  f.Write("prometheus.yml", "remote_write: [{url: 'http://x/write'}]\n");
  auto app = f.Started();
  CHECK(app->Reload().ok());
  CHECK(f.Fetch(*app, "/metrics")
            .body.find("narthex_config_unused_section{section=\"remote_write\"} 1") !=
        std::string::npos);
  f.Write("prometheus.yml", "global: {}\n");
  CHECK(app->Reload().ok());
  CHECK(f.Fetch(*app, "/metrics")
            .body.find("narthex_config_unused_section{section=\"remote_write\"} 0") !=
        std::string::npos);
  app.reset();
  int lines = 0;
  for (const std::string& line : f.log) lines += line.find("remote_write") != std::string::npos;
  CHECK(lines == 1);
}

TEST_CASE("An alert that fires reaches the Alertmanagers of the configuration over HTTP") {
  Fixture f;
  Mutex mu;
  std::string received;
  http::Router router;
  router.Handle("POST", "/am/api/v2/alerts", [&](const http::ServerRequest& request) {
    MutexLock lock(&mu);
    received = request.body;
    return http::ServerResponse::Text(200, "");
  });
  metrics::Registry other;
  auto alertmanager = http::Server::Create({}, &router, Logger(), &other).value();
  alertmanager->Start();
  f.Write("prometheus.yml", StrCat(R"(
global: {evaluation_interval: 50ms, external_labels: {region: eu}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - path_prefix: /am
      static_configs: [{targets: ["127.0.0.1:)",
                                   alertmanager->port(), "\"]}]\n"));
  f.Write(
      "rules.yml",
      "groups: [{name: g, rules: [{alert: On, expr: vector(1), labels: {x: 'v{{ $value }}'}}]}]");
  f.options.web_external_url = "http://me/q";
  const auto app = f.Started();
  REQUIRE(Eventually([&] {
    MutexLock lock(&mu);
    return !received.empty();
  }));
  MutexLock lock(&mu);
  CHECK(received.find(R"("labels":{"alertname":"On","region":"eu","x":"v1"})") !=
        std::string::npos);
  CHECK(
      received.find(R"("generatorURL":"http://me/q/graph?g0.expr=vector%281%29\u0026g0.tab=1")") !=
      std::string::npos);
  CHECK(f.Fetch(*app, "/q/api/v1/alertmanagers").body.find("/am/api/v2/alerts") !=
        std::string::npos);
}

}  // namespace
}  // namespace narthex::query
