#include "services/scraper/scrape/failure_log.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/json/writer.h"

namespace narthex::scrape {

absl::Status FailureLog::Open() {
  absl::StatusOr<std::unique_ptr<io::WritableFile>> file = file_system_->OpenAppend(path_);
  MutexLock lock(&mu_);
  file_ = file.ok() ? *std::move(file) : nullptr;
  return file.status();
}

void FailureLog::Write(std::string_view job, std::string_view target, std::string_view error) {
  const absl::Time now = clock_->Now();
  std::string line;
  json::Writer writer(&line);
  writer.BeginObject();
  writer.Key("time");
  writer.String(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", now, absl::UTCTimeZone()));
  writer.Key("level");
  writer.String("ERROR");
  writer.Key("msg");
  writer.String(error);
  writer.Key("job_name");
  writer.String(job);
  writer.Key("target");
  writer.String(target);
  writer.EndObject();
  line.push_back('\n');
  MutexLock lock(&mu_);
  // A line that cannot be written is lost; the scrape's outcome is told elsewhere, too.
  if (file_ != nullptr) file_->Append(line).IgnoreError();
}

}  // namespace narthex::scrape
