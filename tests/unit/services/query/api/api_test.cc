// The HTTP API as a client sees it: requests through the router, whole answers compared.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/http/router.h"
#include "lib/json/reader.h"
#include "lib/metrics/registry.h"
#include "lib/model/stale.h"
#include "lib/storage/fanout_querier.h"
#include "services/query/api/name_search.h"
#include "services/query/api/routes.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"
#include "tests/unit/services/query/rules/rules_fixture.h"

namespace narthex::query_api {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// An API over a store in memory. The clock stands at 1700000000.
struct Api {
  explicit Api(std::string prefix = "", std::string cors = ".*", bool search = true) {
    // Ten samples of a counter and a gauge, a minute apart, the last one now.
    for (int i = 0; i < 10; ++i) {
      const Timestamp at = 1'700'000'000'000 - (9 - i) * 60'000;
      Write({{kMetricName, "requests_total"}, {"code", "200"}, {"job", "api"}}, at, i * 30);
      Write({{kMetricName, "requests_total"}, {"code", "500"}, {"job", "api"}}, at, i);
      Write({{kMetricName, "temperature"}, {"place", "<here> & \"there\""}}, at, i * 1e21 - 3e-7);
    }
    rules::ManagerOptions rules_options;
    rules_options.environment = rules.environment;
    manager = std::make_unique<rules::Manager>(std::move(rules_options));
    notifier = std::make_unique<notifier::Notifier>(notifier::NotifierOptions(), &rules.clock,
                                                    Logger(), &rules.registry);
    ApiParts parts;
    parts.clock = &rules.clock;
    parts.registry = &rules.registry;
    parts.engine = &rules.engine;
    parts.cache = &cache;
    parts.querier = &querier;
    parts.rules = manager.get();
    parts.notifier = notifier.get();
    parts.status.version = "1.2.3";
    parts.status.revision = "abc";
    parts.status.start_time = rules.clock.Now();
    parts.status.flags = {{"query.timeout", "2m"}, {"web.cors.origin", ".*"}};
    parts.status.config_yaml = [] { return "global: {}\n"; };
    parts.status.reload_successful = [] { return true; };
    parts.status.last_config_time = [this] { return rules.clock.Now(); };
    parts.notifications = &notifications;
    parts.config = [this] { return std::make_shared<const config::PrometheusConfig>(config); };
    parts.features = CollectFeatures(rules.engine.options(), /*enable_admin=*/false,
                                     /*enable_lifecycle=*/true, /*enable_search=*/false);
    parts.external_labels = [] { return Labels{{"region", "eu"}, {"code", "none"}}; };
    parts.ready = [this] { return ready; };
    ApiOptions options;
    options.route_prefix = std::move(prefix);
    options.search.enabled = search;
    options.search.limit_max = 3;
    options.cors_origin = Regex::Compile(cors).value();
    AddApiRoutes(&router, std::move(parts), std::move(options));
  }

  void Write(const Labels& labels, Timestamp at, double value) {
    rules.memory.Append(labels, at, value);
  }

  http::ServerResponse Ask(std::string method, std::string path, const Pairs& params = {},
                           const http::Headers& headers = {}) {
    http::ServerRequest request;
    request.method = std::move(method);
    request.raw_path = request.path = std::move(path);
    for (const auto& [name, value] : params) request.params.Add(name, value);
    request.headers = headers;
    request.cancelled = [] { return false; };
    return router.Dispatch(request);
  }

  // Status and body.
  std::string Get(const std::string& path, const Pairs& params = {}) {
    const http::ServerResponse response = Ask("GET", "/api/v1/" + path, params);
    return StrCat(response.status, " ", response.body);
  }

