#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHUNK_SERIES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHUNK_SERIES_H_

#include <span>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/storage/select_frame.h"

namespace narthex::tsdb {

// Series in label order with their chunks, read once from front to back: what blocks are written
// from. Blocks, the head and the out-of-order head are such sources, and so is the merge of
// several. Thread safety: none.
class ChunkSeriesSource {
 public:
  virtual ~ChunkSeriesSource() = default;
  // Goes to the next series; false at the end.
  virtual absl::StatusOr<bool> Next() = 0;
  // Of the current series. Sorted by min_time; chunks of one source may overlap only where the
  // source says so; `visible_samples` counts. Valid until the next Next().
  virtual std::span<const LabelView> labels() const = 0;
  virtual std::span<const storage::SelectChunk> chunks() const = 0;
  // Intervals whose samples are not to be kept, sorted, not overlapping.
  virtual std::span<const storage::DeletedInterval> deleted() const = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHUNK_SERIES_H_
