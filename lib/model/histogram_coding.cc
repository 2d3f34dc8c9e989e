// The bodies of histogram records in the log; histogram_coding.h has the layout.
#include "lib/model/histogram_coding.h"

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace narthex {
namespace {

void AppendDouble(std::string* out, double value) {
  AppendBig(out, std::bit_cast<uint64_t>(value));
}

bool ReadDouble(ByteReader* reader, double* value) {
  uint64_t bits;
  if (!reader->ReadBig(&bits)) return false;
  *value = std::bit_cast<double>(bits);
  return true;
}

// A count of elements that take at least so many bytes each.
bool ReadCount(ByteReader* reader, size_t element_bytes_min, size_t* count) {
  uint64_t value;
  if (!reader->ReadUvarint(&value) || value > reader->remaining() / element_bytes_min) return false;
  *count = static_cast<size_t>(value);
  return true;
}

template <typename H>
void AppendHead(const H& histogram, std::string* out) {
  out->push_back(static_cast<char>(histogram.reset_hint));
  AppendVarint(out, histogram.schema);
  AppendDouble(out, histogram.zero_threshold);
}

template <typename H>
bool ReadHead(ByteReader* reader, H* histogram) {
  uint8_t hint;
  int64_t schema;
  if (!reader->ReadByte(&hint) || hint > static_cast<uint8_t>(CounterResetHint::kGauge)) {
    return false;
  }
  if (!reader->ReadVarint(&schema) || schema < std::numeric_limits<int32_t>::min() ||
      schema > std::numeric_limits<int32_t>::max()) {
    return false;
  }
  histogram->reset_hint = static_cast<CounterResetHint>(hint);
  histogram->schema = static_cast<int32_t>(schema);
  return ReadDouble(reader, &histogram->zero_threshold);
}

void AppendSpans(const std::vector<HistogramSpan>& spans, std::string* out) {
  AppendUvarint(out, spans.size());
  for (const HistogramSpan& span : spans) {
    AppendVarint(out, span.offset);
    AppendUvarint(out, span.length);
  }
}

bool ReadSpans(ByteReader* reader, std::vector<HistogramSpan>* spans) {
  size_t count;
  if (!ReadCount(reader, /*element_bytes_min=*/2, &count)) return false;
  spans->resize(count);
  for (HistogramSpan& span : *spans) {
    int64_t offset;
    uint64_t length;
    if (!reader->ReadVarint(&offset) || !reader->ReadUvarint(&length) ||
        offset < std::numeric_limits<int32_t>::min() ||
        offset > std::numeric_limits<int32_t>::max() || length > UINT32_MAX) {
      return false;
    }
    span = {static_cast<int32_t>(offset), static_cast<uint32_t>(length)};
  }
  return true;
}

void AppendDeltas(const std::vector<int64_t>& deltas, std::string* out) {
  AppendUvarint(out, deltas.size());
  for (const int64_t delta : deltas) AppendVarint(out, delta);
}

bool ReadDeltas(ByteReader* reader, std::vector<int64_t>* deltas) {
  size_t count;
  if (!ReadCount(reader, /*element_bytes_min=*/1, &count)) return false;
  deltas->resize(count);
  for (int64_t& delta : *deltas) {
    if (!reader->ReadVarint(&delta)) return false;
  }
  return true;
}

void AppendDoubles(const std::vector<double>& values, std::string* out) {
  AppendUvarint(out, values.size());
  for (const double value : values) AppendDouble(out, value);
}

bool ReadDoubles(ByteReader* reader, std::vector<double>* values) {
  size_t count;
  if (!ReadCount(reader, sizeof(double), &count)) return false;
  values->resize(count);
  for (double& value : *values) {
    if (!ReadDouble(reader, &value)) return false;
  }
  return true;
}

template <typename H>
void AppendBounds(const H& histogram, std::string* out) {
  if (histogram.uses_custom_buckets()) AppendDoubles(histogram.custom_values, out);
}

template <typename H>
bool ReadBounds(ByteReader* reader, H* histogram) {
  if (histogram->uses_custom_buckets()) return ReadDoubles(reader, &histogram->custom_values);
  histogram->custom_values.clear();
  return true;
}

}  // namespace

void EncodeHistogram(const Histogram& histogram, std::string* out) {
  AppendHead(histogram, out);
  AppendUvarint(out, histogram.zero_count);
  AppendUvarint(out, histogram.count);
  AppendDouble(out, histogram.sum);
  AppendSpans(histogram.positive_spans, out);
  AppendSpans(histogram.negative_spans, out);
  AppendDeltas(histogram.positive_deltas, out);
  AppendDeltas(histogram.negative_deltas, out);
  AppendBounds(histogram, out);
}

void EncodeFloatHistogram(const FloatHistogram& histogram, std::string* out) {
  AppendHead(histogram, out);
  AppendDouble(out, histogram.zero_count);
  AppendDouble(out, histogram.count);
  AppendDouble(out, histogram.sum);
  AppendSpans(histogram.positive_spans, out);
  AppendSpans(histogram.negative_spans, out);
  AppendDoubles(histogram.positive_buckets, out);
  AppendDoubles(histogram.negative_buckets, out);
  AppendBounds(histogram, out);
}

bool DecodeHistogram(ByteReader* reader, Histogram* histogram) {
  return ReadHead(reader, histogram) && reader->ReadUvarint(&histogram->zero_count) &&
         reader->ReadUvarint(&histogram->count) && ReadDouble(reader, &histogram->sum) &&
         ReadSpans(reader, &histogram->positive_spans) &&
         ReadSpans(reader, &histogram->negative_spans) &&
         ReadDeltas(reader, &histogram->positive_deltas) &&
         ReadDeltas(reader, &histogram->negative_deltas) && ReadBounds(reader, histogram);
}

bool DecodeFloatHistogram(ByteReader* reader, FloatHistogram* histogram) {
  return ReadHead(reader, histogram) && ReadDouble(reader, &histogram->zero_count) &&
         ReadDouble(reader, &histogram->count) && ReadDouble(reader, &histogram->sum) &&
         ReadSpans(reader, &histogram->positive_spans) &&
         ReadSpans(reader, &histogram->negative_spans) &&
         ReadDoubles(reader, &histogram->positive_buckets) &&
         ReadDoubles(reader, &histogram->negative_buckets) && ReadBounds(reader, histogram);
}

}  // namespace narthex
