#include "services/alertmanager/dispatch/dispatcher.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/alertmanager/alerts/matchers.h"
#include "services/alertmanager/inhibit/inhibitor.h"
#include "services/alertmanager/silence/silences.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/services/alertmanager/recording_integration.h"

// Upstream's acceptance scenarios and our own, in virtual time: every timer fires at its second, in
// one thread.
namespace narthex::dispatch {
namespace {

using notify::Permanent;
using notify::RecordingIntegration;
using notify::Retriable;
using Texts = std::vector<std::string>;

std::vector<Matcher> Matchers(std::string_view text) {
  const auto matchers = alerts::ParseMatchers(text, alerts::MatcherMode::kFallback, nullptr);
  REQUIRE(matchers.ok());
  return *matchers;
}

// A store, a dispatcher and everything between, without threads.
class World {
 public:
  World() {
    nflog::NotificationLogOptions options;
    log_ = *nflog::NotificationLog::Open(options, nullptr, &clock_, Logger(), &registry_);
    silences_ = *silence::Silences::Open({}, nullptr, &clock_, Logger(), &registry_);
    root.receiver = "r";
    root.group_wait = absl::Seconds(1);
    root.group_interval = absl::Seconds(1);
    root.repeat_interval = absl::Hours(4);
  }
  ~World() { StopDispatcher(); }

  RecordingIntegration* AddReceiver(const std::string& name, bool send_resolved = true) {
    specs_.emplace_back(name, send_resolved);
    return recorders_.emplace(name, std::make_unique<RecordingIntegration>(&clock_))
        .first->second.get();
  }

  // Hands calls on to the recorder that outlives reloads.
  class Forward : public notify::Integration {
   public:
    explicit Forward(RecordingIntegration* to) : to_(to) {}
    void Notify(const notify::Notification& notification, notify::Reason reason,
                const std::vector<alerts::AlertPtr>& alerts,
                std::function<void(notify::Outcome)> done) override {
      to_->Notify(notification, reason, alerts, std::move(done));
    }

   private:
    RecordingIntegration* const to_;
  };

  void StopDispatcher() {
    if (dispatcher == nullptr) return;
    store.RemoveListener(dispatcher.get());
    store.RemoveListener(inhibitor.get());
    dispatcher->Stop(absl::ZeroDuration());
  }

  // Builds everything anew, as a reload does.
  void Load(absl::Duration start_delay = absl::ZeroDuration()) {
    StopDispatcher();
    inhibitor = std::make_shared<inhibit::Inhibitor>(rules, &clock_);
    notify::PipelineEnv env;
    env.clock = &clock_;
    env.timers = &timers_;
    env.log = log_.get();
    env.metrics = &metrics_;
    env.executor = [](std::function<void()> task) { task(); };
    const std::vector<std::shared_ptr<notify::Stage>> stages = {
        std::make_shared<notify::MuteStage>(
            [inhibitor = inhibitor](const Labels& labels) {
              return !inhibitor->InhibitedBy(labels).empty();
            },
            metrics_.Suppressed("inhibition")),
        std::make_shared<notify::IntervalStage>(std::make_shared<notify::NamedIntervals>(intervals),
                                                metrics_.Suppressed("mute_time_interval"),
                                                metrics_.Suppressed("active_time_interval")),
        std::make_shared<notify::MuteStage>(
            [this](const Labels& labels) { return !silences_->SilencedBy(labels).empty(); },
            metrics_.Suppressed("silence"))};
    std::map<std::string, std::vector<notify::Slot>> slots;
    for (const auto& [name, send_resolved] : specs_) {
      const std::string receiver = name.substr(0, name.find('/'));
      notify::Slot slot;
      slot.kind = "webhook";
      slot.index = static_cast<uint32_t>(slots[receiver].size());
      slot.send_resolved = send_resolved;
      slot.integration = std::make_unique<Forward>(recorders_.at(name).get());
      slots[receiver].push_back(std::move(slot));
    }
    std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines;
    for (auto& [name, list] : slots) {
      pipelines[name] = std::make_shared<notify::Pipeline>(name, stages, std::move(list), env);
    }
    DispatcherEnv dispatcher_env;
    dispatcher_env.clock = &clock_;
    dispatcher_env.timers = &timers_;
    dispatcher_env.executor = env.executor;
    dispatcher_env.groups = groups;
    dispatcher_env.processing_duration = registry_.AddSummary("d", "d", {});
    dispatcher = std::make_unique<Dispatcher>(Route::Build(root), std::move(pipelines),
                                              dispatcher_env, clock_.Now() + start_delay);
    store.AddListener(inhibitor.get());
    store.AddListener(dispatcher.get());
  }

