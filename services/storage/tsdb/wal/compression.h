#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_COMPRESSION_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_COMPRESSION_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

// Whole-record compression of the log. All functions are pure; what they write to is overwritten
// and its memory reused.
namespace narthex::wal {

// Snappy's block format. The result lies in `buffer`, which only ever grows (so that a call costs
// no clearing); empty when it would not be smaller.
std::string_view CompressSnappy(std::string_view bytes, std::string* buffer);
// Likewise, one zstd frame.
std::string_view CompressZstd(std::string_view bytes, std::string* buffer);

// DataLoss on bytes that are not snappy, or that claim to become more than snappy can make of them.
absl::Status UncompressSnappy(std::string_view bytes, std::string* out);
// DataLoss on bytes that are not zstd, or that become more than 256 MiB.
absl::Status UncompressZstd(std::string_view bytes, std::string* out);

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_COMPRESSION_H_
