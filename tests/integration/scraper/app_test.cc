#include "services/scraper/app.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/http/client.h"
#include "lib/rpc/scraper_client.h"
#include "tests/support/fake_append_server.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temp_dir.h"

namespace narthex::scraper {
namespace {

using testing::FakeAppendServer;

constexpr absl::Duration kPatience = absl::Seconds(20);

template <typename Condition>
bool Eventually(const Condition& condition) {
  const absl::Duration deadline = RealClock()->Monotonic() + kPatience;
  StopSignal never;
  while (!condition()) {
    if (RealClock()->Monotonic() > deadline) return false;
    never.WaitFor(absl::Milliseconds(10));
  }
  return true;
}

// A counter that grows by one with each scrape: what arrives must be 1, 2, 3 … without a gap.
class CountingTarget {
 public:
  CountingTarget()
      : server_([this](testing::RawConnection connection) {
          while (!connection.ReadUntil("\r\n\r\n", absl::Seconds(60)).empty()) {
            const std::string body =
                StrCat("# HELP scrapes_total Scrapes.\n# TYPE scrapes_total counter\n",
                       "scrapes_total ", ++scrapes_, "\n");
            if (!connection.Send(StrCat("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
                                        "Content-Length: ", body.size(), "\r\n\r\n", body))) {
              break;
            }
          }
        }) {}
  std::string address() const { return StrCat("127.0.0.1:", server_.port()); }
  int scrapes() const { return scrapes_; }

 private:
  std::atomic<int> scrapes_ = 0;
  testing::RawServer server_;
};

struct Fixture {
  explicit Fixture(const std::string& address, const std::string& more = "") {
    storage.Start();
    WriteConfig(address, more);
    options.config_file = dir.File("prometheus.yml");
    options.spool_path = dir.File("spool");
    options.storage_endpoints = {storage.endpoint()};
    options.web_listen_address = "127.0.0.1:0";
    options.grpc_listen_address = "127.0.0.1:0";
    options.enable_lifecycle = true;
    options.discovery_reload_interval = absl::Milliseconds(50);
    series = Labels{{"__name__", "scrapes_total"}, {"instance", address}, {"job", "count"}};
    up = Labels{{"__name__", "up"}, {"instance", address}, {"job", "count"}};
  }

  void WriteConfig(const std::string& address, const std::string& more = "") {
    const std::string text = StrCat(
        "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n"
        "- job_name: count\n  static_configs: [{targets: ['",
        address, "']}]\n", more);
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(dir.File("prometheus.yml"), text).ok());
  }
  absl::StatusOr<std::unique_ptr<App>> Create() {
    registry = std::make_unique<metrics::Registry>();
    service::Env env;
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.logger = Logger::ToLines(&lines);
    env.registry = registry.get();
    return App::Create(options, env);
  }
  void Start() {
    auto created = Create();
    INFO(Message(created.status()));
    REQUIRE(created.ok());
    app = *std::move(created);
    REQUIRE(app->Start().ok());
  }
  std::vector<double> Values() {
    std::vector<double> values;
    for (const Sample& sample : storage.SamplesOf(series)) values.push_back(sample.value);
    return values;
  }
  // Every scrape that the target has seen up to now, once, in order. `lost`: values that may be
  // missing.
  void CheckComplete(const CountingTarget& target, size_t lost = 0) {
    const int scrapes = target.scrapes();
    REQUIRE(Eventually([&] {
      const std::vector<double> values = Values();
      return !values.empty() && values.back() >= scrapes;
    }));
    const std::vector<double> values = Values();
    CHECK(values.size() + lost >= static_cast<size_t>(values.back()));
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
  }

  TempDir dir;
  FakeAppendServer storage;
  Options options;
  Labels series, up;
  std::vector<std::string> lines;
  std::unique_ptr<metrics::Registry> registry;
  std::unique_ptr<App> app;
};

TEST_CASE("samples of a target reach storage, each scrape once and in order") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  CHECK(f.app->ready());
  REQUIRE(Eventually([&] { return f.Values().size() >= 10; }));
  f.CheckComplete(target);
  const std::vector<Sample> up = f.storage.SamplesOf(f.up);
  REQUIRE(up.size() >= 10);
  CHECK(up.back().value == 1);
  CHECK(f.app->spool().disk_bytes() < 100000);
}

TEST_CASE("while storage is away scrapes go on and arrive in order when it is back") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 3; }));
  for (int round = 0; round < 3; ++round) {
    f.storage.Stop();
    const int scrapes = target.scrapes();
    REQUIRE(Eventually([&] { return target.scrapes() >= scrapes + 5; }));
    CHECK(f.app->spool().disk_bytes() > 0);
    f.storage.Start();
    f.CheckComplete(target);
  }
  CHECK(Eventually([&] { return f.app->spool().disk_bytes() == 0; }));
}

