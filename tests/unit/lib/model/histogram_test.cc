#include "lib/model/histogram.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/model/histogram_coding.h"

namespace narthex {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Histogram Exponential() {
  Histogram histogram;
  histogram.schema = 3;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 2;
  histogram.count = 14;
  histogram.sum = 8.5;
  histogram.positive_spans = {{-2, 2}, {1, 1}};
  histogram.positive_deltas = {1, 2, -1};  // 1, 3, 2.
  histogram.negative_spans = {{0, 2}};
  histogram.negative_deltas = {4, -2};  // 4, 2.
  return histogram;
}

Histogram Custom() {
  Histogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.count = 3;
  histogram.sum = 4;
  histogram.positive_spans = {{0, 1}, {1, 1}};
  histogram.positive_deltas = {1, 1};
  histogram.custom_values = {0.5, 10};
  return histogram;
}

TEST_CASE("a histogram is valid only when its parts fit") {
  struct Case {
    std::function<void(Histogram*)> change;
    std::string message;  // Empty: valid.
  };
  const std::vector<Case> exponential = {
      {[](Histogram*) {}, ""},
      {[](Histogram* h) { h->sum = StaleNan(), h->count = 99; }, ""},
      {[](Histogram* h) { h->schema = 60; }, "unknown schema 60"},
      {[](Histogram* h) { h->schema = -5; }, "unknown schema -5"},
      {[](Histogram* h) { h->count = 15; }, "14 observations in the buckets, but the count is 15"},
      {[](Histogram* h) { h->sum = NormalNan(), h->count = 15; }, ""},
      {[](Histogram* h) { h->sum = NormalNan(), h->count = 13; }, "but the count is 13"},
      {[](Histogram* h) { h->positive_spans[1].offset = -1; },
       "positive side: span number 2 has a negative offset: -1"},
      {[](Histogram* h) { h->positive_spans[1].length = 2; },
       "positive side: the spans name 4 buckets, but there are 3"},
      {[](Histogram* h) { h->positive_spans[1].offset = INT32_MAX; },
       "positive side: a bucket beyond all doubles"},
      {[](Histogram* h) { h->negative_spans[0].offset = INT32_MIN; },
       "negative side: a bucket beyond all doubles"},
      {[](Histogram* h) { h->negative_deltas.pop_back(); },
       "negative side: the spans name 2 buckets, but there are 1"},
      {[](Histogram* h) { h->negative_deltas[1] = -5; },
       "negative side: bucket number 2 has an observation count of -1"},
      {[](Histogram* h) { h->custom_values = {1}; }, "custom bounds with schema 3"},
      {[](Histogram* h) {
         h->positive_spans = {{0, 0}, {-0, 3}};
       },
       ""},
  };
  for (const Case& c : exponential) {
    Histogram histogram = Exponential();
    c.change(&histogram);
    const absl::Status status = Validate(histogram);
    INFO(c.message << " / " << status);
    CHECK(status.ok() == c.message.empty());
    CHECK_THAT(std::string(Message(status)), Catch::EndsWith(c.message));
  }
  const std::vector<Case> custom = {
      {[](Histogram*) {}, ""},
      {[](Histogram* h) { h->custom_values = {}; }, "0 custom bounds do not cover spans of 3"},
      {[](Histogram* h) {
         h->custom_values = {1, 1};
       },
       "custom bounds are not strictly increasing: 1 after 1"},
      {[](Histogram* h) {
         h->custom_values = {1, NormalNan()};
       },
       "custom bounds are not strictly increasing: nan after 1"},
      {[](Histogram* h) {
         h->custom_values = {1, 2, kInfinity};
       },
       "the last custom bound is +Inf, which goes without saying"},
      {[](Histogram* h) { h->zero_count = 1; }, "custom buckets have no zero bucket"},
      {[](Histogram* h) {
         h->negative_spans = {{0, 1}};
       },
       "custom buckets have no negative side"},
      {[](Histogram* h) { h->positive_spans[0].offset = -1; },
       "a span of custom buckets has a negative offset: -1"},
  };
  for (const Case& c : custom) {
    Histogram histogram = Custom();
    c.change(&histogram);
    const absl::Status status = Validate(histogram);
    INFO(c.message << " / " << status);
    CHECK(status.ok() == c.message.empty());
    CHECK_THAT(std::string(Message(status)), Catch::EndsWith(c.message));
    // Floats are held to the same layout.
    CHECK(Validate(ToFloat(histogram)).ok() == c.message.empty());
  }
}

TEST_CASE("a float histogram may have counts that do not add up, but none below 0") {
  FloatHistogram histogram = ToFloat(Exponential());
  CHECK(Validate(histogram).ok());
  histogram.count = 0.5;
  CHECK(Validate(histogram).ok());
  histogram.positive_buckets[1] = -0.5;
  CHECK_FALSE(Validate(histogram).ok());
  histogram = ToFloat(Exponential());
  histogram.zero_count = -1;
  CHECK_FALSE(Validate(histogram).ok());
}

TEST_CASE("differences become absolute floats") {
  const FloatHistogram histogram = ToFloat(Exponential());
  CHECK(histogram.positive_buckets == std::vector<double>{1, 3, 2});
  CHECK(histogram.negative_buckets == std::vector<double>{4, 2});
  CHECK(histogram.count == 14);
  CHECK(histogram.zero_count == 2);
  CHECK(histogram.sum == 8.5);
  CHECK(histogram.schema == 3);
  CHECK(histogram.positive_spans == Exponential().positive_spans);
}

TEST_CASE("histograms are the same whatever their hints, empty spans and empty buckets") {
  const Histogram histogram = Exponential();
  Histogram other = histogram;
  other.reset_hint = CounterResetHint::kReset;
  // The same buckets with an empty one and an empty span between.
  other.positive_spans = {{-2, 3}, {0, 0}, {0, 1}};
  other.positive_deltas = {1, 2, -3, 2};
  CHECK(Same(histogram, other));
  CHECK(Same(ToFloat(histogram), ToFloat(other)));
  const std::vector<std::function<void(Histogram*)>> changes = {
      [](Histogram* h) { h->positive_deltas[0] = 2; },
      [](Histogram* h) { h->positive_spans[0].offset = -1; },
      [](Histogram* h) { h->sum = -0.0; },
      [](Histogram* h) { h->sum = StaleNan(); },
      [](Histogram* h) { ++h->count; },
      [](Histogram* h) { ++h->zero_count; },
      [](Histogram* h) { h->zero_threshold = 1; },
      [](Histogram* h) { h->schema = 2; },
      [](Histogram* h) { h->negative_spans = {}, h->negative_deltas = {}; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    INFO("change " << i);
    Histogram changed = histogram;
    changed.sum = 0.0;
    const Histogram before = changed;
    changes[i](&changed);
    CHECK_FALSE(Same(before, changed));
    CHECK_FALSE(Same(changed, before));
    CHECK_FALSE(Same(ToFloat(before), ToFloat(changed)));
  }
  Histogram a;
  Histogram b = histogram;
  a.sum = b.sum = StaleNan();
  CHECK(Same(a, b));  // Of a staleness marker nothing else matters.
  CHECK(IsStale(a));
  CHECK_FALSE(IsStale(histogram));
}

TEST_CASE("a coarser schema joins buckets") {
  Histogram histogram;
  histogram.schema = 2;
  histogram.positive_spans = {{-3, 4}, {2, 3}};
  histogram.positive_deltas = {1, 1, 1, 1,
                               1, 1, 1};  // -3: 1, -2: 2, -1: 3, 0: 4, 3: 5, 4: 6, 5: 7.
  histogram.count = 28;
  FloatHistogram floats = ToFloat(histogram);
  ReduceResolution(1, &histogram);
  CHECK(histogram.schema == 1);
  // -1: those of -3 and -2; 0: of -1 and 0; 2: of 3 and 4; 3: of 5.
  CHECK(histogram.positive_spans == std::vector<HistogramSpan>{{-1, 2}, {1, 2}});
  CHECK(histogram.positive_deltas == std::vector<int64_t>{3, 4, 4, -4});
  CHECK(Validate(histogram).ok());
  ReduceResolution(1, &floats);
  CHECK(Same(floats, ToFloat(histogram)));
  ReduceResolution(-4, &histogram);
  CHECK(Validate(histogram).ok());
  CHECK(BucketCount(histogram.positive_spans) == 2);
}

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

TEST_CASE("histograms have the bytes of the log") {
  std::string bytes;
  EncodeHistogram(Custom(), &bytes);
  CHECK(Hex(bytes) ==
        "00"
        "69"
        "0000000000000000"
        "00"
        "03"
        "4010000000000000"
        "02"
        "0001"
        "0201"
        "00"
        "02"
        "0202"
        "00"
        "02"
        "3fe0000000000000"
        "4024000000000000");
  bytes.clear();
  FloatHistogram histogram;
  histogram.reset_hint = CounterResetHint::kGauge;
  histogram.schema = 1;
  histogram.zero_count = 1;
  histogram.count = 2;
  histogram.sum = 3;
  histogram.negative_spans = {{1, 1}};
  histogram.negative_buckets = {4};
  EncodeFloatHistogram(histogram, &bytes);
  CHECK(Hex(bytes) ==
        "03"
        "02"
        "0000000000000000"
        "3ff0000000000000"
        "4000000000000000"
        "4008000000000000"
        "00"
        "01"
        "0201"
        "00"
        "01"
        "4010000000000000");
}

TEST_CASE("histograms come back from their bytes, and no truncation does") {
  for (const Histogram& histogram : {Exponential(), Custom(), Histogram()}) {
    std::string bytes;
    EncodeHistogram(histogram, &bytes);
    Histogram decoded = Exponential();  // Of what was there nothing stays.
    ByteReader reader(bytes);
    REQUIRE(DecodeHistogram(&reader, &decoded));
    CHECK(reader.done());
    std::string again;
    EncodeHistogram(decoded, &again);
    CHECK(again == bytes);

    std::string float_bytes;
    EncodeFloatHistogram(ToFloat(histogram), &float_bytes);
    FloatHistogram float_decoded = ToFloat(Custom());
    ByteReader float_reader(float_bytes);
    REQUIRE(DecodeFloatHistogram(&float_reader, &float_decoded));
    CHECK(float_reader.done());
    again.clear();
    EncodeFloatHistogram(float_decoded, &again);
    CHECK(again == float_bytes);

    for (size_t size = 0; size < bytes.size(); ++size) {
      ByteReader cut(std::string_view(bytes).substr(0, size));
      CHECK_FALSE(DecodeHistogram(&cut, &decoded));
    }
    for (size_t size = 0; size < float_bytes.size(); ++size) {
      ByteReader cut(std::string_view(float_bytes).substr(0, size));
      CHECK_FALSE(DecodeFloatHistogram(&cut, &float_decoded));
    }
  }
}

TEST_CASE("a histogram whose counts the bytes cannot hold is refused before memory is taken") {
  std::string bytes;
  EncodeHistogram(Exponential(), &bytes);
  Histogram decoded;
  // The number of positive spans.
  const size_t spans = 1 + 1 + 8 + 1 + 1 + 8;
  REQUIRE(bytes[spans] == 2);
  bytes[spans] = 0x7f;
  ByteReader reader(bytes);
  CHECK_FALSE(DecodeHistogram(&reader, &decoded));
  CHECK(decoded.positive_spans.capacity() == 0);
  bytes[0] = 4;  // No such hint.
  ByteReader hint(bytes);
  CHECK_FALSE(DecodeHistogram(&hint, &decoded));
}

}  // namespace
}  // namespace narthex
