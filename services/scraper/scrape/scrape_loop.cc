#include "services/scraper/scrape/scrape_loop.h"

#include <utility>
#include <vector>

#include "lib/base/status_macros.h"
#include "lib/model/stale.h"
#include "services/scraper/scrape/limits.h"

namespace narthex::scrape {

ScrapeLoop::ScrapeLoop(const ScrapeContext* context, std::shared_ptr<const ScrapeJob> job,
                       Target target, uint64_t offset_hash)
    : context_(context), job_(std::move(job)), offset_hash_(offset_hash) {
  status_.target = std::move(target);
}

void ScrapeLoop::Start() {
  MutexLock lock(&mu_);
  ScheduleLocked(FirstTick(context_->clock->Now(), status_.target.interval, offset_hash_));
}

void ScrapeLoop::ScheduleLocked(absl::Time tick) {
  tick_ = tick;
  context_->schedule->At(tick, [self = shared_from_this(), epoch = epoch_] { self->Begin(epoch); });
}

void ScrapeLoop::Update(std::shared_ptr<const ScrapeJob> job, Target target, uint64_t offset_hash) {
  MutexLock data_lock(&data_mu_);
  MutexLock lock(&mu_);
  if (job != job_ && !ScrapeJob::SameSeries(job_->config, job->config)) cache_.Forget();
  const bool moved = target.interval != status_.target.interval || offset_hash != offset_hash_;
  job_ = std::move(job);
  status_.target = std::move(target);
  offset_hash_ = offset_hash;
  if (!moved || state_ != State::kRunning) return;
  ++epoch_;
  ScheduleLocked(FirstTick(context_->clock->Now(), status_.target.interval, offset_hash_));
}

void ScrapeLoop::SetForcedError(absl::Status error) {
  MutexLock lock(&mu_);
  forced_error_ = std::move(error);
}

void ScrapeLoop::Retire() {
  MutexLock lock(&mu_);
  if (state_ != State::kRunning) return;
  ++epoch_;
  if (last_begun_ == absl::InfiniteDuration()) {
    state_ = State::kFinished;  // Never scraped: nothing to end.
    return;
  }
  state_ = State::kRetired;
  const absl::Duration interval = status_.target.interval;
  // The markers stand where the next sample would have. One more interval later somebody else may
  // have written there, and the markers come too late, as they should.
  const absl::Time stale_time = under_way_ ? tick_ + interval : tick_;
  context_->schedule->At(stale_time + interval + interval / 10,
                         [self = shared_from_this(), epoch = epoch_, stale_time] {
                           self->EndWithMarkers(epoch, stale_time);
                         });
}

void ScrapeLoop::Resume() {
  MutexLock lock(&mu_);
  if (state_ != State::kRetired) return;
  state_ = State::kRunning;
  ++epoch_;
  ScheduleLocked(FirstTick(context_->clock->Now(), status_.target.interval, offset_hash_));
}

bool ScrapeLoop::finished() const {
  MutexLock lock(&mu_);
  return state_ == State::kFinished;
}

void ScrapeLoop::Stop() {
  MutexLock lock(&mu_);
  ++epoch_;
  state_ = State::kFinished;
}

TargetStatus ScrapeLoop::status() const {
  MutexLock lock(&mu_);
  return status_;
}

void ScrapeLoop::ForEachMetadata(
    const std::function<void(const std::string&, const Metadata&)>& visit) const {
  MutexLock lock(&data_mu_);
  metadata_.ForEach(visit);
}

void ScrapeLoop::Begin(uint64_t epoch) {
  auto scrape = std::make_shared<Scrape>();
  {
    MutexLock lock(&mu_);
    if (epoch != epoch_ || state_ != State::kRunning) return;
    const absl::Time now = context_->clock->Now();
    const absl::Duration interval = status_.target.interval;
    if (under_way_) {
      // The scrape of an earlier epoch has not ended.
      ScheduleLocked(NextTick(tick_, now, interval));
      return;
    }
    under_way_ = true;
    scrape->job = job_;
    scrape->target = status_.target;
    scrape->forced_error = forced_error_.ok() ? job_->client_error : forced_error_;
    scrape->epoch = epoch;
    scrape->timestamp = AlignTimestamp(tick_, now, interval, context_->alignment);
    scrape->begun_at = now;
    scrape->begun = context_->clock->Monotonic();
    if (last_begun_ != absl::InfiniteDuration()) {
      context_->metrics->ObserveInterval(interval, scrape->begun - last_begun_);
    }
    last_begun_ = scrape->begun;
  }
  auto finish = [self = shared_from_this(), scrape](Response response) {
    // Shared, because a task must be copyable.
    auto shared = std::make_shared<Response>(std::move(response));
    self->context_->workers->Submit([self, scrape, shared] { self->Finish(*scrape, *shared); });
  };
  if (!scrape->forced_error.ok()) {
    finish(scrape->forced_error);
    return;
  }
  context_->client->FetchAsync(scrape->job->Request(scrape->target, context_->user_agent),
                               std::move(finish));
}

absl::Status ScrapeLoop::ReadResponse(const Scrape& scrape, const Response& response,
                                      storage::NumberedBatch* batch, BodyCounts* counts) {
  NARTHEX_RETURN_IF_ERROR(response.status());
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<textparse::Parser> parser,
                           scrape.job->Open(*response));
  BodyReader reader(&scrape.job->config, &scrape.target.labels, &cache_, &metadata_,
                    context_->sink);
  return reader.Read(parser.get(), batch, counts);
}

