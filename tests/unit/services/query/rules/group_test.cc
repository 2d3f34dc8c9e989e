#include "services/query/rules/group.h"

#include <map>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"
#include "tests/unit/services/query/rules/rules_fixture.h"

namespace narthex::rules {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

Labels Up(std::string_view instance) { return Labels{{kMetricName, "up"}, {"instance", instance}}; }

// Evaluates at minute `minute` after the start.
absl::Status EvaluateAt(RulesFixture* fixture, Group* group, int minute,
                        const Labels& external_labels = {}) {
  const absl::Time slot = kStart + absl::Minutes(minute);
  fixture->clock.Advance(slot - fixture->clock.Now());
  return group->Evaluate(slot, 0, external_labels, nullptr);
}

void Write(RulesFixture* fixture, const Labels& labels, int minute, double value) {
  fixture->memory.Append(labels, ToTimestamp(kStart + absl::Minutes(minute)), value);
}

AlertingRule& Alert0(Group* group) { return static_cast<AlertingRule&>(*group->rules()[0]); }

TEST_CASE("A recording rule writes its value under its name and labels, at the slot") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 1);
  Write(&f, Up("b"), 0, 0);
  Group group(NewGroup({Recording("job:up:sum", "sum(up)", {{"team", "x"}}),
                        Recording("copy", "up", {{"instance", ""}, {"who", "{{ 1 }}"}}),
                        Recording("twice", "job:up:sum * 2"), Recording("number", "42")}),
              &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  const Timestamp at = ToTimestamp(kStart + absl::Minutes(1));
  using Points = std::map<Timestamp, double>;
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "job:up:sum"}, {"team", "x"}}) == Points{{at, 1}});
  // A rule sees what those before it wrote.
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "twice"}, {"team", "x"}}) == Points{{at, 2}});
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "number"}}) == Points{{at, 42}});
  // Taking the instance away makes two series one: an error, and nothing is written.
  CHECK(group.rules()[1]->status().health == RuleHealth::kError);
  CHECK(group.rules()[1]->status().last_error ==
        "vector contains metrics with the same labelset after applying rule labels");
  CHECK(group.rules()[0]->status().health == RuleHealth::kOk);
  CHECK(group.rules()[0]->status().last_evaluation == kStart + absl::Minutes(1));
  CHECK(group.last_evaluation() == kStart + absl::Minutes(1));
}

TEST_CASE("A series that a rule gives no longer is ended with a staleness marker") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 1);
  Write(&f, Up("b"), 0, 1);
  Group group(NewGroup({Recording("on", "up > 0")}), &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  Write(&f, Up("b"), 2, 0);
  REQUIRE(EvaluateAt(&f, &group, 2).ok());
  REQUIRE(EvaluateAt(&f, &group, 3).ok());
  const auto samples = f.memory.SamplesOf(Labels{{kMetricName, "on"}, {"instance", "b"}});
  REQUIRE(samples.size() == 2);
  CHECK(IsStale(samples.rbegin()->second));
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "on"}, {"instance", "a"}}).size() == 3);

  SECTION("Not while the rule fails") {
    f.storage.Fail(absl::InternalError("broken"));
    REQUIRE(EvaluateAt(&f, &group, 4).ok());
    CHECK(f.memory.SamplesOf(Labels{{kMetricName, "on"}, {"instance", "a"}}).size() == 3);
  }
  SECTION("All of them when the group goes") {
    group.MarkAllStale(kStart + absl::Minutes(3) + absl::Seconds(30));
    const auto last = f.memory.SamplesOf(Labels{{kMetricName, "on"}, {"instance", "a"}});
    CHECK(last.size() == 4);
    CHECK(IsStale(last.rbegin()->second));
  }
}

TEST_CASE("With a query offset a group looks back and writes back") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 1);
  Write(&f, Up("a"), 2, 5);
  GroupDefinition definition = NewGroup({Recording("was", "up")});
  definition.query_offset = absl::Seconds(30);
  Group group(definition, &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 2).ok());
  const auto samples = f.memory.SamplesOf(Labels{{kMetricName, "was"}, {"instance", "a"}});
  CHECK(samples == std::map<Timestamp, double>{{ToTimestamp(kStart + absl::Seconds(90)), 1}});
}

