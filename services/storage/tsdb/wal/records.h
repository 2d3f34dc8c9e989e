#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/coding.h"
#include "lib/labels/labels.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/wal/format.h"

// The records of the log, encoded and decoded. Encoders build the bytes of one record; decoders
// return DataLoss on bytes that are no such record and keep no more than a small multiple of them.
// Views in decoded records point into the record. Thread safety: none.
namespace narthex::wal {

// The type byte of a record; kEmpty (0) for an empty one.
inline constexpr RecordType kEmptyRecord = static_cast<RecordType>(0);
RecordType TypeOfRecord(std::string_view record);

// Series, type 1.
class SeriesEncoder {
 public:
  void Clear() { bytes_.clear(); }
  void Add(uint64_t ref, std::span<const LabelView> labels);
  bool empty() const { return bytes_.empty(); }
  size_t size_bytes() const { return bytes_.size(); }
  std::string_view record() const { return bytes_; }

 private:
  std::string bytes_;
};

struct SeriesRecord {
  struct Entry {
    uint64_t ref = 0;
    size_t labels_begin = 0;
    size_t labels_end = 0;
  };
  std::vector<Entry> entries;
  std::vector<LabelView> labels;
  std::span<const LabelView> LabelsOf(const Entry& entry) const {
    return std::span(labels).subspan(entry.labels_begin, entry.labels_end - entry.labels_begin);
  }
};
// Also checks that labels are sorted, unique and not empty.
absl::Status DecodeSeries(std::string_view record, SeriesRecord* series);

// Samples, type 2. Reserve() first: Add() writes without looking.
class SamplesEncoder {
 public:
  static constexpr size_t kSampleBytesMax = 2 * kUvarintBytesMax + sizeof(double);

  void Clear() { size_ = 0; }
  // Makes room for `count` more samples.
  void Reserve(size_t count);
  void Add(uint64_t ref, Timestamp timestamp, double value) {
    if (size_ == 0) Begin(ref, timestamp);
    uint8_t* const out = bytes_.get() + size_;
    size_t n = EncodeUvarint(out, ZigZag(static_cast<int64_t>(ref - first_ref_)));
    n += EncodeUvarint(out + n, ZigZag(static_cast<int64_t>(static_cast<uint64_t>(timestamp) -
                                                            static_cast<uint64_t>(first_time_))));
    StoreBig(out + n, std::bit_cast<uint64_t>(value));
    size_ += n + sizeof(double);
  }
  bool empty() const { return size_ == 0; }
  size_t size_bytes() const { return size_; }
  std::string_view record() const {
    return std::string_view(reinterpret_cast<const char*>(bytes_.get()), size_);
  }

 private:
  static constexpr size_t kStartBytes = 1 + 8 + 8;
  void Begin(uint64_t ref, Timestamp timestamp);

  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  uint64_t first_ref_ = 0;
  Timestamp first_time_ = 0;
};

struct RefSample {
  uint64_t ref = 0;
  Timestamp timestamp = 0;
  double value = 0;
};
absl::Status DecodeSamples(std::string_view record, std::vector<RefSample>* samples);

// Tombstones, type 3. Times are inclusive.
struct Tombstone {
  uint64_t ref = 0;
  Timestamp min_time = 0;
  Timestamp max_time = 0;
  friend bool operator==(const Tombstone&, const Tombstone&) = default;
};
std::string EncodeTombstones(std::span<const Tombstone> tombstones);
absl::Status DecodeTombstones(std::string_view record, std::vector<Tombstone>* tombstones);

// The first record of each segment that we create.
struct SegmentMarker {
  std::string reference_space;  // kReferenceSpaceSize bytes.
  uint64_t session = 0;         // Of one opening of the log; a random number.
  uint64_t segment = 0;
  uint64_t next_reference = 0;  // Numbers from here on were not given away when the segment began.
};
std::string EncodeSegmentMarker(const SegmentMarker& marker);
absl::Status DecodeSegmentMarker(std::string_view record, SegmentMarker* marker);

// Stands before the records of one transaction: they count together, or not at all.
struct BatchHeader {
  uint64_t records = 0;     // How many follow; 0 only notes the sequence.
  std::string_view sender;  // Empty: a writer of this process, without sequences.
  uint64_t sequence = 0;    // Applied with this batch.
};
void EncodeBatchHeader(const BatchHeader& header, std::string* record);
absl::Status DecodeBatchHeader(std::string_view record, BatchHeader* header);

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_
