#include "services/storage/tsdb/block_writer.h"

#include <vector>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/chunks/writer.h"
#include "services/storage/tsdb/tombstones.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {
namespace {

constexpr uint64_t kPaceBytes = uint64_t{256} << 10;

std::string Describe(std::span<const LabelView> labels) {
  std::string text = "{";
  for (const LabelView& label : labels) {
    StrAppend(&text, text.size() > 1 ? ", " : "", label.name, "=", Quote(label.value));
  }
  return text + "}";
}

}  // namespace

struct BlockWriter::Rep {
  Rep(io::FileSystem* file_system, std::string parent_directory, BlockMeta base,
      BlockWriterOptions writer_options)
      : fs(file_system),
        parent(std::move(parent_directory)),
        directory(io::JoinPath(parent, base.ulid)),
        temporary(directory + std::string(kCreationSuffix)),
        options(std::move(writer_options)),
        meta(std::move(base)) {}

  absl::Status CheckChunk(const storage::SelectChunk& chunk) const;
  absl::Status Add(std::span<const LabelView> labels,
                   std::span<const storage::SelectChunk> series_chunks);
  absl::Status Complete();

  // Constant after construction.
  io::FileSystem* const fs;
  const std::string parent;
  const std::string directory;
  const std::string temporary;
  const BlockWriterOptions options;

  BlockMeta meta;
  std::unique_ptr<chunks::Writer> chunk_writer;
  std::unique_ptr<index::Writer> index_writer;
  std::vector<index::ChunkMeta> chunk_metas;
  Tombstones deleted;  // By place of the series among those added.
  uint64_t paced = 0;
  bool on_disk = false;  // There is something to remove.
  absl::Status broken;   // First failure; returned by every later call.
};

