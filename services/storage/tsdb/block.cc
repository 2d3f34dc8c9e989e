#include "services/storage/tsdb/block.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/chunks/reader.h"
#include "services/storage/tsdb/index/reader.h"
#include "services/storage/tsdb/index/select.h"
#include "services/storage/tsdb/tombstones.h"

namespace narthex::tsdb {
namespace {

// The postings of a million series; most blocks keep a few lists of a few thousand.
constexpr size_t kPostingsCacheBytes = size_t{4} << 20;

}  // namespace

struct Block::Rep {
  Rep(io::FileSystem* file_system, std::string block_directory)
      : fs(file_system), directory(std::move(block_directory)) {}

  std::string Path(std::string_view name) const { return io::JoinPath(directory, name); }
  absl::Status Here(const absl::Status& status) const { return Annotate(status, directory); }
  absl::Status Load();
  absl::StatusOr<uint64_t> LoadTombstones();
  std::shared_ptr<const Tombstones> CurrentTombstones() const {
    MutexLock lock(&mu);
    return tombstones;
  }
  absl::Status AddTombstones(std::span<const Matcher> matchers, storage::DeletedInterval interval,
                             Tombstones* added) const;

  // Constant after opening.
  io::FileSystem* const fs;
  const std::string directory;
  BlockMeta meta;
  std::unique_ptr<io::MappedFile> index_file;
  std::unique_ptr<index::Reader> index;
  std::unique_ptr<chunks::Reader> chunks;
  uint64_t other_bytes = 0;  // Of meta.json and tombstones.

  // Synchronises itself.
  mutable index::PostingsCache cache{kPostingsCacheBytes};

  // Held while files are written: deletions come one after another.
  Mutex delete_mu;

  // Before mu goes delete_mu.
  mutable Mutex mu;
  std::shared_ptr<const Tombstones> tombstones ABSL_GUARDED_BY(mu);
};

namespace {

class BlockSource : public ChunkSeriesSource {
 public:
  BlockSource(const Block* block, const index::Reader* index, Timestamp min_time,
              Timestamp max_time)
      : block_(block), index_(index), min_time_(min_time), max_time_(max_time) {}

  absl::StatusOr<bool> Next() override {
    if (!started_) {
      started_ = true;
      NARTHEX_ASSIGN_OR_RETURN(all_, index_->AllPostings());
    }
    while (next_ < all_.size()) {
      const BlockSeries series = all_[next_++];
      NARTHEX_RETURN_IF_ERROR(block_->ReadSeries(series, nullptr, &chunk_metas_));
      chunks_.clear();
      for (const BlockChunk& chunk : chunk_metas_) {
        if (chunk.max_time < min_time_ || chunk.min_time > max_time_) continue;
        NARTHEX_ASSIGN_OR_RETURN(storage::SelectChunk read, block_->ReadChunk(chunk));
        chunks_.push_back(read);
      }
      if (chunks_.empty()) continue;
      NARTHEX_RETURN_IF_ERROR(block_->ReadSeries(series, &labels_, nullptr));
      deleted_ = block_->Deleted(series);
      return true;
    }
    return false;
  }
  std::span<const LabelView> labels() const override { return labels_; }
  std::span<const storage::SelectChunk> chunks() const override { return chunks_; }
  std::span<const storage::DeletedInterval> deleted() const override { return deleted_; }

 private:
  // Constant after construction.
  const Block* const block_;
  const index::Reader* const index_;
  const Timestamp min_time_;
  const Timestamp max_time_;

