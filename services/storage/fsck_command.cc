#include "services/storage/fsck_command.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/fsck.h"

namespace narthex::storage_service {

absl::Status RunFsck(const Options& options, io::FileSystem* fs, Clock* clock,
                     const std::function<void(std::string_view line)>& print) {
  if (!fs->Exists(options.path)) {
    return NotFound("--storage.path ", options.path, ": there is no such folder");
  }
  tsdb::FsckOptions fsck;
  fsck.repair = !options.fsck_dry_run;
  fsck.now = clock->Now();
  fsck.stopped = [] { return false; };
  tsdb::FsckReport report;
  const absl::Status status = tsdb::Fsck(fs, options.path, fsck, &report);
  for (const std::string& line : tsdb::Describe(report)) print(line);
  if (!status.ok()) return Annotate(status, StrCat("--storage.path ", options.path));
  if (report.unrepaired > 0) {
    return DataLoss(report.unrepaired, " of the damages are still there");
  }
  return absl::OkStatus();
}

}  // namespace narthex::storage_service
