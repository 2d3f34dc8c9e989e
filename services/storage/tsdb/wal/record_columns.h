#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORD_COLUMNS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORD_COLUMNS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/format.h"

// What the codecs of all records share. Pure and thread-safe.
namespace narthex::wal::record_columns {

inline void Start(std::string* out, RecordType type) { out->assign(1, static_cast<char>(type)); }

// What stands behind the type byte. REQUIRES: the record is not empty.
inline ByteReader Body(std::string_view record) { return ByteReader(record.substr(1)); }

// Differences that wrap around, as Go's do.
inline int64_t Add(int64_t base, int64_t delta) {
  return static_cast<int64_t>(static_cast<uint64_t>(base) + static_cast<uint64_t>(delta));
}
inline int64_t Subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

inline absl::Status Malformed(std::string_view what, const ByteReader& reader) {
  return DataLoss(what, " record ends too early at byte ", reader.offset() + 1);
}

}  // namespace narthex::wal::record_columns

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORD_COLUMNS_H_
