#ifndef NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_WRITER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/labels/labels.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/block_meta.h"
#include "services/storage/tsdb/chunks/format.h"
#include "services/storage/tsdb/index/writer.h"

namespace narthex::tsdb {

// What a directory is called while a block is written into it, and while one is removed: upstream's
// names, removed at a start by both programs. They are "<ULID>" and one of these.
inline constexpr std::string_view kCreationSuffix = ".tmp-for-creation";
inline constexpr std::string_view kDeletionSuffix = ".tmp-for-deletion";

struct BlockWriterOptions {
  uint64_t segment_size_bytes = chunks::kSegmentSizeDefault;
  index::WriterOptions index;
  // Called after about every 256 KiB with the bytes written since the last call: may wait, so that
  // writing yields to more urgent work. An error ends the writing with that error.
  std::function<absl::Status(uint64_t bytes_written)> pace;
};

// Writes a block. Series come in label order with whole chunks; everything goes into
// "<ULID>.tmp-for-creation", which Finish() syncs and renames, so that after a crash there is the
// whole block or a leftover that a start removes. Memory is bounded by the texts of the labels
// (each once), not by the series.
//
// After an error the writer refuses everything, and its destructor removes what it had written.
// Thread safety: none.
class BlockWriter {
 public:
  // `base` gives ulid (Ulid::New), min_time, max_time and compaction; its stats are counted anew.
  // Empty compaction.sources become the block itself. InvalidArgument when the ulid is none or the
  // range is empty. `fs` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<BlockWriter>> Create(io::FileSystem* fs,
                                                             std::string parent_directory,
                                                             BlockMeta base,
                                                             BlockWriterOptions options = {});
  ~BlockWriter();
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  // `labels` sorted by name, unique, not empty, and after those of the series before; `chunks` in
  // ascending time, not overlapping, within the range of the block, each whole: visible_samples is
  // its number of samples. InvalidArgument otherwise. A series without chunks is left out.
  absl::Status Add(std::span<const LabelView> labels, std::span<const storage::SelectChunk> chunks);

  // Intervals of the series added last whose samples stay in the block but count as deleted: they
  // go into its tombstones. REQUIRES: there is one.
  void AddDeleted(std::span<const storage::DeletedInterval> intervals);

  // Completes the block and gives its meta. When no series was added nothing is written, and the
  // meta has no series.
  absl::StatusOr<BlockMeta> Finish();

 private:
  struct Rep;
  explicit BlockWriter(std::unique_ptr<Rep> rep);
  const std::unique_ptr<Rep> rep_;
};

// Removes the block `directory` so that a crash leaves the whole of it or a leftover that a start
// removes: renames to "<directory>.tmp-for-deletion", then deletes that.
absl::Status RemoveBlock(io::FileSystem* fs, const std::string& directory);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_WRITER_H_
