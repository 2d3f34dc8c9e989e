#include "services/alertmanager/notify/pipeline.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/alertmanager/notify/webhook/webhook.h"
#include "tests/support/fake_clock.h"

namespace narthex::notify {
namespace {

TEST_CASE("what is told and why is upstream's table") {
  using Hashes = std::vector<uint64_t>;
  struct Row {
    const char* what;
    bool has_entry;
    Hashes entry_firing, entry_resolved;
    Hashes firing, resolved;
    bool send_resolved;
    double age;  // Of the entry, in seconds; repeats are due after 10.
    bool update;
    Reason reason;
  };
  const Row rows[] = {
      {"nothing known, nothing fires", false, {}, {}, {}, {1}, true, 0, false, Reason::kUnknown},
      {"nothing known, one fires", false, {}, {}, {1}, {}, true, 0, true, Reason::kFirst},
      {"fires again after all was resolved", true, {}, {1}, {1}, {}, true, 0, true, Reason::kFirst},
      {"a new one beside a known one",
       true,
       {1},
       {},
       {1, 2},
       {},
       true,
       0,
       true,
       Reason::kNewAlerts},
      {"all resolved", true, {1}, {}, {}, {1}, true, 0, true, Reason::kAllResolved},
      {"all resolved, even when not sent",
       true,
       {1},
       {},
       {},
       {1},
       false,
       0,
       true,
       Reason::kAllResolved},
      {"resolved and told already", true, {}, {1}, {}, {1}, true, 100, false, Reason::kUnknown},
      {"one of two resolved", true, {1, 2}, {}, {1}, {2}, true, 0, true, Reason::kSomeResolved},
      {"one of two resolved, not wanted",
       true,
       {1, 2},
       {},
       {1},
       {2},
       false,
       0,
       false,
       Reason::kUnknown},
      {"the same again, too early", true, {1}, {}, {1}, {}, true, 10, false, Reason::kUnknown},
      {"the same again, due", true, {1}, {}, {1}, {}, true, 10.001, true, Reason::kRepeat},
      {"fewer fire", true, {1, 2}, {}, {1}, {}, true, 5, false, Reason::kUnknown},
  };
  const absl::Time now = absl::FromUnixSeconds(1000);
  for (const Row& row : rows) {
    INFO(row.what);
    nflog::Entry entry;
    entry.firing_alerts = row.entry_firing;
    entry.resolved_alerts = row.entry_resolved;
    entry.timestamp = now - absl::Seconds(row.age);
    Reason reason = Reason::kUnknown;
    CHECK(NeedsUpdate(row.has_entry ? &entry : nullptr, {row.firing, row.resolved},
                      row.send_resolved, now, absl::Seconds(10), &reason) == row.update);
    CHECK(reason == row.reason);
  }
}

TEST_CASE("timers run in order of time, can be cancelled and may schedule more") {
  FakeClock clock;
  TimerQueue timers(&clock);
  const absl::Time start = clock.Now();
  std::string ran;
  timers.Schedule(start + absl::Seconds(2), [&](absl::Time) { ran += "b"; });
  timers.Schedule(start + absl::Seconds(1), [&](absl::Time now) {
    ran += "a";
    timers.Schedule(now, [&](absl::Time) { ran += "x"; });
  });
  const TimerQueue::Id cancelled =
      timers.Schedule(start + absl::Seconds(1), [&](absl::Time) { ran += "!"; });
  CHECK(timers.Cancel(cancelled));
  CHECK_FALSE(timers.Cancel(cancelled));
  CHECK(timers.RunDue() == 0);
  CHECK(timers.next() == start + absl::Seconds(1));
  clock.Advance(absl::Seconds(5));
  CHECK(timers.RunDue() == 3);
  CHECK(ran == "abx");
  CHECK(timers.next() == absl::InfiniteFuture());
}

TEST_CASE("the thread of the timers wakes for an earlier one and ends when told") {
  FakeClock clock;
  TimerQueue timers(&clock);
  timers.Start();
  Mutex mu;
  CondVar changed;
  int ran = 0;
  const auto count = [&](absl::Time) {
    MutexLock lock(&mu);
    ++ran;
    changed.SignalAll();
  };
  timers.Schedule(clock.Now() + absl::Hours(1), count);
  timers.Schedule(clock.Now() + absl::Seconds(1), count);
  REQUIRE(clock.WaitForWaiters(1));
  clock.Advance(absl::Seconds(1));
  {
    MutexLock lock(&mu);
    const absl::Time deadline = RealClock()->Now() + absl::Seconds(10);
    while (ran == 0 && RealClock()->Now() < deadline)
      changed.WaitWithTimeout(&mu, absl::Seconds(1));
    CHECK(ran == 1);
  }
  timers.Stop();
}

TEST_CASE("the payload of a webhook is upstream's bytes") {
  Notification notification;
  notification.receiver = "team.x (a)";
  notification.group_key = "{}:{alertname=\"A\"}";
  notification.group_labels = {{"alertname", "A"}};
  auto firing = std::make_shared<alerts::Alert>();
  firing->labels = {{"alertname", "A"}, {"job", "j"}, {"i", "1"}};
  firing->annotations = {{"s", "<x> & \"y\""}, {"t", "same"}};
  firing->starts_at = absl::FromUnixNanos(1'700'000'000'120'000'000);
  firing->generator_url = "http://g/?a=1&b=2";
  auto resolved = std::make_shared<alerts::Alert>(*firing);
  resolved->labels = {{"alertname", "A"}, {"job", "j"}, {"i", "2"}};
  resolved->annotations = {{"t", "same"}};
  resolved->ends_at = absl::FromUnixSeconds(1'700'000'060);
  const NotificationData data =
      MakeData(notification, Reason::kNewAlerts, {firing, resolved}, "http://am:9093");
  CHECK(WebhookPayload(data, notification.group_key, 3) ==
        "{\"receiver\":\"team\\\\.x \\\\(a\\\\)\",\"status\":\"firing\",\"alerts\":["
        "{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\",\"i\":\"1\",\"job\":\"j\"},"
        "\"annotations\":{\"s\":\"\\u003cx\\u003e \\u0026 \\\"y\\\"\",\"t\":\"same\"},"
        "\"startsAt\":\"2023-11-14T22:13:20.12Z\",\"endsAt\":\"0001-01-01T00:00:00Z\","
        "\"generatorURL\":\"http://g/?a=1\\u0026b=2\",\"fingerprint\":\"" +
            alerts::FingerprintText(firing->fingerprint()) +
            "\"},"
            "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"A\",\"i\":\"2\",\"job\":\"j\"},"
            "\"annotations\":{\"t\":\"same\"},"
            "\"startsAt\":\"2023-11-14T22:13:20.12Z\",\"endsAt\":\"2023-11-14T22:14:20Z\","
            "\"generatorURL\":\"http://g/?a=1\\u0026b=2\",\"fingerprint\":\"" +
            alerts::FingerprintText(resolved->fingerprint()) +
            "\"}],"
            "\"notification_reason\":\"new alerts added\",\"groupLabels\":{\"alertname\":\"A\"},"
            "\"commonLabels\":{\"alertname\":\"A\",\"job\":\"j\"},\"commonAnnotations\":{\"t\":"
            "\"same\"},"
            "\"routeLabels\":{},\"externalURL\":\"http://am:9093\",\"version\":\"4\","
            "\"groupKey\":\"{}:{alertname=\\\"A\\\"}\",\"truncatedAlerts\":3}\n");
}

TEST_CASE("answers are told apart by what is worth another attempt") {
  struct Row {
    int status;
    bool ok, retry;
    Failure failure;
  };
  const Row rows[] = {
      {200, true, false, Failure::kOther},       {204, true, false, Failure::kOther},
      {302, false, false, Failure::kOther},      {400, false, false, Failure::kClientError},
      {401, false, false, Failure::kAuthError},  {429, false, false, Failure::kRateLimited},
      {500, false, true, Failure::kServerError}, {503, false, true, Failure::kServerError},
  };
  for (const Row& row : rows) {
    INFO(row.status);
    http::ClientResponse response;
    response.status = row.status;
    response.body = " because\n";
    const Outcome outcome = OutcomeOf(response);
    CHECK(outcome.status.ok() == row.ok);
    CHECK(outcome.retry == row.retry);
    CHECK(outcome.failure == row.failure);
    if (!row.ok)
      CHECK(Message(outcome.status) == StrCat("unexpected status code ", row.status, ": because"));
  }
  CHECK(OutcomeOf(DeadlineExceeded("late")).failure == Failure::kContextDeadlineExceeded);
  CHECK(OutcomeOf(Unavailable("refused")).retry);
}

}  // namespace
}  // namespace narthex::notify
