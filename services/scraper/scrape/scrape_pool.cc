#include "services/scraper/scrape/scrape_pool.h"

#include <algorithm>
#include <utility>

#include "services/scraper/scrape/limits.h"

namespace narthex::scrape {

ScrapePool::ScrapePool(const ScrapeContext* context, std::shared_ptr<const ScrapeJob> job,
                       uint64_t offset_seed)
    : context_(context),
      job_(std::move(job)),
      offset_seed_(offset_seed),
      metrics_(context->metrics->registry, job_->config.job_name),
      metadata_entries_(context->metrics->registry->AddCallback(
          "prometheus_target_metadata_cache_entries",
          "Total number of metric metadata entries in the cache.", "gauge",
          {{"scrape_job", job_->config.job_name}},
          [this] { return static_cast<double>(metadata_entries()); })) {
  context_->metrics->pools->Increment();
}

void ScrapePool::Sync(std::vector<discovery::TargetGroup> groups) {
  MutexLock lock(&mu_);
  groups_ = std::move(groups);
  SyncLocked();
}

void ScrapePool::Reload(std::shared_ptr<const ScrapeJob> job, uint64_t offset_seed) {
  MutexLock lock(&mu_);
  if (job_->config == job->config && offset_seed == offset_seed_) return;
  job_ = std::move(job);
  offset_seed_ = offset_seed;
  context_->metrics->reloads->Increment();
  SyncLocked();
}

void ScrapePool::SyncLocked() {
  const absl::Duration begun = context_->clock->Monotonic();
  TargetSet set = MakeTargetSet(groups_, job_->config);
  for (const std::string& error : set.errors) {
    metrics_.sync_failures->Increment();
    if (std::find(errors_.begin(), errors_.end(), error) != errors_.end()) continue;
    context_->logger.Error("a target cannot be scraped",
                           {{"scrape_pool", job_->config.job_name}, {"err", error}});
  }
  errors_ = std::move(set.errors);
  dropped_ = std::move(set.dropped);
  dropped_count_ = set.dropped_count;
  ApplyLocked(std::move(set));
  metrics_.syncs->Increment();
  metrics_.sync_length->Observe(absl::ToDoubleSeconds(context_->clock->Monotonic() - begun));
}

void ScrapePool::ApplyLocked(TargetSet set) {
  const absl::Status limit = CheckTargetLimit(set.active.size(), job_->config.limits);
  if (!limit.ok()) context_->metrics->exceeded_target_limit->Increment();
  metrics_.target_limit->Set(static_cast<double>(job_->config.limits.targets));
  metrics_.targets->Set(static_cast<double>(set.active.size()));

  Loops loops;
  order_.clear();
  for (Target& target : set.active) {
    const Target::Identity identity = target.identity();
    const uint64_t offset_hash = target.OffsetHash(offset_seed_);
    std::shared_ptr<ScrapeLoop> loop;
    if (const auto it = loops_.find(identity); it != loops_.end()) {
      loop = std::move(it->second);
      loops_.erase(it);
      loop->Update(job_, std::move(target), offset_hash);
    } else if (const auto back = retired_.find(identity);
               back != retired_.end() && !back->second->finished()) {
      loop = std::move(back->second);
      retired_.erase(back);
      loop->Update(job_, std::move(target), offset_hash);
      loop->Resume();
    } else {
      loop = std::make_shared<ScrapeLoop>(context_, job_, std::move(target), offset_hash);
      loop->Start();
    }
    loop->SetForcedError(limit);
    order_.push_back(loop);
    loops[identity] = std::move(loop);
  }
  loops.swap(loops_);
  // What is left of the old ones is gone.
  absl::erase_if(retired_, [](const auto& entry) { return entry.second->finished(); });
  for (auto& [identity, loop] : loops) {
    loop->Retire();
    retired_[identity] = std::move(loop);
  }
}

void ScrapePool::Retire() {
  MutexLock lock(&mu_);
  for (const auto& [identity, loop] : loops_) loop->Retire();
  loops_.clear();
  order_.clear();
}

void ScrapePool::Stop() {
  MutexLock lock(&mu_);
  for (const auto& [identity, loop] : loops_) loop->Stop();
  for (const auto& [identity, loop] : retired_) loop->Stop();
}

std::string ScrapePool::name() const {
  MutexLock lock(&mu_);
  return job_->config.job_name;
}

std::vector<std::shared_ptr<ScrapeLoop>> ScrapePool::ActiveLoops() const {
  MutexLock lock(&mu_);
  return order_;
}

PoolStatus ScrapePool::status() const {
  PoolStatus status;
  for (const std::shared_ptr<ScrapeLoop>& loop : ActiveLoops()) {
    status.active.push_back(loop->status());
  }
  MutexLock lock(&mu_);
  status.dropped = dropped_;
  status.dropped_count = dropped_count_;
  return status;
}

void ScrapePool::ForEachMetadata(
    const std::function<void(const Labels&, const std::string&, const Metadata&)>& visit) const {
  for (const std::shared_ptr<ScrapeLoop>& loop : ActiveLoops()) {
    const Labels labels = loop->status().target.labels;
    loop->ForEachMetadata([&](const std::string& family, const Metadata& metadata) {
      visit(labels, family, metadata);
    });
  }
}

size_t ScrapePool::metadata_entries() const {
  size_t entries = 0;
  for (const std::shared_ptr<ScrapeLoop>& loop : ActiveLoops()) {
    entries += loop->metadata_entries();
  }
  return entries;
}

}  // namespace narthex::scrape
