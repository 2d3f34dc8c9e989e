#ifndef NARTHEX_LIB_CHUNKENC_HISTOGRAM_FIELDS_H_
#define NARTHEX_LIB_CHUNKENC_HISTOGRAM_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/chunkenc/bit_stream.h"
#include "lib/chunkenc/histogram_layout.h"
#include "lib/chunkenc/varbit.h"
#include "lib/model/histogram.h"

// What differs from sample to sample of a histogram chunk, timestamps aside: the numbers of the
// last sample, to which those of the next one are written as differences. Integer counts are
// differences of differences; floats are XORed.
namespace narthex::chunkenc {

struct HistogramFields {
  uint64_t count = 0;
  uint64_t zero_count = 0;
  int64_t count_delta = 0;
  int64_t zero_count_delta = 0;
  XorField sum;
  std::vector<int64_t> positive;  // Differences from bucket to bucket.
  std::vector<int64_t> negative;
  std::vector<int64_t> positive_delta;
  std::vector<int64_t> negative_delta;
};

struct FloatHistogramFields {
  XorField count;
  XorField zero_count;
  XorField sum;
  std::vector<XorField> positive;
  std::vector<XorField> negative;
};

template <typename H>
struct FieldsOf;
template <>
struct FieldsOf<Histogram> {
  using Type = HistogramFields;
};
template <>
struct FieldsOf<FloatHistogram> {
  using Type = FloatHistogramFields;
};

// The most bits of one number of a sample.
inline constexpr size_t kFieldBitsMax = 77;
static_assert(kFieldBitsMax >= kVarbitBitsMax && kFieldBitsMax >= kXorFieldBitsMax);

// The first sample of a chunk, which says how many buckets there are.
void WriteFirst(BitWriter* writer, const Histogram& histogram, HistogramFields* fields);
void WriteFirst(BitWriter* writer, const FloatHistogram& histogram, FloatHistogramFields* fields);
// A later one. Of a staleness marker the buckets are not written. REQUIRES: as many buckets as the
// first, or a staleness marker without any other number.
void WriteNext(BitWriter* writer, const Histogram& histogram, HistogramFields* fields);
void WriteNext(BitWriter* writer, const FloatHistogram& histogram, FloatHistogramFields* fields);

// The same backwards; false where the bits end, or a window is too wide.
bool ReadFirst(BitReader* reader, const HistogramLayout& layout, HistogramFields* fields);
bool ReadFirst(BitReader* reader, const HistogramLayout& layout, FloatHistogramFields* fields);
bool ReadNext(BitReader* reader, HistogramFields* fields);
bool ReadNext(BitReader* reader, FloatHistogramFields* fields);

// Who goes on with a chunk that was read begins with its reader's windows.
void OpenWindows(HistogramFields* fields);
void OpenWindows(FloatHistogramFields* fields);

// The sample as it was appended, its hint unknown; a staleness marker has nothing else.
Histogram ToHistogram(const HistogramLayout& layout, const HistogramFields& fields);
FloatHistogram ToHistogram(const HistogramLayout& layout, const FloatHistogramFields& fields);

size_t MemoryBytes(const HistogramFields& fields);
size_t MemoryBytes(const FloatHistogramFields& fields);

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_HISTOGRAM_FIELDS_H_
