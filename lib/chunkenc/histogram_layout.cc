#include "lib/chunkenc/histogram_layout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>

#include "lib/chunkenc/varbit.h"

namespace narthex::chunkenc {
namespace {

// A zero threshold that is 0 or a power of two takes a byte: 0, or the exponent of 0.5 * 2^e plus
// this. Others follow the byte 255 as they are.
constexpr int kThresholdBias = 243;
constexpr int kThresholdExponentMin = -242;
constexpr int kThresholdExponentMax = 11;
constexpr uint8_t kThresholdRaw = 255;

// A bound that is a multiple of 0.001 up to this many of them takes a varbit number (plus one);
// others follow a 0 as they are.
constexpr double kBoundScale = 1000;
constexpr double kBoundScaledMax = 33554430;

void WriteThreshold(BitWriter* writer, double threshold) {
  if (threshold == 0) return writer->Write(0, 8);
  int exponent = 0;
  const double fraction = std::frexp(threshold, &exponent);
  if (fraction != 0.5 || exponent < kThresholdExponentMin || exponent > kThresholdExponentMax) {
    writer->Write(kThresholdRaw, 8);
    writer->Write(std::bit_cast<uint64_t>(threshold), 64);
    return;
  }
  writer->Write(static_cast<uint64_t>(exponent + kThresholdBias), 8);
}

bool ReadThreshold(BitReader* reader, double* threshold) {
  uint64_t byte;
  if (!reader->Read(8, &byte)) return false;
  if (byte == kThresholdRaw) {
    uint64_t bits;
    if (!reader->Read(64, &bits)) return false;
    *threshold = std::bit_cast<double>(bits);
    return true;
  }
  *threshold = byte == 0 ? 0 : std::ldexp(0.5, static_cast<int>(byte) - kThresholdBias);
  return true;
}

void WriteSpans(BitWriter* writer, std::span<const HistogramSpan> spans) {
  WriteVarbitUint(writer, spans.size());
  for (const HistogramSpan& span : spans) {
    WriteVarbitUint(writer, span.length);
    WriteVarbitInt(writer, span.offset);
  }
}

bool ReadSpans(BitReader* reader, std::vector<HistogramSpan>* spans) {
  uint64_t count;
  constexpr size_t kSpanBitsMin = 2;
  if (!ReadVarbitUint(reader, &count) || count > reader->remaining() / kSpanBitsMin) return false;
  spans->resize(static_cast<size_t>(count));
  for (size_t i = 0; i < spans->size(); ++i) {
    uint64_t length;
    int64_t offset;
    if (!ReadVarbitUint(reader, &length) || !ReadVarbitInt(reader, &offset)) return false;
    if (length > UINT32_MAX || offset < std::numeric_limits<int32_t>::min() ||
        offset > std::numeric_limits<int32_t>::max() || (i > 0 && offset < 0)) {
      return false;
    }
    (*spans)[i] = {static_cast<int32_t>(offset), static_cast<uint32_t>(length)};
  }
  return SpansWithinReach(*spans);
}

void WriteBound(BitWriter* writer, double bound) {
  const double scaled = bound * kBoundScale;
  // A NaN is no multiple either.
  if (scaled >= 0 && scaled <= kBoundScaledMax) {
    const uint64_t whole = static_cast<uint64_t>(std::round(scaled));
    if (static_cast<double>(whole) / kBoundScale == bound) {
      return WriteVarbitUint(writer, whole + 1);
    }
  }
  writer->Write(0, 1);
  writer->Write(std::bit_cast<uint64_t>(bound), 64);
}

bool ReadBound(BitReader* reader, double* bound) {
  uint64_t value;
  if (!ReadVarbitUint(reader, &value)) return false;
  if (value != 0) {
    *bound = static_cast<double>(value - 1) / kBoundScale;
    return true;
  }
  if (!reader->Read(64, &value)) return false;
  *bound = std::bit_cast<double>(value);
  return true;
}

bool ReadBounds(BitReader* reader, std::vector<double>* bounds) {
  uint64_t count;
  constexpr size_t kBoundBitsMin = 5;  // The shortest varbit number that is not 0.
  if (!ReadVarbitUint(reader, &count) || count > reader->remaining() / kBoundBitsMin) return false;
  bounds->resize(static_cast<size_t>(count));
  for (double& bound : *bounds) {
    if (!ReadBound(reader, &bound)) return false;
  }
  return true;
}

}  // namespace

size_t LayoutBitsMax(const HistogramLayout& layout) {
  // A threshold, a schema, three counts.
  const size_t fixed = 8 + 64 + 4 * kVarbitBitsMax;
  return fixed +
         2 * kVarbitBitsMax * (layout.positive_spans.size() + layout.negative_spans.size()) +
         kVarbitBitsMax * layout.custom_values.size();
}

void WriteLayout(BitWriter* writer, const HistogramLayout& layout) {
  WriteThreshold(writer, layout.zero_threshold);
  WriteVarbitInt(writer, layout.schema);
  WriteSpans(writer, layout.positive_spans);
  WriteSpans(writer, layout.negative_spans);
  if (layout.schema != kCustomBucketsSchema) return;
  WriteVarbitUint(writer, layout.custom_values.size());
  for (const double bound : layout.custom_values) WriteBound(writer, bound);
}

bool ReadLayout(BitReader* reader, HistogramLayout* layout) {
  int64_t schema;
  if (!ReadThreshold(reader, &layout->zero_threshold) || !ReadVarbitInt(reader, &schema) ||
      schema < std::numeric_limits<int32_t>::min() ||
      schema > std::numeric_limits<int32_t>::max() || !ReadSpans(reader, &layout->positive_spans) ||
      !ReadSpans(reader, &layout->negative_spans)) {
    return false;
  }
  layout->schema = static_cast<int32_t>(schema);
  layout->custom_values.clear();
  if (layout->schema == kCustomBucketsSchema && !ReadBounds(reader, &layout->custom_values)) {
    return false;
  }
  const size_t buckets = BucketCount(layout->positive_spans) + BucketCount(layout->negative_spans);
  return buckets <= reader->remaining();
}

std::vector<int64_t> BucketIndices(std::span<const HistogramSpan> spans) {
  std::vector<int64_t> indices;
  indices.reserve(BucketCount(spans));
  int64_t index = 0;
  for (const HistogramSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i) indices.push_back(index++);
  }
  return indices;
}

std::vector<HistogramSpan> SpansOf(std::span<const int64_t> indices) {
  std::vector<HistogramSpan> spans;
  int64_t next = 0;
  for (const int64_t index : indices) {
    if (!spans.empty() && index == next) {
      ++spans.back().length;
    } else {
      spans.push_back({static_cast<int32_t>(index - next), 1});
    }
    next = index + 1;
  }
  return spans;
}

std::vector<int64_t> Union(std::span<const int64_t> a, std::span<const int64_t> b) {
  std::vector<int64_t> joined;
  joined.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(joined));
  return joined;
}

}  // namespace narthex::chunkenc
