#include <algorithm>
#include <cmath>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
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

Histogram Counted(uint64_t count) {
  Histogram histogram;
  histogram.count = count;
  histogram.sum = static_cast<double>(count) / 2;
  histogram.reset_hint = CounterResetHint::kNotReset;
  return histogram;
}

// A float, a histogram, a float histogram, a float, a histogram.
SampleBuffer Mixed() {
  SampleBuffer buffer;
  buffer.Append(1, 10);
  buffer.AppendHistogram(2, Counted(20));
  buffer.SetStartTimestamp(1);
  buffer.AppendFloatHistogram(3, ToFloat(Counted(30)));
  buffer.Append(4, 40);
  buffer.AppendHistogram(5, Counted(50));
  return buffer;
}

std::string Text(const SampleBuffer& buffer) {
  std::string text;
  for (size_t i = 0; i < buffer.size(); ++i) {
    StrAppend(&text, buffer.timestamps()[i], ":");
    switch (buffer.kind(i)) {
      case SampleKind::kFloat:
        StrAppend(&text, buffer.values()[i]);
        break;
      case SampleKind::kHistogram:
        StrAppend(&text, "h", buffer.histogram(i).count, "/", buffer.values()[i]);
        break;
      case SampleKind::kFloatHistogram:
        StrAppend(&text, "f", buffer.float_histogram(i).count, "/", buffer.values()[i]);
        break;
    }
    if (!buffer.start_timestamps().empty() && buffer.start_timestamps()[i] != 0) {
      StrAppend(&text, "@", buffer.start_timestamps()[i]);
    }
    text += ' ';
  }
  return text;
}

TEST_CASE("a sample buffer holds histograms, whose sums are its values, and start timestamps") {
  SampleBuffer buffer = Mixed();
  CHECK(buffer.has_histograms());
  CHECK(Text(buffer) == "1:10 2:h20/10@1 3:f30/15 4:40 5:h50/25 ");
  buffer.Append(6, 60);
  CHECK(Text(buffer) == "1:10 2:h20/10@1 3:f30/15 4:40 5:h50/25 6:60 ");
  buffer.Clear();
  CHECK_FALSE(buffer.has_histograms());
  CHECK(buffer.start_timestamps().empty());
  buffer.Append(7, 70);
  CHECK(buffer.start_timestamps().empty());
  buffer.SetStartTimestamp(0);
  CHECK(buffer.start_timestamps().empty());
}

TEST_CASE("a sample buffer with histograms is shortened and lengthened at its end") {
  for (size_t size = 0; size <= 8; ++size) {
    SampleBuffer buffer = Mixed();
    buffer.Resize(size);
    CHECK(buffer.size() == size);
    SampleBuffer part;
    for (size_t i = 0; i < std::min<size_t>(size, 5); ++i) part.AppendFrom(Mixed(), i);
    for (size_t i = 5; i < size; ++i) part.Append(0, 0);
    CHECK(Text(buffer) == Text(part));
    // What is appended then has a place of its own.
    buffer.AppendHistogram(9, Counted(90));
    part.AppendHistogram(9, Counted(90));
    CHECK(Text(buffer) == Text(part));
  }
  SampleBuffer buffer = Mixed();
  buffer.Resize(1);
  CHECK_FALSE(buffer.has_histograms());
}

TEST_CASE("a filter keeps what it is told to, from where it is told to") {
  for (unsigned mask = 0; mask < 32; ++mask) {
    for (size_t base = 0; base <= 5; ++base) {
      SampleBuffer buffer = Mixed();
      buffer.Filter(base, [&](size_t i) { return (mask >> i & 1) != 0; });
      SampleBuffer expected;
      for (size_t i = 0; i < 5; ++i) {
        if (i < base || (mask >> i & 1) != 0) expected.AppendFrom(Mixed(), i);
      }
      CHECK(Text(buffer) == Text(expected));
      buffer.AppendHistogram(9, Counted(90));
      expected.AppendHistogram(9, Counted(90));
      CHECK(Text(buffer) == Text(expected));
      const size_t shorter = buffer.size() / 2;
      buffer.Resize(shorter);
      expected.Resize(shorter);
      CHECK(Text(buffer) == Text(expected));
    }
  }
}

TEST_CASE("buffers are appended to each other") {
  SampleBuffer plain;
  plain.Append(-2, 1);
  SampleBuffer more;
  more.Append(-1, 2);
  plain.AppendAll(more);
  CHECK(Text(plain) == "-2:1 -1:2 ");
  plain.AppendAll(Mixed());
  CHECK(Text(plain) == "-2:1 -1:2 1:10 2:h20/10@1 3:f30/15 4:40 5:h50/25 ");
  SampleBuffer mixed = Mixed();
  mixed.AppendAll(more);
  CHECK(Text(mixed) == "1:10 2:h20/10@1 3:f30/15 4:40 5:h50/25 -1:2 ");
}

TEST_CASE("hints are forgotten, but not that a histogram is a gauge") {
  SampleBuffer buffer = Mixed();
  buffer.ForgetResetHint();
  CHECK(buffer.histogram(4).reset_hint == CounterResetHint::kUnknown);
  CHECK(buffer.histogram(1).reset_hint == CounterResetHint::kNotReset);
  Histogram gauge = Counted(1);
  gauge.reset_hint = CounterResetHint::kGauge;
  buffer.AppendHistogram(6, gauge);
  buffer.ForgetResetHint();
  CHECK(buffer.histogram(5).reset_hint == CounterResetHint::kGauge);
  buffer.Append(7, 1);
  buffer.ForgetResetHint();
}

TEST_CASE("without histograms a buffer keeps its floats and all staleness markers") {
  SampleBuffer buffer = Mixed();
  Histogram marker;
  marker.sum = StaleNan();
  buffer.AppendHistogram(6, marker);
  buffer.DropHistograms();
  CHECK_FALSE(buffer.has_histograms());
  REQUIRE(buffer.size() == 3);
  CHECK(buffer.timestamps()[1] == 4);
  CHECK(IsStale(buffer.values()[2]));
  CHECK(buffer.kind(2) == SampleKind::kFloat);
}

}  // namespace
}  // namespace narthex
