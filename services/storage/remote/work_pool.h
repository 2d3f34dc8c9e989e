#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WORK_POOL_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WORK_POOL_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"

namespace narthex::storage_remote {

// Keeps what requests work with, for its memory: as many as there were requests at once. `Work`
// says with `bool worth_keeping() const` whether it has not grown too large.
//
// Thread safety: Take() may be called from any thread; a lease belongs to one.
template <typename Work>
class WorkPool {
 public:
  explicit WorkPool(std::function<std::unique_ptr<Work>()> make) : make_(std::move(make)) {}

  class Lease {
   public:
    Lease(WorkPool* pool, std::unique_ptr<Work> work) : pool_(pool), work_(std::move(work)) {}
    ~Lease() {
      if (work_->worth_keeping()) pool_->GiveBack(std::move(work_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Work* get() { return work_.get(); }
    Work* operator->() { return work_.get(); }

   private:
    WorkPool* const pool_;
    std::unique_ptr<Work> work_;
  };

  Lease Take() {
    {
      MutexLock lock(&mu_);
      if (!idle_.empty()) {
        std::unique_ptr<Work> work = std::move(idle_.back());
        idle_.pop_back();
        return Lease(this, std::move(work));
      }
    }
    return Lease(this, make_());
  }

 private:
  void GiveBack(std::unique_ptr<Work> work) {
    MutexLock lock(&mu_);
    idle_.push_back(std::move(work));
  }

  const std::function<std::unique_ptr<Work>()> make_;
  Mutex mu_;
  std::vector<std::unique_ptr<Work>> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WORK_POOL_H_
