#include <atomic>

#include "catch2/catch.hpp"
#include "lib/base/bounded_queue.h"
#include "lib/base/rate_limiter.h"
#include "lib/base/thread.h"
#include "lib/base/worker_pool.h"
#include "tests/support/fake_clock.h"

namespace narthex {
namespace {

TEST_CASE("A bounded queue refuses when full, keeps order, and ends when closed") {
  BoundedQueue<int> queue(2);
  CHECK(queue.TryPush(1));
  CHECK(queue.TryPush(2));
  CHECK(!queue.TryPush(3));
  CHECK(queue.Pop() == 1);
  queue.Close();
  CHECK(!queue.Push(4));
  CHECK(queue.Pop() == 2);
  CHECK(!queue.Pop().has_value());
  CHECK(!queue.PopFor(absl::Milliseconds(1)).has_value());
}

TEST_CASE("A worker pool runs everything that was submitted before it stops") {
  std::atomic<int> ran{0};
  {
    WorkerPool pool("test", 3, 4);
    for (int i = 0; i < 100; ++i) pool.Submit([&ran] { ++ran; });
  }
  CHECK(ran == 100);
}

TEST_CASE("A stop signal wakes those that wait") {
  StopSignal stop;
  CHECK(!stop.WaitFor(absl::Milliseconds(1)));
  Thread thread("waiter", [&stop] { CHECK(stop.WaitFor(absl::Seconds(60))); });
  stop.Set();
  thread.Join();
}

TEST_CASE("A fake clock wakes a waiter at its deadline and not before") {
  FakeClock clock;
  Mutex mu;
  CondVar cv;
  std::atomic<bool> reached{false};
  const absl::Time deadline = clock.Now() + absl::Seconds(10);
  Thread thread("waiter", [&] {
    MutexLock lock(&mu);
    while (!clock.WaitUntil(&mu, &cv, deadline)) {
    }
    reached = true;
  });
  CHECK(clock.WaitForWaiters(1));
  clock.Advance(absl::Seconds(9));
  CHECK(!reached);
  clock.Advance(absl::Seconds(1));
  thread.Join();
  CHECK(reached);
}

TEST_CASE("A rate limiter lets one through an interval and counts the others") {
  FakeClock clock;
  RateLimiter limiter(&clock, absl::Seconds(10));
  uint64_t suppressed = 99;
  CHECK(limiter.Allow(&suppressed));
  CHECK(suppressed == 0);
  CHECK(!limiter.Allow());
  CHECK(!limiter.Allow());
  clock.Advance(absl::Seconds(10));
  CHECK(limiter.Allow(&suppressed));
  CHECK(suppressed == 2);
}

}  // namespace
}  // namespace narthex
