// The packed batch of append_batch.md.
#include "lib/storage/append_batch.h"

#include <bit>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/histogram_coding.h"

namespace narthex::storage {
namespace {

constexpr uint8_t kVersion = 1;

enum Section : uint64_t {
  kBase = 1,
  kRefs = 2,
  kValues = 3,
  kDefinitions = 4,
  kTimestamps = 5,
  kStartTimestamps = 6,
  kHistograms = 7,
  kExemplars = 8,
  kMetadata = 9,
};

enum HistogramKind : uint8_t { kIntegerHistogram = 0, kFloatHistogram = 1 };

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
    case kStartTimestamps:
      return "start timestamps";
    case kHistograms:
      return "histograms";
    case kExemplars:
      return "exemplars";
    case kMetadata:
      return "metadata";
    default:
      return "unknown";
  }
}

void AppendSection(std::string* out, Section section, std::string_view bytes) {
  AppendUvarint(out, section);
  AppendLengthPrefixed(out, bytes);
}

void AppendLabels(const Labels& labels, std::string* out) {
  AppendUvarint(out, labels.size());
  for (const LabelView label : labels) {
    AppendLengthPrefixed(out, label.name);
    AppendLengthPrefixed(out, label.value);
  }
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
  start_timestamps_.clear();
  for (Entries* const entries : {&histograms_, &exemplars_, &metadata_}) {
    entries->bytes.clear();
    entries->count = 0;
    entries->index = 0;
  }
}

void AppendBatchWriter::AddColumns(SeriesRef ref, Timestamp timestamp, double value) {
  refs_.push_back(ref);
  values_.push_back(value);
  timestamps_.push_back(timestamp);
  own_timestamps_ |= timestamp != base_;
  if (!start_timestamps_.empty()) start_timestamps_.push_back(0);
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
  AppendLabels(labels, &definitions_);
  ++definition_count_;
}

std::string* AppendBatchWriter::AddEntry(Entries* entries) {
  NARTHEX_DCHECK(!values_.empty());
  const size_t index = values_.size() - 1;
  AppendUvarint(&entries->bytes, index - entries->index);
  entries->index = index;
  ++entries->count;
  return &entries->bytes;
}

void AppendBatchWriter::SetHistogram(const Histogram& histogram) {
  std::string* const out = AddEntry(&histograms_);
  out->push_back(kIntegerHistogram);
  EncodeHistogram(histogram, out);
}

void AppendBatchWriter::SetHistogram(const FloatHistogram& histogram) {
  std::string* const out = AddEntry(&histograms_);
  out->push_back(kFloatHistogram);
  EncodeFloatHistogram(histogram, out);
}

void AppendBatchWriter::SetStartTimestamp(Timestamp start) {
  NARTHEX_DCHECK(!values_.empty());
  if (start_timestamps_.empty()) {
    if (start == 0) return;
    start_timestamps_.resize(values_.size(), 0);
  }
  start_timestamps_.back() = start;
}

void AppendBatchWriter::AddExemplar(const Exemplar& exemplar) {
  std::string* const out = AddEntry(&exemplars_);
  AppendVarint(out, Delta(exemplar.timestamp, base_));
  AppendLittle(out, std::bit_cast<uint64_t>(exemplar.value));
  AppendLabels(exemplar.labels, out);
}

void AppendBatchWriter::SetMetadata(const Metadata& metadata) {
  std::string* const out = AddEntry(&metadata_);
  out->push_back(static_cast<char>(metadata.type));
  AppendLengthPrefixed(out, metadata.help);
  AppendLengthPrefixed(out, metadata.unit);
}

