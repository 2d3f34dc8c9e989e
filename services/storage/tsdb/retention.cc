#include "services/storage/tsdb/retention.h"

#include <algorithm>
#include <numeric>

namespace narthex::tsdb {

uint64_t RetentionBytes(uint64_t size_bytes, double percentage, uint64_t disk_bytes) {
  if (percentage <= 0) return size_bytes;
  // At least a byte: a limit that rounds to none would be no limit.
  const auto part = std::max<uint64_t>(
      1, static_cast<uint64_t>(static_cast<double>(disk_bytes) * percentage / 100));
  return size_bytes == 0 ? part : std::min(size_bytes, part);
}

RetentionVerdict JudgeRetention(std::span<const RetentionBlock> blocks, uint64_t other_bytes,
                                const RetentionLimits& limits) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks[a].max_time > blocks[b].max_time; });
  RetentionVerdict verdict;
  uint64_t bytes = other_bytes;
  for (const size_t place : order) {
    const RetentionBlock& block = blocks[place];
    bytes += block.size_bytes;
    if (limits.size_bytes > 0 && bytes > limits.size_bytes) verdict.too_much.push_back(place);
    if (limits.time_ms > 0 && blocks[order[0]].max_time - block.max_time >= limits.time_ms) {
      verdict.too_old.push_back(place);
    }
  }
  return verdict;
}

}  // namespace narthex::tsdb
