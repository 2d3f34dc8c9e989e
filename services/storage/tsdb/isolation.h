#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>

#include "lib/base/mutex.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// Which batches readers see, and how long what they look at must stay. Batches are applied one
// after another; a reader sees those that were committed when it began, all of each and none of the
// later ones.
//
// Thread safety: all methods may be called from any thread.
class Isolation {
 public:
  struct Reader {
    BatchNumber visible = 0;  // The newest batch that it may see.
    uint64_t mark = 0;
  };
  // EndRead() takes it back.
  Reader BeginRead() {
    MutexLock lock(&mu_);
    // Readers of one mark that began later may see more; the oldest counts.
    const auto [at, added] = readers_.try_emplace(mark_, Readers{committed_, 0});
    at->second.oldest = std::min(at->second.oldest, committed_);
    ++at->second.count;
    return {committed_, mark_};
  }
  void EndRead(const Reader& reader) {
    MutexLock lock(&mu_);
    const auto found = readers_.find(reader.mark);
    if (--found->second.count == 0) readers_.erase(found);
  }

  // Keeps what it finds in place, as a reader does, but sees all batches, so that it holds up
  // nothing that appenders do.
  class Hold {
   public:
    explicit Hold(Isolation* isolation) : isolation_(isolation), reader_(isolation->BeginHold()) {}
    ~Hold() { isolation_->EndRead(reader_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Isolation* const isolation_;
    const Reader reader_;
  };

  // Batches up to this one are seen by every reader that there is or will be.
  BatchNumber SeenByAll() const {
    MutexLock lock(&mu_);
    // Older marks have older batches, but holds have none.
    for (const auto& [mark, readers] : readers_) {
      if (readers.oldest < committed_) return readers.oldest;
    }
    return committed_;
  }
  BatchNumber committed() const {
    MutexLock lock(&mu_);
    return committed_;
  }
  void Commit(BatchNumber batch) {
    MutexLock lock(&mu_);
    committed_ = batch;
    // Marks part the readers, so that the oldest of those at work is known well enough.
    if (!readers_.empty() && readers_.rbegin()->first == mark_) ++mark_;
  }

  // Draws a line: readers that begin from now on do not find what was taken out of reach before.
  uint64_t Mark() {
    MutexLock lock(&mu_);
    return mark_++;
  }
  // Whether all readers that began before that line have ended.
  bool Ended(uint64_t mark) const {
    MutexLock lock(&mu_);
    return readers_.empty() || readers_.begin()->first > mark;
  }

 private:
  Reader BeginHold() {
    MutexLock lock(&mu_);
    ++readers_.try_emplace(mark_, Readers{kAll, 0}).first->second.count;
    return {kAll, mark_};
  }

  static constexpr BatchNumber kAll = std::numeric_limits<BatchNumber>::max();
  struct Readers {
    BatchNumber oldest;
    size_t count;
  };
  mutable Mutex mu_;
  BatchNumber committed_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t mark_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, Readers> readers_ ABSL_GUARDED_BY(mu_);  // By the mark they began at.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ISOLATION_H_
