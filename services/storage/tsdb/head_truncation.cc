// Head: what goes away.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/storage/tsdb/head.h"

namespace narthex::tsdb {
namespace {

// Slots that are looked at under one hold of the append lock: well below a millisecond's work.
constexpr size_t kSlotsPerLock = 512;

}  // namespace

absl::StatusOr<size_t> Head::Delete(std::span<const Matcher> matchers, Timestamp min_time,
                                    Timestamp max_time) {
  MutexLock lock(&append_mu_);
  if (log_ == nullptr) return Unavailable("the log is not open");
  struct Deleted {
    Slot slot;
    storage::DeletedInterval interval;
  };
  std::vector<Deleted> deleted;
  std::vector<wal::Tombstone> tombstones;
  for (const Slot slot : index_.Select(matchers)) {
    Timestamp oldest;
    Timestamp newest;
    table_.TimeRange(slot, &oldest, &newest);
    if (ooo_.Has(slot)) {
      oldest = std::min(oldest, ooo_.min_time());
      newest = std::max(newest, ooo_.max_time());
    }
    // What comes later is not deleted, so the interval ends with what is there now.
    const storage::DeletedInterval interval{std::max(min_time, oldest), std::min(max_time, newest)};
    if (interval.min_time > interval.max_time) continue;
    deleted.push_back({slot, interval});
    tombstones.push_back({table_.cold(slot).reference, interval.min_time, interval.max_time});
  }
  if (deleted.empty()) return 0;

  std::vector<OooHead::Deleted> of_late;
  for (const Deleted& one : deleted) {
    if (ooo_.Has(one.slot)) {
      of_late.push_back({one.slot, one.interval.min_time, one.interval.max_time});
    }
  }
  NARTHEX_RETURN_IF_ERROR(Annotate(ooo_.LogDelete(of_late), "log the deletion of late samples"));
  NARTHEX_RETURN_IF_ERROR(Annotate(LogTombstonesLocked(tombstones), "log the deletion"));
  ooo_.Delete(of_late);

  Timestamp oldest_deleted = kMaxTimestamp;
  for (const Deleted& one : deleted) {
    deletions_.Add(one.slot, one.interval);
    oldest_deleted = std::min(oldest_deleted, one.interval.min_time);
  }
  NoteChange(oldest_deleted);
  return deleted.size();
}

absl::Status Head::LogTombstonesLocked(std::span<const wal::Tombstone> tombstones) {
  // Records of about a megabyte.
  constexpr size_t kTombstonesPerRecord = 40'000;
  std::vector<std::string> records(1);
  for (size_t i = 0; i < tombstones.size(); i += kTombstonesPerRecord) {
    records.push_back(wal::EncodeTombstones(
        tombstones.subspan(i, std::min(kTombstonesPerRecord, tombstones.size() - i))));
  }
  wal::BatchHeader header;
  header.records = records.size() - 1;
  wal::EncodeBatchHeader(header, &records[0]);
  const std::vector<std::string_view> views(records.begin(), records.end());
  return log_->Log(views);
}

absl::StatusOr<Head::TruncateResult> Head::TruncateBefore(Timestamp min_time,
                                                          const std::function<bool(Slot)>& keep) {
  NARTHEX_RETURN_IF_ERROR(LogTruncation(min_time));
  truncated_before_.store(min_time, std::memory_order_relaxed);
  {
    MutexLock lock(&append_mu_);
    oldest_since_truncation_ = kMaxTimestamp;
  }
  TruncateResult result;
  Timestamp oldest = kMaxTimestamp;
  const size_t end = table_.slots_end();  // Later series have nothing that is older.
  for (size_t first = 0; first < end; first += kSlotsPerLock) {
    MutexLock lock(&append_mu_);
    TruncateSlotsLocked(first, std::min(end, first + kSlotsPerLock), min_time, keep, &oldest,
                        &result);
  }
  deletions_.TruncateBefore(min_time);
  // A file goes when all of its chunks are gone, so those that go together lie together.
  chunk_files_.Cut();
  MutexLock lock(&append_mu_);
  // A chunk may begin before `min_time`; that part of it is in blocks.
  if (oldest != kMaxTimestamp) oldest = std::max(oldest, min_time);
  min_time_.store(std::min(oldest, oldest_since_truncation_), std::memory_order_relaxed);
  ReclaimLocked();
  counters_.truncations.fetch_add(1, std::memory_order_relaxed);
  return result;
}

void Head::TruncateSlotsLocked(size_t first, size_t end, Timestamp min_time,
                               const std::function<bool(Slot)>& keep, Timestamp* oldest,
                               TruncateResult* result) {
  RetiredSeries retired;
  std::vector<Slot> gone;
  const absl::flat_hash_set<Slot> unlogged(unlogged_.begin(), unlogged_.end());
  for (size_t i = first; i < end; ++i) {
    const Slot slot = static_cast<Slot>(i);
    if (!table_.is_found(slot)) continue;
    const SeriesHot& hot = table_.hot(slot);
    bool goes = hot.empty() || hot.state.timestamp < min_time;
    if (goes) {
      goes = !unlogged.contains(slot) && !IsKeptLocked(slot) && (!keep || !keep(slot));
    }
    // A series that stays keeps its open chunk, and with it what its newest sample is.
    const bool empty = table_.TruncateBefore(slot, min_time, goes, &writer_, &retired);
    if (goes && empty) {
      gone.push_back(slot);
      continue;
    }
    Timestamp series_oldest;
    Timestamp series_newest;
    if (table_.TimeRange(slot, &series_oldest, &series_newest)) {
      *oldest = std::min(*oldest, series_oldest);
    }
  }
  result->chunks_removed += retired.closed_chunks.size();
  result->series_removed += gone.size();
  counters_.chunks_removed.fetch_add(retired.closed_chunks.size(), std::memory_order_relaxed);
  RemoveSeriesLocked(gone, &retired);
  RetireLocked(std::move(retired));
}

bool Head::IsKeptLocked(Slot slot) const { return ooo_.Has(slot) || exemplars_.Has(slot); }

void Head::RemoveSeriesLocked(std::span<const Slot> gone, RetiredSeries* retired) {
  if (gone.empty()) return;
  counters_.series_removed.fetch_add(gone.size(), std::memory_order_relaxed);
  index_.Remove(gone, retired);
  std::vector<uint64_t> references;
  for (const Slot slot : gone) table_.Remove(slot, &references, retired);
  metadata_.Forget(gone);
  deletions_.Forget(gone);
  ++removals_;
  const uint64_t segment = log_ == nullptr ? 0 : log_->position().segment;
  MutexLock lock(&removed_mu_);
  if (removed_.empty() || removed_.back().segment != segment) {
    removed_.push_back({segment, {}});
  }
  removed_.back().references.insert(references.begin(), references.end());
}

std::vector<Head::StaleSeries> Head::FindStaleSeries() {
  std::vector<StaleSeries> stale;
  const size_t end = table_.slots_end();
  for (size_t first = 0; first < end; first += kSlotsPerLock) {
    MutexLock lock(&append_mu_);
    for (size_t i = first; i < std::min(end, first + kSlotsPerLock); ++i) {
      const Slot slot = static_cast<Slot>(i);
      const SeriesHot& hot = table_.hot(slot);
      if (hot.empty() || !IsStale(hot.state.value) || !table_.is_found(slot)) continue;
      if (IsKeptLocked(slot)) continue;
      StaleSeries& found = stale.emplace_back();
      found.slot = slot;
      table_.TimeRange(slot, &found.oldest, &found.newest);
    }
  }
  return stale;
}

absl::StatusOr<size_t> Head::EvictStaleSeries(std::span<const StaleSeries> stale) {
  size_t evicted = 0;
  for (size_t first = 0; first < stale.size(); first += kSlotsPerLock) {
    MutexLock lock(&append_mu_);
    if (log_ == nullptr) return Unavailable("the log is not open");
    std::vector<Slot> gone;
    std::vector<wal::Tombstone> tombstones;
    for (const StaleSeries& series :
         stale.subspan(first, std::min(kSlotsPerLock, stale.size() - first))) {
      // Those that go on since then have something that no block has.
      const SeriesHot& hot = table_.hot(series.slot);
      if (hot.empty() || hot.state.timestamp != series.newest || IsKeptLocked(series.slot)) {
        continue;
      }
      gone.push_back(series.slot);
      tombstones.push_back({table_.cold(series.slot).reference, series.oldest, series.newest});
    }
    if (gone.empty()) continue;
    NARTHEX_RETURN_IF_ERROR(
        Annotate(LogTombstonesLocked(tombstones), "log that stale series are in blocks"));
    RetiredSeries retired;
    for (const Slot slot : gone) {
      const Timestamp newest = table_.hot(slot).state.timestamp;
      NARTHEX_CHECK(table_.TruncateBefore(slot, newest + 1, true, &writer_, &retired));
    }
    counters_.chunks_removed.fetch_add(retired.closed_chunks.size(), std::memory_order_relaxed);
    RemoveSeriesLocked(gone, &retired);
    RetireLocked(std::move(retired));
    evicted += gone.size();
  }
  return evicted;
}

void Head::RetireLocked(RetiredSeries retired) {
  writer_.Settle();
  if (!retired.empty()) retired_.push_back({isolation_.Mark(), std::move(retired)});
  ReclaimLocked();
}

void Head::ReclaimLocked() {
  while (!retired_.empty() && isolation_.Ended(retired_.front().mark)) {
    index_.Recycle(retired_.front().series);
    table_.Recycle(retired_.front().series);
    retired_.pop_front();
  }
}

bool Head::KeepsReference(uint64_t reference, uint64_t last_segment) const {
  {
    const Isolation::Hold hold(&isolation_);
    if (table_.FindReference(reference) != kNoSlot) return true;
  }
  MutexLock lock(&removed_mu_);
  return std::any_of(removed_.begin(), removed_.end(), [&](const Removed& removed) {
    return removed.segment > last_segment && removed.references.contains(reference);
  });
}

void Head::ForgetRemoved(uint64_t last_segment) {
  MutexLock lock(&removed_mu_);
  std::erase_if(removed_, [&](const Removed& removed) { return removed.segment <= last_segment; });
}

}  // namespace narthex::tsdb
