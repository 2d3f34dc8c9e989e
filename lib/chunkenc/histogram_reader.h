#ifndef NARTHEX_LIB_CHUNKENC_HISTOGRAM_READER_H_
#define NARTHEX_LIB_CHUNKENC_HISTOGRAM_READER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "lib/chunkenc/bit_stream.h"
#include "lib/chunkenc/histogram_fields.h"
#include "lib/chunkenc/histogram_layout.h"
#include "lib/chunkenc/start_timestamp.h"
#include "lib/model/histogram.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

namespace narthex::chunkenc {

// Why a chunk was begun: the two top bits of its flags.
enum class ResetHeader : uint8_t {
  kUnknown = 0x00,
  kNotReset = 0x40,
  kReset = 0x80,
  kGauge = 0xc0,
};

// The header takes three bytes: u16 count and u8 flags; with start timestamps flags and count share
// the first two, and the third is StartTimestamps::header().
inline constexpr size_t kHistogramHeaderBytes = 3;
inline constexpr uint16_t kHistogramStCountMax = 0x3fff;
inline constexpr uint8_t kResetHeaderMask = 0xc0;

// Walks the samples of a histogram chunk. Thread safety: none.
template <typename H>
class HistogramReader {
 public:
  using Fields = typename FieldsOf<H>::Type;

  // `with_starts`: encodings 5 and 6. The bytes must outlive the reader.
  HistogramReader(std::string_view bytes, bool with_starts);

  // Goes to the next sample; false behind the last one or on damage (see status()).
  bool Next();
  // DataLoss where the bytes end before the samples, the layout is unsound or of an unknown schema,
  // or a timestamp is not after the one before it.
  const absl::Status& status() const { return status_; }

  uint16_t samples() const { return samples_; }  // Of the header.
  ResetHeader reset_header() const { return reset_header_; }
  // The sample that stands; `index` counts from 0.
  size_t index() const { return read_ - 1; }
  Timestamp timestamp() const { return timestamp_; }
  int64_t delta() const { return delta_; }
  const HistogramLayout& layout() const { return layout_; }
  const Fields& fields() const { return fields_; }
  const StartTimestamps& starts() const { return starts_; }
  // As upstream's readers give it: the hint of a gauge in a chunk of gauges, else that there was no
  // reset but at the first sample, of which nothing is known; reserved schemas reduced.
  H Sample() const;

  size_t bit_position() const;  // Behind the samples that were read.

 private:
  bool Fail(std::string_view what);

  const std::string_view bytes_;
  const bool with_starts_;
  BitReader reader_;
  uint16_t samples_ = 0;
  ResetHeader reset_header_ = ResetHeader::kUnknown;
  size_t read_ = 0;
  Timestamp timestamp_ = 0;
  int64_t delta_ = 0;
  HistogramLayout layout_;
  Fields fields_;
  StartTimestamps starts_;
  absl::Status status_;
};

extern template class HistogramReader<Histogram>;
extern template class HistogramReader<FloatHistogram>;

// As DecodeChunk() for encodings 2 and 5, and 3 and 6.
absl::Status HistogramDecode(std::string_view bytes, bool with_starts, size_t samples_max,
                             Timestamp min_time, Timestamp max_time, SampleBuffer* out);
absl::Status FloatHistogramDecode(std::string_view bytes, bool with_starts, size_t samples_max,
                                  Timestamp min_time, Timestamp max_time, SampleBuffer* out);

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_HISTOGRAM_READER_H_
