#include "services/storage/tsdb/db_reader.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/merge_source.h"
#include "services/storage/tsdb/tombstones.h"

namespace narthex::tsdb {

struct DbReader::Rep {
  explicit Rep(const Db* of) : db(of), ticket(of->gate_.Enter()) {
    if (db->ready()) head.emplace(&db->head());
    // After the head: what was truncated away before its moment is in these.
    blocks = db->blocks();
  }
  ~Rep() { db->gate_.Leave(ticket); }

  const Db* const db;
  const uint64_t ticket;
  std::optional<HeadReader> head;
  std::shared_ptr<const BlockList> blocks;
};

namespace {

// The head, its out-of-order samples and blocks side by side. Where there are blocks they are
// joined in label order: label sets of the head are copied a piece at a time, those of blocks lie
// in their files. The head alone comes in any order, and its labels are not looked at.
class DbCursor : public SeriesCursor {
 public:
  // `head` may be null. Blocks are pinned by the reader.
  static absl::StatusOr<std::unique_ptr<SeriesCursor>> Create(
      const HeadReader* head, std::span<const std::shared_ptr<Block>> blocks,
      const storage::Selector& selector, bool sorted) {
    std::unique_ptr<DbCursor> cursor(new DbCursor(head, selector.hints));
    if (head != nullptr) {
      cursor->slots_ = head->Find(selector.matchers);
    }
    for (const std::shared_ptr<Block>& block : blocks) {
      NARTHEX_ASSIGN_OR_RETURN(std::vector<BlockSeries> series, block->Select(selector.matchers));
      if (series.empty()) continue;
      BlockPart& part = cursor->parts_.emplace_back();
      part.block = block.get();
      part.series = std::move(series);
      NARTHEX_RETURN_IF_ERROR(cursor->ReadPart(&part));
    }
    if (head != nullptr && (sorted || !cursor->parts_.empty())) {
      head->SortByLabels(&cursor->slots_);
    }
    if (!cursor->parts_.empty()) cursor->ReadPiece();
    return cursor;
  }

  absl::StatusOr<bool> Next() override {
    if (parts_.empty()) {
      if (at_head_) ++next_slot_;
      at_head_ = next_slot_ < slots_.size();
      return at_head_;
    }
    if (at_head_) {
      ++next_slot_;
      if (next_slot_ == piece_end_) ReadPiece();
    }
    for (BlockPart* const part : at_parts_) {
      ++part->next;
      NARTHEX_RETURN_IF_ERROR(ReadPart(part));
    }
    at_head_ = next_slot_ < slots_.size();
    at_parts_.clear();
    labels_ = {};
    if (at_head_) labels_ = PieceLabels(next_slot_);
    for (BlockPart& part : parts_) {
      if (part.next >= part.series.size()) continue;
      const bool first = !at_head_ && at_parts_.empty();
      const int order = first ? -1 : CompareLabels(part.labels, labels_);
      if (order > 0) continue;
      if (order < 0) {
        at_head_ = false;
        at_parts_.clear();
        labels_ = part.labels;
      }
      at_parts_.push_back(&part);
    }
    return at_head_ || !at_parts_.empty();
  }
  storage::SeriesRef id() const override { return at_head_ ? head_->ReferenceOf(slot()) : 0; }
  Labels labels() const override {
    return parts_.empty() ? head_->LabelsOf(slot()) : Labels::FromSorted(labels_);
  }

  absl::StatusOr<bool> Overlaps() override {
    if (at_head_ && (head_->Overlaps(slot(), min_time_, max_time_) ||
                     head_->OutOfOrderOverlaps(slot(), min_time_, max_time_))) {
      return true;
    }
    for (const BlockPart* const part : at_parts_) {
      NARTHEX_RETURN_IF_ERROR(ReadMetas(*part));
      for (const BlockChunk& meta : metas_) {
        if (Within(meta) && !CoveredBy(part_deleted_, meta.min_time, meta.max_time)) return true;
      }
    }
    return false;
  }

