#include "services/alertmanager/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"

namespace narthex::dispatch {
namespace {

// A flush may take at least this long, however short the group interval.
constexpr absl::Duration kFlushTimeoutMin = absl::Seconds(10);

}  // namespace

// What timers and notifications under way keep alive when the Dispatcher is gone.
class Dispatcher::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(std::shared_ptr<const Route> root,
       std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines, DispatcherEnv env,
       absl::Time not_before)
      : root_(std::move(root)),
        pipelines_(std::move(pipelines)),
        env_(std::move(env)),
        not_before_(not_before),
        lifetime_(std::make_shared<notify::Lifetime>()) {}

  void OnAlert(const alerts::AlertPtr& alert);
  std::vector<GroupView> Groups(
      const std::function<bool(const Route&)>& route_filter,
      const std::function<bool(const alerts::Alert&)>& alert_filter) const;
  const Route& root() const { return *root_; }
  void Stop(absl::Duration grace);

 private:
  struct Group {
    const Route* route = nullptr;
    Labels labels;
    std::string key;  // Of the notification log and the receivers.
    std::map<uint64_t, alerts::AlertPtr> alerts;
    notify::TimerQueue::Id timer = 0;
    bool has_flushed = false;
    bool flushing = false;
    bool due_again = false;  // The timer went off while it was flushing.
  };
  using GroupPtr = std::shared_ptr<Group>;
  using GroupId = std::pair<const Route*, Labels>;

