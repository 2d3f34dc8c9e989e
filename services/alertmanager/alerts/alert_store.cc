#include "services/alertmanager/alerts/alert_store.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace narthex::alerts {

bool AlertStore::AdmitLocked(const Alert& alert, uint64_t fingerprint, absl::Time now) {
  if (options_.per_alertname_max == 0) return true;
  const std::string_view alertname = alert.labels.Get("alertname");
  auto found = buckets_.find(alertname);
  if (found == buckets_.end()) found = buckets_.emplace(std::string(alertname), Bucket()).first;
  Bucket& bucket = found->second;
  if (!bucket.contains(fingerprint) && bucket.size() >= options_.per_alertname_max) {
    const auto earliest =
        std::min_element(bucket.begin(), bucket.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    // Only one that has ended makes room.
    if (earliest->second > now) return false;
    bucket.erase(earliest);
  }
  bucket[fingerprint] = alert.ends_at;
  return true;
}

size_t AlertStore::Put(std::vector<Alert> alerts) {
  const absl::Time now = clock_->Now();
  size_t turned_away = 0;
  std::vector<AlertPtr> stored;
  stored.reserve(alerts.size());
  ReaderMutexLock listeners_lock(&listeners_mu_);
  {
    MutexLock lock(&mu_);
    for (Alert& alert : alerts) {
      const uint64_t fingerprint = alert.fingerprint();
      if (!AdmitLocked(alert, fingerprint, now)) {
        ++turned_away;
        continue;
      }
      AlertPtr& slot = alerts_[fingerprint];
      if (slot != nullptr) {
        const Alert& old = *slot;
        const bool ends_inside = alert.ends_at > old.starts_at && alert.ends_at < old.ends_at;
        const bool starts_inside = alert.starts_at > old.starts_at && alert.starts_at < old.ends_at;
        if (ends_inside || starts_inside) alert = Merge(old, alert, now);
      }
      slot = std::make_shared<const Alert>(std::move(alert));
      stored.push_back(slot);
    }
  }
  for (const AlertPtr& alert : stored) {
    for (AlertListener* listener : listeners_) listener->OnAlert(alert);
  }
  return turned_away;
}

AlertPtr AlertStore::Get(uint64_t fingerprint) const {
  MutexLock lock(&mu_);
  const auto found = alerts_.find(fingerprint);
  return found == alerts_.end() ? nullptr : found->second;
}

std::vector<AlertPtr> AlertStore::All() const {
  MutexLock lock(&mu_);
  std::vector<AlertPtr> all;
  all.reserve(alerts_.size());
  for (const auto& entry : alerts_) all.push_back(entry.second);
  return all;
}

void AlertStore::Count(size_t* firing, size_t* resolved) const {
  const absl::Time now = clock_->Now();
  *firing = *resolved = 0;
  MutexLock lock(&mu_);
  for (const auto& entry : alerts_) ++*(entry.second->ResolvedAt(now) ? resolved : firing);
}

size_t AlertStore::CollectGarbage() {
  const absl::Time now = clock_->Now();
  MutexLock lock(&mu_);
  for (auto bucket = buckets_.begin(); bucket != buckets_.end();) {
    absl::erase_if(bucket->second, [now](const auto& entry) { return entry.second <= now; });
    bucket = bucket->second.empty() ? buckets_.erase(bucket) : std::next(bucket);
  }
  return absl::erase_if(alerts_,
                        [now](const auto& entry) { return entry.second->ResolvedAt(now); });
}

void AlertStore::AddListener(AlertListener* listener) {
  // Exclusive: nothing is put between the snapshot and the first change that it hears of.
  MutexLock lock(&listeners_mu_);
  for (const AlertPtr& alert : All()) listener->OnAlert(alert);
  listeners_.push_back(listener);
}

void AlertStore::RemoveListener(AlertListener* listener) {
  MutexLock lock(&listeners_mu_);
  listeners_.erase(std::remove(listeners_.begin(), listeners_.end(), listener), listeners_.end());
}

}  // namespace narthex::alerts
