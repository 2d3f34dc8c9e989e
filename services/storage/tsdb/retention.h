#ifndef NARTHEX_SERVICES_STORAGE_TSDB_RETENTION_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_RETENTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/model/timestamp.h"

// Which blocks are kept no longer: upstream's rules (tsdb/db.go, BeyondTimeRetention and
// BeyondSizeRetention), as pure functions. All are thread-safe.
namespace narthex::tsdb {

struct RetentionLimits {
  int64_t time_ms = 0;      // 0: for ever.
  uint64_t size_bytes = 0;  // 0: no limit.
};

// A limit in bytes from one in bytes and one in percent of the disk (each 0: none): the lower one.
uint64_t RetentionBytes(uint64_t size_bytes, double percentage, uint64_t disk_bytes);

struct RetentionBlock {
  Timestamp max_time = 0;  // Exclusive.
  uint64_t size_bytes = 0;
};

struct RetentionVerdict {
  // Places in the input, oldest last.
  std::vector<size_t> too_old;   // `time_ms` or more behind the newest block.
  std::vector<size_t> too_much;  // Beyond the size, counted from the newest block on.
};
// `other_bytes` is what else the directory holds (log, head chunks); it counts first, so that all
// of it together stays within the size. Blocks in any order. Too old ones count for the size all
// the same, as upstream has it; a block may be in both lists.
RetentionVerdict JudgeRetention(std::span<const RetentionBlock> blocks, uint64_t other_bytes,
                                const RetentionLimits& limits);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_RETENTION_H_
