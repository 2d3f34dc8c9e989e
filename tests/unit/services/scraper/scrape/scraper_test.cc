#include "services/scraper/scrape/scraper.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/http/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/services/scraper/scrape/recording_sink.h"

namespace narthex::scrape {
namespace {

// An exporter whose answer the test says.
class Exporter {
 public:
  explicit Exporter(std::string body) : body_(std::move(body)) {
    router_.Handle("GET", "/*path", [this](const http::ServerRequest& request) {
      MutexLock lock(&mu_);
      last_ = request;
      http::ServerResponse response;
      response.status = status_;
      response.content_type = content_type_;
      response.body = body_;
      return response;
    });
    auto server = http::Server::Create({}, &router_, Logger(), &registry_);
    REQUIRE(server.ok());
    server_ = *std::move(server);
    server_->Start();
  }
  ~Exporter() { server_->Stop(absl::ZeroDuration()); }

  void Set(std::string body, int status = 200,
           std::string content_type = "text/plain; version=0.0.4") {
    MutexLock lock(&mu_);
    body_ = std::move(body);
    status_ = status;
    content_type_ = std::move(content_type);
  }
  http::ServerRequest last() {
    MutexLock lock(&mu_);
    return last_;
  }
  std::string address() const { return StrCat("127.0.0.1:", server_->port()); }

 private:
  Mutex mu_;
  std::string body_;
  int status_ = 200;
  std::string content_type_ = "text/plain; version=0.0.4";
  http::ServerRequest last_;
  metrics::Registry registry_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

config::ScrapeConfig Job(const std::string& name = "j") {
  config::ScrapeConfig job;
  job.job_name = name;
  job.scrape_interval = absl::Seconds(10);
  job.scrape_timeout = absl::Seconds(5);
  job.scrape_protocols = {config::ScrapeProtocol::kPrometheusText1_0_0,
                          config::ScrapeProtocol::kPrometheusText0_0_4};
  return job;
}

struct Fixture {
  explicit Fixture(std::vector<config::ScrapeConfig> jobs = {Job()}) {
    ScraperOptions options;
    options.user_agent = "Prometheus/test";
    options.host_name = "here";
    auto created = Scraper::Create(options, &clock, io::PosixFileSystem(), &sink,
                                   Logger::ToLines(&lines), &registry);
    REQUIRE(created.ok());
    scraper = *std::move(created);
    scraper->Apply(jobs, Labels());
  }
  ~Fixture() { scraper->Stop(); }

  void SetTargets(const std::vector<std::string>& addresses, const std::string& job = "j") {
    discovery::TargetGroup group;
    group.source = "test";
    for (const std::string& address : addresses) {
      group.targets.push_back(Labels{{"__address__", address}, {"instance", "i"}});
    }
    if (addresses.size() > 1) {
      group.targets.clear();
      for (const std::string& address : addresses) {
        group.targets.push_back(Labels{{"__address__", address}});
      }
    }
    scraper->OnTargets({{job, {group}}});
  }
  // Each target is scraped once in each interval.
  void Round(size_t batches = 1, absl::Duration by = absl::Seconds(10)) {
    const size_t before = sink.size();
    clock.Advance(by);
    REQUIRE(sink.WaitForBatches(before + batches));
    REQUIRE(sink.size() == before + batches);
    WaitForHealth();
  }
  // The state of the targets follows their batches.
  void WaitForHealth() {
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    StopSignal never;
    while (RealClock()->Monotonic() < deadline) {
      bool all = true;
      for (const TargetStatus& status : Targets()) {
        all &= status.last_scrape == clock.Now();
      }
      if (all) return;
      never.WaitFor(absl::Milliseconds(1));
    }
    FAIL("a target was not scraped");
  }
  std::vector<TargetStatus> Targets() {
    std::vector<TargetStatus> targets;
    scraper->ForEachPool([&](const std::string&, const ScrapePool& pool) {
      for (TargetStatus& status : pool.status().active) targets.push_back(std::move(status));
    });
    return targets;
  }
  std::string Value(const std::string& labels) {
    const RecordingSink::Batch batch = sink.last();
    const auto it = batch.find(labels);
    return it == batch.end() ? "none" : it->second;
  }
  double Metric(const std::string& name, const metrics::LabelMap& labels = {}) {
    return registry.AddCounter(name, "", labels)->Value();
  }