  void Insert(const Route* route, const alerts::AlertPtr& alert) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Arm(const GroupPtr& group, absl::Time when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnDue(const GroupPtr& group, absl::Time now);
  void Flush(const GroupPtr& group, absl::Time now);
  void OnFlushed(const GroupPtr& group, const std::vector<alerts::AlertPtr>& resolved,
                 const absl::Status& status);

  // Constant after construction.
  const std::shared_ptr<const Route> root_;
  const std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines_;
  const DispatcherEnv env_;
  const absl::Time not_before_;
  const std::shared_ptr<notify::Lifetime> lifetime_;

  mutable Mutex mu_;
  absl::flat_hash_map<GroupId, GroupPtr> groups_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

void Dispatcher::Core::Arm(const GroupPtr& group, absl::Time when) {
  if (group->timer != 0) env_.timers->Cancel(group->timer);
  group->timer = env_.timers->Schedule(
      when, [core = weak_from_this(), weak = std::weak_ptr<Group>(group)](absl::Time now) {
        const auto self = core.lock();
        const GroupPtr due = weak.lock();
        if (self != nullptr && due != nullptr) self->OnDue(due, now);
      });
}

void Dispatcher::Core::Insert(const Route* route, const alerts::AlertPtr& alert) {
  const absl::Time now = env_.clock->Now();
  GroupPtr& group = groups_[GroupId(route, route->GroupLabels(alert->labels))];
  const bool is_new = group == nullptr;
  if (is_new) {
    group = std::make_shared<Group>();
    group->route = route;
    group->labels = route->GroupLabels(alert->labels);
    group->key = StrCat(route->key(), ":", alerts::LabelSetText(group->labels));
    env_.groups->Add(1);
  }
  alerts::AlertPtr& slot = group->alerts[alert->fingerprint()];
  // Two changes of one alert may come in the wrong order.
  if (slot == nullptr || slot->updated_at <= alert->updated_at) slot = alert;
  // An alert that has waited long enough elsewhere does not wait here.
  const bool waited = alert->starts_at + route->group_wait() < now;
  if (is_new) {
    Arm(group, std::max(not_before_, waited ? now : now + route->group_wait()));
  } else if (!group->has_flushed && waited) {
    Arm(group, std::max(not_before_, now));
  }
}

void Dispatcher::Core::OnAlert(const alerts::AlertPtr& alert) {
  const absl::Duration began = env_.clock->Monotonic();
  const std::vector<const Route*> routes = root_->Match(alert->labels);
  {
    MutexLock lock(&mu_);
    if (stopped_) return;
    for (const Route* route : routes) Insert(route, alert);
  }
  env_.processing_duration->Observe(absl::ToDoubleSeconds(env_.clock->Monotonic() - began));
}

void Dispatcher::Core::OnDue(const GroupPtr& group, absl::Time now) {
  {
    MutexLock lock(&mu_);
    group->timer = 0;
    if (stopped_) return;
    if (group->flushing) {
      group->due_again = true;
      return;
    }
    // The next flush is counted from this one, however long it takes.
    Arm(group, now + group->route->group_interval());
    group->has_flushed = true;
    group->flushing = true;
  }
  env_.executor([self = shared_from_this(), group, now] { self->Flush(group, now); });
}

void Dispatcher::Core::Flush(const GroupPtr& group, absl::Time now) {
  const absl::Time wall = env_.clock->Now();
  std::vector<alerts::AlertPtr> flushed;
  std::vector<alerts::AlertPtr> resolved;
  {
    MutexLock lock(&mu_);
    for (const auto& entry : group->alerts) {
      if (entry.second->ResolvedAt(wall)) {
        resolved.push_back(entry.second);
        flushed.push_back(entry.second);
      } else {
        // Firing for the whole flush, even if it would end while that goes on.
        auto firing = std::make_shared<alerts::Alert>(*entry.second);
        firing->ends_at = absl::InfiniteFuture();
        flushed.push_back(std::move(firing));
      }
    }
  }
  alerts::SortForNotification(&flushed);

  const Route& route = *group->route;
  auto notification = std::make_shared<notify::Notification>();
  notification->receiver = route.receiver();
  notification->group_key = group->key;
  notification->group_labels = group->labels;
  notification->now = now;
  notification->repeat_interval = route.repeat_interval();
  notification->deadline = now + std::max(kFlushTimeoutMin, route.group_interval());
  notification->mute_time_intervals = route.mute_time_intervals();
  notification->active_time_intervals = route.active_time_intervals();
  notification->lifetime = lifetime_;

  const auto pipeline = pipelines_.find(route.receiver());
  NARTHEX_CHECK(pipeline != pipelines_.end());
  pipeline->second->Run(
      std::move(notification), std::move(flushed),
      [core = weak_from_this(), group, resolved = std::move(resolved)](const absl::Status& status) {
        if (const auto self = core.lock()) self->OnFlushed(group, resolved, status);
      });
}

void Dispatcher::Core::OnFlushed(const GroupPtr& group,
                                 const std::vector<alerts::AlertPtr>& resolved,
                                 const absl::Status& status) {
  if (!status.ok() && !lifetime_->cancelled()) {
    env_.logger.Error("Notify for alerts failed", {{"aggrGroup", group->key}, {"err", status}});
  }
  MutexLock lock(&mu_);
  group->flushing = false;
  if (stopped_) return;
  if (status.ok()) {
    // What has been told as resolved goes, unless it has changed since.
    for (const alerts::AlertPtr& alert : resolved) {
      const auto found = group->alerts.find(alert->fingerprint());
      if (found != group->alerts.end() && found->second == alert) group->alerts.erase(found);
    }
  }
  if (group->alerts.empty()) {
    if (group->timer != 0) env_.timers->Cancel(group->timer);
    groups_.erase(GroupId(group->route, group->labels));
    env_.groups->Add(-1);
    return;
  }
  if (std::exchange(group->due_again, false)) Arm(group, env_.clock->Now());
}

std::vector<GroupView> Dispatcher::Core::Groups(
    const std::function<bool(const Route&)>& route_filter,
    const std::function<bool(const alerts::Alert&)>& alert_filter) const {
  std::vector<GroupView> views;
  {
    MutexLock lock(&mu_);
    for (const auto& entry : groups_) {
      const Group& group = *entry.second;
      if (!route_filter(*group.route)) continue;
      GroupView view = {group.route, group.labels, {}};
      for (const auto& alert : group.alerts) view.alerts.push_back(alert.second);
      views.push_back(std::move(view));
    }
  }
  // The filter asks the inhibitor and the silences, which have locks of their own.
  for (GroupView& view : views) {
    std::erase_if(view.alerts,
                  [&](const alerts::AlertPtr& alert) { return !alert_filter(*alert); });
  }
  std::erase_if(views, [](const GroupView& view) { return view.alerts.empty(); });
  std::sort(views.begin(), views.end(), [](const GroupView& a, const GroupView& b) {
    if (a.labels != b.labels) return alerts::LabelSetLess(a.labels, b.labels);
    if (a.route->receiver() != b.route->receiver()) {
      return a.route->receiver() < b.route->receiver();
    }
    return a.route->id() < b.route->id();
  });
  return views;
}

void Dispatcher::Core::Stop(absl::Duration grace) {
  lifetime_->Cancel();
  {
    MutexLock lock(&mu_);
    if (stopped_) return;
    stopped_ = true;
    for (const auto& entry : groups_) {
      if (entry.second->timer != 0) env_.timers->Cancel(entry.second->timer);
    }
    env_.groups->Add(-static_cast<double>(groups_.size()));
    groups_.clear();
  }
  if (!lifetime_->Wait(grace)) {
    env_.logger.Warn("notifications are still being sent; they may be sent again",
                     {{"waited", absl::ToDoubleSeconds(grace)}});
  }
}

Dispatcher::Dispatcher(std::shared_ptr<const Route> root,
                       std::map<std::string, std::shared_ptr<notify::Pipeline>> pipelines,
                       DispatcherEnv env, absl::Time not_before)
    : core_(std::make_shared<Core>(std::move(root), std::move(pipelines), std::move(env),
                                   not_before)) {}

Dispatcher::~Dispatcher() { Stop(absl::ZeroDuration()); }

void Dispatcher::OnAlert(const alerts::AlertPtr& alert) { core_->OnAlert(alert); }

std::vector<GroupView> Dispatcher::Groups(
    const std::function<bool(const Route&)>& route_filter,
    const std::function<bool(const alerts::Alert&)>& alert_filter) const {
  return core_->Groups(route_filter, alert_filter);
}

const Route& Dispatcher::root() const { return core_->root(); }

void Dispatcher::Stop(absl::Duration grace) { core_->Stop(grace); }

}  // namespace narthex::dispatch
