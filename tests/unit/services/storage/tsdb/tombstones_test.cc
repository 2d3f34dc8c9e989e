// Deleted intervals and their file.
#include "services/storage/tsdb/tombstones.h"

#include <limits>
#include <random>
#include <set>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "tests/unit/services/storage/tsdb/golden_block.h"

namespace narthex::tsdb {
namespace {

using storage::DeletedInterval;

std::vector<std::pair<Timestamp, Timestamp>> Pairs(const std::vector<DeletedInterval>& intervals) {
  std::vector<std::pair<Timestamp, Timestamp>> pairs;
  for (const DeletedInterval& one : intervals) pairs.emplace_back(one.min_time, one.max_time);
  return pairs;
}

TEST_CASE("Intervals that overlap or touch become one") {
  using Interval = std::pair<Timestamp, Timestamp>;
  constexpr Timestamp kMin = std::numeric_limits<Timestamp>::min();
  constexpr Timestamp kMax = std::numeric_limits<Timestamp>::max();
  struct Case {
    std::vector<Interval> added;
    std::vector<Interval> expected;
  };
  for (const Case& one : std::vector<Case>{
           {{{1, 2}}, {{1, 2}}},
           {{{1, 2}, {4, 5}}, {{1, 2}, {4, 5}}},
           {{{1, 2}, {3, 5}}, {{1, 5}}},
           {{{4, 5}, {1, 2}, {3, 3}}, {{1, 5}}},
           {{{1, 10}, {3, 4}}, {{1, 10}}},
           {{{3, 4}, {1, 10}}, {{1, 10}}},
           {{{1, 2}, {5, 6}, {9, 10}, {2, 9}}, {{1, 10}}},
           {{{5, 6}, {1, 2}, {9, 10}}, {{1, 2}, {5, 6}, {9, 10}}},
           {{{kMin, kMax}, {1, 2}}, {{kMin, kMax}}},
           {{{kMax, kMax}, {kMin, kMin}, {0, 0}}, {{kMin, kMin}, {0, 0}, {kMax, kMax}}},
       }) {
    std::vector<DeletedInterval> intervals;
    for (const auto& [min_time, max_time] : one.added)
      AddInterval(&intervals, {min_time, max_time});
    CHECK(Pairs(intervals) == one.expected);
  }
}

TEST_CASE("Intervals hold exactly what was added") {
  std::mt19937 random(17);
  for (int round = 0; round < 300; ++round) {
    std::vector<DeletedInterval> intervals;
    std::set<Timestamp> expected;
    for (int i = 0; i < 12; ++i) {
      const Timestamp min_time = static_cast<Timestamp>(random() % 60);
      const Timestamp max_time = min_time + static_cast<Timestamp>(random() % 9);
      AddInterval(&intervals, {min_time, max_time});
      for (Timestamp t = min_time; t <= max_time; ++t) expected.insert(t);
    }
    std::set<Timestamp> held;
    for (size_t i = 0; i < intervals.size(); ++i) {
      if (i > 0) CHECK(intervals[i].min_time > intervals[i - 1].max_time + 1);
      for (Timestamp t = intervals[i].min_time; t <= intervals[i].max_time; ++t) held.insert(t);
    }
    CHECK(held == expected);
  }
}

TEST_CASE("Only one interval covers a chunk") {
  const std::vector<DeletedInterval> intervals = {{10, 20}, {30, 40}};
  CHECK(CoveredBy(intervals, 10, 20));
  CHECK(CoveredBy(intervals, 31, 31));
  CHECK_FALSE(CoveredBy(intervals, 9, 20));
  CHECK_FALSE(CoveredBy(intervals, 10, 21));
  CHECK_FALSE(CoveredBy(intervals, 15, 35));
  CHECK_FALSE(CoveredBy({}, 1, 1));
}

TEST_CASE("The file of Prometheus is read, and written but for the order of its map") {
  const auto tombstones = DecodeTombstones(FromHex(kGoldenTombstones));
  REQUIRE(tombstones.ok());
  CHECK(tombstones->size() == 2);
  CHECK(Pairs(tombstones->Of(6)) ==
        std::vector<std::pair<Timestamp, Timestamp>>{{1700006410000, 1700006430000}});
  CHECK(Pairs(tombstones->Of(14)) ==
        std::vector<std::pair<Timestamp, Timestamp>>{{1700006400000, 1700006400000}});
  CHECK(tombstones->Of(8).empty());
  CHECK(EncodeTombstones(*tombstones).size() == kGoldenTombstones.size() / 2);

  Tombstones one;
  one.Add(14, {1700006400000, 1700006400000});
  CHECK(EncodeTombstones(one) == FromHex("0130ba3001"
                                         "0e80c0b884fa6280c0b884fa62") +
                                     [] {
                                       std::string sum;
                                       AppendBig(&sum,
                                                 Crc32c(FromHex("0e80c0b884fa6280c0b884fa62")));
                                       return sum;
                                     }());
  CHECK(EncodeTombstones(Tombstones()) == FromHex("0130ba300100000000"));
}

TEST_CASE("A damaged tombstones file is data loss") {
  const std::string golden = FromHex(kGoldenTombstones);
  for (size_t size = 0; size < golden.size(); ++size) {
    CHECK(absl::IsDataLoss(DecodeTombstones(golden.substr(0, size)).status()));
  }
  for (size_t i = 0; i < golden.size(); ++i) {
    std::string changed = golden;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    CHECK(absl::IsDataLoss(DecodeTombstones(changed).status()));
  }
}

}  // namespace
}  // namespace narthex::tsdb
