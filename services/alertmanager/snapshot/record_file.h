#ifndef NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_RECORD_FILE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_RECORD_FILE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"

namespace narthex::snapshot {

// A file of records, each with its length in front: upstream's snapshots of silences and
// notification log, which are also valid logs, because a later record replaces an earlier one of
// the same key. So we append each change at once, where upstream only writes all of it now and
// then, and rewrite the file when it has grown. See format.md.
//
// Damage never stops the program: a record that was cut off by a crash is dropped; a file that does
// not decode is kept beside as <path>.corrupt, what comes before the damage is used, and both are
// logged.
//
// Thread safety: none; the owner holds its lock.
class RecordFile {
 public:
  // Reads the file when there is one and hands each record to `take`, which says whether it could
  // be decoded. Leaves a clean file behind. `file_system` must outlive the object. Fails only when
  // the file system does.
  static absl::StatusOr<std::unique_ptr<RecordFile>> Open(
      io::FileSystem* file_system, std::string path, const Logger& logger,
      const std::function<bool(std::string_view record)>& take);

  // Adds a record at the end; with `sync` it survives a power loss, otherwise the end of this
  // process.
  absl::Status Append(std::string_view record, bool sync);
  // Replaces the file by these records.
  absl::Status Rewrite(const std::vector<std::string>& records);

  // Since the file was opened or last rewritten more was appended than it held then.
  bool worth_rewriting() const { return appended_bytes_ > base_bytes_ + kRewriteSlackBytes; }
  uint64_t size_bytes() const { return base_bytes_ + appended_bytes_; }

 private:
  // Small files are not worth a rewrite.
  static constexpr uint64_t kRewriteSlackBytes = uint64_t{1} << 20;

  RecordFile(io::FileSystem* file_system, std::string path)
      : file_system_(file_system), path_(std::move(path)) {}

  io::FileSystem* const file_system_;
  const std::string path_;
  std::unique_ptr<io::WritableFile> file_;  // Null after a failed write, until the next one.
  bool name_synced_ = false;
  uint64_t base_bytes_ = 0;
  uint64_t appended_bytes_ = 0;
};

}  // namespace narthex::snapshot

#endif  // NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_RECORD_FILE_H_
