#include "lib/rpc/remote_appender.h"

#include <algorithm>
#include <deque>
#include <random>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/rpc/append_client.h"
#include "lib/storage/histogram_appender.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/series_table.h"

namespace narthex::rpc {
namespace {

constexpr size_t kQueueBytesMax = size_t{64} << 20;
constexpr absl::Duration kCommitWait = absl::Seconds(5);
constexpr absl::Duration kFarewellWait = absl::Seconds(1);
// A series that no transaction names for this long loses its number; rules are evaluated more
// often.
constexpr absl::Duration kSeriesIdleMax = absl::Minutes(15);
constexpr absl::Duration kSeriesSweepInterval = absl::Minutes(5);
constexpr absl::Duration kDropLogInterval = absl::Minutes(1);

std::string RandomSenderId() {
  std::random_device device;
  std::string id;
  while (id.size() < 16) id.push_back(static_cast<char>(device()));
  return id;
}

}  // namespace

// The transactions that not every endpoint has for good, the numbers of their series, and a client
// an endpoint.
class RemoteAppenderFactory::Queue {
 public:
  Queue(const std::vector<std::string>& endpoints, const Logger& logger,
        metrics::Registry* registry, Clock* clock)
      : clock_(clock),
        logger_(logger),
        dropped_samples_(registry->AddCounter(
            "narthex_append_queue_dropped_samples_total",
            "Samples of rules dropped because storage was away and the queue was full.")),
        queued_bytes_(registry->AddGauge("narthex_append_queue_bytes",
                                         "Memory of transactions that storage has not for good.")) {
    for (const std::string& endpoint : endpoints) {
      sources_.push_back(std::make_unique<Source>(this));
      AppendClientOptions options;
      options.endpoint = endpoint;
      options.description = "rules";
      options.linger = absl::ZeroDuration();  // Commit() waits for the answer.
      clients_.push_back(std::make_unique<AppendClient>(std::move(options), sources_.back().get(),
                                                        logger, registry));
    }
    for (const std::unique_ptr<AppendClient>& client : clients_) client->Start();
  }

  ~Queue() {
    WaitAccepted(LastSequence(), kFarewellWait);
    for (const std::unique_ptr<AppendClient>& client : clients_) client->Stop();
  }

  // The number of a series, from the first transaction that names it on.
  storage::SeriesNumber Number(const Labels& labels) {
    MutexLock lock(&mu_);
    Series& series = series_[labels];
    if (series.number == 0) series.number = table_.Add(labels);
    series.last_used = clock_->Monotonic();
    return series.number;
  }

  absl::Status Commit(storage::NumberedBatch batch) {
    if (batch.memory_bytes() > kQueueBytesMax) {
      return ResourceExhausted("a transaction of ", batch.size(), " samples is larger than the ",
                               "queue to storage");
    }
    WaitAccepted(Push(std::move(batch)), kCommitWait);
    return absl::OkStatus();
  }

 private:
  struct Entry {
    uint64_t sequence;
    std::shared_ptr<const storage::NumberedBatch> batch;
  };
  struct Series {
    storage::SeriesNumber number = 0;
    absl::Duration last_used;
  };

  // One endpoint's view of the queue.
  class Source final : public storage::BatchSource {
   public:
    explicit Source(Queue* queue) : queue_(queue) {}
    const std::string& sender_id() const override { return queue_->sender_id_; }
    Item Next(uint64_t after, absl::Duration timeout) override {
      return queue_->Next(this, after, timeout);
    }
    Labels SeriesLabels(storage::SeriesNumber number) override {
      return queue_->table_.Find(number);
    }
    void Wake() override {
      MutexLock lock(&queue_->mu_);
      woken_ = true;
      queue_->changed_.SignalAll();
    }
    void Connected(uint64_t accepted, uint64_t durable) override {
      MutexLock lock(&queue_->mu_);
      connected_ = true;
      queue_->next_sequence_ = std::max(queue_->next_sequence_, accepted + 1);
      accepted_ = accepted;
      durable_ = durable;
      queue_->ChangedLocked();
    }
    void Disconnected() override {
      MutexLock lock(&queue_->mu_);
      connected_ = false;
      queue_->ChangedLocked();
    }
    void Acknowledged(uint64_t accepted, uint64_t durable) override {
      MutexLock lock(&queue_->mu_);
      accepted_ = std::max(accepted_, accepted);
      durable_ = std::max(durable_, durable);
      queue_->ChangedLocked();
    }

