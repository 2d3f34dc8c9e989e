#include "services/alertmanager/notify/templates.h"

#include <fstream>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/json/reader.h"
#include "tests/support/fake_clock.h"

namespace narthex::notify {
namespace {

// The data that amtool renders with when it is given none.
NotificationData AmtoolData() {
  Notification notification;
  notification.receiver = "receiver";
  notification.group_labels = {{"grouplabelkey1", "grouplabelvalue1"},
                               {"grouplabelkey2", "grouplabelvalue2"}};
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  auto one = std::make_shared<alerts::Alert>();
  one->labels = {{"label1", "value1"},
                 {"label2", "value2"},
                 {"instance", "foo.bar:1234"},
                 {"commonlabelkey1", "commonlabelvalue1"},
                 {"commonlabelkey2", "commonlabelvalue2"}};
  one->annotations = {{"annotation1", "value1"},
                      {"annotation2", "value2"},
                      {"commonannotationkey1", "commonannotationvalue1"},
                      {"commonannotationkey2", "commonannotationvalue2"}};
  one->starts_at = now;
  one->generator_url = "https://generatorurl.com";
  auto two = std::make_shared<alerts::Alert>(*one);
  two->labels = {{"foo", "bar"},
                 {"baz", "qux"},
                 {"commonlabelkey1", "commonlabelvalue1"},
                 {"commonlabelkey2", "commonlabelvalue2"}};
  two->annotations = {{"aaa", "bbb"},
                      {"ccc", "ddd"},
                      {"commonannotationkey1", "commonannotationvalue1"},
                      {"commonannotationkey2", "commonannotationvalue2"}};
  NotificationData data = MakeData(notification, Reason::kFirst, {one, two}, "https://example.com");
  data.status = "alertstatus";
  return data;
}

std::string Expand(const Templates& templates, std::string_view text,
                   const NotificationData& data) {
  const auto expanded = templates.Expand(text, ToTemplateValue(data));
  return expanded.ok() ? *expanded : StrCat("error: ", Message(expanded.status()));
}

// amtool 0.25; rows that newer versions answer differently are left out.
TEST_CASE("every template of amtool's table prints what amtool printed") {
  std::ifstream file(NARTHEX_TEST_DATA "/amtool_observed.jsonl");
  REQUIRE(file);
  FakeClock clock;
  const Templates templates(&clock);
  const NotificationData data = AmtoolData();
  size_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto row = json::Parse(line);
    REQUIRE(row.ok());
    INFO(row->array[0].text);
    CHECK(Expand(templates, row->array[0].text, data) == row->array[1].text);
  }
  CHECK(rows > 70);
}

TEST_CASE("functions that are newer than amtool") {
  FakeClock clock;
  const Templates templates(&clock);
  const NotificationData data = AmtoolData();
  const char* const rows[][2] = {
      {"{{ date \"2006-01-02\" (index .Alerts 0).StartsAt }}", "2023-11-14"},
      {"{{ (tz \"Asia/Tokyo\" (index .Alerts 0).StartsAt).Format \"15:04 MST\" }}", "07:13 JST"},
      {"{{ tz \"Nowhere\" (index .Alerts 0).StartsAt }}",
       "error: template: :1:3: executing \"\" at <tz \"Nowhere\" (index .Alerts 0).StartsAt>: "
       "error calling "
       "tz: unknown time zone Nowhere"},
      {"{{ humanizeDuration 3661 }} {{ since (index .Alerts 0).StartsAt }}", "1h 1m 1s 0s"},
      {"{{ (toDate \"2006-01-02\" \"2026-11-20\").Year }} {{ (toDate \"2006\" \"x\").IsZero }}",
       "2026 true"},
      {"{{ toJson (dict \"a\" (list 1 \"<\" nil) \"b\" true) }}",
       "{\"a\":[1,\"\\u003c\",null],\"b\":true}"},
      {"{{ toJson .CommonLabels }}",
       "{\"commonlabelkey1\":\"commonlabelvalue1\",\"commonlabelkey2\":\"commonlabelvalue2\"}"},
      {"{{ base64encode \"a?>b\" }} {{ base64encode \"ab\" }} {{ base64decode (base64encode "
       "\"\\xff\\x00x\") | printf \"%x\" }}",
       "YT8-Yg== YWI= ff0078"},
      {"{{ base64decode \"a\" }}",
       "error: template: :1:3: executing \"\" at <base64decode \"a\">: error calling base64decode: "
       "illegal "
       "base64 data at input byte 1"},
      {"{{ urlUnescape \"a%20b+c\" }}", "a b c"},
      {"{{ trimSpace \"\\u00a0 x y \\n\" }}|", "x y|"},
      {"{{ len (append (list 1) 2 3) }}", "3"},
      {"{{ dict 1 }}",
       "error: template: :1:3: executing \"\" at <dict 1>: error calling dict: dict expects an "
       "even number "
       "of arguments"},
      {"{{ .CommonLabels }}",
       "commonlabelkey1=commonlabelvalue1, commonlabelkey2=commonlabelvalue2"},
      {"{{ .NotificationReason }} {{ .RouteLabels.x }}", "first notification "},
  };
  for (const auto& row : rows) {
    INFO(row[0]);
    CHECK(Expand(templates, row[0], data) == row[1]);
  }
}

TEST_CASE("the named defaults render and can be overridden") {
  FakeClock clock;
  Templates templates(&clock);
  const NotificationData data = AmtoolData();
  CHECK(Expand(templates, "{{ template \"__subject\" . }}", data) ==
        "[ALERTSTATUS] grouplabelvalue1 grouplabelvalue2");
  NotificationData firing = data;
  firing.status = "firing";
  firing.group_labels = {{"alertname", "Down"}};
  firing.common_labels = {{"alertname", "Down"}, {"job", "node"}, {"zone", "eu"}};
  CHECK(Expand(templates, "{{ template \"slack.default.title\" . }}", firing) ==
        "[FIRING:2] Down (node eu)");
  CHECK(Expand(templates, "{{ template \"slack.default.color\" . }}", firing) == "danger");
  CHECK(Expand(templates, "{{ template \"__alertmanagerURL\" . }}", firing) ==
        "https://example.com/#/alerts?receiver=receiver");
  CHECK(Expand(templates, "{{ template \"jira.default.priority\" . }}", firing).empty());
  // All of them parse and run.
  for (const char* name :
       {"slack.default.fallback", "pagerduty.default.description", "opsgenie.default.description",
        "wechat.default.message", "victorops.default.state_message", "pushover.default.message",
        "sns.default.message", "telegram.default.message", "discord.default.message",
        "webex.default.message", "msteams.default.text", "msteamsv2.default.text",
        "jira.default.description", "rocketchat.default.title", "mattermost.default.text",
        "email.default.subject", "email.default.html"}) {
    INFO(name);
    const std::string text = Expand(templates, StrCat("{{ template \"", name, "\" . }}"), firing);
    CHECK(text.find("error:") != 0);
    CHECK_FALSE(text.empty());
  }
  REQUIRE(templates.AddFile("mine.tmpl", "{{ define \"slack.default.title\" }}mine{{ end }}").ok());
  CHECK(Expand(templates, "{{ template \"slack.default.fallback\" . }}", firing) ==
        "mine | https://example.com/#/alerts?receiver=receiver");
  CHECK_FALSE(templates.AddFile("bad.tmpl", "{{ define").ok());
}

}  // namespace
}  // namespace narthex::notify
