#include "services/pushgateway/metric_store.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::pushgateway {
namespace {

constexpr std::string_view kInstance = "instance";

// Gives the metrics the labels of their group, and an empty instance where there is none, so that
// the scrape's own instance label is not put on them.
void ApplyGroupLabels(const GroupingKey& key, MetricFamily* family) {
  for (Metric& metric : family->metrics) {
    LabelPairs& labels = metric.labels;
    for (const auto& [name, value] : key) {
      const auto found =
          std::find_if(labels.begin(), labels.end(),
                       [&name = name](const auto& label) { return label.first == name; });
      if (found == labels.end()) {
        labels.emplace_back(name, value);
      } else {
        found->second = value;
      }
    }
    const bool has_instance = std::any_of(
        labels.begin(), labels.end(), [](const auto& label) { return label.first == kInstance; });
    if (!has_instance) labels.emplace_back(kInstance, "");
    std::sort(labels.begin(), labels.end());
  }
}

bool HasTimestamps(const FamilyMap& families) {
  for (const auto& entry : families) {
    for (const Metric& metric : entry.second.metrics) {
      if (metric.timestamp_ms.has_value()) return true;
    }
  }
  return false;
}

// `time` may be InfinitePast(), "never".
MetricFamily TimeGauge(std::string_view name, const GroupingKey& key, absl::Time time) {
  MetricFamily family;
  family.name = std::string(name);
  family.help = StrCat("Last Unix time when changing this group in the Pushgateway ",
                       name == kPushTime ? "succeeded." : "failed.");
  family.type = FamilyType::kGauge;
  family.metrics.emplace_back();
  if (time != absl::InfinitePast()) {
    family.metrics[0].value = static_cast<double>(absl::ToUnixNanos(time)) / 1e9;
  }
  ApplyGroupLabels(key, &family);
  return family;
}

double TimeOf(const Group& group, std::string_view name) {
  const auto found = group.families.find(name);
  return found == group.families.end() ? 0 : found->second.family->metrics[0].value;
}

}  // namespace

bool Group::LastPushSuccessful() const {
  return TimeOf(*this, kPushTime) >= TimeOf(*this, kPushFailureTime);
}

MetricStore::MetricStore(Options options, Clock* clock)
    : options_(std::move(options)), clock_(clock) {}

absl::Status MetricStore::Push(const GroupingKey& key, FamilyMap families, bool replace) {
  const absl::Time now = clock_->Now();
  const bool has_timestamps = HasTimestamps(families);
  for (auto& entry : families) ApplyGroupLabels(key, &entry.second);
  families[std::string(kPushTime)] = TimeGauge(kPushTime, key, now);
  families.erase(std::string(kPushFailureTime));
  const OwnFamilies own(options_.check_consistency ? options_.own_families()
                                                   : std::vector<metrics::CollectedFamily>());
  MutexLock lock(&mu_);
  ++version_;
  const auto group = groups_.find(key);
  if (group == groups_.end() || !group->second.families.contains(kPushFailureTime)) {
    families[std::string(kPushFailureTime)] =
        TimeGauge(kPushFailureTime, key, absl::InfinitePast());
  }
  absl::Status status;
  if (has_timestamps) {
    status = InvalidArgument("pushed metrics must not have timestamps");
  } else if (options_.check_consistency) {
    status = CheckLocked(key, families, replace, own);
  }
  if (status.ok()) {
    ApplyLocked(key, std::move(families), replace, now);
  } else {
    NoteFailureLocked(key, now);
  }
  return status;
}

// The check sees the store as it would be without what the push takes the place of.
absl::Status MetricStore::CheckLocked(const GroupingKey& key, const FamilyMap& families,
                                      bool replace, const OwnFamilies& own) const {
  SeriesCounts leaving;
  uint64_t number = next_number_;
  const Group* group = nullptr;
  if (const auto found = groups_.find(key); found != groups_.end()) {
    group = &found->second;
    number = group->number;
    for (const auto& [name, stored] : group->families) {
      const bool leaves = families.contains(name) || (replace && name != kPushFailureTime);
      if (!leaves) continue;
      for (const Metric& metric : stored.family->metrics)
        ++leaving[SeriesHash(name, metric.labels)];
    }
  }
  ConsistencyCheck::Existing existing;
  existing.type_of = [&](std::string_view name)
                         ABSL_NO_THREAD_SAFETY_ANALYSIS -> std::optional<FamilyType> {
    const auto found = families_.find(name);
    if (found == families_.end()) return std::nullopt;
    for (const auto& [owner, family] : found->second) {
      const bool leaves =
          owner == number && (families.contains(name) || (replace && name != kPushFailureTime));
      if (!leaves) return family->type;
    }
    return std::nullopt;
  };
  existing.has_series = [&](uint64_t hash) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = series_.find(hash);
    if (found == series_.end()) return false;
    const auto gone = leaving.find(hash);
    return found->second > (gone == leaving.end() ? 0 : gone->second);
  };
  ConsistencyCheck check(&own, std::move(existing));
  for (const auto& entry : families) check.Add(entry.second);
  return check.status();
}

