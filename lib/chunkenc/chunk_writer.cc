#include "lib/chunkenc/chunk_writer.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"

namespace narthex::chunkenc {

ChunkWriter::ChunkWriter(ChunkWriterOptions options)
    : options_(options),
      histogram_(options.start_timestamps),
      float_histogram_(options.start_timestamps) {
  NARTHEX_CHECK(options_.samples_max > 0);
}

void ChunkWriter::Begin(SampleKind kind, Timestamp timestamp) {
  NARTHEX_DCHECK(samples_ == 0 || timestamp > max_time_);
  if (samples_ > 0 &&
      (kind != kind_ || samples_ == std::min<size_t>(options_.samples_max, UINT16_MAX))) {
    Cut();
  }
  if (samples_ > 0) return;
  // A chunk of another kind between two of histograms leaves nothing to compare with.
  if (kind != kind_) {
    histogram_.Reset();
    float_histogram_.Reset();
  }
  kind_ = kind;
  min_time_ = timestamp;
}

void ChunkWriter::Append(Timestamp timestamp, double value, Timestamp start) {
  Begin(SampleKind::kFloat, timestamp);
  if (samples_ == 0) {
    xor_ = XorState();
    xor2_ = Xor2State();
    size_ = 0;
  }
  const size_t need = size_ + std::max(kXorSampleBytesMax, kXor2SampleBytesMax);
  if (bytes_.size() < need) bytes_.resize(2 * need);
  uint8_t* const bytes = reinterpret_cast<uint8_t*>(bytes_.data());
  if (options_.float_encoding() == Encoding::kXor2) {
    Xor2Append(&xor2_, bytes, &size_, timestamp, value, start);
  } else {
    XorAppend(&xor_, bytes, &size_, timestamp, value);
  }
  ++samples_;
  max_time_ = timestamp;
}

void ChunkWriter::Append(Timestamp timestamp, const Histogram& histogram, Timestamp start) {
  Begin(SampleKind::kHistogram, timestamp);
  AppendTo(&histogram_, timestamp, histogram, start);
}

void ChunkWriter::Append(Timestamp timestamp, const FloatHistogram& histogram, Timestamp start) {
  Begin(SampleKind::kFloatHistogram, timestamp);
  AppendTo(&float_histogram_, timestamp, histogram, start);
}

template <typename H>
void ChunkWriter::AppendTo(BasicHistogramAppender<H>* appender, Timestamp timestamp,
                           const H& histogram, Timestamp start) {
  if (appender->Append(timestamp, histogram, start) == HistogramAppend::kNewChunk) {
    Cut();
    min_time_ = timestamp;
    const HistogramAppend again = appender->Append(timestamp, histogram, start);
    NARTHEX_CHECK(again == HistogramAppend::kAppended);
  }
  ++samples_;
  max_time_ = timestamp;
}

void ChunkWriter::AppendFrom(const SampleBuffer& samples, size_t index) {
  const Timestamp timestamp = samples.timestamps()[index];
  const Timestamp start =
      samples.start_timestamps().empty() ? 0 : samples.start_timestamps()[index];
  switch (samples.kind(index)) {
    case SampleKind::kFloat:
      return Append(timestamp, samples.values()[index], start);
    case SampleKind::kHistogram:
      return Append(timestamp, samples.histogram(index), start);
    case SampleKind::kFloatHistogram:
      return Append(timestamp, samples.float_histogram(index), start);
  }
}

void ChunkWriter::AppendAll(const SampleBuffer& samples) {
  for (size_t i = 0; i < samples.size(); ++i) AppendFrom(samples, i);
}

void ChunkWriter::Cut() {
  if (samples_ == 0) return;
  FinishedChunk& chunk = finished_.emplace_back();
  chunk.encoding = kind_ == SampleKind::kFloat ? options_.float_encoding()
                                               : EncodingOf(kind_, options_.start_timestamps);
  chunk.min_time = min_time_;
  chunk.max_time = max_time_;
  chunk.samples = static_cast<uint32_t>(samples_);
  switch (kind_) {
    case SampleKind::kFloat:
      chunk.bytes.assign(bytes_, 0, size_);
      break;
    case SampleKind::kHistogram:
      chunk.bytes = histogram_.Finish();
      break;
    case SampleKind::kFloatHistogram:
      chunk.bytes = float_histogram_.Finish();
      break;
  }
  samples_ = 0;
}

std::vector<FinishedChunk> ChunkWriter::Finish() {
  Cut();
  histogram_.Reset();
  float_histogram_.Reset();
  return std::exchange(finished_, {});
}

}  // namespace narthex::chunkenc