  rules::RulesFixture rules;
  storage::FanoutQuerier querier{{&rules.storage}};
  query_cache::ResultCache cache{size_t{1} << 20, &rules.engine, &querier, &rules.registry};
  std::unique_ptr<rules::Manager> manager;
  std::unique_ptr<notifier::Notifier> notifier;
  Notifications notifications{&rules.clock, &rules.registry, 2};
  config::PrometheusConfig config;
  bool ready = true;
  http::Router router;
};

std::string Success(std::string_view data) {
  return StrCat("200 {\"status\":\"success\",\"data\":", data, "}");
}
std::string BadData(std::string_view quoted_error) {
  return StrCat("400 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"", quoted_error,
                "\"}");
}

TEST_CASE("Instant queries answer in upstream's JSON") {
  Api api;
  const auto query = [&](std::string text) {
    return api.Get("query", {{"query", std::move(text)}, {"time", "1700000000"}});
  };
  CHECK(query("1") == Success(R"({"resultType":"scalar","result":[1700000000,"1"]})"));
  CHECK(query("-0.5e-9") ==
        Success(R"({"resultType":"scalar","result":[1700000000,"-0.0000000005"]})"));
  CHECK(query("'a\"<b>'") ==
        Success(R"({"resultType":"string","result":[1700000000,"a\"\u003cb\u003e"]})"));
  CHECK(query("requests_total{code=\"500\"}") ==
        Success(R"({"resultType":"vector","result":[{"metric":{"__name__":"requests_total",)"
                R"("code":"500","job":"api"},"value":[1700000000,"9"]}]})"));
  CHECK(query("temperature") ==
        Success(R"({"resultType":"vector","result":[{"metric":{"__name__":"temperature",)"
                R"("place":"\u003chere\u003e \u0026 \"there\""},"value":[1700000000,"9e+21"]}]})"));
  CHECK(query("vector(NaN) or vector(1)") ==
        Success(R"({"resultType":"vector","result":[{"metric":{},"value":[1700000000,"NaN"]}]})"));
  CHECK(query("nothing") == Success(R"({"resultType":"vector","result":[]})"));
  CHECK(query("requests_total{code=\"500\"}[90s]") ==
        Success(R"({"resultType":"matrix","result":[{"metric":{"__name__":"requests_total",)"
                R"("code":"500","job":"api"},"values":[[1699999940,"8"],[1700000000,"9"]]}]})"));
  // Without a time it is now.
  CHECK(api.Get("query", {{"query", "time()"}}) ==
        Success(R"({"resultType":"scalar","result":[1700000000,"1700000000"]})"));
}

TEST_CASE("A range query is kept, unless it says otherwise") {
  Api api;
  Pairs query = {{"query", "sum(requests_total)"},
                 {"start", "1699999700"},
                 {"end", "1700000000"},
                 {"step", "1m"}};
  const std::string first = api.Get("query_range", query);
  CHECK(api.cache.entries() == 1);
  CHECK(api.Get("query_range", query) == first);
  api.cache.Clear();
  query.emplace_back("nocache", "1");
  CHECK(api.Get("query_range", query) == first);
  query.back() = {"stats", "true"};
  CHECK(api.Get("query_range", query).find("totalQueryableSamples") != std::string::npos);
  CHECK(api.cache.entries() == 0);
}

TEST_CASE("Annotations name their place in the query") {
  Api api;
  const std::string answer =
      api.Get("query", {{"query", "rate(temperature[5m])"}, {"time", "1700000000"}});
  INFO(answer);
  CHECK(answer.find(R"(\"temperature\" (1:6))") != std::string::npos);
}

TEST_CASE("Range queries answer in upstream's JSON") {
  Api api;
  CHECK(api.Get("query_range", {{"query", "sum by (job) (requests_total)"},
                                {"start", "1699999880"},
                                {"end", "1700000000.5"},
                                {"step", "1m"}}) ==
        Success(R"({"resultType":"matrix","result":[{"metric":{"job":"api"},"values":)"
                R"([[1699999880,"217"],[1699999940,"248"],[1700000000,"279"]]}]})"));
  CHECK(api.Get("query_range", {{"query", "1"}, {"start", "5"}, {"end", "5"}, {"step", "0.001"}}) ==
        Success(R"({"resultType":"matrix","result":[{"metric":{},"values":[[5,"1"]]}]})"));
}