TEST_CASE("More results than the limit are an error and none of them counts") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 1);
  Write(&f, Up("b"), 0, 1);
  GroupDefinition definition =
      NewGroup({Alerting("Up", "up == 1", absl::ZeroDuration()), Recording("copy", "up")});
  definition.limit = 1;
  Group group(definition, &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  CHECK(group.rules()[0]->status().last_error == "exceeded limit of 1 with 2 alerts");
  CHECK(group.rules()[1]->status().last_error == "exceeded limit of 1 with 2 series");
  CHECK(Alert0(&group).alerts().empty());
  CHECK(f.memory.SamplesOf(Labels{{kMetricName, "copy"}, {"instance", "a"}}).empty());
}

TEST_CASE("An alert is pending, fires after `for`, is resolved, and is sent accordingly") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Group group(NewGroup({Alerting("Down", "up == 0", absl::Minutes(2), {{"severity", "page"}},
                                 {{"summary",
                                   "{{ $labels.instance }} is {{ $value }} in "
                                   "{{ $externalLabels.region }}"}})}),
              &f.environment, true);
  AlertingRule& rule = Alert0(&group);
  CHECK(rule.state() == AlertState::kUnknown);
  const Labels labels{{"alertname", "Down"}, {"instance", "a"}, {"severity", "page"}};
  const auto series = [&](std::string_view state) {
    return f.memory.SamplesOf(Labels{{kMetricName, "ALERTS"},
                                     {"alertname", "Down"},
                                     {"alertstate", state},
                                     {"instance", "a"},
                                     {"severity", "page"}});
  };
  for (int minute = 1; minute <= 2; ++minute) {
    REQUIRE(EvaluateAt(&f, &group, minute, Labels{{"region", "eu"}}).ok());
    CHECK(rule.state() == AlertState::kPending);
  }
  CHECK(f.TakeSent().empty());
  REQUIRE(rule.alerts().size() == 1);
  CHECK(rule.alerts()[0].labels == labels);
  CHECK(rule.alerts()[0].annotations.Get("summary") == "a is 0 in eu");
  CHECK(rule.alerts()[0].active_at == kStart + absl::Minutes(1));
  CHECK(series("pending").size() == 2);

  REQUIRE(EvaluateAt(&f, &group, 3).ok());
  CHECK(rule.state() == AlertState::kFiring);
  std::vector<Alert> sent = f.TakeSent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].labels == labels);
  CHECK(sent[0].starts_at == kStart + absl::Minutes(3));
  CHECK(sent[0].ends_at == kStart + absl::Minutes(7));
  CHECK(sent[0].generator_url == "http://q/graph?up == 0");
  CHECK(IsStale(series("pending").rbegin()->second));
  CHECK(series("firing").size() == 1);
  const auto for_state = f.memory.SamplesOf(Labels{{kMetricName, "ALERTS_FOR_STATE"},
                                                   {"alertname", "Down"},
                                                   {"instance", "a"},
                                                   {"severity", "page"}});
  REQUIRE(for_state.size() == 3);
  CHECK(for_state.rbegin()->second == absl::ToUnixSeconds(kStart + absl::Minutes(1)));

  // A minute later the delay is not over; then it is.
  Write(&f, Up("a"), 4, 0);
  REQUIRE(EvaluateAt(&f, &group, 4).ok());
  CHECK(f.TakeSent().empty());
  REQUIRE(EvaluateAt(&f, &group, 5).ok());
  CHECK(f.TakeSent().size() == 1);

  Write(&f, Up("a"), 6, 1);
  REQUIRE(EvaluateAt(&f, &group, 6).ok());
  CHECK(rule.state() == AlertState::kInactive);
  CHECK(rule.alerts().empty());
  sent = f.TakeSent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].ends_at == kStart + absl::Minutes(6));
  CHECK(IsStale(series("firing").rbegin()->second));

  // Resolved alerts are repeated for a quarter of an hour.
  int repeats = 0;
  for (int minute = 7; minute < 40; ++minute) {
    Write(&f, Up("a"), minute, 1);
    REQUIRE(EvaluateAt(&f, &group, minute).ok());
    repeats += static_cast<int>(f.TakeSent().size());
  }
  CHECK(repeats == 7);

  // And when it comes back it begins anew.
  Write(&f, Up("a"), 40, 0);
  REQUIRE(EvaluateAt(&f, &group, 40).ok());
  CHECK(rule.state() == AlertState::kPending);
}

