#include "services/scraper/scrape/scrape_metrics.h"

#include "lib/base/duration.h"

namespace narthex::scrape {
namespace {

constexpr char kSyncs[] = "prometheus_target_scrape_pool_sync_total";
constexpr char kSyncFailures[] = "prometheus_target_sync_failed_total";
constexpr char kSyncLength[] = "prometheus_target_sync_length_seconds";
constexpr char kTargets[] = "prometheus_target_scrape_pool_targets";
constexpr char kTargetLimit[] = "prometheus_target_scrape_pool_target_limit";

const std::vector<double>& Quantiles() {
  static const auto* const quantiles = new std::vector<double>{0.01, 0.05, 0.5, 0.9, 0.99};
  return *quantiles;
}

}  // namespace

ScrapeMetrics::ScrapeMetrics(metrics::Registry* metrics_registry)
    : registry(metrics_registry),
      pools(registry->AddCounter("prometheus_target_scrape_pools_total",
                                 "Total number of scrape pool creation attempts.")),
      reloads(registry->AddCounter("prometheus_target_scrape_pool_reloads_total",
                                   "Total number of scrape pool reloads.")),
      exceeded_target_limit(
          registry->AddCounter("prometheus_target_scrape_pool_exceeded_target_limit_total",
                               "Total number of times scrape pools hit the target limit, during "
                               "sync or config reload.")),
      exceeded_label_limits(
          registry->AddCounter("prometheus_target_scrape_pool_exceeded_label_limits_total",
                               "Total number of times scrape pools hit the label limits, during "
                               "sync or config reload.")),
      exceeded_sample_limit(registry->AddCounter(
          "prometheus_target_scrapes_exceeded_sample_limit_total",
          "Total number of scrapes that hit the sample limit and were rejected.")),
      exceeded_body_size_limit(
          registry->AddCounter("prometheus_target_scrapes_exceeded_body_size_limit_total",
                               "Total number of scrapes that hit the body size limit.")),
      duplicate_timestamp(registry->AddCounter(
          "prometheus_target_scrapes_sample_duplicate_timestamp_total",
          "Total number of samples rejected due to duplicate timestamps but different values.")),
      out_of_order(registry->AddCounter(
          "prometheus_target_scrapes_sample_out_of_order_total",
          "Total number of samples rejected due to not being out of the expected order.")),
      out_of_bounds(registry->AddCounter(
          "prometheus_target_scrapes_sample_out_of_bounds_total",
          "Total number of samples rejected due to timestamp falling outside of the time bounds.")),
      cache_flush_forced(registry->AddCounter("prometheus_target_scrapes_cache_flush_forced_total",
                                              "How many times a scrape cache was flushed due to "
                                              "getting big while scrapes are failing.")),
      scrapes(registry->AddCounter("narthex_scraper_scrapes_total", "Scrapes that have ended.")),
      samples(registry->AddCounter("narthex_scraper_samples_total",
                                   "Samples handed to the spool, report series included.")) {}

void ScrapeMetrics::ObserveInterval(absl::Duration configured, absl::Duration actual) {
  metrics::Summary* summary = nullptr;
  {
    MutexLock lock(&mu_);
    metrics::Summary*& known = interval_lengths_[configured];
    if (known == nullptr) {
      known = registry->AddSummary("prometheus_target_interval_length_seconds",
                                   "Actual intervals between scrapes.", Quantiles(),
                                   {{"interval", FormatDuration(configured)}});
    }
    summary = known;
  }
  summary->Observe(absl::ToDoubleSeconds(actual));
}

void ScrapeMetrics::CountRefused(storage::Refusal refusal, uint64_t refused_samples) {
  const auto count = static_cast<double>(refused_samples);
  switch (refusal) {
    case storage::Refusal::kOutOfOrder:
      out_of_order->Increment(count);
      break;
    case storage::Refusal::kDuplicate:
      duplicate_timestamp->Increment(count);
      break;
    case storage::Refusal::kOutOfBounds:
    case storage::Refusal::kTooOld:
      out_of_bounds->Increment(count);
      break;
    case storage::Refusal::kNone:
    case storage::Refusal::kInvalidLabels:
    case storage::Refusal::kSeriesLimit:
    case storage::Refusal::kInvalidHistogram:
      break;
  }
}

PoolMetrics::PoolMetrics(metrics::Registry* registry, const std::string& job)
    : registry_(registry),
      labels_({{"scrape_job", job}}),
      syncs(registry->AddCounter(
          kSyncs, "Total number of syncs that were executed on a scrape pool.", labels_)),
      sync_failures(
          registry->AddCounter(kSyncFailures, "Total number of target sync failures.", labels_)),
      sync_length(registry->AddSummary(kSyncLength, "Actual interval to sync the scrape pool.",
                                       Quantiles(), labels_)),
      targets(
          registry->AddGauge(kTargets, "Current number of targets in this scrape pool.", labels_)),
      target_limit(registry->AddGauge(
          kTargetLimit, "Maximum number of targets allowed in this scrape pool.", labels_)) {}

PoolMetrics::~PoolMetrics() {
  for (const char* const name : {kSyncs, kSyncFailures, kSyncLength, kTargets, kTargetLimit}) {
    registry_->Remove(name, labels_);
  }
}

}  // namespace narthex::scrape
