// The packed batch of append_batch.md.
#include "lib/storage/append_batch.h"

#include <bit>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::storage {
namespace {

constexpr uint8_t kVersion = 1;

enum Section : uint64_t {
  kBase = 1,
  kRefs = 2,
  kValues = 3,
  kDefinitions = 4,
  kTimestamps = 5,
};

std::string_view SectionName(uint64_t section) {
  switch (section) {
    case kBase:
      return "base";
    case kRefs:
      return "refs";
    case kValues:
      return "values";
    case kDefinitions:
      return "definitions";
    case kTimestamps:
      return "timestamps";
    default:
      return "unknown";
  }
}

void AppendSection(std::string* out, Section section, std::string_view bytes) {
  AppendUvarint(out, section);
  AppendLengthPrefixed(out, bytes);
}

// Differences wrap, so that every pair of values has one.
int64_t Delta(uint64_t value, uint64_t previous) { return static_cast<int64_t>(value - previous); }
int64_t Delta(Timestamp value, Timestamp previous) {
  return Delta(static_cast<uint64_t>(value), static_cast<uint64_t>(previous));
}

}  // namespace

void AppendBatchWriter::Clear(Timestamp base_timestamp) {
  base_ = base_timestamp;
  own_timestamps_ = false;
  refs_.clear();
  values_.clear();
  timestamps_.clear();
  definitions_.clear();
  definition_count_ = 0;
}

void AppendBatchWriter::AddColumns(SeriesRef ref, Timestamp timestamp, double value) {
  refs_.push_back(ref);
  values_.push_back(value);
  timestamps_.push_back(timestamp);
  own_timestamps_ |= timestamp != base_;
}

void AppendBatchWriter::Add(SeriesRef ref, Timestamp timestamp, double value) {
  NARTHEX_DCHECK(ref != 0);
  AddColumns(ref, timestamp, value);
}

void AppendBatchWriter::AddWithDefinition(SeriesNumber number, const Labels& labels,
                                          Timestamp timestamp, double value) {
  NARTHEX_DCHECK(number != 0);
  AddColumns(0, timestamp, value);
  AppendUvarint(&definitions_, number);
  AppendUvarint(&definitions_, labels.size());
  for (const LabelView label : labels) {
    AppendLengthPrefixed(&definitions_, label.name);
    AppendLengthPrefixed(&definitions_, label.value);
  }
  ++definition_count_;
}

size_t AppendBatchWriter::size_bytes() const {
  // A reference is mostly one or two bytes from the one before, a timestamp of its own about three.
  const size_t sample_bytes = sizeof(double) + 2 + (own_timestamps_ ? 3 : 0);
  return 32 + values_.size() * sample_bytes + definitions_.size();
}

std::string AppendBatchWriter::Finish() const {
  std::string out;
  out.reserve(size_bytes());
  out.push_back(static_cast<char>(kVersion));

  std::string section;
  AppendVarint(&section, base_);
  AppendSection(&out, kBase, section);

  section.clear();
  AppendUvarint(&section, refs_.size());
  SeriesRef previous = 0;
  for (const SeriesRef ref : refs_) {
    AppendVarint(&section, Delta(ref, previous));
    previous = ref;
  }
  AppendSection(&out, kRefs, section);

  AppendUvarint(&out, kValues);
  AppendUvarint(&out, values_.size() * sizeof(double));
  const size_t values_start = out.size();
  out.resize(values_start + values_.size() * sizeof(double));
  char* place = out.data() + values_start;
  for (const double value : values_) {
    StoreLittle(place, std::bit_cast<uint64_t>(value));
    place += sizeof value;
  }

  if (definition_count_ > 0) {
    section.clear();
    AppendUvarint(&section, definition_count_);
    section.append(definitions_);
    AppendSection(&out, kDefinitions, section);
  }
  if (own_timestamps_) {
    section.clear();
    for (const Timestamp timestamp : timestamps_) AppendVarint(&section, Delta(timestamp, base_));
    AppendSection(&out, kTimestamps, section);
  }
  return out;
}

namespace {

// Decodes the sections; each method returns what is wrong, or null.
class BatchDecoder {
 public:
  explicit BatchDecoder(AppendBatch* batch) : batch_(batch) {}

  const char* ReadSection(uint64_t section, ByteReader* reader) {
    switch (section) {
      case kBase:
        return reader->ReadVarint(&batch_->base_timestamp) ? nullptr : "no timestamp";
      case kRefs:
        return ReadRefs(reader);
      case kValues:
        return ReadValues(reader);
      case kDefinitions:
        return ReadDefinitions(reader);
      case kTimestamps:
        return ReadTimestamps(reader);
      default:
        return "a section that this version does not know";
    }
  }

  const char* Finish(uint64_t sections_seen) const {
    constexpr uint64_t kRequired = 1u << kBase | 1u << kRefs | 1u << kValues;
    if ((sections_seen & kRequired) != kRequired) return "a required section is missing";
    if (definitions_wanted_ != batch_->definitions.size()) {
      return "the definitions are not as many as the samples that want one";
    }
    return nullptr;
  }

