#include "services/storage/tsdb/db_reader.h"

#include <optional>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/chunkenc/xor_chunk.h"
#include "services/storage/tsdb/db.h"

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

class HeadCursor : public SeriesCursor {
 public:
  HeadCursor(const HeadReader* reader, const storage::Selector& selector, bool sorted)
      : reader_(reader),
        min_time_(selector.hints.start),
        max_time_(selector.hints.end),
        slots_(reader->Find(selector.matchers)) {
    if (sorted) reader->SortByLabels(&slots_);
  }

  absl::StatusOr<bool> Next() override {
    if (next_ >= slots_.size()) return false;
    slot_ = slots_[next_++];
    return true;
  }
  storage::SeriesRef id() const override { return reader_->ReferenceOf(slot_); }
  Labels labels() const override { return reader_->LabelsOf(slot_); }
  absl::StatusOr<bool> Overlaps() override {
    return reader_->Overlaps(slot_, min_time_, max_time_);
  }
  absl::StatusOr<bool> ReadChunks() override {
    return reader_->ReadChunks(slot_, min_time_, max_time_, &chunks_);
  }
  std::span<const storage::SelectChunk> chunks() const override { return chunks_.chunks; }
  std::span<const storage::DeletedInterval> deleted() const override { return {}; }
  absl::StatusOr<bool> ReadSamples(SampleBuffer* out) override {
    if (!reader_->ReadChunks(slot_, min_time_, max_time_, &chunks_)) return false;
    const size_t base = out->size();
    for (const storage::SelectChunk& chunk : chunks_.chunks) {
      NARTHEX_RETURN_IF_ERROR(
          chunkenc::XorDecode(chunk.bytes, chunk.visible_samples, min_time_, max_time_, out));
    }
    return out->size() > base;
  }
  absl::StatusOr<bool> ReadNewest(SampleBuffer* out) override {
    Timestamp timestamp;
    double value;
    NARTHEX_ASSIGN_OR_RETURN(
        const bool found,
        reader_->ReadNewest(slot_, min_time_, max_time_, &chunks_, &samples_, &timestamp, &value));
    if (found) out->Append(timestamp, value);
    return found;
  }

 private:
  const HeadReader* const reader_;
  const Timestamp min_time_;
  const Timestamp max_time_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
  Slot slot_ = kNoSlot;
  // Kept for their memory.
  SeriesChunks chunks_;
  SampleBuffer samples_;
};

class EmptyCursor : public SeriesCursor {
 public:
  absl::StatusOr<bool> Next() override { return false; }
  storage::SeriesRef id() const override { return 0; }
  Labels labels() const override { return {}; }
  absl::StatusOr<bool> Overlaps() override { return false; }
  absl::StatusOr<bool> ReadChunks() override { return false; }
  std::span<const storage::SelectChunk> chunks() const override { return {}; }
  std::span<const storage::DeletedInterval> deleted() const override { return {}; }
  absl::StatusOr<bool> ReadSamples(SampleBuffer*) override { return false; }
  absl::StatusOr<bool> ReadNewest(SampleBuffer*) override { return false; }
};

}  // namespace

DbReader::DbReader(const Db* db) : rep_(std::make_unique<Rep>(db)) {}
DbReader::~DbReader() = default;

bool DbReader::has_head() const { return rep_->head.has_value(); }

absl::StatusOr<std::unique_ptr<SeriesCursor>> DbReader::Select(const storage::Selector& selector,
                                                               bool sorted) const {
  if (!has_head()) return std::make_unique<EmptyCursor>();
  return std::make_unique<HeadCursor>(&*rep_->head, selector, sorted);
}

absl::StatusOr<std::vector<std::string>> DbReader::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) const {
  if (!has_head()) return std::vector<std::string>();
  return rep_->head->LabelNames(matcher_sets, min_time, max_time);
}

absl::StatusOr<std::vector<std::string>> DbReader::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) const {
  if (!has_head()) return std::vector<std::string>();
  return rep_->head->LabelValues(name, matcher_sets, min_time, max_time);
}

}  // namespace narthex::tsdb