  // Runs every timer up to second `second` since the beginning, each at its own time.
  void RunTo(double second) {
    const absl::Time until = start + absl::Seconds(second);
    while (timers_.next() <= until) {
      if (timers_.next() > clock_.Now()) clock_.Advance(timers_.next() - clock_.Now());
      timers_.RunDue();
    }
    if (until > clock_.Now()) clock_.Advance(until - clock_.Now());
  }

  // Posts an alert: seconds since the beginning; `end` < 0 is not said (an hour, as a soft end).
  void Post(const std::string& id, double begin, double end = -1,
            std::vector<std::pair<std::string, std::string>> labels = {}) {
    alerts::Alert alert;
    labels.emplace_back("id", id);
    alert.labels = Labels::FromPairs(std::move(labels));
    alert.starts_at = start + absl::Seconds(begin);
    alert.ends_at = end < 0 ? clock_.Now() + absl::Hours(1) : start + absl::Seconds(end);
    alert.timeout = end < 0;
    alert.updated_at = clock_.Now();
    store.Put({alert});
  }

  FakeClock clock_;
  const absl::Time start = clock_.Now();
  metrics::Registry registry_;
  notify::NotifyMetrics metrics_{&registry_};
  metrics::Gauge* const groups = registry_.AddGauge("groups", "g");
  notify::TimerQueue timers_{&clock_};
  std::unique_ptr<nflog::NotificationLog> log_;
  std::unique_ptr<silence::Silences> silences_;
  RouteSpec root;
  std::vector<inhibit::Rule> rules;
  notify::NamedIntervals intervals;
  alerts::AlertStore store{&clock_, {}};
  std::shared_ptr<inhibit::Inhibitor> inhibitor;
  std::unique_ptr<Dispatcher> dispatcher;

 private:
  std::vector<std::pair<std::string, bool>> specs_;
  std::map<std::string, std::unique_ptr<RecordingIntegration>> recorders_;
};

TEST_CASE("a group is notified after group_wait, repeated, and told as resolved") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.repeat_interval = absl::Milliseconds(1);
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.RunTo(3.5);
  world.Post("a", 1, 3.5);
  world.RunTo(10);
  CHECK(r->Texts() == Texts{"2: first notification +a", "3: repeat interval elapsed +a",
                            "4: all alerts resolved -a"});
  CHECK(world.groups->Value() == 0);
}

TEST_CASE("alerts that come later join the next flush, and repeats wait for their interval") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.repeat_interval = absl::Seconds(4.9);
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.Post("b", 1);
  world.RunTo(3.1);
  for (const char* id : {"c", "d", "e"}) world.Post(id, 3);
  world.RunTo(10);
  CHECK(r->Texts() == Texts{"2: first notification +a +b", "4: new alerts added +a +b +c +d +e",
                            "9: repeat interval elapsed +a +b +c +d +e"});
}

TEST_CASE("an alert that fires and resolves inside group_wait is never told") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.Load();
  world.Post("a", 0, 0.5);
  world.RunTo(5);
  CHECK(r->calls.empty());
  CHECK(world.groups->Value() == 0);
}

TEST_CASE("a receiver that wants no resolved alerts gets none, and fires again as first") {
  World world;
  RecordingIntegration* told = world.AddReceiver("r/1");
  RecordingIntegration* spared = world.AddReceiver("r/2", false);
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.Post("b", 1);
  world.RunTo(3.5);
  world.Post("a", 1, 3.4);
  world.RunTo(5.5);
  world.Post("b", 1, 5.4);
  world.RunTo(8);
  world.Post("b", 8);
  world.RunTo(12);
  CHECK(told->Texts() == Texts{"2: first notification +a +b", "4: some alerts resolved +b -a",
                               "6: all alerts resolved -b", "9: first notification +b"});
  CHECK(spared->Texts() == Texts{"2: first notification +a +b", "9: first notification +b"});
}

