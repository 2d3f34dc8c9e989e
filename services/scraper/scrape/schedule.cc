#include "services/scraper/scrape/schedule.h"

#include <algorithm>
#include <utility>

namespace narthex::scrape {
namespace {

// Waits go by the wall clock, which may be set; they are cut so that this delays a scrape by
// little.
constexpr absl::Duration kWaitMax = absl::Seconds(1);

}  // namespace

absl::Time FirstTick(absl::Time now, absl::Duration interval, uint64_t offset_hash) {
  const int64_t interval_ns = absl::ToInt64Nanoseconds(interval);
  const int64_t now_ns = absl::ToUnixNanos(now);
  const int64_t offset_ns = static_cast<int64_t>(offset_hash % static_cast<uint64_t>(interval_ns));
  int64_t tick_ns = now_ns - now_ns % interval_ns + offset_ns;
  if (tick_ns < now_ns) tick_ns += interval_ns;
  return absl::FromUnixNanos(tick_ns);
}

absl::Time NextTick(absl::Time tick, absl::Time now, absl::Duration interval) {
  const absl::Time next = tick + interval;
  absl::Duration rest;
  // The second case is a clock that was set back.
  if (next < now || next - now > 2 * interval) {
    return next + absl::IDivDuration(now - next, interval, &rest) * interval;
  }
  return next;
}

Timestamp AlignTimestamp(absl::Time tick, absl::Time now, absl::Duration interval,
                         const TimestampAlignment& alignment) {
  const absl::Duration tolerance = std::min(alignment.tolerance, interval / 100);
  const absl::Duration late = now - tick;
  const bool align = alignment.enabled && late >= absl::ZeroDuration() && late <= tolerance;
  return ToTimestamp(align ? tick : now);
}

void Schedule::Start() {
  thread_ = Thread("schedule", [this] { Run(); });
}

void Schedule::At(absl::Time due, std::function<void()> task) {
  const absl::Duration due_monotonic = clock_->Monotonic() + (due - clock_->Now());
  MutexLock lock(&mu_);
  if (stopped_) return;
  heap_.push_back({due_monotonic, next_order_++, std::move(task)});
  std::push_heap(heap_.begin(), heap_.end(), Later);
  if (heap_.front().due == due_monotonic) changed_.Signal();
}

void Schedule::Stop() {
  std::vector<Task> dropped;  // Destroyed outside of the lock: tasks own what they call.
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    dropped.swap(heap_);
    changed_.SignalAll();
  }
  thread_.Join();
}

size_t Schedule::waiting() const {
  MutexLock lock(&mu_);
  return heap_.size();
}

void Schedule::Run() {
  mu_.Lock();
  while (!stopped_) {
    if (heap_.empty()) {
      changed_.Wait(&mu_);
      continue;
    }
    const absl::Duration left = heap_.front().due - clock_->Monotonic();
    if (left > absl::ZeroDuration()) {
      clock_->WaitUntil(&mu_, &changed_, clock_->Now() + std::min(left, kWaitMax));
      continue;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    std::function<void()> task = std::move(heap_.back().run);
    heap_.pop_back();
    mu_.Unlock();
    task();
    task = nullptr;
    mu_.Lock();
  }
  mu_.Unlock();
}

}  // namespace narthex::scrape
