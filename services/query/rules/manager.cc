#include "services/query/rules/manager.h"

#include <algorithm>
#include <map>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::rules {
namespace {

// The longest wait, so that a wall clock that is set back is noticed.
constexpr absl::Duration kWaitMax = absl::Seconds(10);

Alert StorageAlert(absl::Time since, absl::Time until, const absl::Status& status) {
  Alert alert;
  alert.labels = Labels{{"alertname", "NarthexStorageUnavailable"}, {"severity", "critical"}};
  alert.annotations =
      Labels{{"summary", "Rules cannot be evaluated: storage does not answer."},
             {"description", StrCat("Alerts that fired before are kept firing, new ones are not "
                                    "seen. Last error: ",
                                    Message(status))}};
  alert.starts_at = since;
  alert.ends_at = until;
  return alert;
}

}  // namespace

Manager::Manager(ManagerOptions options)
    : options_(std::move(options)), clock_(options_.environment.clock) {
  NARTHEX_CHECK(options_.threads > 0);
}

Manager::~Manager() { Stop(); }

void Manager::Start() {
  MutexLock lock(&mu_);
  if (started_ || stopped_) return;
  started_ = true;
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back("rules", [this] { Work(); });
}

void Manager::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    for (const EntryPtr& entry : entries_) entry->cancelled = true;
    work_.SignalAll();
  }
  for (Thread& thread : threads_) thread.Join();
  threads_.clear();
}

void Manager::Apply(std::vector<GroupDefinition> definitions, const Labels& external_labels) {
  MutexLock lock(&mu_);
  external_labels_ = external_labels;
  std::map<std::string, EntryPtr> old_entries;
  for (const EntryPtr& entry : entries_) old_entries[entry->group->definition().key()] = entry;
  std::vector<EntryPtr> new_entries;
  for (GroupDefinition& definition : definitions) {
    const auto old = old_entries.find(definition.key());
    if (old != old_entries.end() && old->second->group->definition() == definition) {
      new_entries.push_back(old->second);
      old_entries.erase(old);
      continue;
    }
    const auto entry = std::make_shared<Entry>();
    entry->group = std::make_shared<Group>(std::move(definition), &options_.environment, loaded_);
    if (old != old_entries.end()) {
      RetireLocked(old->second);
      entry->group->CopyStateFrom(*old->second->group);
      old_entries.erase(old);
    }
    const absl::Time now = clock_->Now();
    entry->due = entry->group->SlotAtOrBefore(now) + entry->group->definition().interval;
    new_entries.push_back(entry);
    ScheduleLocked(entry);
  }
  for (const auto& [key, entry] : old_entries) {
    RetireLocked(entry);
    Group::RemoveMetrics(options_.environment.registry, key);
    {
      MutexLock watch_lock(&watch_mu_);
      away_since_.erase(key);
    }
    entry->retired = clock_->Now();
    entry->due = entry->retired + 2 * entry->group->definition().interval;
    entry->cancelled = false;
    ScheduleLocked(entry);
  }
  entries_ = std::move(new_entries);
  std::sort(entries_.begin(), entries_.end(), [](const EntryPtr& a, const EntryPtr& b) {
    const GroupDefinition& x = a->group->definition();
    const GroupDefinition& y = b->group->definition();
    return std::tie(x.file, x.name) < std::tie(y.file, y.name);
  });
  loaded_ = true;
}

std::vector<std::shared_ptr<const Group>> Manager::groups() const {
  MutexLock lock(&mu_);
  std::vector<std::shared_ptr<const Group>> groups;
  groups.reserve(entries_.size());
  for (const EntryPtr& entry : entries_) groups.push_back(entry->group);
  return groups;
}

void Manager::ScheduleLocked(const EntryPtr& entry) {
  schedule_.emplace(entry->due, entry);
  work_.SignalAll();
}

void Manager::RetireLocked(const EntryPtr& entry) {
  entry->cancelled = true;
  while (entry->running) idle_.Wait(&mu_);
  schedule_.erase({entry->due, entry});
}

Manager::EntryPtr Manager::TakeDueLocked() {
  while (!stopped_) {
    if (schedule_.empty() || has_leader_) {
      work_.Wait(&mu_);
      continue;
    }
    const EntryPtr entry = schedule_.begin()->second;
    const absl::Time now = clock_->Now();
    if (entry->due <= now) {
      schedule_.erase(schedule_.begin());
      work_.Signal();  // Another thread waits for the next one.
      return entry;
    }
    const absl::Duration interval = entry->group->definition().interval;
    if (entry->due - now > 3 * interval) {
      // The clock was set back; the old slots are far ahead.
      schedule_.erase(schedule_.begin());
      entry->due = entry->group->SlotAtOrBefore(now) + interval;
      schedule_.emplace(entry->due, entry);
      continue;
    }
    has_leader_ = true;
    clock_->WaitUntil(&mu_, &work_, std::min(entry->due, now + kWaitMax));
    has_leader_ = false;
  }
  return nullptr;
}

void Manager::Work() {
  mu_.Lock();
  while (const EntryPtr entry = TakeDueLocked()) {
    entry->running = true;
    mu_.Unlock();
    Run(entry.get());
    mu_.Lock();
    entry->running = false;
    if (!entry->cancelled) ScheduleLocked(entry);
    idle_.SignalAll();
  }
  mu_.Unlock();
}

void Manager::Run(Entry* entry) {
  Group& group = *entry->group;
  if (entry->retired != absl::InfiniteFuture()) {
    group.MarkAllStale(entry->retired);
    entry->cancelled = true;
    return;
  }
  const absl::Duration interval = group.definition().interval;
  absl::Time slot = entry->due;
  const int64_t missed = (clock_->Now() - slot) / interval;
  slot += missed * interval;
  Labels external_labels;
  {
    MutexLock lock(&mu_);
    external_labels = external_labels_;
  }
  const absl::Status status =
      group.Evaluate(slot, missed, external_labels, [entry] { return entry->cancelled.load(); });
  entry->due = slot + interval;
  if (!entry->cancelled) WatchStorage(status, group);
}

void Manager::WatchStorage(const absl::Status& status, const Group& group) {
  if (!status.ok() && !absl::IsUnavailable(status)) return;  // Slow is not away.
  const RuleEnvironment& environment = options_.environment;
  const absl::Time now = clock_->Now();
  std::vector<Alert> alerts;
  {
    MutexLock lock(&watch_mu_);
    if (absl::IsUnavailable(status)) {
      away_since_.try_emplace(group.definition().key(), now);
      absl::Time since = now;
      for (const auto& [key, time] : away_since_) since = std::min(since, time);
      if (now - since < options_.storage_alert_after ||
          now - alert_sent_at_ < environment.resend_delay) {
        return;
      }
      alert_since_ = since;
      alert_sent_at_ = now;
      const absl::Duration renewal =
          std::max(group.definition().interval, environment.resend_delay);
      alerts.push_back(StorageAlert(since, now + 4 * renewal, status));
    } else {
      away_since_.erase(group.definition().key());
      if (away_since_.empty() && alert_sent_at_ != absl::InfinitePast()) {
        alerts.push_back(StorageAlert(alert_since_, now, status));
        alert_sent_at_ = absl::InfinitePast();
      }
    }
  }
  if (!alerts.empty()) environment.send_alerts(std::move(alerts));
}

}  // namespace narthex::rules