TEST_CASE("Bad requests say which parameter is wrong and why") {
  Api api;
  const Pairs good = {{"query", "1"}, {"start", "1"}, {"end", "2"}, {"step", "1"}};
  const auto with = [&](std::string name, std::string value) {
    Pairs pairs = {{std::move(name), std::move(value)}};
    pairs.insert(pairs.end(), good.begin(), good.end());
    return pairs;
  };
  CHECK(api.Get("query") ==
        BadData(R"(invalid parameter \"query\": 1:1: parse error: no expression found in input)"));
  CHECK(api.Get("query", {{"query", "1"}, {"time", "x"}}) ==
        BadData(R"(invalid parameter \"time\": Invalid time value for 'time': )"
                R"(cannot parse \"x\" to a valid timestamp)"));
  CHECK(api.Get("query", {{"query", "1"}, {"timeout", "x"}}) ==
        BadData(R"(invalid parameter \"timeout\": cannot parse \"x\" to a valid duration)"));
  CHECK(api.Get("query", {{"query", "1"}, {"limit", "x"}}) ==
        BadData(R"(invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax)"));
  CHECK(
      api.Get("query", {{"query", "1"}, {"lookback_delta", "x"}}) ==
      BadData(R"(error parsing lookback delta duration: cannot parse \"x\" to a valid duration)"));
  CHECK(api.Get("query_range", with("start", "x")) ==
        BadData(R"(invalid parameter \"start\": cannot parse \"x\" to a valid timestamp)"));
  CHECK(api.Get("query_range", with("end", "0.5")) ==
        BadData(R"(invalid parameter \"end\": end timestamp must not be before start time)"));
  for (const std::string step : {"0", "-1", "0.0001"}) {
    CHECK(api.Get("query_range", with("step", step)) ==
          BadData(R"(invalid parameter \"step\": zero or negative query resolution step widths )"
                  R"(are not accepted. Try a positive integer)"));
  }
  CHECK(api.Get("query_range", with("end", "11001")).substr(0, 4) == "200 ");
  CHECK(api.Get("query_range", with("end", "11002")) ==
        BadData("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)"));
  CHECK(
      api.Get("query_range", {{"query", "1"}, {"start", "-1e300"}, {"end", "1e300"}, {"step", "1"}})
          .substr(0, 3) == "400");
  CHECK(api.Get("query_range", with("query", "requests_total[1m]")) ==
        BadData(R"(invalid parameter \"query\": invalid expression type \"range vector\" for )"
                R"(range query, must be Scalar or instant Vector)"));
  CHECK(api.Get("series") == BadData("no match[] parameter provided"));
  CHECK(api.Get("series", {{"match[]", "{a=~\".*\"}"}}) ==
        BadData(R"(invalid parameter \"match[]\": match[] must contain at least one non-empty )"
                R"(matcher)"));
  CHECK(api.Get("rules", {{"type", "x"}}) ==
        BadData(R"(invalid parameter \"type\": not supported value \"x\")"));
  CHECK(api.Get("metadata", {{"limit", "x"}}) == BadData("limit must be a number"));
}

TEST_CASE("What goes wrong in execution has its own type and status") {
  Api api;
  CHECK(
      api.Get("query", {{"query", "requests_total + on(job) requests_total"}})
          .find(
              R"(422 {"status":"error","errorType":"execution","error":"found duplicate series)") ==
      0);
  struct Case {
    absl::Status status;
    std::string expected;
  };
  for (
      const Case& c : std::vector<Case>{
          {absl::UnavailableError("storage 127.0.0.1:10901: refused"),
           R"(503 {"status":"error","errorType":"unavailable","error":"storage 127.0.0.1:10901: refused"})"},
          {absl::DeadlineExceededError("late"),
           R"(503 {"status":"error","errorType":"timeout","error":"late"})"},
          {absl::CancelledError("gone"),
           R"(499 {"status":"error","errorType":"canceled","error":"gone"})"},
          {absl::ResourceExhaustedError("too much"),
           R"(422 {"status":"error","errorType":"execution","error":"too much"})"},
          {absl::DataLossError("torn"),
           R"(500 {"status":"error","errorType":"internal","error":"torn"})"},
          {absl::NotFoundError("none"),
           R"(404 {"status":"error","errorType":"not_found","error":"none"})"}}) {
    api.rules.storage.Fail(c.status);
    CHECK(api.Get("series", {{"match[]", "up"}}) == c.expected);
  }
}

TEST_CASE("Limits cut results and say so; stats come when asked for") {
  Api api;
  const std::string limited = api.Get("query", {{"query", "requests_total"}, {"limit", "1"}});
  CHECK(limited.find("\"warnings\":[\"results truncated due to limit\"]") != std::string::npos);
  CHECK(std::count(limited.begin(), limited.end(), '{') == 4);
  CHECK(api.Get("query", {{"query", "requests_total"}, {"limit", "2"}}).find("warnings") ==
        std::string::npos);
  CHECK(api.Get("labels", {{"limit", "2"}}) ==
        "200 {\"status\":\"success\",\"data\":[\"__name__\",\"code\"],\"warnings\":[\"results "
        "truncated due to limit\"]}");
  CHECK(
      api.Get("series", {{"match[]", "requests_total"}, {"limit", "1"}}) ==
      R"(200 {"status":"success","data":[{"__name__":"requests_total","code":"200","job":"api"}],)"
      R"("warnings":["results truncated due to limit"]})");
  const std::string stats = api.Get("query", {{"query", "requests_total"}, {"stats", "all"}});
  for (const std::string key : {"timings", "evalTotalTime", "execQueueTime", "samples",
                                "totalQueryableSamples\":2", "peakSamples"}) {
    CHECK(stats.find(StrCat("\"", key)) != std::string::npos);
  }
}

TEST_CASE("Annotations are shown, at most ten of a kind") {
  Answer answer = Answer::Data("1");
  for (int i = 0; i < 12; ++i) answer.warnings.push_back(StrCat("w", i));
  answer.infos = {"i"};
  CHECK(
      ToResponse(std::move(answer)).body ==
      "{\"status\":\"success\",\"data\":1,\"warnings\":[\"w0\",\"w1\",\"w2\",\"w3\",\"w4\",\"w5\","
      "\"w6\",\"w7\",\"w8\",\"w9\",\"2 more warning annotations omitted\"],\"infos\":[\"i\"]}");
  CHECK(ToResponse(Answer()).status == 204);
}

