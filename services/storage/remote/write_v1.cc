// prometheus.WriteRequest: 1 timeseries, 3 metadata.
//   TimeSeries 1 labels{1 name, 2 value}, 2 samples{1 double value, 2 int64 timestamp},
//              3 exemplars{1 labels, 2 double value, 3 timestamp}, 4 histograms
//   MetricMetadata 1 type, 2 metric_family_name, 4 help, 5 unit
#include "services/storage/remote/write_v1.h"

#include <bit>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_reader.h"
#include "services/storage/remote/histogram_reader.h"

namespace narthex::storage_remote {
namespace {

using remote::ProtoReader;
using remote::WireType;

// Puts the place in front: the field of an error.
absl::Status At(std::string_view field, size_t index, const absl::Status& status) {
  // "timeseries[3]" goes on with ".samples[0]", or with ": what".
  const bool nested = Message(status).find('[') < Message(status).find(':');
  return InvalidArgument(field, '[', index, ']', nested ? "." : ": ", Message(status));
}

bool ReadLabel(std::string_view message, LabelView* label) {
  *label = {};
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) {
      label->name = reader.bytes();
    } else if (reader.Is(2, WireType::kBytes)) {
      label->value = reader.bytes();
    }
  }
  return !reader.failed();
}

bool ReadSample(std::string_view message, Timestamp* timestamp, double* value) {
  // As all senders write it: both fields, in order.
  constexpr size_t kValueEnd = 9;
  if (message.size() > kValueEnd + 1 && message[0] == '\x09' && message[kValueEnd] == '\x10') {
    ByteReader rest(message.substr(kValueEnd + 1));
    uint64_t number;
    if (rest.ReadUvarint(&number) && rest.done()) {
      *value = std::bit_cast<double>(LoadLittle<uint64_t>(message.data() + 1));
      *timestamp = static_cast<Timestamp>(number);
      return true;
    }
  }
  *timestamp = 0;
  *value = 0;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kFixed64)) {
      *value = reader.real();
    } else if (reader.Is(2, WireType::kVarint)) {
      *timestamp = reader.int64();
    }
  }
  return !reader.failed();
}

}  // namespace

absl::Status WriteV1Decoder::Decode(std::string_view message, uint64_t seed,
                                    WriteColumns* columns) {
  columns->Clear();
  metadata_.clear();
  gathered_.clear();
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) {
      const absl::Status status = ReadSeries(reader.bytes(), seed, columns);
      if (!status.ok()) return At("timeseries", columns->series.size(), status);
    } else if (reader.Is(3, WireType::kBytes)) {
      const absl::Status status = ReadMetadata(reader.bytes());
      if (!status.ok()) return At("metadata", metadata_.size(), status);
    }
  }
  if (reader.failed()) {
    return InvalidArgument("timeseries[", columns->series.size(), "]: the message is malformed");
  }
  return absl::OkStatus();
}