TEST_CASE("a storage with another reference space gets labels again") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 3; }));
  f.storage.Stop();
  f.storage.RenewReferenceSpace(/*lose_data=*/false);
  f.storage.Start();
  f.CheckComplete(target);
}

TEST_CASE("two storages get everything, also the one that was away") {
  CountingTarget target;
  Fixture f(target.address());
  FakeAppendServer second;
  second.Start();
  second.Stop();
  f.options.storage_endpoints.push_back(second.endpoint());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 5; }));
  second.Start();
  const int scrapes = target.scrapes();
  REQUIRE(Eventually([&] {
    const std::vector<Sample> samples = second.SamplesOf(f.series);
    return !samples.empty() && samples.back().value >= scrapes;
  }));
  const std::vector<Sample> samples = second.SamplesOf(f.series);
  CHECK(samples.front().value == 1);
  CHECK(samples.size() == static_cast<size_t>(samples.back().value));
  f.CheckComplete(target);
}

TEST_CASE("a scraper that ends while storage is away leaves everything for the next one") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 3; }));
  f.storage.Stop();
  REQUIRE(Eventually([&] { return target.scrapes() >= 10; }));
  f.app->Stop();
  f.app.reset();
  const int before = target.scrapes();
  f.Start();
  REQUIRE(Eventually([&] { return target.scrapes() >= before + 3; }));
  f.storage.Start();
  f.CheckComplete(target, /*lost=*/1);  // The scrape that Stop() interrupted.
}

TEST_CASE("a scraper that is killed while storage is away loses at most what was under way") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 3; }));
  f.storage.Stop();
  const int away = target.scrapes();
  REQUIRE(Eventually([&] { return target.scrapes() >= away + 8; }));
  // What kill -9 leaves is what is on disk at that moment.
  std::filesystem::copy(f.options.spool_path, f.dir.File("killed"));
  const int killed = target.scrapes();
  f.app->Stop();
  f.app.reset();
  f.options.spool_path = f.dir.File("killed");
  f.Start();
  f.storage.Start();
  REQUIRE(Eventually([&] {
    const std::vector<double> values = f.Values();
    return !values.empty() && values.back() > killed;
  }));
  const std::vector<double> values = f.Values();
  CHECK(std::is_sorted(values.begin(), values.end()));
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
  const auto kept =
      std::count_if(values.begin(), values.end(), [&](double value) { return value <= killed; });
  CHECK(kept >= killed - 2);
}

TEST_CASE("a reload takes the new jobs, and a bad configuration changes nothing") {
  CountingTarget target, other;
  Fixture f(target.address());
  f.Start();
  REQUIRE(Eventually([&] { return f.Values().size() >= 3; }));
  REQUIRE(io::PosixFileSystem()
              ->WriteFileAtomically(f.dir.File("prometheus.yml"), "scrape_configs: [{x: 1}]\n")
              .ok());
  CHECK(absl::IsInvalidArgument(f.app->Reload()));
  CHECK(f.registry->AddGauge("prometheus_config_last_reload_successful", "")->Value() == 0);
  f.CheckComplete(target);

  f.WriteConfig(target.address(), StrCat("- job_name: more\n  static_configs: [{targets: ['",
                                         other.address(), "']}]\n"));
  REQUIRE(f.app->Reload().ok());
  CHECK(f.registry->AddGauge("prometheus_config_last_reload_successful", "")->Value() == 1);
  const Labels more{{"__name__", "scrapes_total"}, {"instance", other.address()}, {"job", "more"}};
  REQUIRE(Eventually([&] { return f.storage.SamplesOf(more).size() >= 3; }));
  f.CheckComplete(target);
}

