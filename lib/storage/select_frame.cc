// The packed series of select_frame.md.
#include "lib/storage/select_frame.h"

#include <bit>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::storage {
namespace {

constexpr uint8_t kVersion = 1;
// The fewest bytes of one element: what a count is checked against before memory is taken for it.
constexpr size_t kLabelBytesMin = 2;
constexpr size_t kChunkBytesMin = 5;
constexpr size_t kDeletedBytesMin = 2;
constexpr size_t kSampleBytesMin = 1 + sizeof(double);

// Differences of timestamps wrap, so that every pair has one.
uint64_t Difference(Timestamp value, Timestamp from) {
  return static_cast<uint64_t>(value) - static_cast<uint64_t>(from);
}
Timestamp Add(Timestamp from, uint64_t difference) {
  return static_cast<Timestamp>(static_cast<uint64_t>(from) + difference);
}

bool ReadCount(ByteReader* reader, size_t element_bytes_min, size_t* count) {
  uint64_t value;
  if (!reader->ReadUvarint(&value) || value > reader->remaining() / element_bytes_min) return false;
  *count = static_cast<size_t>(value);
  return true;
}

}  // namespace

void SelectFrameWriter::Clear() {
  bytes_.clear();
  series_ = 0;
}

void SelectFrameWriter::AddSeries(uint64_t id) {
  NARTHEX_DCHECK(id != 0);
  StartSeries(id);
}

void SelectFrameWriter::AddSeries(const Labels& labels) {
  StartSeries(0);
  AppendUvarint(&bytes_, labels.size());
  for (const LabelView label : labels) {
    AppendLengthPrefixed(&bytes_, label.name);
    AppendLengthPrefixed(&bytes_, label.value);
  }
}

void SelectFrameWriter::StartSeries(uint64_t id) {
  if (bytes_.empty()) bytes_.push_back(static_cast<char>(kVersion));
  AppendUvarint(&bytes_, id);
  ++series_;
}

void SelectFrameWriter::LabelsOnly() {
  bytes_.push_back(static_cast<char>(SelectFrameReader::Kind::kLabelsOnly));
}

void SelectFrameWriter::Chunks(std::span<const SelectChunk> chunks,
                               std::span<const DeletedInterval> deleted) {
  bytes_.push_back(static_cast<char>(SelectFrameReader::Kind::kChunks));
  AppendUvarint(&bytes_, chunks.size());
  Timestamp previous = 0;
  for (const SelectChunk& chunk : chunks) {
    bytes_.push_back(static_cast<char>(chunk.encoding));
    AppendVarint(&bytes_, static_cast<int64_t>(Difference(chunk.min_time, previous)));
    AppendUvarint(&bytes_, Difference(chunk.max_time, chunk.min_time));
    AppendUvarint(&bytes_, chunk.visible_samples);
    AppendLengthPrefixed(&bytes_, chunk.bytes);
    previous = chunk.min_time;
  }
  AppendUvarint(&bytes_, deleted.size());
  for (const DeletedInterval& interval : deleted) {
    AppendVarint(&bytes_, interval.min_time);
    AppendUvarint(&bytes_, Difference(interval.max_time, interval.min_time));
  }
}

void SelectFrameWriter::Samples(std::span<const Timestamp> timestamps,
                                std::span<const double> values) {
  NARTHEX_DCHECK(timestamps.size() == values.size());
  bytes_.push_back(static_cast<char>(SelectFrameReader::Kind::kSamples));
  AppendUvarint(&bytes_, timestamps.size());
  Timestamp previous = 0;
  for (size_t i = 0; i < timestamps.size(); ++i) {
    AppendVarint(&bytes_, static_cast<int64_t>(Difference(timestamps[i], previous)));
    AppendLittle(&bytes_, std::bit_cast<uint64_t>(values[i]));
    previous = timestamps[i];
  }
}

std::string SelectFrameWriter::Take() {
  if (bytes_.empty()) bytes_.push_back(static_cast<char>(kVersion));
  std::string frame = std::exchange(bytes_, std::string());
  series_ = 0;
  // The frames of a long answer are of one size; growing to it copies every byte twice.
  constexpr size_t kLongFrame = size_t{64} << 10;
  if (frame.size() > kLongFrame) bytes_.reserve(frame.size() + frame.size() / 8);
  return frame;
}

