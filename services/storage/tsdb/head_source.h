#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SOURCE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SOURCE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "services/storage/tsdb/chunk_series.h"
#include "services/storage/tsdb/head.h"

namespace narthex::tsdb {

// The series of the head as a source for compaction; see Head::Source(). It reads every sample that
// is there when it comes to the series: a fence (Head::SetFence) keeps the range as it is.
class HeadSource : public ChunkSeriesSource {
 public:
  HeadSource(const Head* head, Timestamp min_time, Timestamp max_time);
  // Of some series only.
  HeadSource(const Head* head, Timestamp min_time, Timestamp max_time, std::vector<Slot> slots);

  absl::StatusOr<bool> Next() override;
  std::span<const LabelView> labels() const override { return labels_; }
  std::span<const storage::SelectChunk> chunks() const override { return chunks_.chunks; }
  std::span<const storage::DeletedInterval> deleted() const override { return deleted_; }

 private:
  void Take(std::vector<Slot> slots);

  const Head* const head_;
  const Timestamp min_time_;
  const Timestamp max_time_;
  const Isolation::Hold hold_;  // Keeps slots and labels in place.
  std::vector<Slot> slots_;     // Those with something in the range, in label order.
  size_t next_ = 0;
  std::vector<LabelView> labels_;
  SeriesChunks chunks_;
  std::vector<storage::DeletedInterval> deleted_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SOURCE_H_
