#ifndef NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_CHECK_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"

namespace narthex::tsdb {

// What a check of one block found.
struct BlockReport {
  std::vector<std::string> problems;  // At most kProblemsMax; each names file and place.
  uint64_t problems_more = 0;         // Beyond those.
  uint64_t series = 0;                // Sound ones.
  uint64_t chunks = 0;
  uint64_t samples = 0;
  uint64_t chunks_lost = 0;  // Of which the index speaks, but that cannot be read.
  bool ok() const { return problems.empty(); }

  static constexpr size_t kProblemsMax = 100;
  void Add(std::string problem);
};

// Reads every byte of the block `directory` and compares what the files say of each other: meta,
// index (checksums, order of symbols and series, postings against the series), chunks (checksums,
// number and times of samples), tombstones. Changes nothing. An error is one of reading the
// directory itself (NotFound, permissions); damage is in the report.
absl::Status CheckBlock(io::FileSystem* fs, const std::string& directory, BlockReport* report);

// Writes a new block beside `directory` with everything in it that can be read, then moves the
// damaged one to `quarantine` (a directory, made when absent; "<quarantine>/<name>", with a number
// behind it when that is taken). Nothing is deleted. Gives the path of the new block, or "" when
// nothing could be read (then there is only the quarantine). `report` gets what was saved and what
// was lost.
absl::StatusOr<std::string> RepairBlock(io::FileSystem* fs, const std::string& directory,
                                        const std::string& quarantine, BlockReport* report);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_CHECK_H_
