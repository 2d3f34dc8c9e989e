#include "services/alertmanager/config/load.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/alertmanager/config/integration_fields.h"
#include "services/alertmanager/config/print.h"

namespace narthex::alertmanager_config {
namespace {

constexpr std::string_view kMinimal = "route: {receiver: r}\nreceivers: [{name: r}]\n";

std::string Error(std::string_view text) {
  const auto config = LoadText(text, "am.yml");
  return std::string(Message(config.status()));
}

// A receiver with one integration, in flow style.
std::string With(std::string_view kind, std::string_view fields, std::string_view global = "") {
  return StrCat("global: {", global, "}\nroute: {receiver: r}\nreceivers:\n- name: r\n  ", kind,
                "_configs:\n  - {", fields, "}\n");
}

TEST_CASE("the smallest configuration has upstream's defaults") {
  const auto config = LoadText(kMinimal, "am.yml");
  REQUIRE(config.ok());
  CHECK(config->resolve_timeout == absl::Minutes(5));
  CHECK(config->global.Text("smtp_hello") == "localhost");
  CHECK(config->global.Bool("smtp_require_tls"));
  CHECK(config->global.Text("pagerduty_url") == "https://events.pagerduty.com/v2/enqueue");
  CHECK(config->http_client.follow_redirects);
  CHECK(UnusedSections(*config).empty());
}

TEST_CASE("mistakes are named with their place and upstream's reason") {
  const char* const rows[][2] = {
      {"", "am.yml:1:1: no route provided in config"},
      {"route: {}\n", "am.yml:1:8: route: root route must specify a default receiver"},
      {"nope: 1\n", "am.yml:1:1: nope: field nope not found in type config.plain"},
      {"route: {receiver: r}\nreceivers: [{name: r}, {name: r}]\n",
       "am.yml:2:24: receivers[1]: notification config name \"r\" is not unique"},
      {"route: {receiver: x}\nreceivers: [{name: r}]\n",
       "am.yml:1:8: route: undefined receiver \"x\" used in route"},
      {"route: {receiver: r, routes: [{receiver: y}]}\nreceivers: [{name: r}]\n",
       "am.yml:1:31: route.routes[0]: undefined receiver \"y\" used in route"},
      {"route: {receiver: r, matchers: [a=b]}\nreceivers: [{name: r}]\n",
       "am.yml:1:8: route: root route must not have any matchers"},
      {"route: {receiver: r, match: {a: b}}\nreceivers: [{name: r}]\n",
       "am.yml:1:8: route: root route must not have any matchers"},
      {"route: {receiver: r, continue: true}\nreceivers: [{name: r}]\n",
       "am.yml:1:8: route: cannot have continue in root route"},
      {"route: {receiver: r, mute_time_intervals: [x]}\nreceivers: [{name: r}]\n",
       "am.yml:1:8: route: root route must not have any mute time intervals"},
      {"route: {receiver: r, routes: [{active_time_intervals: [x]}]}\nreceivers: [{name: r}]\n",
       "am.yml:1:31: route.routes[0]: undefined time interval \"x\" used in route"},
      {"route: {receiver: r, group_by: [a, a]}\nreceivers: [{name: r}]\n",
       "am.yml:1:22: route.group_by: duplicated label \"a\" in group_by"},
      {"route: {receiver: r, group_by: [a, '...']}\nreceivers: [{name: r}]\n",
       "am.yml:1:22: route.group_by: cannot have wildcard group_by (`...`) and other labels at the "
       "same time"},
      {"route: {receiver: r, group_interval: 0s}\nreceivers: [{name: r}]\n",
       "am.yml:1:22: route.group_interval: group_interval cannot be zero"},
      {"route: {receiver: r, repeat_interval: 0s}\nreceivers: [{name: r}]\n",
       "am.yml:1:22: route.repeat_interval: repeat_interval cannot be zero"},
      {"route: {receiver: r, group_wait: 1}\nreceivers: [{name: r}]\n",
       "am.yml:1:34: route.group_wait: not a valid duration string: \"1\""},
      {"route: {receiver: r, routes: [{matchers: ['a=~\"(\"']}]}\nreceivers: [{name: r}]\n",
       nullptr},
      {"route: {receiver: r}\nreceivers: [{name: ''}]\n",
       "am.yml:2:14: receivers[0].name: missing name in receiver"},
      {"route: {receiver: r}\nreceivers: [{name: r}]\ntime_intervals: [{name: a}, {name: a}]\n",
       "am.yml:3:30: time_intervals[1].name: time interval \"a\" is not unique"},
      {"route: {receiver: r}\nreceivers: [{name: r}]\ntime_intervals: [{name: a, time_intervals: "
       "[{weekdays: ['1']}]}]\n",
       "am.yml:3:57: time_intervals[0].time_intervals[0].weekdays[0]: 1 is not a valid weekday"},
      {"route: {receiver: r}\nreceivers: [{name: r}]\ninhibit_rules: [{equal: ['a b', '']}]\n",
       nullptr},
      {"global: {slack_api_url: x, slack_api_url_file: y}\n", nullptr},
      {"global: {smtp_smarthost: host}\n",
       "am.yml:1:26: global.smtp_smarthost: address host: missing port in address"},
      {"global: {pagerduty_url: 'ftp://x'}\n",
       "am.yml:1:25: global.pagerduty_url: unsupported scheme \"ftp\" for URL"},
      {"global: {pagerduty_url: 'http://'}\n",
       "am.yml:1:25: global.pagerduty_url: missing host for URL"},
      {"global: {http_config: {bearer_token: a, basic_auth: {username: b}}}\n", nullptr},
      {"tracing: {client_type: carrier-pigeon, endpoint: x}\n", nullptr},
  };
  for (const auto& row : rows) {
    INFO(row[0]);
    const std::string error = Error(row[0]);
    if (row[1] != nullptr) {
      CHECK(error == row[1]);
    } else {
      CHECK(error.starts_with("am.yml:"));
    }
  }
}

TEST_CASE("integrations are checked as upstream does") {
  struct Row {
    const char* kind;
    const char* fields;
    const char* global;
    const char* error;  // "" when it is accepted.
  };
  const Row rows[] = {
      {"webhook", "url: 'http://x'", "", ""},
      {"webhook", "url: '{{ .CommonLabels.u }}'", "", ""},
      {"webhook", "url: 'x'", "", "unsupported scheme"},
      {"webhook", "", "", "one of url or url_file must be configured"},
      {"webhook", "url: 'http://x', url_file: y", "",
       "at most one of url & url_file must be configured"},
      {"webhook", "url: 'http://x', max_alerts: -1", "", "max_alerts"},
      {"webhook", "url: 'http://x', timeout: 1h30m", "", ""},
      {"webhook", "url: 'http://x', nope: 1", "",
       "field nope not found in type config.WebhookConfig"},
      {"webhook", "url: 'http://x', payload: {a: ['{{ .Status }}', 1, true, null]}", "", ""},
      {"email", "to: a@b", "", "no global SMTP smarthost set"},
      {"email", "to: a@b", "smtp_smarthost: 'h:25'", "no global SMTP from set"},
      {"email", "to: a@b", "smtp_smarthost: 'h:25', smtp_from: x", ""},
      {"email", "from: a", "", "missing to address in email config"},
      {"email", "to: a, headers: {subject: x, Subject: y}", "",
       "duplicate header \"Subject\" in email config"},
      {"email", "to: a, threading: {enabled: true, thread_by_date: weekly}", "", "thread_by_date"},
      {"pagerduty", "", "", "missing service or routing key in PagerDuty config"},
      {"pagerduty", "routing_key: a", "", ""},
      {"pagerduty", "routing_key: a, routing_key_file: b", "", "at most one of"},
      {"pagerduty", "routing_key: a, details: {x: {y: z}}, images: [{href: a, src: b, alt: c}]", "",
       ""},
      {"slack", "channel: x", "", "no Slack API URL nor App token set either inline or in a file"},
      {"slack", "channel: x", "slack_app_token: t", ""},
      {"slack", "api_url: 'http://x', actions: [{type: button}]", "",
       "missing text in Slack action configuration"},
      {"slack", "api_url: 'http://x', actions: [{type: button, text: t}]", "",
       "missing name or url in Slack action"},
      {"slack", "api_url: 'http://x', fields: [{title: t}]", "",
       "missing value in Slack field configuration"},
      {"slack", "api_url: 'http://x', actions: [{type: a, text: b, url: c, confirm: {title: d}}]",
       "", "missing text in Slack confirmation configuration"},
      {"opsgenie", "api_key: k, responders: [{type: team}]", "",
       "at least one of id, username or name"},
      {"opsgenie", "api_key: k, responders: [{type: robot, id: a}]", "",
       "does not match valid options"},
      {"opsgenie", "api_key: k, responders: [{type: Teams, name: a}]", "", ""},
      {"wechat", "corp_id: c", "wechat_api_secret: s", ""},
      {"wechat", "corp_id: c, message_type: song", "wechat_api_secret: s",
       "weChat message type \"song\""},
      {"wechat", "", "wechat_api_secret: s", "no global Wechat CorpID set"},
      {"victorops", "api_key: k", "", "missing Routing key in VictorOps config"},
      {"victorops", "api_key: k, routing_key: r, custom_fields: {entity_id: x}", "",
       "contains custom field entity_id"},
      {"pushover", "token: t", "", "one of user_key or user_key_file must be configured"},
      {"pushover", "user_key: u, token: t, html: true, monospace: true", "",
       "at most one of monospace & html"},
      {"pushover", "user_key: u, token: t, retry: 90s, ttl: 1h", "", ""},
      {"sns", "topic_arn: a, phone_number: b", "", "must provide either"},
      {"sns", "topic_arn: a, sigv4: {access_key: x}", "", "sigv4"},
      {"telegram", "bot_token: b", "", "missing chat_id"},
      {"telegram", "bot_token: b, chat_id: -100, parse_mode: Word", "", "unknown parse_mode"},
      {"discord", "", "", "one of webhook_url or webhook_url_file must be configured"},
      {"discord", "webhook_url: 'https://x'", "", ""},
      {"webex", "room_id: r", "", "missing webex_configs.http_config.authorization"},
      {"webex", "room_id: r, http_config: {authorization: {credentials: c}}", "", ""},
      {"msteams", "webhook_url: 'https://x', webhook_url_file: y", "", "at most one of"},
      {"msteamsv2", "webhook_url: 'https://x'", "", ""},
      {"jira", "project: p, issue_type: i", "", "no global Jira Cloud URL set"},
      {"jira", "project: p, issue_type: i, summary: {template: t, enable_update: false}",
       "jira_api_url: 'https://j'", ""},
      {"jira", "project: p, issue_type: i, summary: {text: t}", "jira_api_url: 'https://j'",
       "field text not found"},
      {"jira", "project: p, issue_type: i, api_url: 'https://j', api_type: paper", "",
       "unknown api_type"},
      {"incidentio", "url: 'https://x'", "", "at least one of alert_source_token"},
      {"incidentio", "url: 'https://x', alert_source_token: t", "", ""},
      {"rocketchat", "channel: c", "rocketchat_token: t, rocketchat_token_id: i", ""},
      {"rocketchat", "channel: c", "rocketchat_token: t", "no global Rocketchat TokenID"},
      {"mattermost", "channel: c", "mattermost_webhook_url: 'https://m'", ""},
      {"mattermost", "webhook_url: 'https://m', priority: {priority: panic}", "",
       "unknown priority \"panic\""},
  };
  for (const Row& row : rows) {
    INFO(row.kind << ": " << row.fields);
    const std::string error = Error(With(row.kind, row.fields, row.global));
    if (*row.error == '\0') {
      CHECK(error.empty());
    } else {
      CHECK(error.find(row.error) != std::string::npos);
      CHECK(error.starts_with("am.yml:6:"));
    }
  }
}

TEST_CASE("an integration has what it needs after loading") {
  const auto config =
      LoadText(With("slack", "channel: c, send_resolved: true",
                    "slack_api_url: 'http://s', http_config: {proxy_url: 'http://p'}"),
               "am.yml");
  REQUIRE(config.ok());
  const IntegrationConfig& slack = config->receivers[0].integrations[0];
  CHECK(slack.kind == "slack");
  CHECK(slack.send_resolved);
  CHECK(slack.fields.Text("api_url") == "http://s");
  CHECK(slack.fields.Text("title") == "{{ template \"slack.default.title\" . }}");
  CHECK(slack.http_client->proxy.proxy_url == "http://p");
  // A block of its own takes the place of the whole global one.
  const auto own =
      LoadText(With("webhook", "url: 'http://x', http_config: {follow_redirects: false}",
                    "http_config: {proxy_url: 'http://p'}"),
               "am.yml");
  REQUIRE(own.ok());
  CHECK(own->receivers[0].integrations[0].http_client->proxy.proxy_url.empty());
}

TEST_CASE("what has no function yet is named, but only where a route uses it") {
  const auto config = LoadText(R"(
route: {receiver: r, routes: [{receiver: s, labels: {a: b}}]}
receivers:
- name: r
  webhook_configs: [{url: 'http://x', payload: {a: b}}]
- name: s
  discord_configs: [{webhook_url: 'http://x'}]
- name: idle
  msteams_configs: [{webhook_url: 'http://x'}]
tracing: {endpoint: x}
)",
                               "am.yml");
  REQUIRE(config.ok());
  CHECK(UnusedSections(*config) == std::vector<std::string>{"receivers: discord_configs",
                                                            "receivers: webhook_configs payload",
                                                            "route: labels", "tracing"});
}

TEST_CASE("doubtful settings are warned of") {
  const auto config = LoadText(R"(
route:
  receiver: r
  group_interval: 5m
  repeat_interval: 1m
  routes:
  - match: {a: b}
    repeat_interval: 240h
  - matchers: ['a=b c']
receivers: [{name: r}]
---
second: document
)",
                               "am.yml");
  REQUIRE(config.ok());
  std::string warnings;
  for (const std::string& warning : config->warnings) StrAppend(&warnings, warning, "\n");
  for (const char* part :
       {"repeat_interval is less than group_interval", "greater than the data retention",
        "match is deprecated", "only valid in the classic grammar", "second document"}) {
    INFO(warnings);
    CHECK(warnings.find(part) != std::string::npos);
  }
  LoadOptions classic;
  classic.matcher_mode = alerts::MatcherMode::kClassic;
  CHECK_FALSE(
      LoadText("route: {receiver: r, group_by: ['é']}\nreceivers: [{name: r}]\n", "am.yml", classic)
          .ok());
}

