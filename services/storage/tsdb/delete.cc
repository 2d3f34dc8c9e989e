#include "services/storage/tsdb/delete.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::tsdb {

absl::Status DeleteFromBlocks(const BlockList& blocks, std::span<const Matcher> matchers,
                              Timestamp min_time, Timestamp max_time) {
  for (const std::shared_ptr<Block>& block : blocks) {
    const BlockMeta& meta = block->meta();
    if (meta.min_time > max_time || meta.max_time <= min_time) continue;
    NARTHEX_RETURN_IF_ERROR(Annotate(block->Delete(matchers, min_time, max_time),
                                     StrCat("delete from block ", meta.ulid)));
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
