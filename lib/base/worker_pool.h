#ifndef NARTHEX_LIB_BASE_WORKER_POOL_H_
#define NARTHEX_LIB_BASE_WORKER_POOL_H_

#include <functional>
#include <string_view>
#include <vector>

#include "lib/base/bounded_queue.h"
#include "lib/base/thread.h"

namespace narthex {

// A fixed number of threads that run tasks from one bounded queue, in order of arrival. Thread
// safety: Submit() and TrySubmit() may be called from any thread, also from a task (but a task that
// submits to a full pool of its own can block for ever).
class WorkerPool {
 public:
  WorkerPool(std::string_view name, int threads, size_t queue_max);
  ~WorkerPool() { Stop(); }
  // Waits while the queue is full; false after Stop().
  bool Submit(std::function<void()> task) { return tasks_.Push(std::move(task)); }
  bool TrySubmit(std::function<void()> task) { return tasks_.TryPush(std::move(task)); }
  // Refuses new tasks, runs those that are queued, joins. Idempotent.
  void Stop();

 private:
  BoundedQueue<std::function<void()>> tasks_;
  std::vector<Thread> threads_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_WORKER_POOL_H_