TEST_CASE("Labels, values and series come from storage") {
  Api api;
  CHECK(api.Get("labels") == Success(R"(["__name__","code","job","place"])"));
  CHECK(api.Get("labels", {{"match[]", "temperature"}}) == Success(R"(["__name__","place"])"));
  CHECK(api.Get("labels", {{"start", "1700000001"}}) == Success("[]"));
  CHECK(api.Get("label/code/values") == Success(R"(["200","500"])"));
  CHECK(api.Get("label/U__code/values") == Success(R"(["200","500"])"));
  CHECK(api.Get("label/nosuch/values") == Success("[]"));
  CHECK(api.Get("label/a\xff/values") == BadData(R"(invalid label name: \"a\\xff\")"));
  CHECK(api.Get("series", {{"match[]", "{code=\"500\"}"}, {"match[]", "requests_total"}}) ==
        Success(R"([{"__name__":"requests_total","code":"200","job":"api"},)"
                R"({"__name__":"requests_total","code":"500","job":"api"}])"));
}

TEST_CASE("Grafana's first questions get the answers that it needs") {
  Api api;
  CHECK(api.Ask("POST", "/api/v1/query", {{"query", "1+1"}, {"time", "4"}}).body ==
        R"({"status":"success","data":{"resultType":"scalar","result":[4,"2"]}})");
  CHECK(api.Ask("POST", "/api/v1/query_exemplars",
                {{"query", "test"}, {"start", "1795161776275"}, {"end", "1795161776276"}})
            .body == R"({"status":"success","data":[]})");
  CHECK(api.Ask("POST", "/api/v1/query_exemplars", {{"query", "1"}}).status == 204);
  const http::ServerResponse build_info = api.Ask("GET", "/api/v1/status/buildinfo");
  CHECK(build_info.status == 200);
  CHECK(build_info.body.find("\"version\":\"1.2.3\"") != std::string::npos);
  CHECK(build_info.body.find("features") == std::string::npos);
  CHECK(api.Get("metadata", {{"limit", "40000"}}) == Success("{}"));
  CHECK(api.Get("rules") == Success(R"({"groups":[]})"));
  CHECK(api.Get("alerts") == Success(R"({"alerts":[]})"));
  // Its ruler probe looks for these words.
  CHECK(api.Ask("GET", "/rules").body == "404 page not found\n");
  CHECK(api.Ask("GET", "/api/v1/nosuch").status == 404);
  CHECK(api.Ask("POST", "/api/v1/rules").status == 405);
}

TEST_CASE("Status pages tell what is running") {
  Api api;
  CHECK(api.Get("status/config") == Success(R"({"yaml":"global: {}\n"})"));
  CHECK(api.Get("status/flags") == Success(R"({"query.timeout":"2m","web.cors.origin":".*"})"));
  const std::string runtime = api.Get("status/runtimeinfo");
  for (const std::string key :
       {"startTime\":\"2023-11-14T22:13:20Z\"", "CWD", "hostname", "reloadConfigSuccess\":true",
        "goroutineCount", "storageRetention"}) {
    CHECK(runtime.find(StrCat("\"", key)) != std::string::npos);
  }
  CHECK(api.Get("format_query", {{"query", "sum(a)by(b)"}}) == Success("\"sum by (b) (a)\""));
  CHECK(api.Get("alertmanagers") ==
        Success(R"({"activeAlertmanagers":[],"droppedAlertmanagers":[]})"));
  CHECK(api.Get("targets") ==
        Success(R"({"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}})"));
  CHECK(api.Get("targets", {{"state", "active"}}) ==
        Success(R"({"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null})"));
  CHECK(api.Get("scrape_pools") == Success(R"({"scrapePools":[]})"));
}