 private:
  const char* ReadRefs(ByteReader* reader) {
    uint64_t count;
    if (!reader->ReadUvarint(&count)) return "no count";
    if (count > reader->remaining()) return "the count is larger than the section";
    batch_->refs.resize(static_cast<size_t>(count));
    SeriesRef ref = 0;
    for (SeriesRef& out : batch_->refs) {
      int64_t delta;
      if (!reader->ReadVarint(&delta)) return "ends within a reference";
      ref += static_cast<uint64_t>(delta);
      definitions_wanted_ += ref == 0 ? 1 : 0;
      out = ref;
    }
    return nullptr;
  }

  const char* ReadValues(ByteReader* reader) {
    if (reader->remaining() != batch_->refs.size() * sizeof(double)) {
      return "not as many values as references";
    }
    batch_->values.resize(batch_->refs.size());
    for (double& value : batch_->values) {
      uint64_t bits = 0;
      reader->ReadLittle(&bits);
      value = std::bit_cast<double>(bits);
    }
    return nullptr;
  }

  const char* ReadDefinitions(ByteReader* reader) {
    constexpr size_t kDefinitionBytesMin = 2;
    uint64_t count;
    if (!reader->ReadUvarint(&count)) return "no count";
    if (count > reader->remaining() / kDefinitionBytesMin) {
      return "the count is larger than the section";
    }
    batch_->definitions.resize(static_cast<size_t>(count));
    for (AppendBatch::Definition& definition : batch_->definitions) {
      if (const char* const wrong = ReadDefinition(reader, &definition)) return wrong;
    }
    return nullptr;
  }

  static const char* ReadDefinition(ByteReader* reader, AppendBatch::Definition* definition) {
    constexpr size_t kLabelBytesMin = 2;
    uint64_t count;
    if (!reader->ReadUvarint(&definition->number)) return "ends within a series number";
    if (definition->number == 0) return "series number 0";
    if (!reader->ReadUvarint(&count)) return "ends within a label count";
    if (count > reader->remaining() / kLabelBytesMin) {
      return "a label count is larger than the section";
    }
    definition->labels.clear();
    definition->labels.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      LabelView label;
      if (!reader->ReadLengthPrefixed(&label.name) || !reader->ReadLengthPrefixed(&label.value)) {
        return "ends within a label";
      }
      if (label.value.empty()) return "a label without a value";
      if (i > 0 && definition->labels.back().name >= label.name) return "labels out of order";
      definition->labels.push_back(label);
    }
    return nullptr;
  }

  const char* ReadTimestamps(ByteReader* reader) {
    batch_->timestamps.resize(batch_->refs.size());
    for (Timestamp& timestamp : batch_->timestamps) {
      int64_t delta;
      if (!reader->ReadVarint(&delta)) return "fewer timestamps than references";
      timestamp = static_cast<Timestamp>(static_cast<uint64_t>(batch_->base_timestamp) +
                                         static_cast<uint64_t>(delta));
    }
    return nullptr;
  }

  AppendBatch* const batch_;
  size_t definitions_wanted_ = 0;
};

}  // namespace

absl::Status DecodeAppendBatch(std::string_view bytes, AppendBatch* batch) {
  batch->base_timestamp = 0;
  batch->refs.clear();
  batch->values.clear();
  batch->timestamps.clear();
  batch->definitions.clear();

  ByteReader reader(bytes);
  uint8_t version;
  if (!reader.ReadByte(&version)) return InvalidArgument("append batch: empty");
  if (version != kVersion) return InvalidArgument("append batch: version ", version);
  BatchDecoder decoder(batch);
  uint64_t sections_seen = 0;
  uint64_t last_section = 0;
  while (!reader.done()) {
    const size_t offset = reader.offset();
    uint64_t section;
    std::string_view content;
    if (!reader.ReadUvarint(&section) || !reader.ReadLengthPrefixed(&content)) {
      return InvalidArgument("append batch: offset ", offset, ": ends within a section");
    }
    const char* wrong = nullptr;
    ByteReader section_reader(content);
    if (section <= last_section) {
      wrong = "sections are not in ascending order";
    } else {
      wrong = decoder.ReadSection(section, &section_reader);
    }
    if (wrong == nullptr && !section_reader.done()) wrong = "bytes are left over";
    if (wrong != nullptr) {
      return InvalidArgument("append batch: section ", SectionName(section), " (", section,
                             ") at offset ", offset, ": ", wrong);
    }
    last_section = section;
    sections_seen |= uint64_t{1} << section;  // Known sections are below 64.
  }
  if (const char* const wrong = decoder.Finish(sections_seen)) {
    return InvalidArgument("append batch: offset ", bytes.size(), ": ", wrong);
  }
  return absl::OkStatus();
}

}  // namespace narthex::storage
