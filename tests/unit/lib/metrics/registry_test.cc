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
