#ifndef NARTHEX_SERVICES_STORAGE_SETTINGS_H_
#define NARTHEX_SERVICES_STORAGE_SETTINGS_H_

#include <string>

#include "lib/config/storage_config.h"
#include "services/storage/options.h"
#include "services/storage/tsdb/db.h"

// What the flags and the configuration's `storage` section say together. All functions are pure and
// thread-safe.
namespace narthex::storage_service {

// What may change at a reload. The file beats the flags, as upstream: a retention of the file
// replaces both flags; when nobody says anything it is 15 days.
tsdb::DbSettings MakeDbSettings(const Options& options, const config::StorageConfig& config);

// REQUIRES: CheckOptions() is OK.
tsdb::DbOptions MakeDbOptions(const Options& options, const config::StorageConfig& config);

// "15d", "10GiB", "15d or 10GiB", as upstream shows it.
std::string RetentionText(const tsdb::DbSettings& settings);

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_SETTINGS_H_
