#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_FAILURE_LOG_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_FAILURE_LOG_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"

namespace narthex::scrape {

// scrape_failure_log_file: one JSON line for each failed scrape, with upstream's keys. Jobs that
// name the same file share one object. Thread safety: all methods may be called from any thread.
class FailureLog {
 public:
  FailureLog(io::FileSystem* file_system, Clock* clock, std::string path)
      : file_system_(file_system), clock_(clock), path_(std::move(path)) {}

  // Opens the file, or opens it again (something may have moved it away). After an error lines are
  // dropped until this succeeds.
  absl::Status Open();
  void Write(std::string_view job, std::string_view target, std::string_view error);
  const std::string& path() const { return path_; }

 private:
  io::FileSystem* const file_system_;
  Clock* const clock_;
  const std::string path_;
  Mutex mu_;
  std::unique_ptr<io::WritableFile> file_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_FAILURE_LOG_H_
