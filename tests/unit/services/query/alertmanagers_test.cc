#include "services/query/alertmanagers.h"

#include "catch2/catch.hpp"
#include "lib/base/regex.h"
#include "lib/base/strings.h"

namespace narthex::query {
namespace {

using Urls = std::vector<std::string>;

TEST_CASE("Alerts are written as Alertmanager's API v2 reads them") {
  Alert alert;
  alert.labels = Labels{{"alertname", "<x>"}};
  alert.annotations = Labels{{"summary", "s"}};
  alert.starts_at = absl::FromUnixNanos(1'700'000'000'123'456'789);
  alert.ends_at = absl::FromUnixSeconds(1'700'000'060);
  alert.generator_url = "http://q/graph?g0.expr=up";
  CHECK(AlertsJson(std::vector<Alert>{alert}) ==
        R"([{"annotations":{"summary":"s"},"endsAt":"2023-11-14T22:14:20Z",)"
        R"("startsAt":"2023-11-14T22:13:20.123456789Z",)"
        R"("generatorURL":"http://q/graph?g0.expr=up","labels":{"alertname":"\u003cx\u003e"}}])");
  CHECK(AlertsJson({}) == "[]");
}

TEST_CASE("Discovered Alertmanagers are relabelled into URLs, and each is used once") {
  config::AlertmanagerConfig config;
  config.path_prefix = "/am/";
  relabel::RelabelConfig drop;
  drop.source_labels = {"role"};
  drop.regex = Regex::Compile("old").value();
  drop.action = relabel::Action::kDrop;
  relabel::RelabelConfig scheme;
  scheme.source_labels = {"role"};
  scheme.regex = Regex::Compile("tls").value();
  scheme.target_label = "__scheme__";
  scheme.replacement = "https";
  scheme.action = relabel::Action::kReplace;
  config.relabel_configs = {drop, scheme};
  discovery::TargetGroup group;
  group.labels = Labels{{"role", "new"}};
  group.targets = {Labels{{"__address__", "a:9093"}},
                   Labels{{"__address__", "b:9093"}, {"role", "old"}},
                   Labels{{"__address__", "c:9093"}, {"role", "tls"}},
                   Labels{{"__address__", "a:9093"}}, Labels{{"x", "y"}}};
  const auto client_config = std::make_shared<const http::ClientConfig>();
  const notifier::AlertmanagerSet set =
      MakeAlertmanagerSet(config, client_config, {group}, nullptr);
  Urls urls;
  for (const auto& endpoint : set.endpoints) urls.push_back(endpoint.url);
  CHECK(urls == Urls{"http://a:9093/am/api/v2/alerts", "https://c:9093/am/api/v2/alerts"});
  CHECK(set.dropped_urls == Urls{"http://b:9093/am/api/v2/alerts", "http:///am/api/v2/alerts"});
  // The same settings are the same key; others are not.
  CHECK(MakeAlertmanagerSet(config, client_config, {group}, nullptr).endpoints[0].key ==
        set.endpoints[0].key);
  config.timeout = absl::Seconds(3);
  CHECK(MakeAlertmanagerSet(config, client_config, {group}, nullptr).endpoints[0].key !=
        set.endpoints[0].key);
  CHECK(MakeAlertmanagerSet(config, nullptr, {group}, nullptr).endpoints.empty());
}

}  // namespace
}  // namespace narthex::query
