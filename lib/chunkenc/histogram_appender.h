#ifndef NARTHEX_LIB_CHUNKENC_HISTOGRAM_APPENDER_H_
#define NARTHEX_LIB_CHUNKENC_HISTOGRAM_APPENDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/histogram_fields.h"
#include "lib/chunkenc/histogram_layout.h"
#include "lib/chunkenc/histogram_reader.h"
#include "lib/chunkenc/start_timestamp.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"

namespace narthex::chunkenc {

enum class HistogramAppend : uint8_t {
  kAppended,
  // Appended, after the whole chunk was encoded anew with more buckets: bytes() is another chunk.
  kRecoded,
  // Not appended: it needs a chunk of its own. The caller takes this one with Finish() and appends
  // the same histogram again.
  kNewChunk,
};

// An open chunk of histograms: its bytes, at any time those of a whole chunk, and the state to
// append. It decides as upstream does what a chunk can take: another schema, zero threshold or
// bounds, a counter reset, a sample after a staleness marker, and a gauge among counters begin a
// new one; new buckets encode it anew; buckets that are gone but never counted are added to the
// sample. How full a chunk may get is the caller's to decide, who calls Finish() before Append().
//
// The reset header of a chunk says how its first sample compares with the last of the chunk before,
// of which the appender keeps the state; Reset() forgets it.
//
// Thread safety: none.
template <typename H>
class BasicHistogramAppender {
 public:
  // With start timestamps: encodings 5 and 6.
  explicit BasicHistogramAppender(bool start_timestamps = false) : with_starts_(start_timestamps) {}

  // Goes on with a chunk as if it had appended its samples. DataLoss when the bytes are not such a
  // chunk; the appender is then as after Reset().
  absl::Status Resume(std::string_view bytes);

  // `start` counts only with start timestamps; 0 is none. REQUIRES: `histogram` passes Validate(),
  // and timestamps grow.
  HistogramAppend Append(Timestamp timestamp, const H& histogram, Timestamp start = 0);

  // Hands out the open chunk; the next sample begins another one. Empty when there is none.
  std::string Finish();
  void Reset();

  Encoding encoding() const;
  // The open chunk; empty without samples. Valid until the next Append().
  std::string_view bytes() const { return bytes_; }
  size_t samples() const { return samples_; }
  // Of the last sample, also of the one that ended the chunk before; 0 when there was none.
  Timestamp timestamp() const { return timestamp_; }
  Timestamp start_timestamp() const { return starts_.start(); }
  // The sample that was appended last, its hint unknown; after Resume() that of the chunk.
  // REQUIRES: one was.
  H Last() const;
  bool has_last() const { return has_last_; }
  // Whether Last() is Same() as `histogram`.
  bool IsLast(const H& histogram) const;
  size_t memory_bytes() const;

 private:
  using Fields = typename FieldsOf<H>::Type;
  struct Fit;

  Fit Compare(const H& histogram) const;
  Fit CompareGauge(const H& histogram) const;
  ResetHeader HeaderOfNext(const H& histogram) const;
  void Write(Timestamp timestamp, const H& histogram, Timestamp start);
  void Recode(const H& widened);
  void StoreHeader();

  bool with_starts_;

  // The open chunk.
  std::string bytes_;
  uint8_t free_bits_ = 0;  // Unused low bits of the last byte.
  uint16_t samples_ = 0;
  ResetHeader header_ = ResetHeader::kUnknown;

  // The last sample, of the open chunk or, when that is empty, of the one before.
  bool has_last_ = false;
  Timestamp timestamp_ = 0;
  int64_t delta_ = 0;
  HistogramLayout layout_;
  Fields fields_;
  StartTimestamps starts_;

  // What kNewChunk found out for the chunk to come.
  bool next_header_known_ = false;
  ResetHeader next_header_ = ResetHeader::kUnknown;
};

using HistogramAppender = BasicHistogramAppender<Histogram>;
using FloatHistogramAppender = BasicHistogramAppender<FloatHistogram>;
extern template class BasicHistogramAppender<Histogram>;
extern template class BasicHistogramAppender<FloatHistogram>;

// How upstream's head ends a chunk of histograms: by its size and its time. Asked before each
// append.
class HistogramChunkLimit {
 public:
  static constexpr size_t kTargetBytes = 1024;
  static constexpr size_t kSamplesMin = 10;

  // A chunk begins with a sample at `timestamp`; no chunk crosses a multiple of `range_ms`.
  void Begin(Timestamp timestamp, int64_t range_ms);
  // Whether the open chunk, of so many samples and bytes and with the last sample at `last`, must
  // end before a sample at `timestamp`.
  bool MustEnd(size_t samples, size_t bytes, Timestamp last, Timestamp timestamp);

 private:
  Timestamp begin_ = 0;
  Timestamp range_end_ = 0;
  Timestamp end_ = 0;  // Exclusive: what range and prediction allow.
  bool predicted_ = false;
};

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_HISTOGRAM_APPENDER_H_