  absl::StatusOr<bool> ReadChunks() override {
    if (Plain()) {
      deleted_ = {};
      const bool found = head_->ReadChunks(slot(), min_time_, max_time_, &head_chunks_);
      NARTHEX_RETURN_IF_ERROR(head_chunks_.damage);
      view_ = head_chunks_.chunks;
      return found;
    }
    NARTHEX_RETURN_IF_ERROR(Gather());
    chunks_.clear();
    deleted_ = {};
    merger_.Clear();
    // Deleted intervals travel where they hold for all chunks; else what they touch is encoded
    // without them.
    bool several = false;
    bool any_deleted = false;
    for (const OriginChunk& origin : gathered_) {
      several = several || origin.origin != gathered_[0].origin;
      any_deleted = any_deleted || !origin.deleted.empty();
    }
    if (any_deleted && several) {
      NARTHEX_RETURN_IF_ERROR(merger_.Merge(&gathered_, kMinTimestamp, kMaxTimestamp, &chunks_));
      view_ = chunks_;
      return !chunks_.empty();
    }
    if (any_deleted) deleted_ = gathered_[0].deleted;
    for (const OriginChunk& origin : gathered_) {
      // A series of which nothing is left is not answered.
      const bool gone = std::any_of(deleted_.begin(), deleted_.end(),
                                    [&](const storage::DeletedInterval& interval) {
                                      return interval.min_time <= origin.chunk.min_time &&
                                             interval.max_time >= origin.chunk.max_time;
                                    });
      if (!gone) chunks_.push_back(origin.chunk);
    }
    if (several) {
      std::stable_sort(chunks_.begin(), chunks_.end(),
                       [](const storage::SelectChunk& a, const storage::SelectChunk& b) {
                         return a.min_time < b.min_time;
                       });
    }
    view_ = chunks_;
    return !chunks_.empty();
  }
  std::span<const storage::SelectChunk> chunks() const override { return view_; }
  std::span<const storage::DeletedInterval> deleted() const override { return deleted_; }

  absl::StatusOr<bool> ReadSamples(SampleBuffer* out) override {
    const size_t base = out->size();
    NARTHEX_RETURN_IF_ERROR(Gather());
    NARTHEX_RETURN_IF_ERROR(merger_.Decode(&gathered_, min_time_, max_time_, out));
    return out->size() > base;
  }

  absl::StatusOr<bool> ReadNewest(SampleBuffer* out) override {
    newest_.Clear();
    if (at_head_) NARTHEX_RETURN_IF_ERROR(NewestOfHead());
    for (const BlockPart* const part : at_parts_) {
      NARTHEX_RETURN_IF_ERROR(ReadMetas(*part));
      for (size_t i = metas_.size(); i-- > 0;) {
        if (!Within(metas_[i])) continue;
        if (!MayHaveNewer(metas_[i].max_time)) break;
        NARTHEX_ASSIGN_OR_RETURN(const storage::SelectChunk chunk,
                                 part->block->ReadChunk(metas_[i]));
        NARTHEX_ASSIGN_OR_RETURN(const bool found, NoteNewest(chunk, part_deleted_));
        if (found) break;
      }
    }
    if (newest_.empty()) return false;
    out->AppendFrom(newest_, 0);
    return true;
  }

 private:
  struct BlockPart {
    const Block* block = nullptr;
    std::vector<BlockSeries> series;
    size_t next = 0;
    std::vector<LabelView> labels;  // Of series[next].
  };

  DbCursor(const HeadReader* head, const storage::SelectHints& hints)
      : head_(head), min_time_(hints.start), max_time_(hints.end) {}

  Slot slot() const { return slots_[next_slot_]; }
  // Whether the current series is nothing but chunks of the head.
  bool Plain() {
    if (!at_parts_.empty() || head_->HasOutOfOrder(slot())) return false;
    head_->Deleted(slot(), &head_deleted_);
    return head_deleted_.empty();
  }

