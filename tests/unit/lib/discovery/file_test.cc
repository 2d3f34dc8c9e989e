#include "lib/discovery/file.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/target_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/lib/discovery/collector.h"

namespace narthex::discovery {
namespace {

// A running FileDiscoverer over `patterns` in a folder of its own.
class Running {
 public:
  explicit Running(const std::vector<std::string>& patterns) : patterns_(patterns) {}
  ~Running() {
    if (discoverer_ != nullptr) discoverer_->Stop();
    thread_.Join();
  }

  void Start() {
    config::FileSdConfig config{.refresh_interval = absl::Minutes(5)};
    for (const std::string& pattern : patterns_) config.files.push_back(Path(pattern));
    discoverer_ = std::make_unique<FileDiscoverer>(
        config, DiscovererContext{.clock = &clock_,
                                  .file_system = io::PosixFileSystem(),
                                  .logger = Logger::ToLines(&lines_),
                                  .registry = &registry_});
    thread_ = Thread("file-sd", [this] {
      discoverer_->Run([this](std::vector<TargetGroup> groups) { updates_.Add(groups); });
    });
  }
  std::string Path(std::string_view name) const { return dir_.File(name); }
  void Write(std::string_view name, std::string_view content) {
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(Path(name), content).ok());
  }
  double Errors() {
    return registry_.AddCounter("prometheus_sd_file_read_errors_total", "")->Value();
  }

  TempDir dir_;
  FakeClock clock_;
  std::vector<std::string> lines_;
  metrics::Registry registry_;
  Collector<std::vector<TargetGroup>> updates_;

 private:
  const std::vector<std::string> patterns_;
  std::unique_ptr<FileDiscoverer> discoverer_;
  Thread thread_;
};

TEST_CASE("YAML and JSON files are read, with path and index as the source") {
  Running running({"*.yml", "b.json"});
  running.Write("a.yml",
                "- targets: [x:1, y:2]\n  labels: {job: a}\n- targets: [z:3]\n- targets: []\n");
  running.Write("b.json", R"([{"targets": ["j:1"], "labels": {"k": "v"}}])");
  running.Write("ignored.txt", "nonsense: [");
  running.Start();
  REQUIRE(running.updates_.WaitForCount(1));
  const std::vector<TargetGroup> groups = running.updates_.values()[0];
  REQUIRE(groups.size() == 4);
  const std::string a = running.Path("a.yml");
  CHECK(groups[0].source == a + ":0");
  CHECK(groups[0].labels == Labels({{"__meta_filepath", a}, {"job", "a"}}));
  REQUIRE(groups[0].targets.size() == 2);
  CHECK(groups[0].targets[1] == Labels({{"__address__", "y:2"}}));
  CHECK(groups[1].source == a + ":1");
  CHECK(groups[2].targets.empty());
  CHECK(groups[3].labels == Labels({{"__meta_filepath", running.Path("b.json")}, {"k", "v"}}));
  CHECK(running.Errors() == 0);
}

TEST_CASE("A change of a file is seen without the clock moving") {
  Running running({"*.yml"});
  running.Write("a.yml", "- targets: [x:1]\n- targets: [y:1]\n");
  running.Start();
  REQUIRE(running.updates_.WaitForCount(1));
  running.Write("a.yml", "- targets: [x:2]\n");
  REQUIRE(running.updates_.WaitForCount(2));
  const std::vector<TargetGroup> groups = running.updates_.values()[1];
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].targets[0] == Labels({{"__address__", "x:2"}}));
  CHECK(groups[1].source == running.Path("a.yml:1"));
  CHECK(groups[1].targets.empty());

  running.Write("b.yml", "- targets: [n:1]\n");
  REQUIRE(running.updates_.WaitForCount(3));
  CHECK(running.updates_.values()[2].at(0).source == running.Path("b.yml:0"));

  REQUIRE(io::PosixFileSystem()->Remove(running.Path("b.yml")).ok());
  REQUIRE(running.updates_.WaitForCount(4));
  CHECK(running.updates_.values()[3] ==
        std::vector<TargetGroup>{{.source = running.Path("b.yml:0")}});
}

TEST_CASE("A bad file keeps its last good targets and is counted and logged") {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"- targets: [x\n", "a.yml:"},
      {"targets: [x]\n", "cannot unmarshal !!map into []*targetgroup.Group"},
      {"- targets: [x]\n  lables: {}\n", "field lables not found"},
      {"-\n", "nil target group item found (index 0)"},
      {"- targets: [x]\n  labels: {'': v}\n", "is not a valid label name"},
  };
  for (const auto& [content, reason] : bad) {
    INFO(content);
    Running running({"a.yml"});
    running.Write("a.yml", "- targets: [x:1]\n");
    running.Start();
    REQUIRE(running.updates_.WaitForCount(1));
    running.Write("a.yml", content);
    // The good content again tells that the bad one has been passed over without an update.
    for (int i = 0; i < 1000 && running.Errors() == 0; ++i) {
      StopSignal().WaitFor(absl::Milliseconds(10));
    }
    CHECK(running.Errors() >= 1);
    running.Write("a.yml", "- targets: [x:9]\n");
    REQUIRE(running.updates_.WaitForCount(2));
    CHECK(running.updates_.values()[1].at(0).targets.at(0) == Labels({{"__address__", "x:9"}}));
    bool logged = false;
    for (const std::string& line : running.lines_) {
      logged = logged || line.find(reason) != std::string::npos;
    }
    CHECK(logged);
  }
}

TEST_CASE("Bad JSON is refused with the reason") {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"targets": []})", "not a list of target groups"},
      {R"([null])", "nil target group item found"},
      {R"([{"targets": "x"}])", "targets is no list"},
      {R"([{"targets": [1]}])", "a target is no string"},
      {R"([{"labels": {"a": 1}}])", "is no string"},
      {R"([{"other": 1}])", "json: unknown field \"other\""},
      {R"([{"targets": [])", "x.json"},
  };
  for (const auto& [text, reason] : bad) {
    INFO(text);
    const auto parsed = config::ParseTargetFile(text, "x.json");
    REQUIRE_FALSE(parsed.ok());
    CHECK(Message(parsed.status()).find(reason) != std::string_view::npos);
  }
  CHECK(config::ParseTargetFile("null", "x.json")->empty());
  CHECK(config::ParseTargetFile("", "x.yml")->empty());
}

TEST_CASE("Without any file the first report is empty, and a folder that comes later is found") {
  Running running({"later/*.yml"});
  running.Start();
  REQUIRE(running.updates_.WaitForCount(1));
  CHECK(running.updates_.values()[0].empty());
  REQUIRE(io::PosixFileSystem()->CreateDirectories(running.Path("later")).ok());
  running.Write("later/a.yml", "- targets: [x:1]\n");
  REQUIRE(running.clock_.WaitForWaiters(1));
  running.clock_.Advance(absl::Minutes(5));
  REQUIRE(running.updates_.WaitForCount(2));
  CHECK(running.updates_.values()[1].at(0).source == running.Path("later/a.yml:0"));
}

}  // namespace
}  // namespace narthex::discovery
