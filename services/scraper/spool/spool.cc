#include "services/scraper/spool/spool.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/scraper/spool/segment_cursor.h"

namespace narthex::scraper {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kHouseInterval = absl::Seconds(1);
constexpr absl::Duration kRetryInterval = absl::Seconds(1);
constexpr absl::Duration kLostLogInterval = absl::Minutes(1);
// Sequences are taken in blocks, so that the state file is written seldom; half a block ahead.
constexpr uint64_t kReserveBlock = uint64_t{1} << 20;
constexpr uint64_t kSegmentBytesMin = uint64_t{64} << 10;
constexpr uint64_t kSegmentBytesMax = uint64_t{64} << 20;
constexpr std::string_view kStateFile = "state";

// Dropping goes by segments, so a small spool has small ones.
uint64_t SegmentBytes(uint64_t size_bytes_max) {
  return std::clamp(size_bytes_max / 8, kSegmentBytesMin, kSegmentBytesMax);
}

}  // namespace

struct Spool::Metrics {
  explicit Metrics(metrics::Registry* registry)
      : disk_bytes(registry->AddGauge("narthex_spool_disk_bytes",
                                      "Bytes of batches on disk that storage has not for good.")),
        segments(registry->AddGauge("narthex_spool_segments", "Segments on disk.")),
        memory_bytes(
            registry->AddGauge("narthex_spool_memory_bytes",
                               "Bytes of batches in memory that storage has not for good.")),
        written_batches(registry->AddCounter("narthex_spool_written_batches_total",
                                             "Batches written to disk.")),
        dropped_samples(registry->AddCounter(
            "narthex_spool_dropped_samples_total",
            "Samples lost because storage was away and the spool was full or damaged.")),
        errors(registry->AddCounter("narthex_spool_errors_total",
                                    "Failed writes to the spool's folder.")) {}
  metrics::Gauge* disk_bytes;
  metrics::Gauge* segments;
  metrics::Gauge* memory_bytes;
  metrics::Counter* written_batches;
  metrics::Counter* dropped_samples;
  metrics::Counter* errors;
};

// One endpoint's cursor. All but `cursor` is guarded by the spool's mu_.
class Spool::Endpoint final : public storage::BatchSource {
 public:
  Endpoint(Spool* spool, std::string name)
      : name_(std::move(name)),
        spool_(spool),
        cursor_(spool->fs_, spool->log_.get(), &spool->table_, spool->logger_) {}

  const std::string& sender_id() const override { return spool_->sender_id_; }
  Item Next(uint64_t after, absl::Duration timeout) override {
    return spool_->Next(this, after, timeout);
  }
  Labels SeriesLabels(storage::SeriesNumber number) override { return spool_->table_.Find(number); }
  void Wake() override {
    MutexLock lock(&spool_->mu_);
    woken_ = true;
    spool_->changed_.SignalAll();
  }
  void Connected(uint64_t accepted, uint64_t durable) override {
    MutexLock lock(&spool_->mu_);
    if (accepted >= spool_->next_sequence_) {
      spool_->logger_.Error(
          "storage has later batches of this scraper than it has sent: another "
          "one uses a copy of its spool",
          {{"endpoint", name_}, {"accepted", accepted}});
      spool_->next_sequence_ = accepted + 1;
    }
    connected_ = true;
    accepted_ = accepted;
    durable_ = durable;
    spool_->ChangedLocked();
  }
  void Disconnected() override {
    MutexLock lock(&spool_->mu_);
    connected_ = false;
    spool_->ChangedLocked();
    spool_->due_.Signal();
  }
  void Acknowledged(uint64_t accepted, uint64_t durable) override {
    MutexLock lock(&spool_->mu_);
    accepted_ = std::max(accepted_, accepted);
    durable_ = std::max(durable_, durable);
    spool_->ChangedLocked();
  }

 private:
  friend class Spool;
  const std::string name_;
  Spool* const spool_;
  SegmentCursor cursor_;  // Only touched by the endpoint's client.
  bool connected_ = false;
  bool woken_ = false;
  uint64_t accepted_ = 0;
  uint64_t durable_ = 0;
  uint64_t held_ = 0;  // The batch in memory that the client encodes; 0 if none.
};

