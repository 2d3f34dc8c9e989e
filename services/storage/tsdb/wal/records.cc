// Records as in format.md.
#include "services/storage/tsdb/wal/records.h"

#include <algorithm>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/record_columns.h"

namespace narthex::wal {
namespace {

using record_columns::Add;
using record_columns::Body;
using record_columns::Malformed;
using record_columns::Start;
using record_columns::Subtract;

constexpr uint8_t kMarkerVersion = 1;
constexpr std::string_view kUnitField = "UNIT";
constexpr std::string_view kHelpField = "HELP";

// How the start timestamp of a sample stands there.
constexpr uint8_t kNoStart = 0;
constexpr uint8_t kSameStart = 1;  // As that of the sample before.
constexpr uint8_t kOwnStart = 2;   // As the difference to that of the first. Readers take more.

void AppendLabels(std::span<const LabelView> labels, std::string* out) {
  AppendUvarint(out, labels.size());
  for (const LabelView& label : labels) {
    AppendLengthPrefixed(out, label.name);
    AppendLengthPrefixed(out, label.value);
  }
}

bool ReadLabels(ByteReader* reader, std::vector<LabelView>* labels) {
  constexpr size_t kLabelBytesMin = 2;
  uint64_t count;
  if (!reader->ReadUvarint(&count) || count > reader->remaining() / kLabelBytesMin) return false;
  for (uint64_t i = 0; i < count; ++i) {
    LabelView label;
    if (!reader->ReadLengthPrefixed(&label.name) || !reader->ReadLengthPrefixed(&label.value)) {
      return false;
    }
    labels->push_back(label);
  }
  return true;
}

bool LabelsAreValid(std::span<const LabelView> labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].value.empty()) return false;
    if (i > 0 && labels[i - 1].name >= labels[i].name) return false;
  }
  return true;
}

}  // namespace

RecordType TypeOfRecord(std::string_view record) {
  return record.empty() ? kEmptyRecord
                        : static_cast<RecordType>(static_cast<uint8_t>(record.front()));
}

void SeriesEncoder::Add(uint64_t ref, std::span<const LabelView> labels) {
  if (bytes_.empty()) Start(&bytes_, RecordType::kSeries);
  AppendBig(&bytes_, ref);
  AppendLabels(labels, &bytes_);
}

absl::Status DecodeSeries(std::string_view record, SeriesRecord* series) {
  series->entries.clear();
  series->labels.clear();
  ByteReader reader = Body(record);
  while (!reader.done()) {
    SeriesRecord::Entry entry;
    entry.labels_begin = series->labels.size();
    if (!reader.ReadBig(&entry.ref) || !ReadLabels(&reader, &series->labels)) {
      return Malformed("series", reader);
    }
    entry.labels_end = series->labels.size();
    if (!LabelsAreValid(series->LabelsOf(entry))) {
      return DataLoss("series record: labels of series ", entry.ref, " are not sorted");
    }
    series->entries.push_back(entry);
  }
  return absl::OkStatus();
}

void SamplesEncoder::Reserve(size_t count) {
  const size_t needed = size_ + kStartBytes + count * kSampleBytesMax;
  if (needed <= capacity_) return;
  const size_t capacity = std::max(needed, capacity_ * 2);
  std::unique_ptr<uint8_t[]> bytes(new uint8_t[capacity]);
  if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
  bytes_ = std::move(bytes);
  capacity_ = capacity;
}

void SamplesEncoder::Begin(uint64_t ref, Timestamp timestamp) {
  NARTHEX_DCHECK(capacity_ >= kStartBytes + kSampleBytesMax);
  bytes_[0] = static_cast<uint8_t>(RecordType::kSamples);
  StoreBig(bytes_.get() + 1, ref);
  StoreBig(bytes_.get() + 9, static_cast<uint64_t>(timestamp));
  size_ = kStartBytes;
  first_ref_ = ref;
  first_time_ = timestamp;
}

