#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_WIDE_CHUNK_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_WIDE_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/histogram_appender.h"
#include "lib/chunkenc/xor2_chunk.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"

namespace narthex::tsdb {

struct WideFloats {
  chunkenc::Xor2State state;
  std::string bytes;  // With room behind `size`.
  size_t size = 0;
};

// An open chunk whose state does not fit the record of a series: histograms, and floats in XOR2.
// Few series have one, unless all floats are to be XOR2. Guarded as the series is.
class WideChunk {
 public:
  enum class Kind : uint8_t { kXor2Floats, kHistograms, kFloatHistograms };

  using Floats = WideFloats;

  WideChunk(Kind kind, bool start_timestamps) : kind_(kind) {
    if (kind == Kind::kHistograms) state_.emplace<chunkenc::HistogramAppender>(start_timestamps);
    if (kind == Kind::kFloatHistograms) {
      state_.emplace<chunkenc::FloatHistogramAppender>(start_timestamps);
    }
  }

  Kind kind() const { return kind_; }
  bool is_histogram() const { return kind_ != Kind::kXor2Floats; }
  Floats& floats() { return std::get<Floats>(state_); }
  chunkenc::HistogramAppender& of(const Histogram&) {
    return std::get<chunkenc::HistogramAppender>(state_);
  }
  chunkenc::FloatHistogramAppender& of(const FloatHistogram&) {
    return std::get<chunkenc::FloatHistogramAppender>(state_);
  }
  static Kind KindOf(const Histogram&) { return Kind::kHistograms; }
  static Kind KindOf(const FloatHistogram&) { return Kind::kFloatHistograms; }
  chunkenc::HistogramChunkLimit& limit() { return limit_; }

  chunkenc::Encoding encoding() const {
    switch (kind_) {
      case Kind::kXor2Floats:
        return chunkenc::Encoding::kXor2;
      case Kind::kHistograms:
        return std::get<chunkenc::HistogramAppender>(state_).encoding();
      case Kind::kFloatHistograms:
        return std::get<chunkenc::FloatHistogramAppender>(state_).encoding();
    }
    return chunkenc::Encoding::kNone;
  }
  // The whole chunk; empty without samples.
  std::string_view bytes() const {
    switch (kind_) {
      case Kind::kXor2Floats:
        break;
      case Kind::kHistograms:
        return std::get<chunkenc::HistogramAppender>(state_).bytes();
      case Kind::kFloatHistograms:
        return std::get<chunkenc::FloatHistogramAppender>(state_).bytes();
    }
    const Floats& floats = std::get<Floats>(state_);
    return std::string_view(floats.bytes).substr(0, floats.size);
  }
  // Ends the chunk; a next one of histograms knows how it compares with this one.
  void End() {
    switch (kind_) {
      case Kind::kXor2Floats:
        floats().state = chunkenc::Xor2State();
        floats().size = 0;
        break;
      case Kind::kHistograms:
        std::get<chunkenc::HistogramAppender>(state_).Finish();
        break;
      case Kind::kFloatHistograms:
        std::get<chunkenc::FloatHistogramAppender>(state_).Finish();
        break;
    }
  }
  // Goes on with a chunk; DataLoss when the bytes are not one.
  absl::Status Resume(std::string_view bytes) {
    switch (kind_) {
      case Kind::kXor2Floats:
        break;
      case Kind::kHistograms:
        return std::get<chunkenc::HistogramAppender>(state_).Resume(bytes);
      case Kind::kFloatHistograms:
        return std::get<chunkenc::FloatHistogramAppender>(state_).Resume(bytes);
    }
    floats().bytes = bytes;
    floats().size = bytes.size();
    return chunkenc::Xor2Resume(bytes, &floats().state);
  }
  size_t memory_bytes() const {
    switch (kind_) {
      case Kind::kXor2Floats:
        break;
      case Kind::kHistograms:
        return sizeof(*this) + std::get<chunkenc::HistogramAppender>(state_).memory_bytes();
      case Kind::kFloatHistograms:
        return sizeof(*this) + std::get<chunkenc::FloatHistogramAppender>(state_).memory_bytes();
    }
    return sizeof(*this) + std::get<Floats>(state_).bytes.capacity();
  }

 private:
  const Kind kind_;
  std::variant<Floats, chunkenc::HistogramAppender, chunkenc::FloatHistogramAppender> state_;
  chunkenc::HistogramChunkLimit limit_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_WIDE_CHUNK_H_
