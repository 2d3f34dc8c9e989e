#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_READER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/sample_buffer.h"
#include "lib/storage/append_batch.h"
#include "services/storage/tsdb/head.h"

namespace narthex::tsdb {

// The head as it was when the reader was made: batches that come later are not seen, and no batch
// is seen in part. Keeps them cheap to tell apart for the appender only while it lives, so it
// should not live long.
//
// Thread safety: none; any number of readers work beside each other and beside appenders.
class HeadReader {
 public:
  // `head` must outlive the reader.
  explicit HeadReader(const Head* head) : head_(head), reader_(head->isolation().BeginRead()) {}
  ~HeadReader() { head_->isolation().EndRead(reader_); }
  HeadReader(const HeadReader&) = delete;
  HeadReader& operator=(const HeadReader&) = delete;

  // The series that match; some may have no sample that this reader sees.
  std::vector<Slot> Find(std::span<const Matcher> matchers) const {
    return head_->index().Select(matchers);
  }
  void SortByLabels(std::vector<Slot>* slots) const { head_->index().SortByLabels(slots); }
  storage::SeriesRef ReferenceOf(Slot slot) const { return head_->table().cold(slot).reference; }
  Labels LabelsOf(Slot slot) const { return head_->index().LabelsOf(slot); }
  // Of a bounded piece of slots at a time; see SeriesIndex.
  void VisitLabels(std::span<const Slot> slots,
                   const std::function<void(size_t, std::span<const LabelView>)>& visit) const {
    head_->index().VisitLabels(slots, visit);
  }

  // kNoSlot when nothing has this reference, or no longer.
  Slot FindReference(storage::SeriesRef reference) const {
    return head_->table().FindReference(reference);
  }
  // Batches up to this one are seen.
  BatchNumber visible() const { return reader_.visible; }

  // The intervals of the series that are deleted, sorted, apart from each other; *out is
  // overwritten. They hold for all samples of the series that the head has, and readers of blocks
  // and out-of-order samples have intervals of their own. Costs one load where nothing is deleted.
  void Deleted(Slot slot, std::vector<storage::DeletedInterval>* out) const {
    head_->Deleted(slot, out);
  }

  // The chunks that overlap min_time…max_time (inclusive); false when there is none. They are valid
  // as long as the reader and *out.
  bool ReadChunks(Slot slot, Timestamp min_time, Timestamp max_time, SeriesChunks* out) const {
    return head_->table().ReadChunks(slot, min_time, max_time, reader_.visible, out);
  }
  bool Overlaps(Slot slot, Timestamp min_time, Timestamp max_time) const {
    return head_->table().Overlaps(slot, min_time, max_time, reader_.visible);
  }
  // The newest sample of the chunks where it can be told without decoding; false when it is hidden
  // or newer than max_time.
  bool NewestSample(Slot slot, Timestamp max_time, Timestamp* timestamp, double* value) const {
    return head_->table().NewestSample(slot, max_time, reader_.visible, timestamp, value);
  }

  // The same of samples that came late; see OooHead.
  bool HasOutOfOrder(Slot slot) const { return !head_->ooo().empty() && head_->ooo().Has(slot); }
  bool ReadOutOfOrder(Slot slot, Timestamp min_time, Timestamp max_time, OooChunks* out) const {
    return !head_->ooo().empty() &&
           head_->ooo().ReadChunks(slot, min_time, max_time, reader_.visible, out);
  }
  bool OutOfOrderOverlaps(Slot slot, Timestamp min_time, Timestamp max_time) const {
    return !head_->ooo().empty() &&
           head_->ooo().Overlaps(slot, min_time, max_time, reader_.visible);
  }

  // The newest sample within min_time…max_time; false when there is none. `scratch` and `buffer`
  // are overwritten.
  absl::StatusOr<bool> ReadNewest(Slot slot, Timestamp min_time, Timestamp max_time,
                                  SeriesChunks* scratch, SampleBuffer* buffer, Timestamp* timestamp,
                                  double* value) const;

  // Sorted. Of series that have samples in chunks which overlap the range.
  std::vector<std::string> LabelNames(std::span<const std::vector<Matcher>> matcher_sets,
                                      Timestamp min_time, Timestamp max_time) const;
  std::vector<std::string> LabelValues(std::string_view name,
                                       std::span<const std::vector<Matcher>> matcher_sets,
                                       Timestamp min_time, Timestamp max_time) const;

 private:
  std::vector<Slot> FindAny(std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
                            Timestamp max_time) const;

  const Head* const head_;
  const Isolation::Reader reader_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_READER_H_
