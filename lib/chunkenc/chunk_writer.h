#ifndef NARTHEX_LIB_CHUNKENC_CHUNK_WRITER_H_
#define NARTHEX_LIB_CHUNKENC_CHUNK_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/histogram_appender.h"
#include "lib/chunkenc/xor2_chunk.h"
#include "lib/chunkenc/xor_chunk.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

namespace narthex::chunkenc {

// A whole chunk, as blocks, head chunk files and answers carry it.
struct FinishedChunk {
  Encoding encoding = Encoding::kNone;
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
  uint32_t samples = 0;
  std::string bytes;
};

struct ChunkWriterOptions {
  // Upstream cuts at 120 when it encodes anew, in compaction and for remote read.
  size_t samples_max = 120;
  // Encodings 4 to 6, which keep start timestamps; readers older than Prometheus 3.15 cannot read
  // them.
  bool start_timestamps = false;
  // Encoding 4 for all floats, also where no start timestamps are kept.
  bool xor2_floats = false;

  // What floats are encoded as.
  Encoding float_encoding() const {
    return start_timestamps || xor2_floats ? Encoding::kXor2 : Encoding::kXor;
  }
};

// Encodes the samples of one series, of any kind and in time order, into chunks: a new one for
// samples_max samples, another kind of sample, and a histogram that the open chunk cannot take
// (schema, bounds, counter reset, staleness). For compaction, out-of-order data and remote read;
// the head has chunks of its own, cut by time. Reused from series to series. Thread safety: none.
class ChunkWriter {
 public:
  explicit ChunkWriter(ChunkWriterOptions options = {});

  // REQUIRES: timestamps grow from call to call. `start` is the start timestamp; 0 is none.
  void Append(Timestamp timestamp, double value, Timestamp start = 0);
  void Append(Timestamp timestamp, const Histogram& histogram, Timestamp start = 0);
  void Append(Timestamp timestamp, const FloatHistogram& histogram, Timestamp start = 0);
  // One sample of a buffer, or all.
  void AppendFrom(const SampleBuffer& samples, size_t index);
  void AppendAll(const SampleBuffer& samples);
  // Ends the open chunk: the next sample begins another.
  void Cut();

  // Ends the open chunk and hands out all since the last call, in time order; the writer is then
  // ready for another series.
  std::vector<FinishedChunk> Finish();

 private:
  // Makes the open chunk one that takes a sample of that kind.
  void Begin(SampleKind kind, Timestamp timestamp);
  template <typename H>
  void AppendTo(BasicHistogramAppender<H>* appender, Timestamp timestamp, const H& histogram,
                Timestamp start);

  const ChunkWriterOptions options_;

  // The open chunk: of `kind_` when samples_ > 0.
  SampleKind kind_ = SampleKind::kFloat;
  size_t samples_ = 0;
  Timestamp min_time_ = 0;
  Timestamp max_time_ = 0;
  XorState xor_;
  Xor2State xor2_;
  std::string bytes_;  // Of an open chunk of floats, with room behind size_.
  size_t size_ = 0;
  HistogramAppender histogram_;
  FloatHistogramAppender float_histogram_;

  std::vector<FinishedChunk> finished_;
};

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_CHUNK_WRITER_H_