TEST_CASE("keep_firing_for holds an alert after its condition has ended") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Group group(
      NewGroup({Alerting("Down", "up == 0", absl::ZeroDuration(), {}, {}, absl::Minutes(3))}),
      &f.environment, true);
  AlertingRule& rule = Alert0(&group);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  CHECK(rule.state() == AlertState::kFiring);
  for (int minute = 2; minute <= 4; ++minute) {
    Write(&f, Up("a"), minute, 1);
    REQUIRE(EvaluateAt(&f, &group, minute).ok());
    CHECK(rule.state() == AlertState::kFiring);
    CHECK(rule.alerts()[0].keep_firing_since == kStart + absl::Minutes(2));
  }
  SECTION("It ends") {
    Write(&f, Up("a"), 5, 1);
    REQUIRE(EvaluateAt(&f, &group, 5).ok());
    CHECK(rule.state() == AlertState::kInactive);
  }
  SECTION("The condition comes back") {
    Write(&f, Up("a"), 5, 0);
    REQUIRE(EvaluateAt(&f, &group, 5).ok());
    CHECK(rule.alerts()[0].keep_firing_since == absl::InfinitePast());
    CHECK(rule.alerts()[0].fired_at == kStart + absl::Minutes(1));
  }
}

TEST_CASE("Alerts whose labels come out equal are an error") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Write(&f, Up("b"), 0, 0);
  Group group(NewGroup({Alerting("Down", "up == 0", absl::ZeroDuration(), {{"instance", ""}})}),
              &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  CHECK(group.rules()[0]->status().last_error ==
        "vector contains metrics with the same labelset after applying alert labels");
}

TEST_CASE("Templates ask the engine, and one that fails shows why in its place") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Group group(NewGroup({Alerting("Down", "up == 0", absl::ZeroDuration(), {},
                                 {{"bad", "{{ query \"(\" }}"},
                                  {"count",
                                   "{{ with query \"count(up)\" }}{{ . | first | value "
                                   "}}{{ end }}"},
                                  {"value", "{{ printf \"%.1f\" $value }} {{ $externalURL }}"}})}),
              &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  const Labels annotations = Alert0(&group).alerts().at(0).annotations;
  CHECK(annotations.Get("count") == "1");
  CHECK(annotations.Get("value") == "0.0 http://q");
  CHECK(annotations.Get("bad").substr(0, 27) == "<error expanding template: ");
}

TEST_CASE("While storage is away firing alerts are sent again with a new end") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Group group(NewGroup({Alerting("Down", "up == 0", absl::ZeroDuration()),
                        Alerting("Waits", "up == 0", absl::Minutes(50))}),
              &f.environment, true);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  CHECK(f.TakeSent().size() == 1);
  for (const absl::Status& away :
       {absl::UnavailableError("storage x: down"), absl::DeadlineExceededError("too slow")}) {
    f.storage.Fail(away);
    const int from = absl::IsUnavailable(away) ? 2 : 10;
    int sent = 0;
    for (int minute = from; minute < from + 8; ++minute) {
      CHECK(EvaluateAt(&f, &group, minute) == away);
      for (const Alert& alert : f.TakeSent()) {
        ++sent;
        CHECK(alert.labels.Get("alertname") == "Down");
        CHECK(alert.starts_at == kStart + absl::Minutes(1));
        CHECK(alert.ends_at == kStart + absl::Minutes(minute + 4));
      }
      CHECK(Alert0(&group).state() == AlertState::kFiring);
    }
    CHECK(sent == 4);
  }
  // What is wrong with the rule itself is not an outage.
  f.storage.Fail(absl::ResourceExhaustedError("too many samples"));
  CHECK(EvaluateAt(&f, &group, 20).ok());
  CHECK(f.TakeSent().empty());
}