namespace {

// References and times as type 11 has them; see V2Columns.
absl::Status DecodeSamplesV2(ByteReader* reader, std::vector<RefSample>* samples) {
  constexpr size_t kSampleBytesMin = 3 + sizeof(double);
  samples->reserve(reader->remaining() / kSampleBytesMin);
  V2Columns columns;
  while (!reader->done()) {
    uint64_t bits;
    if (!columns.Read(reader) || !reader->ReadBig(&bits)) return Malformed("samples", *reader);
    samples->push_back({columns.ref(), columns.timestamp(), std::bit_cast<double>(bits),
                        columns.start_timestamp()});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeSamples(std::string_view record, std::vector<RefSample>* samples) {
  samples->clear();
  ByteReader reader = Body(record);
  if (TypeOfRecord(record) == RecordType::kSamplesV2) return DecodeSamplesV2(&reader, samples);
  if (reader.done()) return absl::OkStatus();
  uint64_t first_ref;
  uint64_t first_time;
  if (!reader.ReadBig(&first_ref) || !reader.ReadBig(&first_time)) {
    return Malformed("samples", reader);
  }
  constexpr size_t kSampleBytesMin = 2 + sizeof(double);
  samples->reserve(reader.remaining() / kSampleBytesMin);
  while (!reader.done()) {
    int64_t ref_delta;
    int64_t time_delta;
    uint64_t bits;
    if (!reader.ReadVarint(&ref_delta) || !reader.ReadVarint(&time_delta) ||
        !reader.ReadBig(&bits)) {
      return Malformed("samples", reader);
    }
    samples->push_back({first_ref + static_cast<uint64_t>(ref_delta),
                        Add(static_cast<Timestamp>(first_time), time_delta),
                        std::bit_cast<double>(bits), 0});
  }
  return absl::OkStatus();
}

void V2Columns::Write(uint64_t ref, Timestamp timestamp, Timestamp start_timestamp,
                      std::string* out) {
  if (!any_) {
    any_ = true;
    AppendVarint(out, static_cast<int64_t>(ref));
    AppendVarint(out, timestamp);
    AppendVarint(out, start_timestamp);
    first_timestamp_ = timestamp;
    first_start_ = start_timestamp;
  } else {
    AppendVarint(out, static_cast<int64_t>(ref - ref_));
    AppendVarint(out, Subtract(timestamp, first_timestamp_));
    if (start_timestamp == 0) {
      out->push_back(static_cast<char>(kNoStart));
    } else if (start_timestamp == start_timestamp_) {
      out->push_back(static_cast<char>(kSameStart));
    } else {
      out->push_back(static_cast<char>(kOwnStart));
      AppendVarint(out, Subtract(start_timestamp, first_start_));
    }
  }
  ref_ = ref;
  timestamp_ = timestamp;
  start_timestamp_ = start_timestamp;
}

bool V2Columns::Read(ByteReader* reader) {
  int64_t ref;
  int64_t time;
  if (!reader->ReadVarint(&ref) || !reader->ReadVarint(&time)) return false;
  if (!any_) {
    any_ = true;
    if (!reader->ReadVarint(&start_timestamp_)) return false;
    ref_ = static_cast<uint64_t>(ref);
    timestamp_ = time;
    first_timestamp_ = time;
    first_start_ = start_timestamp_;
    return true;
  }
  ref_ += static_cast<uint64_t>(ref);
  timestamp_ = Add(first_timestamp_, time);
  uint8_t marker;
  if (!reader->ReadByte(&marker)) return false;
  if (marker == kNoStart) {
    start_timestamp_ = 0;
  } else if (marker != kSameStart) {
    int64_t delta;
    if (!reader->ReadVarint(&delta)) return false;
    start_timestamp_ = Add(first_start_, delta);
  }
  return true;
}

void SamplesV2Encoder::Add(const RefSample& sample) {
  if (bytes_.empty()) Start(&bytes_, RecordType::kSamplesV2);
  columns_.Write(sample.ref, sample.timestamp, sample.start_timestamp, &bytes_);
  AppendBig(&bytes_, std::bit_cast<uint64_t>(sample.value));
}

std::string EncodeTombstones(std::span<const Tombstone> tombstones) {
  std::string record;
  Start(&record, RecordType::kTombstones);
  for (const Tombstone& tombstone : tombstones) {
    AppendBig(&record, tombstone.ref);
    AppendVarint(&record, tombstone.min_time);
    AppendVarint(&record, tombstone.max_time);
  }
  return record;
}

absl::Status DecodeTombstones(std::string_view record, std::vector<Tombstone>* tombstones) {
  tombstones->clear();
  ByteReader reader = Body(record);
  while (!reader.done()) {
    Tombstone tombstone;
    if (!reader.ReadBig(&tombstone.ref) || !reader.ReadVarint(&tombstone.min_time) ||
        !reader.ReadVarint(&tombstone.max_time)) {
      return Malformed("tombstones", reader);
    }
    tombstones->push_back(tombstone);
  }
  return absl::OkStatus();
}

void ExemplarsEncoder::Add(const RefExemplar& exemplar) {
  if (bytes_.empty()) {
    Start(&bytes_, RecordType::kExemplars);
    AppendBig(&bytes_, exemplar.ref);
    AppendBig(&bytes_, static_cast<uint64_t>(exemplar.timestamp));
    first_ref_ = exemplar.ref;
    first_time_ = exemplar.timestamp;
  }
  AppendVarint(&bytes_, static_cast<int64_t>(exemplar.ref - first_ref_));
  AppendVarint(&bytes_, Subtract(exemplar.timestamp, first_time_));
  AppendBig(&bytes_, std::bit_cast<uint64_t>(exemplar.value));
  AppendLabels(exemplar.labels, &bytes_);
}

absl::Status DecodeExemplars(std::string_view record, ExemplarsRecord* exemplars) {
  exemplars->entries.clear();
  exemplars->labels.clear();
  ByteReader reader = Body(record);
  if (reader.done()) return absl::OkStatus();
  uint64_t first_ref;
  uint64_t first_time;
  if (!reader.ReadBig(&first_ref) || !reader.ReadBig(&first_time)) {
    return Malformed("exemplars", reader);
  }
  std::vector<size_t> ends;  // The labels move while they are read.
  while (!reader.done()) {
    int64_t ref_delta;
    int64_t time_delta;
    uint64_t bits;
    if (!reader.ReadVarint(&ref_delta) || !reader.ReadVarint(&time_delta) ||
        !reader.ReadBig(&bits) || !ReadLabels(&reader, &exemplars->labels)) {
      return Malformed("exemplars", reader);
    }
    exemplars->entries.push_back({first_ref + static_cast<uint64_t>(ref_delta),
                                  Add(static_cast<Timestamp>(first_time), time_delta),
                                  std::bit_cast<double>(bits),
                                  {}});
    ends.push_back(exemplars->labels.size());
  }
  size_t begin = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    exemplars->entries[i].labels = std::span(exemplars->labels).subspan(begin, ends[i] - begin);
    begin = ends[i];
  }
  return absl::OkStatus();
}

void MetadataEncoder::Add(const RefMetadata& metadata) {
  if (bytes_.empty()) Start(&bytes_, RecordType::kMetadata);
  AppendUvarint(&bytes_, metadata.ref);
  bytes_.push_back(static_cast<char>(metadata.type));
  AppendUvarint(&bytes_, 2);  // Fields.
  AppendLengthPrefixed(&bytes_, kUnitField);
  AppendLengthPrefixed(&bytes_, metadata.unit);
  AppendLengthPrefixed(&bytes_, kHelpField);
  AppendLengthPrefixed(&bytes_, metadata.help);
}

absl::Status DecodeMetadata(std::string_view record, std::vector<RefMetadata>* metadata) {
  metadata->clear();
  ByteReader reader = Body(record);
  while (!reader.done()) {
    RefMetadata entry;
    uint8_t type;
    uint64_t fields;
    if (!reader.ReadUvarint(&entry.ref) || !reader.ReadByte(&type) ||
        !reader.ReadUvarint(&fields)) {
      return Malformed("metadata", reader);
    }
    if (type <= static_cast<uint8_t>(MetricType::kStateSet)) {
      entry.type = static_cast<MetricType>(type);
    }
    for (uint64_t i = 0; i < fields; ++i) {
      std::string_view name;
      std::string_view value;
      if (!reader.ReadLengthPrefixed(&name) || !reader.ReadLengthPrefixed(&value)) {
        return Malformed("metadata", reader);
      }
      if (name == kUnitField) entry.unit = value;
      if (name == kHelpField) entry.help = value;
    }
    metadata->push_back(entry);
  }
  return absl::OkStatus();
}

std::string EncodeMmapMarkers(std::span<const MmapMarker> markers) {
  std::string record;
  Start(&record, RecordType::kMmapMarkers);
  for (const MmapMarker& marker : markers) {
    AppendBig(&record, marker.ref);
    AppendBig(&record, marker.mapped_chunk);
  }
  return record;
}

absl::Status DecodeMmapMarkers(std::string_view record, std::vector<MmapMarker>* markers) {
  markers->clear();
  ByteReader reader = Body(record);
  while (!reader.done()) {
    MmapMarker marker;
    if (!reader.ReadBig(&marker.ref) || !reader.ReadBig(&marker.mapped_chunk)) {
      return Malformed("mmap markers", reader);
    }
    markers->push_back(marker);
  }
  return absl::OkStatus();
}

std::string EncodeTruncation(const Truncation& truncation) {
  std::string record;
  Start(&record, RecordType::kTruncation);
  AppendBig(&record, static_cast<uint64_t>(truncation.min_time));
  AppendBig(&record, truncation.chunks_end);
  return record;
}

absl::Status DecodeTruncation(std::string_view record, Truncation* truncation) {
  ByteReader reader = Body(record);
  uint64_t time;
  if (!reader.ReadBig(&time) || !reader.ReadBig(&truncation->chunks_end)) {
    return Malformed("truncation", reader);
  }
  truncation->min_time = static_cast<Timestamp>(time);
  return absl::OkStatus();
}

absl::Status DecodeMinValidTime(std::string_view record, Timestamp* min_time) {
  ByteReader reader = Body(record);
  uint64_t time;
  if (!reader.ReadBig(&time)) return Malformed("min valid time", reader);
  *min_time = static_cast<Timestamp>(time);
  return absl::OkStatus();
}

std::string EncodeSegmentMarker(const SegmentMarker& marker) {
  NARTHEX_CHECK(marker.reference_space.size() == kReferenceSpaceSize);
  std::string record;
  Start(&record, RecordType::kSegmentMarker);
  record.push_back(static_cast<char>(kMarkerVersion));
  record.append(marker.reference_space);
  AppendBig(&record, marker.session);
  AppendUvarint(&record, marker.segment);
  AppendUvarint(&record, marker.next_reference);
  return record;
}

absl::Status DecodeSegmentMarker(std::string_view record, SegmentMarker* marker) {
  ByteReader reader = Body(record);
  uint8_t version;
  std::string_view space;
  if (!reader.ReadByte(&version)) return Malformed("segment marker", reader);
  if (version != kMarkerVersion) return DataLoss("segment marker of version ", version);
  if (!reader.ReadBytes(kReferenceSpaceSize, &space) || !reader.ReadBig(&marker->session) ||
      !reader.ReadUvarint(&marker->segment) || !reader.ReadUvarint(&marker->next_reference)) {
    return Malformed("segment marker", reader);
  }
  marker->reference_space = space;
  return absl::OkStatus();
}

void EncodeBatchHeader(const BatchHeader& header, std::string* record) {
  NARTHEX_CHECK(header.sender.size() <= kSenderIdMax);
  Start(record, RecordType::kBatch);
  AppendUvarint(record, header.records);
  AppendLengthPrefixed(record, header.sender);
  AppendUvarint(record, header.sequence);
  if (!header.late) return;
  AppendUvarint(record, header.late->segment);
  AppendUvarint(record, header.late->offset);
}

absl::Status DecodeBatchHeader(std::string_view record, BatchHeader* header) {
  ByteReader reader = Body(record);
  if (!reader.ReadUvarint(&header->records) || !reader.ReadLengthPrefixed(&header->sender) ||
      !reader.ReadUvarint(&header->sequence)) {
    return Malformed("batch", reader);
  }
  if (header->sender.size() > kSenderIdMax) return DataLoss("batch record: sender id too long");
  header->late.reset();
  if (reader.done()) return absl::OkStatus();
  LogPlace late;
  if (!reader.ReadUvarint(&late.segment) || !reader.ReadUvarint(&late.offset)) {
    return Malformed("batch", reader);
  }
  header->late = late;
  return absl::OkStatus();
}

}  // namespace narthex::wal
