#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "lib/base/mutex.h"
#include "lib/model/timestamp.h"

namespace narthex::tsdb {

// Answers "how old was the oldest sample written since revision r": what makes a cache of results
// correct. Revisions grow with every batch and over restarts.
//
// Thread safety: all methods may be called from any thread.
class ChangeLog {
 public:
  // `first_revision` is above all of earlier runs.
  explicit ChangeLog(uint64_t first_revision) : revision_(first_revision), known_(first_revision) {}

  // A batch whose oldest sample is at `oldest` was committed at `now`.
  void Add(Timestamp oldest, Timestamp now);

  uint64_t revision() const;
  // kMaxTimestamp when nothing was written; kMinTimestamp when that far back is not known.
  Timestamp OldestSince(uint64_t revision) const;

 private:
  // Batches of about a second share a span; an hour of them is kept.
  static constexpr int64_t kSpanMs = 1000;
  static constexpr size_t kSpansMax = 3600;
  struct Span {
    uint64_t last_revision;
    Timestamp oldest;
    Timestamp began;
  };

  mutable Mutex mu_;
  uint64_t revision_ ABSL_GUARDED_BY(mu_);
  uint64_t known_ ABSL_GUARDED_BY(mu_);  // Changes after this revision are all in spans_.
  std::deque<Span> spans_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHANGE_LOG_H_
