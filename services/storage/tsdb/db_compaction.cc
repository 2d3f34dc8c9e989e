// The background work of a Db: from the head to blocks, from blocks to larger ones, and what goes
// when it is old. What is written is durable before what it replaces is removed, and every step may
// be the last one of the process.

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/checkpoint.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/retention.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kDayMs = int64_t{24} * 60 * 60 * 1000;
constexpr int64_t kBlockRangeMaxDays = 31;

absl::Status Paced(const Pace& pace) { return pace ? pace() : absl::OkStatus(); }

// Of what a source has from `from` on; kMaxTimestamp when there is nothing.
absl::StatusOr<Timestamp> OldestTime(ChunkSeriesSource* source, Timestamp from) {
  Timestamp oldest = kMaxTimestamp;
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, source->Next());
    if (!more) return oldest;
    for (const storage::SelectChunk& chunk : source->chunks()) {
      oldest = std::min(oldest, std::max(from, chunk.min_time));
    }
  }
}

// Of all files in it and in its folders. What vanishes meanwhile does not count.
uint64_t BytesOf(io::FileSystem* fs, const std::string& directory) {
  const absl::StatusOr<std::vector<std::string>> names = fs->List(directory);
  if (!names.ok()) return 0;
  uint64_t bytes = 0;
  for (const std::string& name : *names) {
    const std::string path = io::JoinPath(directory, name);
    const absl::StatusOr<bool> folder = fs->IsDirectory(path);
    if (folder.ok() && *folder) {
      bytes += BytesOf(fs, path);
      continue;
    }
    const absl::StatusOr<uint64_t> size = fs->FileSize(path);
    if (size.ok()) bytes += *size;
  }
  return bytes;
}

}  // namespace

Timestamp Db::min_time() const {
  const std::shared_ptr<const BlockList> blocks = store_.list();
  const Timestamp of_blocks = blocks->empty() ? kMaxTimestamp : blocks->front()->meta().min_time;
  return std::min({of_blocks, head_.min_time(), head_.ooo().min_time()});
}

uint64_t Db::BytesBesideBlocks() const {
  uint64_t bytes = 0;
  for (const std::string_view name : {"wal", "wbl", "chunks_head"}) {
    bytes += BytesOf(fs_, io::JoinPath(options_.path, name));
  }
  return bytes;
}

int64_t Db::BlockRangeMax() const {
  if (options_.block_range_max_ms > 0) return options_.block_range_max_ms;
  const int64_t longest = kBlockRangeMaxDays * kDayMs;
  const int64_t retention_ms = ToMillis(settings().retention_time);
  // A block goes when all of it is too old: long ones keep much more than was asked for.
  return retention_ms > 0 ? std::min(longest, retention_ms / 10) : longest;
}

absl::Status Db::ReloadBlocks() {
  MutexLock work(&work_mu_);
  return ReloadLocked();
}

absl::Status Db::ReloadLocked() {
  const DbSettings wanted = settings();
  RetentionLimits limits;
  limits.time_ms = ToMillis(wanted.retention_time);
  uint64_t disk_bytes = 0;
  if (wanted.retention_percentage > 0) {
    NARTHEX_ASSIGN_OR_RETURN(const io::DiskSpace space, fs_->SpaceOf(options_.path));
    disk_bytes = space.total_bytes;
  }
  limits.size_bytes =
      RetentionBytes(wanted.retention_bytes, wanted.retention_percentage, disk_bytes);
  counters_.reloads.fetch_add(1, std::memory_order_relaxed);
  const absl::StatusOr<BlockStore::Changes> changes =
      store_.Reload(limits, limits.size_bytes > 0 ? BytesBesideBlocks() : 0);
  if (!changes.ok() || !changes->failed.empty()) {
    counters_.reload_failures.fetch_add(1, std::memory_order_relaxed);
  }
  Timestamp end = kMinTimestamp;
  const std::shared_ptr<const BlockList> blocks = store_.list();
  for (const std::shared_ptr<Block>& block : *blocks) end = std::max(end, block->meta().max_time);
  head_.SetBlocksEnd(end);
  persisted_.Follow();
  NARTHEX_RETURN_IF_ERROR(changes.status());
  if (changes->oldest_change != kMaxTimestamp) head_.NoteChange(changes->oldest_change);
  if (changes->too_old > 0) {
    counters_.time_retentions.fetch_add(1, std::memory_order_relaxed);
    logger_.Info("blocks deleted for their age", {{"blocks", changes->too_old}});
  }
  if (changes->too_much > 0) {
    counters_.size_retentions.fetch_add(1, std::memory_order_relaxed);
    logger_.Info("blocks deleted for the size of all", {{"blocks", changes->too_much}});
  }
  return absl::OkStatus();
}

