#include "services/alertmanager/alerts/ingestion.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace narthex::alerts {
namespace {

constexpr absl::Duration kDefaultResolveTimeout = absl::Minutes(5);
constexpr std::string_view kReceived = "alertmanager_alerts_received_total";
constexpr std::string_view kReceivedHelp = "The total number of received alerts.";

// Sorts by name; of a name given twice the last one counts, as in JSON objects.
void SortUnique(std::vector<std::pair<std::string, std::string>>* pairs) {
  std::stable_sort(pairs->begin(), pairs->end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<std::string, std::string>> unique;
  for (auto& pair : *pairs) {
    if (!unique.empty() && unique.back().first == pair.first) unique.pop_back();
    unique.push_back(std::move(pair));
  }
  *pairs = std::move(unique);
}

absl::Status CheckPairs(const std::vector<std::pair<std::string, std::string>>& pairs,
                        NameValidationScheme scheme, std::string_view what) {
  for (const auto& [name, value] : pairs) {
    if (!IsValidLabelName(name, scheme)) {
      return InvalidArgument("invalid ", what, ": invalid name ", Quote(name));
    }
    if (!IsValidLabelValue(value)) {
      return InvalidArgument("invalid ", what, ": invalid value ", Quote(value));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Ingestion::Ingestion(AlertStore* store, Clock* clock, metrics::Registry* registry,
                     NameValidationScheme scheme)
    : store_(store),
      clock_(clock),
      scheme_(scheme),
      resolve_timeout_ns_(absl::ToInt64Nanoseconds(kDefaultResolveTimeout)),
      received_firing_(registry->AddCounter(kReceived, kReceivedHelp,
                                            {{"status", "firing"}, {"version", "v2"}})),
      received_resolved_(registry->AddCounter(kReceived, kReceivedHelp,
                                              {{"status", "resolved"}, {"version", "v2"}})),
      invalid_(registry->AddCounter("alertmanager_alerts_invalid_total",
                                    "The total number of received alerts that were invalid.",
                                    {{"version", "v2"}})),
      limited_(registry->AddCounter(
          "alertmanager_alerts_limited_total",
          "The total number of alerts that were dropped due to per alert name limit.")) {}

absl::StatusOr<Alert> Ingestion::Build(PostedAlert posted, absl::Time now) const {
  SortUnique(&posted.labels);
  SortUnique(&posted.annotations);
  std::erase_if(posted.labels, [](const auto& label) { return label.second.empty(); });

  Alert alert;
  alert.updated_at = now;
  alert.starts_at = posted.starts_at;
  alert.ends_at = posted.ends_at;
  if (alert.starts_at == absl::InfiniteFuture()) {
    alert.starts_at = alert.ends_at == absl::InfiniteFuture() ? now : alert.ends_at;
  }
  if (alert.ends_at == absl::InfiniteFuture()) {
    alert.timeout = true;
    alert.ends_at = now + absl::Nanoseconds(resolve_timeout_ns_.load(std::memory_order_relaxed));
  }
  (alert.ends_at > now ? received_firing_ : received_resolved_)->Increment();

  if (alert.ends_at < alert.starts_at) {
    return InvalidArgument("start time must be before end time");
  }
  if (absl::Status status = CheckPairs(posted.labels, scheme_, "label set"); !status.ok()) {
    return status;
  }
  if (posted.labels.empty()) return InvalidArgument("at least one label pair required");
  if (absl::Status status = CheckPairs(posted.annotations, scheme_, "annotations"); !status.ok()) {
    return status;
  }
  alert.labels = Labels::FromPairs(std::move(posted.labels));
  alert.annotations = std::move(posted.annotations);
  alert.generator_url = std::move(posted.generator_url);
  return alert;
}

IngestResult Ingestion::Post(std::vector<PostedAlert> posted) {
  const absl::Time now = clock_->Now();
  IngestResult result;
  std::vector<Alert> valid;
  valid.reserve(posted.size());
  for (size_t i = 0; i < posted.size(); ++i) {
    absl::StatusOr<Alert> alert = Build(std::move(posted[i]), now);
    if (alert.ok()) {
      valid.push_back(*std::move(alert));
    } else {
      invalid_->Increment();
      result.errors.emplace_back(i, Message(alert.status()));
    }
  }
  result.accepted = valid.size();
  limited_->Increment(static_cast<double>(store_->Put(std::move(valid))));
  return result;
}

}  // namespace narthex::alerts
