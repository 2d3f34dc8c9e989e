#ifndef NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_WORKERS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_WORKERS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/head_loader.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// Threads that append the samples of a replay. A series belongs to one of them, so its samples stay
// in order; a few batches of some thousand samples wait for each, then Append() waits.
//
// Thread safety: the methods are called by one thread. The destructor stops the threads, after what
// was appended.
class ReplayWorkers {
 public:
  // `loader` must outlive it.
  ReplayWorkers(HeadLoader* loader, int workers);
  ~ReplayWorkers();
  ReplayWorkers(const ReplayWorkers&) = delete;
  ReplayWorkers& operator=(const ReplayWorkers&) = delete;

  void Append(Slot slot, Timestamp timestamp, double value, Timestamp start_timestamp) {
    Batch& batch = *filling_[WorkerOf(slot)];
    batch.items.push_back({timestamp, start_timestamp, value, slot, Kind::kFloat});
    if (batch.items.size() >= kBatchItems) Send(WorkerOf(slot));
  }
  void Append(Slot slot, Timestamp timestamp, Histogram histogram, Timestamp start_timestamp);
  void Append(Slot slot, Timestamp timestamp, FloatHistogram histogram, Timestamp start_timestamp);

  // Waits until everything is appended and no worker is at work; the head knows the bounds of time
  // of all of it then.
  void Settle();
  // What the workers have done up to the last Settle().
  const HeadLoader::Worker::Counts& counts() const { return counts_; }

 private:
  static constexpr size_t kBatchItems = 4096;
  static constexpr size_t kBatchesMax = 4;  // Waiting for one worker.

  enum class Kind : uint32_t { kFloat, kHistogram, kFloatHistogram };
  struct Item {
    Timestamp timestamp;
    Timestamp start_timestamp;
    double value;  // Of histograms: the next in its list.
    Slot slot;
    Kind kind;
  };
  struct Batch {
    std::vector<Item> items;
    std::vector<Histogram> histograms;
    std::vector<FloatHistogram> float_histograms;
    void Clear() {
      items.clear();
      histograms.clear();
      float_histograms.clear();
    }
  };
  struct Lane {  // Of one worker.
    std::unique_ptr<HeadLoader::Worker> worker;
    Mutex mu;
    CondVar changed;
    std::deque<std::unique_ptr<Batch>> waiting ABSL_GUARDED_BY(mu);
    std::vector<std::unique_ptr<Batch>> spare ABSL_GUARDED_BY(mu);
    bool busy ABSL_GUARDED_BY(mu) = false;
    bool stopped ABSL_GUARDED_BY(mu) = false;
    Thread thread;
  };

  size_t WorkerOf(Slot slot) const {
    // Neighbours are appended together, so they stay together: their records share cache lines.
    return (slot >> 6) % lanes_.size();
  }
  void Send(size_t worker);
  static void Run(Lane* lane);
  static void Work(HeadLoader::Worker* worker, Batch* batch);

  HeadLoader* const loader_;
  HeadLoader::Worker::Counts counts_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Batch>> filling_;  // One a worker.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_REPLAY_WORKERS_H_
