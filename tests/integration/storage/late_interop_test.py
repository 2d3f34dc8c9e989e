#!/usr/bin/env python3
"""Samples that came out of order, between us and the real Prometheus: its promtool and itself read our wbl/ and chunks_head/, we read
theirs."""

import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # First: both have a wal_interop_test.
import remote  # noqa: E402
from harness import Process, fetch, free_port, peer, run_cases, wait_for  # noqa: E402
from wal_interop_test import (compare, dump, fetch_json, parse_dump, promtool_dump, text_of, tool,  # noqa: E402
                              with_directories)

WINDOW = "storage: {tsdb: {out_of_order_time_window: 3h}}\n"


class Prometheus:
    """One that takes remote writes, late ones too."""

    def __init__(self, directory):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        config = directory + ".yml"
        with open(config, "w") as f:
            f.write(WINDOW)
        self.log = directory + ".log"
        self.process = Process([peer("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}",
                                "--storage.tsdb.retention.time=10y", "--web.enable-remote-write-receiver",
                                "--enable-feature=native-histograms",
                                f"--web.listen-address=127.0.0.1:{self.port}"], self.log)
        wait_for("Prometheus", lambda: fetch(f"{self.base}/-/ready")[0] == 200, 60)

    def check_log(self):
        with open(self.log, errors="replace") as f:
            lines = f.read().splitlines()
        bad = [line for line in lines if any(word in line for word in ("corrupt", "repair", "nknown series", "err=", "duplicate"))]
        assert not bad, bad

    def all_samples(self):
        """{labels: {timestamp: value}} of the last three hours; a histogram's value is its count and sum."""
        series = {}
        for result in fetch_json(self.port, "query", query='{__name__=~".+"}[3h]', time=f"{time.time() + 5:.3f}"):
            samples = series.setdefault(text_of(result["metric"]), {})
            for t, v in result.get("values", []):
                samples[round(t * 1000)] = v
            for t, h in result.get("histograms", []):
                samples[round(t * 1000)] = f"{float(h['count']):g}/{float(h['sum']):g}"
        return series


def copy_of(source, target):
    os.makedirs(target)
    for name in ("wal", "wbl", "chunks_head"):
        if os.path.isdir(os.path.join(source, name)):
            shutil.copytree(os.path.join(source, name), os.path.join(target, name))
    return target


@with_directories
def promtool_and_prometheus_read_our_late_samples(directory):
    """promtool and Prometheus read every late sample of ours, and the folder comes back whole"""
    ours = os.path.join(directory, "ours")
    written = parse_dump(tool("late", ours).stdout)
    assert os.listdir(os.path.join(ours, "wbl"))
    samples = compare(written, promtool_dump(copy_of(ours, os.path.join(directory, "copy"))))
    theirs = copy_of(ours, os.path.join(directory, "theirs"))
    prometheus = Prometheus(theirs)
    try:
        prometheus.check_log()
        compare(written, prometheus.all_samples())
    finally:
        prometheus.process.kill(signal.SIGTERM)
    compare(dump(ours), written)
    compare(dump(theirs), written)
    print(f"     {samples} samples")


def send(prometheus, now_ms, chance):
    """Floats in order and late, in batches, and histograms, which 2.42 takes in order only; what was sent by labels."""
    sent = {}
    for i in range(12):
        kind = i % 3
        labels = {"__name__": f"late_{kind}", "i": str(i)}
        samples = sent.setdefault(text_of(labels), {})

        def part(t):
            n = chance.randrange(1, 100)
            if kind == 0:
                samples[t] = str(n)
                return remote.sample(t, n)
            samples[t] = f"{3 * n:g}/{n:g}"
            return remote.histogram(t, 1, [(0, 2)], [n, 2 * n], n, integer=kind == 1)

        times = list(range(now_ms - 3_000_000, now_ms, 10_000 + i))
        late = chance.sample(times[:-1], 200) if kind == 0 else []
        in_order = sorted(set(times) - set(late))
        chance.shuffle(late)
        batches = [in_order] + [sorted(late[at:at + 7]) for at in range(0, len(late), 7)]
        for batch in batches:
            status, body = remote.write(prometheus.base, remote.series(labels, *map(part, batch)))
            assert status in (200, 204), (status, body)
    return sent


@with_directories
def we_read_their_late_samples(directory):
    """after kill -9 of Prometheus we read every late sample of its wbl and chunks_head, of all kinds"""
    chance = random.Random(1)
    folder = os.path.join(directory, "theirs")
    prometheus = Prometheus(folder)
    try:
        sent = send(prometheus, int(time.time() * 1000) // 1000 * 1000 - 60_000, chance)
        compare(sent, prometheus.all_samples())
    finally:
        prometheus.process.kill(signal.SIGKILL)
    assert os.listdir(os.path.join(folder, "wbl"))
    assert os.listdir(os.path.join(folder, "chunks_head"))
    print(f"     {compare(dump(folder), sent)} samples")
    # We have opened and closed it; nothing is missing for Prometheus.
    prometheus = Prometheus(folder)
    try:
        prometheus.check_log()
        compare(sent, prometheus.all_samples())
    finally:
        prometheus.process.kill(signal.SIGTERM)


if __name__ == "__main__":
    run_cases([promtool_and_prometheus_read_our_late_samples, we_read_their_late_samples])
