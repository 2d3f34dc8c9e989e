#!/usr/bin/env python3
"""A data directory changes hands: what we wrote opens under the real Prometheus and answers the same, and the other way round; blocks, log,
head chunks, out-of-order data and tombstones, after a clean stop and after kill -9 in mid-write."""

import json
import math
import os
import random
import shutil
import signal
import struct
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import remote
from comparing import ask, same
from harness import Process, Stack, fetch, free_port, peer, run_cases, wait_for

HOUR = 3600 * 1000
STEP = 30 * 1000
HOURS = 9
CONFIG = "storage: {tsdb: {out_of_order_time_window: 2h}}\n"


class Data:
    """Nine hours of samples of all kinds that end shortly before now, in the order in which they are sent."""

    def __init__(self):
        rng = random.Random(7)
        self.end = int(time.time() * 1000) // (2 * HOUR) * (2 * HOUR) - 2 * HOUR + 40 * 60 * 1000
        self.start = self.end - HOURS * HOUR
        self.floats = {}  # labels as sorted tuple -> {time: value}
        self.histograms = {"swap_histogram": [], "swap_float_histogram": []}
        self.batches = []
        times = list(range(self.start + 137, self.end, STEP))
        counters = [0.0] * 12
        for n, t in enumerate(times):
            parts = []
            for i in range(12):
                counters[i] = 0.0 if rng.random() < 0.002 else counters[i] + rng.randrange(50)
                parts.append(self.float({"__name__": "swap_total", "i": str(i), "job": "a"}, t, counters[i]))
            for i in range(6):
                parts.append(self.float({"__name__": "swap_gauge", "room": f"r{i}", "zone": "ü" if i % 2 else "x"}, t,
                                        round(20 + 5 * math.sin(n / 40 + i) + rng.random(), 3)))
            parts.append(self.float({"__name__": "swap_constant", "job": "a"}, t, 1.0))
            if n % 100 < 60:
                parts.append(self.float({"__name__": "swap_comes_and_goes", "job": "b"}, t, rng.random()))
            elif n % 100 == 60:
                parts.append(self.float({"__name__": "swap_comes_and_goes", "job": "b"}, t, remote.STALE))
            # A new series every few minutes: churn.
            parts.append(self.float({"__name__": "swap_churn", "pod": f"p{n // 20}"}, t, float(n)))
            counts = [n + 1, 2 * n + 3, n // 2]
            for name, sent in (("swap_histogram", remote.histogram(t, 1, [(0, 2), (3, 1)], counts, n * 1.5 + 1, zero=n + 1)),
                               ("swap_float_histogram", remote.histogram(t, -1, [(-2, 3)], [c + 0.5 for c in counts], n * 2.5 + 1, integer=False))):
                self.histograms[name].append(sent)
                parts.append(remote.series({"__name__": name, "job": "a"}, sent))
            self.batches.append(parts)
        # Late by half an hour to an hour and a half; sent after the batch at the same place.
        self.late = {}
        for n in range(200, len(times), 37):
            t = times[n] - 100 * STEP + 11
            self.late[n] = [self.float({"__name__": "swap_gauge", "room": f"r{i}", "zone": "ü" if i % 2 else "x"}, t, 1000.0 + n) for i in range(3)]
            self.late[n].append(self.float({"__name__": "swap_only_late", "n": str(n % 5)}, t, float(n)))
        self.times = times

    def float(self, labels, t, value):
        self.floats.setdefault(tuple(sorted(labels.items())), {})[t] = value
        return remote.series(labels, remote.sample(t, value))

    def send(self, base, batches=None):
        batches = range(len(self.batches)) if batches is None else batches
        group = 20
        for first in range(batches.start, batches.stop, group):
            parts, late = [], []
            for n in range(first, min(first + group, batches.stop)):
                parts += self.batches[n]
                late += self.late.get(n, [])
            for body in (parts, late):
                if body:
                    status, text = remote.write(base, *body)
                    assert status in (200, 204), f"write of batches {first}: {status} {text[:300]}"


INSTANT = [
    "swap_total", "sum(swap_total)", "rate(swap_total[{r}])", "sum by (i) (increase(swap_total[{r}]))", "swap_gauge", "avg_over_time(swap_gauge[{r}])",
    "max_over_time(swap_gauge[{r}])", "count_over_time(swap_gauge[{r}])", "swap_gauge{zone='ü'}", "swap_gauge{room=~'r[1-3]',zone!='x'}",
    "swap_comes_and_goes", "count_over_time(swap_comes_and_goes[{r}])", "count(swap_churn)", "swap_constant", "sum_over_time(swap_constant[{r}])",
    "swap_only_late", "count_over_time(swap_only_late[{r}])", "swap_total{i='3'} offset 1h", "count({__name__=~'swap_.*',__name__!~'.*histogram'}) by (__name__)",
    "stddev_over_time(swap_gauge[{r}])", "quantile_over_time(0.9, swap_gauge[{r}])", "changes(swap_gauge[{r}])", "resets(swap_total[{r}])",
    "topk(3, swap_gauge)", "absent(swap_nope)", "deriv(swap_gauge[{r}])",
]
RANGE = ["swap_total", "sum(rate(swap_total[{r}]))", "swap_gauge", "swap_comes_and_goes", "count(swap_churn)", "max_over_time(swap_gauge[{r}])",
         "swap_only_late", "sum(swap_constant)"]


def what_counts(answer):
    """Notes and warnings are another matter."""
    return {k: answer.get(k) for k in ("status", "data", "text")}


def read_remote(base, matchers, start, end, streamed):
    """The bytes of a remote read answer, uncompressed."""
    request = urllib.request.Request(f"{base}/api/v1/read", data=remote.read_request(matchers, start, end, streamed), method="POST", headers={
        "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Read-Version": "0.1.0"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        body = response.read()
    return body if streamed else remote.unsnappy(body)


def compare(ours, storage, theirs, data):
    """Asks both everything, and returns (asked, differences)."""
    asked, differences = 0, []

    def check(path, **params):
        nonlocal asked
        asked += 1
        a, b = ask(ours, path, **params), ask(theirs, path, **params)
        if a[0] != b[0] or not same(what_counts(a[1]), what_counts(b[1]), 1e-9):
            differences.append(f"{path} {params}\n  ours   {json.dumps(a)[:700]}\n  theirs {json.dumps(b)[:700]}")

    for back in (0.01, 1.3, 2.7, 5.1, 8.2):
        moment = (data.end - back * HOUR) / 1000 + 0.319
        for query in INSTANT:
            check("query", query=query.replace("{r}", "1213123ms"), time=f"{moment:.3f}")
    # From a place where every series has begun: 3.x extrapolates to the zero of a young counter in another way than 2.42.
    for query in RANGE:
        begin = data.start / 1000 + (900 if "rate(" in query else -60.2)
        check("query_range", query=query.replace("{r}", "613123ms"), start=f"{begin:.3f}",
              end=f"{data.end / 1000 + 60:.3f}", step="97.3")
    window = {"start": f"{data.start / 1000 - 3600:.3f}", "end": f"{time.time() + 60:.3f}"}
    check("labels", **window)
    for name in ("__name__", "room", "pod", "zone", "nope"):
        check(f"label/{name}/values", **window)
    check("label/room/values", **window, **{"match[]": "swap_gauge{zone='x'}"})
    check("series", **window, **{"match[]": "{__name__=~'swap_gauge|swap_total'}"})
    # Remote read gives every sample without a query engine: the bytes must be the same. (2.42 leaves histograms out of
    # it, and answers series of which all samples are deleted without samples.)
    def series_with_samples(body):
        return [series for _, result in remote.fields(body) for _, series in remote.fields(result) if any(n == 2 for n, _ in remote.fields(series))]

    for name in ("swap_total", "swap_gauge", "swap_comes_and_goes", "swap_only_late"):
        asked += 1
        matchers = [(0, "__name__", name)]
        a, b = (read_remote(base, matchers, data.start - HOUR, data.end + HOUR, False) for base in (storage, theirs))
        if series_with_samples(a) != series_with_samples(b):
            differences.append(f"remote read of {name}: {len(a)} bytes, theirs {len(b)}; they differ")
    # Histograms come back field by field as they were sent; a hint on resets may join them.
    for name, sent in data.histograms.items():
        asked += 1
        answer = remote.fields(read_remote(storage, [(0, "__name__", name)], data.start - HOUR, data.end + HOUR, False))
        found = [dict(f for f in remote.fields(value) if f[0] != 14)
                 for _, result in answer for _, series in remote.fields(result) for number, value in remote.fields(series) if number == 4]
        want = [dict(remote.fields(remote.fields(histogram)[0][1])) for histogram in sent]
        if found != want:
            differences.append(f"{name}: {len(found)} histograms of {len(want)}; the first that differs: "
                               f"{next(((a, b) for a, b in zip(found, want) if a != b), None)}")
    return asked, differences


def raw_samples(base, name, data):
    """{labels: {time: value bits}} by a range selector over everything."""
    _, answer = ask(base, "query", query=f"{name}[{HOURS + 2}h]", time=f"{data.end / 1000 + 1800:.3f}")
    return {tuple(sorted(r["metric"].items())): {round(float(t) * 1000): v for t, v in r["values"]} for r in answer["data"]["result"]}


def check_floats(base, data, deleted=lambda labels, t: False):
    """Every float that was sent and not deleted is there, and nothing else."""
    for name in ("swap_total", "swap_gauge", "swap_comes_and_goes", "swap_only_late", "swap_churn"):
        got = raw_samples(base, name, data)
        want = {labels: {t: v for t, v in samples.items() if not deleted(dict(labels), t) and struct.pack("d", v) != struct.pack("d", remote.STALE)}
                for labels, samples in data.floats.items() if dict(labels)["__name__"] == name}
        want = {labels: samples for labels, samples in want.items() if samples}
        assert got.keys() == want.keys(), f"{name}: series {set(got) ^ set(want)}"
        for labels, samples in want.items():
            values = {t: float(v) for t, v in got[labels].items()}
            wrong = [t for t in samples.keys() | values.keys() if samples.get(t) != values.get(t)]
            assert not wrong, f"{labels}: {len(wrong)} of {len(samples)} samples differ, first {min(wrong)}: {samples.get(min(wrong))}, got {values.get(min(wrong))}"


DELETED_SERIES = "swap_total{i=~'4|5'}"
DELETED_ROOM = "swap_gauge{room='r5'}"


def delete(base, data):
    """Deletes a range that lies in blocks and head, and one series whole."""
    middle = (data.start + data.end) / 2000
    for match, start, end in ((DELETED_SERIES, middle, data.end / 1000), (DELETED_ROOM, data.start / 1000 - 60, data.end / 1000 + 60)):
        query = urllib.parse.urlencode({"match[]": match, "start": f"{start:.3f}", "end": f"{end:.3f}"})
        status, body = fetch(f"{base}/api/v1/admin/tsdb/delete_series?{query}", method="POST", timeout=60)
        assert status == 204, f"delete {match}: {status} {body}"

    def deleted(labels, t):
        if labels["__name__"] == "swap_total":
            return labels["i"] in "45" and round(middle * 1000) <= t <= data.end
        return labels["__name__"] == "swap_gauge" and labels["room"] == "r5"
    return deleted


def blocks_of(path):
    return sorted(name for name in os.listdir(path) if os.path.exists(os.path.join(path, name, "meta.json")))


def meta_of(path, block):
    with open(os.path.join(path, block, "meta.json")) as f:
        return json.load(f)


class Prometheus:
    def __init__(self, stack, path, *flags):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = stack.path(f"prometheus-{self.port}.log")
        config = stack.write("their.yml", CONFIG)
        self.process = Process([peer("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={path}", "--storage.tsdb.retention.time=10y",
                                "--enable-feature=native-histograms,exemplar-storage", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                                f"--web.listen-address=127.0.0.1:{self.port}", *flags], self.log)
        wait_for("Prometheus", lambda: fetch(self.url + "/-/ready")[0] == 200, 60)

    def complaints(self):
        with open(self.log, errors="replace") as f:
            return [line for line in f if any(w in line.lower() for w in ("corrupt", "unknown series", "level=error", "level=warn", "err="))
                    and "Overlapping blocks found" not in line]


def promtool(*arguments):
    tool = peer("promtool")
    result = subprocess.run([tool, "tsdb", *arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"promtool tsdb {arguments}: {result.stderr[:500]}"
    return result.stdout


def start_ours(stack):
    stack.start("storage", "query")


def write_in_background(stack, stop):
    """Goes on writing new samples, so that a kill comes in mid-write. Returns what was acknowledged."""
    acknowledged = []

    def run():
        n = 0
        while not stop.is_set():
            t = int(time.time() * 1000)
            status, _ = remote.write(stack.url("storage"), *[remote.series({"__name__": "swap_live", "i": str(i)}, remote.sample(t, n)) for i in range(50)])
            if status in (200, 204):
                acknowledged.append((t, n))
            n += 1
    thread = threading.Thread(target=run)
    thread.start()
    return acknowledged, thread


def ours_to_theirs(sig):
    if peer("prometheus") is None:
        return
    data = Data()
    flags = {"storage": ["--web.enable-admin-api", "--storage.tsdb.retention.time=10y"], "query": ["--web.enable-admin-api"]}
    with Stack(CONFIG, flags=flags) as stack:
        start_ours(stack)
        data.send(stack.url("storage"))
        path = stack.path("storage")
        wait_for("blocks", lambda: len(blocks_of(path)) >= 3, 120)
        deleted = delete(stack.url("query"), data)
        check_floats(stack.url("query"), data, deleted)
        stop, acknowledged, thread = threading.Event(), [], None
        if sig == signal.SIGKILL:
            acknowledged, thread = write_in_background(stack, stop)
            time.sleep(1.5)
        stack.kill("storage", sig)
        if thread:
            stop.set()
            thread.join()
            assert len(acknowledged) > 5, "too few writes"
        copy = stack.path("theirs")
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("lock"))
        listed = promtool("list", copy)
        assert all(block in listed for block in blocks_of(copy)), listed
        analyzed = promtool("analyze", copy)
        assert "Highest cardinality labels:" in analyzed, analyzed[:500]
        # Up to the end of the blocks: behind those, promtool 2.42 misses what lies in the head beside a block of late samples.
        end = max(meta["maxTime"] for meta in (meta_of(copy, block) for block in blocks_of(copy)) if "hints" not in meta["compaction"])
        dumped = promtool("dump", "--match={__name__='swap_total',i='1'}", f"--max-time={end - 1}", copy).count("swap_total")
        want = sum(t < end for t in data.times)
        assert dumped == want > 500, f"promtool dump: {dumped} of {want}"
        stack.start("storage")
        theirs = Prometheus(stack, copy)
        try:
            complaints = theirs.complaints()
            assert not complaints, complaints
            check_floats(theirs.url, data, deleted)
            check_floats(stack.url("query"), data, deleted)
            for base in (theirs.url, stack.url("query")):
                if acknowledged:
                    got = {round(float(t) * 1000) for r in ask(base, "query", query="swap_live[10m]")[1]["data"]["result"] for t, _ in r["values"]}
                    missing = [t for t, _ in acknowledged if t not in got]
                    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged writes are missing"
            asked, differences = compare(stack.url("query"), stack.url("storage"), theirs.url, data)
            print(f"     {asked} comparisons, {len(differences)} differ")
            assert asked > 140 and not differences, "\n".join(differences[:8])
        finally:
            theirs.process.kill(signal.SIGTERM)


def theirs_to_ours(sig, attempts=3):
    if peer("prometheus") is None:
        return
    data = Data()
    flags = {"storage": ["--web.enable-admin-api", "--storage.tsdb.retention.time=10y"], "query": ["--web.enable-admin-api"]}
    with Stack(CONFIG, flags=flags) as stack:
        path = stack.path("storage")
        theirs = Prometheus(stack, path)
        try:
            data.send(theirs.url)
            wait_for("their blocks", lambda: len(blocks_of(path)) >= 3, 150)
            deleted = delete(theirs.url, data)
        finally:
            theirs.process.kill(sig)
        copy = stack.path("theirs")
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("lock"))
        start_ours(stack)
        theirs = Prometheus(stack, copy)
        try:
            try:
                check_floats(theirs.url, data, deleted)
            except AssertionError as lost:
                if sig == signal.SIGTERM or attempts == 1:
                    raise
                print(f"     killed at a bad moment Prometheus itself lacks samples, once more: {lost}")
                return theirs_to_ours(sig, attempts - 1)
            check_floats(stack.url("query"), data, deleted)
            asked, differences = compare(stack.url("query"), stack.url("storage"), theirs.url, data)
            print(f"     {asked} comparisons, {len(differences)} differ")
            assert asked > 140 and not differences, "\n".join(differences[:8])
        finally:
            theirs.process.kill(signal.SIGTERM)
        # And back again: what they wrote, we opened and wrote on to, they open.
        status, text = remote.write(stack.url("storage"), remote.series({"__name__": "swap_after", "job": "z"}, remote.sample(int(time.time() * 1000), 5.0)))
        assert status in (200, 204), text
        stack.kill("storage", signal.SIGTERM)
        theirs = Prometheus(stack, path)
        try:
            assert not theirs.complaints(), theirs.complaints()
            check_floats(theirs.url, data, deleted)
            assert ask(theirs.url, "query", query="swap_after")[1]["data"]["result"], "what we wrote into their directory is not there"
        finally:
            theirs.process.kill(signal.SIGTERM)


def ours_after_a_clean_stop():
    """our directory after a clean stop, under Prometheus 2.42 and promtool"""
    ours_to_theirs(signal.SIGTERM)


def ours_after_a_kill():
    """our directory after kill -9 in mid-write, under Prometheus 2.42 and promtool"""
    ours_to_theirs(signal.SIGKILL)


def theirs_after_a_clean_stop():
    """Prometheus 2.42's directory after a clean stop, under us and back"""
    theirs_to_ours(signal.SIGTERM)


def theirs_after_a_kill():
    """Prometheus 2.42's directory after kill -9, under us and back"""
    theirs_to_ours(signal.SIGKILL)


def spool_before_a_clean_stop():
    """samples of new series that came after newer blocks were cut are in blocks after a clean stop: Prometheus drops them from a log"""
    if peer("prometheus") is None:
        return
    end = int(time.time() * 1000) // STEP * STEP
    start = end - HOURS * HOUR
    with Stack("global: {}\n", flags={"storage": ["--storage.tsdb.retention.time=10y"]}) as stack:
        start_ours(stack)
        want = {"swap_now": [], "swap_spooled": []}

        def write(name, first, last):
            for at in range(first, last, 100 * STEP):
                times = range(at, min(last, at + 100 * STEP), STEP)
                want[name] += times
                body = [remote.series({"__name__": name, "i": str(i)}, *[remote.sample(t, i + t % 1000) for t in times]) for i in range(5)]
                # 503 while a block is cut.
                wait_for(f"a write at {at}", lambda b=body: remote.write(stack.url("storage"), *b)[0] in (200, 204), 30)

        write("swap_now", start, end)
        path = stack.path("storage")
        wait_for("blocks", lambda: len(blocks_of(path)) >= 3, 120)
        before = blocks_of(path)
        newest = max(meta_of(path, block)["maxTime"] for block in before)
        write("swap_spooled", start + 7 * STEP, start + 3 * HOUR)
        assert start + 3 * HOUR < newest, "the spool is not older than the blocks"
        stack.kill("storage", signal.SIGTERM)
        assert len(blocks_of(path)) > len(before) or set(blocks_of(path)) - set(before), "nothing was written at the stop"
        copy = stack.path("theirs")
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("lock"))
        stack.start("storage")
        theirs = Prometheus(stack, copy)
        try:
            assert not theirs.complaints(), theirs.complaints()
            for base in (theirs.url, stack.url("query")):
                for name, times in want.items():
                    _, answer = ask(base, "query", query=f"{name}[{HOURS + 1}h]", time=f"{end / 1000 + 1:.3f}")
                    result = answer["data"]["result"]
                    assert len(result) == 5, f"{base}: {name}: {len(result)} series"
                    for r in result:
                        got = [(round(float(t) * 1000), float(v)) for t, v in r["values"]]
                        i = int(r["metric"]["i"])
                        assert got == [(t, i + t % 1000) for t in sorted(times)], f"{base}: {name}: {len(got)} samples of {len(times)}"
        finally:
            theirs.process.kill(signal.SIGTERM)


if __name__ == "__main__":
    run_cases([ours_after_a_clean_stop, ours_after_a_kill, theirs_after_a_clean_stop, theirs_after_a_kill, spool_before_a_clean_stop])
