// Series that have ended leave the head before their time when they are a large part of it, as
// churn makes them: their samples go to blocks, which are marked, because other series of the same
// range are still in the head.

#include <algorithm>
#include <string>
#include <vector>

#include "lib/base/status_macros.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/db.h"

namespace narthex::tsdb {

absl::Status Db::CompactStaleSeriesLocked(const Pace& pace) {
  const double threshold = settings().stale_series_threshold;
  if (threshold <= 0) return absl::OkStatus();
  const std::vector<Head::StaleSeries> stale = head_.FindStaleSeries();
  const auto part = static_cast<double>(stale.size());
  if (stale.empty() || part < threshold * static_cast<double>(head_.table().size())) {
    return absl::OkStatus();
  }
  // They go with the others in a moment.
  constexpr int64_t kSoonMs = int64_t{10} * 60 * 1000;
  const int64_t range_ms = options_.block_range_min_ms;
  const Timestamp due = AlignDown(head_.min_time(), range_ms) + range_ms + range_ms / 2;
  if (head_.max_time() >= due - std::min(kSoonMs, range_ms / 12)) return absl::OkStatus();

  const absl::Duration start = clock_->Monotonic();
  counters_.stale_compactions.fetch_add(1, std::memory_order_relaxed);
  const absl::Status written = WriteStaleSeriesLocked(stale, pace);
  if (!written.ok()) {
    if (absl::IsAborted(written) || absl::IsCancelled(written)) return written;
    counters_.stale_compactions_failed.fetch_add(1, std::memory_order_relaxed);
    return written;
  }
  if (options_.observer.stale_series_compacted) {
    options_.observer.stale_series_compacted(clock_->Monotonic() - start);
  }
  return absl::OkStatus();
}

absl::Status Db::WriteStaleSeriesLocked(const std::vector<Head::StaleSeries>& stale,
                                        const Pace& pace) {
  const int64_t range_ms = options_.block_range_min_ms;
  Timestamp oldest = kMaxTimestamp;
  Timestamp newest = kMinTimestamp;
  std::vector<Slot> slots;
  for (const Head::StaleSeries& series : stale) {
    oldest = std::min(oldest, series.oldest);
    newest = std::max(newest, series.newest);
    slots.push_back(series.slot);
  }
  const SourceOf source = [this, &slots](Timestamp min_time, Timestamp max_time) {
    return head_.Source(min_time, max_time, slots);
  };
  // Releases of upstream that do not know the second hint take the first one for what it is: not
  // everything of that time is in blocks.
  NARTHEX_RETURN_IF_ERROR(
      WriteBlocksLocked(AlignDown(oldest, range_ms), AlignDown(newest, range_ms) + range_ms, source,
                        {std::string(kHintOutOfOrder), std::string(kHintStaleSeries)}, pace));
  NARTHEX_RETURN_IF_ERROR(WaitForReaders(gate_.DrawLine(), pace));
  NARTHEX_ASSIGN_OR_RETURN(const size_t evicted, head_.EvictStaleSeries(stale));
  // The last snapshot of the head leads to chunks that are gone now: another one is due.
  head_snapshot_truncations_ = ~uint64_t{0};
  logger_.Info("stale series written into blocks",
               {{"series", stale.size()}, {"evicted", evicted}});
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
