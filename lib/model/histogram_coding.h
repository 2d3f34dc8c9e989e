#ifndef NARTHEX_LIB_MODEL_HISTOGRAM_CODING_H_
#define NARTHEX_LIB_MODEL_HISTOGRAM_CODING_H_

#include <string>

#include "lib/base/coding.h"
#include "lib/model/histogram.h"

// Native histograms as bytes: the bodies that Prometheus writes into its log, which travel in our
// own batches too. Fixed numbers are big-endian, `uv` is LEB128, `sv` zigzag LEB128:
//
//   u8 reset hint, sv schema, f64 zero threshold, uv zero count, uv count, f64 sum,
//   uv spans, spans x (sv offset, uv length)   positive, then negative
//   uv buckets, buckets x sv difference        positive, then negative
//   of schema -53 only: uv bounds, bounds x f64
//
// A float histogram has f64 for both counts and for each bucket, which is then absolute. All
// functions are pure and thread-safe.
namespace narthex {

// Append to `out`.
void EncodeHistogram(const Histogram& histogram, std::string* out);
void EncodeFloatHistogram(const FloatHistogram& histogram, std::string* out);

// False where the bytes end too early, a number does not fit its field, or a count is larger than
// the bytes that are left; nothing is said then of what was read. Any schema and any number of
// buckets is taken (the schema is what the caller may have to skip the entry for). The memory of
// `histogram` is reused.
bool DecodeHistogram(ByteReader* reader, Histogram* histogram);
bool DecodeFloatHistogram(ByteReader* reader, FloatHistogram* histogram);

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_HISTOGRAM_CODING_H_