// The alert `Down` with the given `for`, restored at minute 61 from what was written until
// `down_minute`: when it now counts as active since.
absl::Time RestoredActiveAt(absl::Duration hold, int active_minute, int down_minute, bool stale) {
  RulesFixture f;
  const Labels state{{kMetricName, "ALERTS_FOR_STATE"}, {"alertname", "Down"}, {"instance", "a"}};
  for (int minute = active_minute; minute <= down_minute; ++minute) {
    Write(&f, state, minute,
          static_cast<double>(absl::ToUnixSeconds(kStart + absl::Minutes(active_minute))));
  }
  if (stale) Write(&f, state, down_minute + 1, StaleNan());
  Write(&f, Up("a"), 59, 0);
  Write(&f, Up("a"), 61, 0);
  Group group(NewGroup({Alerting("Down", "up == 0", hold)}), &f.environment, false);
  REQUIRE(EvaluateAt(&f, &group, 60).ok());
  CHECK_FALSE(Alert0(&group).restored());
  REQUIRE(EvaluateAt(&f, &group, 61).ok());
  CHECK(Alert0(&group).restored());
  // Nothing was written before that.
  CHECK(f.memory.SamplesOf(state).rbegin()->first <= ToTimestamp(kStart + absl::Minutes(60)));
  const absl::Time active_at = Alert0(&group).alerts().at(0).active_at;
  REQUIRE(EvaluateAt(&f, &group, 62).ok());
  CHECK(f.memory.SamplesOf(state).rbegin()->second ==
        static_cast<double>(absl::ToUnixSeconds(active_at)));
  return active_at;
}

TEST_CASE("The state of alerts from before a restart is restored after the second evaluation") {
  const auto minute = [](int m) { return kStart + absl::Minutes(m); };
  // Was pending for 20 of 40 minutes and away for 21: it counts as active since then, shifted.
  CHECK(RestoredActiveAt(absl::Minutes(40), 20, 40, false) == minute(41));
  // Was firing: stays as it was.
  CHECK(RestoredActiveAt(absl::Minutes(15), 20, 40, false) == minute(20));
  // Five minutes were left, less than the grace period.
  CHECK(RestoredActiveAt(absl::Minutes(25), 20, 40, false) == minute(61 + 10 - 25));
  // Ended before; too old; too short to be restored.
  CHECK(RestoredActiveAt(absl::Minutes(40), 20, 40, true) == minute(60));
  CHECK(RestoredActiveAt(absl::Minutes(9), 20, 40, false) == minute(60));
}

TEST_CASE("Restoring waits for storage to come back") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Write(&f, Labels{{kMetricName, "ALERTS_FOR_STATE"}, {"alertname", "Down"}, {"instance", "a"}}, 0,
        static_cast<double>(absl::ToUnixSeconds(kStart - absl::Minutes(30))));
  Group group(NewGroup({Alerting("Down", "up == 0", absl::Minutes(20))}), &f.environment, false);
  REQUIRE(EvaluateAt(&f, &group, 1).ok());
  f.storage.Fail(absl::UnavailableError("away"));
  CHECK_FALSE(EvaluateAt(&f, &group, 2).ok());
  CHECK_FALSE(Alert0(&group).restored());
  f.storage.Fail(absl::OkStatus());
  REQUIRE(EvaluateAt(&f, &group, 3).ok());
  CHECK(Alert0(&group).restored());
  REQUIRE(EvaluateAt(&f, &group, 4).ok());
  CHECK(Alert0(&group).state() == AlertState::kFiring);
}

