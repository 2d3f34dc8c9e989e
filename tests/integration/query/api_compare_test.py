#!/usr/bin/env python3
"""The HTTP API against the real Prometheus: both serve the same data folder (a copy), get the same requests, and must say the same.

Compared are the HTTP status and the JSON, parsed but with the order of keys kept. Where 2.42 says something else than the 3.x line whose API
we serve, the request is in DIFFERENT with our answer and the reason."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, Stack, bin_dir, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

CONFIG = """
global:
  evaluation_interval: 1s
  external_labels: {region: eu, replica: a}
rule_files: [rules.yml]
scrape_configs:
  - job_name: dead
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{targets: ["127.0.0.1:1"], labels: {rack: "<7>"}}]
    relabel_configs: [{source_labels: [__address__], target_label: relabelled}]
  - job_name: dropped
    static_configs: [{targets: ["127.0.0.1:2"]}]
    relabel_configs: [{action: drop}]
"""

RULES = """
groups:
  - name: one
    rules:
      - record: recorded:metric_1
        expr: sum by (instance) (metric_1)
        labels: {team: core}
      - alert: Fires
        expr: metric_2{i="2"} > 0
        labels: {severity: page, doubled: "{{ $labels.instance }}/{{ $value }}"}
        annotations: {summary: "{{ $labels.i }} is {{ $value | humanize }} in {{ $externalLabels.region }}"}
      - alert: Waits
        expr: metric_2{i="6"} > 0
        for: 10h
        keep_firing_for: 5m
        labels: {severity: info}
        annotations: {broken: "{{ template }}"}
  - name: two
    interval: 3s
    limit: 7
    rules:
      - alert: Never
        expr: metric_2 < 0
        labels: {severity: info}
      - record: broken
        expr: metric_0 / on(instance) metric_1
        labels: {team: core}
