#include "services/alertmanager/app.h"

#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/json/reader.h"
#include "lib/model/alert.h"
#include "lib/rpc/alertmanager_client.h"
#include "tests/support/temp_dir.h"

// The whole service in process, on ports of its own, with a webhook's receiver beside it.
namespace narthex::alertmanager_service {
namespace {

// An HTTP server that keeps the bodies it is sent.
class Sink {
 public:
  Sink() {
    router_.Handle("POST", "/*path", [this](const http::ServerRequest& request) {
      MutexLock lock(&mu_);
      bodies_.push_back(request.body);
      changed_.SignalAll();
      return http::ServerResponse::Text(200, "");
    });
    auto server = http::Server::Create({}, &router_, Logger(), &registry_);
    REQUIRE(server.ok());
    server_ = *std::move(server);
    server_->Start();
  }
  int port() const { return server_->port(); }
  // Waits (real time) until so many have come; false when they did not.
  bool WaitFor(size_t count) {
    const absl::Time deadline = RealClock()->Now() + absl::Seconds(20);
    MutexLock lock(&mu_);
    while (bodies_.size() < count && RealClock()->Now() < deadline) {
      changed_.WaitWithTimeout(&mu_, absl::Seconds(1));
    }
    return bodies_.size() >= count;
  }
  std::vector<std::string> bodies() const {
    MutexLock lock(&mu_);
    return bodies_;
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<std::string> bodies_ ABSL_GUARDED_BY(mu_);
  metrics::Registry registry_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

class Fixture {
 public:
  Fixture() {
    options.config_file = StrCat(dir.path(), "/am.yml");
    options.storage_path = StrCat(dir.path(), "/data");
    options.web_listen_address = "127.0.0.1:0";
    options.grpc_listen_address = "127.0.0.1:0";
    WriteConfig(StrCat(
        "route: {receiver: r, group_wait: 10ms, group_interval: 100ms}\nreceivers:\n- name: r\n"
        "  webhook_configs: [{url: 'http://127.0.0.1:",
        sink.port(), "/'}]\n"));
  }
  void WriteConfig(std::string_view text) {
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(options.config_file, text).ok());
  }
  absl::StatusOr<std::unique_ptr<App>> Create() {
    service::Env env;
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.logger = Logger::ToLines(&lines);
    env.registry = &registry;
    return App::Create(options, env);
  }
  std::unique_ptr<App> Run() {
    auto app = Create();
    INFO(Message(app.status()));
    REQUIRE(app.ok());
    REQUIRE((*app)->Start().ok());
    client = *http::Client::Create();
    return *std::move(app);
  }
  http::ClientResponse Fetch(const App& app, std::string_view method, std::string_view path,
                             std::string_view body = "") {
    http::ClientRequest request;
    request.method = std::string(method);
    request.url = StrCat("http://127.0.0.1:", app.http_port(), path);
    request.body = std::string(body);
    if (!body.empty()) request.headers.Set("Content-Type", "application/json");
    const auto response = client->Fetch(request);
    REQUIRE(response.ok());
    return *response;
  }

  TempDir dir;
  Sink sink;
  Options options;
  metrics::Registry registry;
  std::vector<std::string> lines;
  std::unique_ptr<http::Client> client;
};

TEST_CASE("an alert that comes over gRPC goes out as a webhook and shows in the API") {
  Fixture f;
  const std::unique_ptr<App> app = f.Run();
  rpc::AlertmanagerClient client(StrCat("127.0.0.1:", app->grpc_port()));
  Alert alert;
  alert.labels = {{"alertname", "A"}};
  alert.annotations = {{"summary", "s"}};
  alert.ends_at = RealClock()->Now() + absl::Hours(1);
  Alert nameless;
  const auto errors = client.PostAlerts(std::vector<Alert>{nameless, alert}, absl::Seconds(10));
  REQUIRE(errors.ok());
  CHECK(*errors == std::vector<std::string>{"alert 0: at least one label pair required"});
  REQUIRE(f.sink.WaitFor(1));
  const auto body = json::Parse(f.sink.bodies()[0]);
  REQUIRE(body.ok());
  CHECK(body->Find("status")->text == "firing");
  CHECK(body->Find("alerts")->array[0].Find("annotations")->Find("summary")->text == "s");
  const auto shown = json::Parse(f.Fetch(*app, "GET", "/api/v2/alerts").body);
  REQUIRE(shown.ok());
  CHECK(shown->array.size() == 1);
}

TEST_CASE("resolved alerts are told and leave the API") {
  Fixture f;
  const std::unique_ptr<App> app = f.Run();
  CHECK(f.Fetch(*app, "POST", "/api/v2/alerts", "[{\"labels\":{\"alertname\":\"A\"}}]").status ==
        200);
  REQUIRE(f.sink.WaitFor(1));
  CHECK(f.Fetch(*app, "POST", "/api/v2/alerts",
                "[{\"labels\":{\"alertname\":\"A\"},\"endsAt\":\"2020-01-01T00:00:00Z\"}]")
            .status == 200);
  // An end before every start replaces the alert, which is then resolved.
  REQUIRE(f.sink.WaitFor(2));
  CHECK(json::Parse(f.sink.bodies()[1])->Find("status")->text == "resolved");
  CHECK(f.Fetch(*app, "GET", "/api/v2/alerts").body == "[]\n");
}

TEST_CASE("a restart repeats nothing and keeps silences") {
  Fixture f;
  std::string silence;
  {
    const std::unique_ptr<App> app = f.Run();
    f.Fetch(*app, "POST", "/api/v2/alerts", "[{\"labels\":{\"alertname\":\"A\"}}]");
    REQUIRE(f.sink.WaitFor(1));
    silence =
        f.Fetch(
             *app, "POST", "/api/v2/silences",
             "{\"matchers\":[{\"name\":\"x\",\"value\":\"y\",\"isRegex\":false}],\"startsAt\":"
             "\"2020-01-01T00:"
             "00:00Z\",\"endsAt\":\"2099-01-01T00:00:00Z\",\"createdBy\":\"me\",\"comment\":\"\"}")
            .body;
    CHECK(silence.find("silenceID") != std::string::npos);
  }
  const std::unique_ptr<App> app = f.Run();
  f.Fetch(*app, "POST", "/api/v2/alerts",
          "[{\"labels\":{\"alertname\":\"A\"}},{\"labels\":{\"alertname\":\"B\"}}]");
  // B is new, so the next notification is of both; there was none of A alone.
  REQUIRE(f.sink.WaitFor(2));
  CHECK(json::Parse(f.sink.bodies()[1])->Find("alerts")->array.size() == 2);
  CHECK(f.Fetch(*app, "GET", "/api/v2/silences").body.find("\"state\":\"active\"") !=
        std::string::npos);
}

TEST_CASE("a bad file leaves the running configuration, over HTTP and gRPC") {
  Fixture f;
  const std::unique_ptr<App> app = f.Run();
  f.WriteConfig("route: {receiver: nobody}\n");
  const http::ClientResponse bad = f.Fetch(*app, "POST", "/-/reload", " ");
  CHECK(bad.status == 500);
  CHECK(bad.body.find("failed to reload config: ") == 0);
  CHECK(bad.body.find("am.yml:1:8: route: undefined receiver \"nobody\" used in route") !=
        std::string::npos);
  CHECK(f.Fetch(*app, "GET", "/api/v2/receivers").body == "[{\"name\":\"r\"}]\n");
  CHECK(
      f.Fetch(*app, "GET", "/metrics").body.find("alertmanager_config_last_reload_successful 0") !=
      std::string::npos);
  f.WriteConfig(
      "route: {receiver: q}\nreceivers: [{name: q, slack_configs: [{api_url: 'http://x'}]}]\n");
  CHECK(f.Fetch(*app, "POST", "/-/reload", " ").status == 200);
  const std::string metrics = f.Fetch(*app, "GET", "/metrics").body;
  CHECK(metrics.find("alertmanager_config_last_reload_successful 1") != std::string::npos);
  CHECK(metrics.find("narthex_config_unused{name=\"receivers: slack_configs\"} 1") !=
        std::string::npos);
  CHECK(f.Fetch(*app, "POST", "/-/quit", " ").status == 403);
}

TEST_CASE("a prefix stands before every page") {
  Fixture f;
  f.options.web_external_url = "http://example.org/am/";
  const std::unique_ptr<App> app = f.Run();
  CHECK(f.Fetch(*app, "GET", "/am/api/v2/receivers").status == 200);
  CHECK(f.Fetch(*app, "GET", "/am/-/ready").status == 200);
  CHECK(f.Fetch(*app, "GET", "/api/v2/receivers").status == 404);
  CHECK(f.Fetch(*app, "GET", "/am/api/v1/alerts").status == 410);
  CHECK(f.Fetch(*app, "GET", "/am/api/v2/nope").body ==
        "{\"code\":404,\"message\":\"path /am/api/v2/nope was not found\"}");
}

TEST_CASE("what cannot run says why") {
  Fixture f;
  const auto message = [&f] { return std::string(Message(f.Create().status())); };
  f.options.features = {"classic-mode,utf8-strict-mode"};
  CHECK(message().find("exclude each other") != std::string::npos);
  f.options.features = {"telepathy"};
  CHECK(message() == "--enable-feature: unknown option \"telepathy\"");
  f.options.features = {"receiver-name-in-metrics"};
  f.options.web_external_url = "nowhere";
  CHECK(message().find("not an http or https URL") != std::string::npos);
  f.options.web_external_url = "";
  {
    const std::unique_ptr<App> other = f.Run();
    CHECK(message().find("--storage.path") == 0);
  }
  f.options.storage_path = StrCat(f.options.config_file, "/below-a-file");
  CHECK(message().find("--storage.path") == 0);
}

TEST_CASE("peers are named in a warning and a gauge") {
  Fixture f;
  f.options.cluster_peers = {"other:9094"};
  const std::unique_ptr<App> app = f.Run();
  CHECK(f.Fetch(*app, "GET", "/metrics")
            .body.find("narthex_config_unused{name=\"--cluster.peer\"} 1") != std::string::npos);
}

}  // namespace
}  // namespace narthex::alertmanager_service
