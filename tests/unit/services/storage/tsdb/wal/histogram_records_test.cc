// Records of histograms, start timestamps, exemplars, metadata, markers and truncations.
#include <bit>
#include <optional>
#include <random>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "services/storage/tsdb/wal/compression.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::wal {
namespace {

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}
std::string Big(uint64_t value) {
  std::string out;
  AppendBig(&out, value);
  return out;
}
std::string Float(double value) { return Big(std::bit_cast<uint64_t>(value)); }

Histogram Exponential() {
  Histogram histogram;
  histogram.reset_hint = CounterResetHint::kNotReset;
  histogram.schema = 1;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 2;
  histogram.count = 7;
  histogram.sum = 18.5;
  histogram.positive_spans = {{-1, 2}, {3, 1}};
  histogram.positive_deltas = {1, 1, -1};
  histogram.negative_spans = {{0, 1}};
  histogram.negative_deltas = {1};
  return histogram;
}
const std::string kExponentialBytes = Bytes({2, 2}) + Float(0.001) + Bytes({2, 7}) + Float(18.5) +
                                      Bytes({2, 1, 2, 6, 1}) + Bytes({1, 0, 1}) +
                                      Bytes({3, 2, 2, 1}) + Bytes({1, 2});

Histogram Custom() {
  Histogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.count = 3;
  histogram.sum = 4;
  histogram.positive_spans = {{0, 2}};
  histogram.positive_deltas = {1, 1};
  histogram.custom_values = {0.5, 2};
  return histogram;
}
const std::string kCustomBytes = Bytes({0, 105}) + Float(0) + Bytes({0, 3}) + Float(4) +
                                 Bytes({1, 0, 2}) + Bytes({0}) + Bytes({2, 2, 2}) + Bytes({0}) +
                                 Bytes({2}) + Float(0.5) + Float(2);

std::vector<std::string_view> RecordsOf(const auto& encoder) {
  std::vector<std::string_view> records;
  encoder.AppendRecords(&records);
  return records;
}

bool SameEntry(const RefHistogram& a, const RefHistogram& b) {
  return a.ref == b.ref && a.timestamp == b.timestamp && a.start_timestamp == b.start_timestamp &&
         Same(a.histogram, b.histogram) && a.histogram.reset_hint == b.histogram.reset_hint;
}

TEST_CASE(
    "Histograms are encoded as upstream encodes them, with custom buckets in a record apart") {
  HistogramsEncoder encoder;
  CHECK(encoder.empty());
  encoder.Add(9, 500, 0, Custom());
  encoder.Add(10, 1000, 0, Exponential());
  encoder.Add(11, 1001, 0, Custom());
  const std::vector<std::string_view> records = RecordsOf(encoder);
  REQUIRE(records.size() == 2);
  // The base is the first of all, though that one is in the other record.
  CHECK(records[0] == Bytes({7}) + Big(9) + Big(500) + Bytes({2, 0xe8, 7}) + kExponentialBytes);
  CHECK(records[1] == Bytes({9}) + Big(9) + Big(500) + Bytes({0, 0}) + kCustomBytes +
                          Bytes({4, 0xea, 7}) + kCustomBytes);
  std::vector<RefHistogram> decoded;
  uint64_t skipped = 0;
  REQUIRE(DecodeHistograms(records[0], &decoded, &skipped).ok());
  REQUIRE(decoded.size() == 1);
  CHECK(SameEntry(decoded[0], {10, 1000, 0, Exponential()}));
  REQUIRE(DecodeHistograms(records[1], &decoded, &skipped).ok());
  REQUIRE(decoded.size() == 2);
  CHECK(SameEntry(decoded[0], {9, 500, 0, Custom()}));
  CHECK(SameEntry(decoded[1], {11, 1001, 0, Custom()}));
  CHECK(skipped == 0);
  encoder.Clear();
  CHECK(encoder.empty());
  CHECK(RecordsOf(encoder).empty());
}

