// io.prometheus.write.v2.Request: 4 symbols, 5 timeseries.
//   TimeSeries 1 labels_refs (packed, name and value in turn), 2 samples{1 double value,
//              2 int64 timestamp, 3 int64 start_timestamp}, 3 histograms,
//              4 exemplars{1 labels_refs, 2 double value, 3 timestamp},
//              5 metadata{1 type, 3 help_ref, 4 unit_ref}; 6 was a start timestamp and is ignored
#include "services/storage/remote/write_v2.h"

#include <cstring>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_reader.h"
#include "services/storage/remote/histogram_reader.h"

namespace narthex::storage_remote {
namespace {

using remote::ProtoReader;
using remote::WireType;

absl::Status Malformed(std::string_view what) {
  return InvalidArgument(what, ": the message is malformed");
}

// Packed references, put together where they come in pieces or one by one.
bool GatherRefs(const ProtoReader& field, std::string_view* refs, std::deque<std::string>* kept) {
  if (refs->empty() && field.wire_type() == WireType::kBytes) {
    *refs = field.bytes();
    return true;
  }
  std::string& whole = kept->emplace_back(*refs);
  const bool good =
      remote::VisitVarints(field, [&whole](uint64_t ref) { AppendUvarint(&whole, ref); });
  *refs = whole;
  return good;
}

}  // namespace

void WriteV2Decoder::Parts::Clear() {
  refs = {};
  samples.clear();
  histograms.clear();
  exemplars.clear();
  metadata = {};
}

absl::Status WriteV2Decoder::Decode(std::string_view message, uint64_t seed,
                                    WriteColumns* columns) {
  columns->Clear();
  symbols_.clear();
  hashes_.clear();
  messages_.clear();
  gathered_.clear();
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(4, WireType::kBytes)) {
      symbols_.push_back(reader.bytes());
    } else if (reader.Is(5, WireType::kBytes)) {
      messages_.push_back(reader.bytes());
    }
  }
  if (reader.failed()) return Malformed("request");
  hashes_.reserve(symbols_.size());
  for (const std::string_view symbol : symbols_) hashes_.push_back(FastHash128(symbol, seed));
  for (size_t i = 0; i < messages_.size(); ++i) {
    const absl::Status status = ReadSeries(messages_[i], seed, columns);
    if (!status.ok()) return Annotate(status, StrCat("timeseries[", i, "]"));
  }
  return absl::OkStatus();
}

absl::Status WriteV2Decoder::ReadParts(std::string_view message) {
  parts_.Clear();
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() == 1) {
      if (!GatherRefs(reader, &parts_.refs, &gathered_)) return Malformed("labels_refs");
    } else if (reader.Is(2, WireType::kBytes)) {
      parts_.samples.push_back(reader.bytes());
    } else if (reader.Is(3, WireType::kBytes)) {
      parts_.histograms.push_back(reader.bytes());
    } else if (reader.Is(4, WireType::kBytes)) {
      parts_.exemplars.push_back(reader.bytes());
    } else if (reader.Is(5, WireType::kBytes)) {
      parts_.metadata = reader.bytes();
    }
  }
  return reader.failed() ? InvalidArgument("the message is malformed") : absl::OkStatus();
}

absl::Status WriteV2Decoder::ReadSeries(std::string_view message, uint64_t seed,
                                        WriteColumns* columns) {
  NARTHEX_RETURN_IF_ERROR(ReadParts(message));
  columns->StartSeries(KeyOf(parts_.refs, seed), parts_.refs);
  const size_t series = columns->series.size() - 1;
  if (parts_.samples.empty() && parts_.histograms.empty()) {
    columns->problems.push_back(
        {series, "TimeSeries must contain at least one sample or histogram"});
    return absl::OkStatus();
  }
  if (!parts_.samples.empty() && !parts_.histograms.empty()) {
    columns->problems.push_back(
        {series, "TimeSeries must contain either samples or histograms, not both,"});
    return absl::OkStatus();
  }
  for (size_t i = 0; i < parts_.samples.size(); ++i) {
    const absl::Status status = ReadSample(parts_.samples[i], columns);
    if (!status.ok()) return Annotate(status, StrCat("samples[", i, "]"));
  }
  for (size_t i = 0; i < parts_.histograms.size(); ++i) {
    const absl::Status status = AddHistogram(parts_.histograms[i], columns);
    if (!status.ok()) return Annotate(status, StrCat("histograms[", i, "]"));
  }
  for (size_t i = 0; i < parts_.exemplars.size(); ++i) {
    const absl::Status status = ReadExemplar(parts_.exemplars[i], columns);
    if (!status.ok()) return Annotate(status, StrCat("exemplars[", i, "]"));
  }
  return Annotate(ReadMetadata(parts_.metadata, columns), "metadata");
}

