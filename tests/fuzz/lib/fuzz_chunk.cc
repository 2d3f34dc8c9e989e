// Any bytes as a chunk of any encoding (the first byte says which): decoding reads nothing outside
// of them, what it gives is in time order, and comes back when it is encoded again; a histogram
// chunk or an XOR2 chunk that can be resumed takes another sample.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/chunk_writer.h"

using namespace narthex;            // NOLINT: a fuzz target is no header.
using namespace narthex::chunkenc;  // NOLINT

namespace {

bool Storable(const SampleBuffer& samples, size_t i) {
  switch (samples.kind(i)) {
    case SampleKind::kHistogram:
      return Validate(samples.histogram(i)).ok();
    case SampleKind::kFloatHistogram:
      return Validate(samples.float_histogram(i)).ok();
    case SampleKind::kFloat:
      break;
  }
  return true;
}

void CheckSame(const SampleBuffer& a, size_t i, const SampleBuffer& b, size_t j) {
  NARTHEX_CHECK(a.timestamps()[i] == b.timestamps()[j]);
  NARTHEX_CHECK(std::bit_cast<uint64_t>(a.values()[i]) == std::bit_cast<uint64_t>(b.values()[j]));
  NARTHEX_CHECK(a.kind(i) == b.kind(j));
  if (a.kind(i) == SampleKind::kHistogram) {
    NARTHEX_CHECK(Same(a.histogram(i), b.histogram(j)));
  } else if (a.kind(i) == SampleKind::kFloatHistogram) {
    NARTHEX_CHECK(Same(a.float_histogram(i), b.float_histogram(j)));
  }
}

SampleBuffer Decode(Encoding encoding, std::string_view bytes, absl::Status* status) {
  SampleBuffer samples;
  *status = DecodeChunk(encoding, bytes, SIZE_MAX, kMinTimestamp, kMaxTimestamp, &samples);
  NARTHEX_CHECK(status->ok() ? samples.size() == ChunkSampleCount(encoding, bytes)
                             : samples.empty());
  for (size_t i = 1; i < samples.size(); ++i) {
    NARTHEX_CHECK(samples.timestamps()[i - 1] < samples.timestamps()[i]);
  }
  return samples;
}

void EncodeAgain(const SampleBuffer& samples) {
  SampleBuffer storable;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (Storable(samples, i)) storable.AppendFrom(samples, i);
  }
  for (const bool starts : {false, true}) {
    ChunkWriter writer({7, starts});
    writer.AppendAll(storable);
    size_t at = 0;
    for (const FinishedChunk& chunk : writer.Finish()) {
      absl::Status status;
      const SampleBuffer decoded = Decode(chunk.encoding, chunk.bytes, &status);
      NARTHEX_CHECK(status.ok() && decoded.size() == chunk.samples);
      for (size_t i = 0; i < decoded.size(); ++i, ++at) {
        CheckSame(decoded, i, storable, at);
        if (!starts) continue;
        const Timestamp was =
            storable.start_timestamps().empty() ? 0 : storable.start_timestamps()[at];
        const Timestamp is = decoded.start_timestamps().empty() ? 0 : decoded.start_timestamps()[i];
        NARTHEX_CHECK(was == is);
      }
    }
    NARTHEX_CHECK(at == storable.size());
  }
}

template <typename H>
void ResumeHistograms(std::string_view bytes, bool starts, const SampleBuffer& samples) {
  BasicHistogramAppender<H> appender(starts);
  if (!appender.Resume(bytes).ok() || appender.timestamp() == kMaxTimestamp) return;
  H last = appender.Last();
  last.reset_hint = samples.kind(0) == SampleKind::kHistogram
                        ? samples.histogram(samples.size() - 1).reset_hint
                        : samples.float_histogram(samples.size() - 1).reset_hint;
  if (!Validate(last).ok()) return;
  if (appender.Append(appender.timestamp() + 1, last, 5) == HistogramAppend::kNewChunk) return;
  absl::Status status;
  const SampleBuffer more = Decode(appender.encoding(), appender.bytes(), &status);
  NARTHEX_CHECK(status.ok() && more.size() == samples.size() + 1);
  for (size_t i = 0; i < samples.size(); ++i) CheckSame(more, i, samples, i);
}

void ResumeXor2(std::string_view bytes, const SampleBuffer& samples) {
  Xor2State state;
  if (!Xor2Resume(bytes, &state).ok() || state.count == 0 || state.count == UINT16_MAX ||
      state.timestamp == kMaxTimestamp) {
    return;
  }
  std::vector<uint8_t> grown(bytes.begin(), bytes.end());
  size_t size = grown.size();
  grown.resize(size + kXor2SampleBytesMax);
  Xor2Append(&state, grown.data(), &size, state.timestamp + 1, 0.5, 3);
  absl::Status status;
  const SampleBuffer more =
      Decode(Encoding::kXor2, {reinterpret_cast<const char*>(grown.data()), size}, &status);
  NARTHEX_CHECK(status.ok() && more.size() == samples.size() + 1);
  for (size_t i = 0; i < samples.size(); ++i) CheckSame(more, i, samples, i);
  NARTHEX_CHECK(more.values().back() == 0.5);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Encoding encoding = static_cast<Encoding>(data[0] % 8);
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  absl::Status status;
  const SampleBuffer samples = Decode(encoding, bytes, &status);
  if (samples.empty()) return 0;
  EncodeAgain(samples);
  switch (encoding) {
    case Encoding::kHistogram:
    case Encoding::kHistogramSt:
      ResumeHistograms<Histogram>(bytes, encoding == Encoding::kHistogramSt, samples);
      break;
    case Encoding::kFloatHistogram:
    case Encoding::kFloatHistogramSt:
      ResumeHistograms<FloatHistogram>(bytes, encoding == Encoding::kFloatHistogramSt, samples);
      break;
    case Encoding::kXor2:
      ResumeXor2(bytes, samples);
      break;
    case Encoding::kNone:
    case Encoding::kXor:
      break;
  }
  return 0;
}
