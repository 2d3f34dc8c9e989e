#include "services/storage/tsdb/compaction_plan.h"

#include <algorithm>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

using Places = std::vector<size_t>;

// More tombstones than this part of the series make a block worth rewriting.
constexpr double kTombstonesPart = 0.05;

// The first run of blocks that overlap one another, directly or through others of the run.
Places FindOverlap(std::span<const BlockMeta* const> blocks) {
  Places run;
  Timestamp end = kMinTimestamp;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i]->compaction.failed) continue;
    if (run.empty() || blocks[i]->min_time < end) {
      run.push_back(i);
      end = std::max(end, blocks[i]->max_time);
      continue;
    }
    if (run.size() > 1) break;
    run.assign(1, i);
    end = blocks[i]->max_time;
  }
  return run.size() > 1 ? run : Places();
}

// The blocks that lie within one aligned range each, range by range; those that cross a border of
// ranges are left out.
std::vector<Places> SplitByRange(std::span<const BlockMeta* const> blocks, int64_t range_ms) {
  std::vector<Places> groups;
  size_t i = 0;
  while (i < blocks.size()) {
    const Timestamp end = AlignDown(blocks[i]->min_time, range_ms) + range_ms;
    if (blocks[i]->max_time > end) {
      ++i;
      continue;
    }
    Places& group = groups.emplace_back();
    for (; i < blocks.size() && blocks[i]->max_time <= end; ++i) group.push_back(i);
  }
  return groups;
}

Places FindLevel(std::span<const BlockMeta* const> blocks, std::span<const int64_t> ranges) {
  if (blocks.empty()) return {};
  const Timestamp newest = blocks.back()->min_time;
  for (const int64_t range_ms : ranges.subspan(std::min<size_t>(1, ranges.size()))) {
    for (Places& group : SplitByRange(blocks, range_ms)) {
      if (group.size() < 2) continue;
      const bool failed = std::any_of(group.begin(), group.end(), [&](size_t place) {
        return blocks[place]->compaction.failed;
      });
      if (failed) continue;
      const Timestamp begin = blocks[group.front()]->min_time;
      const Timestamp end = blocks[group.back()]->max_time;
      // Either the range is full (gaps are fine), or newer blocks show that nothing comes into it.
      if (end - begin == range_ms || end <= newest) return std::move(group);
    }
  }
  return {};
}

Places FindTombstones(std::span<const BlockMeta* const> blocks, std::span<const int64_t> ranges) {
  const int64_t large = ranges[ranges.size() / 2];
  for (size_t i = blocks.size(); i-- > 0;) {
    const BlockMeta& meta = *blocks[i];
    if (meta.compaction.failed) continue;
    const BlockMeta::Stats& stats = meta.stats;
    if (meta.max_time - meta.min_time < large) {
      // A block where everything is deleted goes, however small it is. Smaller ones that follow are
      // merged soon, which drops their deleted samples as well.
      if (stats.tombstones > 0 && stats.tombstones >= stats.series) return {i};
      return {};
    }
    const double series = static_cast<double>(stats.series) + 1;
    if (static_cast<double>(stats.tombstones) / series > kTombstonesPart) return {i};
  }
  return {};
}

}  // namespace

Timestamp AlignDown(Timestamp time, int64_t range_ms) {
  const Timestamp remainder = time % range_ms;
  return time - remainder - (remainder < 0 ? range_ms : 0);
}

std::vector<int64_t> LevelRanges(int64_t min_ms, int64_t max_ms) {
  NARTHEX_CHECK(min_ms > 0);
  constexpr size_t kLevelsMax = 10;
  std::vector<int64_t> ranges = {min_ms};
  while (ranges.size() < kLevelsMax && ranges.back() <= max_ms / 3) {
    ranges.push_back(ranges.back() * 3);
  }
  return ranges;
}

CompactionPlan PlanCompaction(std::span<const BlockMeta* const> blocks,
                              std::span<const int64_t> ranges) {
  using Reason = CompactionPlan::Reason;
  if (blocks.empty()) return {};
  if (Places overlap = FindOverlap(blocks); !overlap.empty()) return {Reason::kOverlap, overlap};
  const std::span<const BlockMeta* const> older = blocks.first(blocks.size() - 1);
  if (Places level = FindLevel(older, ranges); !level.empty()) return {Reason::kLevel, level};
  if (Places one = FindTombstones(older, ranges); !one.empty()) return {Reason::kTombstones, one};
  return {};
}

BlockMeta MergedMeta(std::span<const BlockMeta* const> blocks) {
  NARTHEX_CHECK(!blocks.empty());
  BlockMeta merged;
  merged.min_time = blocks.front()->min_time;
  merged.max_time = blocks.front()->max_time;
  BlockMeta::Compaction& compaction = merged.compaction;
  compaction.hints = blocks.front()->compaction.hints;
  for (const BlockMeta* const block : blocks) {
    merged.max_time = std::max(merged.max_time, block->max_time);
    compaction.level = std::max(compaction.level, block->compaction.level);
    compaction.sources.insert(compaction.sources.end(), block->compaction.sources.begin(),
                              block->compaction.sources.end());
    compaction.parents.push_back({block->ulid, block->min_time, block->max_time});
    const std::vector<std::string>& hints = block->compaction.hints;
    std::erase_if(compaction.hints, [&hints](const std::string& hint) {
      return std::find(hints.begin(), hints.end(), hint) == hints.end();
    });
  }
  ++compaction.level;
  std::sort(compaction.sources.begin(), compaction.sources.end());
  compaction.sources.erase(std::unique(compaction.sources.begin(), compaction.sources.end()),
                           compaction.sources.end());
  return merged;
}

}  // namespace narthex::tsdb
