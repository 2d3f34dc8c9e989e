#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_WRITER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/wal/format.h"

namespace narthex::wal {

struct WriterOptions {
  uint64_t segment_size_bytes = kSegmentSizeDefault;  // A multiple of kPageSize.
  bool compress = true;                               // Where it makes a record smaller.
  // Zstd in place of snappy: smaller, slower, and Prometheus 2.42 passes over such records without
  // a word.
  bool zstd = false;
};

// Read from any thread.
struct WriterCounters {
  std::atomic<uint64_t> pages_completed{0};
  std::atomic<uint64_t> page_flushes{0};  // Writes to the file.
  std::atomic<uint64_t> writes_failed{0};
  std::atomic<uint64_t> bytes_written{0};
  std::atomic<uint64_t> fragments{0};
  std::atomic<uint64_t> segment{0};
};

// Appends records to the newest segment of a write-ahead log.
//
// After Log() has returned OK its records are with the kernel: they survive the end of the process.
// They survive a power loss once a later Sync() has returned OK. A Log() that fails takes back what
// it had written (the segment is cut to where it was), so the log stays readable and the caller may
// try again, as after a full disk. Where even that fails, and after any failed Sync(), the Writer
// refuses everything: what is on the disk is unknown, and only a new start finds out.
//
// Thread safety: Sync(), counters() and broken() may be called from any thread at any time; Log()
// from one at a time (the head's append lock).
class Writer {
 public:
  // Gives the records that start each segment.
  using SegmentStart = std::function<void(uint64_t segment, std::vector<std::string>* records)>;

  // Creates segment number `segment`, which must not exist, in `directory`. `fs` must outlive the
  // Writer.
  static absl::StatusOr<std::unique_ptr<Writer>> Open(io::FileSystem* fs, std::string directory,
                                                      uint64_t segment, WriterOptions options,
                                                      SegmentStart segment_start);
  ~Writer();

  // Hands all records to the kernel, in one write unless a segment ends between them.
  // REQUIRES: each is shorter than half a segment. (The head writes records of 2 MiB at most, and
  // the service takes segments from 8 MiB.)
  absl::Status Log(std::span<const std::string_view> records);
  // Syncs everything that was logged before the call.
  absl::Status Sync();
  // Ends the segment and begins the next one, so that the log can be shortened up to here. One at a
  // time with Log().
  absl::Status NextSegment();

  // Where the next record goes: everything before is with the kernel. One at a time with Log().
  struct Position {
    uint64_t segment = 0;
    uint64_t offset = 0;
  };
  Position position() const { return {segment_, written_}; }

  // OK, or why this Writer refuses everything.
  absl::Status broken() const;
  const WriterCounters& counters() const { return counters_; }

 private:
  using File = std::shared_ptr<io::WritableFile>;

  Writer(io::FileSystem* fs, std::string directory, WriterOptions options,
         SegmentStart segment_start);
  absl::Status OpenSegment(uint64_t segment);
  absl::Status EndSegment();
  bool Fits(size_t record_size) const;
  void AddRecord(std::string_view record);
  void AddFragment(uint8_t head, std::string_view data);
  // Writes `pending_`; on failure the file and the position are as before the pending bytes.
  absl::Status Flush();
  void Break(const absl::Status& status);

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::string directory_;
  const WriterOptions options_;
  const SegmentStart segment_start_;

  // Only touched by Log(), one at a time.
  File file_;  // Null after a segment could not be opened.
  uint64_t segment_ = 0;
  uint64_t written_ = 0;  // Bytes of the segment that are in the file.
  std::string pending_;   // Fragments behind them.
  std::string compressed_;

  // Synchronises itself.
  WriterCounters counters_;

  mutable Mutex mu_;
  std::vector<File> unsynced_ ABSL_GUARDED_BY(mu_);  // The newest segment last.
  absl::Status broken_ ABSL_GUARDED_BY(mu_);         // First failure; returned by every later call.
};

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_WRITER_H_
