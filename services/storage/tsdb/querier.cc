#include "services/storage/tsdb/querier.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/xor_chunk.h"
#include "lib/model/sample.h"

namespace narthex::tsdb {
namespace {

bool Passed(uint64_t count, uint64_t limit) { return limit > 0 && count > limit; }

}  // namespace

absl::Status SelectBudget::Spend(uint64_t samples, uint64_t bytes) {
  ++series_;
  samples_ += samples;
  bytes_ += bytes;
  if (Passed(series_, options_.series_max)) {
    return ResourceExhausted("the query selects more than ", options_.series_max,
                             " series; use a more specific selector");
  }
  if (Passed(samples_, options_.samples_max)) {
    return ResourceExhausted("query processing would load too many samples into memory: more than ",
                             options_.samples_max, " are selected");
  }
  if (Passed(bytes_, options_.bytes_max)) {
    return ResourceExhausted("the query selects more than ", options_.bytes_max,
                             " bytes of samples; use a shorter range or a more specific selector");
  }
  // The clock and the caller's wish are not asked for every series.
  constexpr uint64_t kSeriesPerPoll = 64;
  if (series_ % kSeriesPerPoll != 1) return absl::OkStatus();
  if (options_.cancelled && options_.cancelled()) return Cancelled("the select was cancelled");
  if (options_.deadline != absl::InfiniteFuture() && clock_->Now() >= options_.deadline) {
    return DeadlineExceeded("the select took longer than its deadline");
  }
  return absl::OkStatus();
}

uint64_t SamplesWithin(const storage::SelectChunk& chunk, Timestamp min_time, Timestamp max_time) {
  const Timestamp from = std::max(min_time, chunk.min_time);
  const Timestamp to = std::min(max_time, chunk.max_time);
  const double whole = static_cast<double>(chunk.max_time - chunk.min_time);
  if (whole <= 0 || (from == chunk.min_time && to == chunk.max_time)) return chunk.visible_samples;
  const double part = static_cast<double>(to - from) / whole;
  return std::max<uint64_t>(1, static_cast<uint64_t>(part * chunk.visible_samples));
}

// What the sets of one Select share: the isolation state and the budget.
class DbQuerier::Selection {
 public:
  Selection(const Db* db, const storage::SelectOptions& select_options, Clock* clock)
      : options(select_options), reader(&db->head()), budget(options, clock) {}

  const storage::SelectOptions options;
  const HeadReader reader;
  SelectBudget budget;
};

class DbQuerier::Set : public storage::SeriesSet {
 public:
  Set(std::shared_ptr<Selection> selection, const storage::Selector& selector)
      : selection_(std::move(selection)), hints_(selector.hints) {
    slots_ = selection_->reader.Find(selector.matchers);
    if (selection_->options.sorted) selection_->reader.SortByLabels(&slots_);
  }

  bool Next() override {
    while (status_.ok() && next_ < slots_.size()) {
      if (hints_.limit > 0 && answered_ == hints_.limit) return false;
      const Slot slot = slots_[next_++];
      samples_.Clear();
      status_ = Read(slot);
      if (!status_.ok() || !found_) continue;
      labels_ = selection_->reader.LabelsOf(slot);
      status_ = selection_->budget.Spend(samples_.size(), samples_.size() * sizeof(Sample));
      ++answered_;
      return status_.ok();
    }
    return false;
  }
  const Labels& labels() const override { return labels_; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    for (size_t i = 0; i < samples_.size(); ++i) {
      out->Append(samples_.timestamps()[i], samples_.values()[i]);
    }
    return absl::OkStatus();
  }
  absl::Status status() const override { return status_; }

 private:
  absl::Status Read(Slot slot) {
    const HeadReader& reader = selection_->reader;
    if (hints_.newest_only && !hints_.labels_only) {
      Timestamp timestamp;
      double value;
      NARTHEX_ASSIGN_OR_RETURN(found_, reader.ReadNewest(slot, hints_.start, hints_.end, &chunks_,
                                                         &samples_, &timestamp, &value));
      samples_.Clear();
      if (found_) samples_.Append(timestamp, value);
      return absl::OkStatus();
    }
    found_ = reader.ReadChunks(slot, hints_.start, hints_.end, &chunks_);
    for (const storage::SelectChunk& chunk : chunks_.chunks) {
      NARTHEX_RETURN_IF_ERROR(chunkenc::XorDecode(chunk.bytes, chunk.visible_samples, hints_.start,
                                                  hints_.end, &samples_));
    }
    found_ = !samples_.empty();
    if (hints_.labels_only) samples_.Clear();
    return absl::OkStatus();
  }

  const std::shared_ptr<Selection> selection_;
  const storage::SelectHints hints_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
  size_t answered_ = 0;
  bool found_ = false;
  Labels labels_;
  SeriesChunks chunks_;
  SampleBuffer samples_;
  absl::Status status_;
};

absl::StatusOr<storage::SelectResult> DbQuerier::Select(
    std::span<const storage::Selector> selectors, const storage::SelectOptions& options) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  const auto selection = std::make_shared<Selection>(db_, options, clock_);
  storage::SelectResult result;
  for (const storage::Selector& selector : selectors) {
    result.sets.push_back(std::make_unique<Set>(selection, selector));
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> DbQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  return HeadReader(&db_->head()).LabelNames(matcher_sets, min_time, max_time);
}

absl::StatusOr<std::vector<std::string>> DbQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  return HeadReader(&db_->head()).LabelValues(name, matcher_sets, min_time, max_time);
}

}  // namespace narthex::tsdb