TEST_CASE("one failing integration is tried again until the deadline and holds up nobody") {
  World world;
  world.root.group_interval = absl::Seconds(2);
  RecordingIntegration* good = world.AddReceiver("r/1");
  RecordingIntegration* bad = world.AddReceiver("r/2");
  bad->outcomes = {Retriable("503")};
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.RunTo(4.4);
  CHECK(good->Texts() == Texts{"2: first notification +a"});
  CHECK(bad->calls.size() >= 3);
  // The pauses grow by half and jitter by half.
  for (size_t i = 1; i < bad->calls.size() && i < 4; ++i) {
    const double pause = absl::ToDoubleSeconds(bad->calls[i].at - bad->calls[i - 1].at);
    double middle = 0.5;
    for (size_t j = 1; j < i; ++j) middle *= 1.5;
    CHECK(pause >= middle / 2);
    CHECK(pause <= middle * 3 / 2);
  }
  bad->outcomes = {notify::Outcome()};
  world.RunTo(8);
  const size_t calls = bad->calls.size();
  world.RunTo(12);
  CHECK(bad->calls.size() == calls);
  CHECK(good->Texts() == Texts{"2: first notification +a"});
}

TEST_CASE("a permanent error is not tried again in the same flush") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  r->outcomes = {Permanent("400"), notify::Outcome()};
  world.Load();
  world.Post("a", 0);
  world.RunTo(1.5);
  CHECK(r->calls.size() == 1);
  world.RunTo(5);
  CHECK(r->Texts() == Texts{"1: first notification +a", "2: first notification +a"});
}

TEST_CASE("resolved alerts stay in the group until somebody has been told") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.Load();
  world.Post("a", 0);
  world.RunTo(1.5);
  r->outcomes = {Permanent("no"), Permanent("no"), notify::Outcome()};
  world.Post("a", 0, 1.5);
  world.RunTo(6);
  CHECK(r->Texts() == Texts{"1: first notification +a", "2: all alerts resolved -a",
                            "3: all alerts resolved -a", "4: all alerts resolved -a"});
  CHECK(world.groups->Value() == 0);
}

TEST_CASE("a group never flushes twice at once") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  r->held = true;
  world.Load();
  world.Post("a", 0);
  world.RunTo(1.5);
  REQUIRE(r->waiting.size() == 1);
  world.Post("b", 1);
  world.RunTo(6);
  CHECK(r->calls.size() == 1);
  r->held = false;
  r->waiting[0](notify::Outcome());
  world.RunTo(6.5);
  // The flush that was due meanwhile comes at once.
  CHECK(r->Texts() == Texts{"1: first notification +a", "6: new alerts added +a +b"});
}

TEST_CASE("an alert that resolves and fires again during a flush stays firing") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.Load();
  world.Post("a", 0);
  world.RunTo(1.5);
  r->held = true;
  world.Post("a", 0, 1.6);
  world.RunTo(2.5);
  REQUIRE(r->waiting.size() == 1);
  world.Post("a", 2.4);
  r->held = false;
  r->waiting[0](notify::Outcome());
  world.RunTo(5);
  CHECK(r->Texts() ==
        Texts{"1: first notification +a", "2: all alerts resolved -a", "3: first notification +a"});
}

TEST_CASE("an alert that is older than group_wait flushes at once") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.group_wait = absl::Seconds(30);
  world.Load();
  world.RunTo(40);
  world.Post("a", 5);
  world.RunTo(41);
  CHECK(r->Texts() == Texts{"40: first notification +a"});
}

TEST_CASE("with a start delay nothing is told before it") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.group_interval = absl::Seconds(6);
  world.Load(absl::Seconds(5));
  world.RunTo(1);
  world.Post("a", -100);
  world.RunTo(4.9);
  CHECK(r->calls.empty());
  world.RunTo(20);
  CHECK(r->Texts() == Texts{"5: first notification +a"});
}

TEST_CASE("a reload starts groups anew and repeats nothing") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.group_interval = absl::Seconds(6);
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.RunTo(3);
  world.Load();
  world.RunTo(4);
  world.Post("b", 4);
  world.RunTo(20);
  CHECK(r->Texts() == Texts{"2: first notification +a", "9: new alerts added +a +b"});
}

TEST_CASE("after a reload an answer to the old configuration is recorded and not acted on") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  r->held = true;
  world.Load();
  world.Post("a", 0);
  world.RunTo(1.5);
  REQUIRE(r->waiting.size() == 1);
  r->held = false;
  auto answer = std::move(r->waiting[0]);
  r->waiting.clear();
  answer(notify::Outcome());
  world.Load();
  world.RunTo(5);
  CHECK(r->Texts() == Texts{"1: first notification +a"});
}