TEST_CASE("what is accepted and not acted on is warned of once and shown in a gauge") {
  CountingTarget target;
  Fixture f(target.address(),
            "- job_name: kube\n  kubernetes_sd_configs: [{role: pod}]\n"
            "remote_write: [{url: 'http://127.0.0.1:1/write'}]\n");
  f.Start();
  REQUIRE(f.app->Reload().ok());
  const auto logged = [&](std::string_view text) {
    return std::count_if(f.lines.begin(), f.lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  };
  CHECK(logged("remote_write") == 1);
  CHECK(logged("mechanism=kubernetes") == 1);
  const auto gauge = [&](const std::string& name) {
    return f.registry->AddGauge("narthex_config_unused_section", "", {{"section", name}})->Value();
  };
  CHECK(gauge("remote_write") == 1);
  CHECK(gauge("kube: kubernetes_sd_configs") == 1);
}

TEST_CASE("targets and metadata are told over gRPC, and a reload can be asked for") {
  CountingTarget target;
  Fixture f(target.address(),
            "- job_name: down\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
            "- job_name: dropped\n  static_configs: [{targets: ['x:1', 'y:1']}]\n"
            "  relabel_configs: [{action: drop}]\n");
  f.Start();
  rpc::ScraperClient client(StrCat("127.0.0.1:", f.app->grpc_port()), absl::Seconds(10));
  REQUIRE(Eventually([&] {
    const auto answer = client.Targets({});
    return answer.ok() && answer->active.size() == 2 &&
           answer->active[0].health == rpc::TargetHealth::kUp &&
           answer->active[1].health == rpc::TargetHealth::kDown;
  }));
  const auto answer = client.Targets({});
  REQUIRE(answer.ok());
  CHECK(answer->scrape_pools == std::vector<std::string>{"count", "down", "dropped"});
  const rpc::ScrapeTarget& up = answer->active[0];
  CHECK(up.scrape_pool == "count");
  CHECK(up.scrape_url == StrCat("http://", target.address(), "/metrics"));
  CHECK(up.global_url.find("127.0.0.1") == std::string::npos);
  CHECK(up.labels == Labels{{"instance", target.address()}, {"job", "count"}});
  CHECK(up.discovered_labels.Get("__address__") == target.address());
  CHECK(up.scrape_interval == absl::Milliseconds(100));
  CHECK(up.last_error.empty());
  CHECK_FALSE(answer->active[1].last_error.empty());
  CHECK(answer->dropped.size() == 2);
  CHECK(answer->dropped_counts.at("dropped") == 2);
  rpc::TargetsQuery one;
  one.dropped = false;
  one.scrape_pool = "down";
  const auto filtered = client.Targets(one);
  REQUIRE(filtered.ok());
  CHECK(filtered->active.size() == 1);
  CHECK(filtered->dropped.empty());

  for (const bool per_target : {false, true}) {
    const auto metadata = client.Metadata("", per_target);
    REQUIRE(metadata.ok());
    REQUIRE(metadata->size() == 1);
    CHECK((*metadata)[0].metric == "scrapes_total");
    CHECK((*metadata)[0].type == "counter");
    CHECK((*metadata)[0].help == "Scrapes.");
    CHECK((*metadata)[0].target.empty() == !per_target);
  }
  CHECK(client.Metadata("nothing", false)->empty());

  REQUIRE(client.Reload().ok());
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(f.dir.File("prometheus.yml"), "x: y").ok());
  CHECK(absl::IsInvalidArgument(client.Reload()));
}

TEST_CASE("the HTTP port serves metrics and the state of the process") {
  CountingTarget target;
  Fixture f(target.address());
  f.Start();
  auto client = http::Client::Create();
  REQUIRE(client.ok());
  const auto get = [&](const std::string& path) {
    http::ClientRequest request;
    request.url = StrCat("http://127.0.0.1:", f.app->http_port(), path);
    const auto response = (*client)->Fetch(request);
    REQUIRE(response.ok());
    return *response;
  };
  CHECK(get("/-/healthy").status == 200);
  CHECK(get("/-/ready").status == 200);
  REQUIRE(Eventually([&] { return f.Values().size() >= 2; }));
  const std::string metrics = get("/metrics").body;
  for (const char* const name :
       {"prometheus_target_scrape_pools_total 1", "narthex_append_connected{endpoint=",
        "prometheus_target_interval_length_seconds_count{interval=\"100ms\"}",
        "prometheus_target_scrape_pool_targets{scrape_job=\"count\"} 1",
        "prometheus_config_last_reload_successful 1"}) {
    INFO(name);
    CHECK(metrics.find(name) != std::string::npos);
  }
}

TEST_CASE("what is wrong with the flags or files is said in one line") {
  CountingTarget target;
  Fixture f(target.address());
  const Options good = f.options;
  const auto error = [&] {
    const auto created = f.Create();
    CHECK_FALSE(created.ok());
    return std::string(Message(created.status()));
  };
  f.options.storage_endpoints = {"a:1", "a:1"};
  CHECK(error() == "--storage.endpoint a:1 is given twice");
  f.options = good;
  f.options.workers = 0;
  CHECK(error() == "--scrape.workers must be between 1 and 256");
  f.options = good;
  f.options.spool_path = "/proc/none";
  CHECK(error().starts_with("--spool.path /proc/none: "));
  f.options = good;
  f.options.config_file = f.dir.File("none.yml");
  CHECK(error().find("none.yml") != std::string::npos);
  f.options = good;
  f.Start();
  const std::unique_ptr<metrics::Registry> in_use = std::move(f.registry);
  CHECK(error().starts_with(StrCat("--spool.path ", good.spool_path)));
  f.app.reset();
}

TEST_CASE("global URLs name the host where the target is on loopback") {
  CHECK(GlobalUrl("http://localhost:1/metrics", "h") == "http://h:1/metrics");
  CHECK(GlobalUrl("http://127.0.0.1/metrics", "h") == "http://h/metrics");
  CHECK(GlobalUrl("https://[::1]:9/m?x=y", "h") == "https://h:9/m?x=y");
  CHECK(GlobalUrl("http://localhost.example:1/", "h") == "http://localhost.example:1/");
  CHECK(GlobalUrl("http://a:1/", "h") == "http://a:1/");
}

}  // namespace
}  // namespace narthex::scraper
