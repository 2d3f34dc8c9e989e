#ifndef NARTHEX_SERVICES_QUERY_PROMQL_READ_AHEAD_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_READ_AHEAD_H_

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/mutex.h"
#include "lib/base/worker_pool.h"
#include "lib/labels/labels.h"
#include "lib/model/sample_buffer.h"
#include "lib/storage/storage.h"

// Reading and decoding of a long series set on another thread than its evaluation. What is computed
// stays on one thread and in one order, so results do not depend on it.
namespace narthex::promql {

// Threads that read ahead for all queries of an engine. One is either got at once or not at all:
// a query never waits for one, so that sets of one query cannot wait for each other. Thread safety:
// all methods may be called from any thread.
class ReadAheadPool {
 public:
  explicit ReadAheadPool(int threads);
  // Runs `task` on a thread of its own until it returns; false when none is free.
  bool TryRun(std::function<void()> task);

 private:
  std::atomic<int> free_;
  WorkerPool workers_;
};

// Reads the rest of a set in batches, a few ahead of Next(). Thread safety: none; one thread reads.
class ReadAhead {
 public:
  // Null when the pool has no free thread; `*set` is as before then. The sets of one Select must
  // not be read by two threads at a time: `sets` is held whenever this one is.
  static std::unique_ptr<ReadAhead> Start(ReadAheadPool* pool, std::shared_ptr<Mutex> sets,
                                          std::unique_ptr<storage::SeriesSet>* set);
  // Waits until the thread has let go of the set.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Goes to the next series and swaps its samples with `*samples`; false at the end or on an error
  // (see status()).
  bool Next(SampleBuffer* samples);
  // REQUIRES: the last Next() returned true.
  const Labels& labels() const { return batch_->series[position_].labels; }
  const absl::Status& status() const { return batch_->status; }
  // Of all batches, about.
  size_t memory_bytes() const { return batch_bytes_ * kBatches; }

 private:
  // As many as fit in the second level of cache, so that what one core decodes the other finds.
  static constexpr size_t kBatches = 3;
  static constexpr size_t kBatchSeries = 64;
  static constexpr size_t kBatchSamples = 16384;

  struct Series {
    Labels labels;
    SampleBuffer samples;
  };
  struct Batch {
    std::vector<Series> series = std::vector<Series>(kBatchSeries);
    size_t used = 0;
    bool last = false;
    absl::Status status;
  };

  ReadAhead(std::shared_ptr<Mutex> sets, std::unique_ptr<storage::SeriesSet> set);
  void Run();
  void Fill(Batch* batch);

  const std::shared_ptr<Mutex> sets_;
  std::unique_ptr<storage::SeriesSet> set_;  // Guarded by *sets_.

  // Only touched by the reader.
  Batch* batch_ = nullptr;
  size_t position_ = 0;
  size_t batch_bytes_ = 0;

  Mutex mu_;
  CondVar changed_;
  std::vector<std::unique_ptr<Batch>> batches_;  // All of them; constant.
  std::vector<Batch*> empty_ ABSL_GUARDED_BY(mu_);
  std::vector<Batch*> full_ ABSL_GUARDED_BY(mu_);  // Oldest first.
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;      // The reader wants no more.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;     // The thread touches nothing any more.
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_READ_AHEAD_H_
