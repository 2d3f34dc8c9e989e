#include "services/scraper/scrape/target.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/scraper/scrape/target_set.h"

namespace narthex::scrape {
namespace {

config::ScrapeConfig Config() {
  config::ScrapeConfig config;
  config.job_name = "j";
  config.scrape_interval = absl::Seconds(15);
  config.scrape_timeout = absl::Seconds(10);
  return config;
}

relabel::RelabelConfig Set(const std::string& label, const std::string& value) {
  relabel::RelabelConfig rule;
  rule.target_label = label;
  rule.replacement = value;
  return rule;
}

TEST_CASE("discovered labels hold the job's defaults where target and group have none") {
  config::ScrapeConfig config = Config();
  config.params["module"] = {"http", "ignored"};
  config.params["none"] = {};
  const Labels discovered =
      DiscoveredLabels(Labels{{"__address__", "h:1"}, {"env", "target"}, {"__scheme__", "https"}},
                       Labels{{"env", "group"}, {"dc", "x"}}, config);
  CHECK(discovered.ToString() ==
        R"({__address__="h:1", __metrics_path__="/metrics", __param_module="http", )"
        R"(__scheme__="https", __scrape_interval__="15s", __scrape_timeout__="10s", )"
        R"(dc="x", env="target", job="j"})");
}

TEST_CASE("a target has its public labels, an instance, a URL and its times") {
  config::ScrapeConfig config = Config();
  config.params["a"] = {"1 2", "3"};
  config.params["b"] = {"&"};
  config.relabel_configs = {Set("__metrics_path__", "/x y/ü?z"),
                            Set("__param_b", "changed"),
                            Set("__param_c", "new"),
                            Set("__tmp", "gone"),
                            Set("__scrape_interval__", "1m"),
                            Set("shown", "yes")};
  const auto target = MakeTarget(
      DiscoveredLabels(Labels{{"__address__", "h:1"}, {"__meta_x", "y"}}, Labels(), config),
      config);
  REQUIRE(target.ok());
  REQUIRE(target->has_value());
  CHECK((*target)->labels.ToString() == R"({instance="h:1", job="j", shown="yes"})");
  CHECK((*target)->url == "http://h:1/x%20y/%C3%BC%3Fz?a=1+2&a=3&b=changed&c=new");
  CHECK((*target)->interval == absl::Minutes(1));
  CHECK((*target)->timeout == absl::Seconds(10));
  CHECK((*target)->discovered.Get("__meta_x") == "y");
}

TEST_CASE("targets that cannot be scraped say why in upstream's words") {
  struct Case {
    std::vector<relabel::RelabelConfig> rules;
    std::string error;
  };
  const std::vector<Case> cases = {
      {{Set("__address__", "")}, "no address"},
      {{Set("__address__", "h:1/metrics")}, R"("h:1/metrics" is not a valid hostname)"},
      {{Set("__scrape_interval__", "0s")}, "scrape interval cannot be 0"},
      {{Set("__scrape_timeout__", "0s")}, "scrape timeout cannot be 0"},
      {{Set("__scrape_timeout__", "20s")},
       R"(scrape timeout cannot be greater than scrape interval ("20s" > "15s"))"},
      {{Set("bad", "\xff")}, R"(invalid label value for "bad": "\xff")"},
  };
  for (const Case& c : cases) {
    config::ScrapeConfig config = Config();
    config.relabel_configs = c.rules;
    const auto target =
        MakeTarget(DiscoveredLabels(Labels{{"__address__", "h:1"}}, Labels(), config), config);
    CHECK(Message(target.status()) == c.error);
  }
  config::ScrapeConfig config = Config();
  config.relabel_configs = {Set("__scrape_interval__", "soon")};
  const auto target =
      MakeTarget(DiscoveredLabels(Labels{{"__address__", "h:1"}}, Labels(), config), config);
  CHECK(Message(target.status()).substr(0, 31) == "error parsing scrape interval: ");
}

TEST_CASE("a set holds each identity once, and counts what relabelling drops") {
  config::ScrapeConfig config = Config();
  relabel::RelabelConfig drop;
  drop.action = relabel::Action::kDrop;
  drop.source_labels = {"__address__"};
  drop.regex = *Regex::Compile("drop.*");
  config.relabel_configs = {drop};
  config.limits.keep_dropped_targets = 2;
  discovery::TargetGroup group;
  group.source = "s";
  for (const char* const address : {"a:1", "b:1", "a:1", "drop1", "drop2", "drop3", "h/x"}) {
    group.targets.push_back(Labels{{"__address__", address}});
  }
  const TargetSet set = MakeTargetSet({{group}}, config);
  REQUIRE(set.active.size() == 2);
  CHECK(set.active[0].url == "http://a:1/metrics");
  CHECK(set.dropped.size() == 2);
  CHECK(set.dropped_count == 3);
  CHECK(set.errors ==
        std::vector<std::string>{R"(instance 6 in group s: "h/x" is not a valid hostname)"});
}

TEST_CASE("the offset depends on labels, URL and seed, not on discovery's labels") {
  config::ScrapeConfig config = Config();
  const auto make = [&](const Labels& labels) {
    return **MakeTarget(DiscoveredLabels(labels, Labels(), config), config);
  };
  const Target a = make(Labels{{"__address__", "a:1"}});
  const Target b = make(Labels{{"__address__", "b:1"}});
  const Target a_again = make(Labels{{"__address__", "a:1"}, {"__meta_x", "y"}});
  CHECK(a.OffsetHash(1) == a_again.OffsetHash(1));
  CHECK(a.OffsetHash(1) != a.OffsetHash(2));
  CHECK(a.OffsetHash(1) != b.OffsetHash(1));
  CHECK(a.identity() == a_again.identity());
  CHECK_FALSE(a == a_again);
}

}  // namespace
}  // namespace narthex::scrape
