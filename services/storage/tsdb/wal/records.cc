// Records as in format.md.
#include "services/storage/tsdb/wal/records.h"

#include <algorithm>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::wal {
namespace {

constexpr uint8_t kMarkerVersion = 1;

void Start(std::string* out, RecordType type) { out->assign(1, static_cast<char>(type)); }

// What stands behind the type byte.
ByteReader Body(std::string_view record) { return ByteReader(record.substr(1)); }

int64_t Add(int64_t base, int64_t delta) {
  return static_cast<int64_t>(static_cast<uint64_t>(base) + static_cast<uint64_t>(delta));
}

absl::Status Malformed(std::string_view what, const ByteReader& reader) {
  return DataLoss(what, " record ends too early at byte ", reader.offset() + 1);
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
  AppendUvarint(&bytes_, labels.size());
  for (const LabelView& label : labels) {
    AppendLengthPrefixed(&bytes_, label.name);
    AppendLengthPrefixed(&bytes_, label.value);
  }
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

absl::Status DecodeSamples(std::string_view record, std::vector<RefSample>* samples) {
  samples->clear();
  ByteReader reader = Body(record);
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
                        std::bit_cast<double>(bits)});
  }
  return absl::OkStatus();
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
}

absl::Status DecodeBatchHeader(std::string_view record, BatchHeader* header) {
  ByteReader reader = Body(record);
  if (!reader.ReadUvarint(&header->records) || !reader.ReadLengthPrefixed(&header->sender) ||
      !reader.ReadUvarint(&header->sequence)) {
    return Malformed("batch", reader);
  }
  if (header->sender.size() > kSenderIdMax) return DataLoss("batch record: sender id too long");
  return absl::OkStatus();
}

}  // namespace narthex::wal