void MetricStore::ApplyLocked(const GroupingKey& key, FamilyMap families, bool replace,
                              absl::Time now) {
  Group& group = groups_[key];
  if (group.families.empty()) {
    group.key = key;
    group.number = next_number_++;
  }
  if (replace) {
    std::vector<std::string> leaving;
    for (const auto& entry : group.families) {
      if (entry.first != kPushFailureTime) leaving.push_back(entry.first);
    }
    for (const std::string& name : leaving) RemoveFamilyLocked(&group, name);
  }
  for (auto& entry : families) SetFamilyLocked(&group, std::move(entry.second), now);
}

void MetricStore::NoteFailureLocked(const GroupingKey& key, absl::Time now) {
  MetricFamily failure = TimeGauge(kPushFailureTime, key, now);
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    // Upstream makes the group in any case. Where another group has the same labels but for empty
    // ones, its two gauges would then be there twice, and that would break every later scrape.
    if (options_.check_consistency &&
        series_.contains(SeriesHash(kPushFailureTime, failure.metrics[0].labels))) {
      return;
    }
    found = groups_.try_emplace(key).first;
    found->second.key = key;
    found->second.number = next_number_++;
    SetFamilyLocked(&found->second, TimeGauge(kPushTime, key, absl::InfinitePast()), now);
  }
  SetFamilyLocked(&found->second, std::move(failure), now);
}

void MetricStore::SetFamilyLocked(Group* group, MetricFamily family, absl::Time pushed) {
  RemoveFamilyLocked(group, family.name);
  const auto shared = std::make_shared<const MetricFamily>(std::move(family));
  for (const Metric& metric : shared->metrics) ++series_[SeriesHash(shared->name, metric.labels)];
  families_[shared->name][group->number] = shared;
  group->families[shared->name] = {shared, pushed};
}

void MetricStore::RemoveFamilyLocked(Group* group, const std::string& name) {
  const auto found = group->families.find(name);
  if (found == group->families.end()) return;
  for (const Metric& metric : found->second.family->metrics) {
    const auto count = series_.find(SeriesHash(name, metric.labels));
    NARTHEX_CHECK(count != series_.end());
    if (--count->second == 0) series_.erase(count);
  }
  const auto indexed = families_.find(name);
  NARTHEX_CHECK(indexed != families_.end());
  indexed->second.erase(group->number);
  if (indexed->second.empty()) families_.erase(indexed);
  group->families.erase(found);
}

void MetricStore::RemoveGroupLocked(Group* group) {
  while (!group->families.empty()) {
    const std::string name = group->families.begin()->first;
    RemoveFamilyLocked(group, name);
  }
}

void MetricStore::Delete(const GroupingKey& key) {
  MutexLock lock(&mu_);
  ++version_;
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  RemoveGroupLocked(&found->second);
  groups_.erase(found);
}

void MetricStore::Wipe() {
  MutexLock lock(&mu_);
  ++version_;
  groups_.clear();
  families_.clear();
  series_.clear();
}

std::vector<Group> MetricStore::Groups() const {
  MutexLock lock(&mu_);
  std::vector<Group> groups;
  groups.reserve(groups_.size());
  for (const auto& entry : groups_) groups.push_back(entry.second);
  return groups;
}

std::vector<MergedFamily> MetricStore::Families() const {
  MutexLock lock(&mu_);
  std::vector<MergedFamily> merged;
  merged.reserve(families_.size());
  for (const auto& [name, by_group] : families_) {
    merged.push_back({name, {}});
    for (const auto& entry : by_group) merged.back().parts.push_back(entry.second);
  }
  return merged;
}

absl::Status MetricStore::Verify(const OwnFamilies& own) const {
  ConsistencyCheck::Existing nothing;
  nothing.type_of = [](std::string_view) { return std::nullopt; };
  nothing.has_series = [](uint64_t) { return false; };
  ConsistencyCheck check(&own, std::move(nothing));
  for (const MergedFamily& family : Families()) {
    for (const auto& part : family.parts) check.Add(*part);
  }
  return check.status();
}

uint64_t MetricStore::version() const {
  MutexLock lock(&mu_);
  return version_;
}

void MetricStore::Restore(std::vector<Group> groups) {
  std::sort(groups.begin(), groups.end(),
            [](const Group& a, const Group& b) { return a.number < b.number; });
  MutexLock lock(&mu_);
  NARTHEX_CHECK(groups_.empty());
  for (Group& restored : groups) {
    Group& group = groups_[restored.key];
    group.key = restored.key;
    group.number = next_number_++;
    for (auto& entry : restored.families) {
      SetFamilyLocked(&group, *entry.second.family, entry.second.pushed);
    }
  }
}

MetricStore::Size MetricStore::size() const {
  MutexLock lock(&mu_);
  return {groups_.size(), series_.size()};
}

}  // namespace narthex::pushgateway
