#include "services/storage/upload_list.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/reader.h"

namespace narthex::storage_service {
namespace {

absl::StatusOr<std::set<std::string>> ParseUploaded(std::string_view text) {
  NARTHEX_ASSIGN_OR_RETURN(const json::Value document, json::Parse(text));
  if (!document.is_object()) return InvalidArgument("not an object");
  std::set<std::string> uploaded;
  const json::Value* const list = document.Find("uploaded");
  if (list == nullptr || list->is_null()) return uploaded;
  if (!list->is_array()) return InvalidArgument("\"uploaded\" is no array");
  for (const json::Value& ulid : list->array) {
    if (!ulid.is_string()) return InvalidArgument("\"uploaded\" has something that is no string");
    uploaded.insert(ulid.text);
  }
  return uploaded;
}

}  // namespace

bool UploadList::IsAwaited(const tsdb::BlockMeta& meta) {
  // What was merged from blocks is not what gets copied.
  if (meta.compaction.level > 1) return false;
  if (!known_ || clock_->Monotonic() - read_ >= absl::Minutes(1)) Read();
  return known_ && uploaded_.count(meta.ulid) == 0;
}

void UploadList::Read() {
  known_ = false;
  const absl::StatusOr<std::string> text = fs_->ReadFile(path_);
  absl::StatusOr<std::set<std::string>> uploaded = text.ok() ? ParseUploaded(*text) : text.status();
  if (!uploaded.ok()) {
    logger_.Warn("the list of uploaded blocks cannot be read; no compaction waits for uploads",
                 {{"path", path_}, {"err", uploaded.status()}});
    return;
  }
  uploaded_ = std::move(uploaded).value();
  read_ = clock_->Monotonic();
  known_ = true;
}

}  // namespace narthex::storage_service