TEST_CASE("An expression is shown as a tree") {
  Api api;
  const auto parse = [&](std::string query) {
    return api.Get("parse_query", {{"query", std::move(query)}});
  };
  CHECK(parse("(-1)") ==
        Success(R"({"expr":{"type":"numberLiteral","val":"-1"},"type":"parenExpr"})"));
  CHECK(parse("-a").find(R"("op":"-","type":"unaryExpr"})") != std::string::npos);
  CHECK(parse("'a'") == Success(R"({"type":"stringLiteral","val":"a"})"));
  CHECK(parse("up{a!~\"b\"} offset 1m @ start()") ==
        Success(R"({"anchored":false,"matchers":[{"name":"a","type":"!~","value":"b"},)"
                R"({"name":"__name__","type":"=","value":"up"}],"name":"up","offset":60000,)"
                R"("offsetExpr":null,"smoothed":false,"startOrEnd":"start","timestamp":null,)"
                R"("type":"vectorSelector"})"));
  CHECK(parse("rate(up[5m] @ 10)") ==
        Success(R"({"args":[{"anchored":false,"matchers":[{"name":"__name__","type":"=",)"
                R"("value":"up"}],"name":"up","offset":0,"offsetExpr":null,"range":300000,)"
                R"("rangeExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":10000,)"
                R"("type":"matrixSelector"}],"func":{"argTypes":["matrix"],"name":"rate",)"
                R"("returnType":"vector","variadic":0},"type":"call"})"));
  const std::string joined = parse("a / on(x) group_left(y) b");
  CHECK(joined.find(R"("matching":{"card":"many-to-one","fillValues":{"lhs":null,"rhs":null},)"
                    R"("include":["y"],"labels":["x"],"on":true},"op":"/")") != std::string::npos);
  CHECK(parse("a > bool 1").find(R"({"bool":true,"lhs":)") != std::string::npos);
  CHECK(parse("topk by (l) (3, a)")
            .find(R"("grouping":["l"],"op":"topk","param":{"type":"numberLiteral","val":"3"},)"
                  R"("type":"aggregation","without":false)") != std::string::npos);
  CHECK(parse("a[1h:5m]")
            .find(R"("step":300000,"stepExpr":null,"timestamp":null,)"
                  R"("type":"subquery")") != std::string::npos);
  CHECK(parse("a offset (2 * -step())")
            .find(R"("offsetExpr":{"lhs":{"duration":false,"type":"numberLiteral","val":"2"},)"
                  R"("op":"*","rhs":{"lhs":null,"op":"-","rhs":{"lhs":null,"op":"step",)"
                  R"("rhs":null,"type":"durationExpr","wrapped":false},"type":"durationExpr",)"
                  R"("wrapped":false},"type":"durationExpr","wrapped":true})") !=
        std::string::npos);
  CHECK(parse("(").substr(0, 3) == "400");
}

TEST_CASE("The features say what is on") {
  Api api;
  const std::string features = api.Get("features");
  for (const std::string part :
       {R"("api":{"admin":false,)", R"("lifecycle":true)", R"("<=":true)", R"("rate":true)",
        R"("info":false)", R"("subqueries":true)", R"("fill":false)"}) {
    INFO(part);
    CHECK(features.find(part) != std::string::npos);
  }
}

TEST_CASE("Metrics of this process are answered in the JSON of Protocol Buffers") {
  Api api;
  api.rules.registry.AddCounter("x_total", "X.", {{"a", "b"}})->Increment(3);
  api.rules.registry.AddHistogram("y_seconds", "Y.", {1, 2})->Observe(1.5);
  CHECK(api.Get("status/self_metrics", {{"metric_name_pattern", "x_.*|y_seconds"}}) ==
        Success(R"([{"name":"x_total","help":"X.","type":"COUNTER","metric":[{"label":[)"
                R"({"name":"a","value":"b"}],"counter":{"value":3}}]},)"
                R"({"name":"y_seconds","help":"Y.","type":"HISTOGRAM","metric":[{"histogram":{)"
                R"("sampleCount":"1","sampleSum":1.5,"bucket":[)"
                R"({"cumulativeCount":"0","upperBound":1},)"
                R"({"cumulativeCount":"1","upperBound":2}]}}]}])"));
  CHECK(api.Get("status/self_metrics", {{"metric_name_pattern", "("}}).substr(0, 3) == "400");
}

TEST_CASE("What relabelling makes of a target is shown step by step") {
  Api api;
  config::ScrapeConfig job;
  job.job_name = "j";
  relabel::RelabelConfig copy;
  copy.source_labels = {"__address__"};
  copy.target_label = "host";
  relabel::RelabelConfig drop;
  drop.source_labels = {"host"};
  drop.regex = Regex::Compile("b").value();
  drop.action = relabel::Action::kDrop;
  job.relabel_configs = {copy, drop};
  api.config.scrape_configs = {job};
  const auto steps = [&](std::string labels) {
    return api.Get("targets/relabel_steps", {{"scrapePool", "j"}, {"labels", std::move(labels)}});
  };
  const std::string rules[] = {
      R"J({"sourceLabels":["__address__"],"separator":";","regex":"(.*)","targetLabel":"host",)J"
      R"("replacement":"$1","action":"replace"})",
      R"({"sourceLabels":["host"],"separator":";","regex":"b","replacement":"$1","action":"drop"})"};
  CHECK(steps(R"({"__address__":"a"})") ==
        Success(StrCat(R"({"steps":[{"rule":)", rules[0],
                       R"(,"output":{"__address__":"a","host":"a"},"keep":true},{"rule":)",
                       rules[1], R"(,"output":{"__address__":"a","host":"a"},"keep":true}]})")));
  CHECK(steps(R"({"__address__":"b"})").find(R"("output":{},"keep":false}]})") !=
        std::string::npos);
  CHECK(steps("") == BadData("no labels parameter provided"));
  CHECK(steps("[1]").find("error parsing labels: ") != std::string::npos);
  CHECK(steps(R"({"a":1})").find("error parsing labels: ") != std::string::npos);
  CHECK(api.Get("targets/relabel_steps", {{"scrapePool", "x"}, {"labels", "{}"}}) ==
        BadData(R"(error getting scrape config: scrape pool \"x\" not found)"));
  CHECK(api.Get("scrape_pools/config", {{"scrapePool", "j"}}).find("job_name: j") !=
        std::string::npos);
  CHECK(api.Get("scrape_pools/config", {{"scrapePool", "x"}}).substr(0, 3) == "404");
  CHECK(api.Get("scrape_pools/config") == BadData("no scrapePool parameter provided"));
}

