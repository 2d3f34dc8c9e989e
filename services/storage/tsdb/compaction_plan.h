#ifndef NARTHEX_SERVICES_STORAGE_TSDB_COMPACTION_PLAN_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_COMPACTION_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "services/storage/tsdb/block_meta.h"

// What to compact next: upstream's leveled plan (tsdb/compact.go, LeveledCompactor.plan), as pure
// functions over the metas of the blocks. All are thread-safe.
namespace narthex::tsdb {

// The start of the aligned range of this length that `time` lies in. REQUIRES: range_ms > 0.
Timestamp AlignDown(Timestamp time, int64_t range_ms);

// The lengths of the levels: each three times the one before, from `min_ms` while not above
// `max_ms`, at most ten. The first is there in any case.
std::vector<int64_t> LevelRanges(int64_t min_ms, int64_t max_ms);

struct CompactionPlan {
  enum class Reason : uint8_t {
    kNothing,
    kOverlap,     // The blocks overlap in time: merged whatever their length.
    kLevel,       // They fill a range of the next level, or nothing more can come into it.
    kTombstones,  // One block with many deletions.
  };
  Reason reason = Reason::kNothing;
  std::vector<size_t> blocks;  // Their places in the input, ascending.
};

// REQUIRES: `blocks` are sorted by min_time; `ranges` as of LevelRanges(). A block that is marked
// failed is left out of merges with others, and the newest one of all but merges of overlapping
// ones: whoever copies blocks away gets a whole range of time to do so.
CompactionPlan PlanCompaction(std::span<const BlockMeta* const> blocks,
                              std::span<const int64_t> ranges);

// What becomes of blocks that are written into one: its range, level, sources, parents, and the
// hints that all of them have; the ulid and the stats are still to be set. REQUIRES: not empty,
// sorted by min_time.
BlockMeta MergedMeta(std::span<const BlockMeta* const> blocks);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_COMPACTION_PLAN_H_
