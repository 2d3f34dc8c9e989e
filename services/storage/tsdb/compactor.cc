#include "services/storage/tsdb/compactor.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "lib/base/status_macros.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/merge_source.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {

Compactor::Compactor(io::FileSystem* fs, Clock* clock, Logger logger, Options options)
    : fs_(fs), clock_(clock), logger_(std::move(logger)), options_(std::move(options)) {}

absl::StatusOr<BlockMeta> Compactor::Write(const std::string& directory, Sources sources,
                                           BlockMeta base, const Pace& pace) {
  const absl::Duration start = clock_->Monotonic();
  const auto& writing = options_.observer.block_writing;
  if (writing) writing(true);
  const absl::Cleanup ended = [&writing] {
    if (writing) writing(false);
  };
  base.ulid = Ulid::New(ToTimestamp(clock_->Now())).ToString();
  base.stats = {};
  MergeSource merged(std::move(sources), base.min_time, base.max_time - 1, options_.chunks);
  BlockWriterOptions options = options_.block;
  if (pace) options.pace = [&pace](uint64_t) { return pace(); };
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<BlockWriter> writer,
                           BlockWriter::Create(fs_, directory, base, std::move(options)));
  // Often enough to yield within milliseconds, seldom enough not to be seen in a profile.
  constexpr uint64_t kSeriesPerPace = 256;
  uint64_t series = 0;
  if (pace) {
    NARTHEX_RETURN_IF_ERROR(pace());
  }
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, merged.Next());
    if (!more) break;
    NARTHEX_RETURN_IF_ERROR(writer->Add(merged.labels(), merged.chunks()));
    if (options_.observer.chunk_written) {
      for (const storage::SelectChunk& chunk : merged.chunks()) {
        options_.observer.chunk_written(chunk.bytes.size(), chunk.visible_samples,
                                        chunk.max_time - chunk.min_time);
      }
    }
    if (++series % kSeriesPerPace == 0 && pace) {
      NARTHEX_RETURN_IF_ERROR(pace());
    }
  }
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta meta, writer->Finish());
  const absl::Duration took = clock_->Monotonic() - start;
  if (options_.observer.compaction_done) options_.observer.compaction_done(took);
  if (meta.stats.series > 0) {
    logger_.Info("block written", {{"block", meta.ulid},
                                   {"min_time", meta.min_time},
                                   {"max_time", meta.max_time},
                                   {"level", meta.compaction.level},
                                   {"series", meta.stats.series},
                                   {"samples", meta.stats.samples},
                                   {"chunks_encoded_anew", merged.merger().chunks_encoded()},
                                   {"duration_seconds", absl::ToDoubleSeconds(took)}});
  }
  return meta;
}

absl::StatusOr<BlockMeta> Compactor::Merge(const std::string& directory,
                                           const std::vector<std::shared_ptr<Block>>& blocks,
                                           const Pace& pace) {
  std::vector<const BlockMeta*> metas;
  for (const std::shared_ptr<Block>& block : blocks) metas.push_back(&block->meta());
  BlockMeta base = MergedMeta(metas);
  // What was written last is right where two blocks have a sample of the same time.
  std::vector<std::shared_ptr<Block>> newest_first = blocks;
  std::stable_sort(newest_first.begin(), newest_first.end(),
                   [](const std::shared_ptr<Block>& a, const std::shared_ptr<Block>& b) {
                     return a->meta().ulid > b->meta().ulid;
                   });
  Sources sources;
  for (const std::shared_ptr<Block>& block : newest_first) {
    sources.push_back(block->Source(base.min_time, base.max_time - 1));
  }
  return Write(directory, std::move(sources), std::move(base), pace);
}

absl::StatusOr<BlockMeta> Compactor::Rewrite(const std::string& directory,
                                             const std::shared_ptr<Block>& block,
                                             const Pace& pace) {
  BlockMeta base = block->meta();
  base.compaction.parents = {{base.ulid, base.min_time, base.max_time}};
  base.compaction.deletable = false;
  base.compaction.failed = false;
  Sources sources;
  sources.push_back(block->Source(base.min_time, base.max_time - 1));
  return Write(directory, std::move(sources), std::move(base), pace);
}

}  // namespace narthex::tsdb
