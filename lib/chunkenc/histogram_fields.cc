#include "lib/chunkenc/histogram_fields.h"

#include "lib/base/check.h"
#include "lib/model/stale.h"

namespace narthex::chunkenc {
namespace {

int64_t Minus(int64_t a, int64_t b) {  // Wraps.
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t Plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// The count `value`, as the difference of its difference to the one before.
void WriteCount(BitWriter* writer, uint64_t value, uint64_t* count, int64_t* delta) {
  const int64_t next_delta = static_cast<int64_t>(value - *count);
  WriteVarbitInt(writer, Minus(next_delta, *delta));
  *count = value;
  *delta = next_delta;
}

bool ReadCount(BitReader* reader, uint64_t* count, int64_t* delta) {
  int64_t change;
  if (!ReadVarbitInt(reader, &change)) return false;
  *delta = Plus(*delta, change);
  *count += static_cast<uint64_t>(*delta);
  return true;
}

void WriteBuckets(BitWriter* writer, const std::vector<int64_t>& deltas, std::vector<int64_t>* last,
                  std::vector<int64_t>* last_delta) {
  for (size_t i = 0; i < deltas.size(); ++i) {
    const int64_t delta = Minus(deltas[i], (*last)[i]);
    WriteVarbitInt(writer, Minus(delta, (*last_delta)[i]));
    (*last)[i] = deltas[i];
    (*last_delta)[i] = delta;
  }
}

bool ReadBuckets(BitReader* reader, std::vector<int64_t>* last, std::vector<int64_t>* last_delta) {
  for (size_t i = 0; i < last->size(); ++i) {
    int64_t change;
    if (!ReadVarbitInt(reader, &change)) return false;
    (*last_delta)[i] = Plus((*last_delta)[i], change);
    (*last)[i] = Plus((*last)[i], (*last_delta)[i]);
  }
  return true;
}

bool ReadFirstBuckets(BitReader* reader, size_t count, std::vector<int64_t>* buckets,
                      std::vector<int64_t>* deltas) {
  buckets->resize(count);
  deltas->assign(count, 0);
  for (int64_t& bucket : *buckets) {
    if (!ReadVarbitInt(reader, &bucket)) return false;
  }
  return true;
}

void WriteRaw(BitWriter* writer, double value, XorField* field) {
  field->Set(value);
  writer->Write(field->bits, 64);
}

bool ReadRaw(BitReader* reader, XorField* field) {
  *field = XorField();
  return reader->Read(64, &field->bits);
}

bool ReadFirstBuckets(BitReader* reader, size_t count, std::vector<XorField>* buckets) {
  if (count > reader->remaining() / 64) return false;
  buckets->resize(count);
  for (XorField& bucket : *buckets) {
    if (!ReadRaw(reader, &bucket)) return false;
  }
  return true;
}

void OpenWindow(XorField* field) {
  if (field->leading == XorField::kNoWindow) field->leading = 0;
}

template <typename H>
H Staleness(double sum) {
  H histogram;
  histogram.sum = sum;
  return histogram;
}

template <typename H>
H FromLayout(const HistogramLayout& layout) {
  H histogram;
  histogram.schema = layout.schema;
  histogram.zero_threshold = layout.zero_threshold;
  histogram.positive_spans = layout.positive_spans;
  histogram.negative_spans = layout.negative_spans;
  histogram.custom_values = layout.custom_values;
  return histogram;
}

}  // namespace

void WriteFirst(BitWriter* writer, const Histogram& histogram, HistogramFields* fields) {
  WriteVarbitUint(writer, histogram.count);
  WriteVarbitUint(writer, histogram.zero_count);
  WriteRaw(writer, histogram.sum, &fields->sum);
  for (const int64_t delta : histogram.positive_deltas) WriteVarbitInt(writer, delta);
  for (const int64_t delta : histogram.negative_deltas) WriteVarbitInt(writer, delta);
  fields->count = histogram.count;
  fields->zero_count = histogram.zero_count;
  fields->count_delta = 0;
  fields->zero_count_delta = 0;
  fields->positive = histogram.positive_deltas;
  fields->negative = histogram.negative_deltas;
  fields->positive_delta.assign(fields->positive.size(), 0);
  fields->negative_delta.assign(fields->negative.size(), 0);
}

void WriteFirst(BitWriter* writer, const FloatHistogram& histogram, FloatHistogramFields* fields) {
  WriteRaw(writer, histogram.count, &fields->count);
  WriteRaw(writer, histogram.zero_count, &fields->zero_count);
  WriteRaw(writer, histogram.sum, &fields->sum);
  fields->positive.resize(histogram.positive_buckets.size());
  fields->negative.resize(histogram.negative_buckets.size());
  for (size_t i = 0; i < fields->positive.size(); ++i) {
    WriteRaw(writer, histogram.positive_buckets[i], &fields->positive[i]);
  }
  for (size_t i = 0; i < fields->negative.size(); ++i) {
    WriteRaw(writer, histogram.negative_buckets[i], &fields->negative[i]);
  }
}

void WriteNext(BitWriter* writer, const Histogram& histogram, HistogramFields* fields) {
  if (IsStale(histogram)) {
    // What is behind it in its chunk is stale too, so that counts need no base any more.
    WriteVarbitInt(writer, 0);
    WriteVarbitInt(writer, 0);
    WriteXorField(writer, &fields->sum, histogram.sum);
    return;
  }
  NARTHEX_CHECK(histogram.positive_deltas.size() == fields->positive.size());
  NARTHEX_CHECK(histogram.negative_deltas.size() == fields->negative.size());
  WriteCount(writer, histogram.count, &fields->count, &fields->count_delta);
  WriteCount(writer, histogram.zero_count, &fields->zero_count, &fields->zero_count_delta);
  WriteXorField(writer, &fields->sum, histogram.sum);
  WriteBuckets(writer, histogram.positive_deltas, &fields->positive, &fields->positive_delta);
  WriteBuckets(writer, histogram.negative_deltas, &fields->negative, &fields->negative_delta);
}

void WriteNext(BitWriter* writer, const FloatHistogram& histogram, FloatHistogramFields* fields) {
  WriteXorField(writer, &fields->count, histogram.count);
  WriteXorField(writer, &fields->zero_count, histogram.zero_count);
  WriteXorField(writer, &fields->sum, histogram.sum);
  if (IsStale(histogram)) return;
  NARTHEX_CHECK(histogram.positive_buckets.size() == fields->positive.size());
  NARTHEX_CHECK(histogram.negative_buckets.size() == fields->negative.size());
  for (size_t i = 0; i < fields->positive.size(); ++i) {
    WriteXorField(writer, &fields->positive[i], histogram.positive_buckets[i]);
  }
  for (size_t i = 0; i < fields->negative.size(); ++i) {
    WriteXorField(writer, &fields->negative[i], histogram.negative_buckets[i]);
  }
}

bool ReadFirst(BitReader* reader, const HistogramLayout& layout, HistogramFields* fields) {
  fields->count_delta = 0;
  fields->zero_count_delta = 0;
  return ReadVarbitUint(reader, &fields->count) && ReadVarbitUint(reader, &fields->zero_count) &&
         ReadRaw(reader, &fields->sum) &&
         ReadFirstBuckets(reader, BucketCount(layout.positive_spans), &fields->positive,
                          &fields->positive_delta) &&
         ReadFirstBuckets(reader, BucketCount(layout.negative_spans), &fields->negative,
                          &fields->negative_delta);
}

bool ReadFirst(BitReader* reader, const HistogramLayout& layout, FloatHistogramFields* fields) {
  return ReadRaw(reader, &fields->count) && ReadRaw(reader, &fields->zero_count) &&
         ReadRaw(reader, &fields->sum) &&
         ReadFirstBuckets(reader, BucketCount(layout.positive_spans), &fields->positive) &&
         ReadFirstBuckets(reader, BucketCount(layout.negative_spans), &fields->negative);
}

bool ReadNext(BitReader* reader, HistogramFields* fields) {
  if (!ReadCount(reader, &fields->count, &fields->count_delta) ||
      !ReadCount(reader, &fields->zero_count, &fields->zero_count_delta) ||
      !ReadXorField(reader, &fields->sum)) {
    return false;
  }
  if (IsStale(fields->sum.value())) return true;
  return ReadBuckets(reader, &fields->positive, &fields->positive_delta) &&
         ReadBuckets(reader, &fields->negative, &fields->negative_delta);
}

bool ReadNext(BitReader* reader, FloatHistogramFields* fields) {
  if (!ReadXorField(reader, &fields->count) || !ReadXorField(reader, &fields->zero_count) ||
      !ReadXorField(reader, &fields->sum)) {
    return false;
  }
  if (IsStale(fields->sum.value())) return true;
  for (XorField& bucket : fields->positive) {
    if (!ReadXorField(reader, &bucket)) return false;
  }
  for (XorField& bucket : fields->negative) {
    if (!ReadXorField(reader, &bucket)) return false;
  }
  return true;
}

void OpenWindows(HistogramFields* fields) { OpenWindow(&fields->sum); }

void OpenWindows(FloatHistogramFields* fields) {
  OpenWindow(&fields->count);
  OpenWindow(&fields->zero_count);
  OpenWindow(&fields->sum);
  for (XorField& bucket : fields->positive) OpenWindow(&bucket);
  for (XorField& bucket : fields->negative) OpenWindow(&bucket);
}

Histogram ToHistogram(const HistogramLayout& layout, const HistogramFields& fields) {
  if (IsStale(fields.sum.value())) return Staleness<Histogram>(fields.sum.value());
  Histogram histogram = FromLayout<Histogram>(layout);
  histogram.count = fields.count;
  histogram.zero_count = fields.zero_count;
  histogram.sum = fields.sum.value();
  histogram.positive_deltas = fields.positive;
  histogram.negative_deltas = fields.negative;
  return histogram;
}

FloatHistogram ToHistogram(const HistogramLayout& layout, const FloatHistogramFields& fields) {
  if (IsStale(fields.sum.value())) return Staleness<FloatHistogram>(fields.sum.value());
  FloatHistogram histogram = FromLayout<FloatHistogram>(layout);
  histogram.count = fields.count.value();
  histogram.zero_count = fields.zero_count.value();
  histogram.sum = fields.sum.value();
  histogram.positive_buckets.reserve(fields.positive.size());
  histogram.negative_buckets.reserve(fields.negative.size());
  for (const XorField& bucket : fields.positive) {
    histogram.positive_buckets.push_back(bucket.value());
  }
  for (const XorField& bucket : fields.negative) {
    histogram.negative_buckets.push_back(bucket.value());
  }
  return histogram;
}

size_t MemoryBytes(const HistogramFields& fields) {
  return sizeof(int64_t) * (fields.positive.capacity() + fields.negative.capacity() +
                            fields.positive_delta.capacity() + fields.negative_delta.capacity());
}

size_t MemoryBytes(const FloatHistogramFields& fields) {
  return sizeof(XorField) * (fields.positive.capacity() + fields.negative.capacity());
}

}  // namespace narthex::chunkenc