absl::Status WriteV1Decoder::ReadSeries(std::string_view message, uint64_t seed,
                                        WriteColumns* columns) {
  exemplars_.clear();
  columns->series.push_back({{}, columns->entries(), {}});
  const size_t number = columns->series.size() - 1;
  // Errors count the series that are complete.
  const auto fail = [&](const absl::Status& status) {
    columns->series.pop_back();
    return status;
  };
  const char* labels_begin = nullptr;
  const char* labels_end = nullptr;
  bool scattered = false;
  size_t samples = 0;
  size_t histograms = 0;
  ProtoReader reader(message);
  const char* field_begin = message.data();
  for (; reader.Next(); field_begin = reader.rest().data()) {
    if (reader.Is(1, WireType::kBytes)) {
      if (labels_begin == nullptr) {
        labels_begin = field_begin;
      } else {
        scattered = scattered || field_begin != labels_end;
      }
      labels_end = reader.rest().data();
    } else if (reader.Is(2, WireType::kBytes)) {
      Timestamp timestamp;
      double value;
      if (!ReadSample(reader.bytes(), &timestamp, &value)) {
        return fail(At("samples", samples, InvalidArgument("the message is malformed")));
      }
      columns->AddSample(timestamp, value);
      ++samples;
    } else if (reader.Is(3, WireType::kBytes)) {
      exemplars_.push_back(reader.bytes());
    } else if (reader.Is(4, WireType::kBytes)) {
      Timestamp timestamp;
      Timestamp start;
      storage::AppendBatch::HistogramEntry entry;
      const absl::Status status = ReadHistogram(reader.bytes(), &timestamp, &start, &entry);
      if (!status.ok()) return fail(At("histograms", histograms, status));
      entry.index = columns->AddPlace(timestamp);
      columns->batch.histograms.push_back(std::move(entry));
      ++histograms;
    }
  }
  if (reader.failed()) return fail(InvalidArgument("the message is malformed"));
  for (size_t i = 0; i < exemplars_.size(); ++i) {
    const absl::Status status = ReadExemplar(exemplars_[i], columns);
    if (!status.ok()) return fail(At("exemplars", i, status));
  }
  WriteColumns::Series& series = columns->series[number];
  if (labels_begin != nullptr) {
    series.source = {labels_begin, static_cast<size_t>(labels_end - labels_begin)};
    if (scattered) series.source = GatherLabels(message);
  }
  series.key = FastHash128(series.source, seed);
  return absl::OkStatus();
}

std::string_view WriteV1Decoder::GatherLabels(std::string_view message) {
  std::string& labels = gathered_.emplace_back();
  ProtoReader reader(message);
  while (reader.Next()) {
    if (!reader.Is(1, WireType::kBytes)) continue;
    labels.push_back('\x0a');
    AppendLengthPrefixed(&labels, reader.bytes());
  }
  return labels;
}

absl::Status WriteV1Decoder::ReadExemplar(std::string_view message, WriteColumns* columns) {
  storage::AppendBatch::ExemplarEntry exemplar;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) {
      if (!ReadLabel(reader.bytes(), &exemplar.labels.emplace_back())) {
        return InvalidArgument("a label is malformed");
      }
    } else if (reader.Is(2, WireType::kFixed64)) {
      exemplar.value = reader.real();
    } else if (reader.Is(3, WireType::kVarint)) {
      exemplar.timestamp = reader.int64();
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  const LabelsVerdict verdict = FinishLabels(&exemplar.labels);
  // Upstream drops what its exemplar storage does not take, and says so in its log only.
  if (verdict == LabelsVerdict::kInvalid || verdict == LabelsVerdict::kDuplicate) {
    return absl::OkStatus();
  }
  exemplar.index = columns->AnyPlace();
  columns->batch.exemplars.push_back(std::move(exemplar));
  return absl::OkStatus();
}

absl::Status WriteV1Decoder::ReadMetadata(std::string_view message) {
  FamilyMetadata metadata;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) {
      const bool known = reader.number() <= static_cast<uint64_t>(MetricType::kStateSet);
      metadata.type = known ? static_cast<MetricType>(reader.number()) : MetricType::kUnknown;
    } else if (reader.Is(2, WireType::kBytes)) {
      metadata.family = reader.bytes();
    } else if (reader.Is(4, WireType::kBytes)) {
      metadata.help = reader.bytes();
    } else if (reader.Is(5, WireType::kBytes)) {
      metadata.unit = reader.bytes();
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  metadata_.push_back(metadata);
  return absl::OkStatus();
}

LabelsVerdict WriteV1Decoder::MakeLabels(std::string_view source, std::vector<LabelView>* labels) {
  labels->clear();
  ProtoReader reader(source);
  while (reader.Next()) {
    if (!ReadLabel(reader.bytes(), &labels->emplace_back())) {
      labels->pop_back();
      return LabelsVerdict::kMalformed;
    }
  }
  return FinishLabels(labels);
}

}  // namespace narthex::storage_remote