  bool MayHaveNewer(Timestamp time) const {
    return newest_.empty() || time > newest_.timestamps()[0];
  }
  // Takes the newest sample of the chunk if it is newer than newest_; false when the chunk has
  // nothing in the range.
  absl::StatusOr<bool> NoteNewest(const storage::SelectChunk& chunk,
                                  std::span<const storage::DeletedInterval> deleted) {
    samples_.Clear();
    NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(
        chunk.encoding, chunk.bytes, chunk.visible_samples, min_time_, max_time_, &samples_));
    DropDeleted(deleted, 0, &samples_);
    if (samples_.empty()) return false;
    if (MayHaveNewer(samples_.timestamps().back())) {
      newest_.Clear();
      newest_.AppendFrom(samples_, samples_.size() - 1);
    }
    return true;
  }
  absl::Status NewestOfHead() {
    Timestamp timestamp;
    double value;
    if (Plain() && head_->NewestSample(slot(), max_time_, &timestamp, &value)) {
      if (timestamp >= min_time_) newest_.Append(timestamp, value);
      return absl::OkStatus();
    }
    head_->Deleted(slot(), &head_deleted_);
    if (head_->ReadChunks(slot(), min_time_, max_time_, &head_chunks_)) {
      NARTHEX_RETURN_IF_ERROR(head_chunks_.damage);
      for (size_t i = head_chunks_.chunks.size(); i-- > 0;) {
        NARTHEX_ASSIGN_OR_RETURN(const bool found,
                                 NoteNewest(head_chunks_.chunks[i], head_deleted_));
        if (found) break;
      }
    }
    if (head_->ReadOutOfOrder(slot(), min_time_, max_time_, &late_chunks_)) {
      for (const storage::SelectChunk& chunk : late_chunks_.chunks) {
        if (!MayHaveNewer(chunk.max_time)) continue;
        NARTHEX_RETURN_IF_ERROR(NoteNewest(chunk, {}).status());
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ReadPart(BlockPart* part) {
    if (part->next >= part->series.size()) return absl::OkStatus();
    return part->block->ReadSeries(part->series[part->next], &part->labels, nullptr);
  }
  bool Within(const BlockChunk& meta) const {
    return meta.max_time >= min_time_ && meta.min_time <= max_time_;
  }
  absl::Status ReadMetas(const BlockPart& part) {
    const BlockSeries series = part.series[part.next];
    NARTHEX_RETURN_IF_ERROR(part.block->ReadSeries(series, nullptr, &metas_));
    part_deleted_ = part.block->Deleted(series);
    return absl::OkStatus();
  }

  // Copies the labels of the next slots.
  void ReadPiece() {
    constexpr size_t kSlotsPerPiece = 256;
    piece_begin_ = next_slot_;
    piece_end_ = std::min(slots_.size(), next_slot_ + kSlotsPerPiece);
    if (piece_begin_ == piece_end_) return;
    piece_text_.clear();
    piece_sizes_.clear();
    piece_ends_.assign(piece_end_ - piece_begin_, 0);
    const std::span<const Slot> slots(slots_.data() + piece_begin_, piece_end_ - piece_begin_);
    head_->VisitLabels(slots, [&](size_t i, std::span<const LabelView> labels) {
      for (const LabelView& label : labels) {
        piece_text_.append(label.name).append(label.value);
        piece_sizes_.push_back({label.name.size(), label.value.size()});
      }
      piece_ends_[i] = piece_sizes_.size();
    });
    piece_views_.clear();
    const char* at = piece_text_.data();
    for (const auto& [name_size, value_size] : piece_sizes_) {
      piece_views_.push_back({{at, name_size}, {at + name_size, value_size}});
      at += name_size + value_size;
    }
  }
  std::span<const LabelView> PieceLabels(size_t slot) const {
    const size_t i = slot - piece_begin_;
    const size_t begin = i == 0 ? 0 : piece_ends_[i - 1];
    return std::span(piece_views_).subspan(begin, piece_ends_[i] - begin);
  }

  // The chunks of the current series that overlap the range, from everywhere. The head is the
  // origin that counts where two have a sample of one time.
  absl::Status Gather() {
    gathered_.clear();
    origin_deleted_.clear();
    if (at_head_) {
      head_->Deleted(slot(), &head_deleted_);
      if (head_->ReadChunks(slot(), min_time_, max_time_, &head_chunks_)) {
        NARTHEX_RETURN_IF_ERROR(head_chunks_.damage);
        for (const storage::SelectChunk& chunk : head_chunks_.chunks) {
          gathered_.push_back({chunk, 0, head_deleted_});
        }
      }
      if (head_->ReadOutOfOrder(slot(), min_time_, max_time_, &late_chunks_)) {
        for (const storage::SelectChunk& chunk : late_chunks_.chunks) {
          gathered_.push_back({chunk, 1, {}});
        }
      }
    }
    size_t origin = 1;
    for (const BlockPart* const part : at_parts_) {
      ++origin;
      NARTHEX_RETURN_IF_ERROR(ReadMetas(*part));
      const std::vector<storage::DeletedInterval>& deleted =
          origin_deleted_.emplace_back(std::move(part_deleted_));
      for (const BlockChunk& meta : metas_) {
        if (!Within(meta) || CoveredBy(deleted, meta.min_time, meta.max_time)) continue;
        NARTHEX_ASSIGN_OR_RETURN(const storage::SelectChunk chunk, part->block->ReadChunk(meta));
        gathered_.push_back({chunk, origin, deleted});
      }
    }
    return absl::OkStatus();
  }

  const HeadReader* const head_;
  const Timestamp min_time_;
  const Timestamp max_time_;

  std::vector<Slot> slots_;  // Of the head, by labels.
  size_t next_slot_ = 0;
  std::deque<BlockPart> parts_;

  // The current series.
  bool at_head_ = false;
  std::vector<BlockPart*> at_parts_;
  std::span<const LabelView> labels_;

  // The labels of slots_[piece_begin_…piece_end_).
  size_t piece_begin_ = 0;
  size_t piece_end_ = 0;
  std::string piece_text_;
  std::vector<std::pair<size_t, size_t>> piece_sizes_;
  std::vector<size_t> piece_ends_;
  std::vector<LabelView> piece_views_;

  // Kept for their memory.
  SeriesChunks head_chunks_;
  OooChunks late_chunks_;
  std::vector<storage::DeletedInterval> head_deleted_;
  SampleBuffer samples_;
  SampleBuffer newest_;
  std::vector<BlockChunk> metas_;
  std::vector<storage::DeletedInterval> part_deleted_;
  std::deque<std::vector<storage::DeletedInterval>> origin_deleted_;
  std::vector<OriginChunk> gathered_;
  std::vector<storage::SelectChunk> chunks_;
  std::span<const storage::SelectChunk> view_;
  std::span<const storage::DeletedInterval> deleted_;
  ChunkMerger merger_;
};

// The blocks of the list that overlap the range.
BlockList Overlapping(const BlockList& blocks, Timestamp min_time, Timestamp max_time) {
  BlockList found;
  for (const std::shared_ptr<Block>& block : blocks) {
    if (block->meta().min_time <= max_time && block->meta().max_time > min_time) {
      found.push_back(block);
    }
  }
  return found;
}

// Both are sorted and unique, and so is what comes out.
void Join(std::vector<std::string> more, std::vector<std::string>* strings) {
  // Mostly a block has nothing new.
  if (std::includes(strings->begin(), strings->end(), more.begin(), more.end())) return;
  std::vector<std::string> joined;
  joined.reserve(strings->size() + more.size());
  std::set_union(std::make_move_iterator(strings->begin()), std::make_move_iterator(strings->end()),
                 std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()),
                 std::back_inserter(joined));
  *strings = std::move(joined);
}

}  // namespace

DbReader::DbReader(const Db* db) : rep_(std::make_unique<Rep>(db)) {}
DbReader::~DbReader() = default;

bool DbReader::has_head() const { return rep_->head.has_value(); }

absl::StatusOr<std::unique_ptr<SeriesCursor>> DbReader::Select(const storage::Selector& selector,
                                                               bool sorted) const {
  const HeadReader* const head = has_head() ? &*rep_->head : nullptr;
  const BlockList blocks = Overlapping(*rep_->blocks, selector.hints.start, selector.hints.end);
  return DbCursor::Create(head, blocks, selector, sorted);
}

absl::StatusOr<std::vector<std::string>> DbReader::Collect(
    std::vector<std::string> of_head, std::span<const std::vector<Matcher>> matcher_sets,
    Timestamp min_time, Timestamp max_time, const Lookup& lookup) const {
  const BlockList blocks = Overlapping(*rep_->blocks, min_time, max_time);
  if (blocks.empty()) return of_head;
  std::vector<std::string> all = std::move(of_head);
  const std::vector<Matcher> none;
  for (const std::shared_ptr<Block>& block : blocks) {
    const size_t count = std::max<size_t>(1, matcher_sets.size());
    for (size_t i = 0; i < count; ++i) {
      NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> found,
                               lookup(*block, matcher_sets.empty() ? none : matcher_sets[i]));
      Join(std::move(found), &all);
    }
  }
  return all;
}

absl::StatusOr<std::vector<std::string>> DbReader::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) const {
  std::vector<std::string> of_head;
  if (has_head()) of_head = rep_->head->LabelNames(matcher_sets, min_time, max_time);
  return Collect(std::move(of_head), matcher_sets, min_time, max_time,
                 [](const Block& block, std::span<const Matcher> matchers) {
                   return block.LabelNames(matchers);
                 });
}

absl::StatusOr<std::vector<std::string>> DbReader::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) const {
  std::vector<std::string> of_head;
  if (has_head()) of_head = rep_->head->LabelValues(name, matcher_sets, min_time, max_time);
  return Collect(std::move(of_head), matcher_sets, min_time, max_time,
                 [name](const Block& block, std::span<const Matcher> matchers) {
                   return block.LabelValues(name, matchers);
                 });
}

}  // namespace narthex::tsdb