  FakeClock clock;
  std::vector<std::string> lines;
  metrics::Registry registry;
  RecordingSink sink;
  std::unique_ptr<Scraper> scraper;
};

constexpr char kUp[] = R"({__name__="up", instance="i", job="j"})";
constexpr char kA[] = R"({__name__="a", instance="i", job="j"})";
constexpr char kB[] = R"({__name__="b", instance="i", job="j"})";
constexpr char kAdded[] = R"({__name__="scrape_series_added", instance="i", job="j"})";

TEST_CASE("a target is scraped once in each interval, with upstream's request headers") {
  Exporter exporter("a 1\nb 2\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  CHECK(f.Value(kUp) == "1");
  CHECK(f.Value(kA) == "1");
  CHECK(f.Value(kAdded) == "2");
  CHECK(f.sink.last().size() == 7);
  const http::ServerRequest request = exporter.last();
  CHECK(request.path == "/metrics");
  CHECK(request.headers.Get("User-Agent") == "Prometheus/test");
  CHECK(request.headers.Get("Accept-Encoding") == "gzip");
  CHECK(request.headers.Get("X-Prometheus-Scrape-Timeout-Seconds") == "5");
  CHECK(request.headers.Get("Accept") ==
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
        "*/*;q=0.4");
  f.Round();
  CHECK(f.Value(kAdded) == "0");
  REQUIRE(f.Targets().size() == 1);
  CHECK(f.Targets()[0].health == Health::kUp);
  CHECK(f.Targets()[0].last_error.empty());
}

TEST_CASE("what goes wrong is up 0, a last error, and markers for what was there") {
  struct Case {
    std::string body;
    int status;
    std::string content_type;
    std::string error;  // The beginning.
  };
  const std::vector<Case> cases = {
      {"a 1\n", 404, "text/plain", "server returned HTTP status 404 Not Found"},
      {"a 1\n", 500, "text/plain", "server returned HTTP status 500 Internal Server Error"},
      {"a 1\n", 299, "text/plain", "server returned HTTP status 299"},
      {"a 1\n", 200, "application/json", ""},
      {"a 1\nnonsense\n", 200, "text/plain", "expected value after metric"},
      {std::string(3000, 'x') + " 1\n", 200, "text/plain", "body size limit exceeded"},
  };
  for (const Case& c : cases) {
    config::ScrapeConfig job = Job();
    job.limits.body_size_bytes = 2000;
    Exporter exporter("a 1\nb 2\n");
    Fixture f({job});
    f.SetTargets({exporter.address()});
    f.Round();
    exporter.Set(c.body, c.status, c.content_type);
    f.Round();
    CHECK(f.Value(kUp) == "0");
    CHECK(f.Value(kA) == "stale");
    CHECK(f.Value(kB) == "stale");
    const TargetStatus status = f.Targets()[0];
    CHECK(status.health == Health::kDown);
    INFO(status.last_error);
    CHECK_FALSE(status.last_error.empty());
    CHECK(status.last_error.starts_with(c.error));
    exporter.Set("a 1\nb 2\n");
    f.Round();
    CHECK(f.Value(kUp) == "1");
    CHECK(f.Value(kA) == "1");
    CHECK(f.Value(kAdded) == "0");
  }
}

TEST_CASE("targets that hang, lie about their length or send no HTTP disturb nobody") {
  Exporter good("a 1\n");
  testing::RawServer hanging([](testing::RawConnection connection) { connection.WaitForEnd(); });
  const auto lying = testing::RawServer::Answering(
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\na 1\n");
  const auto garbage = testing::RawServer::Answering("\x01\x02\x03 what?\r\n\r\n");
  config::ScrapeConfig job = Job();
  job.scrape_timeout = absl::Milliseconds(300);
  Fixture f({job});
  f.SetTargets({good.address(), StrCat("127.0.0.1:", hanging.port()),
                StrCat("127.0.0.1:", lying->port()), StrCat("127.0.0.1:", garbage->port()),
                "127.0.0.1:1"});
  for (int round = 0; round < 2; ++round) {
    f.Round(5);
    const std::vector<TargetStatus> targets = f.Targets();
    REQUIRE(targets.size() == 5);
    CHECK(targets[0].health == Health::kUp);
    for (size_t i = 1; i < 5; ++i) {
      INFO(i << ": " << targets[i].last_error);
      CHECK(targets[i].health == Health::kDown);
      CHECK_FALSE(targets[i].last_error.empty());
    }
    CHECK(targets[1].last_error.find("context deadline exceeded") != std::string::npos);
  }
}

TEST_CASE("the series of a removed target end two intervals and a tenth after its last tick") {
  Exporter exporter("a 1\nb 2\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  const Timestamp scraped = f.sink.times().back();
  f.SetTargets({});
  CHECK(f.Targets().empty());
  // The next tick is at most one interval away, the markers 1.1 intervals behind it.
  f.clock.Advance(absl::Milliseconds(10900));
  StopSignal never;
  never.WaitFor(absl::Milliseconds(30));
  CHECK(f.sink.size() == 1);
  f.clock.Advance(absl::Milliseconds(10100));
  REQUIRE(f.sink.WaitForBatches(2));
  CHECK(f.sink.last().size() == 7);
  for (const auto& [labels, value] : f.sink.last()) CHECK(value == "stale");
  CHECK(f.sink.times().back() > scraped);
  CHECK(f.sink.times().back() <= scraped + 10000);
  const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
  while (f.sink.numbers_in_use() > 0 && RealClock()->Monotonic() < deadline) {
  }
  CHECK(f.sink.numbers_in_use() == 0);
}

TEST_CASE("a target that comes back before its markers goes on as if it had never left") {
  Exporter exporter("a 1\nb 2\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  f.SetTargets({});
  f.clock.Advance(absl::Seconds(5));
  f.SetTargets({exporter.address()});
  f.Round();
  CHECK(f.Value(kA) == "1");
  CHECK(f.Value(kAdded) == "0");
  for (int i = 0; i < 4; ++i) f.Round();
  CHECK(f.Value(kA) == "1");
}

TEST_CASE("a removed job ends its series, a new one begins, and a kept one goes on untouched") {
  Exporter exporter("a 1\n");
  Fixture f({Job("j"), Job("k")});
  f.SetTargets({exporter.address()}, "j");
  f.SetTargets({exporter.address()}, "k");
  f.Round(2);
  const absl::Time scraped = f.Targets()[0].last_scrape;
  f.scraper->Apply({Job("j"), Job("l")}, Labels());
  CHECK(f.scraper->pool_names() == std::vector<std::string>{"j", "l"});
  REQUIRE(f.Targets().size() == 1);
  CHECK(f.Targets()[0].last_scrape == scraped);
  CHECK(f.Metric("prometheus_target_scrape_pool_reloads_total") == 0);
  f.Round(1);
  CHECK(f.Value(kAdded) == "0");
  f.clock.Advance(absl::Seconds(10));
  REQUIRE(f.sink.WaitForBatches(4));
  f.clock.Advance(absl::Seconds(2));
  f.clock.Advance(absl::Seconds(8));
  // Two more of j, and the markers of k.
  REQUIRE(f.sink.WaitForBatches(6));
  size_t marked = 0;
  for (size_t i = 0; i < f.sink.size(); ++i) {
    const RecordingSink::Batch batch = f.sink.batch(i);
    const auto it = batch.find(R"({__name__="a", instance="i", job="k"})");
    if (it != batch.end() && it->second == "stale") ++marked;
  }
  CHECK(marked == 1);
}

TEST_CASE("other metric relabelling ends what it drops and keeps the rest") {
  Exporter exporter("a 1\nb 2\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  config::ScrapeConfig job = Job();
  relabel::RelabelConfig drop;
  drop.action = relabel::Action::kDrop;
  drop.source_labels = {"__name__"};
  drop.regex = *Regex::Compile("b");
  job.metric_relabel_configs = {drop};
  f.scraper->Apply({job}, Labels());
  f.Round();
  CHECK(f.Value(kA) == "1");
  CHECK(f.Value(kB) == "stale");
  CHECK(f.Value(kAdded) == "0");
  f.Round();
  CHECK(f.Value(kB) == "none");
  CHECK(f.Metric("prometheus_target_scrape_pool_reloads_total") == 1);
}

TEST_CASE("another interval moves the ticks and writes no markers") {
  Exporter exporter("a 1\nb 2\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  config::ScrapeConfig job = Job();
  job.scrape_interval = absl::Seconds(30);
  f.scraper->Apply({job}, Labels());
  f.Round(1, absl::Seconds(30));
  CHECK(f.Value(kA) == "1");
  CHECK(f.Value(kAdded) == "0");
  f.Round(1, absl::Seconds(30));
  for (size_t i = 0; i < f.sink.size(); ++i) {
    for (const auto& [labels, value] : f.sink.batch(i)) CHECK(value != "stale");
  }
  CHECK(f.Targets()[0].target.interval == absl::Seconds(30));
}

TEST_CASE("target_limit fails all targets of the pool until they are fewer") {
  Exporter exporter("a 1\n"), other("a 1\n");
  config::ScrapeConfig job = Job();
  job.limits.targets = 1;
  Fixture f({job});
  f.SetTargets({exporter.address(), other.address()});
  f.Round(2);
  for (const TargetStatus& status : f.Targets()) {
    CHECK(status.health == Health::kDown);
    CHECK(status.last_error == "target_limit exceeded (number of targets: 2, limit: 1)");
  }
  CHECK(f.Metric("prometheus_target_scrape_pool_exceeded_target_limit_total") == 1);
  f.SetTargets({exporter.address()});
  f.Round(1);
  CHECK(f.Targets()[0].health == Health::kUp);
}

TEST_CASE("a client block that cannot be used fails the targets and says why") {
  Exporter exporter("a 1\n");
  config::ScrapeConfig job = Job();
  job.http_client.oauth2.emplace();
  Fixture f({job});
  f.SetTargets({exporter.address()});
  f.Round();
  CHECK(f.Targets()[0].health == Health::kDown);
  CHECK(f.Targets()[0].last_error == "oauth2 is not available yet");
}

TEST_CASE("targets that cannot be scraped are logged once and counted each time") {
  Fixture f;
  f.SetTargets({"h/x"});
  f.SetTargets({"h/x"});
  CHECK(f.Metric("prometheus_target_sync_failed_total", {{"scrape_job", "j"}}) == 2);
  CHECK(std::count_if(f.lines.begin(), f.lines.end(), [](const std::string& line) {
          return line.find("is not a valid hostname") != std::string::npos;
        }) == 1);
}

TEST_CASE(
    "failed scrapes are written to scrape_failure_log_file, which is opened again on reload") {
  TempDir dir;
  config::ScrapeConfig job = Job();
  job.scrape_failure_log_file = dir.File("failures");
  Exporter exporter("a 1\n");
  Fixture f({job});
  f.SetTargets({exporter.address()});
  f.Round();
  exporter.Set("", 503);
  f.Round();
  const auto read = [](const std::string& path) { return *io::PosixFileSystem()->ReadFile(path); };
  const std::string line = StrCat(
      R"({"time":"2023-11-14T22:13:40.000Z","level":"ERROR","msg":"server returned HTTP status )"
      R"(503 Service Unavailable","job_name":"j","target":"http://)",
      exporter.address(), "/metrics\"}\n");
  CHECK(read(dir.File("failures")) == line);
  REQUIRE(io::PosixFileSystem()->Rename(dir.File("failures"), dir.File("moved")).ok());
  f.scraper->Apply({job}, Labels());
  f.Round();
  CHECK(read(dir.File("moved")) == line);
  CHECK(read(dir.File("failures")).find("503") != std::string::npos);
}

TEST_CASE("stopping writes nothing more") {
  Exporter exporter("a 1\n");
  Fixture f;
  f.SetTargets({exporter.address()});
  f.Round();
  f.scraper->Stop();
  f.clock.Advance(absl::Minutes(5));
  CHECK(f.sink.size() == 1);
}

TEST_CASE("targets come and go under scrapes without a race") {
  Exporter exporter("a 1\nb 2\n");
  std::vector<config::ScrapeConfig> jobs = {Job()};
  jobs[0].scrape_interval = absl::Milliseconds(20);
  jobs[0].scrape_timeout = absl::Milliseconds(20);
  Fixture f(jobs);
  StopSignal done;
  Thread ticking("tick", [&] {
    while (!done.WaitFor(absl::Milliseconds(1))) f.clock.Advance(absl::Milliseconds(5));
  });
  for (int i = 0; i < 50; ++i) {
    std::vector<std::string> targets = {exporter.address()};
    if (i % 2 == 0) targets.push_back(StrCat("127.0.0.2:", i));
    f.SetTargets(targets);
    if (i % 7 == 0) {
      jobs[0].honor_labels = !jobs[0].honor_labels;
      f.scraper->Apply(jobs, Labels());
    }
    f.Targets();
    done.WaitFor(absl::Milliseconds(3));
  }
  CHECK(f.sink.WaitForBatches(20));
  done.Set();
}

}  // namespace
}  // namespace narthex::scrape