TEST_CASE("paths are relative to the folder of the file") {
  const auto config =
      LoadText(StrCat(With("webhook", "url_file: secrets/url"), "templates: ['t/*.tmpl', /abs]\n"),
               "/etc/am/am.yml");
  REQUIRE(config.ok());
  CHECK(config->receivers[0].integrations[0].fields.Text("url_file") == "/etc/am/secrets/url");
  CHECK(config->templates == std::vector<std::string>{"/etc/am/t/*.tmpl", "/abs"});
}

TEST_CASE("secrets are not printed") {
  const std::string secret = "s3cr3t";
  for (const IntegrationSpec& spec : Integrations()) {
    for (const FieldSpec& field : spec.fields) {
      if (field.type != FieldType::kSecret && field.type != FieldType::kSecretUrl &&
          field.type != FieldType::kTemplateUrl) {
        continue;
      }
      Config config;
      ReceiverConfig receiver;
      IntegrationConfig integration;
      integration.kind = spec.kind;
      integration.fields.Set(field.key, gotemplate::Value::String(secret));
      receiver.integrations.push_back(integration);
      config.receivers.push_back(receiver);
      INFO(spec.kind << "." << field.key);
      const std::string printed = PrintConfig(config);
      CHECK(printed.find(secret) == std::string::npos);
      CHECK(printed.find("<secret>") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace narthex::alertmanager_config
