#ifndef NARTHEX_LIB_STORAGE_SELECT_FRAME_H_
#define NARTHEX_LIB_STORAGE_SELECT_FRAME_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/coding.h"
#include "lib/chunkenc/chunk.h"
#include "lib/labels/labels.h"
#include "lib/model/timestamp.h"

// A packed run of series in a Select answer: about a megabyte of encoded chunks or plain samples,
// all of one selector. The layout is in select_frame.md:
//
//   u8 version = 1, then series until the end of the frame:
//     uv series id (0: not in the id table; the labels follow: uv count, count x (str, str))
//     u8 kind: 0 labels only, 1 chunks, 2 packed samples
//     kind 1: uv chunk count, each: u8 encoding, sv min_time (delta to the previous chunk's
//     min_time), uv max_time - min_time,
//             uv visible samples, uv length, bytes; then uv deleted-interval count, each: sv
//             min_time, uv max_time - min_time
//     kind 2: uv count, each: sv timestamp (delta to the previous), f64 little-endian
namespace narthex::storage {

struct SelectChunk {
  chunkenc::Encoding encoding = chunkenc::Encoding::kXor;
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
  uint32_t visible_samples =
      0;  // Samples after these belong to transactions that the reader must not see.
  std::string_view bytes;  // The chunk as in a block file, its sample count first.
};

struct DeletedInterval {
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
};

// Builds frames. Reused; thread safety: none.
class SelectFrameWriter {
 public:
  void Clear();
  // Starts a series known by id (id != 0), or one that carries its labels.
  void AddSeries(uint64_t id);
  void AddSeries(const Labels& labels);
  // Exactly one of these follows each AddSeries().
  void LabelsOnly();
  void Chunks(std::span<const SelectChunk> chunks, std::span<const DeletedInterval> deleted);
  void Samples(std::span<const Timestamp> timestamps, std::span<const double> values);
  size_t size_bytes() const { return bytes_.size(); }
  size_t series() const { return series_; }
  std::string Take();  // The frame; the writer is clear afterwards.

 private:
  void StartSeries(uint64_t id);

  std::string bytes_;
  size_t series_ = 0;
};

// Walks a frame; every malformed byte ends in InvalidArgument from status(). Views point into the
// frame.
class SelectFrameReader {
 public:
  explicit SelectFrameReader(std::string_view frame);
  bool Next();
  uint64_t id() const { return id_; }
  std::span<const LabelView> labels() const { return labels_; }  // When id() is 0.
  enum class Kind : uint8_t { kLabelsOnly = 0, kChunks = 1, kSamples = 2 };
  Kind kind() const { return kind_; }
  std::span<const SelectChunk> chunks() const { return chunks_; }
  std::span<const DeletedInterval> deleted() const { return deleted_; }
  std::span<const Timestamp> timestamps() const { return timestamps_; }
  std::span<const double> values() const { return values_; }
  const absl::Status& status() const { return status_; }

 private:
  bool Fail(std::string_view what);
  // Each returns false where the bytes are malformed.
  bool ReadLabels(ByteReader* reader);
  bool ReadChunks(ByteReader* reader);
  bool ReadDeleted(ByteReader* reader);
  bool ReadSamples(ByteReader* reader);

  std::string_view frame_;
  size_t offset_ = 0;  // Of the next series.
  uint64_t id_ = 0;
  Kind kind_ = Kind::kLabelsOnly;
  std::vector<LabelView> labels_;
  std::vector<SelectChunk> chunks_;
  std::vector<DeletedInterval> deleted_;
  std::vector<Timestamp> timestamps_;
  std::vector<double> values_;
  absl::Status status_;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_SELECT_FRAME_H_
