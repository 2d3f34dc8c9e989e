#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_SEGMENTS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_SEGMENTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"

// What lies in the directory of a log: segments, checkpoints, and the repair of damaged ones.
namespace narthex::wal {

struct Segment {
  uint64_t number = 0;
  std::string path;
  uint64_t size_bytes = 0;
};

struct Checkpoint {
  uint64_t segment = 0;  // The last one that it covers.
  std::string path;      // A directory of segments.
};

std::string SegmentName(uint64_t number);  // Eight digits at least.
bool ParseSegmentName(std::string_view name, uint64_t* number);

// In order of number; names that are no segments' are left out. DataLoss when a number is missing
// in between: upstream refuses such a log too, and only its owner can know where the file went.
absl::StatusOr<std::vector<Segment>> ListSegments(io::FileSystem* fs, const std::string& directory);

// The newest complete checkpoint of the log in `directory`.
absl::StatusOr<std::optional<Checkpoint>> LastCheckpoint(io::FileSystem* fs,
                                                         const std::string& directory);

// A repair of upstream's that was broken off leaves NNNNNNNN.repair, the damaged original: puts it
// back in its place, so that it is read and repaired anew.
absl::Status RestoreBrokenOffRepair(io::FileSystem* fs, const std::string& directory);

// Ends the log after byte `good_bytes` of segments[damaged]: that segment is cut there and all
// later ones leave the log. What is cut away is kept in `lost_directory`, unless it is only the
// torn tail of the last segment. Safe to repeat after a crash or an error in between.
absl::Status Repair(io::FileSystem* fs, const std::vector<Segment>& segments, size_t damaged,
                    uint64_t good_bytes, bool torn_tail, const std::string& lost_directory);

// What must be done to files before anything is written behind them, in this order, and can wait
// until then: a full disk keeps nobody from reading.
using Repairs = std::vector<std::function<absl::Status()>>;
// Does it now, or notes it when the disk is full or others wait already. It must be safe to repeat.
absl::Status RepairNowOrLater(std::function<absl::Status()> repair, Repairs* later);
// Does what waits; after an error the rest still waits.
absl::Status RunRepairs(Repairs* repairs);

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_SEGMENTS_H_