   private:
    friend class Queue;
    Queue* const queue_;
    // Guarded by the queue's mu_.
    bool woken_ = false;
    bool connected_ = false;
    uint64_t accepted_ = 0;
    uint64_t durable_ = 0;
    uint64_t held_ = 0;  // The batch that the client encodes; 0 if none.
  };

  uint64_t Push(storage::NumberedBatch batch) {
    auto shared = std::make_shared<const storage::NumberedBatch>(std::move(batch));
    MutexLock lock(&mu_);
    const uint64_t sequence = next_sequence_++;
    bytes_ += shared->memory_bytes();
    entries_.push_back({sequence, std::move(shared)});
    if (bytes_ > kQueueBytesMax) DropOldestLocked();
    SweepSeriesLocked();
    ChangedLocked();
    return sequence;
  }

  storage::BatchSource::Item Next(Source* source, uint64_t after, absl::Duration timeout) {
    const absl::Duration deadline = RealClock()->Monotonic() + timeout;
    MutexLock lock(&mu_);
    source->held_ = 0;
    while (!source->woken_) {
      const auto it = std::upper_bound(
          entries_.begin(), entries_.end(), after,
          [](uint64_t sequence, const Entry& entry) { return sequence < entry.sequence; });
      if (it != entries_.end()) {
        source->held_ = it->sequence;
        return {it->sequence, it->batch};
      }
      const absl::Duration left = deadline - RealClock()->Monotonic();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitWithTimeout(&mu_, left);
    }
    source->woken_ = false;
    return {};
  }

  uint64_t LastSequence() const {
    MutexLock lock(&mu_);
    return entries_.empty() ? 0 : entries_.back().sequence;
  }

  // Until every connected endpoint has accepted `sequence`.
  void WaitAccepted(uint64_t sequence, absl::Duration timeout) {
    const absl::Duration deadline = RealClock()->Monotonic() + timeout;
    MutexLock lock(&mu_);
    while (std::any_of(sources_.begin(), sources_.end(),
                       [&](const std::unique_ptr<Source>& source) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                         return source->connected_ && source->accepted_ < sequence;
                       })) {
      const absl::Duration left = deadline - RealClock()->Monotonic();
      if (left <= absl::ZeroDuration()) return;
      changed_.WaitWithTimeout(&mu_, left);
    }
  }

