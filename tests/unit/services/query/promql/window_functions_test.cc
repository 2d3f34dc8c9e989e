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
