#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_COMPACTION_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_COMPACTION_FIXTURE_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {

inline constexpr int64_t kMinute = 60'000;
inline constexpr int64_t kHour = 60 * kMinute;
inline constexpr int64_t kRange = 2 * kHour;
inline const Timestamp kBegin = AlignDown(kStart, kRange);

inline Labels Series(int i) { return Labels({{kMetricName, "m"}, {"i", StrCat(i)}}); }

// A database, and what it must answer.
struct CompactionFixture : DbFixture {
  using DbFixture::DbFixture;

  void Add(int series, Timestamp timestamp, double value) {
    const absl::Duration ahead = FromTimestamp(timestamp) - clock.Now();
    if (ahead > absl::ZeroDuration()) clock.Advance(ahead);
    REQUIRE(Append(Series(series), timestamp, value) == storage::Refusal::kNone);
    model[Series(series)][timestamp] = value;
  }
  // `series` series with a sample each `step`, from…to.
  void Fill(int series, Timestamp from, Timestamp to, int64_t step) {
    for (Timestamp t = from; t <= to; t += step) {
      for (int i = 0; i < series; ++i) Add(i, t, static_cast<double>(t % 1000) + i);
    }
  }
  void Compact() {
    const absl::Status status = db->Compact();
    INFO(status.ToString());
    REQUIRE(status.ok());
  }
  SeriesMap Expected() const {
    SeriesMap expected;
    for (const auto& [labels, samples] : model) {
      for (const auto& [timestamp, value] : samples)
        expected[labels].emplace_back(timestamp, value);
    }
    return expected;
  }
  void Forget(Timestamp min_time, Timestamp max_time, const Labels& labels) {
    auto& samples = model[labels];
    samples.erase(samples.lower_bound(min_time), samples.upper_bound(max_time));
    if (samples.empty()) model.erase(labels);
  }
  std::vector<std::pair<int64_t, int64_t>> Hours() const {
    std::vector<std::pair<int64_t, int64_t>> hours;
    const BlockListPtr blocks = db->blocks();
    for (const auto& block : *blocks) {
      hours.emplace_back((block->meta().min_time - kBegin) / kHour,
                         (block->meta().max_time - kBegin) / kHour);
    }
    return hours;
  }

  // Of all chunks of all blocks.
  std::set<chunkenc::Encoding> BlockEncodings() const {
    std::set<chunkenc::Encoding> encodings;
    const BlockListPtr blocks = db->blocks();
    for (const auto& block : *blocks) {
      const auto source = block->Source(kMinTimestamp, kMaxTimestamp);
      while (source->Next().value()) {
        for (const storage::SelectChunk& chunk : source->chunks()) encodings.insert(chunk.encoding);
      }
    }
    return encodings;
  }

  std::map<Labels, std::map<Timestamp, double>> model;
};

using Hours = std::vector<std::pair<int64_t, int64_t>>;

}  // namespace narthex::tsdb

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_COMPACTION_FIXTURE_H_
