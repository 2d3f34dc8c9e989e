#include "services/query/rules/manager.h"

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/model/stale.h"
#include "tests/unit/services/query/rules/rules_fixture.h"

namespace narthex::rules {
namespace {

// Waits in real time, at most ten seconds.
template <typename Condition>
bool Eventually(const Condition& condition) {
  const absl::Time end = RealClock()->Now() + absl::Seconds(10);
  StopSignal never;
  while (!condition()) {
    if (RealClock()->Now() > end) return false;
    never.WaitFor(absl::Milliseconds(2));
  }
  return true;
}

ManagerOptions Options(RulesFixture* fixture) {
  ManagerOptions options;
  options.environment = fixture->environment;
  options.threads = 3;
  return options;
}

GroupDefinition Named(std::string name, GroupDefinition group) {
  group.name = std::move(name);
  return group;
}

double Counter(RulesFixture* f, std::string_view name, std::string_view group) {
  for (const metrics::CollectedFamily& family : f->registry.Collect()) {
    for (const metrics::CollectedSample& sample : family.samples) {
      if (sample.name == name && !sample.labels.empty() && sample.labels[0].second == group) {
        return sample.value;
      }
    }
  }
  return -1;
}

// Moves the clock by `by` once all threads wait, and waits until group `name` has been evaluated.
bool Step(RulesFixture* f, const Manager& manager, absl::Duration by) {
  const absl::Time before = manager.groups().at(0)->last_evaluation();
  f->clock.Advance(by);
  return Eventually([&] { return manager.groups().at(0)->last_evaluation() > before; });
}

TEST_CASE("The manager evaluates groups at their slots, and counts those it missed") {
  RulesFixture f;
  Manager manager(Options(&f));
  manager.Apply({NewGroup({Recording("one", "vector(1)")})}, Labels());
  manager.Start();
  const auto group = manager.groups().at(0);
  const absl::Time first = group->SlotAtOrBefore(f.clock.Now()) + absl::Minutes(1);
  f.clock.Advance(first - f.clock.Now() - absl::Milliseconds(1));
  CHECK(group->last_evaluation() == absl::InfinitePast());
  REQUIRE(Step(&f, manager, absl::Milliseconds(1)));
  CHECK(group->last_evaluation() == first);
  REQUIRE(Step(&f, manager, absl::Minutes(1)));
  CHECK(group->last_evaluation() == first + absl::Minutes(1));
  // Three minutes and a bit at once: two slots are lost, the third is evaluated as itself.
  REQUIRE(Step(&f, manager, absl::Minutes(3) + absl::Seconds(10)));
  CHECK(group->last_evaluation() == first + absl::Minutes(4));
  CHECK(Counter(&f, "prometheus_rule_group_iterations_missed_total", "rules.yml;group") == 2);
  CHECK(Counter(&f, "prometheus_rule_group_iterations_total", "rules.yml;group") == 5);
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "one"}}).size() == 3);
}

TEST_CASE("A clock that is set back does not stop the rules") {
  RulesFixture f;
  Manager manager(Options(&f));
  manager.Apply({NewGroup({Recording("one", "vector(1)")})}, Labels());
  manager.Start();
  REQUIRE(Step(&f, manager, absl::Minutes(1)));
  f.clock.Advance(-absl::Hours(5));
  const absl::Time before = manager.groups()[0]->last_evaluation();
  f.clock.Advance(absl::Seconds(11));
  REQUIRE(Eventually([&] {
    f.clock.Advance(absl::Seconds(11));
    return manager.groups()[0]->last_evaluation() < before;
  }));
}