size_t AppendBatchWriter::size_bytes() const {
  // A reference is mostly one or two bytes from the one before, a timestamp of its own about three.
  // Start timestamps are mostly those of the sample before.
  const size_t sample_bytes =
      sizeof(double) + 2 + (own_timestamps_ ? 3 : 0) + (start_timestamps_.empty() ? 0 : 1);
  return 32 + values_.size() * sample_bytes + definitions_.size() + histograms_.bytes.size() +
         exemplars_.bytes.size() + metadata_.bytes.size();
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
  if (!start_timestamps_.empty()) {
    section.clear();
    Timestamp previous_start = 0;
    for (const Timestamp start : start_timestamps_) {
      AppendVarint(&section, Delta(start, previous_start));
      previous_start = start;
    }
    AppendSection(&out, kStartTimestamps, section);
  }
  const auto append_entries = [&](Section tag, const Entries& entries) {
    if (entries.count == 0) return;
    section.clear();
    AppendUvarint(&section, entries.count);
    section.append(entries.bytes);
    AppendSection(&out, tag, section);
  };
  append_entries(kHistograms, histograms_);
  append_entries(kExemplars, exemplars_);
  append_entries(kMetadata, metadata_);
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
      case kStartTimestamps:
        return ReadStartTimestamps(reader);
      case kHistograms:
        return ReadHistograms(reader);
      case kExemplars:
        return ReadExemplars(reader);
      case kMetadata:
        return ReadMetadata(reader);
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
    if (!reader->ReadUvarint(&definition->number)) return "ends within a series number";
    if (definition->number == 0) return "series number 0";
    return ReadLabels(reader, &definition->labels);
  }

  static const char* ReadLabels(ByteReader* reader, std::vector<LabelView>* labels) {
    constexpr size_t kLabelBytesMin = 2;
    uint64_t count;
    if (!reader->ReadUvarint(&count)) return "ends within a label count";
    if (count > reader->remaining() / kLabelBytesMin) {
      return "a label count is larger than the section";
    }
    labels->clear();
    labels->reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      LabelView label;
      if (!reader->ReadLengthPrefixed(&label.name) || !reader->ReadLengthPrefixed(&label.value)) {
        return "ends within a label";
      }
      if (label.value.empty()) return "a label without a value";
      if (i > 0 && labels->back().name >= label.name) return "labels out of order";
      labels->push_back(label);
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

  const char* ReadStartTimestamps(ByteReader* reader) {
    batch_->start_timestamps.resize(batch_->refs.size());
    Timestamp previous = 0;
    for (Timestamp& start : batch_->start_timestamps) {
      int64_t delta;
      if (!reader->ReadVarint(&delta)) return "fewer start timestamps than references";
      previous = Sum(previous, delta);
      start = previous;
    }
    return nullptr;
  }

  static Timestamp Sum(Timestamp timestamp, int64_t delta) {  // Wraps.
    return static_cast<Timestamp>(static_cast<uint64_t>(timestamp) + static_cast<uint64_t>(delta));
  }

  // The number of entries that take at least so many bytes each.
  static const char* ReadCount(ByteReader* reader, size_t entry_bytes_min, size_t* count) {
    uint64_t value;
    if (!reader->ReadUvarint(&value)) return "no count";
    if (value > reader->remaining() / entry_bytes_min) {
      return "the count is larger than the section";
    }
    *count = static_cast<size_t>(value);
    return nullptr;
  }

  // The sample that an entry belongs to: `previous` is that of the entry before, if there is one.
  const char* ReadIndex(ByteReader* reader, const size_t* previous, bool repeats, size_t* index) {
    uint64_t delta;
    if (!reader->ReadUvarint(&delta)) return "ends within an index";
    if (previous != nullptr && delta == 0 && !repeats) return "two entries for one sample";
    const size_t from = previous == nullptr ? 0 : *previous;
    if (delta >= batch_->refs.size() - from) return "an index behind the last sample";
    *index = from + static_cast<size_t>(delta);
    return nullptr;
  }

  const char* ReadHistograms(ByteReader* reader) {
    // Index and kind, hint, schema and threshold, two counts and the sum, four numbers of elements.
    constexpr size_t kBytesMin = 2 + 2 + 8 + 2 + 8 + 4;
    size_t count;
    if (const char* const wrong = ReadCount(reader, kBytesMin, &count)) return wrong;
    batch_->histograms.resize(count);
    const size_t* previous = nullptr;
    for (AppendBatch::HistogramEntry& entry : batch_->histograms) {
      if (const char* const wrong = ReadIndex(reader, previous, /*repeats=*/false, &entry.index)) {
        return wrong;
      }
      uint8_t kind;
      if (!reader->ReadByte(&kind) || kind > kFloatHistogram) return "an unknown kind of histogram";
      entry.is_float = kind == kFloatHistogram;
      if (entry.is_float ? !DecodeFloatHistogram(reader, &entry.float_histogram)
                         : !DecodeHistogram(reader, &entry.histogram)) {
        return "a malformed histogram";
      }
      previous = &entry.index;
    }
    return nullptr;
  }

  const char* ReadExemplars(ByteReader* reader) {
    constexpr size_t kBytesMin = 2 + sizeof(double) + 1;
    size_t count;
    if (const char* const wrong = ReadCount(reader, kBytesMin, &count)) return wrong;
    batch_->exemplars.resize(count);
    const size_t* previous = nullptr;
    for (AppendBatch::ExemplarEntry& entry : batch_->exemplars) {
      if (const char* const wrong = ReadIndex(reader, previous, /*repeats=*/true, &entry.index)) {
        return wrong;
      }
      int64_t delta;
      uint64_t bits;
      if (!reader->ReadVarint(&delta) || !reader->ReadLittle(&bits)) {
        return "ends within an exemplar";
      }
      entry.timestamp = Sum(batch_->base_timestamp, delta);
      entry.value = std::bit_cast<double>(bits);
      if (const char* const wrong = ReadLabels(reader, &entry.labels)) return wrong;
      previous = &entry.index;
    }
    return nullptr;
  }

  const char* ReadMetadata(ByteReader* reader) {
    constexpr size_t kBytesMin = 4;
    size_t count;
    if (const char* const wrong = ReadCount(reader, kBytesMin, &count)) return wrong;
    batch_->metadata.resize(count);
    const size_t* previous = nullptr;
    for (AppendBatch::MetadataEntry& entry : batch_->metadata) {
      if (const char* const wrong = ReadIndex(reader, previous, /*repeats=*/false, &entry.index)) {
        return wrong;
      }
      uint8_t type;
      if (!reader->ReadByte(&type) || type > static_cast<uint8_t>(MetricType::kStateSet)) {
        return "an unknown metric type";
      }
      entry.type = static_cast<MetricType>(type);
      if (!reader->ReadLengthPrefixed(&entry.help) || !reader->ReadLengthPrefixed(&entry.unit)) {
        return "ends within metadata";
      }
      previous = &entry.index;
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
  batch->start_timestamps.clear();
  batch->definitions.clear();
  batch->histograms.clear();
  batch->exemplars.clear();
  batch->metadata.clear();

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
