#include "services/storage/tsdb/wal/records.h"

#include <bit>
#include <random>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"

namespace narthex::wal {
namespace {

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

TEST_CASE("Series are encoded as upstream encodes them") {
  SeriesEncoder encoder;
  const LabelView labels[] = {{"__name__", "up"}, {"job", "x"}};
  encoder.Add(258, labels);
  CHECK(encoder.record() == Bytes({1, 0, 0, 0, 0, 0, 0, 1, 2, 2, 8}) + "__name__" + Bytes({2}) +
                                "up" + Bytes({3}) + "job" + Bytes({1}) + "x");
  SeriesRecord decoded;
  REQUIRE(DecodeSeries(encoder.record(), &decoded).ok());
  REQUIRE(decoded.entries.size() == 1);
  CHECK(decoded.entries[0].ref == 258);
  REQUIRE(decoded.LabelsOf(decoded.entries[0]).size() == 2);
  CHECK(decoded.LabelsOf(decoded.entries[0])[1] == LabelView{"job", "x"});
}

TEST_CASE("Samples are encoded as upstream encodes them") {
  SamplesEncoder encoder;
  encoder.Reserve(2);
  encoder.Add(10, 1000, 1);
  encoder.Add(9, 1064, 2);
  CHECK(encoder.record() ==
        Bytes({2, 0,    0,    0,    0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 3, 0xe8,  // Bases.
               0, 0,    0x3f, 0xf0, 0, 0, 0, 0, 0,  0,                          // The first, again.
               1, 0x80, 1,    0x40, 0, 0, 0, 0, 0,  0, 0}));
}

TEST_CASE("Random samples survive, with every kind of value and extreme times") {
  std::mt19937_64 random(7);
  SamplesEncoder encoder;
  std::vector<RefSample> samples;
  encoder.Reserve(100);
  for (int i = 0; i < 1000; ++i) {
    if (i % 100 == 0) encoder.Reserve(100);
    const double value = i % 5 == 0 ? StaleNan() : std::bit_cast<double>(random());
    const Timestamp timestamp = i % 7 == 0 ? static_cast<Timestamp>(random()) : 1'700'000'000'000;
    samples.push_back({random() % (i % 3 == 0 ? ~uint64_t{0} : 1000), timestamp, value});
    encoder.Add(samples.back().ref, timestamp, value);
  }
  std::vector<RefSample> decoded;
  REQUIRE(DecodeSamples(encoder.record(), &decoded).ok());
  REQUIRE(decoded.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    CHECK(decoded[i].ref == samples[i].ref);
    CHECK(decoded[i].timestamp == samples[i].timestamp);
    CHECK(std::bit_cast<uint64_t>(decoded[i].value) == std::bit_cast<uint64_t>(samples[i].value));
  }
  REQUIRE(DecodeSamples(Bytes({2}), &decoded).ok());
  CHECK(decoded.empty());
}

TEST_CASE("Tombstones, markers and batch headers survive") {
  const std::vector<Tombstone> tombstones = {{1, -5, 10}, {1 << 20, kMinTimestamp, kMaxTimestamp}};
  std::vector<Tombstone> decoded;
  REQUIRE(DecodeTombstones(EncodeTombstones(tombstones), &decoded).ok());
  CHECK(decoded == tombstones);

  const SegmentMarker marker = {std::string(kReferenceSpaceSize, 's'), 77, 12, kReferenceMax};
  SegmentMarker read_marker;
  REQUIRE(DecodeSegmentMarker(EncodeSegmentMarker(marker), &read_marker).ok());
  CHECK(read_marker.reference_space == marker.reference_space);
  CHECK(read_marker.session == 77);
  CHECK(read_marker.segment == 12);
  CHECK(read_marker.next_reference == kReferenceMax);

  std::string record;
  EncodeBatchHeader({3, "sender", 900}, &record);
  BatchHeader header;
  REQUIRE(DecodeBatchHeader(record, &header).ok());
  CHECK(header.records == 3);
  CHECK(header.sender == "sender");
  CHECK(header.sequence == 900);
  CHECK(!header.late);

  EncodeBatchHeader({3, "sender", 900, LogPlace{7, 4096}}, &record);
  REQUIRE(DecodeBatchHeader(record, &header).ok());
  CHECK(header.sequence == 900);
  CHECK(header.late == LogPlace{7, 4096});
  CHECK(!DecodeBatchHeader(std::string_view(record).substr(0, record.size() - 1), &header).ok());
}

TEST_CASE("Every truncation of a record is refused or is a shorter record") {
  SeriesEncoder series;
  const LabelView labels[] = {{"__name__", "up"}, {"job", "x"}};
  series.Add(1, labels);
  series.Add(2, labels);
  SamplesEncoder samples;
  samples.Reserve(3);
  for (uint64_t i = 0; i < 3; ++i) samples.Add(i, static_cast<Timestamp>(i) * 100000, 0.5);
  std::string header;
  EncodeBatchHeader({3, "sender", 900}, &header);
  const std::vector<std::string> records = {
      std::string(series.record()), std::string(samples.record()),
      EncodeTombstones(std::vector<Tombstone>{{1, 2, 3}}),
      EncodeSegmentMarker({std::string(kReferenceSpaceSize, 's'), 7, 1, 300}), header};
  for (const std::string& record : records) {
    for (size_t size = 1; size < record.size(); ++size) {
      const std::string_view cut = std::string_view(record).substr(0, size);
      SeriesRecord series_out;
      std::vector<RefSample> samples_out;
      std::vector<Tombstone> tombstones_out;
      SegmentMarker marker_out;
      BatchHeader header_out;
      absl::Status status;
      const RecordType type = TypeOfRecord(cut);
      if (type == RecordType::kSeries) {
        status = DecodeSeries(cut, &series_out);
        CHECK((!status.ok() || series_out.entries.size() < 2));
      } else if (type == RecordType::kSamples) {
        status = DecodeSamples(cut, &samples_out);
        CHECK((!status.ok() || samples_out.size() < 3));
      } else if (type == RecordType::kTombstones) {
        status = DecodeTombstones(cut, &tombstones_out);
        CHECK((!status.ok() || tombstones_out.empty()));
      } else if (type == RecordType::kSegmentMarker) {
        CHECK(!DecodeSegmentMarker(cut, &marker_out).ok());
      } else {
        REQUIRE(type == RecordType::kBatch);
        CHECK(!DecodeBatchHeader(cut, &header_out).ok());
      }
    }
  }
}

TEST_CASE("Labels out of order, twice, or without a value are no series record") {
  const std::vector<std::vector<LabelView>> bad = {
      {{"b", "1"}, {"a", "1"}}, {{"a", "1"}, {"a", "2"}}, {{"a", ""}}};
  for (const std::vector<LabelView>& labels : bad) {
    SeriesEncoder encoder;
    encoder.Add(1, labels);
    SeriesRecord decoded;
    CHECK(DecodeSeries(encoder.record(), &decoded).code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace narthex::wal