TEST_CASE("Float histograms are encoded as upstream encodes them") {
  FloatHistogram histogram;
  histogram.reset_hint = CounterResetHint::kGauge;
  histogram.schema = -4;
  histogram.zero_count = 0.5;
  histogram.count = 2;
  histogram.sum = -1;
  histogram.negative_spans = {{5, 1}};
  histogram.negative_buckets = {1.5};
  FloatHistogramsEncoder encoder;
  encoder.Add(1, -5, 0, histogram);
  const std::vector<std::string_view> records = RecordsOf(encoder);
  REQUIRE(records.size() == 1);
  CHECK(records[0] == Bytes({8}) + Big(1) + Big(static_cast<uint64_t>(-5)) + Bytes({0, 0, 3, 7}) +
                          Float(0) + Float(0.5) + Float(2) + Float(-1) + Bytes({0}) +
                          Bytes({1, 10, 1}) + Bytes({0}) + Bytes({1}) + Float(1.5));
  std::vector<RefFloatHistogram> decoded;
  uint64_t skipped = 0;
  REQUIRE(DecodeFloatHistograms(records[0], &decoded, &skipped).ok());
  REQUIRE(decoded.size() == 1);
  CHECK(decoded[0].timestamp == -5);
  CHECK(Same(decoded[0].histogram, histogram));
  CHECK(decoded[0].histogram.reset_hint == CounterResetHint::kGauge);
}

TEST_CASE("Start timestamps are encoded as upstream encodes them, for all kinds of samples") {
  SamplesV2Encoder encoder;
  encoder.Add({7, 1000, 1, 900});
  encoder.Add({8, 1001, 2, 900});  // The same start,
  encoder.Add({6, 1002, 3, 0});    // none,
  encoder.Add({5, 999, 4, 1});     // and one of its own.
  CHECK(encoder.record() == Bytes({11, 14, 0xd0, 15, 0x88, 14}) + Float(1) + Bytes({2, 2, 1}) +
                                Float(2) + Bytes({3, 4, 0}) + Float(3) +
                                Bytes({1, 1, 2, 0x85, 14}) + Float(4));
  std::vector<RefSample> samples;
  REQUIRE(DecodeSamples(encoder.record(), &samples).ok());
  REQUIRE(samples.size() == 4);
  CHECK(samples[1].ref == 8);
  CHECK(samples[1].start_timestamp == 900);
  CHECK(samples[2].start_timestamp == 0);
  CHECK(samples[3].ref == 5);
  CHECK(samples[3].timestamp == 999);
  CHECK(samples[3].start_timestamp == 1);
  CHECK(samples[3].value == 4);

  HistogramsEncoder histograms(true);
  histograms.Add(1, 100, 50, Exponential());
  histograms.Add(3, 101, 50, Custom());
  const std::vector<std::string_view> records = RecordsOf(histograms);
  REQUIRE(records.size() == 1);
  CHECK(records[0] ==
        Bytes({12, 2, 0xc8, 1, 100}) + kExponentialBytes + Bytes({4, 2, 1}) + kCustomBytes);
  std::vector<RefHistogram> decoded;
  uint64_t skipped = 0;
  REQUIRE(DecodeHistograms(records[0], &decoded, &skipped).ok());
  REQUIRE(decoded.size() == 2);
  CHECK(SameEntry(decoded[1], {3, 101, 50, Custom()}));

  FloatHistogramsEncoder floats(true);
  floats.Add(1, 100, 0, ToFloat(Exponential()));
  REQUIRE(RecordsOf(floats).size() == 1);
  CHECK(RecordsOf(floats)[0].substr(0, 5) == Bytes({13, 2, 0xc8, 1, 0}));
  std::vector<RefFloatHistogram> decoded_floats;
  REQUIRE(DecodeFloatHistograms(RecordsOf(floats)[0], &decoded_floats, &skipped).ok());
  CHECK(Same(decoded_floats[0].histogram, ToFloat(Exponential())));
}

TEST_CASE("Unknown schemas are skipped, finer ones are reduced, and spans must fit the buckets") {
  Histogram unknown = Exponential();
  unknown.schema = -9;
  Histogram fine = Exponential();
  fine.schema = 10;
  HistogramsEncoder encoder;
  encoder.Add(1, 1, 0, unknown);
  encoder.Add(2, 2, 0, fine);
  std::vector<RefHistogram> decoded;
  uint64_t skipped = 0;
  REQUIRE(DecodeHistograms(RecordsOf(encoder)[0], &decoded, &skipped).ok());
  CHECK(skipped == 1);
  REQUIRE(decoded.size() == 1);
  CHECK(decoded[0].ref == 2);
  CHECK(decoded[0].histogram.schema == kExponentialSchemaMax);
  CHECK(Validate(decoded[0].histogram).ok());

  Histogram broken = Exponential();
  broken.positive_deltas.pop_back();
  encoder.Clear();
  encoder.Add(1, 1, 0, broken);
  CHECK(DecodeHistograms(RecordsOf(encoder)[0], &decoded, &skipped).code() ==
        absl::StatusCode::kDataLoss);
}

