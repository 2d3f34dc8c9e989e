#!/usr/bin/env python3
"""Our write-ahead log under the real Prometheus: the same answers to the same queries, after a clean stop and after kill -9."""

import json
import os
import random
import shutil
import signal
import time

from comparing import ask, same
from harness import Process, Server, Stack, fetch, free_port, peer, run_cases, wait_for

# By kind; {r} is a range that does not end on a sample. 2.42 counts a sample exactly at the start of a range, which 3.x and we do not.
INSTANT = {
    "selectors": [
        "up", "{job='app'}", "app_requests_total", "app_requests_total{path='/a'}", "app_requests_total{path!='/a'}",
        "app_requests_total{path=~'/[ab]'}", "app_requests_total{path!~'/a|/b'}", "{__name__=~'app_.*_total',path='/a'}",
        "app_requests_total{nope=''}", "app_temperature{room=~'.+'}", "app_temperature{room=''}",
        "app_requests_total offset 7s", "app_temperature offset 3s", "app_gone", "app_comes_and_goes",
    ],
    "range functions": [
        "rate(app_requests_total[{r}])", "irate(app_requests_total[{r}])", "increase(app_requests_total[{r}])",
        "delta(app_temperature[{r}])", "avg_over_time(app_temperature[{r}])", "min_over_time(app_temperature[{r}])",
        "max_over_time(app_temperature[{r}])", "sum_over_time(app_temperature[{r}])", "count_over_time(app_temperature[{r}])",
        "last_over_time(app_temperature[{r}])", "stddev_over_time(app_temperature[{r}])",
        "quantile_over_time(0.9, app_temperature[{r}])", "present_over_time(app_gone[{r}])", "changes(app_temperature[{r}])",
        "resets(app_resets_total[{r}])", "rate(app_resets_total[{r}])", "increase(app_resets_total[{r}] offset 4s)",
        "deriv(app_temperature[{r}])", "predict_linear(app_temperature[{r}], 60)", "app_requests_total{path='/a'}[{r}]",
    ],
    "aggregations": [
        "sum(app_requests_total)", "sum by (path) (app_requests_total)", "sum without (instance) (app_requests_total)",
        "avg by (path) (rate(app_requests_total[{r}]))", "min by (room) (app_temperature)", "max(app_temperature)",
        "count(up)", "count by (job) (up == 1)", "topk(2, app_requests_total)", "bottomk(1, app_temperature)",
        "stddev(app_temperature)", "quantile(0.5, app_temperature)", "group by (job) (up)",
        "count_values('v', up)", "sum(count by (path) (app_requests_total))",
    ],
    "operators": [
        "app_requests_total * 2", "app_requests_total / on(path, instance) app_requests_limit",
        "app_requests_total / ignoring(limit, job) group_left app_requests_limit", "app_temperature > 20",
        "app_temperature >= bool 20", "app_requests_total{path='/a'} or app_temperature", "up and on(instance) app_temperature",
        "up unless on(instance) app_temperature", "-app_temperature", "app_temperature % 7", "2 ^ 3 + 1", "app_temperature == app_temperature",
        "app_requests_total * on(instance) group_left(room) app_temperature{room='hall'}",
    ],
    "histograms": [
        "histogram_quantile(0.5, rate(app_seconds_bucket[{r}]))", "histogram_quantile(0.99, sum by (le) (rate(app_seconds_bucket[{r}])))",
        "histogram_quantile(0.9, sum by (le, path) (increase(app_seconds_bucket[{r}])))", "rate(app_seconds_sum[{r}]) / rate(app_seconds_count[{r}])",
    ],
    "labels and time": [
        "label_replace(app_requests_total, 'short', '$1', 'path', '/(.*)')", "label_join(app_temperature, 'j', '-', 'room', 'job')",
        "absent(nope)", "absent(up)", "absent(nope{a='b'})", "time()", "vector(1)", "scalar(app_temperature{room='hall'})", "timestamp(up)",
        "floor(app_temperature)", "clamp_max(app_temperature, 21)", "round(app_temperature, 0.5)", "sort(app_temperature)",
        "sort_desc(app_requests_total)", "abs(app_temperature - 20)", "hour(vector(0))", "sgn(app_temperature - 20)", "sqrt(app_temperature)",
    ],
}
RANGE = [
    "up", "app_requests_total", "rate(app_requests_total[{r}])", "sum by (path) (rate(app_requests_total[{r}]))", "app_comes_and_goes",
    "app_gone", "histogram_quantile(0.9, sum by (le) (rate(app_seconds_bucket[{r}])))", "app_temperature > 20",
    "max_over_time(app_temperature[{r}])", "app_requests_total / on(path, instance) app_requests_limit", "topk(1, app_temperature)", "absent(app_gone)",
]


