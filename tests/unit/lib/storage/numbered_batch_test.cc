#include "lib/storage/numbered_batch.h"

#include <string>
#include <variant>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"

namespace narthex::storage {
namespace {

Histogram Counted(uint64_t count) {
  Histogram histogram;
  histogram.count = histogram.zero_count = count;
  histogram.sum = static_cast<double>(count) / 2;
  return histogram;
}

NumberedBatch Full() {
  NumberedBatch batch;
  batch.base_timestamp = 1000;
  batch.Add(1, 1);
  batch.SetMetadata({MetricType::kCounter, "Help.", "s"});
  batch.Add(2, 0);
  batch.SetHistogram(Counted(4));
  batch.SetStartTimestamp(500);
  batch.AddExemplar({Labels({{"id", "x"}}), 990, 2});
  batch.AddExemplar({Labels({{"id", "y"}}), 991, 3});
  batch.AddAt(3, 1001, 0);
  batch.SetHistogram(ToFloat(Counted(6)));
  batch.Add(4, 7);
  batch.AddExemplar({Labels(), 992, 4});
  batch.SetMetadata({MetricType::kGauge, "", ""});
  return batch;
}

// What Full() becomes when the samples whose bit is not set are left out.
AppendBatch Send(const NumberedBatch& batch, unsigned mask, std::string* bytes) {
  AppendBatchWriter writer;
  writer.Clear(batch.base_timestamp);
  EntryWriter entries(&batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    writer.Add(batch.numbers[i], batch.timestamp(i), batch.values[i]);
    entries.Write(i, &writer);
  }
  *bytes = writer.Finish();
  AppendBatch sent;
  REQUIRE(DecodeAppendBatch(*bytes, &sent).ok());
  return sent;
}

TEST_CASE("what belongs to samples is sent with them") {
  const NumberedBatch batch = Full();
  CHECK(batch.values == std::vector<double>{1, 2, 3, 7});  // Sums stand for the histograms.
  CHECK(batch.start_timestamps == std::vector<Timestamp>{0, 500, 0, 0});
  std::string bytes;
  const AppendBatch sent = Send(batch, 0b1111, &bytes);
  CHECK(sent.start_timestamps == batch.start_timestamps);
  REQUIRE(sent.histograms.size() == 2);
  CHECK(Same(sent.histograms[0].histogram, Counted(4)));
  CHECK(Same(sent.histograms[1].float_histogram, ToFloat(Counted(6))));
  CHECK(sent.exemplars.size() == 3);
  CHECK(sent.metadata.size() == 2);
}

TEST_CASE("what belongs to samples that are left out is left out, and nothing is mixed up") {
  const NumberedBatch batch = Full();
  for (unsigned mask = 0; mask < 16; ++mask) {
    INFO("mask " << mask);
    std::string bytes;
    const AppendBatch sent = Send(batch, mask, &bytes);
    const auto number = [&](size_t index) { return sent.refs[index]; };
    CHECK(sent.histograms.size() == (mask >> 1 & 1) + (mask >> 2 & 1));
    for (const auto& entry : sent.histograms)
      CHECK(number(entry.index) == (entry.is_float ? 3 : 2));
    CHECK(sent.exemplars.size() == 2 * (mask >> 1 & 1) + (mask >> 3 & 1));
    for (const auto& entry : sent.exemplars) {
      CHECK(number(entry.index) == (entry.timestamp == 992 ? 4 : 2));
    }
    CHECK(sent.metadata.size() == (mask & 1) + (mask >> 3 & 1));
    for (const auto& entry : sent.metadata) {
      CHECK(number(entry.index) == (entry.type == MetricType::kCounter ? 1 : 4));
    }
  }
}

TEST_CASE("a batch that was read takes what belongs to its samples") {
  const NumberedBatch batch = Full();
  std::string bytes;
  const AppendBatch sent = Send(batch, 0b1111, &bytes);
  NumberedBatch taken;
  taken.base_timestamp = sent.base_timestamp;
  taken.numbers = sent.refs;
  taken.values = sent.values;
  taken.timestamps = sent.timestamps;
  taken.TakeEntries(sent);
  std::string again;
  Send(taken, 0b1111, &again);
  CHECK(again == bytes);
}

TEST_CASE("memory counts what hangs on a batch") {
  NumberedBatch batch;
  batch.Add(1, 1);
  const size_t plain = batch.memory_bytes();
  batch.SetMetadata({MetricType::kGauge, std::string(1000, 'x'), ""});
  const size_t described = batch.memory_bytes();
  CHECK(described >= plain + 1000);
  batch.AddExemplar({Labels({{"trace_id", std::string(500, 'y')}}), 1, 1});
  CHECK(batch.memory_bytes() >= described + 500);
}

}  // namespace
}  // namespace narthex::storage
