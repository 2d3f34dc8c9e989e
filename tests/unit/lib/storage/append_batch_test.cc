#include "lib/storage/append_batch.h"

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"

namespace narthex::storage {
namespace {

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    if (!hex.empty()) hex.push_back(' ');
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

std::string SampleBatch() {
  AppendBatchWriter writer;
  writer.Clear(1700000000000);
  writer.Add(7, 1700000000000, 1);
  writer.AddWithDefinition(3, Labels({{"__name__", "up"}, {"job", "x"}}), 1700000000000, 0.5);
  writer.Add(9, 1700000000005, -2);
  return writer.Finish();
}

TEST_CASE("an append batch has the bytes of append_batch.md") {
  CHECK(ToHex(SampleBatch()) ==
        "01 "
        "01 06 80 a0 ab fe f9 62 "
        "02 04 03 0e 0d 12 "
        "03 18 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 e0 3f 00 00 00 00 00 00 00 c0 "
        "04 15 01 03 02 08 5f 5f 6e 61 6d 65 5f 5f 02 75 70 03 6a 6f 62 01 78 "
        "05 03 00 00 0a");
}

Histogram SampleHistogram() {
  Histogram histogram;
  histogram.schema = 1;
  histogram.zero_threshold = 0.5;
  histogram.zero_count = 2;
  histogram.count = 7;
  histogram.sum = 3;
  histogram.positive_spans = {{-1, 1}, {2, 1}};
  histogram.positive_deltas = {3, -1};
  return histogram;
}

FloatHistogram SampleFloatHistogram() {
  FloatHistogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.count = 1.5;
  histogram.sum = 4;
  histogram.positive_spans = {{1, 1}};
  histogram.positive_buckets = {1.5};
  histogram.custom_values = {1, 2};
  return histogram;
}

// One with every section.
std::string FullBatch() {
  AppendBatchWriter writer;
  writer.Clear(1000);
  writer.Add(1, 1000, 1);
  writer.SetMetadata({MetricType::kCounter, "Requests.", "seconds"});
  writer.Add(2, 1000, 3);
  writer.SetStartTimestamp(900);
  writer.SetHistogram(SampleHistogram());
  writer.AddExemplar({Labels({{"id", "a"}}), 999, 0.5});
  writer.AddExemplar({Labels(), 1000, 2});
  writer.AddWithDefinition(3, Labels({{"n", "v"}}), 1001, 4);
  writer.SetStartTimestamp(900);
  writer.SetHistogram(SampleFloatHistogram());
  writer.Add(4, 1000, 5);
  writer.AddExemplar({Labels({{"id", "b"}}), 1000, 1});
  writer.SetMetadata({MetricType::kGauge, "", ""});
  return writer.Finish();
}

TEST_CASE(
    "start timestamps, histograms, exemplars and metadata have the bytes of append_batch.md") {
  const std::string bytes = FullBatch();
  const size_t start = ToHex(bytes).find("06 06 ");
  REQUIRE(start != std::string::npos);
  CHECK(ToHex(bytes).substr(start) ==
        "06 06 00 88 0e 00 87 0e "
        "07 64 02 "
        "01 00 00 02 3f e0 00 00 00 00 00 00 02 07 40 08 00 00 00 00 00 00 "
        "02 01 01 04 01 00 02 06 01 00 "
        "01 01 00 69 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 3f f8 00 00 00 00 00 00 "
        "40 10 00 00 00 00 00 00 01 02 01 00 01 3f f8 00 00 00 00 00 00 00 "
        "02 3f f0 00 00 00 00 00 00 40 00 00 00 00 00 00 00 "
        "08 2c 03 "
        "01 01 00 00 00 00 00 00 e0 3f 01 02 69 64 01 61 "
        "00 00 00 00 00 00 00 00 00 40 00 "
        "02 00 00 00 00 00 00 00 f0 3f 01 02 69 64 01 62 "
        "09 19 02 "
        "00 01 09 52 65 71 75 65 73 74 73 2e 07 73 65 63 6f 6e 64 73 "
        "03 02 00 00");
}

TEST_CASE("start timestamps, histograms, exemplars and metadata come back") {
  const std::string bytes = FullBatch();
  AppendBatch batch;
  // Decoded over another one, of which nothing stays.
  for (int round = 0; round < 2; ++round) {
    REQUIRE(DecodeAppendBatch(bytes, &batch).ok());
    CHECK(batch.start_timestamps == std::vector<Timestamp>{0, 900, 900, 0});
    REQUIRE(batch.histograms.size() == 2);
    CHECK(batch.histograms[0].index == 1);
    CHECK_FALSE(batch.histograms[0].is_float);
    CHECK(Same(batch.histograms[0].histogram, SampleHistogram()));
    CHECK(batch.histograms[1].index == 2);
    CHECK(batch.histograms[1].is_float);
    CHECK(Same(batch.histograms[1].float_histogram, SampleFloatHistogram()));
    REQUIRE(batch.exemplars.size() == 3);
    CHECK(batch.exemplars[0].index == 1);
    CHECK(batch.exemplars[0].timestamp == 999);
    CHECK(batch.exemplars[0].value == 0.5);
    CHECK(batch.exemplars[0].labels == std::vector<LabelView>{{"id", "a"}});
    CHECK(batch.exemplars[1].index == 1);
    CHECK(batch.exemplars[1].labels.empty());
    CHECK(batch.exemplars[2].index == 3);
    REQUIRE(batch.metadata.size() == 2);
    CHECK(batch.metadata[0].index == 0);
    CHECK(batch.metadata[0].type == MetricType::kCounter);
    CHECK(batch.metadata[0].help == "Requests.");
    CHECK(batch.metadata[0].unit == "seconds");
    CHECK(batch.metadata[1].index == 3);
    CHECK(batch.metadata[1].type == MetricType::kGauge);
  }
  AppendBatchWriter writer;
  writer.Clear(5);
  writer.Add(1, 5, 1);
  const std::string plain = writer.Finish();
  REQUIRE(DecodeAppendBatch(plain, &batch).ok());
  CHECK(batch.start_timestamps.empty());
  CHECK(batch.histograms.empty());
  CHECK(batch.exemplars.empty());
  CHECK(batch.metadata.empty());
}

TEST_CASE("an append batch decodes to what was written") {
  const std::string bytes = SampleBatch();
  AppendBatch batch;
  REQUIRE(DecodeAppendBatch(bytes, &batch).ok());
  CHECK(batch.base_timestamp == 1700000000000);
  CHECK(batch.refs == std::vector<SeriesRef>{7, 0, 9});
  CHECK(batch.values == std::vector<double>{1, 0.5, -2});
  CHECK(batch.timestamp(0) == 1700000000000);
  CHECK(batch.timestamp(2) == 1700000000005);
  REQUIRE(batch.definitions.size() == 1);
  CHECK(batch.definitions[0].number == 3);
  CHECK(batch.definitions[0].labels == std::vector<LabelView>{{"__name__", "up"}, {"job", "x"}});
}

TEST_CASE("a batch of one timestamp has no column for it") {
  AppendBatchWriter writer;
  writer.Clear(-5);
  writer.Add(1, -5, StaleNan());
  AppendBatch batch;
  REQUIRE(DecodeAppendBatch(writer.Finish(), &batch).ok());
  CHECK(batch.timestamps.empty());
  CHECK(batch.timestamp(0) == -5);
  CHECK(IsStale(batch.values[0]));
  // The writer is reusable, and so is the decoded batch.
  writer.Clear(6);
  CHECK(writer.size() == 0);
  REQUIRE(DecodeAppendBatch(writer.Finish(), &batch).ok());
  CHECK(batch.refs.empty());
  CHECK(batch.base_timestamp == 6);
}

TEST_CASE("random batches come back, and their size is foretold") {
  std::mt19937_64 random(5);
  AppendBatchWriter writer;
  AppendBatch batch;
  for (int round = 0; round < 200; ++round) {
    const Timestamp base = static_cast<Timestamp>(random());
    const bool own = random() % 2 == 0;
    const size_t count = random() % 50;
    std::vector<SeriesRef> refs;
    std::vector<uint64_t> values;
    std::vector<Timestamp> timestamps;
    std::vector<std::pair<SeriesNumber, Labels>> definitions;
    writer.Clear(base);
    for (size_t i = 0; i < count; ++i) {
      refs.push_back(random() % 3 == 0 ? 0 : random() >> (random() % 63));
      values.push_back(random());
      timestamps.push_back(own ? static_cast<Timestamp>(random()) : base);
      const double value = std::bit_cast<double>(values.back());
      if (refs.back() == 0) {
        definitions.emplace_back(random() | 1, Labels({{"n", StrCat(i)}, {"m", "x"}}));
        writer.AddWithDefinition(definitions.back().first, definitions.back().second,
                                 timestamps.back(), value);
      } else {
        writer.Add(refs.back(), timestamps.back(), value);
      }
    }
    const std::string bytes = writer.Finish();
    REQUIRE(DecodeAppendBatch(bytes, &batch).ok());
    REQUIRE(batch.refs == refs);
    for (size_t i = 0; i < count; ++i) {
      CHECK(std::bit_cast<uint64_t>(batch.values[i]) == values[i]);
      CHECK(batch.timestamp(i) == timestamps[i]);
    }
    REQUIRE(batch.definitions.size() == definitions.size());
    for (size_t i = 0; i < definitions.size(); ++i) {
      CHECK(batch.definitions[i].number == definitions[i].first);
      CHECK(Labels::FromSorted(batch.definitions[i].labels) == definitions[i].second);
    }
    CHECK(bytes.size() < 3 * writer.size_bytes());
  }
}

TEST_CASE("every truncation of a batch is refused") {
  const std::string bytes = SampleBatch();
  AppendBatch batch;
  // The optional columns end with the batch: what is left without the last one is a batch, too,
  // where nothing needs it.
  const size_t without_timestamps = bytes.size() - 5;
  for (size_t size = 0; size < bytes.size(); ++size) {
    if (size == without_timestamps) continue;
    const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    INFO("cut at " << size);
    CHECK(DecodeAppendBatch({cut.data(), cut.size()}, &batch).code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("every truncation of a batch with all sections is refused, but where one ends") {
  const std::string bytes = FullBatch();
  AppendBatch batch;
  size_t sound = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    if (DecodeAppendBatch({cut.data(), cut.size()}, &batch).ok()) ++sound;
  }
  // Without the last one to five of the five sections that may be missing.
  CHECK(sound == 5);
}

TEST_CASE("a batch with any bit flipped decodes to something sound or is refused") {
  const std::string bytes = GENERATE(SampleBatch(), FullBatch());
  AppendBatch batch;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::vector<char> flipped(bytes.begin(), bytes.end());
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    if (!DecodeAppendBatch({flipped.data(), flipped.size()}, &batch).ok()) continue;
    CHECK(batch.values.size() == batch.refs.size());
    CHECK((batch.timestamps.empty() || batch.timestamps.size() == batch.refs.size()));
    CHECK(static_cast<size_t>(std::count(batch.refs.begin(), batch.refs.end(), 0)) ==
          batch.definitions.size());
    CHECK((batch.start_timestamps.empty() || batch.start_timestamps.size() == batch.refs.size()));
    for (const auto& entry : batch.histograms) CHECK(entry.index < batch.refs.size());
    for (const auto& entry : batch.exemplars) CHECK(entry.index < batch.refs.size());
    for (const auto& entry : batch.metadata) CHECK(entry.index < batch.refs.size());
  }
}

std::string Section(uint8_t tag, std::string_view content) {
  std::string out(1, static_cast<char>(tag));
  AppendLengthPrefixed(&out, content);
  return out;
}

TEST_CASE("malformed batches are refused with section and offset") {
  const std::string base = std::string(1, '\1') + Section(1, {"\0", 1});
  const std::string empty = base + Section(2, {"\0", 1}) + Section(3, "");
  const std::string one_definition =
      base + Section(2, "\1" + std::string(1, '\0')) + Section(3, std::string(8, '\0'));
  const std::string one_sample = base + Section(2, "\1\2") + Section(3, std::string(8, '\0'));
  const auto definition = [&](std::string_view content) {
    return one_definition + Section(4, content);
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "append batch: empty"},
      {"\x02", "append batch: version 2"},
      {base, "a required section is missing"},
      {empty + Section(10, ""),
       "section unknown (10) at offset 9: a section that this version does not know"},
      {empty + Section(70, ""),
       "section unknown (70) at offset 9: a section that this version does not know"},
      {empty + Section(3, ""),
       "section values (3) at offset 9: sections are not in ascending order"},
      {base + Section(2, "\x05"),
       "section refs (2) at offset 4: the count is larger than the section"},
      {base + Section(2, "\1\x80"), "section refs (2) at offset 4: ends within a reference"},
      {base + Section(2, "\1\2\2"), "section refs (2) at offset 4: bytes are left over"},
      {base + Section(2, "\1\2") + Section(3, "1234567"),
       "section values (3) at offset 8: not as many values as references"},
      {one_definition, "the definitions are not as many as the samples that want one"},
      {empty + Section(4, "\1\1" + std::string(1, '\0')),
       "the definitions are not as many as the samples that want one"},
      {definition({"\1\0\0", 3}), "series number 0"},
      {definition("\1\1\1\1n\1"), "ends within a label"},
      {definition({"\1\1\1\1n\0", 6}), "a label without a value"},
      {definition("\1\1\2\1n\1v\1n\1v"), "labels out of order"},
      {definition("\1\1\2\1n\1v\1m\1v"), "labels out of order"},
      {definition("\1\1\x7f\1n\1v"), "a label count is larger than the section"},
      {definition("\x7f\1\1\1n\1v"), "the count is larger than the section"},
      {base + Section(2, "\1\2") + Section(3, std::string(8, '\0')) + Section(5, ""),
       "fewer timestamps than references"},
      {one_sample + Section(6, ""), "fewer start timestamps than references"},
      {one_sample + Section(6, {"\0\0", 2}), "bytes are left over"},
      {one_sample + Section(7, ""), "no count"},
      {one_sample + Section(7, "\1"), "the count is larger than the section"},
      {one_sample + Section(7, "\1\1" + std::string(40, '\0')), "an index behind the last sample"},
      {one_sample + Section(7, {"\1\0\2"
                                "12345678901234567890123456",
                                29}),
       "an unknown kind of histogram"},
      {one_sample + Section(7, {"\1\0\0\7"
                                "1234567890123456789012345",
                                29}),
       "a malformed histogram"},
      {one_sample + Section(8, {"\1\0\0"
                                "12345678\1",
                                12}),
       "a label count is larger than the section"},
      {one_sample + Section(8, "\1\1" + std::string(20, '\0')), "an index behind the last sample"},
      {one_sample + Section(9, {"\1\0\x08\0\0", 5}), "an unknown metric type"},
      {one_sample + Section(9, {"\1\0\1\0\1", 5}), "ends within metadata"},
      {one_sample + Section(9, {"\2\0\1\0\0\0\1\0\0", 9}), "two entries for one sample"},
      {empty + Section(9, {"\1\0\1\0\0", 5}), "an index behind the last sample"},
  };
  AppendBatch batch;
  for (const auto& [bytes, message] : cases) {
    INFO(ToHex(bytes));
    const absl::Status status = DecodeAppendBatch(bytes, &batch);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(Message(status)), Catch::EndsWith(message));
  }
  // One that is sound, of the same pieces.
  CHECK(DecodeAppendBatch(definition("\1\1\1\1n\1v"), &batch).ok());
}

}  // namespace
}  // namespace narthex::storage