absl::Status WriteV2Decoder::ReadSample(std::string_view message, WriteColumns* columns) {
  Timestamp timestamp = 0;
  Timestamp start = 0;
  double value = 0;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kFixed64)) {
      value = reader.real();
    } else if (reader.Is(2, WireType::kVarint)) {
      timestamp = reader.int64();
    } else if (reader.Is(3, WireType::kVarint)) {
      start = reader.int64();
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  columns->AddSample(timestamp, value);
  columns->SetStartTimestamp(columns->entries() - 1, start);
  return absl::OkStatus();
}

absl::Status WriteV2Decoder::AddHistogram(std::string_view message, WriteColumns* columns) {
  Timestamp timestamp;
  Timestamp start;
  storage::AppendBatch::HistogramEntry entry;
  NARTHEX_RETURN_IF_ERROR(ReadHistogram(message, &timestamp, &start, &entry));
  entry.index = columns->AddPlace(timestamp);
  columns->SetStartTimestamp(entry.index, start);
  columns->batch.histograms.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status WriteV2Decoder::ReadExemplar(std::string_view message, WriteColumns* columns) {
  storage::AppendBatch::ExemplarEntry exemplar;
  std::string_view refs;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() == 1) {
      if (!GatherRefs(reader, &refs, &gathered_)) return Malformed("labels_refs");
    } else if (reader.Is(2, WireType::kFixed64)) {
      exemplar.value = reader.real();
    } else if (reader.Is(3, WireType::kVarint)) {
      exemplar.timestamp = reader.int64();
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  const LabelsVerdict verdict = MakeLabels(refs, &exemplar.labels);
  // An exemplar needs no name.
  if (verdict != LabelsVerdict::kGood && verdict != LabelsVerdict::kNoName) {
    columns->problems.push_back({columns->series.size() - 1, "invalid labels of an exemplar"});
    return absl::OkStatus();
  }
  exemplar.index = columns->AnyPlace();
  columns->batch.exemplars.push_back(std::move(exemplar));
  return absl::OkStatus();
}

absl::Status WriteV2Decoder::ReadMetadata(std::string_view message, WriteColumns* columns) {
  if (message.empty()) return absl::OkStatus();
  storage::AppendBatch::MetadataEntry metadata;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) {
      const bool known = reader.number() <= static_cast<uint64_t>(MetricType::kStateSet);
      metadata.type = known ? static_cast<MetricType>(reader.number()) : MetricType::kUnknown;
    } else if (reader.Is(3, WireType::kVarint)) {
      metadata.help = Symbol(reader.number());
    } else if (reader.Is(4, WireType::kVarint)) {
      metadata.unit = Symbol(reader.number());
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  const bool says_something =
      metadata.type != MetricType::kUnknown || !metadata.help.empty() || !metadata.unit.empty();
  if (!says_something) return absl::OkStatus();
  metadata.index = columns->AnyPlace();
  columns->batch.metadata.push_back(metadata);
  return absl::OkStatus();
}

// Requests number their symbols as they like; what the symbols are names the series.
Hash128 WriteV2Decoder::KeyOf(std::string_view refs, uint64_t seed) {
  scratch_.clear();
  ByteReader reader(refs);
  while (!reader.done()) {
    uint64_t ref;
    // Such a series is refused by its labels: its key only must not be that of a good one.
    if (!reader.ReadUvarint(&ref) || ref >= hashes_.size()) return FastHash128(refs, ~seed);
    const Hash128& hash = hashes_[static_cast<size_t>(ref)];
    scratch_.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  }
  return FastHash128(scratch_, seed);
}

LabelsVerdict WriteV2Decoder::MakeLabels(std::string_view source, std::vector<LabelView>* labels) {
  labels->clear();
  ByteReader reader(source);
  while (!reader.done()) {
    uint64_t name;
    uint64_t value;
    if (!reader.ReadUvarint(&name) || !reader.ReadUvarint(&value) || name >= symbols_.size() ||
        value >= symbols_.size()) {
      return LabelsVerdict::kMalformed;
    }
    labels->push_back({symbols_[static_cast<size_t>(name)], symbols_[static_cast<size_t>(value)]});
  }
  return FinishLabels(labels);
}

}  // namespace narthex::storage_remote