absl::Status Db::Compact(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(CheckReady());
  MutexLock work(&work_mu_);
  // The retention first: it may be what makes room.
  NARTHEX_RETURN_IF_ERROR(ReloadLocked());
  CheckDisk();
  if (state().kind == DbStateKind::kReadOnly) {
    counters_.compactions_skipped.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  }
  const absl::Status status = CompactLocked(pace);
  if (absl::IsAborted(status)) {
    logger_.Info("the rest of the background work waits for the next round",
                 {{"cause", Message(status)}});
    return absl::OkStatus();
  }
  if (!status.ok() && !absl::IsCancelled(status)) {
    counters_.compactions_failed.fetch_add(1, std::memory_order_relaxed);
  }
  return status;
}

absl::Status Db::CompactLocked(const Pace& pace) {
  const bool due = HeadDueLocked();
  if (!due) head_due_since_.reset();
  if (due && !head_due_since_) head_due_since_ = clock_->Monotonic();
  const bool head_goes = due && !HeadDelayedLocked();
  if (head_goes) {
    NARTHEX_RETURN_IF_ERROR(CompactDueHeadLocked(pace));
  }
  if (OutOfOrderDueLocked(head_goes)) {
    NARTHEX_RETURN_IF_ERROR(CompactOutOfOrderLocked(pace));
  }
  NARTHEX_RETURN_IF_ERROR(CompactStaleSeriesLocked(pace));
  if (truncated_) {
    NARTHEX_RETURN_IF_ERROR(CheckpointLocked(pace));
  }
  NARTHEX_RETURN_IF_ERROR(CompactBlocksLocked(pace));
  return HeadSnapshotDueLocked() ? SnapshotHeadLocked(pace) : absl::OkStatus();
}

absl::Status Db::CompactDueHeadLocked(const Pace& pace) {
  const int64_t range_ms = options_.block_range_min_ms;
  // What came late goes along with what is due.
  while (true) {
    const Timestamp min_time = head_.min_time();
    const Timestamp max_time = head_.max_time();
    if (min_time > max_time) break;
    const Timestamp begin = AlignDown(min_time, range_ms);
    // Of what is older than the last truncation some went to blocks already, so the next one must
    // not go back behind it.
    const Timestamp truncated = head_.truncated_before();
    Timestamp end = begin + range_ms;
    if (end < truncated) end = AlignDown(truncated - 1, range_ms) + range_ms;
    if (end + range_ms / 2 >= max_time) break;
    NARTHEX_RETURN_IF_ERROR(CompactHeadLocked(begin, end, pace));
    if (head_.min_time() < end) break;  // Nothing would change.
  }
  head_compacted_ = clock_->Monotonic();
  head_due_since_.reset();
  return absl::OkStatus();
}

bool Db::HeadDelayedLocked() const {
  return head_due_since_ && clock_->Monotonic() - *head_due_since_ < options_.compaction_delay;
}

bool Db::HeadDueLocked() const {
  const int64_t range_ms = options_.block_range_min_ms;
  const Timestamp min_time = head_.min_time();
  const Timestamp max_time = head_.max_time();
  if (min_time > max_time) return false;
  const auto due = [&](Timestamp from) {
    return AlignDown(from, range_ms) + range_ms + range_ms / 2 < max_time;
  };
  // Samples from before the newest block came late. They wait for the next ones in order, so that a
  // trickle of them does not rewrite old blocks all the time; but not for ever.
  const Timestamp in_order_end = store_.in_order_end();
  if (due(std::max(min_time, in_order_end))) return true;
  return min_time < in_order_end && due(min_time) &&
         clock_->Monotonic() - head_compacted_ >= absl::Milliseconds(range_ms);
}

