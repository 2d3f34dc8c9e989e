#include "services/query/promql/read_ahead.h"

#include <utility>

namespace narthex::promql {

ReadAheadPool::ReadAheadPool(int threads)
    : free_(threads), workers_("read-ahead", threads, static_cast<size_t>(threads)) {}

bool ReadAheadPool::TryRun(std::function<void()> task) {
  int free = free_.load();
  do {
    if (free == 0) return false;
  } while (!free_.compare_exchange_weak(free, free - 1));
  const bool taken = workers_.TrySubmit([this, task = std::move(task)] {
    task();
    free_.fetch_add(1);
  });
  if (!taken) free_.fetch_add(1);
  return taken;
}

ReadAhead::ReadAhead(std::shared_ptr<Mutex> sets, std::unique_ptr<storage::SeriesSet> set)
    : sets_(std::move(sets)), set_(std::move(set)) {
  for (size_t i = 0; i < kBatches; ++i) {
    batches_.push_back(std::make_unique<Batch>());
    empty_.push_back(batches_.back().get());
  }
}

std::unique_ptr<ReadAhead> ReadAhead::Start(ReadAheadPool* pool, std::shared_ptr<Mutex> sets,
                                            std::unique_ptr<storage::SeriesSet>* set) {
  std::unique_ptr<ReadAhead> ahead(new ReadAhead(std::move(sets), std::move(*set)));
  if (pool->TryRun([raw = ahead.get()] { raw->Run(); })) return ahead;
  *set = std::move(ahead->set_);
  ahead->finished_ = true;
  return nullptr;
}

ReadAhead::~ReadAhead() {
  {
    const MutexLock lock(&mu_);
    stopped_ = true;
    changed_.SignalAll();
    while (!finished_) changed_.Wait(&mu_);
  }
  const MutexLock lock(sets_.get());
  set_.reset();
}

void ReadAhead::Run() {
  bool last = false;
  while (!last) {
    Batch* batch = nullptr;
    {
      const MutexLock lock(&mu_);
      while (empty_.empty() && !stopped_) changed_.Wait(&mu_);
      if (stopped_) break;
      batch = empty_.back();
      empty_.pop_back();
    }
    Fill(batch);
    last = batch->last;
    const MutexLock lock(&mu_);
    full_.push_back(batch);
    changed_.SignalAll();
  }
  const MutexLock lock(&mu_);
  finished_ = true;
  changed_.SignalAll();
}

void ReadAhead::Fill(Batch* batch) {
  const MutexLock lock(sets_.get());
  size_t samples = 0;
  batch->used = 0;
  while (batch->used < kBatchSeries && samples < kBatchSamples) {
    if (!set_->Next()) {
      batch->status = set_->status();
      batch->last = true;
      return;
    }
    Series& series = batch->series[batch->used];
    series.labels = set_->labels();
    series.samples.Clear();
    batch->status = set_->ReadSamples(&series.samples);
    batch->last = !batch->status.ok();
    if (batch->last) return;
    samples += series.samples.size();
    ++batch->used;
  }
}

bool ReadAhead::Next(SampleBuffer* samples) {
  ++position_;
  if (batch_ == nullptr || position_ >= batch_->used) {
    if (batch_ != nullptr && batch_->last) return false;
    const MutexLock lock(&mu_);
    if (batch_ != nullptr) {
      empty_.push_back(batch_);
      changed_.SignalAll();
    }
    while (full_.empty()) changed_.Wait(&mu_);
    batch_ = full_.front();
    full_.erase(full_.begin());
    position_ = 0;
    batch_bytes_ = 0;
    for (size_t i = 0; i < batch_->used; ++i) {
      batch_bytes_ += batch_->series[i].samples.memory_bytes();
    }
    if (batch_->used == 0) return false;
  }
  std::swap(*samples, batch_->series[position_].samples);
  return true;
}

}  // namespace narthex::promql