TEST_CASE("Names are searched as somebody types them") {
  Api api;
  const auto search = [&](std::string what, Pairs params) {
    return api.Get("search/" + what, std::move(params));
  };
  const std::string end = "{\"status\":\"success\",\"has_more\":false}\n";
  CHECK(search("metric_names", {}) ==
        "200 {\"results\":[{\"name\":\"requests_total\"},{\"name\":\"temperature\"}]}\n" + end);
  CHECK(search("metric_names", {{"search[]", "rqt"}, {"include_score", "true"}})
            .find("{\"name\":\"requests_total\",\"score\":0.") != std::string::npos);
  CHECK(search("metric_names", {{"search[]", "nosuch"}}) == "200 {\"results\":[]}\n" + end);
  CHECK(search("label_names", {{"batch_size", "2"}, {"sort_by", "alpha"}, {"sort_dir", "dsc"}}) ==
        "200 {\"results\":[{\"name\":\"place\"},{\"name\":\"job\"}]}\n"
        "{\"results\":[{\"name\":\"code\"}]}\n{\"status\":\"success\",\"has_more\":true}\n");
  CHECK(search("label_names", {{"search[]", "JO"}, {"case_sensitive", "false"}, {"limit", "1"}}) ==
        "200 {\"results\":[{\"name\":\"job\"}]}\n" + end);
  CHECK(search("label_values", {{"label", "code"}, {"match[]", "requests_total"}}) ==
        "200 {\"results\":[{\"name\":\"200\"},{\"name\":\"500\"}]}\n" + end);
  CHECK(search("label_values", {}) == BadData(R"(missing required parameter \"label\")"));
  for (const Pairs& bad : std::vector<Pairs>{{{"limit", "-1"}},
                                             {{"batch_size", "x"}},
                                             {{"fuzz_threshold", "101"}},
                                             {{"fuzz_alg", "x"}},
                                             {{"case_sensitive", "x"}},
                                             {{"sort_by", "x"}},
                                             {{"sort_dir", "asc"}},
                                             {{"sort_by", "score"}},
                                             {{"start", "x"}},
                                             {{"match[]", "("}}}) {
    INFO(bad[0].first);
    CHECK(search("metric_names", bad).substr(0, 4) == "400 ");
  }
  Api off("", ".*", false);
  CHECK(off.Get("search/metric_names") ==
        R"(500 {"status":"error","errorType":"unavailable","error":"search API disabled"})");
}

TEST_CASE("Scores are one for a beginning, and fall with gaps and differences") {
  CHECK(JaroWinkler("MARTHA", "MARHTA") == Approx(0.9611).margin(1e-4));
  CHECK(JaroWinkler("DIXON", "DICKSONX") == Approx(0.8133).margin(1e-4));
  CHECK(JaroWinkler("a", "b") == 0);
  CHECK(JaroWinkler("", "b") == 0);
  CHECK(SubsequenceScore("abc", "abc") == 1);
  CHECK(SubsequenceScore("abc", "xabcx") > SubsequenceScore("abc", "xabxc"));
  CHECK(SubsequenceScore("abc", "acb") == 0);
  const auto score = [](std::string term, NameSearch::Algorithm algorithm, double threshold) {
    return NameSearch({std::move(term)}, algorithm, threshold, true).Score("node_cpu_seconds");
  };
  CHECK(score("node_", NameSearch::Algorithm::kSubsequence, 1) == 1.0);
  CHECK(score("cpu", NameSearch::Algorithm::kJaroWinkler, 0) == 0.9);
  CHECK_FALSE(score("nodecpu", NameSearch::Algorithm::kJaroWinkler, 0).has_value());
  CHECK(score("nodecpu", NameSearch::Algorithm::kJaroWinkler, 0.8).has_value());
  CHECK(score("nodecpu", NameSearch::Algorithm::kSubsequence, 0).has_value());
  CHECK_FALSE(score("NODE", NameSearch::Algorithm::kSubsequence, 0).has_value());
}