TEST_CASE("Exemplars are encoded as upstream encodes them") {
  ExemplarsEncoder encoder;
  const LabelView labels[] = {{"trace_id", "abc"}};
  encoder.Add({4, 100, 1.5, labels});
  encoder.Add({3, 101, 2.5, {}});
  CHECK(encoder.record() == Bytes({4}) + Big(4) + Big(100) + Bytes({0, 0}) + Float(1.5) +
                                Bytes({1, 8}) + "trace_id" + Bytes({3}) + "abc" + Bytes({1, 2}) +
                                Float(2.5) + Bytes({0}));
  ExemplarsRecord decoded;
  REQUIRE(DecodeExemplars(encoder.record(), &decoded).ok());
  REQUIRE(decoded.entries.size() == 2);
  CHECK(decoded.entries[0].ref == 4);
  REQUIRE(decoded.entries[0].labels.size() == 1);
  CHECK(decoded.entries[0].labels[0] == labels[0]);
  CHECK(decoded.entries[1].ref == 3);
  CHECK(decoded.entries[1].timestamp == 101);
  CHECK(decoded.entries[1].value == 2.5);
  CHECK(decoded.entries[1].labels.empty());
  REQUIRE(DecodeExemplars(Bytes({4}), &decoded).ok());
  CHECK(decoded.entries.empty());
}

TEST_CASE("Metadata is encoded as upstream encodes it, and other fields are passed over") {
  MetadataEncoder encoder;
  encoder.Add({300, MetricType::kCounter, "s", "Help."});
  CHECK(encoder.record() == Bytes({6, 0xac, 2, 1, 2, 4}) + "UNIT" + Bytes({1}) + "s" + Bytes({4}) +
                                "HELP" + Bytes({5}) + "Help.");
  std::vector<RefMetadata> decoded;
  const std::string record = std::string(encoder.record()) + Bytes({5, 77, 2, 3}) + "NEW" +
                             Bytes({1}) + "x" + Bytes({4}) + "HELP" + Bytes({1}) + "h";
  REQUIRE(DecodeMetadata(record, &decoded).ok());
  REQUIRE(decoded.size() == 2);
  CHECK(decoded[0].ref == 300);
  CHECK(decoded[0].type == MetricType::kCounter);
  CHECK(decoded[0].unit == "s");
  CHECK(decoded[0].help == "Help.");
  CHECK(decoded[1].ref == 5);
  CHECK(decoded[1].type == MetricType::kUnknown);
  CHECK(decoded[1].unit.empty());
  CHECK(decoded[1].help == "h");
}

TEST_CASE("Markers of the out-of-order log, truncations and valid times survive") {
  const MmapMarker markers[] = {{5, uint64_t{2} << 32 | 8}, {6, 0}};
  const std::string record = EncodeMmapMarkers(markers);
  CHECK(record == Bytes({5}) + Big(5) + Big(uint64_t{2} << 32 | 8) + Big(6) + Big(0));
  std::vector<MmapMarker> decoded;
  REQUIRE(DecodeMmapMarkers(record, &decoded).ok());
  CHECK(decoded == std::vector<MmapMarker>(std::begin(markers), std::end(markers)));

  const Truncation truncation = {-7200000, 77};
  Truncation read;
  REQUIRE(DecodeTruncation(EncodeTruncation(truncation), &read).ok());
  CHECK(read == truncation);
  CHECK(!DecodeTruncation(EncodeTruncation(truncation).substr(0, 12), &read).ok());

  Timestamp min_time;
  REQUIRE(DecodeMinValidTime(Bytes({14}) + Big(12345), &min_time).ok());
  CHECK(min_time == 12345);
  CHECK(!DecodeMinValidTime(Bytes({14, 0}), &min_time).ok());
}

