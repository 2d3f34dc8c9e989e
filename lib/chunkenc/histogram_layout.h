#ifndef NARTHEX_LIB_CHUNKENC_HISTOGRAM_LAYOUT_H_
#define NARTHEX_LIB_CHUNKENC_HISTOGRAM_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/chunkenc/bit_stream.h"
#include "lib/model/histogram.h"

// What all samples of a histogram chunk have in common, and how the buckets of two layouts lie to
// each other.
namespace narthex::chunkenc {

struct HistogramLayout {
  int32_t schema = 0;
  double zero_threshold = 0;
  std::vector<HistogramSpan> positive_spans;
  std::vector<HistogramSpan> negative_spans;
  std::vector<double> custom_values;
};

// The most bits that Write() takes.
size_t LayoutBitsMax(const HistogramLayout& layout);
void WriteLayout(BitWriter* writer, const HistogramLayout& layout);
// False where the bits end too early, a number does not fit its field, or the layout names more
// buckets than a sample of one bit each could have in the bits that follow.
bool ReadLayout(BitReader* reader, HistogramLayout* layout);

// The indices of the buckets, ascending where the spans are sound.
std::vector<int64_t> BucketIndices(std::span<const HistogramSpan> spans);
// Spans for ascending indices: as few as can be.
std::vector<HistogramSpan> SpansOf(std::span<const int64_t> indices);
// Both ascending, without duplicates; so is the result.
std::vector<int64_t> Union(std::span<const int64_t> a, std::span<const int64_t> b);

// Puts the values of buckets `from` to their places among `to`, and 0 between them. REQUIRES: `to`
// has all of `from`; as many values as `from`.
template <typename Value>
std::vector<Value> Spread(std::span<const int64_t> from, std::span<const Value> values,
                          std::span<const int64_t> to) {
  std::vector<Value> out(to.size(), Value{});
  size_t place = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    while (to[place] != from[i]) ++place;
    out[place++] = values[i];
  }
  return out;
}

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_HISTOGRAM_LAYOUT_H_
