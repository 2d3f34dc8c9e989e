#!/usr/bin/env python3
"""The write-ahead log between us and the real Prometheus, sample by sample: promtool and Prometheus read ours, we read theirs, and a folder
goes from hand to hand."""

import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, bin_dir, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

MINUTES = 90


def tool(*args):
    run = subprocess.run([os.path.join(bin_dir(), "storage_interop_tool"), *args], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    return run


def parse_dump(text):
    """{labels: {timestamp: value}} of lines `labels value timestamp`."""
    series = {}
    for line in text.splitlines():
        labels, value, timestamp = line.rsplit(" ", 2)
        samples = series.setdefault(labels, {})
        assert int(timestamp) not in samples, line
        samples[int(timestamp)] = value
    return series


def dump(directory):
    run = tool("dump", directory)
    assert "level=ERROR" not in run.stderr, run.stderr
    return parse_dump(run.stdout)


def promtool_dump(directory):
    run = subprocess.run([peer("promtool"), "tsdb", "dump", directory], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return parse_dump(run.stdout)


def same_value(ours, theirs):
    if ours in ("stale", "NaN"):
        return theirs == "NaN"
    if "/" in ours:  # A histogram's count and sum.
        return ours == theirs
    a, b = float(ours), float(theirs)
    return a == b and math.copysign(1, a) == math.copysign(1, b)


def compare(ours, theirs):
    assert ours.keys() == theirs.keys(), sorted(ours.keys() ^ theirs.keys())[:5]
    samples = 0
    for labels, mine in ours.items():
        other = theirs[labels]
        assert mine.keys() == other.keys(), (labels, sorted(mine.keys() ^ other.keys())[:5])
        for timestamp, value in mine.items():
            assert same_value(value, other[timestamp]), (labels, timestamp, value, other[timestamp])
        samples += len(mine)
    return samples


def fetch_json(port, path, **params):
    status, body = fetch(f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=60)
    assert status == 200, body[:500]
    return json.loads(body)["data"]["result"]


def text_of(metric):
    """Labels as promtool prints them."""
    def quote(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in sorted(metric.items())) + "}"


class Prometheus:
    def __init__(self, directory, config="", flags=()):
        self.port = free_port()
        config = config.replace("PORT", str(self.port))
        path = directory + ".yml"
        with open(path, "w") as f:
            f.write(config)
        self.log = directory + ".log"
        self.process = Process([peer("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={directory}",
                                "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{self.port}", *flags], self.log)
        wait_for("Prometheus", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200, 60)

    def check_log(self):
        with open(self.log, errors="replace") as f:
            text = f.read()
        for word in ("corrupt", "repair", "nknown series references", "err="):
            assert word not in text, [line for line in text.splitlines() if word in line]


def with_directories(case):
    def run():
        if peer("prometheus") is None or peer("promtool") is None:
            return
        directory = tempfile.mkdtemp(prefix="narthex-interop-")
        try:
            case(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    run.__name__, run.__doc__ = case.__name__, case.__doc__
    return run


def copy_log(source, target):
    os.makedirs(target)
    shutil.copytree(os.path.join(source, "wal"), os.path.join(target, "wal"))


@with_directories
def promtool_reads_our_log(directory):
    """promtool dumps from our log what we wrote: all kinds of values, stale markers, series that come and go"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    assert len(os.listdir(os.path.join(ours, "wal"))) > 2
    copy_log(ours, os.path.join(directory, "copy"))
    mine = dump(ours)
    assert any(value == "stale" for samples in mine.values() for value in samples.values())
    samples = compare(mine, promtool_dump(os.path.join(directory, "copy")))
    print(f"     {samples} samples of {len(mine)} series")
    assert len(mine) == 400 and samples > 100000


@with_directories
def prometheus_answers_from_our_log(directory):
    """Prometheus answers query and query_range from our log with our samples"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    copy_log(ours, os.path.join(directory, "theirs"))
    mine = dump(ours)
    prometheus = Prometheus(os.path.join(directory, "theirs"))
    try:
        prometheus.check_log()
        end_ms = max(max(samples) for samples in mine.values()) + 500
        width_ms = 3600 * 1000
        theirs = {text_of(r["metric"]): {round(t * 1000): v for t, v in r["values"]}
                  for r in fetch_json(prometheus.port, "query", query='{__name__=~".+"}[1h]', time=f"{end_ms / 1000:.3f}")}
        expected = {}
        for labels, samples in mine.items():
            kept = {t: v for t, v in samples.items() if end_ms - width_ms <= t <= end_ms and v != "stale"}
            if kept:
                expected[labels] = kept
        compared = compare(expected, theirs)

        # Steps off the samples: each answer is the newest sample within five minutes, unless that is a stale marker.
        start_ms, step_ms = end_ms - 1800 * 1000, 7777
        result = fetch_json(prometheus.port, "query_range", query='{__name__="metric_0"}', start=f"{start_ms / 1000:.3f}",
                            end=f"{end_ms / 1000:.3f}", step="7.777")
        theirs = {text_of(r["metric"]): {round(t * 1000): v for t, v in r["values"]} for r in result}
        expected = {}
        for labels, samples in mine.items():
            if '__name__="metric_0"' not in labels:
                continue
            times = sorted(samples)
            for at in range(start_ms, end_ms + 1, step_ms):
                newest = max((t for t in times if at - 300_000 <= t <= at), default=None)
                if newest is not None and samples[newest] != "stale":
                    expected.setdefault(labels, {})[at] = samples[newest]
        compared += compare(expected, theirs)
        print(f"     {compared} samples compared")
    finally:
        prometheus.process.kill(signal.SIGTERM)


@with_directories
def prometheus_reads_our_checkpoints(directory):
    """promtool and Prometheus read from our checkpoints, made one of another, what they read from the whole log; so do we"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    copy_log(ours, os.path.join(directory, "whole"))
    expected = promtool_dump(os.path.join(directory, "whole"))
    short = os.path.join(directory, "short")
    copy_log(ours, short)
    for _ in range(2):
        before = len(os.listdir(os.path.join(short, "wal")))
        tool("checkpoint", short)
        names = os.listdir(os.path.join(short, "wal"))
        assert len(names) < before and sum(name.startswith("checkpoint.") for name in names) == 1, names
    copy_log(short, os.path.join(directory, "copy"))
    samples = compare(expected, promtool_dump(os.path.join(directory, "copy")))
    prometheus = Prometheus(os.path.join(directory, "copy"))
    try:
        prometheus.check_log()
        end_ms = max(max(times) for times in expected.values()) + 500
        theirs = {text_of(r["metric"]): {round(t * 1000): v for t, v in r["values"]}
                  for r in fetch_json(prometheus.port, "query", query='{__name__=~".+"}[2h]', time=f"{end_ms / 1000:.3f}")}
        mine = {}
        for labels, values in dump(short).items():
            kept = {t: v for t, v in values.items() if v != "stale"}
            if kept:
                mine[labels] = kept
        samples += compare(mine, theirs)
        # And goes on behind them: its own checkpoint takes ours for an input.
        prometheus.process.kill(signal.SIGTERM)
        compare(dump(os.path.join(directory, "copy")), expected)
        print(f"     {samples} samples compared")
    finally:
        prometheus.process.kill(signal.SIGTERM)


ALL_FEATURES = ("--enable-feature=native-histograms,exemplar-storage,metadata-storage", "--web.enable-remote-write-receiver")


@with_directories
def prometheus_reads_our_histograms(directory):
    """Prometheus reads native histograms with integer and float counts, and exemplars, from our log and from our checkpoint of it"""
    ours = os.path.join(directory, "ours")
    tool("histograms", ours)
    # A segment begins with each opening, so that there is something to cover.
    dump(ours), dump(ours)
    for checkpoint in (False, True):
        if checkpoint:
            tool("checkpoint", ours)
        theirs = os.path.join(directory, f"theirs-{checkpoint}")
        copy_log(ours, theirs)
        prometheus = Prometheus(theirs, flags=ALL_FEATURES)
        try:
            prometheus.check_log()
            start = int(time.time()) // 60 * 60 - 180
            compared = 0
            for name, more in (("integers", 0), ("floats", 0.5)):
                for function, value in (("count", lambda i: i + 3 + more), ("sum", lambda i: 2 * i)):
                    result = fetch_json(prometheus.port, "query_range", query=f"histogram_{function}({name})", start=start,
                                        end=start + 240, step=1)
                    assert len(result) == 1, result
                    values = [float(v) for _, v in result[0]["values"]]
                    # Within the lookback the last one is answered again.
                    assert values[:30] == [value(i) for i in range(30)], values[:30]
                    assert set(values[30:]) <= {value(29)}, values[30:]
                    compared += 30
            status, body = fetch(f"http://127.0.0.1:{prometheus.port}/api/v1/query_exemplars?query=integers&start={start}&end={start + 240}")
            exemplars = json.loads(body)["data"]
            assert status == 200 and exemplars[0]["exemplars"][0]["labels"] == {"trace_id": "abc"}, body
            print(f"     {compared} histograms")
        finally:
            prometheus.process.kill(signal.SIGTERM)


def protobuf(*fields):
    """A message of (number, value): ints are varints, floats doubles, bytes and str as they are."""
    def varint(n):
        out = bytearray()
        n &= 2**64 - 1
        while n >= 0x80:
            out.append(n & 0x7f | 0x80)
            n >>= 7
        out.append(n)
        return bytes(out)
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def snappy_literal(data):
    """The block format without any compression."""
    out, n = bytearray(), len(data)
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out.append((len(piece) - 1) << 2)
        out += piece
    return bytes(out)


@with_directories
def we_read_their_histograms(directory):
    """we read native histograms with integer and float counts from the log of a Prometheus that was killed"""
    theirs = os.path.join(directory, "theirs")
    prometheus = Prometheus(theirs, flags=ALL_FEATURES)
    try:
        now = int(time.time()) * 1000 - 60_000
        series = []
        for name, is_float in (("integers", False), ("floats", True)):
            histograms = []
            for i in range(20):
                fields = [(2, i + 3.5) if is_float else (1, i + 3), (3, 2.0 * i), (4, 4), (5, 0.001),  # Schema 2 in zigzag.
                          (7, 1.5) if is_float else (6, 1), (11, protobuf((1, 2), (2, 2)))]
                # Packed: differences in zigzag, or doubles.
                fields.append((13, struct.pack("<2d", 1, i + 1)) if is_float else (12, bytes([2, 2 * i])))
                histograms.append((4, protobuf(*fields, (15, now + i * 1000))))
            series.append((1, protobuf((1, protobuf((1, "__name__"), (2, name))), *histograms)))
        request = urllib.request.Request(
            f"http://127.0.0.1:{prometheus.port}/api/v1/write", data=snappy_literal(protobuf(*series)),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 204, answer.status
    finally:
        prometheus.process.kill(signal.SIGKILL)
    mine = dump(theirs)
    expected = {now + i * 1000: 2.0 * i for i in range(20)}
    for name in ("integers", "floats"):
        sums = {t: float(v.rsplit("/")[-1]) for t, v in mine['{__name__="%s"}' % name].items()}
        assert sums == expected, sums


SELF_SCRAPE = "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\nscrape_configs:\n" \
              "  - {job_name: self, static_configs: [{targets: ['127.0.0.1:PORT']}]}\n"


def scrape_for_a_while(directory, sig):
    """Lets Prometheus scrape itself into `directory`; returns what promtool finds there."""
    prometheus = Prometheus(directory, SELF_SCRAPE)
    try:
        wait_for("some scrapes", lambda: any(
            float(r["value"][1]) >= 15 for r in fetch_json(prometheus.port, "query", query="count_over_time(up[1m])")), 60, 0.2)
    finally:
        prometheus.process.kill(sig)
    copy = directory + ".promtool"
    shutil.copytree(directory, copy)
    return promtool_dump(copy)


@with_directories
def we_read_their_log(directory):
    """we read from the log of Prometheus, stopped or killed, what promtool reads"""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        theirs = os.path.join(directory, f"theirs-{int(sig)}")
        expected = scrape_for_a_while(theirs, sig)
        samples = compare(dump(theirs), expected)
        print(f"     {samples} samples of {len(expected)} series")
        assert len(expected) > 300 and samples > 3000


@with_directories
def a_folder_goes_from_hand_to_hand(directory):
    """a folder goes from us to Prometheus and back, and keeps everybody's samples"""
    folder = os.path.join(directory, "folder")
    tool("write", folder, "30")
    ours = dump(folder)
    both = scrape_for_a_while(folder, signal.SIGTERM)
    for labels, samples in ours.items():
        for timestamp, value in samples.items():
            assert same_value(value, both[labels][timestamp]), (labels, timestamp)
    compare(dump(folder), both)
    # And on: our next session writes behind theirs.
    time.sleep(1.1)
    tool("write", folder, "1")
    after = dump(folder)
    assert sum(map(len, after.values())) >= sum(map(len, both.values()))
    copy = os.path.join(directory, "copy")
    shutil.copytree(folder, copy)
    print(f"     {compare(after, promtool_dump(copy))} samples")


if __name__ == "__main__":
    run_cases([promtool_reads_our_log, prometheus_answers_from_our_log, prometheus_reads_our_checkpoints,
               prometheus_reads_our_histograms, we_read_their_log, we_read_their_histograms, a_folder_goes_from_hand_to_hand])