Spool::Spool(SpoolOptions options, io::FileSystem* fs, Clock* clock, Logger logger,
             metrics::Registry* registry)
    : options_(std::move(options)),
      fs_(fs),
      clock_(clock),
      logger_(std::move(logger)),
      metrics_(std::make_unique<Metrics>(registry)) {}

Spool::~Spool() {
  {
    MutexLock lock(&mu_);
    closing_ = true;
    due_.Signal();
  }
  thread_.Join();
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(SpoolOptions options, io::FileSystem* fs,
                                                   Clock* clock, Logger logger,
                                                   metrics::Registry* registry) {
  std::unique_ptr<Spool> spool(
      new Spool(std::move(options), fs, clock, std::move(logger), registry));
  NARTHEX_RETURN_IF_ERROR(spool->Load());
  return spool;
}

absl::Status Spool::Load() {
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(options_.path));
  NARTHEX_ASSIGN_OR_RETURN(lock_, fs_->LockDirectory(options_.path));
  const std::string state_path = io::JoinPath(options_.path, kStateFile);
  state_ = SpoolState::New();
  if (fs_->Exists(state_path)) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string text, fs_->ReadFile(state_path));
    absl::StatusOr<SpoolState> state = SpoolState::Decode(text);
    if (state.ok()) {
      state_ = *std::move(state);
    } else {
      // Storage will take what is on disk as new, and refuse the samples that it has.
      logger_.Error("going on as a new sender", {{"err", state.status()}});
    }
  }
  NARTHEX_ASSIGN_OR_RETURN(
      log_, SegmentLog::Open(fs_, options_.path, SegmentBytes(options_.size_bytes_max), logger_));

  sender_id_ = state_.sender_id;

  MutexLock lock(&mu_);
  next_sequence_ = std::max(state_.reserved_sequence, log_->last_sequence()) + 1;
  written_ = next_sequence_ - 1;
  std::map<std::string, uint64_t> cursors;
  for (const std::string& name : options_.endpoints) {
    endpoints_.push_back(std::make_unique<Endpoint>(this, name));
    const auto it = state_.cursors.find(name);
    if (it != state_.cursors.end()) endpoints_.back()->durable_ = it->second;
    cursors[name] = endpoints_.back()->durable_;
  }
  state_.cursors = std::move(cursors);
  state_.reserved_sequence = next_sequence_ + kReserveBlock;
  NARTHEX_RETURN_IF_ERROR(fs_->WriteFileAtomically(state_path, state_.Encode()));
  log_->RemoveThrough(DurableEverywhereLocked());
  in_use_ = log_->size_bytes() > 0;
  if (in_use_) {
    logger_.Info("the spool holds batches of an earlier process",
                 {{"bytes", log_->size_bytes()}, {"segments", log_->segments()}});
  }
  return absl::OkStatus();
}

storage::BatchSource* Spool::source(size_t index) { return endpoints_[index].get(); }

void Spool::RetireSeries(std::span<const storage::SeriesNumber> numbers) {
  MutexLock lock(&mu_);
  table_.Retire(numbers, next_sequence_ - 1);
}

uint64_t Spool::Append(storage::NumberedBatch batch) {
  auto shared = std::make_shared<const storage::NumberedBatch>(std::move(batch));
  MutexLock lock(&mu_);
  const uint64_t sequence = next_sequence_++;
  memory_bytes_ += shared->memory_bytes();
  memory_.push_back({sequence, std::move(shared), clock_->Now()});
  ChangedLocked();
  if (UrgentLocked()) due_.Signal();
  return sequence;
}

std::deque<Spool::Entry>::const_iterator Spool::FindLocked(uint64_t after) const {
  return std::upper_bound(
      memory_.begin(), memory_.end(), after,
      [](uint64_t sequence, const Entry& entry) { return sequence < entry.sequence; });
}

