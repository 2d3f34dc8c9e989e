#include "services/scraper/scrape/schedule.h"

#include <atomic>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "tests/support/fake_clock.h"

namespace narthex::scrape {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

TEST_CASE("first ticks lie within one interval, at a place that depends on the hash alone") {
  const absl::Duration interval = absl::Seconds(15);
  for (uint64_t hash : {uint64_t{0}, uint64_t{1}, uint64_t{12345678901234567}, ~uint64_t{0}}) {
    const absl::Time tick = FirstTick(kStart, interval, hash);
    CHECK(tick >= kStart);
    CHECK(tick - kStart < interval);
    // Whenever the scraper starts, the ticks are the same.
    const absl::Time later = FirstTick(kStart + absl::Seconds(100), interval, hash);
    absl::Duration rest;
    absl::IDivDuration(later - tick, interval, &rest);
    CHECK(rest == absl::ZeroDuration());
    CHECK(FirstTick(tick, interval, hash) == tick);
  }
}

TEST_CASE("many targets spread evenly over the interval") {
  std::vector<int> buckets(10);
  const absl::Duration interval = absl::Seconds(10);
  for (uint64_t i = 0; i < 10000; ++i) {
    const absl::Time tick = FirstTick(kStart, interval, i * 0x9e3779b97f4a7c15);
    ++buckets[static_cast<size_t>((tick - kStart) / absl::Seconds(1))];
  }
  for (const int count : buckets) CHECK((count > 800 && count < 1200));
}

TEST_CASE("ticks are steady, a late one is made up once, and a clock set back does not stop them") {
  struct Case {
    double now_seconds;  // Behind the tick.
    double next_seconds;
  };
  const std::vector<Case> cases = {
      {0.1, 10}, {9.9, 10}, {10, 10},   {10.5, 10},   {19.9, 10},   {20, 20},     {25, 20},
      {35, 30},  {-5, 10},  {-9.9, 10}, {-100, -100}, {-104, -100}, {3600, 3600}, {3605, 3600},
  };
  for (const Case& c : cases) {
    INFO("now " << c.now_seconds);
    CHECK(NextTick(kStart, kStart + absl::Seconds(c.now_seconds), absl::Seconds(10)) ==
          kStart + absl::Seconds(c.next_seconds));
  }
}

TEST_CASE("a scrape close to its tick carries the tick as its timestamp") {
  struct Case {
    absl::Duration late;
    absl::Duration interval;
    bool aligned;
  };
  const std::vector<Case> cases = {
      {absl::ZeroDuration(), absl::Seconds(10), true},
      {absl::Milliseconds(2), absl::Seconds(10), true},
      {absl::Milliseconds(3), absl::Seconds(10), false},
      {absl::Milliseconds(2), absl::Milliseconds(100), false},  // 1 % is 1 ms.
      {absl::Milliseconds(1), absl::Milliseconds(100), true},
      {absl::Milliseconds(-1), absl::Seconds(10), false},
  };
  for (const Case& c : cases) {
    const Timestamp tick = ToTimestamp(kStart);
    CHECK(AlignTimestamp(kStart, kStart + c.late, c.interval, {}) ==
          (c.aligned ? tick : tick + absl::ToInt64Milliseconds(c.late)));
  }
  TimestampAlignment off;
  off.enabled = false;
  CHECK(AlignTimestamp(kStart, kStart + absl::Milliseconds(1), absl::Seconds(10), off) ==
        ToTimestamp(kStart) + 1);
}

TEST_CASE("tasks run in order of time, and those of one time in order of arrival") {
  FakeClock clock;
  Schedule schedule(&clock);
  Mutex mu;
  CondVar changed;
  std::string ran;
  const auto task = [&](char name) {
    return [&, name] {
      MutexLock lock(&mu);
      ran.push_back(name);
      changed.SignalAll();
    };
  };
  schedule.Start();
  const absl::Time now = clock.Now();
  schedule.At(now + absl::Seconds(3), task('d'));
  schedule.At(now + absl::Seconds(1), task('a'));
  schedule.At(now + absl::Seconds(2), task('b'));
  schedule.At(now + absl::Seconds(2), task('c'));
  const auto wait_for = [&](size_t count) {
    MutexLock lock(&mu);
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    while (ran.size() < count && RealClock()->Monotonic() < deadline) {
      changed.WaitWithTimeout(&mu, absl::Milliseconds(50));
    }
    return ran;
  };
  REQUIRE(clock.WaitForWaiters(1));
  clock.Advance(absl::Milliseconds(999));
  CHECK(schedule.waiting() == 4);
  clock.Advance(absl::Milliseconds(1));
  CHECK(wait_for(1) == "a");
  clock.Advance(absl::Seconds(1));
  CHECK(wait_for(3) == "abc");
  clock.Advance(absl::Seconds(60));
  CHECK(wait_for(4) == "abcd");
}

TEST_CASE("tasks may schedule tasks, and Stop drops what waits") {
  FakeClock clock;
  std::atomic<int> runs = 0;
  {
    Schedule schedule(&clock);
    schedule.Start();
    std::function<void()> again = [&] {
      if (++runs < 5) schedule.At(clock.Now(), again);
    };
    schedule.At(clock.Now(), again);
    const absl::Duration deadline = RealClock()->Monotonic() + absl::Seconds(10);
    while (runs < 5 && RealClock()->Monotonic() < deadline) {
    }
    CHECK(runs == 5);
    schedule.At(clock.Now() + absl::Hours(1), [&] { runs = 100; });
    schedule.Stop();
    CHECK(schedule.waiting() == 0);
    schedule.At(clock.Now(), [&] { runs = 100; });
  }
  CHECK(runs == 5);
}

}  // namespace
}  // namespace narthex::scrape
