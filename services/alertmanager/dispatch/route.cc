#include "services/alertmanager/dispatch/route.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/labels/labels_builder.h"
#include "services/alertmanager/alerts/matchers.h"

namespace narthex::dispatch {
namespace {

constexpr absl::Duration kDefaultGroupWait = absl::Seconds(30);
constexpr absl::Duration kDefaultGroupInterval = absl::Minutes(5);
constexpr absl::Duration kDefaultRepeatInterval = absl::Hours(4);

}  // namespace

std::unique_ptr<const Route> Route::Build(const RouteSpec& root) {
  return BuildNode(root, nullptr, 0);
}

std::unique_ptr<Route> Route::BuildNode(const RouteSpec& spec, const Route* parent, size_t index) {
  std::unique_ptr<Route> route(new Route());
  route->matchers_ = spec.matchers;
  alerts::SortMatchers(&route->matchers_);
  const std::string own_key = alerts::MatchersText(route->matchers_);
  if (parent == nullptr) {
    route->key_ = own_key;
    route->id_ = own_key;
    route->group_wait_ = kDefaultGroupWait;
    route->group_interval_ = kDefaultGroupInterval;
    route->repeat_interval_ = kDefaultRepeatInterval;
  } else {
    route->key_ = StrCat(parent->key_, "/", own_key);
    route->id_ = StrCat(parent->id_, "/", own_key, "/", index);
    route->receiver_ = parent->receiver_;
    route->group_by_ = parent->group_by_;
    route->group_by_all_ = parent->group_by_all_;
    route->group_wait_ = parent->group_wait_;
    route->group_interval_ = parent->group_interval_;
    route->repeat_interval_ = parent->repeat_interval_;
  }
  if (spec.receiver.has_value()) route->receiver_ = *spec.receiver;
  if (spec.has_group_by) {
    route->group_by_ = spec.group_by;
    route->group_by_all_ = spec.group_by_all;
  }
  if (spec.group_wait.has_value()) route->group_wait_ = *spec.group_wait;
  if (spec.group_interval.has_value()) route->group_interval_ = *spec.group_interval;
  if (spec.repeat_interval.has_value()) route->repeat_interval_ = *spec.repeat_interval;
  route->mute_time_intervals_ = spec.mute_time_intervals;
  route->active_time_intervals_ = spec.active_time_intervals;
  route->continue_ = spec.continue_matching;
  for (const RouteSpec& child : spec.routes) {
    route->routes_.push_back(BuildNode(child, route.get(), route->routes_.size()));
  }
  return route;
}

void Route::Collect(const Labels& labels, std::vector<const Route*>* matched, bool* any) const {
  if (!alerts::MatchesAll(matchers_, labels)) return;
  bool any_child = false;
  for (const auto& child : routes_) {
    bool taken = false;
    child->Collect(labels, matched, &taken);
    any_child = any_child || taken;
    if (taken && !child->continue_) break;
  }
  if (!any_child) matched->push_back(this);
  *any = true;
}

std::vector<const Route*> Route::Match(const Labels& labels) const {
  std::vector<const Route*> matched;
  bool any = false;
  Collect(labels, &matched, &any);
  return matched;
}

Labels Route::GroupLabels(const Labels& labels) const {
  if (group_by_all_) return labels;
  LabelsBuilder builder(labels);
  builder.Keep(group_by_);
  return builder.Build();
}

}  // namespace narthex::dispatch
