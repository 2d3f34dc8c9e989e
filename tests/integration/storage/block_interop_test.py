#!/usr/bin/env python3
"""Blocks between us and the real Prometheus: promtool and Prometheus read, delete from and compact ours, and we read what they made."""

import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Process, bin_dir, fetch, free_port, peer, run_cases, wait_for  # noqa: E402
from wal_interop_test import compare, with_directories  # noqa: E402

HOUR = 3600
START = 1700006400  # A multiple of two hours.


def tool(*args):
    run = subprocess.run([os.path.join(bin_dir(), "storage_block_tool"), *args], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def parse(text):
    """{labels: {timestamp: value}} of lines `labels value timestamp`, of any number of dumps."""
    series = {}
    for line in text.splitlines():
        labels, value, timestamp = line.rsplit(" ", 2)
        samples = series.setdefault(labels, {})
        assert int(timestamp) not in samples, line
        samples[int(timestamp)] = "NaN" if value.lower() == "nan" else value
    return series


def promtool(*args):
    run = subprocess.run([peer("promtool"), "tsdb", *args], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def promtool_dump(directory):
    os.makedirs(os.path.join(directory, "wal"), exist_ok=True)  # It asks for one.
    return parse(promtool("dump", directory))


def blocks(directory):
    return sorted(path for path in glob.glob(os.path.join(directory, "*")) if os.path.isfile(os.path.join(path, "meta.json")))


def our_dump(directory):
    return parse("".join(tool("dump", block) for block in blocks(directory)))


def make_blocks(directory, hours, seed=1):
    """Has promtool make blocks of two hours each; some series are not in all of them."""
    rng = random.Random(seed)
    path = directory + ".om"
    with open(path, "w") as f:
        for metric in range(4):
            f.write(f"# TYPE m{metric} gauge\n")
            for job in ("api", "db \\\"quoted\\\" ü"):
                for instance in range(6):
                    begin = rng.randrange(0, hours * HOUR // 2) if instance % 3 == 2 else 0
                    value = 0.0
                    for at in range(begin, hours * HOUR, 60):
                        value = rng.choice([value, value + rng.random(), float("nan"), rng.randrange(1000)]) if instance else value
                        f.write(f'm{metric}{{job="{job}",instance="host-{instance}:9100"}} {value} {START + at}\n')
        f.write("# EOF\n")
    promtool("create-blocks-from", "openmetrics", path, directory)
    assert len(blocks(directory)) == hours // 2
    return directory


def copy_blocks(source, target):
    """Writes each block of `source` anew with our writer."""
    os.makedirs(target)
    return {block: os.path.join(target, tool("copy", block, target).strip()) for block in blocks(source)}


class Prometheus:
    def __init__(self, directory, *flags):
        self.port = free_port()
        config = directory + ".yml"
        with open(config, "w") as f:
            f.write("global: {}\n")
        self.log = directory + ".log"
        self.process = Process([peer("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}", "--web.enable-admin-api",
                                "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{self.port}", *flags], self.log)
        wait_for("Prometheus", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200, 60)

    def query(self, expression, at):
        status, body = fetch(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression, "time": at}), timeout=60)
        assert status == 200, body[:500]
        return sorted(json.loads(body)["data"]["result"], key=lambda r: sorted(r["metric"].items()))

    def admin(self, path, **form):
        status, body = fetch(f"http://127.0.0.1:{self.port}/api/v1/admin/tsdb/{path}", data=form, method="POST")
        assert status == 204, body

    def stop(self):
        self.process.kill(signal.SIGTERM)
        with open(self.log, errors="replace") as f:
            text = f.read()
        assert "level=error" not in text and "corrupt" not in text, text[-3000:]


def answers(directory, hours):
    """What a Prometheus answers from the blocks of `directory`, for queries of every kind of matcher."""
    prometheus = Prometheus(directory)
    end = START + hours * HOUR
    try:
        return [prometheus.query(query, end) for query in (
            f'{{__name__=~"m.*"}}[{hours}h]', f'count_over_time(m1{{job="api"}}[{hours}h])', f'm2{{job!="api"}}[{hours}h]',
            f'm3{{instance=~"host-(1|4):9100"}}[{hours}h]', f'm0{{instance!~"host-[^1].*"}}[{hours}h]', f'{{instance="",__name__="m1"}}[{hours}h]')]
    finally:
        prometheus.stop()


@with_directories
def what_we_write_is_what_they_write(directory):
    """blocks written by us have the chunks of Prometheus' byte for byte, and no more bytes; promtool lists, analyzes and dumps them"""
    theirs = make_blocks(os.path.join(directory, "theirs"), 6)
    ours = os.path.join(directory, "ours")
    total = [0, 0]
    for old, new in copy_blocks(theirs, ours).items():
        for name in ("chunks/000001", "tombstones"):
            with open(os.path.join(old, name), "rb") as a, open(os.path.join(new, name), "rb") as b:
                assert a.read() == b.read(), name
        for i, block in enumerate((old, new)):
            total[i] += sum(os.path.getsize(os.path.join(block, name)) for name in ("chunks/000001", "index"))
        assert "problem" not in tool("check", new), new
        analysis = promtool("analyze", ours, os.path.basename(new))
        assert analysis.split("Label pairs")[0].split("\n", 1)[1] == promtool(
            "analyze", theirs, os.path.basename(old)).split("Label pairs")[0].split("\n", 1)[1]
    assert total[1] <= total[0], total
    print(f"     {total[1]} bytes, theirs {total[0]}")
    assert len(promtool("list", ours).splitlines()) == 4
    mine = promtool_dump(ours)
    samples = compare(mine, promtool_dump(theirs))
    assert compare(our_dump(theirs), mine) == samples
    assert len(mine) == 48 and samples > 10000


@with_directories
def prometheus_answers_from_our_blocks(directory):
    """Prometheus answers from our blocks what it answers from its own"""
    theirs = make_blocks(os.path.join(directory, "theirs"), 4)
    ours = os.path.join(directory, "ours")
    copy_blocks(theirs, ours)
    expected, got = answers(theirs, 4), answers(ours, 4)
    assert expected == got
    assert len(expected[0]) == 48 and sum(bool(result) for result in expected) == 5, [len(r) for r in expected]


@with_directories
def prometheus_compacts_our_blocks(directory):
    """Prometheus compacts our blocks to larger ones, in which we find all samples (it waits a minute before it does)"""
    theirs = make_blocks(os.path.join(directory, "theirs"), 24)
    ours = os.path.join(directory, "ours")
    copy_blocks(theirs, ours)
    before = our_dump(ours)
    prometheus = Prometheus(ours)
    try:
        wait_for("a compaction", lambda: len(blocks(ours)) < 8, 120, 0.5)
    finally:
        prometheus.stop()
    after = blocks(ours)
    assert any(json.load(open(os.path.join(block, "meta.json")))["compaction"]["level"] > 1 for block in after)
    for block in after:
        assert "problem" not in tool("check", block), block
    print(f"     12 blocks became {len(after)}, {compare(our_dump(ours), before)} samples")


@with_directories
def prometheus_reads_our_histograms(directory):
    """Prometheus reads native histograms from our block, integer and float, each sample"""
    ours = os.path.join(directory, "ours")
    os.makedirs(ours)
    tool("histograms", ours, str(START * 1000))
    assert "problem" not in tool("check", blocks(ours)[0])
    prometheus = Prometheus(ours)
    try:
        for i in (0, 1, 57, 99):
            for name, part in (("integer", 1), ("float", 0.5)):
                def value(expression):
                    result, = prometheus.query(expression, START + i * 60)
                    return float(result["value"][1])
                assert value(f"histogram_count({name})") == 4 * (i + 1) * part
                assert value(f"histogram_sum({name})") == i
                assert value(f"histogram_fraction(1, 8, {name})") == 0.75
        # One increase of a bucket by 1 (or a half) a minute.
        result, = prometheus.query("histogram_count(increase(integer[50m]))", START + 90 * 60)
        assert abs(float(result["value"][1]) - 200) < 1e-6, result
    finally:
        prometheus.stop()


@with_directories
def deletions_go_both_ways(directory):
    """Prometheus obeys and cleans the tombstones that we wrote, and we obey those that it wrote"""
    ours = os.path.join(directory, "ours")
    copy_blocks(make_blocks(os.path.join(directory, "theirs"), 2), ours)
    block, = blocks(ours)
    tool("delete", block, str((START + 600) * 1000), str((START + 1200) * 1000), "__name__", "=", "m1", "job", "=", "api")
    tool("delete", block, "0", str(START * 1000 + HOUR * 9000), "__name__", "=", "m2", "instance", "=~", "host-[12].*")
    left = our_dump(ours)
    assert compare(left, promtool_dump(ours)) < 48 * 120
    prometheus = Prometheus(ours)
    try:
        prometheus.admin("delete_series", **{"match[]": "m3", "start": START + 60, "end": START + 120})
        theirs = our_dump(ours)
        compare(theirs, promtool_dump(ours))
        expected = {labels: {t: v for t, v in samples.items() if '"m3"' not in labels or not START + 60 <= t / 1000 <= START + 120}
                    for labels, samples in left.items()}
        compare(theirs, expected)
        prometheus.admin("clean_tombstones")
        wait_for("the new block", lambda: len(blocks(ours)) == 1 and blocks(ours) != [block], 30, 0.1)
    finally:
        prometheus.stop()
    print(f"     {compare(our_dump(ours), theirs)} samples left")
    assert json.load(open(os.path.join(blocks(ours)[0], "meta.json")))["stats"].get("numTombstones", 0) == 0


@with_directories
def a_repaired_block_is_one_for_prometheus(directory):
    """what is left of a damaged block is a block again, and the damaged one is kept aside"""
    ours = os.path.join(directory, "ours")
    copy_blocks(make_blocks(os.path.join(directory, "theirs"), 2), ours)
    block, = blocks(ours)
    before = our_dump(ours)
    for name, at in (("chunks/000001", 5000), ("index", os.path.getsize(os.path.join(block, "index")) - 3)):
        with open(os.path.join(block, name), "r+b") as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 0x55]))
    found = tool("check", block)
    assert "table of contents: checksum mismatch" in found, found
    assert "lost 1" in tool("repair", block, os.path.join(directory, "quarantine"))
    assert os.listdir(os.path.join(directory, "quarantine")) == [os.path.basename(block)]
    after = promtool_dump(ours)
    lost = sum(map(len, before.values())) - sum(map(len, after.values()))
    assert 0 < lost <= 120, lost
    for labels, samples in after.items():
        for timestamp, value in samples.items():
            assert before[labels][timestamp] == value or float(before[labels][timestamp]) == float(value)
    shutil.rmtree(os.path.join(ours, "wal"))
    assert answers(ours, 2)[0]


if __name__ == "__main__":
    run_cases([what_we_write_is_what_they_write, prometheus_answers_from_our_blocks, prometheus_compacts_our_blocks,
               prometheus_reads_our_histograms, deletions_go_both_ways, a_repaired_block_is_one_for_prometheus])
