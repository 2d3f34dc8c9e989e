#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_DELETIONS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_DELETIONS_H_

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "lib/storage/select_frame.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// Which samples of the head's series are deleted: intervals that readers leave out until the chunks
// below them are gone.
//
// Thread safety: all methods may be called from any thread. Where nothing is deleted, asking costs
// one load.
class HeadDeletions {
 public:
  void Add(Slot slot, storage::DeletedInterval interval);
  // Sorted, apart from each other; *out is overwritten.
  void Of(Slot slot, std::vector<storage::DeletedInterval>* out) const;
  // Whether a sample at this time, were it there, would be deleted.
  bool Covers(Slot slot, Timestamp timestamp) const;
  // Forgets intervals that end before `min_time`, and all of the series that are gone.
  void TruncateBefore(Timestamp min_time);
  void Forget(std::span<const Slot> slots);
  size_t intervals() const { return intervals_.load(std::memory_order_relaxed); }

 private:
  std::atomic<size_t> intervals_{0};
  mutable Mutex mu_;
  absl::flat_hash_map<Slot, std::vector<storage::DeletedInterval>> series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_DELETIONS_H_
