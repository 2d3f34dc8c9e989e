#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "lib/base/mutex.h"
#include "lib/model/timestamp.h"
#include "lib/storage/storage.h"

namespace narthex::tsdb {

// Answers "how old was the oldest sample written since revision r": what makes a cache of results
// correct. Revisions grow with every batch. A log names itself by a random number, so that no
// revision of another run is taken for one of this.
//
// A change is added once readers see it: whoever has read without it holds an older revision.
//
// Thread safety: all methods may be called from any thread.
class ChangeLog {
 public:
  ChangeLog();

  // A batch whose oldest sample is at `oldest` was committed at `now`.
  void Add(Timestamp oldest, Timestamp now);

  uint64_t revision() const;
  // kMaxTimestamp when nothing was written; kMinTimestamp when that far back is not known.
  Timestamp OldestSince(uint64_t revision) const;

  // The same in the form that travels. Ask before the data is read.
  storage::DataChanges Since(std::string_view known_revision) const;

 private:
  Timestamp OldestSinceLocked(uint64_t revision) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Batches of about a second share a span; an hour of them is kept.
  static constexpr int64_t kSpanMs = 1000;
  static constexpr size_t kSpansMax = 3600;
  struct Span {
    uint64_t last_revision;
    Timestamp oldest;
    Timestamp began;
  };

  const uint64_t run_;  // Constant after construction.

  mutable Mutex mu_;
  uint64_t revision_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t known_ ABSL_GUARDED_BY(mu_) = 1;  // Changes after this revision are all in spans_.
  std::deque<Span> spans_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_