absl::Status Db::WriteBlocksLocked(Timestamp begin, Timestamp end, const SourceOf& source,
                                   const std::vector<std::string>& hints, const Pace& pace) {
  const int64_t range_ms = options_.block_range_min_ms;
  for (Timestamp at = begin; at < end;) {
    BlockMeta base;
    base.min_time = at;
    base.max_time = at + range_ms;
    base.compaction.hints = hints;
    Compactor::Sources sources;
    sources.push_back(source(at, at + range_ms - 1));
    counters_.compactions_triggered.fetch_add(1, std::memory_order_relaxed);
    NARTHEX_ASSIGN_OR_RETURN(
        const BlockMeta meta,
        compactor_.Write(options_.path, std::move(sources), std::move(base), pace));
    counters_.compactions.fetch_add(1, std::memory_order_relaxed);
    if (meta.stats.series > 0) {
      NARTHEX_RETURN_IF_ERROR(PublishLocked(meta.ulid));
    }
    at += range_ms;
    if (at >= end) break;
    if (meta.stats.series > 0) continue;
    // There may be years between two late samples.
    const std::unique_ptr<ChunkSeriesSource> rest = source(at, end - 1);
    NARTHEX_ASSIGN_OR_RETURN(const Timestamp next, OldestTime(rest.get(), at));
    if (next >= end) break;
    at = AlignDown(next, range_ms);
  }
  return absl::OkStatus();
}

absl::Status Db::WriteHeadLocked(Timestamp begin, Timestamp end, const Pace& pace) {
  const uint64_t revision = head_.changes().revision();
  const SourceOf source = [this](Timestamp min_time, Timestamp max_time) {
    return head_.Source(min_time, max_time);
  };
  NARTHEX_RETURN_IF_ERROR(WriteBlocksLocked(begin, end, source, {}, pace));
  written_ = {begin, end, revision, gate_.DrawLine()};
  return absl::OkStatus();
}

absl::Status Db::CompactHeadLocked(Timestamp begin, Timestamp end, const Pace& pace) {
  head_.SetFence(end);
  const absl::Cleanup lift = [this] { head_.SetFence(kMinTimestamp); };
  // Written in an earlier round already, and nothing came since?
  const bool there = written_ && written_->begin == begin && written_->end == end &&
                     head_.changes().OldestSince(written_->revision) >= end;
  if (!there) {
    NARTHEX_RETURN_IF_ERROR(WriteHeadLocked(begin, end, pace));
  }
  NARTHEX_RETURN_IF_ERROR(WaitForReaders(written_->line, pace));
  const absl::Duration start = clock_->Monotonic();
  const absl::StatusOr<Head::TruncateResult> result = head_.TruncateBefore(end);
  if (!result.ok()) {
    counters_.head_truncations_failed.fetch_add(1, std::memory_order_relaxed);
    return Annotate(result.status(), "truncate the head");
  }
  counters_.head_truncations.fetch_add(1, std::memory_order_relaxed);
  if (options_.observer.head_truncated) {
    options_.observer.head_truncated(clock_->Monotonic() - start);
  }
  written_.reset();
  truncated_ = true;
  logger_.Info("head truncated", {{"before", end},
                                  {"chunks_removed", result->chunks_removed},
                                  {"series_removed", result->series_removed}});
  return absl::OkStatus();
}

absl::Status Db::WriteLateSamples(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(CheckAppendable());
  MutexLock work(&work_mu_);
  const int64_t range_ms = options_.block_range_min_ms;
  const Timestamp min_time = head_.min_time();
  const Timestamp newer = std::max(store_.in_order_end(), head_.truncated_before());
  if (min_time >= newer || state().kind != DbStateKind::kReady) return absl::OkStatus();
  return CompactHeadLocked(AlignDown(min_time, range_ms), AlignDown(newer - 1, range_ms) + range_ms,
                           pace);
}

bool Db::OutOfOrderDueLocked(bool head_compacted) const {
  // With the head, as upstream; by the clock where nothing comes in order.
  return !head_.ooo().empty() &&
         (head_compacted || clock_->Monotonic() - out_of_order_compacted_ >=
                                absl::Milliseconds(options_.block_range_min_ms));
}

