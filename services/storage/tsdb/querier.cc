#include "services/storage/tsdb/querier.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
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

// What the sets of one Select share: the moment and the budget.
class DbQuerier::Selection {
 public:
  Selection(const Db* db, const storage::SelectOptions& select_options, Clock* clock)
      : options(select_options), reader(db), budget(options, clock) {}

  const storage::SelectOptions options;
  const DbReader reader;
  SelectBudget budget;
};

class DbQuerier::Set : public storage::SeriesSet {
 public:
  Set(std::shared_ptr<Selection> selection, const storage::Selector& selector,
      std::unique_ptr<SeriesCursor> cursor)
      : selection_(std::move(selection)), hints_(selector.hints), cursor_(std::move(cursor)) {}

  bool Next() override {
    while (status_.ok()) {
      if (hints_.limit > 0 && answered_ == hints_.limit) return false;
      const absl::StatusOr<bool> next = cursor_->Next();
      status_ = next.status();
      if (!status_.ok() || !*next) return false;
      samples_.Clear();
      const absl::StatusOr<bool> found = Read();
      status_ = found.status();
      if (!status_.ok()) return false;
      if (!*found) continue;
      labels_ = cursor_->labels();
      status_ = selection_->budget.Spend(samples_.size(), samples_.size() * sizeof(Sample));
      ++answered_;
      return status_.ok();
    }
    return false;
  }
  const Labels& labels() const override { return labels_; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    out->AppendAll(samples_);
    return absl::OkStatus();
  }
  absl::Status status() const override { return status_; }

 private:
  absl::StatusOr<bool> Read() {
    if (hints_.newest_only && !hints_.labels_only) return cursor_->ReadNewest(&samples_);
    NARTHEX_ASSIGN_OR_RETURN(const bool found, cursor_->ReadSamples(&samples_));
    if (hints_.labels_only) samples_.Clear();
    return found;
  }

  const std::shared_ptr<Selection> selection_;
  const storage::SelectHints hints_;
  const std::unique_ptr<SeriesCursor> cursor_;
  size_t answered_ = 0;
  Labels labels_;
  SampleBuffer samples_;
  absl::Status status_;
};

absl::StatusOr<storage::SelectResult> DbQuerier::Select(
    std::span<const storage::Selector> selectors, const storage::SelectOptions& options) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReadable());
  storage::SelectResult result;
  // Before the moment that is read.
  NARTHEX_ASSIGN_OR_RETURN(result.changes, Changes(options.known_revision));
  const auto selection = std::make_shared<Selection>(db_, options, clock_);
  for (const storage::Selector& selector : selectors) {
    NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<SeriesCursor> cursor,
                             selection->reader.Select(selector, options.sorted));
    result.sets.push_back(std::make_unique<Set>(selection, selector, std::move(cursor)));
  }
  return result;
}

absl::StatusOr<storage::DataChanges> DbQuerier::Changes(std::string_view known_revision) {
  if (!db_->ready()) return storage::DataChanges();
  return db_->head().changes().Since(known_revision);
}

absl::StatusOr<std::vector<std::string>> DbQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReadable());
  return DbReader(db_).LabelNames(matcher_sets, min_time, max_time);
}

absl::StatusOr<std::vector<std::string>> DbQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReadable());
  return DbReader(db_).LabelValues(name, matcher_sets, min_time, max_time);
}

}  // namespace narthex::tsdb
