#!/usr/bin/env python3
"""The PromQL engine beside the real Prometheus: the same samples in both, the same answers from both.

Prometheus 2.42 includes the first instant of a range and 3.x does not, so no sample lies on a border: samples have odd milliseconds, queries
end on half seconds."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "integration", "suite"))
from answers import difference  # noqa: E402
from harness import Process, bin_dir, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

START_MS = 1699999200000
INTERVAL_MS = 15000
SCRAPES = 720  # Three hours.

# Each is asked at three moments and over two ranges. (abs around atan2: 2.42 forgets to drop the name there.)

EXPRESSIONS = """
up
{__name__="up"}
up{job="api"}
up{job!="api"}
up{job=~"a.*|node"}
up{instance!~".*:1"}
{__name__=~"node_.+", instance="a:1"}
nonexistent
up offset 7m
up offset -3m
up @ 1700004000.5
up @ start()
up @ end() offset 90s
http_requests_total[47s]
rate(http_requests_total[5m])
rate(http_requests_total[1m])
rate(http_requests_total{code="200"}[7m] offset 11m)
irate(http_requests_total[5m])
increase(http_requests_total[10m])
increase(http_requests_total[1h])
delta(node_load1[10m])
idelta(node_load1[5m])
deriv(node_load1[10m])
predict_linear(node_load1[10m], 3600)
changes(node_load1[5m])
resets(http_requests_total[30m])
changes(flapping[30m])
resets(flapping[30m])
avg_over_time(node_load1[10m])
sum_over_time(node_load1[10m])
min_over_time(node_load1[10m])
max_over_time(node_load1[10m])
count_over_time(node_load1[10m])
last_over_time(node_load1[10m])
present_over_time(node_load1[10m])
stddev_over_time(node_load1[10m])
stdvar_over_time(node_load1[10m])
quantile_over_time(0.9, node_load1[10m])
quantile_over_time(0.25, node_load1[1h])
absent_over_time(nonexistent{job="x"}[5m])
absent_over_time(gappy[1m])
absent(nonexistent{job="api", instance=~"a.*"})
absent(up)
absent(gappy)
sum(up)
sum by (job) (up)
sum without (instance) (rate(http_requests_total[5m]))
sum by (job, code) (rate(http_requests_total[5m]))
avg by (job) (node_load1)
min by (job) (node_load1)
max without (instance, job) (node_load1)
count by (code) (http_requests_total)
count(http_requests_total > 5000000)
group by (job) (up)
stddev by (job) (node_load1)
stdvar(node_load1)
topk(2, node_load1)
bottomk(3, node_load1)
topk by (job) (1, rate(http_requests_total[5m]))
quantile(0.5, node_load1)
quantile by (job) (0.95, rate(http_requests_total[5m]))
count_values("value", up)
count_values by (job) ("code_count", up)
http_requests_total / 1000
1000 - node_load1
node_load1 * 2 ^ 3
node_load1 % 0.7
-node_load1
-node_load1 ^ 2
abs(node_load1 atan2 2)
node_load1 > 1
1 < node_load1
node_load1 >= bool 1
node_load1 == bool node_load1
node_load1 != node_load1 offset 1m
node_load1 + node_load1
node_load1 - on (instance, job) node_load1 offset 5m
node_memory_free_bytes / node_memory_total_bytes
100 * (1 - node_memory_free_bytes / node_memory_total_bytes)
sum by (instance) (rate(http_requests_total{code="500"}[5m])) / sum by (instance) (rate(http_requests_total[5m]))
rate(http_requests_total[5m]) / ignoring (code) group_left sum without (code) (rate(http_requests_total[5m]))
node_memory_free_bytes * on (instance) group_left (version) build_info
build_info * on (instance) group_right (version) node_memory_free_bytes
up and on (instance) node_load1 > 1
up or gappy
gappy or up
up unless on (job) http_requests_total
node_load1 and node_load1 > 1
http_requests_total + http_requests_total offset 1h
http_requests_total / on (instance) http_requests_total
histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))
histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[5m])))
histogram_quantile(0.99, sum by (job, le) (rate(latency_seconds_bucket[10m])))
histogram_quantile(1.5, rate(latency_seconds_bucket[5m]))
sum(rate(latency_seconds_bucket{le="0.25"}[5m])) / sum(rate(latency_seconds_count[5m]))
label_replace(up, "host", "$1", "instance", "(.*):.*")
label_replace(up, "job", "", "job", ".*")
label_replace(up, "instance", "x", "", "")
label_join(up, "id", "-", "job", "instance")
abs(node_load1 - 1)
ceil(node_load1)
floor(node_load1)
round(node_load1, 0.25)
round(-node_load1)
clamp(node_load1, 0.5, 1)
clamp_min(node_load1, 1)
clamp_max(node_load1, 1)
exp(node_load1)
ln(node_load1)
log2(node_load1)
log10(node_load1)
sqrt(node_load1)
sgn(node_load1 - 1)
sin(node_load1)
acosh(node_load1 + 1)
deg(node_load1)
rad(node_load1)
time()
vector(time())
scalar(sum(up))
scalar(up)
vector(scalar(sum(node_load1)))
timestamp(up)
timestamp(up + 0)
minute()
hour(vector(1700000000))
day_of_week(timestamp(up))
day_of_month(vector(time()))
day_of_year()
days_in_month()
month()
year()
pi()
1 + 2 * 3 ^ 2 - 5 % 3
1 > bool 2
sort(node_load1)
sort_desc(node_load1)
max_over_time(rate(http_requests_total[5m])[30m:1m])
avg_over_time(node_load1[1h:7m])
sum_over_time(sum by (job) (up)[10m:])
min_over_time(rate(http_requests_total[2m])[20m:1m] offset 10m)
quantile_over_time(0.5, (node_load1 > 1)[30m:2m])
rate(http_requests_total[5m] @ 1700004000.5)
sum(rate(http_requests_total[5m])) by (job) > 10
sum by (job) (rate(http_requests_total[5m])) * on (job) group_left count by (job) (up)
(sum(node_load1) / count(node_load1)) - avg(node_load1)
sum(rate(http_requests_total[5m] offset 5m)) - sum(rate(http_requests_total[5m]))
node_load1{job="node"} unless (node_load1 > 1)
sum(count_over_time(up[5m])) by (job)
avg(rate(latency_seconds_sum[5m]) / rate(latency_seconds_count[5m])) by (job)
sum({__name__=~"node_memory_.+"}) by (instance)
count({__name__=~".+"}) by (__name__)
rate({__name__=~"latency_seconds_(sum|count)"}[5m])
holt
up{job=
sum(up) by
rate(up)
"a string"
""".strip().splitlines()


def make_series():
    """[(metric, [(ms, value), …])], the same at every run."""
    rng = random.Random(4711)
    series = []

    def times(keep=1.0):
        return [START_MS + i * INTERVAL_MS + 2 * rng.randrange(1, 200) + 1 for i in range(SCRAPES) if rng.random() < keep]

    def gauge(name, labels, keep=1.0, low=0.0, high=2.0):
        value = rng.uniform(low, high)
        samples = []
        for t in times(keep):
            value = min(high, max(low, value + rng.uniform(-0.05, 0.05) * (high - low)))
            samples.append((t, value))
        series.append((name + labels, samples))

    def counter(name, labels, per_scrape, resets=0):
        value = 1e5 * rng.uniform(1, 50)
        at = {rng.randrange(SCRAPES) for _ in range(resets)}
        samples = []
        for i, t in enumerate(times()):
            # Far from zero after a reset, too: near it 2.42 extrapolates otherwise.
            value = 1e5 * rng.uniform(0.5, 0.9) if i in at else value + rng.randrange(per_scrape)
            samples.append((t, float(value)))
        series.append((name + labels, samples))

    for job in ("api", "node"):
        for instance in ("a:1", "b:1", "c:2"):
            labels = f'instance="{instance}",job="{job}"'
            series.append((f"up{{{labels}}}", [(t, float(rng.random() < 0.97)) for t in times()]))
            for code in ("200", "404", "500"):
                counter("http_requests_total", f'{{code="{code}",{labels}}}', {"200": 900, "404": 50, "500": 9}[code], resets=2)
            gauge("node_load1", f"{{{labels}}}")
            if job == "node":
                series.append((f"node_memory_total_bytes{{{labels}}}", [(t, 8e9) for t in times()]))
                gauge("node_memory_free_bytes", f"{{{labels}}}", low=1e8, high=8e9)
                series.append((f'build_info{{{labels},version="1.{len(series)}"}}', [(t, 1.0) for t in times()]))
    for job in ("api", "batch"):
        samples = {t: [0.0] * 5 for t in times()}
        totals = [1e5] * 5
        summed = 1e6
        for t in samples:
            hits = [rng.randrange(20) for _ in totals]
            for bucket in range(5):
                totals[bucket] += sum(hits[: bucket + 1])
            summed += sum(hits) * 0.3
            samples[t] = [*totals, summed]
        for bucket, le in enumerate(("0.05", "0.1", "0.25", "1", "+Inf")):
            series.append((f'latency_seconds_bucket{{job="{job}",le="{le}"}}', [(t, s[bucket]) for t, s in samples.items()]))
        series.append((f'latency_seconds_count{{job="{job}"}}', [(t, s[4]) for t, s in samples.items()]))
        series.append((f'latency_seconds_sum{{job="{job}"}}', [(t, s[5]) for t, s in samples.items()]))
    gauge("gappy", '{job="api"}', keep=0.05)
    series.append(('flapping{job="api"}', [(t, float(rng.randrange(3))) for t in times()]))
    return series


def write_for_tool(series, path):
    with open(path, "w") as f:
        for metric, samples in series:
            f.write(metric + "\t" + " ".join(f"{t}:{v!r}" for t, v in samples) + "\n")


def write_openmetrics(series, path):
    with open(path, "w") as f:
        for metric, samples in series:
            for t, v in samples:
                f.write(f"{metric} {v!r} {t / 1000:.3f}\n")
        f.write("# EOF\n")


def queries():
    """Lines for the tool: each expression at three moments and as two ranges."""
    end = START_MS + SCRAPES * INTERVAL_MS
    for expression in EXPRESSIONS:
        for at in (START_MS + 3600500, START_MS + 6543500, end - 59500):
            yield f"instant\t{at}\t{expression}"
        yield f"range\t{START_MS + 1800500}\t{end - 1799500}\t60000\t{expression}"
        yield f"range\t{START_MS + 5400500}\t{START_MS + 6000500}\t7000\t{expression}"


def ask_prometheus(base, query):
    parts = query.split("\t")
    if parts[0] == "instant":
        url = f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": parts[2], "time": int(parts[1]) / 1000})
    else:
        url = f"{base}/api/v1/query_range?" + urllib.parse.urlencode(
            {"query": parts[4], "start": int(parts[1]) / 1000, "end": int(parts[2]) / 1000, "step": int(parts[3]) / 1000})
    answer = json.loads(fetch(url)[1])
    return answer["data"] if answer["status"] == "success" else {"error": answer["error"]}


def case_the_same_answers_as_prometheus():
    promtool, prometheus = peer("promtool"), peer("prometheus")
    if not promtool or not prometheus:
        return
    work = tempfile.mkdtemp(prefix="narthex-differential-")
    process = None
    try:
        series = make_series()
        write_for_tool(series, os.path.join(work, "series"))
        write_openmetrics(series, os.path.join(work, "openmetrics"))
        with open(os.path.join(work, "prometheus.yml"), "w"):
            pass
        data = os.path.join(work, "data")
        run = subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", os.path.join(work, "openmetrics"), data],
                             capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        port = free_port()
        process = Process([prometheus, f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y",
                           f"--web.listen-address=127.0.0.1:{port}"], os.path.join(work, "log"))
        base = f"http://127.0.0.1:{port}"
        wait_for("Prometheus", lambda: fetch(f"{base}/-/ready")[0] == 200, timeout=60)

        lines = list(queries())
        run = subprocess.run([os.path.join(bin_dir(), "promql_evaluate_tool"), os.path.join(work, "series")], input="\n".join(lines) + "\n",
                             capture_output=True, text=True, timeout=240)
        assert run.returncode == 0, run.stderr
        answers = run.stdout.splitlines()
        assert len(answers) == len(lines)
        wrong, empty = [], 0
        for line, answer in zip(lines, answers):
            ours = json.loads(answer)
            theirs = ask_prometheus(base, line)
            empty += not theirs.get("result")
            found = difference(line.split("\t")[-1], ours, theirs)
            if found:
                wrong.append(line.replace("\t", " ") + ": " + found)
        assert not wrong, f"{len(wrong)} of {len(lines)} answers differ:\n" + "\n".join(wrong[:40])
        assert empty < len(lines) / 5, f"{empty} of {len(lines)} answers are empty: the comparison says little"
        print(f"{len(lines)} answers to {len(EXPRESSIONS)} expressions are the same, {empty} of them empty or errors")
    finally:
        if process:
            process.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    run_cases([case_the_same_answers_as_prometheus])
