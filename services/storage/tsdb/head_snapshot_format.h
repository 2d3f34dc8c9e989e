#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_FORMAT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/head_snapshot.h"

// What the writer and the reader of a snapshot share; head_snapshot.md has the format.
namespace narthex::tsdb::head_snapshot {

inline constexpr std::string_view kMagic = {"NTHXHEAD\x02", 9};
inline constexpr size_t kSectionHeaderSize = 1 + 4 + 4;

enum SectionType : uint8_t {
  kMoment = 1,
  kPairs = 2,
  kSeries = 3,
  kPlaces = 4,
  kMetadata = 5,
  kExemplars = 6,
  kAliases = 7,
  kEnd = 8,
};

// In the flags of an open XOR chunk; below it are the free bits.
inline constexpr uint8_t kHasWindow = 0x80;

inline absl::Status Malformed(std::string_view what) {
  return DataLoss("snapshot: malformed ", what);
}

absl::Status DecodeMoment(std::string_view body, HeadSnapshotMoment* moment);

}  // namespace narthex::tsdb::head_snapshot

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_FORMAT_H_
