#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WBL_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WBL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/writer.h"

namespace narthex::tsdb {

// First byte of a record of ours: the out-of-order chunks before a place in chunks_head (u64) have
// gone to blocks. Beside it there are wal::RecordType's.
inline constexpr uint8_t kWblChunksDropped = 0xE8;
// Likewise: samples are deleted that came before the record. The end of the chunks so far (u64),
// then n times reference (u64), min time and max time (i64, inclusive).
inline constexpr uint8_t kWblDeleted = 0xE9;

// The log of out-of-order samples, wbl/: framed like the write-ahead log, with samples of all kinds
// and mmap markers but no series; those are in the write-ahead log. It is separate because it is
// freed by other rules: with the out-of-order samples that went to blocks. wbl.md has the details.
//
// Nothing is created before the first record. Thread safety: Log() and Cut() one at a time (the
// head's append lock); the rest from any thread at any time.
class Wbl {
 public:
  // `fs` must outlive it. The first segment will be `next_segment`.
  Wbl(io::FileSystem* fs, std::string directory, wal::WriterOptions options, uint64_t next_segment)
      : fs_(fs), directory_(std::move(directory)), options_(options), segment_(next_segment) {}

  // Hands the records to the kernel, all or none.
  absl::Status Log(std::span<const std::string_view> records);
  // Syncs everything that was logged before the call.
  absl::Status Sync();
  // What comes later goes to segments from the number it returns on; everything before lies in
  // older ones, which are synced.
  absl::StatusOr<uint64_t> Cut();
  // Deletes the segments before this one, oldest first.
  absl::Status DeleteBefore(uint64_t segment);

  // Where the next record goes: everything before is with the kernel. One at a time with Log().
  wal::LogPlace place() const;

  // OK, or why nothing can be logged until a restart.
  absl::Status broken() const;
  uint64_t bytes_written() const;

 private:
  std::shared_ptr<wal::Writer> writer() const {
    MutexLock lock(&mu_);
    return writer_;
  }

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::string directory_;
  const wal::WriterOptions options_;

  mutable Mutex mu_;
  std::shared_ptr<wal::Writer> writer_ ABSL_GUARDED_BY(mu_);  // Null: opened when there is need.
  uint64_t segment_ ABSL_GUARDED_BY(mu_);                     // Of the next writer, without one.
  uint64_t bytes_of_past_writers_ ABSL_GUARDED_BY(mu_) = 0;
};

// How far such a log is whole on the disk, before it is read: records of it that were with the
// kernel when the power went may be gone, although the write-ahead log kept what came after them.
// Looks at the files when it is asked for the first time.
//
// Thread safety: none.
class WblExtent {
 public:
  // `fs` must outlive it.
  WblExtent(io::FileSystem* fs, std::string directory)
      : fs_(fs), directory_(std::move(directory)) {}

  // Whether everything that was logged before `place` is there, or has been freed on purpose.
  bool Reaches(const wal::LogPlace& place);

 private:
  void Look();

  io::FileSystem* const fs_;
  const std::string directory_;
  bool looked_ = false;
  // By the number of the segment; behind damage there is nothing.
  std::map<uint64_t, uint64_t> good_bytes_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WBL_H_
