#ifndef NARTHEX_SERVICES_STORAGE_UPLOAD_LIST_H_
#define NARTHEX_SERVICES_STORAGE_UPLOAD_LIST_H_

#include <set>
#include <string>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/block_meta.h"

namespace narthex::storage_service {

// Which blocks another program (Thanos' sidecar) has copied away: the member "uploaded" of a JSON
// file that it keeps. Where the file cannot be read nothing waits for it, as upstream
// (--storage.tsdb.delay-compact-file.path).
//
// Thread safety: none.
class UploadList {
 public:
  // The pointees must outlive it.
  UploadList(std::string path, io::FileSystem* fs, Clock* clock, Logger logger)
      : path_(std::move(path)), fs_(fs), clock_(clock), logger_(std::move(logger)) {}

  // Whether a block is still to be copied: one that was not merged yet and that the file does not
  // name. The file is read once a minute at most.
  bool IsAwaited(const tsdb::BlockMeta& meta);

 private:
  void Read();

  const std::string path_;
  io::FileSystem* const fs_;
  Clock* const clock_;
  const Logger logger_;

  bool known_ = false;
  absl::Duration read_;  // Monotonic, when `known_`.
  std::set<std::string> uploaded_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_UPLOAD_LIST_H_
