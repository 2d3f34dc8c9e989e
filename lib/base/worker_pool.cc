#include "lib/base/worker_pool.h"

namespace narthex {

WorkerPool::WorkerPool(std::string_view name, int threads, size_t queue_max) : tasks_(queue_max) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back(name, [this] {
      while (auto task = tasks_.Pop()) (*task)();
    });
  }
}

void WorkerPool::Stop() {
  tasks_.Close();
  for (Thread& thread : threads_) thread.Join();
}

}  // namespace narthex
