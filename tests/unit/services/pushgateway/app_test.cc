#include "services/pushgateway/app.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/http/client.h"
#include "lib/json/reader.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/status.h"
#include "narthex/v1/pushgateway.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace narthex::pushgateway {
namespace {

// A running pushgateway and a client of it.
struct Gateway {
  explicit Gateway(Options options = {}) {
    options.web_listen_address = "127.0.0.1:0";
    options.grpc_listen_address = "127.0.0.1:0";
    service::Env env;
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.registry = &registry;
    env.request_stop = [this] { stop_requested = true; };
    env.flags = {{"web.listen-address", ":9091"}};
    auto created = App::Create(options, env);
    REQUIRE(Message(created.status()) == "");
    app = std::move(created).value();
    REQUIRE(app->Start().ok());
    client = http::Client::Create().value();
  }
  http::ClientResponse Ask(std::string method, std::string path, std::string body = "") {
    http::ClientRequest request;
    request.method = std::move(method);
    request.url = StrCat("http://127.0.0.1:", app->http_port(), path);
    request.body = std::move(body);
    auto response = client->Fetch(std::move(request));
    REQUIRE(Message(response.status()) == "");
    return *std::move(response);
  }
  absl::Status Push(v1::PushRequest::Method method,
                    std::vector<std::pair<std::string, std::string>> labels, std::string body) {
    auto stub = v1::Pushgateway::NewStub(rpc::MakeChannel(StrCat("127.0.0.1:", app->grpc_port())));
    grpc::ClientContext context;
    v1::PushRequest request;
    request.set_method(method);
    for (const auto& label : labels) {
      v1::Label* added = request.mutable_grouping()->add_labels();
      added->set_name(label.first);
      added->set_value(label.second);
    }
    request.set_body(std::move(body));
    v1::PushResponse response;
    return rpc::FromGrpc(stub->Push(&context, request, &response));
  }
  bool Exposes(std::string_view line) {
    return Ask("GET", "/metrics").body.find(StrCat("\n", line, "\n")) != std::string::npos;
  }
  metrics::Registry registry;
  std::unique_ptr<App> app;
  std::unique_ptr<http::Client> client;
  bool stop_requested = false;
};

TEST_CASE("What is pushed over HTTP is exposed beside what the process says of itself") {
  Gateway gateway;
  CHECK(gateway.Ask("PUT", "/metrics/job/j", "a 1\n").status == 200);
  CHECK(gateway.Ask("POST", "/metrics/job/j/instance/i", "a 2\n").status == 200);
  CHECK(gateway.Exposes("a{instance=\"\",job=\"j\"} 1"));
  CHECK(gateway.Exposes("a{instance=\"i\",job=\"j\"} 2"));
  CHECK(gateway.Exposes("pushgateway_groups 2"));
  CHECK(gateway.Exposes("pushgateway_http_push_size_bytes_count{method=\"put\"} 1"));
  CHECK(gateway.Exposes("# TYPE process_open_fds gauge"));
  CHECK(gateway.Exposes(
      "pushgateway_http_requests_total{code=\"200\",handler=\"/metrics/job/*labels\"} 2"));
  CHECK(gateway.Ask("DELETE", "/metrics/job/j").status == 202);
  CHECK_FALSE(gateway.Exposes("a{instance=\"\",job=\"j\"} 1"));
  const auto refused = gateway.Ask("PUT", "/metrics/job/j", "a 1");
  CHECK(refused.status == 400);
  CHECK(refused.body == "text format parsing error in line 1: unexpected end of input stream\n");
  CHECK(gateway.Exposes("pushgateway_pushes_rejected_total{reason=\"unreadable\"} 1"));
}

TEST_CASE("A push that clashes with the process's own metrics is refused") {
  Gateway gateway;
  const auto refused = gateway.Ask("PUT", "/metrics/job/j", "process_open_fds 1\n");
  CHECK(refused.status == 400);
  CHECK(refused.body ==
        "pushed metrics are invalid or inconsistent with existing metrics: gathered metric family "
        "process_open_fds has type UNTYPED but should have GAUGE\n");
  CHECK(gateway.Ask("GET", "/metrics").status == 200);
}

TEST_CASE("gRPC pushes do what HTTP pushes do, with the same texts") {
  Gateway gateway;
  CHECK(gateway.Push(v1::PushRequest::PUT, {{"job", "j"}, {"instance", "i"}}, "a 1\nb 1\n").ok());
  CHECK(gateway.Push(v1::PushRequest::POST, {{"instance", "i"}, {"job", "j"}}, "a 2\n").ok());
  CHECK(gateway.Exposes("a{instance=\"i\",job=\"j\"} 2"));
  CHECK(gateway.Exposes("b{instance=\"i\",job=\"j\"} 1"));
  CHECK(gateway.Push(v1::PushRequest::PUT, {{"job", "j"}}, "a x\n") ==
        InvalidArgument("text format parsing error in line 1: expected float as value, got \"x\""));
  CHECK(gateway.Push(v1::PushRequest::PUT, {{"job", "k"}}, "a 1 2\n") ==
        InvalidArgument("pushed metrics are invalid or inconsistent with existing metrics: pushed "
                        "metrics must not have timestamps"));
  CHECK(gateway.Push(v1::PushRequest::PUT, {{"instance", "i"}}, "") ==
        InvalidArgument("job name is required"));
  CHECK(gateway.Push(v1::PushRequest::PUT, {{"job", "j"}, {"job", "k"}}, "") ==
        InvalidArgument("duplicate label \"job\" in the grouping key"));
  CHECK(gateway.Push(v1::PushRequest::DELETE, {{"job", "j"}}, "a 1\n") ==
        InvalidArgument("a DELETE has no body"));
  CHECK(gateway.Push(v1::PushRequest::DELETE, {{"job", "j"}, {"instance", "i"}}, "").ok());
  CHECK_FALSE(gateway.Exposes("a{instance=\"i\",job=\"j\"} 2"));
}

TEST_CASE("Groups survive a restart, and a damaged file is an error that names it") {
  TempDir folder;
  Options options;
  options.persistence_file = folder.File("groups");
  {
    Gateway gateway(options);
    CHECK(gateway.Ask("PUT", "/metrics/job/j", "a 1\n").status == 200);
    gateway.app->Stop();
  }
  {
    Gateway gateway(options);
    CHECK(gateway.Exposes("a{instance=\"\",job=\"j\"} 1"));
  }
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(options.persistence_file, "garbage").ok());
  metrics::Registry registry;
  service::Env env;
  env.clock = RealClock();
  env.file_system = io::PosixFileSystem();
  env.registry = &registry;
  options.web_listen_address = "127.0.0.1:0";
  options.grpc_listen_address = "127.0.0.1:0";
  CHECK(Message(App::Create(options, env).status()) ==
        StrCat("--persistence.file ", options.persistence_file,
               " is damaged: not a pushgateway snapshot; move it away to start without it"));
}