TEST_CASE("inhibited alerts are left out and come back when the source is gone") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.rules = {
      {"", Matchers("severity=\"critical\""), Matchers("severity=\"warning\""), {"job"}}};
  world.Load();
  const std::vector<std::pair<std::string, std::string>> warning = {{"severity", "warning"},
                                                                    {"job", "j"}};
  const std::vector<std::pair<std::string, std::string>> critical = {{"severity", "critical"},
                                                                     {"job", "j"}};
  world.RunTo(1);
  world.Post("target", 1, -1, warning);
  world.RunTo(2.2);
  world.Post("source", 2.2, -1, critical);
  world.RunTo(3.6);
  world.Post("source", 2.2, 3.6, critical);
  world.RunTo(4.5);
  CHECK(r->Texts() == Texts{"2: first notification +target", "3: new alerts added +source",
                            "4: new alerts added +target -source"});
}

TEST_CASE("silenced alerts are left out while the silence holds") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  world.root.repeat_interval = absl::Milliseconds(1);
  world.Load();
  world.RunTo(1);
  world.Post("a", 1);
  world.Post("b", 1);
  world.RunTo(2.5);
  silence::Silence silence;
  silence.matchers = Matchers("id=\"a\"");
  silence.starts_at = world.start + absl::Seconds(2.5);
  silence.ends_at = world.start + absl::Seconds(4.5);
  REQUIRE(world.silences_->Set(silence).ok());
  world.RunTo(5.5);
  CHECK(r->Texts() == Texts{"2: first notification +a +b", "3: repeat interval elapsed +b",
                            "4: repeat interval elapsed +b", "5: new alerts added +a +b"});
}

TEST_CASE("mute and active intervals hold notifications back") {
  World world;
  RecordingIntegration* r = world.AddReceiver("r");
  timeinterval::TimeInterval this_hour;
  const absl::CivilSecond now = absl::ToCivilSecond(world.start, absl::UTCTimeZone());
  const int minute = now.hour() * 60 + now.minute();
  this_hour.times = {{minute, minute + 1}};
  world.intervals["now"] = {this_hour};
  RouteSpec muted;
  muted.matchers = Matchers("kind=\"muted\"");
  muted.mute_time_intervals = {"now"};
  RouteSpec inactive;
  inactive.matchers = Matchers("kind=\"inactive\"");
  timeinterval::TimeInterval other_year;
  other_year.years = {{1999, 1999}};
  world.intervals["never"] = {other_year};
  inactive.active_time_intervals = {"never"};
  RouteSpec active;
  active.matchers = Matchers("kind=\"active\"");
  active.active_time_intervals = {"never", "now"};
  world.root.routes = {muted, inactive, active};
  world.Load();
  world.Post("a", 0, -1, {{"kind", "muted"}});
  world.Post("b", 0, -1, {{"kind", "inactive"}});
  world.Post("c", 0, -1, {{"kind", "active"}});
  world.RunTo(2);
  CHECK(r->Texts() == Texts{"1: first notification +c"});
  // The minute is over.
  world.RunTo(70);
  CHECK(r->calls.size() == 2);
  CHECK(r->calls[1].firing == Texts{"a"});
}

TEST_CASE("groups show their alerts, sorted by labels and receiver") {
  World world;
  world.AddReceiver("r");
  world.AddReceiver("s");
  world.root.has_group_by = true;
  world.root.group_by = {"job"};
  RouteSpec child;
  child.receiver = "s";
  child.continue_matching = true;
  child.matchers = Matchers("job=\"x\"");
  RouteSpec rest;
  world.root.routes = {child, rest};
  world.Load();
  world.Post("a", 0, -1, {{"job", "y"}});
  world.Post("b", 0, -1, {{"job", "x"}});
  world.Post("c", 0);
  const auto all = [](const auto&) { return true; };
  Texts shown;
  for (const GroupView& view : world.dispatcher->Groups(all, all)) {
    shown.push_back(
        StrCat(view.route->receiver(), alerts::LabelSetText(view.labels), view.alerts.size()));
  }
  CHECK(shown == Texts{"r{}1", "r{job=\"x\"}1", "s{job=\"x\"}1", "r{job=\"y\"}1"});
  CHECK(world.dispatcher->Groups(all, [](const alerts::Alert&) { return false; }).empty());
}

}  // namespace
}  // namespace narthex::dispatch