storage::BatchSource::Item Spool::Next(Endpoint* endpoint, uint64_t after, absl::Duration timeout) {
  const absl::Duration deadline = RealClock()->Monotonic() + timeout;
  while (true) {
    {
      MutexLock lock(&mu_);
      endpoint->held_ = 0;
      while (true) {
        if (std::exchange(endpoint->woken_, false)) return {};
        // What is kept from before the first batch in memory is on disk.
        if (after + 1 < MemoryFrontLocked() && log_->Has(after, MemoryFrontLocked())) break;
        const auto it = FindLocked(after);
        if (it != memory_.end()) {
          endpoint->held_ = it->sequence;
          endpoint->cursor_.Close();
          return {it->sequence, it->batch};
        }
        const absl::Duration left = deadline - RealClock()->Monotonic();
        if (left <= absl::ZeroDuration()) return {};
        changed_.WaitWithTimeout(&mu_, left);
      }
    }
    uint64_t lost = 0;
    storage::BatchSource::Item item = endpoint->cursor_.Next(after, &lost);
    if (lost > 0) CountLost(lost, "the spool is damaged");
    if (item.sequence != 0) return item;
  }
}

void Spool::Start() {
  thread_ = Thread("spool", [this] { Run(); });
}

bool Spool::WaitAccepted(absl::Duration timeout) {
  const absl::Duration deadline = RealClock()->Monotonic() + timeout;
  MutexLock lock(&mu_);
  const uint64_t last = next_sequence_ - 1;
  while (std::any_of(endpoints_.begin(), endpoints_.end(),
                     [&](const std::unique_ptr<Endpoint>& endpoint) {
                       return endpoint->connected_ && endpoint->accepted_ < last;
                     })) {
    const absl::Duration left = deadline - RealClock()->Monotonic();
    if (left <= absl::ZeroDuration()) return false;
    changed_.WaitWithTimeout(&mu_, left);
  }
  return true;
}

absl::Status Spool::Close() {
  {
    MutexLock lock(&mu_);
    closing_ = true;
    due_.Signal();
  }
  thread_.Join();
  NARTHEX_RETURN_IF_ERROR(WriteDue(true));
  return KeepHouse(true);
}

void Spool::Run() {
  while (true) {
    {
      MutexLock lock(&mu_);
      if (!closing_ && (!UrgentLocked() || clock_->Now() < next_attempt_)) {
        clock_->WaitUntil(&mu_, &due_, clock_->Now() + kTick);
      }
      if (closing_) return;
    }
    const absl::Time now = clock_->Now();
    if (now >= next_attempt_) {
      const absl::Status status = WriteDue(false);
      if (!status.ok()) next_attempt_ = now + kRetryInterval;
    }
    if (now >= next_house_) {
      next_house_ = now + kHouseInterval;
      KeepHouse(false).IgnoreError();  // Logged and counted there.
    }
  }
}

bool Spool::UrgentLocked() const {
  if (memory_.empty() || memory_.back().sequence <= written_) return false;
  if (memory_bytes_ > options_.memory_bytes_max / 4 * 3) return true;
  return std::any_of(
      endpoints_.begin(), endpoints_.end(),
      [](const std::unique_ptr<Endpoint>& endpoint) { return !endpoint->connected_; });
}

std::vector<SequencedBatch> Spool::TakeDueLocked(bool all) {
  const auto begin = FindLocked(std::max(written_, DurableEverywhereLocked()));
  auto end = begin;
  if (all || UrgentLocked()) {
    end = memory_.end();
  } else {
    uint64_t accepted = next_sequence_;
    for (const std::unique_ptr<Endpoint>& endpoint : endpoints_) {
      accepted = std::min(accepted, endpoint->accepted_);
    }
    // Batches stand by age, so the due ones that are not durable stand in front.
    const absl::Time now = clock_->Now();
    for (auto it = begin; it != memory_.end(); ++it) {
      const absl::Duration age = now - it->added;
      if (age < options_.accept_patience) break;
      if (it->sequence > accepted || age >= options_.durable_patience) end = it + 1;
    }
  }
  std::vector<SequencedBatch> due;
  due.reserve(static_cast<size_t>(end - begin));
  for (auto it = begin; it != end; ++it) due.push_back({it->sequence, it->batch});
  writing_ = due.empty() ? 0 : due.front().sequence;
  return due;
}