class App:
    """A target with counters, gauges, resets, a histogram, and series that go and come back."""

    def __init__(self):
        self.rng = random.Random(1)
        self.n = 0
        self.requests = {"/a": 0, "/b": 0, "/c": 0}
        self.buckets = {path: [0] * 5 for path in self.requests}
        self.server = Server(self.answer)
        self.address = self.server.address

    def answer(self, request):
        self.n += 1
        lines = []
        for path in self.requests:
            self.requests[path] += self.rng.randrange(20)
            lines.append(f'app_requests_total{{path="{path}"}} {self.requests[path]}')
            lines.append(f'app_requests_limit{{path="{path}",limit="x"}} {1000}')
            for i in range(5):
                self.buckets[path][i] += self.rng.randrange(3)
            total = 0
            for bound, count in zip(("0.1", "0.5", "1", "5", "+Inf"), self.buckets[path]):
                total += count
                lines.append(f'app_seconds_bucket{{path="{path}",le="{bound}"}} {total}')
            lines.append(f'app_seconds_sum{{path="{path}"}} {total * 0.3:.3f}')
            lines.append(f'app_seconds_count{{path="{path}"}} {total}')
        for room in ("hall", "attic", ""):
            lines.append(f'app_temperature{{room="{room}"}} {20 + self.rng.uniform(-3, 3):.3f}')
        lines.append(f"app_resets_total {self.n % 9}")
        if self.n < 15:
            lines.append("app_gone 1")
        if self.n % 10 < 5:
            lines.append(f"app_comes_and_goes {self.n}")
        lines.append("app_nan NaN\napp_inf +Inf")
        body = ("\n".join(lines) + "\n").encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def compare(ours, theirs, end):
    """Asks both and returns (asked, differences)."""
    asked, differences = 0, []
    width = "13123ms"

    def check(path, **params):
        nonlocal asked
        asked += 1
        a, b = ask(ours, path, **params), ask(theirs, path, **params)
        if a[0] != b[0] or not same(a[1], b[1]):
            differences.append(f"{path} {params}\n  ours   {json.dumps(a)[:600]}\n  theirs {json.dumps(b)[:600]}")

    for queries in INSTANT.values():
        for query in queries:
            check("query", query=query.replace("{r}", width), time=f"{end:.3f}")
    for query in RANGE:
        check("query_range", query=query.replace("{r}", width), start=f"{end - 20:.3f}", end=f"{end:.3f}", step="1.7")
    start, stop = f"{end - 3600:.3f}", f"{end + 60:.3f}"
    check("labels", start=start, end=stop)
    check("label/path/values", start=start, end=stop)
    check("label/__name__/values", start=start, end=stop, **{"match[]": "{job='app'}"})
    check("series", start=start, end=stop, **{"match[]": "app_requests_total"})
    for bad in ("up{", "sum(", "rate(up)", "up[5m", "foo bar", "1 +", "label_replace(up)", "nofunc(up)", "up offset", "{}"):
        asked += 1
        a, b = ask(ours, "query", query=bad), ask(theirs, "query", query=bad)
        if (a[0], a[1].get("errorType")) != (b[0], b[1].get("errorType")):
            differences.append(f"{bad}: ours {a} theirs {b}")
    return asked, differences


def interop(sig):
    prometheus = peer("prometheus")
    if prometheus is None:
        return
    app = App()
    with Stack(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n"
               f"  - {{job_name: app, static_configs: [{{targets: ['{app.address}']}}]}}\n"
               f"  - {{job_name: down, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n") as stack:
        stack.start("storage", "scraper", "query")
        wait_for("half a minute of samples", lambda: app.n >= 32, 60)
        wait_for("the samples", lambda: (stack.value("app_requests_total{path='/a'}") or 0) > 0)
        stack.kill("scraper", signal.SIGTERM)
        newest = float(stack.query("timestamp(app_resets_total)")[0]["value"][1])
        stack.kill("storage", sig)
        copy = stack.path("prometheus-data")
        os.makedirs(copy)
        shutil.copytree(os.path.join(stack.path("storage"), "wal"), os.path.join(copy, "wal"))
        stack.start("storage")
        port = free_port()
        empty = stack.write("empty.yml", "")
        log = stack.path("prometheus.log")
        theirs = Process([prometheus, f"--config.file={empty}", f"--storage.tsdb.path={copy}", "--storage.tsdb.retention.time=10y",
                          f"--web.listen-address=127.0.0.1:{port}"], log)
        try:
            wait_for("Prometheus", lambda: fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60)
            with open(log, errors="replace") as f:
                text = f.read()
            for word in ("corrupt", "repair", "Unknown series references", "unknown series references", "err="):
                assert word not in text, [line for line in text.splitlines() if word in line]
            # 0.137 s behind the newest scrape: on no sample, and no range starts on one.
            asked, differences = compare(stack.url("query"), f"http://127.0.0.1:{port}", newest + 0.137)
            print(f"     {asked} queries of {len(INSTANT) + 3} kinds, {len(differences)} differ")
            assert asked >= 60 and not differences, "\n".join(differences[:10])
        finally:
            theirs.kill(signal.SIGTERM)
    app.server.close()


def after_a_clean_stop():
    """after a clean stop Prometheus 2.42 opens our log and answers as we do"""
    interop(signal.SIGTERM)


def after_a_kill():
    """after kill -9 Prometheus 2.42 opens our log and answers as we do"""
    interop(signal.SIGKILL)


if __name__ == "__main__":
    run_cases([after_a_clean_stop, after_a_kill])
