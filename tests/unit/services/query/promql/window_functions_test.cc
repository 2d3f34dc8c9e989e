#include "services/query/promql/window_functions.h"

#include <algorithm>
#include <random>

#include "catch2/catch.hpp"
#include "services/query/promql/kahan.h"

namespace narthex::promql {
namespace {

TEST_CASE("Sliding windows give what each window computed alone would") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> values(random() % 60);
    for (int& value : values) value = static_cast<int>(random() % 100);
    std::vector<Window> windows(random() % 40);
    size_t begin = 0;
    size_t end = 0;
    for (Window& window : windows) {
      // Both borders move on, sometimes not at all, sometimes far.
      begin = std::min(values.size(), begin + random() % (random() % 8 + 1));
      end = std::max(begin, std::min(values.size(), end + random() % (random() % 8 + 1)));
      window = {begin, end};
    }
    std::vector<std::vector<int>> got(windows.size());
    // Joining sequences shows that every run is there once and in order.
    SlideWindows<std::vector<int>>(
        windows, [&](size_t k) { return std::vector<int>{values[k]}; },
        [](std::vector<int> a, const std::vector<int>& b) {
          a.insert(a.end(), b.begin(), b.end());
          return a;
        },
        [&](size_t step, const std::vector<int>& run) { got[step] = run; });
    for (size_t i = 0; i < windows.size(); ++i) {
      const std::vector<int> wanted(values.begin() + static_cast<std::ptrdiff_t>(windows[i].begin),
                                    values.begin() + static_cast<std::ptrdiff_t>(windows[i].end));
      REQUIRE(got[i] == wanted);
    }
  }
}

// Scrapes with gaps and jitter.
std::vector<Timestamp> RandomTimes(std::mt19937* random, size_t count) {
  std::vector<Timestamp> times;
  Timestamp time = 1000;
  for (size_t i = 0; i < count; ++i) {
    time += 15000;
    if ((*random)() % 7 == 0) time += static_cast<int64_t>((*random)() % 30);
    if ((*random)() % 29 == 0) time += 15000 * static_cast<int64_t>((*random)() % 9);
    times.push_back(time);
  }
  return times;
}

TEST_CASE("Windows hold the samples after their start up to their end") {
  std::mt19937 random(3);
  std::vector<Window> windows;
  for (int round = 0; round < 300; ++round) {
    const std::vector<Timestamp> times = RandomTimes(&random, random() % 80);
    WindowSpec spec;
    spec.grid.start = static_cast<int64_t>(random() % 600000);
    spec.grid.step = 1 + static_cast<int64_t>(random() % 90000);
    spec.grid.count = 1 + random() % 50;
    spec.range_ms = 1 + static_cast<int64_t>(random() % 300000);
    spec.offset_ms = static_cast<int64_t>(random() % 3) * 15000;
    spec.fixed = random() % 8 == 0;
    spec.fixed_time = 300000;
    const size_t used = PlaceWindows(spec, times, &windows);
    REQUIRE(windows.size() == spec.grid.count);
    size_t wanted_used = 0;
    for (size_t i = 0; i < windows.size(); ++i) {
      size_t wanted = 0;
      for (const Timestamp time : times) {
        if (time > spec.End(i) - spec.range_ms && time <= spec.End(i)) ++wanted;
      }
      wanted_used += wanted;
      REQUIRE(windows[i].size() == wanted);
      if (wanted == 0) continue;
      REQUIRE(times[windows[i].begin] > spec.End(i) - spec.range_ms);
      REQUIRE(times[windows[i].end - 1] <= spec.End(i));
    }
    REQUIRE(used == wanted_used);
  }
}

// rate() of one window, sample by sample, in the order of operations that upstream has.
double RateOf(const std::vector<Timestamp>& times, const std::vector<double>& values,
              const Window& window, Timestamp end, int64_t range_ms) {
  double change = values[window.end - 1] - values[window.begin];
  for (size_t i = window.begin + 1; i < window.end; ++i) {
    if (values[i] < values[i - 1]) change += values[i - 1];
  }
  const auto seconds = [](int64_t ms) { return static_cast<double>(ms) / 1000; };
  double to_start = seconds(times[window.begin] - (end - range_ms));
  double to_end = seconds(end - times[window.end - 1]);
  const double sampled = seconds(times[window.end - 1] - times[window.begin]);
  const double average = sampled / static_cast<double>(window.size() - 1);
  if (to_start >= average * 1.1) to_start = average / 2;
  if (change > 0 && values[window.begin] >= 0) {
    to_start = std::min(to_start, sampled * (values[window.begin] / change));
  }
  if (to_end >= average * 1.1) to_end = average / 2;
  return change * ((sampled + to_start + to_end) / sampled / seconds(range_ms));
}

TEST_CASE("The rates of many windows at once are those of each alone") {
  std::mt19937 random(5);
  const WindowFunction* const rate = FindRateFunction("rate");
  std::vector<Window> windows;
  for (int round = 0; round < 300; ++round) {
    const std::vector<Timestamp> times = RandomTimes(&random, 1 + random() % 150);
    std::vector<double> values;
    double value = static_cast<double>(random() % 100);
    for (size_t i = 0; i < times.size(); ++i) {
      value += static_cast<double>(random() % 1000) / 8;
      if (round % 2 == 0 && random() % 20 == 0) value = static_cast<double>(random() % 5);
      values.push_back(value);
    }
    WindowSpec spec;
    spec.grid.start = static_cast<int64_t>(random() % 600000);
    spec.grid.step = 1 + static_cast<int64_t>(random() % 60000);
    spec.grid.count = 1 + random() % 100;
    spec.range_ms = 1 + static_cast<int64_t>(random() % 600000);
    PlaceWindows(spec, times, &windows);
    WindowInput input;
    input.spec = &spec;
    input.windows = windows;
    input.timestamps = times;
    input.values = values;
    std::vector<double> got(spec.grid.count, Absent());
    rate->kernel(input, got);
    for (size_t i = 0; i < windows.size(); ++i) {
      if (windows[i].size() < 2) {
        REQUIRE(IsAbsent(got[i]));
        continue;
      }
      REQUIRE(got[i] == RateOf(times, values, windows[i], spec.End(i), spec.range_ms));
    }
  }
}

TEST_CASE("Compensated sums keep what a plain sum loses") {
  KahanSum sum;
  for (double value : {1.0, 1e100, 1.0, -1e100}) sum.Add(value);
  CHECK(sum.Value() == 2);
  KahanSum joined{1e100, 0};
  joined.Add(KahanSum{1, 0});
  joined.Add(KahanSum{-1e100, 0});
  CHECK(joined.Value() == 1);
}

TEST_CASE("A mean does not overflow where its sum does") {
  RunningMean mean;
  for (int i = 0; i < 4; ++i) mean.Add(1.7e308);
  CHECK(mean.Value() == Approx(1.7e308));
  RunningMean small;
  for (double value : {1.0, 2.0, 6.0}) small.Add(value);
  CHECK(small.Value() == 3);
}

}  // namespace
}  // namespace narthex::promql