// One record of each type that was added here.
std::vector<std::string> AllRecords() {
  std::vector<std::string> records;
  HistogramsEncoder histograms;
  HistogramsEncoder histograms_v2(true);
  FloatHistogramsEncoder floats;
  FloatHistogramsEncoder floats_v2(true);
  for (const Histogram& histogram : {Exponential(), Custom()}) {
    histograms.Add(1, 2, 3, histogram);
    histograms_v2.Add(1, 2, 3, histogram);
    floats.Add(1, 2, 3, ToFloat(histogram));
    floats_v2.Add(1, 2, 3, ToFloat(histogram));
  }
  for (const std::string_view record : RecordsOf(histograms)) records.emplace_back(record);
  for (const std::string_view record : RecordsOf(histograms_v2)) records.emplace_back(record);
  for (const std::string_view record : RecordsOf(floats)) records.emplace_back(record);
  for (const std::string_view record : RecordsOf(floats_v2)) records.emplace_back(record);
  SamplesV2Encoder samples;
  samples.Add({7, 1000, 1, 900});
  samples.Add({9, 1000, 1, 901});
  records.emplace_back(samples.record());
  ExemplarsEncoder exemplars;
  const LabelView labels[] = {{"a", "b"}, {"c", "d"}};
  exemplars.Add({4, 100, 1.5, labels});
  records.emplace_back(exemplars.record());
  MetadataEncoder metadata;
  metadata.Add({300, MetricType::kCounter, "s", "Help."});
  records.emplace_back(metadata.record());
  const MmapMarker markers[] = {{5, 8}};
  records.push_back(EncodeMmapMarkers(markers));
  return records;
}

// How many entries it has; nothing when it is none.
std::optional<size_t> Decode(std::string_view record) {
  uint64_t skipped = 0;
  std::vector<RefHistogram> histograms;
  std::vector<RefFloatHistogram> floats;
  std::vector<RefSample> samples;
  ExemplarsRecord exemplars;
  std::vector<RefMetadata> metadata;
  std::vector<MmapMarker> markers;
  const auto count = [](const absl::Status& status, const auto& entries) {
    return status.ok() ? std::optional<size_t>(entries.size()) : std::nullopt;
  };
  switch (static_cast<int>(TypeOfRecord(record))) {
    case 4:
      return count(DecodeExemplars(record, &exemplars), exemplars.entries);
    case 5:
      return count(DecodeMmapMarkers(record, &markers), markers);
    case 6:
      return count(DecodeMetadata(record, &metadata), metadata);
    case 7:
    case 9:
    case 12:
      return count(DecodeHistograms(record, &histograms, &skipped), histograms);
    case 8:
    case 10:
    case 13:
      return count(DecodeFloatHistograms(record, &floats, &skipped), floats);
    case 11:
      return count(DecodeSamples(record, &samples), samples);
    default:
      return std::nullopt;
  }
}

TEST_CASE("A record that is cut off is refused, or has fewer entries") {
  for (const std::string& record : AllRecords()) {
    const std::optional<size_t> whole = Decode(record);
    REQUIRE(whole);
    for (size_t size = 1; size < record.size(); ++size) {
      const std::optional<size_t> cut = Decode(std::string_view(record).substr(0, size));
      if (cut) CHECK(*cut < *whole);
    }
  }
}

TEST_CASE("Flipped bytes of records cost no more memory than a small multiple of them") {
  for (const std::string& record : AllRecords()) {
    for (size_t at = 1; at < record.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string damaged = record;
        damaged[at] = static_cast<char>(damaged[at] ^ flip);
        const std::optional<size_t> entries = Decode(damaged);
        if (entries) CHECK(*entries <= record.size());
      }
    }
  }
}

TEST_CASE("Zstd makes records smaller and gives them back") {
  std::mt19937 random(3);
  std::string buffer;
  for (size_t size = 0; size < 100000; size = size * 2 + 1) {
    const std::string text(size, 'z');
    const std::string_view compressed = CompressZstd(text, &buffer);
    if (size > 100) CHECK(compressed.size() * 4 < size);
    if (compressed.empty()) continue;
    std::string back;
    REQUIRE(UncompressZstd(compressed, &back).ok());
    CHECK(back == text);
    CHECK(!UncompressZstd(compressed.substr(0, compressed.size() - 1), &back).ok());
  }
  std::string noise(5000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  CHECK(CompressZstd(noise, &buffer).empty());
}

}  // namespace
}  // namespace narthex::wal
