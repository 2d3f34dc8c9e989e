#ifndef NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/block_meta.h"
#include "services/storage/tsdb/chunk_series.h"
#include "services/storage/tsdb/index/format.h"

namespace narthex::tsdb {

// A series of one block: its number in the index (offset / 16 in version 2). Ascending numbers are
// ascending labels.
using BlockSeries = uint64_t;

using BlockChunk = index::ChunkMeta;

// An open block: a directory with an index, chunk segments, meta.json and tombstones, as Prometheus
// lays it out. Files are mapped; what is found damaged while it is read is DataLoss that names
// file and offset, and concerns only that read. Bytes and labels that it hands out are valid as
// long as the block.
//
// Thread safety: all methods may be called from any thread.
class Block {
 public:
  static absl::StatusOr<std::shared_ptr<Block>> Open(io::FileSystem* fs, std::string directory);
  ~Block();

  const std::string& directory() const;
  const BlockMeta& meta() const;  // As it was when the block was opened.
  uint64_t size_bytes() const;    // Of all files.

  // The series for which all matchers hold, ascending. No matcher is all series.
  absl::StatusOr<std::vector<BlockSeries>> Select(std::span<const Matcher> matchers) const;
  // Either pointer may be null. Both are overwritten. Chunks come by their min_time; those of
  // blocks that other programs damaged may overlap.
  absl::Status ReadSeries(BlockSeries series, std::vector<LabelView>* labels,
                          std::vector<BlockChunk>* chunks) const;
  // The chunk, its checksum checked; `visible_samples` is all.
  absl::StatusOr<storage::SelectChunk> ReadChunk(const BlockChunk& chunk) const;

  // Sorted, unique. Without matchers: of all series. Time is not looked at.
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers) const;
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view name,
                                                       std::span<const Matcher> matchers) const;

  // Deleted intervals of a series, merged and sorted.
  std::vector<storage::DeletedInterval> Deleted(BlockSeries series) const;
  uint64_t tombstones() const;  // Intervals in all, at this moment.
  // Deletes the samples of matching series within min_time…max_time (inclusive): writes the
  // tombstones file anew, which is the moment that counts, and then meta.json with their number.
  // After an error what was deleted before still is; doing it again is harmless. No matcher is all
  // series.
  absl::Status Delete(std::span<const Matcher> matchers, Timestamp min_time, Timestamp max_time);

  // All series with chunks that overlap min_time…max_time (inclusive), for compaction. The block
  // must outlive it.
  std::unique_ptr<ChunkSeriesSource> Source(Timestamp min_time, Timestamp max_time) const;

 private:
  struct Rep;
  explicit Block(std::unique_ptr<Rep> rep);
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_H_