TEST_CASE("A taken port is one error that names the address") {
  Gateway gateway;
  metrics::Registry registry;
  service::Env env;
  env.clock = RealClock();
  env.file_system = io::PosixFileSystem();
  env.registry = &registry;
  Options options;
  options.web_listen_address = StrCat("127.0.0.1:", gateway.app->http_port());
  options.grpc_listen_address = "127.0.0.1:0";
  CHECK(Message(App::Create(options, env).status()) ==
        StrCat("listen on ", options.web_listen_address, ": address already in use"));
}

TEST_CASE("Without the check pushes are 202 and bad ones break the scrape, as upstream warns") {
  Options options;
  options.disable_consistency_check = true;
  Gateway gateway(options);
  CHECK(gateway.Ask("PUT", "/metrics/job/j", "a 1\n").status == 202);
  CHECK(gateway.Ask("GET", "/metrics").status == 200);
  CHECK(gateway.Ask("PUT", "/metrics/job/k", "a 1 17\n").status == 202);
  CHECK(gateway.Ask("PUT", "/metrics/job/k", "a x\n").status == 400);
  CHECK(gateway.Ask("PUT", "/metrics/job/k", "# TYPE a gauge\na 1\n").status == 202);
  const auto broken = gateway.Ask("GET", "/metrics");
  CHECK(broken.status == 500);
  CHECK(broken.body.find(
            "An error has occurred while serving metrics:\n\ncollected metric \"a\"") == 0);
  CHECK(gateway.Ask("DELETE", "/metrics/job/k").status == 202);
  CHECK(gateway.Ask("GET", "/metrics").status == 200);
}

TEST_CASE("The API lists flags and groups, and wipes only where that is allowed") {
  Gateway closed;
  CHECK(closed.Ask("PUT", "/api/v1/admin/wipe").status == 404);
  Options options;
  options.enable_admin_api = true;
  Gateway gateway(options);
  CHECK(gateway.Ask("GET", "/api/v1/metrics").body == "{\"status\":\"success\",\"data\":[]}\n");
  CHECK(gateway.Ask("PUT", "/metrics/job/j", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\n")
            .status == 200);
  const auto metrics = json::Parse(gateway.Ask("GET", "/api/v1/metrics").body);
  REQUIRE(metrics.ok());
  const json::Value& group = metrics->Find("data")->array[0];
  CHECK(group.Find("labels")->Find("job")->text == "j");
  CHECK(group.Find("last_push_successful")->boolean);
  CHECK(group.Find("h")->Find("type")->text == "HISTOGRAM");
  CHECK(group.Find("h")->Find("metrics")->array[0].Find("buckets")->Find("1")->text == "1");
  const auto status = json::Parse(gateway.Ask("GET", "/api/v1/status").body);
  REQUIRE(status.ok());
  CHECK(status->Find("data")->Find("flags")->Find("web.listen-address")->text == ":9091");
  CHECK(gateway.Ask("PUT", "/api/v1/admin/wipe").status == 202);
  CHECK(gateway.Exposes("pushgateway_groups 0"));
}

TEST_CASE("The route prefix holds for all paths but upstream's one exception") {
  Options options;
  options.route_prefix = "/gateway/";
  options.telemetry_path = "/telemetry";
  options.enable_lifecycle = true;
  Gateway gateway(options);
  CHECK(gateway.Ask("PUT", "/gateway/metrics/job/j", "a 1\n").status == 200);
  CHECK(gateway.Ask("PUT", "/metrics/job/j", "a 1\n").status == 404);
  CHECK(gateway.Ask("GET", "/gateway/telemetry").status == 200);
  CHECK(gateway.Ask("GET", "/gateway/-/ready").body == "OK");
  CHECK(gateway.Ask("GET", "/gateway/api/v1/status").status == 200);
  CHECK(gateway.Ask("GET", "/-/quit").status == 405);
  CHECK(gateway.Ask("POST", "/gateway/-/quit").body == "Requesting termination... Goodbye!");
  CHECK(gateway.stop_requested);
}

}  // namespace
}  // namespace narthex::pushgateway
