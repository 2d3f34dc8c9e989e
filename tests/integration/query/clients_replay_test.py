#!/usr/bin/env python3
"""What real clients ask, replayed: the requests of Grafana's Prometheus data source (versions 11 to 13, both HTTP methods), and those of the
Prometheus UI's expression editor (@prometheus-io/codemirror-promql). Each answer goes through checks as strict as the code that reads it
there: Grafana's frame converter stops at a key that it does not know, a value that is no string, a metadata entry without elements.

The editor package's own client was pointed at a listener to learn its requests; nothing here needs the network or Node. With
REPLAY_URL=http://host:port the same requests go to another server, which is how the checks were tried on Prometheus 2.42."""

import gzip
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
import remote  # noqa: E402
from harness import Server, Stack, run_cases, wait_for  # noqa: E402

PAGE = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",handler="/"} %d
http_requests_total{code="500",handler="/"} 3
# HELP latency_seconds Latency.
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} %d
latency_seconds_bucket{le="+Inf"} %d
latency_seconds_sum 17.5
latency_seconds_count %d
# TYPE temperature gauge
temperature{place="<here>"} -3.5
"""

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
storage: {exemplars: {max_exemplars: 1000}}
scrape_configs:
  - job_name: api
    static_configs: [{targets: ["%s"]}]
"""

RULES = """
groups:
  - name: first
    rules:
      - {record: "code:http_requests:rate", expr: "sum by (code) (rate(http_requests_total[1m]))", labels: {team: core}}
      - {alert: Cold, expr: "temperature < 0", labels: {severity: page}, annotations: {summary: "it is {{ $value }}"}}
  - name: second
    rules:
      - {alert: Never, expr: "temperature > 1e9"}
"""

BASE = None
STACK = None


def ask(method, path, params=(), url_params=(), headers=None, form_type="application/x-www-form-urlencoded"):
    """(status, headers, parsed JSON) as Grafana's proxy asks: gzip wanted, POST parameters as a form."""
    query = urllib.parse.urlencode(list(url_params) + (list(params) if method == "GET" else []))
    data = urllib.parse.urlencode(list(params)).encode() if method == "POST" else None
    request = urllib.request.Request(f"{BASE}{path}" + (f"?{query}" if query else ""), data=data, method=method,
                                     headers={"Accept-Encoding": "gzip", "User-Agent": "Grafana/13.1.4", "X-Grafana-Org-Id": "1", **(headers or {})})
    if data is not None:
        request.add_header("Content-Type", form_type)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
            status, head, body = response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        status, head, body = error.code, error.headers, error.read()
    if head.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return status, head, body.decode()


def data_of(method, path, params=(), **options):
    status, head, body = ask(method, path, params, **options)
    assert status == 200, f"{method} {path} {params}: {status} {body[:300]}"
    assert head.get("Content-Type", "").startswith("application/json"), head
    answer = json.loads(body)
    assert answer["status"] == "success", body[:300]
    unknown = set(answer) - {"status", "data", "warnings", "infos"}
    assert not unknown, unknown
    return answer["data"]


def check_text_number(text):
    assert isinstance(text, str), text
    assert text in ("NaN", "+Inf", "-Inf") or float(text) is not None


def check_point(point):
    assert len(point) == 2 and isinstance(point[0], (int, float)) and round(point[0] * 1000) == round(point[0] * 1000, 3), point
    check_text_number(point[1])


def check_histogram(point):
    assert len(point) == 2 and set(point[1]) <= {"count", "sum", "buckets"}, point
    check_text_number(point[1]["count"])
    check_text_number(point[1]["sum"])
    for bucket in point[1].get("buckets", []):
        assert len(bucket) == 4 and bucket[0] in (0, 1, 2, 3), bucket
        for text in bucket[1:]:
            check_text_number(text)


def frames(data, kind):
    """Grafana's converter: fails on what that would fail on. The series."""
    keys = list(data)
    assert keys.index("resultType") < keys.index("result"), "Grafana would keep all of the result in memory"
    assert data["resultType"] == kind, data["resultType"]
    assert set(keys) <= {"resultType", "result", "stats"}
    if kind in ("scalar", "string"):
        assert len(data["result"]) == 2 and isinstance(data["result"][1], str)
        return data["result"]
    for series in data["result"]:
        assert set(series) <= {"metric", "value", "values", "histogram", "histograms"} and "metric" in series, series
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in series["metric"].items())
        for point in series.get("values", []) + ([series["value"]] if "value" in series else []):
            check_point(point)
        for point in series.get("histograms", []) + ([series["histogram"]] if "histogram" in series else []):
            check_histogram(point)
    return data["result"]