void ScrapeLoop::Finish(const Scrape& scrape, const Response& response) {
  MutexLock data_lock(&data_mu_);
  {
    MutexLock lock(&mu_);
    if (state_ != State::kRunning) {
      under_way_ = false;
      return;
    }
  }
  storage::NumberedBatch batch;
  batch.base_timestamp = scrape.timestamp;
  BodyCounts counts;
  cache_.Begin();
  metadata_.Begin();
  const absl::Status status = ReadResponse(scrape, response, &batch, &counts);
  const auto add_marker = [&batch](storage::SeriesNumber number) { batch.Add(number, StaleNan()); };
  if (status.ok()) {
    cache_.Commit(add_marker);
    metadata_.Commit();
    metadata_entries_.store(metadata_.size(), std::memory_order_relaxed);
  } else {
    batch.numbers.clear();
    batch.values.clear();
    batch.timestamps.clear();
    if (cache_.Abort(add_marker)) context_->metrics->cache_flush_forced->Increment();
  }

  const config::ScrapeConfig& config = scrape.job->config;
  ScrapeReport report;
  report.up = status.ok();
  report.duration = context_->clock->Monotonic() - scrape.begun;
  report.samples_scraped = counts.samples;
  report.samples_after_relabelling = counts.after_relabelling;
  report.series_added = counts.series_added;
  report.timeout = scrape.target.timeout;
  report.sample_limit = config.limits.samples;
  if (response.ok()) {
    report.body_bytes = static_cast<int64_t>(response->body.size());
  } else if (absl::IsResourceExhausted(response.status()) && scrape.forced_error.ok()) {
    report.body_bytes = -1;
  }
  report_.Append(report, scrape.target.labels, config.histograms.extra_scrape_metrics,
                 context_->sink, &batch);

  context_->metrics->scrapes->Increment();
  context_->metrics->samples->Increment(static_cast<double>(batch.size()));
  CountOutcome(status, counts);
  if (!status.ok() && scrape.job->failure_log != nullptr) {
    scrape.job->failure_log->Write(config.job_name, scrape.target.url, Message(status));
  }
  if (report.body_bytes < 0) context_->metrics->exceeded_body_size_limit->Increment();
  context_->sink->Append(std::move(batch));
  context_->sink->RetireSeries(cache_.TakeRetired());
  context_->sink->RetireSeries(report_.TakeRetired());

  MutexLock lock(&mu_);
  status_.health = status.ok() ? Health::kUp : Health::kDown;
  status_.last_error = std::string(Message(status));
  status_.last_scrape = scrape.begun_at;
  status_.last_duration = report.duration;
  under_way_ = false;
  if (scrape.epoch == epoch_ && state_ == State::kRunning) {
    ScheduleLocked(NextTick(tick_, context_->clock->Now(), status_.target.interval));
  }
}

void ScrapeLoop::CountOutcome(const absl::Status& status, const BodyCounts& counts) {
  ScrapeMetrics* const metrics = context_->metrics;
  if (counts.duplicates > 0) {
    metrics->duplicate_timestamp->Increment(static_cast<double>(counts.duplicates));
  }
  if (counts.out_of_bounds > 0) {
    metrics->out_of_bounds->Increment(static_cast<double>(counts.out_of_bounds));
  }
  if (counts.sample_limit_exceeded) metrics->exceeded_sample_limit->Increment();
  if (counts.label_limit_exceeded) metrics->exceeded_label_limits->Increment();
  if (!status.ok() && context_->logger.enabled(LogLevel::kDebug)) {
    MutexLock lock(&mu_);
    context_->logger.Debug(
        "scrape failed",
        {{"scrape_pool", job_->config.job_name}, {"target", status_.target.url}, {"err", status}});
  }
}

void ScrapeLoop::EndWithMarkers(uint64_t epoch, absl::Time stale_time) {
  context_->workers->Submit(
      [self = shared_from_this(), epoch, stale_time] { self->WriteMarkers(epoch, stale_time); });
}

void ScrapeLoop::WriteMarkers(uint64_t epoch, absl::Time stale_time) {
  MutexLock data_lock(&data_mu_);
  {
    MutexLock lock(&mu_);
    if (epoch != epoch_ || state_ != State::kRetired) return;
    state_ = State::kFinished;
  }
  storage::NumberedBatch batch;
  batch.base_timestamp = ToTimestamp(stale_time);
  cache_.Begin();
  cache_.Abort([&batch](storage::SeriesNumber number) { batch.Add(number, StaleNan()); });
  report_.AppendStale(&batch);
  if (!batch.empty()) context_->sink->Append(std::move(batch));
  context_->sink->RetireSeries(cache_.Clear());
  context_->sink->RetireSeries(report_.Clear());
}

}  // namespace narthex::scrape