TEST_CASE("A changed group goes on with the alerts and series of its unchanged rules") {
  RulesFixture f;
  Write(&f, Up("a"), 0, 0);
  Group old_group(NewGroup({Alerting("Down", "up == 0", absl::Minutes(5)), Recording("gone", "up"),
                            Recording("kept", "up")}),
                  &f.environment, true);
  REQUIRE(EvaluateAt(&f, &old_group, 1).ok());
  Group new_group(
      NewGroup({Recording("kept", "up < 0"), Alerting("Down", "up <= 0", absl::Minutes(5)),
                Alerting("Other", "up == 0", absl::Minutes(5))}),
      &f.environment, true);
  new_group.CopyStateFrom(old_group);
  CHECK(new_group.last_evaluation() == kStart + absl::Minutes(1));
  REQUIRE(EvaluateAt(&f, &new_group, 2).ok());
  const auto& down = static_cast<AlertingRule&>(*new_group.rules()[1]);
  CHECK(down.alerts().at(0).active_at == kStart + absl::Minutes(1));
  const auto& other = static_cast<AlertingRule&>(*new_group.rules()[2]);
  CHECK(other.alerts().at(0).active_at == kStart + absl::Minutes(2));
  // "kept" gives nothing any more and "gone" is gone: both series end.
  for (const std::string_view name : {"kept", "gone"}) {
    const auto samples = f.memory.SamplesOf(Labels{{kMetricName, name}, {"instance", "a"}});
    REQUIRE(samples.size() == 2);
    CHECK(IsStale(samples.rbegin()->second));
  }
}

TEST_CASE("Slots are an interval apart, keep their place, and differ between groups") {
  RulesFixture f;
  GroupDefinition definition = NewGroup({}, absl::Seconds(60));
  Group group(definition, &f.environment, true);
  const absl::Time first = group.SlotAtOrBefore(kStart);
  CHECK(first <= kStart);
  CHECK(kStart - first < absl::Seconds(60));
  CHECK(group.SlotAtOrBefore(first) == first);
  CHECK(group.SlotAtOrBefore(first + absl::Seconds(59)) == first);
  CHECK(group.SlotAtOrBefore(first + absl::Seconds(60)) == first + absl::Seconds(60));
  std::map<int64_t, int> seconds;
  for (int i = 0; i < 200; ++i) {
    definition.name = StrCat("group ", i);
    Group other(definition, &f.environment, true);
    ++seconds[absl::ToUnixSeconds(other.SlotAtOrBefore(kStart)) % 60 / 6];
  }
  CHECK(seconds.size() == 10);
  for (const auto& [part, count] : seconds) CHECK(count < 50);
}

TEST_CASE("A group tells what it does in the metrics of the mixin") {
  RulesFixture f;
  Group group(NewGroup({Recording("a", "up"), Recording("b", "vector(1)")}), &f.environment, true);
  f.storage.Fail(absl::InternalError("broken"));
  REQUIRE(group.Evaluate(kStart, 3, Labels(), nullptr).ok());
  std::map<std::string, double> values;
  for (const metrics::CollectedFamily& family : f.registry.Collect()) {
    for (const metrics::CollectedSample& sample : family.samples) {
      if (!sample.labels.empty() && sample.labels[0].second == "rules.yml;group") {
        values[sample.name] = sample.value;
      }
    }
  }
  CHECK(values["prometheus_rule_evaluations_total"] == 2);
  CHECK(values["prometheus_rule_evaluation_failures_total"] == 1);
  CHECK(values["prometheus_rule_group_iterations_total"] == 4);
  CHECK(values["prometheus_rule_group_iterations_missed_total"] == 3);
  CHECK(values["prometheus_rule_group_rules"] == 2);
  CHECK(values["prometheus_rule_group_interval_seconds"] == 60);
  CHECK(values["prometheus_rule_group_last_evaluation_samples"] == 1);
  CHECK(values["prometheus_rule_group_last_evaluation_timestamp_seconds"] == 1.7e9);
  Group::RemoveMetrics(&f.registry, "rules.yml;group");
  for (const metrics::CollectedFamily& family : f.registry.Collect()) {
    for (const metrics::CollectedSample& sample : family.samples) {
      for (const auto& [name, value] : sample.labels) CHECK(value != "rules.yml;group");
    }
  }
}

}  // namespace
}  // namespace narthex::rules