absl::Status Db::CompactOutOfOrderLocked(const Pace& pace) {
  const int64_t range_ms = options_.block_range_min_ms;
  NARTHEX_ASSIGN_OR_RETURN(const OooHead::Frozen frozen, head_.FreezeOutOfOrder());
  out_of_order_compacted_ = clock_->Monotonic();
  if (frozen.empty()) return absl::OkStatus();
  const SourceOf source = [this, &frozen](Timestamp min_time, Timestamp max_time) {
    return head_.ooo().Source(frozen, min_time, max_time, nullptr);
  };
  NARTHEX_RETURN_IF_ERROR(WriteBlocksLocked(AlignDown(frozen.min_time, range_ms),
                                            AlignDown(frozen.max_time, range_ms) + range_ms, source,
                                            {std::string(kHintOutOfOrder)}, pace));
  NARTHEX_RETURN_IF_ERROR(WaitForReaders(gate_.DrawLine(), pace));
  NARTHEX_RETURN_IF_ERROR(
      Annotate(head_.DropOutOfOrder(frozen), "drop out-of-order samples that are in blocks"));
  logger_.Info("out-of-order samples written into blocks", {{"series", frozen.series}});
  return absl::OkStatus();
}

absl::Status Db::PublishLocked(const std::string& ulid) {
  store_.NoteOwn(ulid);
  NARTHEX_RETURN_IF_ERROR(ReloadLocked());
  const std::shared_ptr<const BlockList> blocks = store_.list();
  for (const std::shared_ptr<Block>& block : *blocks) {
    if (block->meta().ulid == ulid) return absl::OkStatus();
  }
  // The retention may have taken it at once; then it is gone from the disk as well.
  if (!fs_->Exists(io::JoinPath(options_.path, ulid))) return absl::OkStatus();
  return DataLoss("block ", ulid, " was written and cannot be opened");
}

absl::Status Db::WaitForReaders(uint64_t line, const Pace& pace) {
  // A reader whose client is slow must not hold up late batches for ever; what is written stays
  // written, and the next round goes on here.
  constexpr absl::Duration kPatience = absl::Seconds(30);
  constexpr absl::Duration kStep = absl::Milliseconds(100);
  for (absl::Duration waited; !gate_.WaitBelow(line, kStep); waited += kStep) {
    NARTHEX_RETURN_IF_ERROR(Paced(pace));
    if (waited >= kPatience) {
      return absl::AbortedError("queries at work need what is to be truncated; it waits for them");
    }
  }
  return absl::OkStatus();
}

absl::Status Db::CheckpointLocked(const Pace& pace) {
  const std::string log_directory = io::JoinPath(options_.path, "wal");
  const uint64_t current = head_.CurrentLogMoment().position.segment;
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<uint64_t> last,
                           SegmentsToCheckpoint(fs_, log_directory, current));
  truncated_ = false;
  if (!last) return absl::OkStatus();
  CheckpointOptions options;
  options.fs = fs_;
  options.log_directory = log_directory;
  options.last_segment = *last;
  options.keep_from = std::min(head_.truncated_before(), head_.min_time());
  options.keep_series = [this, last](uint64_t reference) {
    return head_.KeepsReference(reference, *last);
  };
  options.compress = options_.log.compress;
  if (pace) options.pause = pace;
  const absl::Duration start = clock_->Monotonic();
  counters_.checkpoints.fetch_add(1, std::memory_order_relaxed);
  const absl::StatusOr<CheckpointStats> written = WriteCheckpoint(options);
  if (!written.ok()) {
    truncated_ = true;  // Tried again in the next round.
    counters_.checkpoints_failed.fetch_add(1, std::memory_order_relaxed);
    return Annotate(written.status(), "write a checkpoint");
  }
  counters_.checkpoint_deletions.fetch_add(1, std::memory_order_relaxed);
  const absl::Status deleted = DeleteCoveredSegments(fs_, log_directory);
  if (!deleted.ok()) {
    counters_.checkpoint_deletions_failed.fetch_add(1, std::memory_order_relaxed);
    return Annotate(deleted, "delete segments behind a checkpoint");
  }
  head_.ForgetRemoved(*last);
  if (options_.observer.log_truncated) {
    options_.observer.log_truncated(clock_->Monotonic() - start);
  }
  logger_.Info("checkpoint written", {{"last_segment", *last},
                                      {"series", written->series_kept},
                                      {"series_dropped", written->series_dropped},
                                      {"samples", written->samples_kept},
                                      {"bytes", written->bytes_written}});
  return absl::OkStatus();
}

