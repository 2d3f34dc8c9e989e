#include "services/storage/tsdb/replay_workers.h"

#include <utility>

#include "lib/base/check.h"

namespace narthex::tsdb {

ReplayWorkers::ReplayWorkers(HeadLoader* loader, int workers) : loader_(loader) {
  NARTHEX_CHECK(workers >= 1);
  for (int i = 0; i < workers; ++i) {
    filling_.push_back(std::make_unique<Batch>());
    lanes_.push_back(std::make_unique<Lane>());
    Lane* const lane = lanes_.back().get();
    lane->worker = std::make_unique<HeadLoader::Worker>(loader);
    lane->thread = Thread("replay", [lane] { Run(lane); });
  }
}

ReplayWorkers::~ReplayWorkers() {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Send(i);
    MutexLock lock(&lanes_[i]->mu);
    lanes_[i]->stopped = true;
    lanes_[i]->changed.SignalAll();
  }
  for (const std::unique_ptr<Lane>& lane : lanes_) lane->thread.Join();
}

void ReplayWorkers::Append(Slot slot, Timestamp timestamp, Histogram histogram,
                           Timestamp start_timestamp) {
  Batch& batch = *filling_[WorkerOf(slot)];
  batch.items.push_back({timestamp, start_timestamp, 0, slot, Kind::kHistogram});
  batch.histograms.push_back(std::move(histogram));
  if (batch.items.size() >= kBatchItems) Send(WorkerOf(slot));
}

void ReplayWorkers::Append(Slot slot, Timestamp timestamp, FloatHistogram histogram,
                           Timestamp start_timestamp) {
  Batch& batch = *filling_[WorkerOf(slot)];
  batch.items.push_back({timestamp, start_timestamp, 0, slot, Kind::kFloatHistogram});
  batch.float_histograms.push_back(std::move(histogram));
  if (batch.items.size() >= kBatchItems) Send(WorkerOf(slot));
}

void ReplayWorkers::Send(size_t worker) {
  std::unique_ptr<Batch>& batch = filling_[worker];
  if (batch->items.empty()) return;
  Lane& lane = *lanes_[worker];
  MutexLock lock(&lane.mu);
  while (lane.waiting.size() >= kBatchesMax) lane.changed.Wait(&lane.mu);
  lane.waiting.push_back(std::move(batch));
  lane.changed.SignalAll();
  if (lane.spare.empty()) {
    batch = std::make_unique<Batch>();
  } else {
    batch = std::move(lane.spare.back());
    lane.spare.pop_back();
  }
}

void ReplayWorkers::Settle() {
  for (size_t i = 0; i < lanes_.size(); ++i) Send(i);
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    {
      MutexLock lock(&lane->mu);
      while (lane->busy || !lane->waiting.empty()) lane->changed.Wait(&lane->mu);
    }
    // A worker tells the head its bounds when it goes.
    const HeadLoader::Worker::Counts counts = lane->worker->counts();
    if (counts.samples + counts.repeated == 0) continue;
    counts_.samples += counts.samples;
    counts_.repeated += counts.repeated;
    lane->worker = std::make_unique<HeadLoader::Worker>(loader_);
  }
}

void ReplayWorkers::Run(Lane* lane) {
  while (true) {
    std::unique_ptr<Batch> batch;
    {
      MutexLock lock(&lane->mu);
      while (lane->waiting.empty() && !lane->stopped) lane->changed.Wait(&lane->mu);
      if (lane->waiting.empty()) return;
      batch = std::move(lane->waiting.front());
      lane->waiting.pop_front();
      lane->busy = true;
      lane->changed.SignalAll();
    }
    Work(lane->worker.get(), batch.get());
    batch->Clear();
    MutexLock lock(&lane->mu);
    lane->busy = false;
    lane->spare.push_back(std::move(batch));
    lane->changed.SignalAll();
  }
}

void ReplayWorkers::Work(HeadLoader::Worker* worker, Batch* batch) {
  // The record of a series leads to where its chunk goes on; both are mostly not in a cache.
  constexpr size_t kAhead = 24;
  constexpr size_t kTailAhead = 12;
  size_t histogram = 0;
  size_t float_histogram = 0;
  const std::vector<Item>& items = batch->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i + kAhead < items.size()) worker->Prefetch(items[i + kAhead].slot);
    if (i + kTailAhead < items.size()) worker->PrefetchTail(items[i + kTailAhead].slot);
    const Item& item = items[i];
    switch (item.kind) {
      case Kind::kFloat:
        worker->Append(item.slot, item.timestamp, item.value, item.start_timestamp);
        break;
      case Kind::kHistogram:
        worker->Append(item.slot, item.timestamp, batch->histograms[histogram++],
                       item.start_timestamp);
        break;
      case Kind::kFloatHistogram:
        worker->Append(item.slot, item.timestamp, batch->float_histograms[float_histogram++],
                       item.start_timestamp);
        break;
    }
  }
}

}  // namespace narthex::tsdb
