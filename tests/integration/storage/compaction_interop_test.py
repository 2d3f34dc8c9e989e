#!/usr/bin/env python3
"""What we compact, delete, clean and snapshot, before the real promtool and Prometheus, sample by sample; and what Prometheus made, compacted
by us."""

import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # In front: the suite has files of the same names.
from harness import fetch, peer, run_cases  # noqa: E402
from wal_interop_test import (Prometheus, compare, dump, fetch_json, promtool_dump, same_value, scrape_for_a_while, text_of,  # noqa: E402
                              tool, with_directories)

MINUTES = 380


def promtool(*args):
    run = subprocess.run([peer("promtool"), "tsdb", *args], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def blocks(directory):
    return [line.split() for line in promtool("list", directory).splitlines()[1:]]


def promtool_dump_copy(directory):
    """promtool repairs what it opens, so it gets a copy."""
    copy = directory + ".copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("snapshots"))
    return promtool_dump(copy)


@with_directories
def promtool_reads_what_we_compact(directory):
    """promtool lists, analyzes and dumps our blocks; the samples are those of before"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    before = dump(ours)
    count = int(tool("compact", ours).stdout)
    listed = blocks(ours)
    assert len(listed) == count >= 1, listed
    assert dump(ours) == before
    samples = compare(before, promtool_dump_copy(ours))
    for block in listed:
        report = promtool("analyze", ours, block[0])
        assert "\nSeries: " in report, report
    print(f"     {samples} samples, {count} blocks")
    # Compacting again changes nothing.
    assert int(tool("compact", ours).stdout) == count
    assert dump(ours) == before


@with_directories
def promtool_sees_what_we_delete(directory):
    """deletes hold in promtool's eyes, as tombstones and after the clean-up"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    tool("compact", ours)
    expected = dump(ours)
    times = [t for samples in expected.values() for t in samples]
    first, last = min(times) + 3_600_000, max(times) - 600_000
    tool("delete", ours, "instance", "host-2", str(first), str(last))
    expected = {labels: {t: v for t, v in samples.items() if 'instance="host-2"' not in labels or not first <= t <= last}
                for labels, samples in expected.items()}
    expected = {labels: samples for labels, samples in expected.items() if samples}
    assert dump(ours) == expected
    compare(expected, promtool_dump_copy(ours))
    tool("clean", ours)
    assert dump(ours) == expected
    for name in os.listdir(ours):
        tombstones = os.path.join(ours, name, "tombstones")
        assert not os.path.exists(tombstones) or os.path.getsize(tombstones) <= 9, tombstones
    print(f"     {compare(expected, promtool_dump_copy(ours))} samples left")


@with_directories
def prometheus_opens_our_snapshot_and_folder(directory):
    """Prometheus answers from our snapshot and from our folder with blocks, log and tombstones"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    tool("compact", ours)
    mine = dump(ours)
    snapshot = tool("snapshot", ours).stdout.strip()
    kept = os.path.join(directory, "snapshot")
    shutil.move(snapshot, kept)
    assert len(blocks(kept)) == len(blocks(ours)) + 1
    for folder in (kept, ours):
        prometheus = Prometheus(folder)
        try:
            with open(prometheus.log, errors="replace") as f:
                bad = [line for line in f if "corrupt" in line or "err=" in line or "nknown series references" in line]
            assert not bad, bad
            end_ms = max(max(samples) for samples in mine.values()) + 500
            theirs = {text_of(r["metric"]): {round(t * 1000): v for t, v in r["values"]}
                      for r in fetch_json(prometheus.port, "query", query=f'{{__name__=~".+"}}[{MINUTES + 10}m]', time=f"{end_ms / 1000:.3f}")}
            expected = {labels: {t: v for t, v in samples.items() if v != "stale"} for labels, samples in mine.items()}
            print(f"     {compare({k: v for k, v in expected.items() if v}, theirs)} samples")
        finally:
            prometheus.process.kill(signal.SIGTERM)
    # And back to us: nothing is lost or twice.
    assert dump(ours) == mine


def block_bytes(directory):
    """Of index and chunks, with the samples in them."""
    total = samples = 0
    for name in os.listdir(directory):
        meta = os.path.join(directory, name, "meta.json")
        if not os.path.exists(meta):
            continue
        with open(meta) as f:
            samples += json.load(f)["stats"]["numSamples"]
        chunks = os.path.join(directory, name, "chunks")
        for path in [os.path.join(directory, name, "index")] + [os.path.join(chunks, c) for c in os.listdir(chunks)]:
            total += os.path.getsize(path)
    return total, samples


@with_directories
def our_blocks_are_no_larger(directory):
    """index and chunks that we write of a head take no more bytes than those that Prometheus writes of the same one"""
    ours = os.path.join(directory, "ours")
    tool("write", ours, str(MINUTES))
    theirs = os.path.join(directory, "theirs")
    shutil.copytree(ours, theirs)
    our_bytes, our_samples = block_bytes(tool("snapshot", ours).stdout.strip())
    prometheus = Prometheus(theirs, flags=["--web.enable-admin-api"])
    try:
        status, body = fetch(f"http://127.0.0.1:{prometheus.port}/api/v1/admin/tsdb/snapshot", method="POST", timeout=60)
        assert status == 200, body[:500]
        their_bytes, their_samples = block_bytes(os.path.join(theirs, "snapshots", json.loads(body)["data"]["name"]))
    finally:
        prometheus.process.kill(signal.SIGTERM)
    assert our_samples == their_samples > 0, (our_samples, their_samples)
    assert our_bytes <= their_bytes, (our_bytes, their_bytes)
    print(f"     {our_samples} samples: {our_bytes / our_samples:.3f} bytes each, Prometheus' {their_bytes / their_samples:.3f}")


@with_directories
def we_compact_what_prometheus_wrote(directory):
    """a folder of Prometheus with our samples of hours before it is compacted by us, and promtool finds all of it"""
    folder = os.path.join(directory, "folder")
    tool("write", folder, str(MINUTES))
    before = dump(folder)
    both = scrape_for_a_while(folder, signal.SIGKILL)
    for labels, samples in before.items():
        for timestamp, value in samples.items():
            assert same_value(value, both[labels][timestamp]), (labels, timestamp)
    tool("compact", folder)
    assert len(blocks(folder)) >= 1
    compare(dump(folder), both)
    print(f"     {compare(both, promtool_dump_copy(folder))} samples")


if __name__ == "__main__":
    run_cases([promtool_reads_what_we_compact, promtool_sees_what_we_delete, prometheus_opens_our_snapshot_and_folder,
               our_blocks_are_no_larger, we_compact_what_prometheus_wrote])