  // Forgets what every endpoint has for good, and wakes whoever waits.
  void ChangedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    uint64_t durable = sources_.empty() ? next_sequence_ : sources_.front()->durable_;
    for (const std::unique_ptr<Source>& source : sources_) {
      durable = std::min(durable, source->durable_);
    }
    while (!entries_.empty() && entries_.front().sequence <= durable) PopFrontLocked();
    ReleaseNumbersLocked();
    queued_bytes_->Set(static_cast<double>(bytes_));
    changed_.SignalAll();
  }

  void PopFrontLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    bytes_ -= entries_.front().batch->memory_bytes();
    entries_.pop_front();
  }

  // Numbers that were retired before the oldest batch that a client may still encode.
  void ReleaseNumbersLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    uint64_t oldest = entries_.empty() ? next_sequence_ : entries_.front().sequence;
    for (const std::unique_ptr<Source>& source : sources_) {
      if (source->held_ != 0) oldest = std::min(oldest, source->held_);
    }
    table_.ReleaseThrough(oldest - 1);
  }

  void DropOldestLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    while (bytes_ > kQueueBytesMax && entries_.size() > 1) {
      const size_t samples = entries_.front().batch->size();
      dropped_samples_->Increment(static_cast<double>(samples));
      dropped_since_log_ += samples;
      PopFrontLocked();
    }
    const absl::Duration now = clock_->Monotonic();
    if (dropped_since_log_ > 0 && now >= next_drop_log_) {
      logger_.Error("storage is away and the queue is full: dropped the oldest samples of rules",
                    {{"samples", dropped_since_log_}});
      dropped_since_log_ = 0;
      next_drop_log_ = now + kDropLogInterval;
    }
  }

  void SweepSeriesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const absl::Duration now = clock_->Monotonic();
    if (now < next_sweep_) return;
    next_sweep_ = now + kSeriesSweepInterval;
    std::vector<storage::SeriesNumber> idle;
    for (auto it = series_.begin(); it != series_.end();) {
      if (now - it->second.last_used > kSeriesIdleMax) {
        idle.push_back(it->second.number);
        series_.erase(it++);
      } else {
        ++it;
      }
    }
    table_.Retire(idle, next_sequence_ - 1);
  }

  // Constant after construction.
  Clock* const clock_;
  const Logger logger_;
  const std::string sender_id_ = RandomSenderId();
  metrics::Counter* const dropped_samples_;
  metrics::Gauge* const queued_bytes_;

  // Synchronises itself. Lock order: mu_ before the table's.
  storage::SeriesTable table_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mu_);  // By sequence.
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<Labels, Series> series_ ABSL_GUARDED_BY(mu_);
  absl::Duration next_sweep_ ABSL_GUARDED_BY(mu_);
  uint64_t dropped_since_log_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration next_drop_log_ ABSL_GUARDED_BY(mu_);

  std::vector<std::unique_ptr<Source>> sources_;  // Constant after construction.
  std::vector<std::unique_ptr<AppendClient>> clients_;
};

// Collects a transaction; numbers are looked up as samples come, so Commit() only moves columns.
class RemoteAppenderFactory::Transaction final : public storage::Appender,
                                                 public storage::HistogramAppender {
 public:
  explicit Transaction(Queue* queue) : queue_(queue) {}

  storage::Refusal Append(const Labels& labels, Timestamp timestamp, double value) override {
    if (batch_.empty()) batch_.base_timestamp = timestamp;
    const storage::SeriesNumber number = queue_->Number(labels);
    if (timestamp == batch_.base_timestamp) {
      batch_.Add(number, value);
    } else {
      batch_.AddAt(number, timestamp, value);
    }
    return storage::Refusal::kNone;
  }

  storage::Refusal AppendHistogram(const Labels& labels, Timestamp timestamp,
                                   const FloatHistogram& histogram) override {
    // The sum is where a receiver looks for staleness.
    const storage::Refusal refusal = Append(labels, timestamp, histogram.sum);
    if (refusal == storage::Refusal::kNone) batch_.SetHistogram(histogram);
    return refusal;
  }

  absl::Status Commit() override {
    if (batch_.empty()) return absl::OkStatus();
    return queue_->Commit(std::exchange(batch_, {}));
  }

  void Rollback() override { batch_ = {}; }

 private:
  Queue* const queue_;
  storage::NumberedBatch batch_;
};

RemoteAppenderFactory::RemoteAppenderFactory(const std::vector<std::string>& endpoints,
                                             Logger logger, metrics::Registry* registry,
                                             Clock* clock)
    : queue_(std::make_unique<Queue>(endpoints, logger, registry, clock)) {}

RemoteAppenderFactory::~RemoteAppenderFactory() = default;

std::unique_ptr<storage::Appender> RemoteAppenderFactory::New() {
  return std::make_unique<Transaction>(queue_.get());
}

}  // namespace narthex::rpc