"""
# Templates that do not parse are refused by both.
RULES = RULES.replace('"{{ template }}"', '"{{ $labels.i.j }}"')


def requests(end):
    """(method, path, parameters as a list of pairs) of everything that both answer alike."""
    start = end - 3600
    for query in [
        "1", "-0.5e-9", "1e21", "NaN", "-Inf", "time()", '"a <b> & \\"c\\""', "metric_2", 'metric_3{i=~"3|7|11"}', "sum(metric_1)",
        "sort_desc(metric_1)", "topk(3, metric_1)", "count by (instance) (metric_0)", "rate(metric_0[5m])", "metric_1[2m]", "nothing",
        "metric_0 + metric_0", "vector(1)", "absent(nothing)", "label_replace(metric_2{i='2'}, 'x', '$1<>', 'instance', '(.*)')",
        "scalar(sum(metric_1))", "metric_1 > bool 3", "histogram_quantile(0.9, metric_1)", "quantile(2, metric_1)",
        "{__name__=~'metric_.*', i='5'}", "max_over_time(metric_1[10m:1m])", "metric_1 offset 30m", f"metric_1 @ {end - 100.5:.3f}",
    ]:
        yield "GET", "query", [("query", query), ("time", end)]
        yield "POST", "query", [("query", query), ("time", f"{end - 17.123:.3f}")]
    for query in ["1", "time()", "metric_2{instance='host-1'}", "sum by (i) (rate(metric_0{i=~'0|8|12|16'}[5m]))", "metric_1 > 50", "nothing", "metric_3{i='3'}"]:
        yield "GET", "query_range", [("query", query), ("start", start), ("end", end), ("step", "60")]
        yield "POST", "query_range", [("query", query), ("start", f"{start + 0.5:.3f}"), ("end", end), ("step", "1m30s")]
        yield "POST", "query_range", [("query", query), ("start", end), ("end", end), ("step", "0.5")]
    # Bad requests.
    for pairs in [
        [], [("query", "")], [("query", "metric_1{")], [("query", "sum(")], [("query", "rate(metric_1)")], [("query", "foo{bar=~'('}")],
        [("query", "up"), ("time", "yesterday")], [("query", "up"), ("timeout", "soon")], [("query", "up"), ("timeout", "-")],
        [("query", "metric_1"), ("time", end), ("timeout", "1y")], [("query", "1 +")], [("query", "{}")], [("query", "metric_0 / on(instance) metric_1"), ("time", end)],
        [("query", "metric_0 * on(instance) group_left() metric_1"), ("time", end)], [("query", "nosuchfunction(1)")], [("query", "1"), ("time", "1e400")],
        [("query", "label_replace(metric_1, 'instance', 'x', 'i', '.*')"), ("time", end)],
        [("query", "1"), ("time", "2015-07-01T20:10:51.781Z")], [("query", "1"), ("time", "2015-07-01T20:10:51.781+02:00")],
        [("query", "1"), ("time", "2015-07-01 20:10:51")], [("query", "1"), ("time", "1435781451.7816")],
        [("query", "1"), ("time", "-5.5")], [("query", "1"), ("time", "2015-02-30T00:00:00Z")],
    ]:
        for method in ("GET", "POST"):
            yield method, "query", pairs
    good = {"query": "metric_1", "start": str(start), "end": str(end), "step": "60"}
    for change in [
        {"start": None}, {"end": None}, {"step": None}, {"start": "x"}, {"end": "x"}, {"step": "x"}, {"step": "0"}, {"step": "-1"}, {"start": str(end + 1)},
        {"step": "0.3"}, {"query": "metric_1[5m"}, {"query": None}, {"query": "metric_1[5m]"}, {"query": "'a'"}, {"step": "1e30"}, {"timeout": "x"},
        {"query": "metric_0 / on(instance) metric_1"},
    ]:
        pairs = [(k, v) for k, v in {**good, **change}.items() if v is not None]
        yield "GET", "query_range", pairs
        yield "POST", "query_range", pairs
    match = "match[]"
    for pairs in [
        [], [(match, "metric_0"), ("start", start), ("end", end)], [(match, "metric_1")], [(match, "metric_1"), (match, "nothing")], [(match, "nothing")], [(match, "{")],
        [(match, "{}")], [(match, "{i=~'.*'}")], [("start", "x")], [("end", "x")], [("start", end + 7200)],
    ]:
        yield "GET", "labels", pairs
        yield "POST", "labels", pairs
        for name in ("__name__", "instance", "i", "nosuch"):
            yield "GET", f"label/{name}/values", pairs
    for pairs in [
        [], [(match, "metric_1{instance='host-1'}")], [(match, "metric_1{i='1'}"), (match, "{i='2'}"), (match, "{i='2'}")], [(match, "nothing")], [(match, "up[5m]")],
        [(match, "{}")], [(match, "")], [(match, "metric_1"), ("start", "x")], [(match, "metric_1"), ("start", end + 7200), ("end", end + 7300)],
    ]:
        yield "GET", "series", pairs
        yield "POST", "series", pairs
    for query in ["sum(metric_1)by(a)", "1", "(", "a + b * on(x) group_left(y) c{d='e',f!~'g'} offset 5m", "sum by (a,b) (rate(abcdefghijklmnopqrstuvwxyz[5m])) / ignoring(c) "
                  "group_right(d) max without(e) (zyxwvutsrqponmlkjihgfedcba{label='value',other='thing'})", ""]:
        yield "GET", "format_query", [("query", query)]
        yield "POST", "format_query", [("query", query)]
    for pairs in [[("query", "metric_1"), ("start", start), ("end", end)], [("query", "test"), ("start", "1795161776275"), ("end", "1795161776276")],
                  [("query", "("), ("start", start), ("end", end)], [("query", "metric_1"), ("start", end), ("end", start)], [("query", "metric_1"), ("start", "x"), ("end", end)]]:
        yield "POST", "query_exemplars", pairs
    for path, pairs in [("metadata", [("limit", "x")]), ("metadata", []), ("metadata", [("metric", "nosuch")]), ("targets/metadata", [("limit", "x")]),
                        ("rules", [("type", "x")])]:
        yield "GET", path, pairs


# Where 2.42 differs from what we serve: our status and JSON. `data` may be a function of the JSON.
DIFFERENT = [
    # A limit came with 2.5x.
    ("GET", "labels", [("limit", "2"), ("match[]", "metric_0")], 200, {"status": "success", "data": ["__name__", "i"], "warnings": ["results truncated due to limit"]}),
    ("GET", "labels", [("limit", "-2")], 400, {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "limit": limit must be non-negative'}),
    ("GET", "labels", [("limit", "x")], 400,
     {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'}),
    ("GET", "query", [("query", "1"), ("lookback_delta", "x")], 400,
     {"status": "error", "errorType": "bad_data", "error": 'error parsing lookback delta duration: cannot parse "x" to a valid duration'}),
    # UTF-8 names, written into a path.
    ("GET", "label/U__utf8/values", [], 200, {"status": "success", "data": ['zwölf "Boxer"\\']}),
    ("GET", "label/bad-name/values", [], 200, {"status": "success", "data": []}),
    ("GET", "rules", [("exclude_alerts", "x")], 400, {"status": "error", "errorType": "bad_data",
     "error": 'invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "x": invalid syntax'}),
    ("GET", "rules", [("group_limit", "0")], 400,
     {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "group_limit": group_limit needs to be greater than 0'}),
    # Filters came later, too.
    ("GET", "rules", [("file[]", "nosuch")], 200, {"status": "success", "data": {"groups": []}}),
    ("GET", "rules", [("rule_group[]", "two"), ("rule_name[]", "Fires")], 200, {"status": "success", "data": {"groups": []}}),
    ("GET", "rules", [("rule_name[]", "nosuch")], 200, {"status": "success", "data": {"groups": []}}),
]


def parse(body):
    """JSON with the order of keys visible: objects are lists of pairs."""
    return json.loads(body, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])


def comparable(answer):
    """An answer less what 2.42 is known to say otherwise."""
    status, body = answer
    if status == 204:
        return status, None
    members = []
    for key, value in parse(body):
        if key == "error":
            # The 3.x line names the parameter in more places, and shows a pattern as it was written.
            value = re.sub(r'^invalid parameter "[^"]*": ', "", value)
            value = re.sub(r"`\^\(\?:(.*)\)\$`", r"`\1`", value)
            # The two series that are named come in the order of the store.
            value = re.sub(r"operation: \[.*\];", "operation: [];", value)
        if key in ("warnings", "infos"):
            # 2.42 has no annotations.
            value = [text for text in value if not text.startswith("PromQL")]
            if not value:
                continue
        members.append([key, value])
    return status, rounded(by_series(members))


def first_difference(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return next((first_difference(x, y) for x, y in zip(a, b) if x != y), None)
    return f"{str(a)[:300]} / {str(b)[:300]}"


def rounded(value):
    """Sums are compensated in the 3.x line, so the last digits differ."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"-?[0-9.]+(e[+-][0-9]+)?", value):
        return f"{float(value):.12g}"
    return value


