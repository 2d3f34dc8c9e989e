#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace narthex::wal {

// Reads the records of one segment from front to back. Records never cross segments, so a log is
// read by one reader a segment.
//
// Thread safety: none. The views it hands out point into the segment's bytes or into the reader,
// and are valid until the next Next().
class SegmentReader {
 public:
  // `segment` is the whole file and must outlive the reader. `offset` is where to begin: a place
  // behind a whole record.
  explicit SegmentReader(std::string_view segment, uint64_t offset = 0)
      : bytes_(segment), position_(static_cast<size_t>(offset)) {}

  // Goes to the next record; false at the end, or where the bytes are damaged (see status()).
  bool Next();
  std::string_view record() const { return record_; }

  // The same in two steps, so that records can be uncompressed elsewhere: the record as it lies in
  // the log, and how it is compressed.
  enum class Compression { kNone, kSnappy, kZstd };
  bool NextRaw();
  std::string_view raw_record() const { return record_; }
  Compression compression() const { return compression_; }
  static absl::Status Uncompress(Compression compression, std::string_view raw, std::string* out);

  // Where the current record begins; after a false Next(), where the good bytes end.
  uint64_t offset() const { return record_offset_; }

  // OK at a clean end. DataLoss with the cause and its offset otherwise.
  const absl::Status& status() const { return status_; }
  // Behind damage: where another reader may look for whole records again, and miss as little as can
  // be; what it finds first may be the rest of a record that began before.
  uint64_t resume_offset() const { return resume_offset_; }
  // The segment ends within a record: what a crash leaves at the end of a log.
  bool torn() const { return torn_; }

 private:
  enum class Step { kFragment, kEnd, kDamage };
  struct Fragment {
    uint8_t head = 0;
    std::string_view data;
  };

  Step NextFragment(Fragment* fragment);
  // Joins fragments until a record is complete.
  Step ReadRecord(uint8_t* head, std::string_view* data);
  Step Damage(std::string_view what, bool torn = false);

  const std::string_view bytes_;
  size_t position_ = 0;
  size_t fragment_offset_ = 0;
  uint64_t record_offset_ = 0;
  uint64_t resume_offset_ = 0;
  size_t good_bytes_ = 0;  // Before the current record.
  std::string_view record_;
  Compression compression_ = Compression::kNone;
  std::string joined_;
  std::string uncompressed_;
  absl::Status status_;
  bool torn_ = false;
};

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_READER_H_