absl::Status Db::CompactBlocksLocked(const Pace& pace) {
  const std::vector<int64_t> ranges = LevelRanges(options_.block_range_min_ms, BlockRangeMax());
  while (true) {
    NARTHEX_RETURN_IF_ERROR(Paced(pace));
    const std::shared_ptr<const BlockList> blocks = store_.list();
    const std::set<std::string> left_alone = NotToMergeLocked(*blocks);
    std::vector<std::shared_ptr<Block>> candidates;
    std::vector<BlockMeta> metas;
    for (const std::shared_ptr<Block>& block : *blocks) {
      if (left_alone.count(block->meta().ulid) > 0) continue;
      candidates.push_back(block);
      BlockMeta& meta = metas.emplace_back(block->meta());
      meta.stats.tombstones = block->tombstones();  // The meta is that of the start.
      if (failed_.count(meta.ulid) > 0) meta.compaction.failed = true;
    }
    std::vector<const BlockMeta*> views;
    for (const BlockMeta& meta : metas) views.push_back(&meta);
    const CompactionPlan plan = PlanCompaction(views, ranges);
    if (plan.reason == CompactionPlan::Reason::kNothing) return absl::OkStatus();
    counters_.compactions_triggered.fetch_add(1, std::memory_order_relaxed);
    if (plan.reason == CompactionPlan::Reason::kOverlap) {
      counters_.vertical_compactions.fetch_add(1, std::memory_order_relaxed);
    }
    std::vector<std::shared_ptr<Block>> chosen;
    for (const size_t place : plan.blocks) chosen.push_back(candidates[place]);
    const absl::Status merged = MergeLocked(chosen, pace);
    // A block that is damaged is left out from now on; anything else may be over next time.
    if (absl::IsDataLoss(merged)) MarkFailedLocked(chosen, merged);
    NARTHEX_RETURN_IF_ERROR(merged);
  }
}

std::set<std::string> Db::NotToMergeLocked(const BlockList& blocks) const {
  std::set<std::string> left_alone;
  std::string first;  // Of those that somebody wants to copy; later ones wait as well.
  for (const std::shared_ptr<Block>& block : blocks) {
    const BlockMeta& meta = block->meta();
    // What the head still has of its range comes as another block. Merged with whole blocks before
    // that it would say that everything of its range is there.
    if (IsPartial(meta) && meta.max_time > head_.min_time()) left_alone.insert(meta.ulid);
    if (options_.not_to_merge && (first.empty() || meta.ulid < first) &&
        options_.not_to_merge(meta)) {
      first = meta.ulid;
    }
  }
  for (const std::shared_ptr<Block>& block : blocks) {
    if (!first.empty() && block->meta().ulid >= first) left_alone.insert(block->meta().ulid);
  }
  return left_alone;
}

absl::Status Db::MergeLocked(const std::vector<std::shared_ptr<Block>>& blocks, const Pace& pace) {
  NARTHEX_ASSIGN_OR_RETURN(const BlockMeta meta, compactor_.Merge(options_.path, blocks, pace));
  counters_.compactions.fetch_add(1, std::memory_order_relaxed);
  if (meta.stats.series > 0) return PublishLocked(meta.ulid);
  std::vector<std::string> ulids;
  for (const std::shared_ptr<Block>& block : blocks) ulids.push_back(block->meta().ulid);
  return store_.Remove(ulids);
}

void Db::MarkFailedLocked(const std::vector<std::shared_ptr<Block>>& blocks,
                          const absl::Status& cause) {
  for (const std::shared_ptr<Block>& block : blocks) {
    BlockMeta meta = block->meta();
    logger_.Error("blocks cannot be merged; they stay as they are",
                  {{"block", meta.ulid}, {"err", cause}});
    failed_.insert(meta.ulid);
    meta.compaction.failed = true;
    meta.stats.tombstones = block->tombstones();
    const absl::Status written = fs_->WriteFileAtomically(
        io::JoinPath(block->directory(), "meta.json"), FormatBlockMeta(meta));
    if (!written.ok()) logger_.Warn("a failed block cannot be marked", {{"err", written}});
  }
}

}  // namespace narthex::tsdb
