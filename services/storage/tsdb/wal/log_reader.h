#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_LOG_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_LOG_READER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/wal/reader.h"
#include "services/storage/tsdb/wal/records.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::wal {

// A record on its way out of the log.
struct LogRecord {
  RecordType type = kEmptyRecord;
  uint64_t segment = 0;            // The number of its segment,
  uint64_t offset = 0;             // and where in it.
  std::string bytes;               // Uncompressed; empty where `samples` has it all.
  std::vector<RefSample> samples;  // Of types 2 and 11.
};

// Some consecutive records of one segment.
struct LogPiece {
  size_t segment = 0;  // Index into the list that the reader was given.
  bool first = false;  // Begins the segment.
  bool last = false;   // Ends it, or the readable part of it.
  std::vector<LogRecord> records;
  // Of the last piece: OK at a clean end; DataLoss where the segment is damaged, and another error
  // where it cannot be read. Nothing comes after an error.
  absl::Status status;
  bool torn = false;        // The segment ends within a record.
  uint64_t good_bytes = 0;  // Of the segment, behind the piece.
};

// Reads segments from front to back, with checksums, decompression and the decoding of samples on
// threads of its own. What is under way is bounded: pieces are cut at about 256 KiB of the log, and
// there are at most two more of them than three a thread.
//
// Thread safety: Next() by one thread. The destructor stops the threads.
class LogReader {
 public:
  struct Options {
    int threads = 1;            // At least 1.
    uint64_t first_offset = 0;  // Where to begin in the first segment: behind a whole record.
  };
  // `fs` must outlive it.
  LogReader(io::FileSystem* fs, std::vector<Segment> segments, Options options);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // The next piece in order; false when there is none any more. Every segment has at least one.
  bool Next(LogPiece* piece);

 private:
  struct RawRecord {
    uint64_t offset = 0;
    SegmentReader::Compression compression = SegmentReader::Compression::kNone;
    size_t begin = 0;  // In RawPiece::bytes.
    size_t end = 0;
  };
  struct RawPiece {
    std::string bytes;
    std::vector<RawRecord> records;
  };
  struct OpenSegment {
    std::unique_ptr<io::MappedFile> file;
    std::unique_ptr<SegmentReader> reader;
  };

  void Run();
  // Fills both with what comes next in the log; false at its end.
  bool Walk(RawPiece* raw, LogPiece* piece) ABSL_EXCLUSIVE_LOCKS_REQUIRED(walk_mu_);
  void Decode(const RawPiece& raw, LogPiece* piece) const;

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::vector<Segment> segments_;
  const Options options_;
  const uint64_t pieces_max_;

  // Held while pieces are cut from the log, one after another.
  Mutex walk_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  size_t segment_ ABSL_GUARDED_BY(walk_mu_) = 0;
  OpenSegment open_ ABSL_GUARDED_BY(walk_mu_);
  bool walked_ ABSL_GUARDED_BY(walk_mu_) = false;  // There is no more.
  uint64_t cut_ ABSL_GUARDED_BY(walk_mu_) = 0;     // Pieces so far.

  Mutex mu_;
  CondVar changed_;
  std::map<uint64_t, LogPiece> ready_ ABSL_GUARDED_BY(mu_);  // By number.
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;                  // Pieces that Next() has given out.
  std::optional<uint64_t> total_ ABSL_GUARDED_BY(mu_);       // Once the end is known.
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<Thread> threads_;
};

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_LOG_READER_H_
