#ifndef NARTHEX_SERVICES_STORAGE_TSDB_FSCK_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_FSCK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/io/file_system.h"

namespace narthex::tsdb {

struct FsckOptions {
  bool repair = true;  // false: looks only, and changes nothing.
  absl::Time now;      // Names the quarantine.
  std::function<bool()> stopped;
};

// Something that is not as it should be.
struct FsckFinding {
  std::string path;
  std::string what;  // Is wrong, and where; with what is lost.
  std::string done;  // What was done about it; empty: nothing.
};

struct FsckReport {
  std::vector<FsckFinding> findings;
  // What was read and is sound.
  uint64_t log_segments = 0;
  uint64_t log_records = 0;
  uint64_t chunk_files = 0;
  uint64_t chunks = 0;
  uint64_t blocks = 0;
  uint64_t block_samples = 0;
  bool snapshot = false;
  uint64_t damaged = 0;     // Findings of damage; others only note what lies there.
  uint64_t unrepaired = 0;  // Of these, what is still damaged.
  std::string quarantine;   // Where what was taken away lies; empty: nothing was.
};

// Reads every byte of a database that nobody has open: the log with its checkpoints, the log of
// out-of-order samples, chunks_head, the snapshot of the head and the blocks. Says what is damaged
// and what that costs, and repairs it: a damaged file is replaced by one with everything that can
// be read, behind the damage too, and goes to a folder of `quarantine/`. Nothing is deleted.
//
// (A start without this cuts the log off at the damage, as Prometheus does.)
//
// FailedPrecondition when another process has the directory open; other errors are of the disk, and
// of `stopped` (Cancelled). Safe to repeat, also after a crash in between.
absl::Status Fsck(io::FileSystem* fs, const std::string& path, const FsckOptions& options,
                  FsckReport* report);

// The report in lines for people, the findings first.
std::vector<std::string> Describe(const FsckReport& report);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_FSCK_H_
