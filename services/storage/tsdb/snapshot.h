#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SNAPSHOT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SNAPSHOT_H_

#include <string>

#include "absl/status/status.h"
#include "lib/io/file_system.h"

namespace narthex::tsdb {

// Makes `to` a block with the same bytes as the block `from`, on the same disk, without copying
// them: hard links, durable when it returns. What is written to the block later (tombstones, meta)
// replaces its files, so the copy keeps its own. `to` must not exist; its parent must.
absl::Status LinkBlock(io::FileSystem* fs, const std::string& from, const std::string& to);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SNAPSHOT_H_
