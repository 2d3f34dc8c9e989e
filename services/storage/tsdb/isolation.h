#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_

#include <cstddef>
#include <map>

#include "lib/base/mutex.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// Which batches readers see. Batches are applied one after another; a reader sees those that were
// committed when it began, all of each and none of the later ones.
//
// Thread safety: all methods may be called from any thread.
class Isolation {
 public:
  // The newest batch that the reader may see. EndRead() takes it back.
  BatchNumber BeginRead() {
    MutexLock lock(&mu_);
    ++readers_[committed_];
    return committed_;
  }
  void EndRead(BatchNumber visible) {
    MutexLock lock(&mu_);
    const auto found = readers_.find(visible);
    if (--found->second == 0) readers_.erase(found);
  }

  // Batches up to this one are seen by every reader that there is or will be.
  BatchNumber SeenByAll() const {
    MutexLock lock(&mu_);
    return readers_.empty() ? committed_ : readers_.begin()->first;
  }
  BatchNumber committed() const {
    MutexLock lock(&mu_);
    return committed_;
  }
  void Commit(BatchNumber batch) {
    MutexLock lock(&mu_);
    committed_ = batch;
  }

 private:
  mutable Mutex mu_;
  BatchNumber committed_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<BatchNumber, size_t> readers_ ABSL_GUARDED_BY(mu_);  // How many began at each.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_
