#ifndef NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/coding.h"
#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/metadata.h"
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
  Timestamp start_timestamp = 0;  // 0 is none.
};
// Takes types 2 and 11.
absl::Status DecodeSamples(std::string_view record, std::vector<RefSample>* samples);

// What the records with start timestamps (11, 12, 13) have before each value. Begins anew with
// each record.
class V2Columns {
 public:
  void Write(uint64_t ref, Timestamp timestamp, Timestamp start_timestamp, std::string* out);
  // False where the bytes end too early.
  bool Read(ByteReader* reader);
  // Of what was read last.
  uint64_t ref() const { return ref_; }
  Timestamp timestamp() const { return timestamp_; }
  Timestamp start_timestamp() const { return start_timestamp_; }

 private:
  bool any_ = false;
  Timestamp first_timestamp_ = 0;
  Timestamp first_start_ = 0;
  uint64_t ref_ = 0;
  Timestamp timestamp_ = 0;
  Timestamp start_timestamp_ = 0;
};

// Samples with start timestamps, type 11. Upstream reads it from 3.10 on; older programs pass over
// it without a word, so it is written only where the option is on.
class SamplesV2Encoder {
 public:
  void Clear() {
    bytes_.clear();
    columns_ = V2Columns();
  }
  void Add(const RefSample& sample);
  bool empty() const { return bytes_.empty(); }
  size_t size_bytes() const { return bytes_.size(); }
  std::string_view record() const { return bytes_; }

 private:
  std::string bytes_;
  V2Columns columns_;
};

struct RefHistogram {
  uint64_t ref = 0;
  Timestamp timestamp = 0;
  Timestamp start_timestamp = 0;  // 0 is none.
  Histogram histogram;
};
struct RefFloatHistogram {
  uint64_t ref = 0;
  Timestamp timestamp = 0;
  Timestamp start_timestamp = 0;
  FloatHistogram histogram;
};

// Histograms (H = Histogram: types 7 and 9, or 12) and float histograms (H = FloatHistogram: 8 and
// 10, or 13). Without start timestamps those with custom buckets go to a record of their own, as
// upstream writes them; so one encoder yields up to two records.
//
// Replay applies records one after another and drops what is not newer than its series. So where
// one batch has samples of different kinds of one series, each kind after a change must go to new
// encoders.
template <typename H>
class BasicHistogramsEncoder {
 public:
  // The records carry start timestamps, and no older program than 3.10 reads them.
  explicit BasicHistogramsEncoder(bool start_timestamps = false)
      : start_timestamps_(start_timestamps) {}
  void Clear() {
    bytes_.clear();
    custom_bytes_.clear();
    columns_ = V2Columns();
    any_ = false;
  }
  void Add(uint64_t ref, Timestamp timestamp, Timestamp start_timestamp, const H& histogram);
  bool empty() const { return !any_; }
  size_t size_bytes() const { return bytes_.size() + custom_bytes_.size(); }
  // Adds the one or two records; the views are valid until the next Add() or Clear().
  void AppendRecords(std::vector<std::string_view>* records) const {
    if (!bytes_.empty()) records->push_back(bytes_);
    if (!custom_bytes_.empty()) records->push_back(custom_bytes_);
  }

 private:
  struct Base {
    uint64_t ref = 0;
    Timestamp timestamp = 0;
  };
  static void AddTo(const Base& first, const Base& sample, std::string* out);

  bool start_timestamps_;
  bool any_ = false;
  std::string bytes_;
  std::string custom_bytes_;
  Base first_;         // Of all, also when it went to custom_bytes_.
  Base first_custom_;  // Of those in custom_bytes_.
  V2Columns columns_;
};
using HistogramsEncoder = BasicHistogramsEncoder<Histogram>;
using FloatHistogramsEncoder = BasicHistogramsEncoder<FloatHistogram>;

// Take types 7, 9 and 12 (8, 10 and 13). Entries of a schema that we do not know are left out and
// counted in *skipped, as upstream does; finer schemas than 8 are reduced to it.
absl::Status DecodeHistograms(std::string_view record, std::vector<RefHistogram>* histograms,
                              uint64_t* skipped);
absl::Status DecodeFloatHistograms(std::string_view record,
                                   std::vector<RefFloatHistogram>* histograms, uint64_t* skipped);

// Tombstones, type 3. Times are inclusive.
struct Tombstone {
  uint64_t ref = 0;
  Timestamp min_time = 0;
  Timestamp max_time = 0;
  friend bool operator==(const Tombstone&, const Tombstone&) = default;
};
std::string EncodeTombstones(std::span<const Tombstone> tombstones);
absl::Status DecodeTombstones(std::string_view record, std::vector<Tombstone>* tombstones);

