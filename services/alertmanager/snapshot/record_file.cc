// The format: records one behind the other, each a varint length and that many bytes. See
// format.md.
#include "services/alertmanager/snapshot/record_file.h"

#include <utility>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::snapshot {

absl::StatusOr<std::unique_ptr<RecordFile>> RecordFile::Open(
    io::FileSystem* file_system, std::string path, const Logger& logger,
    const std::function<bool(std::string_view record)>& take) {
  std::unique_ptr<RecordFile> opened(new RecordFile(file_system, std::move(path)));
  if (!file_system->Exists(opened->path_)) return opened;
  NARTHEX_ASSIGN_OR_RETURN(const std::string bytes, file_system->ReadFile(opened->path_));

  size_t good_bytes = 0;
  bool corrupt = false;
  ByteReader reader(bytes);
  while (reader.remaining() > 0) {
    std::string_view record;
    if (!reader.ReadLengthPrefixed(&record)) break;
    if (!take(record)) {
      corrupt = true;
      break;
    }
    good_bytes = bytes.size() - reader.remaining();
  }
  opened->base_bytes_ = good_bytes;
  opened->name_synced_ = true;
  if (good_bytes == bytes.size()) return opened;

  if (corrupt) {
    const std::string kept = StrCat(opened->path_, ".corrupt");
    logger.Error("snapshot is damaged; what comes before the damage is used and the file is kept",
                 {{"file", opened->path_}, {"kept_as", kept}, {"offset", good_bytes}});
    NARTHEX_RETURN_IF_ERROR(file_system->WriteFileAtomically(kept, bytes));
  } else {
    logger.Warn("snapshot ends in the middle of a record, which is dropped",
                {{"file", opened->path_}, {"offset", good_bytes}, {"size", bytes.size()}});
  }
  NARTHEX_RETURN_IF_ERROR(file_system->WriteFileAtomically(
      opened->path_, std::string_view(bytes).substr(0, good_bytes)));
  return opened;
}

absl::Status RecordFile::Append(std::string_view record, bool sync) {
  if (file_ == nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(file_, file_system_->OpenAppend(path_));
  }
  std::string bytes;
  AppendLengthPrefixed(&bytes, record);
  absl::Status status = file_->Append(bytes);
  if (status.ok() && sync) status = file_->Sync();
  if (status.ok() && sync && !name_synced_) {
    // The name of a new file must survive too.
    status = file_system_->SyncDirectory(std::string(io::DirName(path_)));
    name_synced_ = status.ok();
  }
  if (!status.ok()) {
    // Half a record may be in the file; cut it off, so that what is appended later can be read.
    static_cast<void>(file_->Truncate(base_bytes_ + appended_bytes_));
    file_.reset();
    return status;
  }
  appended_bytes_ += bytes.size();
  return absl::OkStatus();
}

absl::Status RecordFile::Rewrite(const std::vector<std::string>& records) {
  std::string bytes;
  for (const std::string& record : records) AppendLengthPrefixed(&bytes, record);
  file_.reset();
  NARTHEX_RETURN_IF_ERROR(file_system_->WriteFileAtomically(path_, bytes));
  name_synced_ = true;
  base_bytes_ = bytes.size();
  appended_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace narthex::snapshot