absl::Status Spool::WriteDue(bool all) {
  std::vector<SequencedBatch> due;
  {
    MutexLock lock(&mu_);
    due = TakeDueLocked(all);
  }
  if (due.empty()) return absl::OkStatus();
  const absl::Status status = log_->Write(due, table_);
  if (status.ok()) {
    metrics_->written_batches->Increment(static_cast<double>(due.size()));
  } else {
    metrics_->errors->Increment();
    logger_.Error("cannot write to the spool", {{"err", status}});
  }
  uint64_t durable = 0;
  {
    MutexLock lock(&mu_);
    writing_ = 0;
    // After an error a part may be on disk all the same.
    written_ = status.ok() ? due.back().sequence : std::max(written_, log_->last_sequence());
    durable = DurableEverywhereLocked();
    ChangedLocked();
  }
  const uint64_t lost = log_->RemoveBeyond(options_.size_bytes_max, durable);
  if (lost > 0) CountLost(lost, "the spool is full");
  if (!in_use_) logger_.Warn("storage is away or behind: batches go to the spool on disk");
  in_use_ = true;
  return status;
}

absl::Status Spool::KeepHouse(bool sync_now) {
  SpoolState state = state_;
  uint64_t durable = 0;
  uint64_t lost = 0;
  {
    MutexLock lock(&mu_);
    durable = DurableEverywhereLocked();
    lost = std::exchange(lost_in_memory_, 0);
    for (const std::unique_ptr<Endpoint>& endpoint : endpoints_) {
      state.cursors[endpoint->name_] = endpoint->durable_;
    }
    if (next_sequence_ + kReserveBlock / 2 > state.reserved_sequence) {
      state.reserved_sequence = next_sequence_ + kReserveBlock;
    }
  }
  if (lost > 0) CountLost(lost, "the spool cannot be written and memory is full");
  log_->RemoveThrough(durable);
  const bool in_use = log_->size_bytes() > 0;
  if (in_use_ && !in_use) logger_.Info("everything in the spool is delivered");
  in_use_ = in_use;
  metrics_->disk_bytes->Set(static_cast<double>(log_->size_bytes()));
  metrics_->segments->Set(static_cast<double>(log_->segments()));

  absl::Status status = log_->Sync();
  // Cursors matter only beside segments: storage says itself where it is.
  const bool reserve = state.reserved_sequence != state_.reserved_sequence;
  const bool moved = state.cursors != state_.cursors && in_use;
  if (status.ok() && (reserve || moved || sync_now)) {
    status = fs_->WriteFileAtomically(io::JoinPath(options_.path, kStateFile), state.Encode());
    if (status.ok()) state_ = std::move(state);
  }
  if (!status.ok()) {
    metrics_->errors->Increment();
    logger_.Error("cannot keep the state of the spool", {{"err", status}});
  }
  return status;
}

void Spool::ChangedLocked() {
  const uint64_t durable = DurableEverywhereLocked();
  while (!memory_.empty()) {
    const Entry& front = memory_.front();
    if (front.sequence > durable) {
      if (memory_bytes_ <= options_.memory_bytes_max) break;
      // The thread gets the time to write; when it cannot, the oldest batch is lost.
      if (front.sequence > written_) {
        if (memory_bytes_ <= 2 * options_.memory_bytes_max) break;
        lost_in_memory_ += front.batch->size();
      }
    }
    memory_bytes_ -= front.batch->memory_bytes();
    memory_.pop_front();
  }
  uint64_t oldest = MemoryFrontLocked();
  for (const std::unique_ptr<Endpoint>& endpoint : endpoints_) {
    if (endpoint->held_ != 0) oldest = std::min(oldest, endpoint->held_);
  }
  if (writing_ != 0) oldest = std::min(oldest, writing_);
  table_.ReleaseThrough(oldest - 1);
  metrics_->memory_bytes->Set(static_cast<double>(memory_bytes_));
  changed_.SignalAll();
}

void Spool::CountLost(uint64_t samples, std::string_view why) {
  metrics_->dropped_samples->Increment(static_cast<double>(samples));
  MutexLock lock(&lost_mu_);
  lost_since_log_ += samples;
  const absl::Time now = clock_->Now();
  if (now < next_lost_log_) return;
  next_lost_log_ = now + kLostLogInterval;
  logger_.Error("samples that storage has not are lost",
                {{"samples", std::exchange(lost_since_log_, 0)}, {"why", why}});
}

uint64_t Spool::DurableEverywhereLocked() const {
  uint64_t durable = next_sequence_;
  for (const std::unique_ptr<Endpoint>& endpoint : endpoints_) {
    durable = std::min(durable, endpoint->durable_);
  }
  return durable;
}

}  // namespace narthex::scraper
