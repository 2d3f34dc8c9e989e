#include "services/query/notifier/notifier.h"

#include "catch2/catch.hpp"
#include "lib/base/regex.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "services/query/notifier/alert_queue.h"
#include "tests/support/fake_clock.h"

namespace narthex::notifier {
namespace {

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

// What an Alertmanager of the test has got. Outlives the clients of it.
struct Inbox {
  Mutex mu;
  std::vector<std::vector<Alert>> messages ABSL_GUARDED_BY(mu);
  absl::Status answer ABSL_GUARDED_BY(mu);
  bool hold ABSL_GUARDED_BY(mu) = false;  // Post() waits.
  std::atomic<int> connections{0};

  size_t alerts() {
    MutexLock lock(&mu);
    size_t count = 0;
    for (const std::vector<Alert>& message : messages) count += message.size();
    return count;
  }
  void Hold(bool value) {
    MutexLock lock(&mu);
    hold = value;
  }
};

class InboxClient : public AlertmanagerClient {
 public:
  explicit InboxClient(Inbox* inbox) : inbox_(inbox) { ++inbox->connections; }
  absl::Status Post(std::span<const Alert> alerts) override {
    StopSignal never;
    while (true) {
      {
        MutexLock lock(&inbox_->mu);
        if (!inbox_->hold) {
          inbox_->messages.emplace_back(alerts.begin(), alerts.end());
          return inbox_->answer;
        }
      }
      never.WaitFor(absl::Milliseconds(1));
    }
  }

 private:
  Inbox* const inbox_;
};

AlertmanagerEndpoint Endpoint(std::string url, Inbox* inbox, std::string key = "") {
  return {url, url + key, [inbox] { return std::make_unique<InboxClient>(inbox); }};
}

std::vector<Alert> Alerts(int count, const Labels& labels = {}) {
  std::vector<Alert> alerts;
  for (int i = 0; i < count; ++i) {
    Alert alert;
    alert.labels = labels.empty() ? Labels{{"alertname", StrCat("a", i)}} : labels;
    alerts.push_back(alert);
  }
  return alerts;
}

double Value(metrics::Registry* registry, std::string_view name, std::string_view url = "") {
  for (const metrics::CollectedFamily& family : registry->Collect()) {
    for (const metrics::CollectedSample& sample : family.samples) {
      if (sample.name == name && (url.empty() || sample.labels.at(0).second == url)) {
        return sample.value;
      }
    }
  }
  return -1;
}

relabel::RelabelConfig Drop(std::string_view label, std::string_view regex) {
  relabel::RelabelConfig config;
  config.source_labels = {std::string(label)};
  config.regex = Regex::Compile(regex).value();
  config.action = relabel::Action::kDrop;
  return config;
}

struct Fixture {
  FakeClock clock;
  metrics::Registry registry;
};

TEST_CASE("The queue drops the oldest alerts when it is full, and runs out after it is closed") {
  AlertQueue queue(3);
  CHECK(queue.Push(Alerts(2)) == 0);
  CHECK(queue.Push(Alerts(3)) == 2);
  CHECK(queue.size() == 3);
  CHECK(queue.Push(Alerts(5)) == 5);
  std::vector<Alert> batch = queue.PopBatch(2);
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].labels.Get("alertname") == "a2");
  queue.Close();
  CHECK(queue.Push(Alerts(1)) == 1);
  CHECK(queue.PopBatch(2).size() == 1);
  CHECK(queue.PopBatch(2).empty());
  AlertQueue other(3);
  other.Push(Alerts(2));
  CHECK(other.Clear() == 2);
}

