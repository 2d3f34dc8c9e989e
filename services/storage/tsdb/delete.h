#ifndef NARTHEX_SERVICES_STORAGE_TSDB_DELETE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_DELETE_H_

#include <span>

#include "absl/status/status.h"
#include "lib/labels/matcher.h"
#include "services/storage/tsdb/block_store.h"

namespace narthex::tsdb {

// Deletes the samples of matching series within min_time…max_time (inclusive) from all blocks that
// overlap it: tombstones, durable when it returns. After an error some blocks have them and some
// not; to repeat it is safe.
absl::Status DeleteFromBlocks(const BlockList& blocks, std::span<const Matcher> matchers,
                              Timestamp min_time, Timestamp max_time);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_DELETE_H_
