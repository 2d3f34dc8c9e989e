#include "services/alertmanager/inhibit/inhibitor.h"

#include <algorithm>
#include <utility>

#include "lib/base/coding.h"
#include "services/alertmanager/alerts/matchers.h"

namespace narthex::inhibit {

Inhibitor::Inhibitor(std::vector<Rule> rules, Clock* clock) : clock_(clock), rules_(rules.size()) {
  indexed_.reserve(rules.size());
  for (Rule& rule : rules) indexed_.push_back({std::move(rule), {}});
}

std::string Inhibitor::EqualKey(const Rule& rule, const Labels& labels) {
  std::string key;
  for (const std::string& name : rule.equal) AppendLengthPrefixed(&key, labels.Get(name));
  return key;
}

void Inhibitor::OnAlert(const alerts::AlertPtr& alert) {
  MutexLock lock(&mu_);
  for (IndexedRule& indexed : indexed_) {
    if (!alerts::MatchesAll(indexed.rule.source_matchers, alert->labels)) continue;
    std::vector<alerts::AlertPtr>& sources = indexed.sources[EqualKey(indexed.rule, alert->labels)];
    const auto known = std::find_if(
        sources.begin(), sources.end(),
        [&](const alerts::AlertPtr& source) { return source->labels == alert->labels; });
    if (known == sources.end()) {
      sources.push_back(alert);
    } else if ((*known)->updated_at <= alert->updated_at) {
      *known = alert;
    }
  }
}

std::vector<uint64_t> Inhibitor::InhibitedBy(const Labels& labels) const {
  const absl::Time now = clock_->Now();
  std::vector<uint64_t> inhibitors;
  MutexLock lock(&mu_);
  for (const IndexedRule& indexed : indexed_) {
    if (!alerts::MatchesAll(indexed.rule.target_matchers, labels)) continue;
    const auto found = indexed.sources.find(EqualKey(indexed.rule, labels));
    if (found == indexed.sources.end()) continue;
    const bool two_sided = alerts::MatchesAll(indexed.rule.source_matchers, labels);
    for (const alerts::AlertPtr& source : found->second) {
      if (source->ResolvedAt(now)) continue;
      if (two_sided && alerts::MatchesAll(indexed.rule.target_matchers, source->labels)) continue;
      inhibitors.push_back(source->fingerprint());
    }
  }
  std::sort(inhibitors.begin(), inhibitors.end());
  inhibitors.erase(std::unique(inhibitors.begin(), inhibitors.end()), inhibitors.end());
  return inhibitors;
}

void Inhibitor::CollectGarbage() {
  const absl::Time now = clock_->Now();
  MutexLock lock(&mu_);
  for (IndexedRule& indexed : indexed_) {
    for (auto& entry : indexed.sources) {
      std::erase_if(entry.second,
                    [now](const alerts::AlertPtr& source) { return source->ResolvedAt(now); });
    }
    absl::erase_if(indexed.sources, [](const auto& entry) { return entry.second.empty(); });
  }
}

}  // namespace narthex::inhibit
