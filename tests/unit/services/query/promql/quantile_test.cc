#include "services/query/promql/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "catch2/catch.hpp"

namespace narthex::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

double QuantileOf(double q, std::vector<double> values) { return Quantile(q, &values); }

TEST_CASE("Quantiles lie between neighbours in proportion") {
  CHECK(QuantileOf(0.5, {3, 1, 2}) == 2);
  CHECK(QuantileOf(0.25, {4, 1, 3, 2}) == 1.75);
  CHECK(QuantileOf(0, {5, 7}) == 5);
  CHECK(QuantileOf(1, {5, 7}) == 7);
  CHECK(QuantileOf(-1, {5}) == -kInf);
  CHECK(QuantileOf(2, {5}) == kInf);
  CHECK(std::isnan(QuantileOf(kNan, {5})));
  CHECK(std::isnan(QuantileOf(0.5, {})));
  CHECK(QuantileOf(1, {kNan, 3}) == 3);
}

TEST_CASE("Quantiles of sliding windows are those of each window sorted") {
  std::mt19937 random(11);
  for (int round = 0; round < 100; ++round) {
    std::vector<double> values(1 + random() % 300);
    for (double& value : values)
      value = random() % 9 == 0 ? kNan : static_cast<double>(random() % 50);
    SlidingOrder order;
    size_t begin = 0;
    size_t end = 0;
    while (end < values.size()) {
      end = std::min(values.size(), end + 1 + random() % (random() % 20 == 0 ? 100 : 3));
      begin = std::min(end - 1, begin + random() % (end > 100 ? 4 : 2));
      std::vector<double> wanted(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                 values.begin() + static_cast<std::ptrdiff_t>(end));
      std::stable_sort(wanted.begin(), wanted.end(),
                       [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
      const std::span<const double> got = order.Move(values, begin, end);
      REQUIRE(std::equal(got.begin(), got.end(), wanted.begin(), wanted.end(),
                         [](double a, double b) { return a == b || (a != a && b != b); }));
      const double q = static_cast<double>(random() % 101) / 100;
      const double sorted = QuantileOfSorted(q, wanted);
      std::shuffle(wanted.begin(), wanted.end(), random);
      const double selected = Quantile(q, &wanted);
      REQUIRE((sorted == selected || (std::isnan(sorted) && std::isnan(selected))));
    }
  }
}

TEST_CASE("Quantiles of classic histograms interpolate inside a bucket") {
  struct Row {
    const char* name;
    double q;
    std::vector<Bucket> buckets;
    double value;
  };
  const std::vector<Row> rows = {
      {"middle", 0.5, {{1, 10}, {2, 20}, {kInf, 20}}, 1},
      {"inside", 0.75, {{1, 10}, {2, 20}, {kInf, 20}}, 1.5},
      {"the first bucket starts at zero", 0.25, {{1, 10}, {2, 20}, {kInf, 20}}, 0.5},
      {"a first bucket below zero is its bound", 0.1, {{-1, 10}, {2, 20}, {kInf, 20}}, -1},
      {"beyond the last finite bound", 0.99, {{1, 1}, {2, 2}, {kInf, 100}}, 2},
      {"unsorted", 0.75, {{kInf, 20}, {2, 20}, {1, 10}}, 1.5},
      {"equal bounds are joined", 0.75, {{1, 5}, {1, 5}, {2, 20}, {kInf, 20}}, 1.5},
      {"no +Inf", 0.5, {{1, 10}, {2, 20}}, kNan},
      {"only +Inf", 0.5, {{kInf, 20}}, kNan},
      {"no observations", 0.5, {{1, 0}, {kInf, 0}}, kNan},
      {"none at all", 0.5, {}, kNan},
      {"below", -0.1, {{1, 10}, {kInf, 10}}, -kInf},
      {"above", 1.1, {{1, 10}, {kInf, 10}}, kInf},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    std::vector<Bucket> buckets = row.buckets;
    const BucketQuantileResult result = BucketQuantile(row.q, &buckets);
    CHECK(!result.forced_monotonic);
    if (std::isnan(row.value)) {
      CHECK(std::isnan(result.value));
    } else {
      CHECK(result.value == Approx(row.value));
    }
  }
}

TEST_CASE("Counts that go down are repaired and reported, unless it is only rounding") {
  std::vector<Bucket> wrong = {{1, 10}, {2, 8}, {3, 12}, {kInf, 11}};
  const BucketQuantileResult result = BucketQuantile(0.5, &wrong);
  CHECK(result.forced_monotonic);
  CHECK(result.bound_min == 2);
  CHECK(result.bound_max == kInf);
  CHECK(result.difference_max == 2);
  CHECK(result.value == Approx(0.6));
  std::vector<Bucket> rounded = {{1, 10}, {2, 10 - 1e-12}, {kInf, 12}};
  CHECK_FALSE(BucketQuantile(0.5, &rounded).forced_monotonic);
}

TEST_CASE("Fractions of classic histograms") {
  const std::vector<Bucket> buckets = {{1, 10}, {2, 20}, {kInf, 40}};
  const auto fraction = [&](double lower, double upper) {
    std::vector<Bucket> copy = buckets;
    return BucketFraction(lower, upper, &copy);
  };
  CHECK(fraction(0, 1) == 0.25);
  CHECK(fraction(0.5, 1.5) == 0.25);
  CHECK(fraction(-kInf, kInf) == 1);
  CHECK(fraction(5, 6) == 0);
  CHECK(fraction(2, 1) == 0);
  CHECK(fraction(-5, -4) == 0);
  CHECK(std::isnan(fraction(kNan, 1)));
}

}  // namespace
}  // namespace narthex::promql