  bool started_ = false;
  index::PostingsView all_;
  size_t next_ = 0;
  std::vector<BlockChunk> chunk_metas_;
  std::vector<LabelView> labels_;
  std::vector<storage::SelectChunk> chunks_;
  std::vector<storage::DeletedInterval> deleted_;
};

}  // namespace

Block::Block(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Block::~Block() = default;

absl::StatusOr<std::shared_ptr<Block>> Block::Open(io::FileSystem* fs, std::string directory) {
  auto rep = std::make_unique<Rep>(fs, std::move(directory));
  NARTHEX_RETURN_IF_ERROR(rep->Here(rep->Load()));
  return std::shared_ptr<Block>(new Block(std::move(rep)));
}

absl::Status Block::Rep::Load() {
  NARTHEX_ASSIGN_OR_RETURN(const std::string json, fs->ReadFile(Path("meta.json")));
  auto parsed = ParseBlockMeta(json);
  if (!parsed.ok()) return DataLoss(Message(parsed.status()));
  meta = *std::move(parsed);
  NARTHEX_ASSIGN_OR_RETURN(index_file, fs->Map(Path("index")));
  NARTHEX_ASSIGN_OR_RETURN(index, index::Reader::Open(index_file->bytes()));
  NARTHEX_ASSIGN_OR_RETURN(chunks, chunks::Reader::Open(fs, Path("chunks")));
  NARTHEX_ASSIGN_OR_RETURN(const uint64_t tombstones_bytes, LoadTombstones());
  other_bytes = json.size() + tombstones_bytes;
  return absl::OkStatus();
}

// Gives the size of the file; none is no tombstones.
absl::StatusOr<uint64_t> Block::Rep::LoadTombstones() {
  const auto bytes = fs->ReadFile(Path("tombstones"));
  auto loaded = std::make_shared<Tombstones>();
  if (bytes.ok()) {
    NARTHEX_ASSIGN_OR_RETURN(*loaded, DecodeTombstones(*bytes));
  } else if (!absl::IsNotFound(bytes.status())) {
    return bytes.status();
  }
  MutexLock lock(&mu);
  tombstones = std::move(loaded);
  return bytes.ok() ? bytes->size() : 0;
}

const std::string& Block::directory() const { return rep_->directory; }
const BlockMeta& Block::meta() const { return rep_->meta; }
uint64_t Block::size_bytes() const {
  return rep_->index_file->bytes().size() + rep_->chunks->size_bytes() + rep_->other_bytes;
}

absl::StatusOr<std::vector<BlockSeries>> Block::Select(std::span<const Matcher> matchers) const {
  const auto series = index::Select(*rep_->index, matchers, &rep_->cache);
  if (!series.ok()) return rep_->Here(series.status());
  return std::vector<BlockSeries>(series->begin(), series->end());
}

absl::Status Block::ReadSeries(BlockSeries series, std::vector<LabelView>* labels,
                               std::vector<BlockChunk>* chunks) const {
  const absl::Status status = rep_->index->ReadSeries(series, labels, chunks);
  return status.ok() ? status : rep_->Here(status);
}

absl::StatusOr<storage::SelectChunk> Block::ReadChunk(const BlockChunk& chunk) const {
  chunks::StoredChunk stored;
  const absl::Status status = rep_->chunks->Read(chunk.reference, &stored);
  if (!status.ok()) return rep_->Here(status);
  return storage::SelectChunk{stored.encoding, chunk.min_time, chunk.max_time,
                              chunkenc::ChunkSampleCount(stored.encoding, stored.bytes),
                              stored.bytes};
}

absl::StatusOr<std::vector<std::string>> Block::LabelNames(
    std::span<const Matcher> matchers) const {
  std::vector<std::string> names;
  if (matchers.empty()) {
    for (const std::string_view name : rep_->index->Names()) names.emplace_back(name);
    return names;
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<BlockSeries> selected, Select(matchers));
  absl::flat_hash_set<uint64_t> seen;
  std::vector<index::Reader::SymbolPair> labels;
  for (const BlockSeries series : selected) {
    NARTHEX_RETURN_IF_ERROR(rep_->Here(rep_->index->ReadSeriesSymbols(series, &labels)));
    for (const index::Reader::SymbolPair& label : labels) {
      if (!seen.insert(label.first).second) continue;
      const auto name = rep_->index->Symbol(label.first);
      if (!name.ok()) return rep_->Here(name.status());
      names.emplace_back(*name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<std::string>> Block::LabelValues(
    std::string_view name, std::span<const Matcher> matchers) const {
  const index::Reader& index = *rep_->index;
  std::vector<std::string> values;
  if (matchers.empty()) {
    NARTHEX_RETURN_IF_ERROR(
        rep_->Here(index.VisitValues(name, "", [&values](std::string_view value, uint64_t) {
          values.emplace_back(value);
          return true;
        })));
    return values;
  }
  NARTHEX_ASSIGN_OR_RETURN(const index::SeriesList selected,
                           index::Select(index, matchers, &rep_->cache));
  if (selected.size() < index.values(name)) {
    for (const uint32_t series : selected) {
      const auto value = index.LabelValue(series, name);
      if (!value.ok()) return rep_->Here(value.status());
      if (!value->empty()) values.emplace_back(*value);
    }
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  }
  absl::Status status;
  const absl::Status visited =
      index.VisitValues(name, "", [&](std::string_view value, uint64_t offset) {
        const auto list = index.PostingsAt(offset);
        if (!list.ok()) {
          status = list.status();
          return false;
        }
        if (index::Intersects(*list, selected)) values.emplace_back(value);
        return true;
      });
  NARTHEX_RETURN_IF_ERROR(rep_->Here(status.ok() ? visited : status));
  return values;
}

std::vector<storage::DeletedInterval> Block::Deleted(BlockSeries series) const {
  return rep_->CurrentTombstones()->Of(series);
}

uint64_t Block::tombstones() const { return rep_->CurrentTombstones()->size(); }

// As upstream, the interval is cut to the times that the series has.
absl::Status Block::Rep::AddTombstones(std::span<const Matcher> matchers,
                                       storage::DeletedInterval interval, Tombstones* added) const {
  NARTHEX_ASSIGN_OR_RETURN(const index::SeriesList selected,
                           index::Select(*index, matchers, &cache));
  std::vector<BlockChunk> chunk_metas;
  for (const uint32_t series : selected) {
    NARTHEX_RETURN_IF_ERROR(index->ReadSeries(series, nullptr, &chunk_metas));
    const bool overlaps =
        std::any_of(chunk_metas.begin(), chunk_metas.end(), [&](const BlockChunk& chunk) {
          return chunk.min_time <= interval.max_time && interval.min_time <= chunk.max_time;
        });
    if (!overlaps) continue;
    added->Add(series, {std::max(interval.min_time, chunk_metas.front().min_time),
                        std::min(interval.max_time, chunk_metas.back().max_time)});
  }
  return absl::OkStatus();
}

absl::Status Block::Delete(std::span<const Matcher> matchers, Timestamp min_time,
                           Timestamp max_time) {
  if (max_time < min_time) {
    return InvalidArgument("the interval from ", min_time, " to ", max_time, " is empty");
  }
  MutexLock delete_lock(&rep_->delete_mu);
  auto changed = std::make_shared<Tombstones>(*rep_->CurrentTombstones());
  const std::string before = EncodeTombstones(*changed);
  NARTHEX_RETURN_IF_ERROR(
      rep_->Here(rep_->AddTombstones(matchers, {min_time, max_time}, changed.get())));
  const std::string bytes = EncodeTombstones(*changed);
  if (bytes == before) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(rep_->fs->WriteFileAtomically(rep_->Path("tombstones"), bytes));
  const uint64_t intervals = changed->size();
  {
    MutexLock lock(&rep_->mu);
    rep_->tombstones = std::move(changed);
  }
  // Read again: the compactor may have marked the block since it was opened.
  NARTHEX_ASSIGN_OR_RETURN(const std::string json, rep_->fs->ReadFile(rep_->Path("meta.json")));
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta meta, ParseBlockMeta(json));
  meta.stats.tombstones = intervals;
  return rep_->fs->WriteFileAtomically(rep_->Path("meta.json"), FormatBlockMeta(meta));
}

std::unique_ptr<ChunkSeriesSource> Block::Source(Timestamp min_time, Timestamp max_time) const {
  return std::make_unique<BlockSource>(this, rep_->index.get(), min_time, max_time);
}

}  // namespace narthex::tsdb
