#include "lib/metrics/registry.h"

#include <algorithm>
#include <string>

#include "catch2/catch.hpp"

namespace narthex::metrics {
namespace {

TEST_CASE("The same name and labels give the same handle") {
  Registry registry;
  Counter* a = registry.AddCounter("c_total", "Help.", {{"k", "1"}});
  CHECK(registry.AddCounter("c_total", "Help.", {{"k", "1"}}) == a);
  CHECK(registry.AddCounter("c_total", "Help.", {{"k", "2"}}) != a);
  a->Increment();
  a->Increment(2);
  CHECK(a->Value() == 3);
}

TEST_CASE("Families are collected by name with all their series") {
  Registry registry;
  registry.AddGauge("g", "Gauge.")->Set(1.5);
  Histogram* histogram = registry.AddHistogram("a_seconds", "Histogram.", {0.1, 1});
  histogram->Observe(0.05);
  histogram->Observe(5);
  registry.AddSummary("s", "Summary.", {0.5})->Observe(3);
  const auto families = registry.Collect();
  REQUIRE(families.size() == 3);
  CHECK(families[0].name == "a_seconds");
  CHECK(families[0].type == "histogram");
  REQUIRE(families[0].samples.size() == 5);
  CHECK(families[0].samples[0].name == "a_seconds_bucket");
  CHECK(families[0].samples[0].labels[0].second == "0.1");
  CHECK(families[0].samples[0].value == 1);
  CHECK(families[0].samples[2].labels[0].second == "+Inf");
  CHECK(families[0].samples[2].value == 2);
  CHECK(families[0].samples[3].value == 5.05);
  CHECK(families[1].samples[0].value == 1.5);
  CHECK(families[2].samples.size() == 3);
}

TEST_CASE("A callback is read until its handle is gone") {
  Registry registry;
  double value = 1;
  auto handle = registry.AddCallback("cb", "Callback.", "gauge", {}, [&value] { return value; });
  value = 7;
  CHECK(registry.Collect()[0].samples[0].value == 7);
  handle.reset();
  CHECK(registry.Collect().empty());
}

TEST_CASE("A histogram that is counted elsewhere is written cumulatively") {
  Registry registry;
  auto handle = registry.AddHistogramCallback("h", "Histogram.", {{"a", "b"}}, [] {
    return HistogramCounts{{0.5, 2}, {3, 0, 4}, 12.5};
  });
  const auto families = registry.Collect();
  REQUIRE(families.size() == 1);
  CHECK(families[0].type == "histogram");
  std::vector<std::string> lines;
  for (const CollectedSample& sample : families[0].samples) {
    std::string line = sample.name;
    for (const auto& [name, value] : sample.labels) line += " " + name + "=" + value;
    lines.push_back(line + " " + std::to_string(sample.value));
  }
  CHECK(lines == std::vector<std::string>{"h_bucket a=b le=0.5 3.000000",
                                          "h_bucket a=b le=2 3.000000",
                                          "h_bucket a=b le=+Inf 7.000000", "h_sum a=b 12.500000",
                                          "h_count a=b 7.000000"});
  handle.reset();
  CHECK(registry.Collect().empty());
}

TEST_CASE("Process metrics are there and plausible") {
  Registry registry;
  registry.AddProcessMetrics();
  const auto families = registry.Collect();
  CHECK(families.size() == 6);
  for (const CollectedFamily& family : families) {
    CAPTURE(family.name);
    CHECK(family.samples[0].value > 0);
  }
}

TEST_CASE("A removed series is gone") {
  Registry registry;
  registry.AddGauge("g", "Gauge.", {{"pool", "a"}});
  registry.Remove("g", {{"pool", "a"}});
  CHECK(registry.Collect().empty());
}

}  // namespace
}  // namespace narthex::metrics
