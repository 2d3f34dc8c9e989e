#include "lib/discovery/manager.h"

#include <atomic>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/lib/discovery/collector.h"

namespace narthex::discovery {
namespace {

using config::DnsSdConfig;
using config::SdConfig;
using config::StaticSdConfig;

// A mechanism whose groups the test sends. DNS stands for it in the configuration: its first name
// is the fake's.
struct Fakes {
  struct Fake {
    Mutex mu;
    CondVar cv;
    UpdateCallback update;  // Set while it runs.
    bool stopped = false;
  };

  std::shared_ptr<Fake> Get(const std::string& name) {
    MutexLock lock(&mu);
    std::shared_ptr<Fake>& fake = by_name[name];
    if (fake == nullptr) fake = std::make_shared<Fake>();
    return fake;
  }

  // Reports a group with one target as soon as the fake runs.
  void Send(const std::string& name, const std::string& source, const std::string& address) {
    const std::shared_ptr<Fake> fake = Get(name);
    UpdateCallback update;
    {
      MutexLock lock(&fake->mu);
      while (!fake->update) fake->cv.Wait(&fake->mu);
      update = fake->update;
    }
    TargetGroup group{.source = source};
    if (!address.empty()) group.targets.push_back(Labels({{"__address__", address}}));
    update({group});
  }

  Mutex mu;
  std::map<std::string, std::shared_ptr<Fake>> by_name;
  std::atomic<int> made = 0;
};

class FakeDiscoverer : public Discoverer {
 public:
  explicit FakeDiscoverer(std::shared_ptr<Fakes::Fake> fake) : fake_(std::move(fake)) {}
  void Run(const UpdateCallback& update) override {
    MutexLock lock(&fake_->mu);
    fake_->update = update;
    fake_->cv.SignalAll();
    while (!fake_->stopped) fake_->cv.Wait(&fake_->mu);
    fake_->update = nullptr;
  }
  void Stop() override {
    MutexLock lock(&fake_->mu);
    fake_->stopped = true;
    fake_->cv.SignalAll();
  }

 private:
  const std::shared_ptr<Fakes::Fake> fake_;
};

struct Fixture {
  Fixture() {
    manager = std::make_unique<Manager>(
        ManagerOptions{.clock = &clock,
                       .file_system = io::PosixFileSystem(),
                       .registry = &registry,
                       .factory = [this](const SdConfig& config,
                                         const DiscovererContext&) -> std::unique_ptr<Discoverer> {
                         const auto* const dns = std::get_if<DnsSdConfig>(&config);
                         if (dns == nullptr) return nullptr;
                         ++fakes.made;
                         return std::make_unique<FakeDiscoverer>(fakes.Get(dns->names[0]));
                       },
                       .on_update = [this](const TargetSets& sets) { updates.Add(sets); }});
  }

  double Value(const std::string& name) const {
    for (const metrics::CollectedFamily& family : registry.Collect()) {
      if (family.name == name && !family.samples.empty()) return family.samples[0].value;
    }
    return -1;
  }

