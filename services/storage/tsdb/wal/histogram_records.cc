// Records 7 to 10, 12 and 13 as in format.md.
#include <utility>

#include "lib/base/strings.h"
#include "lib/model/histogram_coding.h"
#include "services/storage/tsdb/wal/record_columns.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::wal {
namespace {

using record_columns::Add;
using record_columns::Body;
using record_columns::Malformed;
using record_columns::Start;
using record_columns::Subtract;

// What differs between the two kinds of histograms.
struct Types {
  RecordType exponential;
  RecordType custom;
  RecordType v2;
};
constexpr Types TypesOf(const Histogram*) {
  return {RecordType::kHistogramSamples, RecordType::kCustomHistogramSamples,
          RecordType::kHistogramSamplesV2};
}
constexpr Types TypesOf(const FloatHistogram*) {
  return {RecordType::kFloatHistogramSamples, RecordType::kCustomFloatHistogramSamples,
          RecordType::kFloatHistogramSamplesV2};
}
void Encode(const Histogram& histogram, std::string* out) { EncodeHistogram(histogram, out); }
void Encode(const FloatHistogram& histogram, std::string* out) {
  EncodeFloatHistogram(histogram, out);
}
bool Decode(ByteReader* reader, Histogram* histogram) { return DecodeHistogram(reader, histogram); }
bool Decode(ByteReader* reader, FloatHistogram* histogram) {
  return DecodeFloatHistogram(reader, histogram);
}

// Whether spans and buckets agree, which a checksum does not say.
bool IsWhole(const Histogram& histogram) {
  return BucketCount(histogram.positive_spans) == histogram.positive_deltas.size() &&
         BucketCount(histogram.negative_spans) == histogram.negative_deltas.size();
}
bool IsWhole(const FloatHistogram& histogram) {
  return BucketCount(histogram.positive_spans) == histogram.positive_buckets.size() &&
         BucketCount(histogram.negative_spans) == histogram.negative_buckets.size();
}

template <typename Entry>
absl::Status DecodeAny(std::string_view record, std::vector<Entry>* histograms, uint64_t* skipped) {
  histograms->clear();
  ByteReader reader = Body(record);
  const decltype(Entry::histogram)* const kind = nullptr;
  const bool v2 = TypeOfRecord(record) == TypesOf(kind).v2;
  uint64_t first_ref = 0;
  uint64_t first_time = 0;
  if (!v2 && !reader.done() && (!reader.ReadBig(&first_ref) || !reader.ReadBig(&first_time))) {
    return Malformed("histograms", reader);
  }
  V2Columns columns;
  while (!reader.done()) {
    Entry& entry = histograms->emplace_back();
    if (v2) {
      if (!columns.Read(&reader)) return Malformed("histograms", reader);
      entry.ref = columns.ref();
      entry.timestamp = columns.timestamp();
      entry.start_timestamp = columns.start_timestamp();
    } else {
      int64_t ref_delta;
      int64_t time_delta;
      if (!reader.ReadVarint(&ref_delta) || !reader.ReadVarint(&time_delta)) {
        return Malformed("histograms", reader);
      }
      entry.ref = first_ref + static_cast<uint64_t>(ref_delta);
      entry.timestamp = Add(static_cast<Timestamp>(first_time), time_delta);
    }
    if (!Decode(&reader, &entry.histogram)) return Malformed("histograms", reader);
    if (!IsKnownSchema(entry.histogram.schema)) {
      ++*skipped;
      histograms->pop_back();
      continue;
    }
    if (!IsWhole(entry.histogram)) {
      return DataLoss("histograms record: spans of series ", entry.ref,
                      " do not agree with its buckets");
    }
    if (entry.histogram.schema > kExponentialSchemaMax) {
      ReduceResolution(kExponentialSchemaMax, &entry.histogram);
    }
  }
  return absl::OkStatus();
}

}  // namespace

template <typename H>
void BasicHistogramsEncoder<H>::AddTo(const Base& first, const Base& sample, std::string* out) {
  AppendVarint(out, static_cast<int64_t>(sample.ref - first.ref));
  AppendVarint(out, Subtract(sample.timestamp, first.timestamp));
}

template <typename H>
void BasicHistogramsEncoder<H>::Add(uint64_t ref, Timestamp timestamp, Timestamp start_timestamp,
                                    const H& histogram) {
  constexpr Types kTypes = TypesOf(static_cast<const H*>(nullptr));
  const Base sample = {ref, timestamp};
  if (!std::exchange(any_, true)) first_ = sample;
  if (start_timestamps_) {
    if (bytes_.empty()) Start(&bytes_, kTypes.v2);
    columns_.Write(ref, timestamp, start_timestamp, &bytes_);
    Encode(histogram, &bytes_);
    return;
  }
  // Upstream's base is the first of all in the one record, and the first of its own in the other.
  const auto begin = [](const Base& first, RecordType type, std::string* out) {
    Start(out, type);
    AppendBig(out, first.ref);
    AppendBig(out, static_cast<uint64_t>(first.timestamp));
  };
  if (histogram.uses_custom_buckets()) {
    if (custom_bytes_.empty()) {
      first_custom_ = sample;
      begin(first_custom_, kTypes.custom, &custom_bytes_);
    }
    AddTo(first_custom_, sample, &custom_bytes_);
    Encode(histogram, &custom_bytes_);
  } else {
    if (bytes_.empty()) begin(first_, kTypes.exponential, &bytes_);
    AddTo(first_, sample, &bytes_);
    Encode(histogram, &bytes_);
  }
}

template class BasicHistogramsEncoder<Histogram>;
template class BasicHistogramsEncoder<FloatHistogram>;

absl::Status DecodeHistograms(std::string_view record, std::vector<RefHistogram>* histograms,
                              uint64_t* skipped) {
  return DecodeAny(record, histograms, skipped);
}

absl::Status DecodeFloatHistograms(std::string_view record,
                                   std::vector<RefFloatHistogram>* histograms, uint64_t* skipped) {
  return DecodeAny(record, histograms, skipped);
}

}  // namespace narthex::wal
