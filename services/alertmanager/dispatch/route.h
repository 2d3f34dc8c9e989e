#ifndef NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_ROUTE_H_
#define NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_ROUTE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"

namespace narthex::dispatch {

// One node of the route tree as the configuration states it; what is not said is inherited from the
// parent.
struct RouteSpec {
  std::optional<std::string> receiver;
  bool has_group_by = false;
  bool group_by_all = false;
  std::vector<std::string> group_by;
  std::vector<Matcher> matchers;
  std::vector<std::string> mute_time_intervals;  // Not inherited, nor the next.
  std::vector<std::string> active_time_intervals;
  bool continue_matching = false;
  std::optional<absl::Duration> group_wait;
  std::optional<absl::Duration> group_interval;
  std::optional<absl::Duration> repeat_interval;
  std::vector<RouteSpec> routes;
};

// A node of the route tree with everything inherited filled in. Built once from the configuration;
// immutable and thread-safe afterwards.
class Route {
 public:
  static std::unique_ptr<const Route> Build(const RouteSpec& root);
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;

  // The routes that take an alert with these labels, depth first: the first child that matches wins
  // unless it continues; a node none of whose children match takes the alert itself.
  std::vector<const Route*> Match(const Labels& labels) const;

  // The matchers of the ancestors and this node, "{}/{team=\"a\"}"; part of group keys.
  const std::string& key() const { return key_; }
  // The key with the place among the siblings of each node: unique in a tree.
  const std::string& id() const { return id_; }
  const std::string& receiver() const { return receiver_; }
  absl::Duration group_wait() const { return group_wait_; }
  absl::Duration group_interval() const { return group_interval_; }
  absl::Duration repeat_interval() const { return repeat_interval_; }
  const std::vector<std::string>& mute_time_intervals() const { return mute_time_intervals_; }
  const std::vector<std::string>& active_time_intervals() const { return active_time_intervals_; }
  // The labels of an alert by which it is grouped: those of group_by that it has.
  Labels GroupLabels(const Labels& labels) const;
  const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }

 private:
  Route() = default;
  static std::unique_ptr<Route> BuildNode(const RouteSpec& spec, const Route* parent, size_t index);
  void Collect(const Labels& labels, std::vector<const Route*>* matched, bool* any) const;

  std::string key_;
  std::string id_;
  std::string receiver_;
  bool group_by_all_ = false;
  std::vector<std::string> group_by_;
  absl::Duration group_wait_;
  absl::Duration group_interval_;
  absl::Duration repeat_interval_;
  std::vector<std::string> mute_time_intervals_;
  std::vector<std::string> active_time_intervals_;
  std::vector<Matcher> matchers_;  // Sorted.
  bool continue_ = false;
  std::vector<std::unique_ptr<Route>> routes_;
};

}  // namespace narthex::dispatch

#endif  // NARTHEX_SERVICES_ALERTMANAGER_DISPATCH_ROUTE_H_