SelectFrameReader::SelectFrameReader(std::string_view frame) : frame_(frame) {
  if (frame.empty()) {
    Fail("empty");
  } else if (static_cast<uint8_t>(frame[0]) != kVersion) {
    Fail("unknown version");
  } else {
    offset_ = 1;
  }
}

bool SelectFrameReader::Fail(std::string_view what) {
  status_ = InvalidArgument("select frame: series at offset ", offset_, ": ", what);
  return false;
}

bool SelectFrameReader::Next() {
  if (!status_.ok() || offset_ == frame_.size()) return false;
  labels_.clear();
  chunks_.clear();
  deleted_.clear();
  timestamps_.clear();
  values_.clear();

  ByteReader reader(frame_.substr(offset_));
  uint8_t kind;
  if (!reader.ReadUvarint(&id_)) return Fail("malformed id");
  if (id_ == 0 && !ReadLabels(&reader)) return Fail("malformed labels");
  if (!reader.ReadByte(&kind)) return Fail("no kind");
  switch (kind) {
    case static_cast<uint8_t>(Kind::kLabelsOnly):
      break;
    case static_cast<uint8_t>(Kind::kChunks):
      if (!ReadChunks(&reader)) return Fail("malformed chunks");
      if (!ReadDeleted(&reader)) return Fail("malformed deleted intervals");
      break;
    case static_cast<uint8_t>(Kind::kSamples):
      if (!ReadSamples(&reader)) return Fail("malformed samples");
      break;
    default:
      return Fail("unknown kind");
  }
  kind_ = static_cast<Kind>(kind);
  offset_ += reader.offset();
  return true;
}

bool SelectFrameReader::ReadLabels(ByteReader* reader) {
  size_t count;
  if (!ReadCount(reader, kLabelBytesMin, &count)) return false;
  for (size_t i = 0; i < count; ++i) {
    LabelView label;
    if (!reader->ReadLengthPrefixed(&label.name) || !reader->ReadLengthPrefixed(&label.value)) {
      return false;
    }
    if (label.value.empty() || (i > 0 && labels_.back().name >= label.name)) return false;
    labels_.push_back(label);
  }
  return true;
}

bool SelectFrameReader::ReadChunks(ByteReader* reader) {
  size_t count;
  if (!ReadCount(reader, kChunkBytesMin, &count)) return false;
  Timestamp previous = 0;
  for (size_t i = 0; i < count; ++i) {
    SelectChunk chunk;
    uint8_t encoding;
    int64_t delta;
    uint64_t length;
    uint64_t visible;
    if (!reader->ReadByte(&encoding) || !reader->ReadVarint(&delta) ||
        !reader->ReadUvarint(&length) || !reader->ReadUvarint(&visible) || visible > UINT32_MAX ||
        !reader->ReadLengthPrefixed(&chunk.bytes)) {
      return false;
    }
    chunk.encoding = static_cast<chunkenc::Encoding>(encoding);
    chunk.min_time = Add(previous, static_cast<uint64_t>(delta));
    chunk.max_time = Add(chunk.min_time, length);
    chunk.visible_samples = static_cast<uint32_t>(visible);
    if (chunk.max_time < chunk.min_time) return false;
    previous = chunk.min_time;
    chunks_.push_back(chunk);
  }
  return true;
}

bool SelectFrameReader::ReadDeleted(ByteReader* reader) {
  size_t count;
  if (!ReadCount(reader, kDeletedBytesMin, &count)) return false;
  for (size_t i = 0; i < count; ++i) {
    DeletedInterval interval;
    uint64_t length;
    if (!reader->ReadVarint(&interval.min_time) || !reader->ReadUvarint(&length)) return false;
    interval.max_time = Add(interval.min_time, length);
    if (interval.max_time < interval.min_time) return false;
    deleted_.push_back(interval);
  }
  return true;
}

bool SelectFrameReader::ReadSamples(ByteReader* reader) {
  size_t count;
  if (!ReadCount(reader, kSampleBytesMin, &count)) return false;
  timestamps_.reserve(count);
  values_.reserve(count);
  Timestamp timestamp = 0;
  for (size_t i = 0; i < count; ++i) {
    int64_t delta;
    uint64_t bits;
    if (!reader->ReadVarint(&delta) || !reader->ReadLittle(&bits)) return false;
    timestamp = Add(timestamp, static_cast<uint64_t>(delta));
    timestamps_.push_back(timestamp);
    values_.push_back(std::bit_cast<double>(bits));
  }
  return true;
}

}  // namespace narthex::storage
