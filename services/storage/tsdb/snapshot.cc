#include "services/storage/tsdb/snapshot.h"

#include <vector>

#include "lib/base/status_macros.h"

namespace narthex::tsdb {

absl::Status LinkBlock(io::FileSystem* fs, const std::string& from, const std::string& to) {
  const std::string chunks = io::JoinPath(to, "chunks");
  NARTHEX_RETURN_IF_ERROR(fs->CreateDirectories(chunks));
  for (const char* const name : {"meta.json", "index", "tombstones"}) {
    const std::string file = io::JoinPath(from, name);
    if (!fs->Exists(file)) continue;  // Blocks without deletes need no tombstones.
    NARTHEX_RETURN_IF_ERROR(fs->HardLink(file, io::JoinPath(to, name)));
  }
  const std::string segments = io::JoinPath(from, "chunks");
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->List(segments));
  for (const std::string& name : names) {
    NARTHEX_RETURN_IF_ERROR(fs->HardLink(io::JoinPath(segments, name), io::JoinPath(chunks, name)));
  }
  NARTHEX_RETURN_IF_ERROR(fs->SyncDirectory(chunks));
  return fs->SyncDirectory(to);
}

}  // namespace narthex::tsdb