TEST_CASE("A long answer is sent while it is written, and is the same") {
  Api api;
  for (int i = 0; i < 6000; ++i) {
    api.Write({{kMetricName, "many"}, {"i", StrCat(i)}}, 1'700'000'000'000, i * 0.25 + 1.0 / 3);
  }
  http::ServerResponse response =
      api.Ask("GET", "/api/v1/query", {{"query", "many"}, {"stats", "x"}});
  REQUIRE(response.stream != nullptr);
  std::vector<std::string> pieces;
  CHECK(response.stream([&](std::string_view piece) {
    pieces.emplace_back(piece);
    return true;
  }));
  CHECK(pieces.size() > 3);
  const std::string body = Join(pieces, "");
  const auto parsed = json::Parse(body);
  REQUIRE(parsed.ok());
  const json::Value* const result = parsed->Find("data")->Find("result");
  REQUIRE(result->array.size() == 6000);
  CHECK(body.find(R"({"metric":{"__name__":"many","i":"0"},"value":[1700000000,)"
                  R"("0.3333333333333333"]})") != std::string::npos);
  CHECK(parsed->Find("warnings")->array.size() == 1);
  CHECK(parsed->Find("data")->Find("stats") != nullptr);
  // The client leaves.
  int taken = 0;
  CHECK_FALSE(response.stream([&](std::string_view) { return ++taken < 2; }));
  CHECK(taken == 2);
}

TEST_CASE("Browsers of other origins may ask when the flag allows it") {
  http::Headers headers;
  headers.Add("Origin", "https://grafana.example");
  Api open;
  http::ServerResponse response = open.Ask("GET", "/api/v1/labels", {}, headers);
  CHECK(response.headers.Get("Access-Control-Allow-Origin") == "*");
  CHECK(response.headers.Get("Vary") == "Origin");
  response = open.Ask("OPTIONS", "/api/v1/query", {}, headers);
  CHECK(response.status == 204);
  CHECK(response.headers.Get("Access-Control-Allow-Methods") == "GET, POST, OPTIONS");
  CHECK_FALSE(open.Ask("GET", "/api/v1/labels").headers.Has("Access-Control-Allow-Origin"));

  Api closed("", "https://grafana\\..*");
  CHECK(
      closed.Ask("GET", "/api/v1/labels", {}, headers).headers.Get("Access-Control-Allow-Origin") ==
      "https://grafana.example");
  http::Headers other;
  other.Add("Origin", "https://evil.example");
  CHECK_FALSE(
      closed.Ask("GET", "/api/v1/labels", {}, other).headers.Has("Access-Control-Allow-Origin"));
}

TEST_CASE("Before it is ready every answer is plain 503, and a prefix moves all of it") {
  Api api("/metrics/q");
  CHECK(api.Ask("GET", "/api/v1/labels").status == 404);
  CHECK(api.Ask("GET", "/metrics/q/api/v1/labels").status == 200);
  CHECK(api.Ask("GET", "/metrics/q/version").body.find("\"version\":\"1.2.3\"") !=
        std::string::npos);
  api.ready = false;
  for (const std::string path : {"api/v1/labels", "api/v1/query", "federate"}) {
    const http::ServerResponse response = api.Ask("GET", "/metrics/q/" + path);
    CHECK(response.status == 503);
    CHECK(response.body == "Service Unavailable");
  }
}

