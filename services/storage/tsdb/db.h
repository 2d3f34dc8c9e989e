#ifndef NARTHEX_SERVICES_STORAGE_TSDB_DB_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_DB_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_appender.h"
#include "services/storage/tsdb/head_reader.h"
#include "services/storage/tsdb/replay.h"

namespace narthex::tsdb {

struct DbOptions {
  std::string path;
  HeadOptions head;
  wal::WriterOptions log;
};

// A time series database in one directory, which is laid out as Prometheus': a head in memory over
// a write-ahead log. It keeps every sample that it was given.
//
// Open() locks the directory and reads nothing; Replay() fills the head, which can take minutes;
// until it has returned OK CheckReady() says how far it is, and nobody may append or read.
//
// Thread safety: after Open() all methods may be called from any thread; Replay() by one, once.
// Lock order: see Head.
class Db {
 public:
  // Makes the directory where there is none. FailedPrecondition when another process has it open.
  // The pointees must outlive the Db.
  static absl::StatusOr<std::unique_ptr<Db>> Open(DbOptions options, io::FileSystem* fs,
                                                  Clock* clock, Logger logger);
  ~Db();

  // Reads the log and opens it for appending. `stopped` ends it with Cancelled.
  absl::Status Replay(const std::function<bool()>& stopped);
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // OK once replayed; Unavailable with the progress, or with why it failed, before.
  absl::Status CheckReady() const;

  // Makes durable what was appended before the call.
  absl::Status Sync() { return head_.Sync(); }

  // Keeps the bytes of a batch that could not be decoded, for somebody to look at. Bounded: beyond
  // 100 files or 512 MiB it is ResourceExhausted.
  absl::Status Quarantine(std::string_view name, std::string_view bytes);

  // REQUIRES (for appending and reading): ready().
  Head& head() { return head_; }
  const Head& head() const { return head_; }
  const ReplayProgress& replay_progress() const { return progress_; }
  const ReplayResult& replay_result() const { return replay_result_; }  // REQUIRES: ready().
  absl::Duration replay_duration() const { return replay_duration_; }   // REQUIRES: ready().
  const std::string& path() const { return options_.path; }

 private:
  Db(DbOptions options, io::FileSystem* fs, Clock* clock, Logger logger,
     std::unique_ptr<io::DirectoryLock> lock);
  absl::Status ReplayLog(const std::function<bool()>& stopped);
  absl::Status OpenLog();
  void WarnOfBlocks();

  // Constant after construction.
  const DbOptions options_;
  io::FileSystem* const fs_;
  Clock* const clock_;
  const Logger logger_;
  const std::unique_ptr<io::DirectoryLock> lock_;

  Head head_;  // Synchronises itself.
  ReplayProgress progress_;
  // Set by Replay() before ready_.
  ReplayResult replay_result_;
  absl::Duration replay_duration_;
  std::atomic<bool> ready_{false};

  mutable Mutex mu_;
  absl::Status replay_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_DB_H_