BlockWriter::BlockWriter(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

BlockWriter::~BlockWriter() {
  rep_->chunk_writer = nullptr;
  rep_->index_writer = nullptr;
  // What cannot be removed now is removed by the next start.
  if (rep_->on_disk) rep_->fs->RemoveAll(rep_->temporary).IgnoreError();
}

absl::StatusOr<std::unique_ptr<BlockWriter>> BlockWriter::Create(io::FileSystem* fs,
                                                                 std::string parent_directory,
                                                                 BlockMeta base,
                                                                 BlockWriterOptions options) {
  if (!Ulid::Parse(base.ulid)) return InvalidArgument("block: ", Quote(base.ulid), " is no ULID");
  if (base.max_time <= base.min_time) {
    return InvalidArgument("block ", base.ulid, ": empty range from ", base.min_time, " to ",
                           base.max_time);
  }
  base.stats = {};
  if (base.compaction.sources.empty()) base.compaction.sources = {base.ulid};
  std::unique_ptr<BlockWriter> writer(new BlockWriter(
      std::make_unique<Rep>(fs, std::move(parent_directory), std::move(base), std::move(options))));
  Rep& rep = *writer->rep_;
  if (fs->Exists(rep.directory)) return AlreadyExists("block ", rep.directory, " exists");
  NARTHEX_RETURN_IF_ERROR(fs->RemoveAll(rep.temporary));
  rep.on_disk = true;
  const std::string chunks_directory = io::JoinPath(rep.temporary, "chunks");
  NARTHEX_RETURN_IF_ERROR(fs->CreateDirectories(chunks_directory));
  NARTHEX_ASSIGN_OR_RETURN(
      rep.chunk_writer,
      chunks::Writer::Create(fs, chunks_directory,
                             {.segment_size_bytes = rep.options.segment_size_bytes}));
  NARTHEX_ASSIGN_OR_RETURN(
      rep.index_writer,
      index::Writer::Create(fs, io::JoinPath(rep.temporary, "index"), rep.options.index));
  return writer;
}

absl::Status BlockWriter::Rep::CheckChunk(const storage::SelectChunk& chunk) const {
  if (!chunkenc::IsKnown(chunk.encoding)) {
    return InvalidArgument("a chunk of encoding ", static_cast<int>(chunk.encoding));
  }
  const uint32_t stated = chunkenc::ChunkSampleCount(chunk.encoding, chunk.bytes);
  if (stated == 0 || stated != chunk.visible_samples) {
    return InvalidArgument("a chunk of ", stated, " samples is not ", chunk.visible_samples,
                           " as a whole");
  }
  if (chunk.min_time < meta.min_time || chunk.max_time >= meta.max_time) {
    return InvalidArgument("a chunk from ", chunk.min_time, " to ", chunk.max_time,
                           " is not within the block from ", meta.min_time, " to before ",
                           meta.max_time);
  }
  return absl::OkStatus();
}

absl::Status BlockWriter::Rep::Add(std::span<const LabelView> labels,
                                   std::span<const storage::SelectChunk> series_chunks) {
  chunk_metas.clear();
  for (const storage::SelectChunk& chunk : series_chunks) {
    NARTHEX_RETURN_IF_ERROR(CheckChunk(chunk));
    NARTHEX_ASSIGN_OR_RETURN(const uint64_t reference,
                             chunk_writer->Add(chunk.encoding, chunk.bytes));
    chunk_metas.push_back({chunk.min_time, chunk.max_time, reference});
  }
  NARTHEX_RETURN_IF_ERROR(index_writer->Add(labels, chunk_metas));
  ++meta.stats.series;
  meta.stats.chunks += series_chunks.size();
  for (const storage::SelectChunk& chunk : series_chunks) {
    meta.stats.samples += chunk.visible_samples;
    const bool is_float = chunkenc::KindOf(chunk.encoding) == SampleKind::kFloat;
    (is_float ? meta.stats.float_samples : meta.stats.histogram_samples) += chunk.visible_samples;
  }
  return absl::OkStatus();
}

absl::Status BlockWriter::Add(std::span<const LabelView> labels,
                              std::span<const storage::SelectChunk> chunks) {
  Rep& rep = *rep_;
  NARTHEX_RETURN_IF_ERROR(rep.broken);
  if (chunks.empty()) return absl::OkStatus();
  rep.broken = rep.Add(labels, chunks);
  if (!rep.broken.ok()) {
    rep.broken =
        Annotate(rep.broken, StrCat("block ", rep.meta.ulid, ": series ", Describe(labels)));
    return rep.broken;
  }
  const uint64_t written = rep.chunk_writer->size_bytes() + rep.index_writer->size_bytes();
  if (rep.options.pace && written - rep.paced >= kPaceBytes) {
    rep.broken = rep.options.pace(written - rep.paced);
    rep.paced = written;
  }
  return rep.broken;
}

void BlockWriter::AddDeleted(std::span<const storage::DeletedInterval> intervals) {
  NARTHEX_CHECK(rep_->meta.stats.series > 0);
  for (const storage::DeletedInterval& interval : intervals) {
    rep_->deleted.Add(rep_->meta.stats.series - 1, interval);
  }
}

absl::Status BlockWriter::Rep::Complete() {
  NARTHEX_RETURN_IF_ERROR(chunk_writer->Finish());
  NARTHEX_RETURN_IF_ERROR(index_writer->Finish(options.pace));
  Tombstones tombstones;
  for (const auto& [place, intervals] : deleted.all()) {
    for (const storage::DeletedInterval& interval : intervals) {
      tombstones.Add(index_writer->series_number(place), interval);
    }
  }
  meta.stats.tombstones = tombstones.size();
  NARTHEX_RETURN_IF_ERROR(
      fs->WriteFileAtomically(io::JoinPath(temporary, "tombstones"), EncodeTombstones(tombstones)));
  NARTHEX_RETURN_IF_ERROR(
      fs->WriteFileAtomically(io::JoinPath(temporary, "meta.json"), FormatBlockMeta(meta)));
  NARTHEX_RETURN_IF_ERROR(fs->SyncDirectory(temporary));
  NARTHEX_RETURN_IF_ERROR(fs->Rename(temporary, directory));
  on_disk = false;
  const absl::Status synced = fs->SyncDirectory(parent);
  // The caller will write the same samples again: a block that may or may not survive must not
  // stay beside the next one.
  if (!synced.ok()) RemoveBlock(fs, directory).IgnoreError();
  return synced;
}

absl::StatusOr<BlockMeta> BlockWriter::Finish() {
  Rep& rep = *rep_;
  NARTHEX_RETURN_IF_ERROR(rep.broken);
  if (rep.meta.stats.series == 0) {
    rep.broken = FailedPrecondition("block ", rep.meta.ulid, " is finished");
    return rep.meta;
  }
  const absl::Status completed = rep.Complete();
  if (!completed.ok()) {
    rep.broken = Annotate(completed, StrCat("block ", rep.meta.ulid));
    return rep.broken;
  }
  rep.broken = FailedPrecondition("block ", rep.meta.ulid, " is finished");
  return rep.meta;
}

absl::Status RemoveBlock(io::FileSystem* fs, const std::string& directory) {
  const std::string leftover = directory + std::string(kDeletionSuffix);
  NARTHEX_RETURN_IF_ERROR(fs->RemoveAll(leftover));
  NARTHEX_RETURN_IF_ERROR(fs->Rename(directory, leftover));
  NARTHEX_RETURN_IF_ERROR(fs->SyncDirectory(std::string(io::DirName(directory))));
  return fs->RemoveAll(leftover);
}

}  // namespace narthex::tsdb
