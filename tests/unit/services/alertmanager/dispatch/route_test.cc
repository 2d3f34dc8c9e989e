#include "services/alertmanager/dispatch/route.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/alertmanager/alerts/alert.h"
#include "services/alertmanager/alerts/matchers.h"

namespace narthex::dispatch {
namespace {

RouteSpec Spec(std::string_view matchers, const char* receiver = nullptr) {
  RouteSpec spec;
  const auto parsed = alerts::ParseMatchers(matchers, alerts::MatcherMode::kFallback, nullptr);
  REQUIRE(parsed.ok());
  spec.matchers = *parsed;
  if (receiver != nullptr) spec.receiver = receiver;
  return spec;
}

// Upstream's example tree of teams and environments.
RouteSpec Teams() {
  RouteSpec root = Spec("", "notify-def");
  RouteSpec a = Spec("owner=\"team-A\"", "notify-A");
  a.routes.push_back(Spec("env=\"testing\"", "notify-testing"));
  a.routes.back().has_group_by = true;
  a.routes.back().group_by_all = true;
  a.routes.push_back(Spec("env=\"production\"", "notify-productionA"));
  a.routes.back().group_wait = absl::Minutes(1);
  a.routes.back().continue_matching = true;
  a.routes.push_back(Spec("env=~\"produ.*\",job=~\".*\"", "notify-productionB"));
  a.routes.back().group_wait = absl::Seconds(30);
  a.routes.back().group_interval = absl::Minutes(5);
  a.routes.back().repeat_interval = absl::Hours(1);
  a.routes.back().has_group_by = true;
  a.routes.back().group_by = {"job"};
  RouteSpec b = Spec("owner=~\"team-(B|C)\"", "notify-BC");
  b.has_group_by = true;
  b.group_by = {"foo", "bar"};
  RouteSpec by_role = Spec("group_by=\"role\"");
  by_role.has_group_by = true;
  by_role.group_by = {"role"};
  by_role.routes.push_back(Spec("env=\"testing\"", "notify-testing"));
  by_role.routes.back().routes.push_back(Spec("wait=\"long\""));
  by_role.routes.back().routes.back().group_wait = absl::Minutes(2);
  root.routes = {a, b, by_role};
  return root;
}

TEST_CASE("alerts find their routes depth first") {
  struct Row {
    Labels labels;
    std::vector<std::string> receivers;
    std::vector<std::string> keys;
  };
  const Row rows[] = {
      {{{"owner", "team-A"}}, {"notify-A"}, {"{}/{owner=\"team-A\"}"}},
      {{{"owner", "team-A"}, {"env", "unset"}}, {"notify-A"}, {"{}/{owner=\"team-A\"}"}},
      {{{"owner", "team-C"}}, {"notify-BC"}, {"{}/{owner=~\"team-(B|C)\"}"}},
      {{{"owner", "team-A"}, {"env", "testing"}},
       {"notify-testing"},
       {"{}/{owner=\"team-A\"}/{env=\"testing\"}"}},
      {{{"owner", "team-A"}, {"env", "production"}},
       {"notify-productionA", "notify-productionB"},
       {"{}/{owner=\"team-A\"}/{env=\"production\"}",
        "{}/{owner=\"team-A\"}/{env=~\"produ.*\",job=~\".*\"}"}},
      {{{"group_by", "role"}}, {"notify-def"}, {"{}/{group_by=\"role\"}"}},
      {{{"env", "testing"}, {"group_by", "role"}},
       {"notify-testing"},
       {"{}/{group_by=\"role\"}/{env=\"testing\"}"}},
      {{{"env", "testing"}, {"group_by", "role"}, {"wait", "long"}},
       {"notify-testing"},
       {"{}/{group_by=\"role\"}/{env=\"testing\"}/{wait=\"long\"}"}},
      {{{"other", "x"}}, {"notify-def"}, {"{}"}},
      {{}, {"notify-def"}, {"{}"}},
  };
  const auto root = Route::Build(Teams());
  for (const Row& row : rows) {
    INFO(row.labels.ToString());
    std::vector<std::string> receivers;
    std::vector<std::string> keys;
    for (const Route* route : root->Match(row.labels)) {
      receivers.push_back(route->receiver());
      keys.push_back(route->key());
    }
    CHECK(receivers == row.receivers);
    CHECK(keys == row.keys);
  }
}

TEST_CASE("routes inherit what they do not say") {
  const auto root = Route::Build(Teams());
  CHECK(root->group_wait() == absl::Seconds(30));
  CHECK(root->group_interval() == absl::Minutes(5));
  CHECK(root->repeat_interval() == absl::Hours(4));
  const Route& a = *root->routes()[0];
  CHECK(a.routes()[1]->group_wait() == absl::Minutes(1));
  CHECK(a.routes()[1]->repeat_interval() == absl::Hours(4));
  CHECK(a.routes()[2]->repeat_interval() == absl::Hours(1));
  const Route& long_wait = *root->routes()[2]->routes()[0]->routes()[0];
  CHECK(long_wait.group_wait() == absl::Minutes(2));
  CHECK(long_wait.receiver() == "notify-testing");
  CHECK(long_wait.id() == "{}/{group_by=\"role\"}/2/{env=\"testing\"}/0/{wait=\"long\"}/0");
}

TEST_CASE("alerts are grouped by the labels that they have") {
  const auto root = Route::Build(Teams());
  const Labels labels = {{"owner", "team-B"}, {"bar", "1"}, {"x", "2"}};
  CHECK(alerts::LabelSetText(root->routes()[1]->GroupLabels(labels)) == "{bar=\"1\"}");
  CHECK(root->GroupLabels(labels).empty());
  CHECK(root->routes()[0]->routes()[0]->GroupLabels(labels) == labels);
  RouteSpec reset = Spec("", "r");
  reset.has_group_by = true;
  reset.group_by = {"x"};
  reset.routes.push_back(Spec("x=\"2\""));
  reset.routes.back().has_group_by = true;
  const auto tree = Route::Build(reset);
  CHECK(alerts::LabelSetText(tree->GroupLabels(labels)) == "{x=\"2\"}");
  CHECK(tree->routes()[0]->GroupLabels(labels).empty());
}

}  // namespace
}  // namespace narthex::dispatch