def by_series(value):
    """Lists of series come in the order of a store where nobody sorts them; sorted here for both."""
    if isinstance(value, list):
        items = [by_series(item) for item in value]
        if items and all(isinstance(item, list) and item and isinstance(item[0], list) for item in items):
            return sorted(items, key=json.dumps)
        return items
    return value


# What names a moment, and so is never the same twice.
MOMENTS = re.compile(r'("(?:evaluationTime|lastEvaluation|activeAt)":)("[^"]*"|[0-9.e+-]+)')


class Pair:
    """Ours and theirs on the same data."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="narthex-api-")
        self.stack = Stack(CONFIG, flags={"query": [f"--web.external-url=http://example.com/"]})
        self.stack.write("rules.yml", RULES)
        data = self.stack.path("storage")
        tool = os.path.join(bin_dir(), "storage_interop_tool")
        run = subprocess.run([tool, "write", data, "90"], capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr[-2000:]
        shutil.copytree(data, os.path.join(self.dir, "data"))
        for name, text in (("prometheus.yml", CONFIG), ("rules.yml", RULES)):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text)
        self.port = free_port()
        self.theirs = Process([peer("prometheus"), f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                               f"--web.listen-address=127.0.0.1:{self.port}", "--web.external-url=http://example.com/",
                               "--web.console.templates=/none", "--web.console.libraries=/none"], f"{self.dir}/prometheus.log")
        self.stack.start("storage")
        self.stack.start("scraper", "query")
        wait_for("prometheus to be ready", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready", timeout=2)[0] == 200)
        # Both have scraped, and evaluated every rule, before anything is compared.
        for base in (self.stack.url("query"), f"http://127.0.0.1:{self.port}"):
            wait_for("a scrape", lambda: '"down"' in fetch(f"{base}/api/v1/targets")[1])
            wait_for("rules", lambda: not re.search('"unknown"|"0001-01-01', fetch(f"{base}/api/v1/rules")[1]))

    def both(self, method, path, pairs):
        form = urllib.parse.urlencode(pairs)
        for base in (self.stack.url("query"), f"http://127.0.0.1:{self.port}"):
            url = f"{base}/api/v1/{path}"
            if method == "GET":
                yield fetch(f"{url}?{form}" if form else url, timeout=60)
            else:
                yield fetch(url, data=form, method="POST", headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=60)

    def close(self):
        self.theirs.kill(signal.SIGTERM)
        for name in ("query", "scraper", "storage"):
            self.stack.kill(name, signal.SIGTERM)
        shutil.rmtree(self.dir)
        shutil.rmtree(self.stack.dir)


PAIR = None


def end_time():
    """Near the end of what the tool has written, and off the samples: the 3.x line leaves out one at the left end of a range."""
    result = PAIR.stack.query("max(timestamp(metric_1))")
    return int(float(result[0]["value"][1])) // 60 * 60 - 60 + 7.377


def test_same_answers():
    compared, wrong = 0, []
    for method, path, pairs in requests(end_time()):
        ours, theirs = PAIR.both(method, path, pairs)
        compared += 1
        if comparable(ours) != comparable(theirs):
            wrong.append(f"{method} {path} {pairs}\n  {first_difference(comparable(ours), comparable(theirs))}\n  ours   {ours[0]} {ours[1][:600]}\n  theirs {theirs[0]} {theirs[1][:600]}")
    assert not wrong, f"{len(wrong)} of {compared} answers differ:\n" + "\n".join(wrong)
    print(f"{compared} answers are the same")


def test_known_differences():
    for method, path, pairs, status, answer in DIFFERENT:
        ours, _ = PAIR.both(method, path, pairs)
        assert (ours[0], json.loads(ours[1])) == (status, answer), f"{path} {pairs}: {ours}"


def test_rules_and_alerts():
    for path, pairs in [("rules", []), ("rules", [("type", "alert")]), ("rules", [("type", "record")]), ("alerts", []),]:
        ours, theirs = (
            (status, MOMENTS.sub(r"\g<1>0", body).replace(PAIR.stack.dir, "DIR").replace(PAIR.dir, "DIR"))
            for status, body in PAIR.both("GET", path, pairs))
        assert ours[0] == theirs[0] == 200
        ours, theirs = (re.sub(r"operation: \[.*?\];", "operation: [];", answer[1]) for answer in (ours, theirs))
        assert by_series(parse(ours)) == by_series(parse(theirs)), f"{path} {pairs}\n  ours   {ours}\n  theirs {theirs}"


def test_targets():
    # Ours has the counts and the pools of dropped targets, which 2.42 lacks.
    for path, pairs in [("targets", []), ("targets", [("state", "active")]), ("targets", [("state", "dropped")]), ("targets", [("state", "x")]),
                        ("targets/metadata", []), ("metadata", [])]:
        ours, theirs = PAIR.both("GET", path, pairs)
        assert ours[0] == theirs[0] or path == "targets/metadata", (ours, theirs)
        if path == "targets/metadata":
            # The 3.x line: nothing found is 404.
            assert ours[0] == 404 and json.loads(ours[1])["error"] == "specified metadata not found", ours
            continue
        ours, theirs = (json.loads(answer[1])["data"] for answer in (ours, theirs))
        if path == "targets":
            assert ours.pop("droppedTargetCounts") in (None, {"dead": 0, "dropped": 1}, {"dropped": 1})
            for target in ours["droppedTargets"]:
                assert target.pop("scrapePool") == "dropped"
            for target in ours["activeTargets"] + theirs["activeTargets"]:
                for moment in ("lastScrape", "lastScrapeDuration"):
                    target.pop(moment)
                # Theirs names itself instead of loopback.
                target.pop("globalUrl")
                # Theirs puts `Get "url": ` before the cause.
                target["lastError"] = target["lastError"].rpartition('": ')[2]
        assert ours == theirs, f"{path} {pairs}\n  ours   {ours}\n  theirs {theirs}"


def test_promtool_is_a_client():
    promtool, url, end = peer("promtool"), PAIR.stack.url("query"), end_time()
    other = f"http://127.0.0.1:{PAIR.port}"
    for arguments in [["instant", "--time", str(end), "URL", "sum by (instance) (metric_1)"], ["series", "--match", "metric_1{instance='host-1'}", "URL"],
                      ["range", "--start", str(end - 600), "--end", str(end), "--step", "60s", "URL", "sum(rate(metric_0[5m]))"],
                      ["labels", "URL", "instance"], ["labels", "--match", "metric_1", "URL", "i"], ["instant", "URL", "sum("],
                      ["series", "--match", "metric_1{instance='host-1'}", "--start", str(end - 600), "--end", str(end), "URL"],
                      ["range", "--start", str(end - 60), "--end", str(end), "URL", "metric_1"], ["instant", "--time", str(end), "URL", "1"]]:
        ours, theirs = (subprocess.run([promtool, "query", *[base if a == "URL" else a for a in arguments]], capture_output=True, text=True, timeout=60)
                                        for base in (url, other))
        assert ours.returncode == theirs.returncode, (arguments, ours, theirs)
        ours_words, theirs_words = ([[rounded(word) for word in line.split()] for line in sorted(run.stdout.splitlines())] for run in (ours, theirs))
        assert ours_words == theirs_words, (arguments, ours.stdout, theirs.stdout)
        assert ours.stderr == theirs.stderr, (arguments, ours.stderr, theirs.stderr)


# Beside the JSON API: (method, path, headers of the answer that must be the same).
PLAIN = [
    ("GET", "/-/healthy", ["Content-Type"]), ("HEAD", "/-/healthy", []), ("GET", "/-/ready", ["Content-Type"]), ("HEAD", "/-/ready", []),
    ("GET", "/", []), ("GET", "/nosuch", ["Content-Type", "X-Content-Type-Options"]), ("GET", "/api/v1/nosuch", ["Content-Type", "X-Content-Type-Options"]),
    ("POST", "/api/v1/rules", ["Content-Type"]), ("DELETE", "/api/v1/query", ["Content-Type"]),
    ("PUT", "/api/v1/labels", ["Content-Type"]), ("GET", "/api/v1/admin/tsdb/snapshot", ["Content-Type"]),
    ("POST", "/api/v1/admin/tsdb/snapshot", ["Content-Type", "Vary", "Access-Control-Allow-Origin"]), ("PUT", "/api/v1/admin/tsdb/delete_series", ["Content-Type"]),
    ("POST", "/api/v1/admin/tsdb/clean_tombstones", ["Content-Type"]), ("POST", "/api/v1/read", ["Content-Type"]),
    ("GET", "//api/v1/labels?limit=1", ["Location"]), ("GET", "/api/v1/./labels", ["Location"]), ("GET", "/federate", ["Content-Type"]),
    ("GET", "/federate?match[]=(", ["Content-Type"]),
    ("OPTIONS", "/api/v1/query", ["Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Expose-Headers"]),
    ("GET", "/api/v1/query?query=1&time=5", ["Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Content-Type"]),
    ("GET", "/api/v1/query?query=(", ["Vary", "Access-Control-Allow-Origin", "Content-Type"]),
    ("GET", "/-/reload", []), ("GET", "/-/quit", []), ("GET", "/version", []), ("GET", "/metrics", []),
]
# Bodies that are our own: names of the program, and where texts of 2.42 are those of a flag long gone.
OWN_BODY = {"/-/healthy", "/-/ready", "/", "/-/reload", "/-/quit", "/version", "/metrics", "/api/v1/read"}


def raw(base, method, path):
    """(status, headers, body), without following redirects."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=30)
    connection.request(method, path, headers={"Origin": "http://elsewhere.example"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, response.headers, body


def test_beside_the_api():
    wrong = []
    for method, path, headers in PLAIN:
        ours, theirs = (raw(base, method, path) for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"))
        same_body = path in OWN_BODY or ours[2].strip() == theirs[2].strip() or theirs[0] in (301, 302)
        if ours[0] != theirs[0] or not same_body or any(ours[1].get(name) != theirs[1].get(name) for name in headers):
            wrong.append(f"{method} {path}\n  ours   {ours[0]} {dict(ours[1])} {ours[2][:200]}\n  theirs {theirs[0]} {dict(theirs[1])} {theirs[2][:200]}")
    assert not wrong, "\n".join(wrong)
    ours, theirs = (json.loads(raw(base, "GET", "/version")[2]) for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"))
    assert set(ours) == set(theirs)


def test_status_pages_have_the_same_members():
    # What the 3.x line has more of is listed; nothing that 2.42 has may be missing.
    more = {"runtimeinfo": {"hostname", "serverTime", "GOMEMLIMIT"}, "buildinfo": set(), "config": set(), "walreplay": set()}
    for page, additional in more.items():
        ours, theirs = (json.loads(answer[1])["data"] for answer in PAIR.both("GET", f"status/{page}", []))
        assert set(ours) - additional == set(theirs), (page, ours, theirs)
        for key in theirs:
            assert type(ours[key]) is type(theirs[key]), (page, key, ours[key], theirs[key])
    flags = json.loads(next(iter(PAIR.both("GET", "status/flags", [])))[1])["data"]
    for name in ("web.listen-address", "web.external-url", "query.timeout", "query.lookback-delta", "query.max-samples", "config.file"):
        assert name in flags, (name, sorted(flags))


def test_metrics_of_the_server_have_upstreams_names():
    """Dashboards and alerts of the mixin count on them; ours may have more handlers, and more of everything else."""
    for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"):
        for path in ("query?query=1", "query?query=(", "labels", "label/i/values", "series?match[]=metric_1", "targets", "rules", "status/buildinfo"):
            raw(base, "GET", f"/api/v1/{path}")
    ours, theirs = (set(re.findall(r'^(prometheus_http_[a-z_]+)\{(?:code="(\d+)",)?handler="([^"]*)"(?:,code="(\d+)")?', raw(base, "GET", "/metrics")[2], re.M))
                    for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"))
    normal = lambda found: {(name, code or last, handler) for name, code, handler, last in found}  # noqa: E731
    asked = {"/api/v1/query", "/api/v1/labels", "/api/v1/label/:name/values", "/api/v1/series", "/api/v1/targets", "/api/v1/rules", "/api/v1/status/buildinfo"}
    missing = {entry for entry in normal(theirs) - normal(ours) if entry[2] in asked}
    assert not missing, missing
    ours, theirs = (set(re.findall(r'^prometheus_http_(?:request_duration_seconds|response_size_bytes)_bucket\{handler="/api/v1/query",le="([^"]*)"', raw(base, "GET", "/metrics")[2], re.M))
                    for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"))
    assert {float(b) for b in ours} == {float(b) for b in theirs}


def test_federation():
    form = urllib.parse.urlencode([("match[]", "metric_2"), ("match[]", '{i=~"1.*"}')])
    ours, theirs = (fetch(f"{base}/federate?{form}") for base in (PAIR.stack.url("query"), f"http://127.0.0.1:{PAIR.port}"))
    assert ours[0] == theirs[0] == 200, (ours, theirs)
    assert len(ours[1].splitlines()) > 50
    assert sorted(ours[1].splitlines()) == sorted(theirs[1].splitlines()), (ours[1][:500], theirs[1][:500])


def test_storage_away():
    PAIR.stack.kill("storage", signal.SIGTERM)
    endpoint = f"127.0.0.1:{PAIR.stack.grpc['storage']}"
    for path in ("query?query=metric_1", "query_range?query=metric_1&start=1&end=2&step=1", "labels", "label/i/values", "series?match[]=metric_1"):
        status, body = fetch(f"{PAIR.stack.url('query')}/api/v1/{path}")
        answer = json.loads(body)
        assert status == 503 and answer["errorType"] == "unavailable" and endpoint in answer["error"], (status, body)
    # What needs no storage answers.
    assert fetch(f"{PAIR.stack.url('query')}/api/v1/query?query=1%2B1")[0] == 200
    PAIR.stack.start("storage")
    assert PAIR.stack.value("count(metric_1)") is not None


def main():
    global PAIR
    if not peer("prometheus") or not peer("promtool"):
        return 77
    PAIR = Pair()
    try:
        run_cases([test_same_answers, test_known_differences, test_rules_and_alerts, test_targets, test_promtool_is_a_client, test_beside_the_api,
                   test_status_pages_have_the_same_members, test_metrics_of_the_server_have_upstreams_names, test_federation,
                   test_storage_away])
    finally:
        PAIR.close()


if __name__ == "__main__":
    sys.exit(main())