TEST_CASE("A reload leaves equal groups alone, hands state on, and ends what is gone") {
  RulesFixture f;
  Manager manager(Options(&f));
  const auto down = [](absl::Duration hold) { return Alerting("Down", "vector(0) == 0", hold); };
  manager.Apply({Named("same", NewGroup({Recording("same", "vector(1)")})),
                 Named("changed", NewGroup({down(absl::Hours(1))})),
                 Named("gone", NewGroup({Recording("gone", "vector(1)")}))},
                Labels());
  REQUIRE(manager.groups().size() == 3);
  manager.Start();
  f.clock.Advance(absl::Minutes(1));
  REQUIRE(Eventually([&] {
    for (const auto& group : manager.groups()) {
      if (group->last_evaluation() == absl::InfinitePast()) return false;
    }
    return true;
  }));
  const auto before = manager.groups();  // changed, gone, same
  const absl::Time active_at =
      static_cast<const AlertingRule&>(*before[0]->rules()[0]).alerts().at(0).active_at;

  manager.Apply({Named("same", NewGroup({Recording("same", "vector(1)")})),
                 Named("changed", NewGroup({down(absl::Hours(2))}))},
                Labels{{"region", "eu"}});
  const auto after = manager.groups();
  REQUIRE(after.size() == 2);
  CHECK(after[1] == before[2]);
  CHECK(after[0] != before[0]);
  const auto& alert = static_cast<const AlertingRule&>(*after[0]->rules()[0]);
  CHECK(alert.alerts().at(0).active_at == active_at);
  CHECK(Counter(&f, "prometheus_rule_group_rules", "rules.yml;gone") == -1);

  const Labels gone{{kMetricName, "gone"}};
  CHECK(f.memory.SamplesOf(gone).size() == 1);
  f.clock.Advance(absl::Seconds(119));
  f.clock.Advance(absl::Seconds(1));
  REQUIRE(Eventually([&] { return f.memory.SamplesOf(gone).size() == 2; }));
  CHECK(IsStale(f.memory.SamplesOf(gone).rbegin()->second));
}

TEST_CASE("An outage of storage raises an alert of its own, which ends with it") {
  RulesFixture f;
  Manager manager(Options(&f));
  manager.Apply(
      {NewGroup({Recording("a", "up")}, absl::Seconds(20)),
       Named("needs no storage", NewGroup({Recording("b", "vector(1)")}, absl::Seconds(20)))},
      Labels());
  f.storage.Fail(absl::UnavailableError("storage 127.0.0.1:10901: refused"));
  manager.Start();
  std::vector<Alert> sent;
  for (int i = 0; i < 12; ++i) {
    REQUIRE(Step(&f, manager, absl::Seconds(20)));
    REQUIRE(f.clock.WaitForWaiters(1));
    for (Alert& alert : f.TakeSent()) sent.push_back(alert);
    if (i < 3) CHECK(sent.empty());
  }
  REQUIRE(sent.size() == 3);
  for (const Alert& alert : sent) {
    CHECK(alert.labels.Get("alertname") == "NarthexStorageUnavailable");
    CHECK(alert.annotations.Get("description").find("127.0.0.1:10901") != std::string_view::npos);
    CHECK(alert.starts_at == sent[0].starts_at);
    CHECK(alert.ends_at > f.clock.Now());
  }
  f.storage.Fail(absl::OkStatus());
  REQUIRE(Step(&f, manager, absl::Seconds(20)));
  REQUIRE(Eventually([&] {
    for (Alert& alert : f.TakeSent()) sent.push_back(alert);
    return sent.size() == 4;
  }));
  CHECK(sent[3].labels == sent[0].labels);
  CHECK(sent[3].ends_at <= f.clock.Now());
}

TEST_CASE("Stopping cuts an evaluation short") {
  RulesFixture f;
  // A querier that waits until it is told to end.
  class Waiting : public FlakyStorage {
   public:
    using FlakyStorage::FlakyStorage;
    absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector>,
                                                 const storage::SelectOptions& options) override {
      asked = true;
      StopSignal never;
      while (!options.cancelled()) never.WaitFor(absl::Milliseconds(1));
      return absl::CancelledError("cancelled");
    }
    std::atomic<bool> asked{false};
  } waiting(&f.memory);
  f.environment.querier = &waiting;
  Manager manager(Options(&f));
  manager.Apply({NewGroup({Recording("a", "up")})}, Labels());
  manager.Start();
  f.clock.Advance(absl::Minutes(1));
  REQUIRE(Eventually([&] { return waiting.asked.load(); }));
  SECTION("at the end") { manager.Stop(); }
  SECTION("by a reload") {
    manager.Apply({NewGroup({Recording("b", "vector(1)")})}, Labels());
    CHECK(manager.groups().at(0)->rules()[0]->definition().name == "b");
  }
}

}  // namespace
}  // namespace narthex::rules