TEST_CASE("Every Alertmanager gets every alert, in batches") {
  Fixture f;
  Inbox a;
  Inbox b;
  NotifierOptions options;
  options.batch_size = 10;
  Notifier notifier(options, &f.clock, Logger(), &f.registry);
  notifier.SetAlertmanagers(
      {{{}, {Endpoint("http://a", &a)}, {"http://dropped"}}, {{}, {Endpoint("http://b", &b)}, {}}});
  CHECK(notifier.active_urls() == std::vector<std::string>{"http://a", "http://b"});
  CHECK(notifier.dropped_urls() == std::vector<std::string>{"http://dropped"});
  CHECK(Value(&f.registry, "prometheus_notifications_alertmanagers_discovered") == 2);
  a.Hold(true);
  notifier.Send(Alerts(1));
  notifier.Send(Alerts(24));
  REQUIRE(Eventually([&] { return b.alerts() == 25; }));  // One that hangs does not hold the other.
  CHECK(a.alerts() == 0);
  a.Hold(false);
  REQUIRE(Eventually([&] { return a.alerts() == 25; }));
  {
    MutexLock lock(&a.mu);
    for (const auto& message : a.messages) CHECK(message.size() <= 10);
  }
  REQUIRE(Eventually(
      [&] { return Value(&f.registry, "prometheus_notifications_sent_total", "http://a") == 25; }));
  CHECK(Value(&f.registry, "prometheus_notifications_queue_capacity", "http://a") == 10'000);
  CHECK(Value(&f.registry, "prometheus_notifications_queue_length", "http://a") == 0);
}

TEST_CASE("External labels are added where an alert lacks them, before relabelling") {
  Fixture f;
  Inbox a;
  Inbox b;
  Notifier notifier(NotifierOptions(), &f.clock, Logger(), &f.registry);
  notifier.SetRelabelling(Labels{{"region", "eu"}, {"replica", "1"}},
                          {Drop("alertname", "Ignored")});
  notifier.SetAlertmanagers({{{Drop("severity", "info")}, {Endpoint("http://a", &a)}, {}},
                             {{}, {Endpoint("http://b", &b)}, {}}});
  notifier.Send(Alerts(1, Labels{{"alertname", "Ignored"}}));
  notifier.Send(Alerts(1, Labels{{"alertname", "x"}, {"severity", "info"}}));
  notifier.Send(Alerts(1, Labels{{"alertname", "y"}, {"region", "us"}}));
  REQUIRE(Eventually([&] { return b.alerts() == 2 && a.alerts() == 1; }));
  notifier.Stop();
  MutexLock lock(&a.mu);
  CHECK(a.messages.at(0).at(0).labels ==
        Labels{{"alertname", "y"}, {"region", "us"}, {"replica", "1"}});
}

TEST_CASE("An Alertmanager that fails is counted and logged, and loses only that message") {
  Fixture f;
  std::vector<std::string> lines;
  Inbox a;
  {
    MutexLock lock(&a.mu);
    a.answer = absl::UnavailableError("connection refused");
  }
  Notifier notifier(NotifierOptions(), &f.clock, Logger::ToLines(&lines), &f.registry);
  notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a)}, {}}});
  notifier.Send(Alerts(3));
  REQUIRE(Eventually([&] {
    return Value(&f.registry, "prometheus_notifications_dropped_total", "http://a") == 3;
  }));
  {
    MutexLock lock(&a.mu);
    a.answer = absl::OkStatus();
  }
  notifier.Send(Alerts(2));
  REQUIRE(Eventually(
      [&] { return Value(&f.registry, "prometheus_notifications_sent_total", "http://a") == 5; }));
  CHECK(Value(&f.registry, "prometheus_notifications_errors_total", "http://a") == 3);
  CHECK(Value(&f.registry, "prometheus_notifications_dropped_total", "http://a") == 3);
  notifier.Stop();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("connection refused") != std::string::npos);
}

TEST_CASE("A new list of Alertmanagers keeps the connections of those that stay") {
  Fixture f;
  Inbox a;
  Inbox b;
  Notifier notifier(NotifierOptions(), &f.clock, Logger(), &f.registry);
  notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a), Endpoint("http://b", &b)}, {}}});
  notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a)}, {}}});
  CHECK(a.connections == 1);
  CHECK(Value(&f.registry, "prometheus_notifications_sent_total", "http://b") == -1);
  // Other settings are another connection, under the same name.
  notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a, "changed")}, {}}});
  CHECK(a.connections == 2);
  notifier.Send(Alerts(1));
  REQUIRE(Eventually([&] { return a.alerts() == 1; }));
  REQUIRE(Eventually(
      [&] { return Value(&f.registry, "prometheus_notifications_sent_total", "http://a") == 1; }));
}

TEST_CASE("Stopping sends what is queued, as long as that may take") {
  Fixture f;
  Inbox a;
  NotifierOptions options;
  options.batch_size = 1;
  SECTION("drained") {
    Notifier notifier(options, &f.clock, Logger(), &f.registry);
    notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a)}, {}}});
    notifier.Send(Alerts(50));
    notifier.Stop();
    CHECK(a.alerts() == 50);
    notifier.Send(Alerts(1));  // Too late, and harmless.
    CHECK(a.alerts() == 50);
  }
  SECTION("not drained") {
    options.drain_on_stop = false;
    Notifier notifier(options, &f.clock, Logger(), &f.registry);
    notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a)}, {}}});
    a.Hold(true);
    notifier.Send(Alerts(50));
    Thread release("release", [&] {
      StopSignal never;
      never.WaitFor(absl::Milliseconds(50));
      a.Hold(false);
    });
    notifier.Stop();
    CHECK(a.alerts() <= 1);
  }
  SECTION("too slow") {
    options.drain_timeout = absl::Milliseconds(50);
    Notifier notifier(options, &f.clock, Logger(), &f.registry);
    notifier.SetAlertmanagers({{{}, {Endpoint("http://a", &a)}, {}}});
    a.Hold(true);
    notifier.Send(Alerts(50));
    Thread release("release", [&] {
      StopSignal never;
      never.WaitFor(absl::Milliseconds(300));
      a.Hold(false);
    });
    notifier.Stop();
    CHECK(a.alerts() == 1);
    CHECK(Value(&f.registry, "prometheus_notifications_dropped_total", "http://a") == 49);
  }
}

}  // namespace
}  // namespace narthex::notifier
