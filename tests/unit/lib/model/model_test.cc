#include <cmath>
#include <string>

#include "catch2/catch.hpp"
#include "lib/model/metadata.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/stale.h"
#include "lib/model/timestamp.h"

namespace narthex {
namespace {

TEST_CASE("the staleness marker is a NaN of its own") {
  CHECK(std::isnan(StaleNan()));
  CHECK(std::isnan(NormalNan()));
  CHECK(IsStale(StaleNan()));
  CHECK_FALSE(IsStale(NormalNan()));
  CHECK_FALSE(IsStale(std::nan("")));
  CHECK_FALSE(IsStale(0));
}

TEST_CASE("timestamps are milliseconds since the epoch") {
  CHECK(ToTimestamp(absl::FromUnixMillis(1700000000123)) == 1700000000123);
  CHECK(FromTimestamp(-1) == absl::UnixEpoch() - absl::Milliseconds(1));
  CHECK(ToMillis(absl::Microseconds(2999)) == 2);
  CHECK(ToMillis(absl::Microseconds(-2999)) == -2);
}

TEST_CASE("metric types have the names of the exposition formats") {
  CHECK(MetricTypeName(MetricType::kUnknown) == "unknown");
  CHECK(MetricTypeName(MetricType::kGaugeHistogram) == "gaugehistogram");
  CHECK(MetricTypeName(MetricType::kStateSet) == "stateset");
}

TEST_CASE("a sample buffer keeps its columns side by side and its memory when cleared") {
  SampleBuffer buffer;
  CHECK(buffer.empty());
  buffer.Append(1, 0.5);
  buffer.Append(2, 1.5);
  REQUIRE(buffer.size() == 2);
  CHECK(buffer.timestamps()[1] == 2);
  CHECK(buffer.values()[0] == 0.5);
  buffer.Resize(3);
  buffer.mutable_timestamps()[2] = 3;
  buffer.mutable_values()[2] = 2.5;
  CHECK(buffer.timestamps()[2] == 3);
  const size_t bytes = buffer.memory_bytes();
  buffer.Clear();
  CHECK(buffer.empty());
  CHECK(buffer.memory_bytes() == bytes);
}

}  // namespace
}  // namespace narthex
