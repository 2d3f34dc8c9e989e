#ifndef NARTHEX_SERVICES_STORAGE_FSCK_COMMAND_H_
#define NARTHEX_SERVICES_STORAGE_FSCK_COMMAND_H_

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/io/file_system.h"
#include "services/storage/options.h"

namespace narthex::storage_service {

// What --fsck does: checks the folder of the data, repairs it unless it is a dry run, and gives
// each line of the report to `print`. OK when nothing is damaged any more; DataLoss when something
// still is, FailedPrecondition while a storage service has the folder open.
absl::Status RunFsck(const Options& options, io::FileSystem* fs, Clock* clock,
                     const std::function<void(std::string_view line)>& print);

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_FSCK_COMMAND_H_
