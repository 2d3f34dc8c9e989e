#include <cmath>
#include <string>

#include "catch2/catch.hpp"
#include "lib/remote/histogram_message.h"
#include "lib/remote/proto_reader.h"
#include "lib/remote/proto_writer.h"
#include "prometheus/remote.pb.h"

namespace narthex::remote {

TEST_CASE("What is written is read back, messages of all lengths within messages") {
  for (const size_t size : {0u, 1u, 125u, 127u, 128u, 16383u, 16384u, 70000u}) {
    std::string bytes;
    ProtoWriter writer(&bytes);
    writer.Uint64(1, 300);
    const ProtoWriter::Mark outer = writer.Begin(2);
    const ProtoWriter::Mark inner = writer.Begin(3);
    writer.Bytes(4, std::string(size, 'x'));
    writer.End(inner);
    writer.Sint64(5, -7);
    writer.End(outer);
    writer.Double(6, -0.0);
    ProtoReader reader(bytes);
    REQUIRE(reader.Next());
    CHECK(reader.Is(1, WireType::kVarint));
    CHECK(reader.number() == 300);
    REQUIRE(reader.Next());
    ProtoReader nested(reader.bytes());
    REQUIRE(nested.Next());
    ProtoReader deepest(nested.bytes());
    CHECK(deepest.Next() == (size > 0));
    CHECK(deepest.bytes().size() == size);
    REQUIRE(nested.Next());
    CHECK(nested.sint64() == -7);
    CHECK_FALSE(nested.Next());
    REQUIRE(reader.Next());
    CHECK(std::signbit(reader.real()));
    CHECK_FALSE(reader.Next());
    CHECK_FALSE(reader.failed());
  }
}

TEST_CASE("Malformed fields end the walk") {
  const std::string bad[] = {
      "\x08",                                          // No value.
      "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",  // More than 64 bits.
      "\x09\x01\x02",                                  // A cut fixed64.
      "\x0d\x01",                                      // A cut fixed32.
      "\x0a\x05xx",                                    // A cut string.
      "\x0b",                                          // A group.
      "\x0e",                                          // No wire type.
      std::string("\x00\x01", 2),                      // Field 0.
      "\xf8\xff\xff\xff\xff\x01",                      // A tag of more than 32 bits.
  };
  for (const std::string& bytes : bad) {
    ProtoReader reader(bytes);
    while (reader.Next()) {
    }
    CHECK(reader.failed());
    CHECK_FALSE(reader.Next());
  }
  const std::string empty_string("\x0a\x00", 2);
  ProtoReader wrong(empty_string);
  REQUIRE(wrong.Next());
  CHECK_FALSE(wrong.Is(1, WireType::kVarint));
  CHECK(wrong.failed());
}

TEST_CASE("Histograms are written as upstream's message") {
  Histogram histogram;
  histogram.reset_hint = CounterResetHint::kGauge;
  histogram.schema = 3;
  histogram.zero_threshold = 0.01;
  histogram.count = 7;
  histogram.sum = -2;
  histogram.positive_spans = {{-2, 1}, {3, 2}};
  histogram.positive_deltas = {1, -1, 4};
  histogram.negative_spans = {{0, 1}};
  histogram.negative_deltas = {2};
  std::string bytes;
  ProtoWriter writer(&bytes);
  WriteHistogram(histogram, 1234, &writer);
  prometheus::Histogram message;
  REQUIRE(message.ParseFromString(bytes));
  CHECK(message.count_int() == 7);
  CHECK(message.zero_count_case() == prometheus::Histogram::kZeroCountInt);
  CHECK(message.schema() == 3);
  CHECK(message.sum() == -2);
  CHECK(message.zero_threshold() == 0.01);
  CHECK(message.reset_hint() == 3);
  CHECK(message.timestamp() == 1234);
  REQUIRE(message.positive_spans_size() == 2);
  CHECK(message.positive_spans(0).offset() == -2);
  CHECK(message.positive_spans(1).length() == 2);
  CHECK(std::vector<int64_t>(message.positive_deltas().begin(), message.positive_deltas().end()) ==
        histogram.positive_deltas);
  CHECK(message.negative_deltas(0) == 2);

  FloatHistogram real;
  real.schema = kCustomBucketsSchema;
  real.count = 2.5;
  real.positive_spans = {{0, 2}};
  real.positive_buckets = {1.5, 1};
  real.custom_values = {0.1, 2};
  bytes.clear();
  WriteHistogram(real, -5, &writer);
  REQUIRE(message.ParseFromString(bytes));
  CHECK(message.count_float() == 2.5);
  CHECK(message.schema() == -53);
  CHECK(message.timestamp() == -5);
  CHECK(std::vector<double>(message.positive_counts().begin(), message.positive_counts().end()) ==
        real.positive_buckets);
  CHECK(std::vector<double>(message.custom_values().begin(), message.custom_values().end()) ==
        real.custom_values);
}

}  // namespace narthex::remote
