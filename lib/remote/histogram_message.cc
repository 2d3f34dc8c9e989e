// prometheus.Histogram: 1 count_int | 2 count_float, 3 sum, 4 schema sint32, 5 zero_threshold,
//   6 zero_count_int | 7 zero_count_float, 8 negative_spans{1 offset sint32, 2 length},
//   9 negative_deltas sint64, 10 negative_counts double, 11 positive_spans, 12 positive_deltas,
//   13 positive_counts, 14 reset_hint, 15 timestamp, 16 custom_values double
#include "lib/remote/histogram_message.h"

#include <bit>
#include <span>
#include <string>

namespace narthex::remote {
namespace {

void WriteSpans(uint32_t field, std::span<const HistogramSpan> spans, ProtoWriter* writer) {
  for (const HistogramSpan& span : spans) {
    const ProtoWriter::Mark mark = writer->Begin(field);
    writer->Sint64(1, span.offset);
    writer->Uint64(2, span.length);
    writer->End(mark);
  }
}

void WriteDeltas(uint32_t field, std::span<const int64_t> deltas, ProtoWriter* writer) {
  std::string packed;
  for (const int64_t delta : deltas) AppendVarint(&packed, delta);
  writer->Bytes(field, packed);
}

void WriteReals(uint32_t field, std::span<const double> values, ProtoWriter* writer) {
  std::string packed;
  for (const double value : values) AppendLittle(&packed, std::bit_cast<uint64_t>(value));
  writer->Bytes(field, packed);
}

// What follows the counts and buckets.
template <typename AnyHistogram>
void WriteEnd(const AnyHistogram& histogram, Timestamp timestamp, ProtoWriter* writer) {
  writer->Uint64(14, static_cast<uint64_t>(histogram.reset_hint));
  writer->Int64(15, timestamp);
  WriteReals(16, histogram.custom_values, writer);
}

}  // namespace

void WriteHistogram(const Histogram& histogram, Timestamp timestamp, ProtoWriter* writer) {
  writer->AlwaysUint64(1, histogram.count);
  writer->Double(3, histogram.sum);
  writer->Sint64(4, histogram.schema);
  writer->Double(5, histogram.zero_threshold);
  writer->AlwaysUint64(6, histogram.zero_count);
  WriteSpans(8, histogram.negative_spans, writer);
  WriteDeltas(9, histogram.negative_deltas, writer);
  WriteSpans(11, histogram.positive_spans, writer);
  WriteDeltas(12, histogram.positive_deltas, writer);
  WriteEnd(histogram, timestamp, writer);
}

void WriteHistogram(const FloatHistogram& histogram, Timestamp timestamp, ProtoWriter* writer) {
  writer->AlwaysDouble(2, histogram.count);
  writer->Double(3, histogram.sum);
  writer->Sint64(4, histogram.schema);
  writer->Double(5, histogram.zero_threshold);
  writer->AlwaysDouble(7, histogram.zero_count);
  WriteSpans(8, histogram.negative_spans, writer);
  WriteReals(10, histogram.negative_buckets, writer);
  WriteSpans(11, histogram.positive_spans, writer);
  WriteReals(13, histogram.positive_buckets, writer);
  WriteEnd(histogram, timestamp, writer);
}

}  // namespace narthex::remote
