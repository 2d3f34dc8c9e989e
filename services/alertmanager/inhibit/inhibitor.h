#ifndef NARTHEX_SERVICES_ALERTMANAGER_INHIBIT_INHIBITOR_H_
#define NARTHEX_SERVICES_ALERTMANAGER_INHIBIT_INHIBITOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/labels/matcher.h"
#include "services/alertmanager/alerts/alert_store.h"

namespace narthex::inhibit {

// While an alert fires that matches the source side, alerts that match the target side are
// inhibited where the labels in `equal` have the same values (a missing label is an empty one). A
// side without matchers matches everything.
struct Rule {
  std::string name;
  std::vector<Matcher> source_matchers;
  std::vector<Matcher> target_matchers;
  std::vector<std::string> equal;
};

// Tells which alerts are inhibited. Hears of alerts as a listener of the store; made for one
// configuration.
//
// Thread safety: all methods may be called from any thread.
class Inhibitor : public alerts::AlertListener {
 public:
  Inhibitor(std::vector<Rule> rules, Clock* clock);

  void OnAlert(const alerts::AlertPtr& alert) override;
  // The firing alerts that inhibit one with these labels, sorted by fingerprint; none when nothing
  // does. An alert never inhibits itself: when the target matches the source side too, sources that
  // match the target side do not count.
  std::vector<uint64_t> InhibitedBy(const Labels& labels) const;
  // Forgets sources that are resolved.
  void CollectGarbage();
  size_t rules() const { return rules_; }

 private:
  // A rule and its sources by the values of their equal labels.
  struct IndexedRule {
    Rule rule;
    absl::flat_hash_map<std::string, std::vector<alerts::AlertPtr>> sources;
  };
  static std::string EqualKey(const Rule& rule, const Labels& labels);

  Clock* const clock_;
  const size_t rules_;
  mutable Mutex mu_;
  std::vector<IndexedRule> indexed_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::inhibit

#endif  // NARTHEX_SERVICES_ALERTMANAGER_INHIBIT_INHIBITOR_H_