// Exemplars, type 4.
struct RefExemplar {
  uint64_t ref = 0;
  Timestamp timestamp = 0;
  double value = 0;
  std::span<const LabelView> labels;
};
// Builds one such record. Thread safety: none.
class ExemplarsEncoder {
 public:
  void Clear() { bytes_.clear(); }
  void Add(const RefExemplar& exemplar);
  bool empty() const { return bytes_.empty(); }
  size_t size_bytes() const { return bytes_.size(); }
  std::string_view record() const { return bytes_; }

 private:
  std::string bytes_;
  uint64_t first_ref_ = 0;
  Timestamp first_time_ = 0;
};
struct ExemplarsRecord {
  std::vector<RefExemplar> entries;
  std::vector<LabelView> labels;  // What the entries point at.
};
// Labels may have any order, as upstream.
absl::Status DecodeExemplars(std::string_view record, ExemplarsRecord* exemplars);

// Metadata, type 6. A later one of the same series replaces an earlier one.
struct RefMetadata {
  uint64_t ref = 0;
  MetricType type = MetricType::kUnknown;  // Numbers that we do not know read as this.
  std::string_view unit;
  std::string_view help;
};
// Builds one such record. Thread safety: none.
class MetadataEncoder {
 public:
  void Clear() { bytes_.clear(); }
  void Add(const RefMetadata& metadata);
  bool empty() const { return bytes_.empty(); }
  size_t size_bytes() const { return bytes_.size(); }
  std::string_view record() const { return bytes_; }

 private:
  std::string bytes_;
};
absl::Status DecodeMetadata(std::string_view record, std::vector<RefMetadata>* metadata);

// Markers of the out-of-order log, type 5: the samples of `ref` that the log had so far lie in the
// mapped chunk `mapped_chunk` (file << 32 | offset), and the open out-of-order chunk begins anew.
// 0: a new chunk begins, and none was mapped.
struct MmapMarker {
  uint64_t ref = 0;
  uint64_t mapped_chunk = 0;
  friend bool operator==(const MmapMarker&, const MmapMarker&) = default;
};
std::string EncodeMmapMarkers(std::span<const MmapMarker> markers);
absl::Status DecodeMmapMarkers(std::string_view record, std::vector<MmapMarker>* markers);

// Ours: what is older than `min_time`, of all that the log had so far, has gone to blocks, and the
// head drops it. It is logged by beginning a new segment, and every later segment begins with it
// again (a repetition says nothing new), so that the newest segment tells at once which chunks of
// chunks_head are of no use: those before `chunks_end` that end before `min_time`.
struct Truncation {
  Timestamp min_time = kMinTimestamp;
  uint64_t chunks_end = 0;  // A place in chunks_head: file << 32 | offset.
  friend bool operator==(const Truncation&, const Truncation&) = default;
};
std::string EncodeTruncation(const Truncation& truncation);
absl::Status DecodeTruncation(std::string_view record, Truncation* truncation);
// Upstream's type 14, in checkpoints: samples before it are in blocks.
absl::Status DecodeMinValidTime(std::string_view record, Timestamp* min_time);

// The first record of each segment that we create.
struct SegmentMarker {
  std::string reference_space;  // kReferenceSpaceSize bytes.
  uint64_t session = 0;         // Of one opening of the log; a random number.
  uint64_t segment = 0;
  uint64_t next_reference = 0;  // Numbers from here on were not given away when the segment began.
};
std::string EncodeSegmentMarker(const SegmentMarker& marker);
absl::Status DecodeSegmentMarker(std::string_view record, SegmentMarker* marker);

// A place in a log of segments.
struct LogPlace {
  uint64_t segment = 0;
  uint64_t offset = 0;
  friend bool operator==(const LogPlace&, const LogPlace&) = default;
};

// Stands before the records of one transaction: they count together, or not at all.
struct BatchHeader {
  uint64_t records = 0;     // How many follow; 0 only notes the sequence.
  std::string_view sender;  // Empty: a writer of this process, without sequences.
  uint64_t sequence = 0;    // Applied with this batch.
  // In the write-ahead log, of a batch with late samples: the log of out-of-order samples has them
  // if it reaches this place.
  std::optional<LogPlace> late = std::nullopt;
};
void EncodeBatchHeader(const BatchHeader& header, std::string* record);
absl::Status DecodeBatchHeader(std::string_view record, BatchHeader* header);

}  // namespace narthex::wal

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_WAL_RECORDS_H_
