#ifndef NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_META_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_META_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/model/timestamp.h"

namespace narthex::tsdb {

struct BlockParent {
  std::string ulid;
  Timestamp min_time = 0;
  Timestamp max_time = 0;
};

// meta.json of a block, version 1. Keys of other programs are kept as they are.
struct BlockMeta {
  std::string ulid;
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Exclusive.
  struct Stats {
    uint64_t samples = 0;
    uint64_t float_samples = 0;
    uint64_t histogram_samples = 0;
    uint64_t series = 0;
    uint64_t chunks = 0;
    uint64_t tombstones = 0;
  } stats;
  struct Compaction {
    int level = 1;
    std::vector<std::string> sources;
    bool deletable = false;
    bool failed = false;
    std::vector<BlockParent> parents;
    std::vector<std::string> hints;  // "from-out-of-order", …
  } compaction;
  // Members of the file that are not named above: key and JSON text, in the order of the file.
  std::vector<std::pair<std::string, std::string>> others;
};

// Hints of blocks that have only a part of what came within their range: late samples, or those of
// some series. A head may still have the rest, so such a block says nothing of how far it is cut.
inline constexpr std::string_view kHintOutOfOrder = "from-out-of-order";
inline constexpr std::string_view kHintStaleSeries = "from-stale-series";
inline constexpr std::string_view kHintSelectedSeries = "from-selected-series";
bool IsPartial(const BlockMeta& meta);

// InvalidArgument that says what is wrong.
absl::StatusOr<BlockMeta> ParseBlockMeta(std::string_view json);
std::string FormatBlockMeta(const BlockMeta& meta);  // Indented by tabs, as upstream.

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_META_H_
