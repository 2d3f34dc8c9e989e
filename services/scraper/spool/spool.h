#ifndef NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_H_
#define NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/series_table.h"
#include "services/scraper/spool/segment_log.h"
#include "services/scraper/spool/spool_state.h"

namespace narthex::scraper {

struct SpoolOptions {
  std::string path;
  std::vector<std::string> endpoints;
  uint64_t size_bytes_max = uint64_t{4} << 30;
  size_t memory_bytes_max = size_t{64} << 20;
  // A batch that some endpoint has not accepted, or not made durable, for so long goes to disk.
  // Storage syncs about once a second, so a healthy one lets no batch get that old.
  absl::Duration accept_patience = absl::Seconds(1);
  absl::Duration durable_patience = absl::Seconds(3);
};

// What storage has not for good: the newest batches in memory, older ones in segments on disk, with
// one cursor for each endpoint.
//
// Append() gives a batch its sequence and keeps it in memory until every endpoint says that it is
// durable. One thread writes to disk what waits too long: at once while an endpoint is away (then
// the end of this process loses at most the last milliseconds), else after accept_patience or
// durable_patience. At the memory bound, batches that are on disk leave memory and are read back
// for endpoints that are behind. At the disk bound, the oldest segment goes, is counted and logged.
// A segment that every endpoint has is removed.
//
// Open() finds what an earlier process left; it is delivered first, in order. Close() writes what
// is not durable; without it (kill -9) only what was in memory is lost.
//
// Thread safety: all methods may be called from any thread, but Start(), Close() and the destructor
// only from the owner's. See BatchSource for those of source().
class Spool final : public storage::BatchSink {
 public:
  // FailedPrecondition when another process uses the folder. `fs`, `clock` and `registry` must
  // outlive the Spool.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(SpoolOptions options, io::FileSystem* fs,
                                                     Clock* clock, Logger logger,
                                                     metrics::Registry* registry);
  ~Spool() override;

  // What the client of options.endpoints[index] reads.
  storage::BatchSource* source(size_t index);

  storage::SeriesNumber AddSeries(const Labels& labels) override { return table_.Add(labels); }
  void RetireSeries(std::span<const storage::SeriesNumber> numbers) override;
  uint64_t Append(storage::NumberedBatch batch) override;

  // Starts the writing thread.
  void Start();
  // Waits (real time) until every connected endpoint has accepted everything appended so far; false
  // when that took too long.
  bool WaitAccepted(absl::Duration timeout);
  // Ends the thread, writes what is not durable everywhere, and syncs. REQUIRES: nobody appends or
  // reads any more.
  absl::Status Close();

  const std::string& sender_id() const { return sender_id_; }
  // Series with a number, those included that only kept batches name.
  size_t series() const { return table_.size(); }
  uint64_t disk_bytes() const { return log_->size_bytes(); }
  // Batches up to this one are on disk, or durable at storage and gone from it.
  uint64_t written_sequence() const {
    MutexLock lock(&mu_);
    return written_;
  }

 private:
  class Endpoint;
  struct Entry {
    uint64_t sequence;
    std::shared_ptr<const storage::NumberedBatch> batch;
    absl::Time added;
  };
  struct Metrics;

  Spool(SpoolOptions options, io::FileSystem* fs, Clock* clock, Logger logger,
        metrics::Registry* registry);
  absl::Status Load();
  storage::BatchSource::Item Next(Endpoint* endpoint, uint64_t after, absl::Duration timeout);
  // The first batch in memory behind `after`.
  std::deque<Entry>::const_iterator FindLocked(uint64_t after) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void Run();
  // One round of the writing thread; `all` makes everything due that is not durable everywhere.
  absl::Status WriteDue(bool all);
  bool UrgentLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<SequencedBatch> TakeDueLocked(bool all) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status KeepHouse(bool sync_now);

  // Drops from memory what is durable everywhere or beyond the bound, and wakes whoever waits.
  void ChangedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountLost(uint64_t samples, std::string_view why);
  uint64_t DurableEverywhereLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t MemoryFrontLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return memory_.empty() ? next_sequence_ : memory_.front().sequence;
  }

  // Constant after Open().
  const SpoolOptions options_;
  io::FileSystem* const fs_;
  Clock* const clock_;
  const Logger logger_;
  const std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<io::DirectoryLock> lock_;
  std::string sender_id_;

  // Synchronise themselves. Lock order: mu_ before theirs.
  storage::SeriesTable table_;
  std::unique_ptr<SegmentLog> log_;

  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // The vector is constant after Open().

  mutable Mutex mu_;
  CondVar changed_;                                // For readers and WaitAccepted().
  CondVar due_;                                    // For the writing thread.
  std::deque<Entry> memory_ ABSL_GUARDED_BY(mu_);  // By sequence, without gaps.
  size_t memory_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t written_ ABSL_GUARDED_BY(mu_) = 0;  // Up to here batches are on disk or durable.
  uint64_t writing_ ABSL_GUARDED_BY(mu_) = 0;  // The oldest that the thread encodes; 0: none.
  uint64_t lost_in_memory_ ABSL_GUARDED_BY(mu_) = 0;  // Samples, not yet counted.
  bool closing_ ABSL_GUARDED_BY(mu_) = false;

  // Only touched by the writing thread while it runs.
  SpoolState state_;
  absl::Time next_house_ = absl::InfinitePast();
  absl::Time next_attempt_ = absl::InfinitePast();  // After a failed write.
  bool in_use_ = false;                             // There is something on disk.

  Mutex lost_mu_;
  uint64_t lost_since_log_ ABSL_GUARDED_BY(lost_mu_) = 0;
  absl::Time next_lost_log_ ABSL_GUARDED_BY(lost_mu_) = absl::InfinitePast();

  Thread thread_;
};

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_H_