TEST_CASE("Federation gives the newest samples by name, with external labels where they lack") {
  Api api;
  api.Write({{kMetricName, "gone"}, {"job", "x"}}, 1'700'000'000'000 - 1000, StaleNan());
  api.Write({{kMetricName, "here"}, {"instance", "i"}, {"region", "us"}}, 1'699'999'999'123, 0.5);
  const http::ServerResponse response =
      api.Ask("GET", "/federate", {{"match[]", "{job=~\".+\"}"}, {"match[]", "here"}});
  CHECK(response.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(response.body ==
        "# TYPE here untyped\n"
        "here{instance=\"i\",region=\"us\",code=\"none\"} 0.5 1699999999123\n"
        "# TYPE requests_total untyped\n"
        "requests_total{code=\"200\",job=\"api\",region=\"eu\",instance=\"\"} 270 1700000000000\n"
        "requests_total{code=\"500\",job=\"api\",region=\"eu\",instance=\"\"} 9 1700000000000\n");
  CHECK(api.Ask("GET", "/federate", {{"match[]", "{"}}).status == 400);
  CHECK(api.Ask("GET", "/federate").body.empty());
  api.rules.storage.Fail(absl::UnavailableError("storage x: away"));
  CHECK(api.Ask("GET", "/federate", {{"match[]", "here"}}).status == 503);
}

TEST_CASE("Rules and alerts are listed, filtered and paged") {
  Api api;
  const auto group = [](std::string name, std::string file,
                        std::vector<std::shared_ptr<const rules::RuleDefinition>> list) {
    rules::GroupDefinition definition = rules::NewGroup(std::move(list), absl::Seconds(15));
    definition.name = std::move(name);
    definition.file = std::move(file);
    return definition;
  };
  api.manager->Apply(
      {group("b", "one.yml", {rules::Recording("r", "requests_total", {{"team", "x"}})}),
       group("a", "one.yml",
             {rules::Alerting("Hot", "requests_total{code=\"500\"} > 5", absl::ZeroDuration(),
                              {{"severity", "page"}}, {{"text", "{{ $value }}"}})}),
       group("a", "two.yml", {rules::Recording("s", "1")})},
      Labels());
  const auto groups = api.manager->groups();
  REQUIRE(groups.size() == 3);
  auto& hot = const_cast<rules::Group&>(*groups[0]);
  REQUIRE(hot.Evaluate(api.rules.clock.Now(), 0, Labels(), nullptr).ok());

  CHECK(
      api.Get("rules", {{"rule_name[]", "Hot"}}) ==
      Success(
          R"({"groups":[{"name":"a","file":"one.yml","rules":[{"state":"firing","name":"Hot",)"
          R"("query":"requests_total{code=\"500\"} \u003e 5","duration":0,"keepFiringFor":0,)"
          R"("labels":{"severity":"page"},"annotations":{"text":"{{ $value }}"},"alerts":[{)"
          R"("labels":{"alertname":"Hot","code":"500","job":"api","severity":"page"},)"
          R"("annotations":{"text":"9"},"state":"firing","activeAt":"2023-11-14T22:13:20Z",)"
          R"("value":"9e+00"}],"health":"ok","evaluationTime":0,)"
          R"("lastEvaluation":"2023-11-14T22:13:20Z","type":"alerting"}],"interval":15,"limit":0,)"
          R"("evaluationTime":0,"lastEvaluation":"2023-11-14T22:13:20Z"}]})"));
  CHECK(api.Get("rules", {{"file[]", "two.yml"}}) ==
        Success(R"({"groups":[{"name":"a","file":"two.yml","rules":[{"name":"s","query":"1",)"
                R"("labels":{},"health":"unknown","evaluationTime":0,)"
                R"("lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"}],"interval":15,)"
                R"("limit":0,"evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z"}]})"));
  CHECK(api.Get("alerts") ==
        Success(R"({"alerts":[{"labels":{"alertname":"Hot","code":"500","job":"api",)"
                R"("severity":"page"},"annotations":{"text":"9"},"state":"firing",)"
                R"("activeAt":"2023-11-14T22:13:20Z","value":"9e+00"}]})"));
  const auto names = [&](const Pairs& params) {
    const std::string body = api.Get("rules", params);
    std::string found;
    for (const std::string rule : {"Hot", "r", "s"}) {
      if (body.find(StrCat("\"name\":\"", rule, "\"")) != std::string::npos) found += rule;
    }
    return found;
  };
  CHECK(names({}) == "Hotrs");
  CHECK(names({{"type", "alert"}}) == "Hot");
  CHECK(names({{"type", "record"}}) == "rs");
  CHECK(names({{"rule_group[]", "a"}}) == "Hots");
  CHECK(names({{"match[]", "{team=\"x\"}"}}) == "r");
  CHECK(names({{"match[]", "{severity=~\"p.*\"}"}, {"match[]", "{team=\"x\"}"}}) == "Hotr");
  CHECK(api.Get("rules", {{"exclude_alerts", "true"}}).find("activeAt") == std::string::npos);

  // Page by page.
  std::string token;
  std::string seen;
  for (int page = 0; page < 3; ++page) {
    Pairs params = {{"group_limit", "1"}};
    if (!token.empty()) params.push_back({"group_next_token", token});
    seen += names(params);
    const std::string body = api.Get("rules", params);
    const size_t at = body.find("\"groupNextToken\":\"");
    token = at == std::string::npos ? "" : body.substr(at + 18, body.find('"', at + 18) - at - 18);
  }
  CHECK(seen == "Hotrs");
  CHECK(token.empty());
  CHECK(api.Get("rules", {{"group_limit", "1"}, {"group_next_token", "zz"}}).substr(0, 3) == "400");
  CHECK(api.Get("rules", {{"group_next_token", "zz"}}).substr(0, 3) == "400");
}

}  // namespace
}  // namespace narthex::query_api
