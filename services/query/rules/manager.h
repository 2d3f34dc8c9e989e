#ifndef NARTHEX_SERVICES_QUERY_RULES_MANAGER_H_
#define NARTHEX_SERVICES_QUERY_RULES_MANAGER_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "services/query/rules/group.h"

namespace narthex::rules {

struct ManagerOptions {
  RuleEnvironment environment;
  int threads = 8;
  // After so long without an answer from storage the manager raises an alert of its own,
  // NarthexStorageUnavailable.
  absl::Duration storage_alert_after = absl::Minutes(1);
};

// Evaluates rule groups at their slots, on a small pool of threads; a group never overlaps itself,
// and slots that have passed when a group's turn comes are counted and left out.
//
// Thread safety: all methods may be called from any thread; calls of Apply() must not overlap.
class Manager {
 public:
  explicit Manager(ManagerOptions options);
  ~Manager();  // Stops.
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Makes these the groups. Equal ones go on undisturbed, changed ones take over the state of their
  // rules, and the series of removed ones end after two intervals (in case another group goes on
  // with them). Waits for evaluations of changed groups that are under way. Alerts of the first
  // call are restored from storage.
  void Apply(std::vector<GroupDefinition> definitions, const Labels& external_labels);
  // Evaluates from now on.
  void Start();
  // Cuts running evaluations short and joins.
  void Stop();

  // In order of file and name.
  std::vector<std::shared_ptr<const Group>> groups() const;

 private:
  // A group in the schedule.
  struct Entry {
    std::shared_ptr<Group> group;
    absl::Time due;
    absl::Time retired = absl::InfiniteFuture();  // When the group was removed.
    bool running = false;
    std::atomic<bool> cancelled{false};
  };
  using EntryPtr = std::shared_ptr<Entry>;

  void Work();
  // Waits until an entry is due and takes it; null at the end.
  EntryPtr TakeDueLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run(Entry* entry);
  void ScheduleLocked(const EntryPtr& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the entry out of the schedule and waits until it does not run.
  void RetireLocked(const EntryPtr& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Raises, renews or ends the alert of our own.
  void WatchStorage(const absl::Status& status, const Group& group);

  // Constant after construction.
  const ManagerOptions options_;
  Clock* const clock_;

  mutable Mutex mu_;
  CondVar work_;  // The schedule has changed.
  CondVar idle_;  // An entry has ended its run.
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool loaded_ ABSL_GUARDED_BY(mu_) = false;      // Apply() was called before.
  bool has_leader_ ABSL_GUARDED_BY(mu_) = false;  // One thread waits for the earliest entry.
  Labels external_labels_ ABSL_GUARDED_BY(mu_);
  std::vector<EntryPtr> entries_ ABSL_GUARDED_BY(mu_);  // The present groups.
  // Entries that do not run, by due time; also those of removed groups, until they are cleaned up.
  std::set<std::pair<absl::Time, EntryPtr>> schedule_ ABSL_GUARDED_BY(mu_);

  // The alert of our own.
  Mutex watch_mu_ ABSL_ACQUIRED_AFTER(mu_);
  // The groups whose last evaluation got no answer, by key. A group that then evaluates well shows
  // that storage is back; others may not ask it at all.
  std::map<std::string, absl::Time> away_since_ ABSL_GUARDED_BY(watch_mu_);
  absl::Time alert_since_ ABSL_GUARDED_BY(watch_mu_);
  absl::Time alert_sent_at_ ABSL_GUARDED_BY(watch_mu_) = absl::InfinitePast();

  std::vector<Thread> threads_;
};

}  // namespace narthex::rules

#endif  // NARTHEX_SERVICES_QUERY_RULES_MANAGER_H_