  FakeClock clock;
  metrics::Registry registry;
  Fakes fakes;
  Collector<TargetSets> updates;
  std::unique_ptr<Manager> manager;
};

SdConfig Static(const std::string& target) { return StaticSdConfig{.targets = {target}}; }
SdConfig Fake(const std::string& name) { return DnsSdConfig{.names = {name}}; }

std::vector<std::string> Addresses(const std::vector<TargetGroup>& groups) {
  std::vector<std::string> addresses;
  for (const TargetGroup& group : groups) {
    for (const Labels& target : group.targets) addresses.emplace_back(target.Get("__address__"));
  }
  return addresses;
}

TEST_CASE("Static groups are delivered at once, an empty pool as an empty list") {
  Fixture f;
  CHECK(f.manager->Apply({{"a", {Static("x:1"), Static("y:1")}}, {"b", {}}}).empty());
  REQUIRE(f.updates.WaitForCount(1));
  const TargetSets sets = f.updates.values()[0];
  REQUIRE(sets.size() == 2);
  CHECK(Addresses(sets.at("a")) == std::vector<std::string>{"x:1", "y:1"});
  CHECK(sets.at("a")[0].source != sets.at("a")[1].source);
  CHECK(sets.at("b").empty());
  CHECK(f.Value("prometheus_sd_discovered_targets") == 2);
}

TEST_CASE("The first delivery waits for the first report of every mechanism") {
  Fixture f;
  f.manager->Apply({{"a", {Fake("one"), Static("s:1")}}, {"b", {Fake("two")}}});
  f.fakes.Send("one", "g", "x:1");
  f.fakes.Send("two", "g", "y:1");
  REQUIRE(f.updates.WaitForCount(1));
  const TargetSets sets = f.updates.values()[0];
  CHECK(Addresses(sets.at("a")) == std::vector<std::string>{"x:1", "s:1"});
  CHECK(Addresses(sets.at("b")) == std::vector<std::string>{"y:1"});
}

TEST_CASE("A mechanism that never reports holds the others up for one interval only") {
  Fixture f;
  f.manager->Apply({{"a", {Fake("silent"), Static("s:1")}}});
  REQUIRE(f.clock.WaitForWaiters(1));
  CHECK(f.updates.values().empty());
  f.clock.Advance(absl::Seconds(5));
  REQUIRE(f.updates.WaitForCount(1));
  CHECK(Addresses(f.updates.values()[0].at("a")) == std::vector<std::string>{"s:1"});
  // Its late first report goes out at once.
  f.fakes.Send("silent", "g", "x:1");
  REQUIRE(f.updates.WaitForCount(2));
  CHECK(Addresses(f.updates.values()[1].at("a")) == std::vector<std::string>{"x:1", "s:1"});
}

TEST_CASE("Later reports are gathered for the interval") {
  Fixture f;
  f.manager->Apply({{"a", {Fake("one")}}});
  f.fakes.Send("one", "g", "x:1");
  REQUIRE(f.updates.WaitForCount(1));
  f.fakes.Send("one", "g", "x:2");
  f.fakes.Send("one", "h", "y:1");
  REQUIRE(f.clock.WaitForWaiters(1));
  CHECK(f.updates.values().size() == 1);
  CHECK(Addresses(f.manager->Current().at("a")) == std::vector<std::string>{"x:2", "y:1"});
  f.clock.Advance(absl::Seconds(5));
  REQUIRE(f.updates.WaitForCount(2));
  CHECK(Addresses(f.updates.values()[1].at("a")) == std::vector<std::string>{"x:2", "y:1"});
  // A group without targets goes away.
  f.fakes.Send("one", "g", "");
  f.clock.Advance(absl::Seconds(5));
  REQUIRE(f.updates.WaitFor([](const std::vector<TargetSets>& all) {
    return Addresses(all.back().at("a")) == std::vector<std::string>{"y:1"};
  }));
  CHECK(f.Value("prometheus_sd_received_updates_total") == 4);
}

TEST_CASE("Equal mechanisms are shared, kept ones go on, and others stop") {
  Fixture f;
  f.manager->Apply({{"a", {Fake("one")}}, {"b", {Fake("one"), Fake("two")}}});
  CHECK(f.fakes.made == 2);
  f.fakes.Send("one", "g", "x:1");
  f.fakes.Send("two", "g", "y:1");
  REQUIRE(f.updates.WaitForCount(1));
  f.manager->Apply({{"c", {Fake("one")}}});
  CHECK(f.fakes.made == 2);
  // What "one" has found is there without a new report; the other sets are gone.
  REQUIRE(f.updates.WaitForCount(2));
  const TargetSets sets = f.updates.values()[1];
  REQUIRE(sets.size() == 1);
  CHECK(Addresses(sets.at("c")) == std::vector<std::string>{"x:1"});
  const std::shared_ptr<Fakes::Fake> two = f.fakes.Get("two");
  MutexLock lock(&two->mu);
  CHECK(two->stopped);
}

TEST_CASE("Mechanisms that cannot run are named, and their pools keep the other targets") {
  Fixture f;
  const std::vector<UnavailableMechanism> unavailable =
      f.manager->Apply({{"a", {config::KubernetesSdConfig{.role = "pod"}, Static("s:1")}},
                        {"b", {config::ConsulSdConfig()}}});
  CHECK(unavailable == std::vector<UnavailableMechanism>{{"a", "kubernetes"}, {"b", "consul"}});
  CHECK(f.Value("prometheus_sd_failed_configs") == 2);
  REQUIRE(f.updates.WaitForCount(1));
  CHECK(Addresses(f.updates.values()[0].at("a")) == std::vector<std::string>{"s:1"});
  f.manager->Apply({});
  REQUIRE(f.updates.WaitForCount(2));
  CHECK(f.Value("prometheus_sd_failed_configs") == 0);
  CHECK(f.Value("prometheus_sd_discovered_targets") == -1);
}

TEST_CASE("A manager that is destroyed while mechanisms report stops cleanly") {
  for (int i = 0; i < 20; ++i) {
    Fixture f;
    f.manager->Apply({{"a", {Fake("one"), Static("s:1")}}});
    f.fakes.Send("one", "g", "x:1");
    f.manager.reset();
  }
}

}  // namespace
}  // namespace narthex::discovery
