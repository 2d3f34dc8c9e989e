#include "lib/gotemplate/prometheus_functions.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::gotemplate {
namespace {

RuleEnvironment TestEnvironment() {
  RuleEnvironment environment;
  environment.time = absl::FromUnixMillis(1'700'000'000'250);
  environment.external_url = "http://host:9090/prefix";
  environment.query = [](std::string_view expression,
                         absl::Time) -> absl::StatusOr<std::vector<QuerySample>> {
    if (expression == "none") return std::vector<QuerySample>{};
    if (expression == "bad") return InvalidArgument("parse error");
    return std::vector<QuerySample>{
        {{{"__name__", "m"}, {"instance", "b"}}, 21},
        {{{"__name__", "m"}, {"instance", "a"}, {"__value__", "s"}}, 11}};
  };
  return environment;
}

RuleData TestData() {
  return {{{"alertname", "Down"}, {"instance", "h1:9100"}, {"job", "node"}},
          {{"region", "eu"}},
          "http://host:9090/prefix",
          1234567.5};
}

std::string Expand(std::string_view text) {
  const auto parsed = RuleTemplate::Parse("__alert_A", text);
  if (!parsed.ok()) return StrCat("parse: ", Message(parsed.status()));
  const auto expanded = parsed->Expand(TestData(), TestEnvironment());
  return expanded.ok() ? *expanded : StrCat("error: ", Message(expanded.status()));
}

// Template and output, as promtool (2.42) printed it in `test rules`, or as upstream's code says
// where promtool cannot be asked.
struct Row {
  const char* text;
  const char* output;
};

TEST_CASE("rule templates print what Prometheus prints") {
  const Row rows[] = {
      {"plain text", "plain text"},
      {"{{ $labels.instance }} of {{ .Labels.job }}", "h1:9100 of node"},
      {"{{ $labels.nope }}|", "|"},
      {"{{ $value }} {{ .Value }}", "1.2345675e+06 1.2345675e+06"},
      {"{{ $externalLabels.region }} {{ $externalURL }}", "eu http://host:9090/prefix"},
      {"{{ humanize $value }}", "1.235M"},
      {"{{ $value | humanize1024 }}", "1.177Mi"},
      {"{{ humanizePercentage 0.1234567 }}", "12.35%"},
      {"{{ humanizeDuration 3661.5 }}", "1h 1m 1s"},
      {"{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"},
      {"{{ humanize \"1e3\" }}", "1k"},
      {"{{ humanizeDuration \"90\" }}", "1m 30s"},
      {"{{ query \"m\" | first | value }}", "21"},
      {"{{ query \"m\" | first | label \"instance\" }}", "b"},
      {"{{ range query \"m\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }};{{ "
       "end }}",
       "a=11;b=21;"},
      {"{{ with query \"none\" }}x{{ else }}no{{ end }}", "no"},
      {"{{ range query \"m\" }}{{ strvalue . }}|{{ end }}", "|s|"},
      {"{{ title \"hELLO foo-bar baz_x 3com\" }}", "HELLO Foo-Bar Baz_x 3com"},
      {"{{ toUpper \"é x\" }} {{ toLower \"É X\" }}", "É X é x"},
      {"{{ match \"a+\" \"xaax\" }} {{ match \"^a\" \"xa\" }}", "true false"},
      {"{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "h1"},
      {"{{ reReplaceAll \"(?P<h>.*):.*\" \"<${h}>\" \"a:1\" }}", "<a>"},
      {"{{ stripPort \"h:1\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"h\" }}", "h ::1 h"},
      {"{{ stripDomain \"h.example.com:80\" }} {{ stripDomain \"10.0.0.1:80\" }} {{ stripDomain "
       "\"h.x\" }}",
       "h:80 10.0.0.1:80 h"},
      {"{{ graphLink \"up{a=\\\"b\\\"}\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0"},
      {"{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1"},
      {"{{ pathPrefix }} {{ externalURL }}", "/prefix http://host:9090/prefix"},
      {"{{ parseDuration \"1h30m\" }}", "5400"},
      {"{{ now }}", "1.70000000025e+09"},
      {"{{ (toTime 1.5).UTC.Unix }}", "1"},
      {"{{ toDuration 90 }}", "1m30s"},
      {"{{ safeHtml \"<b>\" }}", "<b>"},
      {"{{ with args 1 \"x\" }}{{ .arg0 }}{{ .arg1 }}{{ end }}", "1x"},
      {"{{ urlQueryEscape \"a b&c\" }}", "a+b%26c"},
      {"{{ printf \"%.2f\" $value }}", "1234567.50"},
      {"{{ query \"none\" | first }}",
       "error: error executing template __alert_A: template: __alert_A:1:130: executing "
       "\"__alert_A\" "
       "at <first>: error calling first: first() called on vector with no elements"},
      {"{{ query \"bad\" }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <query \"bad\">: error calling query: parse error"},
      {"{{ humanize \"x\" }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <humanize \"x\">: error calling humanize: strconv.ParseFloat: parsing \"x\": invalid "
       "syntax"},
      {"{{ reReplaceAll \"(\" \"\" \"\" }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <reReplaceAll \"(\" \"\" \"\">: error calling reReplaceAll: regexp: Compile(`(`): error "
       "parsing regexp: missing closing ): `(`"},
      {"{{ match \"(\" \"\" }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <match \"(\" \"\">: error calling match: error parsing regexp: missing closing ): `(`"},
      {"{{ humanizeTimestamp 1e30 }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <humanizeTimestamp 1e30>: error calling humanizeTimestamp: 1e+30 cannot be represented "
       "as a "
       "nanoseconds timestamp since it overflows int64"},
      {"{{ humanizeDuration 1e30 }}", "-106751991167300d -15h -30m -8s"},
      {"{{ humanize true }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <humanize true>: error calling humanize: can't convert bool to float"},
      {"{{ .Labels }}", "map[alertname:Down instance:h1:9100 job:node]"},
      {"{{ .Foo }}",
       "error: error executing template __alert_A: template: __alert_A:1:115: executing "
       "\"__alert_A\" "
       "at <.Foo>: can't evaluate field Foo in type struct { Labels map[string]string; "
       "ExternalLabels "
       "map[string]string; ExternalURL string; Value interface {} }"},
      {"{{ nope }}",
       "parse: error parsing template __alert_A: template: __alert_A:1: function \"nope\" not "
       "defined"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(Expand(row.text) == row.output);
  }
}

TEST_CASE("numbers are humanized as Prometheus does") {
  struct Number {
    double value;
    const char* humanize;
    const char* humanize1024;
    const char* duration;
    const char* percentage;
  };
  const double inf = std::numeric_limits<double>::infinity();
  const Number rows[] = {
      {0, "0", "0", "0s", "0%"},
      {1, "1", "1", "1s", "100%"},
      {-1, "-1", "-1", "-1s", "-100%"},
      {1234567, "1.235M", "1.177Mi", "14d 6h 56m 7s", "1.235e+08%"},
      {0.12, "120m", "0.12", "120ms", "12%"},
      {899.99, "900", "900", "14m 59s", "9e+04%"},
      {1048576, "1.049M", "1Mi", "12d 3h 16m 16s", "1.049e+08%"},
      {0.0000005, "500n", "5e-07", "500ns", "5e-05%"},
      {86400, "86.4k", "84.38ki", "1d 0h 0m 0s", "8.64e+06%"},
      {59.9999, "60", "60", "60s", "6000%"},
      {inf, "+Inf", "+Inf", "+Inf", "+Inf%"},
      {-inf, "-Inf", "-Inf", "-Inf", "-Inf%"},
      {std::nan(""), "NaN", "NaN", "NaN", "NaN%"},
      {1e30, "1e+06Y", "8.272e+05Yi", nullptr, "1e+32%"},
  };
  for (const Number& row : rows) {
    INFO(row.value);
    CHECK(Humanize(row.value) == row.humanize);
    CHECK(Humanize1024(row.value) == row.humanize1024);
    if (row.duration != nullptr) CHECK(HumanizeDuration(row.value) == row.duration);
    CHECK(HumanizePercentage(row.value) == row.percentage);
  }
}

TEST_CASE("a rule template without a query engine says so") {
  const auto parsed = RuleTemplate::Parse("x", "{{ query \"up\" }}");
  REQUIRE(parsed.ok());
  CHECK(Message(parsed->Expand({}, RuleEnvironment()).status()).find("no query engine") !=
        std::string_view::npos);
}

}  // namespace
}  // namespace narthex::gotemplate
