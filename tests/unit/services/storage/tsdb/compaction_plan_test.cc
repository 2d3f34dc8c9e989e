#include "services/storage/tsdb/compaction_plan.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/storage/tsdb/retention.h"

namespace narthex::tsdb {
namespace {

using Reason = CompactionPlan::Reason;

struct PlanBlock {
  Timestamp min_time;
  Timestamp max_time;
  bool failed = false;
  uint64_t tombstones = 0;
  uint64_t series = 10;
};

struct PlanCase {
  std::string name;
  std::vector<PlanBlock> blocks;
  Reason reason;
  std::vector<size_t> expected;
};

CompactionPlan Plan(const std::vector<PlanBlock>& blocks, std::vector<int64_t> ranges) {
  std::vector<BlockMeta> metas;
  for (const PlanBlock& block : blocks) {
    BlockMeta& meta = metas.emplace_back();
    meta.min_time = block.min_time;
    meta.max_time = block.max_time;
    meta.compaction.failed = block.failed;
    meta.stats.tombstones = block.tombstones;
    meta.stats.series = block.series;
  }
  std::vector<const BlockMeta*> pointers;
  for (const BlockMeta& meta : metas) pointers.push_back(&meta);
  return PlanCompaction(pointers, ranges);
}

TEST_CASE("Blocks are planned as upstream plans them") {
  // Levels of 20, 60, 240 and 720, as upstream's own tests have them.
  const std::vector<int64_t> ranges = {20, 60, 240, 720};
  const std::vector<PlanCase> cases = {
      {"nothing at all", {}, Reason::kNothing, {}},
      {"one block", {{0, 20}}, Reason::kNothing, {}},
      {"a full range is not merged while it holds the newest block",
       {{0, 20}, {20, 40}, {40, 60}},
       Reason::kNothing,
       {}},
      {"a full range goes once there is a newer block",
       {{0, 20}, {20, 40}, {40, 60}, {60, 80}},
       Reason::kLevel,
       {0, 1, 2}},
      {"a gap in a range is no hindrance", {{0, 20}, {40, 60}, {60, 80}}, Reason::kLevel, {0, 1}},
      {"an unfinished range waits", {{0, 20}, {20, 40}, {60, 80}}, Reason::kNothing, {}},
      {"two of a range that newer blocks have left behind",
       {{0, 20}, {20, 40}, {60, 80}, {80, 100}},
       Reason::kLevel,
       {0, 1}},
      {"the older range goes first",
       {{0, 20}, {20, 40}, {40, 60}, {60, 80}, {80, 100}, {100, 120}, {120, 140}},
       Reason::kLevel,
       {0, 1, 2}},
      {"full ranges of the next level",
       {{0, 60}, {60, 120}, {120, 180}, {180, 240}, {240, 260}, {260, 280}},
       Reason::kLevel,
       {0, 1, 2, 3}},
      {"small blocks go before large ones",
       {{0, 60}, {60, 120}, {120, 180}, {180, 200}, {200, 220}, {240, 260}, {260, 280}},
       Reason::kLevel,
       {3, 4}},
      {"a block that is not aligned is left alone",
       {{10, 30}, {30, 50}, {60, 80}, {80, 100}, {100, 120}, {120, 140}},
       Reason::kLevel,
       {0, 1}},
      {"a block across the border of ranges stays out of both",
       {{50, 70}, {80, 100}, {100, 120}, {120, 140}, {140, 160}},
       Reason::kLevel,
       {1, 2}},
      {"negative times have ranges too",
       {{-60, -40}, {-40, -20}, {-20, 0}, {0, 20}},
       Reason::kLevel,
       {0, 1, 2}},
      {"a failed block keeps its range from being merged",
       {{0, 20}, {20, 40, true}, {40, 60}, {60, 80}},
       Reason::kNothing,
       {}},
      {"overlapping blocks go first, the newest among them",
       {{0, 20}, {20, 40}, {40, 60}, {60, 80}, {70, 90}},
       Reason::kOverlap,
       {3, 4}},
      {"overlaps through others are one run",
       {{0, 20}, {10, 40}, {35, 60}, {60, 80}},
       Reason::kOverlap,
       {0, 1, 2}},
      {"one that holds all others",
       {{0, 100}, {10, 20}, {30, 40}, {100, 120}},
       Reason::kOverlap,
       {0, 1, 2}},
      {"blocks that only touch do not overlap", {{0, 20}, {20, 40}}, Reason::kNothing, {}},
      {"a failed block is no part of an overlap",
       {{0, 20}, {10, 30, true}, {30, 50}},
       Reason::kNothing,
       {}},
      {"only the first run of several",
       {{0, 20}, {10, 20}, {20, 40}, {30, 40}},
       Reason::kOverlap,
       {0, 1}},
      {"many deletions in a large block",
       {{0, 240, false, 3, 10}, {240, 260}},
       Reason::kTombstones,
       {0}},
      {"few deletions in a large block",
       {{0, 240, false, 1, 100}, {240, 260}},
       Reason::kNothing,
       {}},
      {"many deletions in a small block wait for its next merge",
       {{0, 60, false, 3, 10}, {60, 80}},
       Reason::kNothing,
       {}},
      {"a small block that is wholly deleted goes at once",
       {{0, 20, false, 10, 10}, {60, 80}},
       Reason::kTombstones,
       {0}},
      {"the newest block is not rewritten for its deletions",
       {{0, 240, false, 9, 10}},
       Reason::kNothing,
       {}},
  };
  for (const PlanCase& c : cases) {
    INFO(c.name);
    const CompactionPlan plan = Plan(c.blocks, ranges);
    CHECK(plan.reason == c.reason);
    CHECK(plan.blocks == c.expected);
  }
}

TEST_CASE("With one level there are merges of overlaps only") {
  CHECK(Plan({{0, 20}, {20, 40}, {40, 60}, {60, 80}}, {20}).reason == Reason::kNothing);
  CHECK(Plan({{0, 20}, {10, 40}, {40, 60}, {60, 80}}, {20}).reason == Reason::kOverlap);
}

TEST_CASE("Levels grow threefold up to the longest block, and there are ten at most") {
  constexpr int64_t kHour = 3'600'000;
  CHECK(LevelRanges(2 * kHour, 31 * 24 * kHour) == std::vector<int64_t>{2 * kHour, 6 * kHour,
                                                                        18 * kHour, 54 * kHour,
                                                                        162 * kHour, 486 * kHour});
  CHECK(LevelRanges(2 * kHour, 0) == std::vector<int64_t>{2 * kHour});
  CHECK(LevelRanges(2 * kHour, 6 * kHour - 1) == std::vector<int64_t>{2 * kHour});
  CHECK(LevelRanges(1, kMaxTimestamp).size() == 10);
}

TEST_CASE("Times are aligned downwards on both sides of zero") {
  CHECK(AlignDown(0, 10) == 0);
  CHECK(AlignDown(9, 10) == 0);
  CHECK(AlignDown(10, 10) == 10);
  CHECK(AlignDown(-1, 10) == -10);
  CHECK(AlignDown(-10, 10) == -10);
  CHECK(AlignDown(-11, 10) == -20);
}

TEST_CASE("A merged block names its parents and the sources of all of them") {
  BlockMeta a;
  a.ulid = "A";
  a.min_time = 0;
  a.max_time = 50;
  a.compaction.level = 2;
  a.compaction.sources = {"S2", "S1"};
  BlockMeta b;
  b.ulid = "B";
  b.min_time = 10;
  b.max_time = 20;
  b.compaction.sources = {"S3", "S1"};
  b.compaction.hints = {"from-out-of-order"};
  const std::vector<const BlockMeta*> blocks = {&a, &b};
  const BlockMeta merged = MergedMeta(blocks);
  CHECK(merged.min_time == 0);
  CHECK(merged.max_time == 50);
  CHECK(merged.compaction.level == 3);
  CHECK(merged.compaction.sources == std::vector<std::string>{"S1", "S2", "S3"});
  REQUIRE(merged.compaction.parents.size() == 2);
  CHECK(merged.compaction.parents[1].ulid == "B");
  CHECK(merged.compaction.parents[1].max_time == 20);
  CHECK(merged.compaction.hints.empty());
}

TEST_CASE("Retention drops blocks by their age and by the size of all") {
  struct Case {
    std::string name;
    std::vector<RetentionBlock> blocks;
    uint64_t other_bytes;
    RetentionLimits limits;
    std::vector<size_t> too_old;
    std::vector<size_t> too_much;
  };
  const std::vector<Case> cases = {
      {"no limits", {{10, 5}, {20, 5}}, 100, {}, {}, {}},
      {"no blocks", {}, 100, {10, 10}, {}, {}},
      {"exactly as old as the limit is too old",
       {{10, 1}, {20, 1}, {30, 1}},
       0,
       {10, 0},
       {1, 0},
       {}},
      {"a millisecond younger stays", {{10, 1}, {20, 1}, {29, 1}}, 0, {10, 0}, {0}, {}},
      {"the newest block is never too old", {{10, 1}}, 0, {1, 0}, {}, {}},
      {"size counts from the newest", {{10, 4}, {30, 4}, {20, 4}}, 0, {0, 8}, {}, {0}},
      {"the rest of the directory counts first", {{10, 4}, {20, 4}}, 1, {0, 8}, {}, {0}},
      {"the newest goes too when it is too much", {{20, 9}}, 0, {0, 8}, {}, {0}},
      {"a small old block behind a large one goes with it",
       {{10, 1}, {20, 8}, {30, 7}},
       0,
       {0, 8},
       {},
       {1, 0}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const RetentionVerdict verdict = JudgeRetention(c.blocks, c.other_bytes, c.limits);
    CHECK(verdict.too_old == c.too_old);
    CHECK(verdict.too_much == c.too_much);
  }
}

TEST_CASE("A limit in percent is of the whole disk, and the lower of two limits holds") {
  CHECK(RetentionBytes(0, 0, 1000) == 0);
  CHECK(RetentionBytes(70, 0, 1000) == 70);
  CHECK(RetentionBytes(0, 50, 1000) == 500);
  CHECK(RetentionBytes(70, 50, 1000) == 70);
  CHECK(RetentionBytes(700, 50, 1000) == 500);
  CHECK(RetentionBytes(0, 0.0001, 1000) == 1);
}

}  // namespace
}  // namespace narthex::tsdb
