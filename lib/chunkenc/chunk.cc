#include "lib/chunkenc/chunk.h"

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/histogram_reader.h"
#include "lib/chunkenc/xor2_chunk.h"
#include "lib/chunkenc/xor_chunk.h"

namespace narthex::chunkenc {

std::string_view EncodingName(Encoding encoding) {
  switch (encoding) {
    case Encoding::kNone:
      return "none";
    case Encoding::kXor:
      return "XOR";
    case Encoding::kHistogram:
      return "histogram";
    case Encoding::kFloatHistogram:
      return "floathistogram";
    case Encoding::kXor2:
      return "XOR2";
    case Encoding::kHistogramSt:
      return "histogramST";
    case Encoding::kFloatHistogramSt:
      return "floathistogramST";
  }
  return "<unknown>";
}

SampleKind KindOf(Encoding encoding) {
  NARTHEX_DCHECK(IsKnown(encoding));
  if (encoding == Encoding::kHistogram || encoding == Encoding::kHistogramSt) {
    return SampleKind::kHistogram;
  }
  if (encoding == Encoding::kFloatHistogram || encoding == Encoding::kFloatHistogramSt) {
    return SampleKind::kFloatHistogram;
  }
  return SampleKind::kFloat;
}

Encoding EncodingOf(SampleKind kind, bool start_timestamps) {
  switch (kind) {
    case SampleKind::kHistogram:
      return start_timestamps ? Encoding::kHistogramSt : Encoding::kHistogram;
    case SampleKind::kFloatHistogram:
      return start_timestamps ? Encoding::kFloatHistogramSt : Encoding::kFloatHistogram;
    case SampleKind::kFloat:
      break;
  }
  return start_timestamps ? Encoding::kXor2 : Encoding::kXor;
}

uint16_t ChunkSampleCount(Encoding encoding, std::string_view bytes) {
  if (bytes.size() < sizeof(uint16_t)) return 0;
  const uint16_t count = LoadBig<uint16_t>(bytes.data());
  // The two top bits are flags there.
  const bool flags = encoding == Encoding::kHistogramSt || encoding == Encoding::kFloatHistogramSt;
  return flags ? static_cast<uint16_t>(count & 0x3fff) : count;
}

absl::Status DecodeChunk(Encoding encoding, std::string_view bytes, size_t samples_max,
                         Timestamp min_time, Timestamp max_time, SampleBuffer* out) {
  switch (encoding) {
    case Encoding::kXor:
      return XorDecode(bytes, samples_max, min_time, max_time, out);
    case Encoding::kHistogram:
    case Encoding::kHistogramSt:
      return HistogramDecode(bytes, encoding == Encoding::kHistogramSt, samples_max, min_time,
                             max_time, out);
    case Encoding::kFloatHistogram:
    case Encoding::kFloatHistogramSt:
      return FloatHistogramDecode(bytes, encoding == Encoding::kFloatHistogramSt, samples_max,
                                  min_time, max_time, out);
    case Encoding::kXor2:
      return Xor2Decode(bytes, samples_max, min_time, max_time, out);
    case Encoding::kNone:
      break;
  }
  return DataLoss("a chunk of the unknown encoding ", static_cast<int>(encoding));
}

}  // namespace narthex::chunkenc