def strings(data):
    assert isinstance(data, list) and all(isinstance(text, str) for text in data), data
    assert data == sorted(data)
    return data


METHODS = ("POST", "GET")


def test_health_check():
    for method in METHODS:
        assert frames(data_of(method, "/api/v1/query", [("query", "1+1"), ("time", "4")]), "scalar") == [4, "2"]
    info = data_of("GET", "/api/v1/status/buildinfo")
    assert "features" not in info, "Grafana would take us for Mimir"
    assert info["version"]
    for path in ("/rules/test", "/config/v1/rules/test", "/api/v1/rules/test/test"):
        status, _, body = ask("GET", path)
        assert status == 404 and "page not found" in body, (path, status, body[:200])
    assert ask("GET", "/alertmanager/api/v2/status")[0] == 404


def test_start_of_the_data_source():
    groups = data_of("GET", "/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {(r["type"], r["name"]) for r in rules} == {("recording", "code:http_requests:rate"), ("alerting", "Cold"), ("alerting", "Never")}
    recording = next(r for r in rules if r["type"] == "recording")
    assert recording["query"] == "sum by (code) (rate(http_requests_total[1m]))" and recording["labels"] == {"team": "core"}
    # The probe for exemplars has milliseconds where seconds belong.
    for method in METHODS:
        now = int(time.time() * 1000)
        assert data_of(method, "/api/v1/query_exemplars", [("query", "test"), ("start", now - 3600000), ("end", now)]) == []


def test_panels():
    end = int(time.time()) // 15 * 15
    for method in METHODS:
        for query, start, stop, step in [("rate(http_requests_total[1m0s])", end - 3600, end, "15"), ("sum by(code) (http_requests_total)", end - 5, end + 5, "0.5"),
                                         ("temperature", f"{end - 9.8769999:.9f}", f"{end + 1.1230001:.9f}", "7.5"), ("temperature", end, end, "15"),
                                         ("histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[1m])))", end - 60, end, "1"),
                                         ("vector(1)", end - 11000, end, "1"), ("1/0", end, end, "1")]:
            series = frames(data_of(method, "/api/v1/query_range", [("query", query), ("start", start), ("end", stop), ("step", step), ("timeout", "30s")]), "matrix")
            if query == "vector(1)":
                assert len(series[0]["values"]) == 11001
        vector = frames(data_of(method, "/api/v1/query", [("query", "http_requests_total"), ("time", f"{time.time():.7f}")]), "vector")
        assert {s["metric"]["code"] for s in vector} == {"200", "500"}
        # Grafana 13 puts some parameters into the URL and leaves the others in the form; custom ones come along.
        data = data_of(method, "/api/v1/query", [("query", "temperature"), ("time", time.time())],
                       url_params=[("stats", "all"), ("max_samples_processed_warning_threshold", "5"), ("custom", "x y&z")])
        assert frames(data, "vector")[0]["metric"]["place"] == "<here>"
        assert data["stats"]["samples"]["totalQueryableSamples"] == 1
        assert frames(data_of(method, "/api/v1/query", [("query", '"text"'), ("time", end)]), "string")[1] == "text"


def test_errors_are_prometheus_json():
    for method in METHODS:
        for path, params, status, kind in [("query", [("query", "up{")], 400, "bad_data"), ("query_range", [("query", "up"), ("start", 0), ("end", 11002), ("step", 1)], 400, "bad_data"),
                                           ("query", [("query", "http_requests_total * on(handler) http_requests_total")], 422, "execution"),
                                           ("query", [("query", "http_requests_total"), ("timeout", "0.000001")], 503, "timeout")]:
            answer = ask(method, f"/api/v1/{path}", params)
            body = json.loads(answer[2])
            assert (answer[0], body["status"], body["errorType"]) == (status, "error", kind) and body["error"], answer


def test_large_forms_and_heads():
    alternatives = "|".join(f"instance-{i}.example.com:9100" for i in range(3000))
    data = data_of("POST", "/api/v1/query", [("query", f'http_requests_total{{instance!~"{alternatives}"}}')])
    assert len(frames(data, "vector")) == 2
    data = data_of("GET", "/api/v1/query", [("query", "1")], headers={"X-Dashboard-Title": "x" * 12000})
    assert frames(data, "scalar")


def test_look_ups():
    now = time.time()
    times = [("start", f"{now - 3600:.3f}"), ("end", f"{now:.3f}")]
    assert "temperature" in strings(data_of("GET", "/api/v1/label/__name__/values", times))
    assert "temperature" in strings(data_of("GET", "/api/v1/label/__name__/values", times + [("limit", 40000)]))
    for method in METHODS:
        assert "place" in strings(data_of(method, "/api/v1/labels"))
        assert strings(data_of(method, "/api/v1/labels", times + [("match[]", "temperature"), ("limit", 40000)])) == ["__name__", "instance", "job", "place"]
        series = data_of(method, "/api/v1/series", times + [("match[]", 'http_requests_total{code=~".+"}'), ("limit", 40000)])
        assert [s["code"] for s in series] == ["200", "500"] and all(s["__name__"] == "http_requests_total" for s in series)
        assert len(data_of(method, "/api/v1/series", times + [("match[]", '{__name__!=""}')])) > 10
        # Variables: metrics(re), label_values(metric, label), query_result(query).
        vector = frames(data_of(method, "/api/v1/query", [("query", "topk(1, http_requests_total)"), ("time", now)]), "vector")
        assert len(vector) == 1
    assert strings(data_of("GET", "/api/v1/label/code/values", times + [("match[]", "http_requests_total")])) == ["200", "500"]
    assert strings(data_of("GET", "/api/v1/label/code/values", times + [("match[]", 'http_requests_total{code!="500"}'), ("match[]", "nothing"), ("limit", 1)])) == ["200"]
    assert strings(data_of("GET", "/api/v1/label/U__http_2e_status/values", times)) == []


def test_limits_warn():
    status, _, body = ask("GET", "/api/v1/label/__name__/values", [("limit", 1)])
    assert status == 200 and json.loads(body)["warnings"] == ["results truncated due to limit"], body[:300]


def test_metadata():
    for params in ([("limit", 40000)], [("metric", "temperature")], []):
        families = data_of("GET", "/api/v1/metadata", params)
        for name, entries in families.items():
            assert entries and set(entries[0]) == {"type", "help", "unit"}, (name, entries)
        assert families["temperature"][0]["type"] == "gauge"
    assert data_of("GET", "/api/v1/metadata", [("metric", "nosuch")]) == {}


def test_exemplars():
    # As a program with tracing pushes them.
    now = int(time.time() * 1000)
    labels = {"__name__": "latency_seconds_bucket", "le": "0.1", "job": "pushed"}
    status, body = remote.write(BASE, remote.series(labels, remote.sample(now, 3.0), remote.exemplar({"trace_id": "abc"}, now, 0.07)))
    assert status in (200, 204), (status, body)

    def exemplars():
        now = time.time()
        return data_of("POST", "/api/v1/query_exemplars", [("query", "histogram_quantile(0.9, rate(latency_seconds_bucket[1m]))"), ("start", now - 300), ("end", now + 5)])
    for series in wait_for("exemplars", exemplars):
        assert set(series) == {"seriesLabels", "exemplars"} and series["seriesLabels"]["__name__"] == "latency_seconds_bucket"
        for exemplar in series["exemplars"]:
            # One more key, and Grafana shows an error.
            assert set(exemplar) == {"labels", "value", "timestamp"}, exemplar
            check_text_number(exemplar["value"])
            assert isinstance(exemplar["timestamp"], (int, float)) and "trace_id" in exemplar["labels"]


def test_annotations():
    end = time.time()
    series = frames(data_of("POST", "/api/v1/query_range", [("query", 'ALERTS{alertname="Cold", alertstate="firing"}'), ("start", end - 30), ("end", end), ("step", "1")]), "matrix")
    assert series[0]["metric"]["severity"] == "page" and series[0]["values"][-1][1] == "1"


def test_alerting_pages():
    both = [(name + suffix, value) for name, value in (("rule_group", "first"), ("rule_name", "Cold")) for suffix in ("[]", "")]
    groups = data_of("GET", "/api/v1/rules", both + [("exclude_alerts", "true")])["groups"]
    assert [(g["name"], [r["name"] for r in g["rules"]]) for g in groups] == [("first", ["Cold"])]
    assert not groups[0]["rules"][0]["alerts"]
    assert set(groups[0]) >= {"name", "file", "interval", "rules"}
    page = data_of("GET", "/api/v1/rules", [("group_limit", "1")])
    assert [g["name"] for g in page["groups"]] == ["first"]
    page = data_of("GET", "/api/v1/rules", [("group_limit", "1"), ("group_next_token", page["groupNextToken"])])
    assert [g["name"] for g in page["groups"]] == ["second"] and "groupNextToken" not in page
    alerts = data_of("GET", "/api/v1/alerts")["alerts"]
    assert len(alerts) == 1 and set(alerts[0]) == {"labels", "annotations", "state", "activeAt", "value"}, alerts
    assert (alerts[0]["state"], alerts[0]["value"], alerts[0]["annotations"]) == ("firing", "-3.5e+00", {"summary": "it is -3.5"})


def test_recorded_series_are_taken_on_both_paths():
    # An empty write request: an empty snappy block. 415 or 400 would say that nobody listens.
    for path in ("/api/v1/write", "/api/v1/push"):
        request = urllib.request.Request(f"{BASE}{path}", data=b"\0", method="POST",
                                         headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
                                                  "User-Agent": "grafana-recording-rule"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
            assert response.status in (200, 204), (path, response.status)


def test_editor_of_the_prometheus_ui():
    form_type = "application/x-www-form-urlencoded;charset=UTF-8"
    stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".123Z"  # noqa: E731
    for times in ([], [("start", stamp(time.time() - 43200)), ("end", stamp(time.time()))]):
        for method in METHODS:
            assert "code" in strings(data_of(method, "/api/v1/labels", times, form_type=form_type))
            assert strings(data_of(method, "/api/v1/labels", times + [("match[]", "temperature")], form_type=form_type)) == ["__name__", "instance", "job", "place"]
            assert len(data_of(method, "/api/v1/series", times + [("match[]", 'http_requests_total{code="200"}')], form_type=form_type)) == 1
        assert strings(data_of("GET", "/api/v1/label/code/values", times)) == ["200", "500"]
        assert strings(data_of("GET", "/api/v1/label/place/values", times + [("match[]", "temperature")])) == ["<here>"]
        assert "up" in strings(data_of("GET", "/api/v1/label/__name__/values", times))
    assert data_of("GET", "/api/v1/metadata")["latency_seconds"] == [{"type": "histogram", "help": "Latency.", "unit": ""}]
    flags = data_of("GET", "/api/v1/status/flags")
    assert all(isinstance(value, str) for value in flags.values()) and "query.lookback-delta" in flags


def test_pages_and_stream():
    for path in ("/graph?g0.expr=up&g0.tab=1", "/query", "/alerts", "/targets"):
        status, head, body = ask("GET", path)
        assert status == 200 and head["Content-Type"] == "text/html; charset=utf-8" and "<script>" in body
    assert "api/v1" in ask("GET", "/")[2]
    # A browser is told at once that it is connected, and of a reload that fails.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{BASE}/api/v1/notifications/live", timeout=20) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        good = open(STACK.path("prometheus.yml")).read()
        STACK.write("prometheus.yml", "nonsense: 1\n")
        assert ask("POST", "/-/reload")[0] == 500
        event = json.loads(stream.readline().decode().removeprefix("data: "))
        assert event["active"] and event["text"] == "Configuration reload has failed."
        assert [n["text"] for n in data_of("GET", "/api/v1/notifications")] == [event["text"]]
        STACK.write("prometheus.yml", good)
        assert ask("POST", "/-/reload")[0] == 200
        stream.readline()
        assert not json.loads(stream.readline().decode().removeprefix("data: "))["active"]
    assert data_of("GET", "/api/v1/notifications") == []


CASES = [test_health_check, test_start_of_the_data_source, test_panels, test_errors_are_prometheus_json, test_large_forms_and_heads, test_look_ups, test_limits_warn,
         test_metadata, test_exemplars, test_annotations, test_alerting_pages, test_recorded_series_are_taken_on_both_paths, test_editor_of_the_prometheus_ui,
         test_pages_and_stream]


def main():
    global BASE, STACK
    if os.environ.get("REPLAY_URL"):
        BASE = os.environ["REPLAY_URL"]
        run_cases(CASES)
        return
    count = [0]

    def answer(handler):
        count[0] += 1
        body = (PAGE % ((count[0] * 7,) + (count[0],) * 3)).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    flags = {"storage": ["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"]}
    with Server(answer) as target, Stack(CONFIG % target.address, flags=flags) as STACK:
        STACK.write("rules.yml", RULES)
        STACK.start("storage")
        STACK.start("scraper", "query")
        BASE = STACK.url("query")
        wait_for("an alert of scraped data", lambda: STACK.value('ALERTS{alertname="Cold"}') == 1)
        wait_for("a second scrape", lambda: (STACK.value('count_over_time(temperature[1m])') or 0) >= 4)
        run_cases(CASES)


if __name__ == "__main__":
    sys.exit(main())
