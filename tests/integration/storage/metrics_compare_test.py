#!/usr/bin/env python3
"""Our own metrics against those of the real Prometheus: every prometheus_tsdb_… that it exports is here, with its type and its labels.

Both have stored samples before they are asked, because some of its families appear with their first sample."""

import os
import re
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, Stack, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

# What later versions export and dashboards read, beside what 2.42 has.
NEWER = {
    "prometheus_tsdb_head_stale_series": "gauge",
    "prometheus_tsdb_head_chunks_storage_size_bytes": "gauge",
    "prometheus_tsdb_head_native_histogram_series": "gauge",
    "prometheus_tsdb_head_appenders_created_total": "counter",
    "prometheus_tsdb_mmap_chunks_total": "counter",
    "prometheus_tsdb_retention_limit_seconds": "gauge",
    "prometheus_tsdb_retention_limit_percentage": "gauge",
    "prometheus_tsdb_sample_ooo_delta": "histogram",
    "prometheus_tsdb_wal_storage_size_bytes": "gauge",
    "prometheus_tsdb_wal_record_part_writes_total": "counter",
    "prometheus_tsdb_wal_record_parts_bytes_written_total": "counter",
    "prometheus_tsdb_wal_replay_unknown_refs_total": "counter",
}
# Families with {type="float"|"histogram"}, which appear with their first sample upstream, or have no type yet in 2.42.
BY_TYPE = ["prometheus_tsdb_head_samples_appended_total", "prometheus_tsdb_out_of_order_samples_total",
           "prometheus_tsdb_out_of_bound_samples_total", "prometheus_tsdb_too_old_samples_total",
           "prometheus_tsdb_head_out_of_order_samples_appended_total"]


def families(text):
    """name -> (type, names of labels less le and quantile)"""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {}
    for name, kind in types.items():
        suffixes = "(?:_bucket|_sum|_count)?" if kind in ("histogram", "summary") else ""
        labels = set()
        for text_labels in re.findall(rf"^{name}{suffixes}\{{([^}}]*)\}}", text, re.M):
            labels |= set(re.findall(r'(\w+)="', text_labels))
        found[name] = (kind, labels - {"le", "quantile"})
    return found


def ours():
    stack = Stack(CONFIG.format(port=free_port()))
    try:
        stack.start("storage")
        url = stack.url("storage")
        wait_for("storage to be ready", lambda: fetch(f"{url}/-/ready", timeout=2)[0] == 200)
        return families(fetch(f"{url}/metrics")[1])
    finally:
        stack.kill("storage", signal.SIGTERM)
        shutil.rmtree(stack.dir)


def theirs():
    directory, port = tempfile.mkdtemp(prefix="narthex-metrics-"), free_port()
    with open(f"{directory}/prometheus.yml", "w") as f:
        f.write(CONFIG.format(port=port))
    process = Process([peer("prometheus"), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                       f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage", "--web.console.templates=/none",
                       "--web.console.libraries=/none"], f"{directory}/log")
    try:
        wait_for("samples", lambda: re.search(r"^prometheus_tsdb_head_series [1-9]", fetch(f"http://127.0.0.1:{port}/metrics", timeout=2)[1], re.M))
        return families(fetch(f"http://127.0.0.1:{port}/metrics")[1])
    finally:
        process.kill(signal.SIGTERM)
        shutil.rmtree(directory)


def test_every_family_of_prometheus_is_here():
    """every prometheus_tsdb_ family of Prometheus is here, with its type and labels"""
    if peer("prometheus") is None:
        print("skipped: there is no prometheus")
        return
    mine, wanted, wrong = ours(), theirs(), []
    for name, (kind, labels) in sorted(wanted.items()):
        if not name.startswith("prometheus_tsdb_"):
            continue
        if name not in mine:
            wrong.append(f"{name} is missing")
        elif mine[name][0] != kind or (name not in BY_TYPE and mine[name][1] != labels):
            wrong.append(f"{name}: {mine[name]} here, {(kind, labels)} there")
    assert not wrong, "\n".join(wrong)


def test_newer_families():
    """families of later versions are here as well"""
    mine = ours()
    for name, kind in NEWER.items():
        assert mine.get(name, ("missing",))[0] == kind, (name, mine.get(name))
    for name in BY_TYPE:
        assert mine[name] == ("counter", {"type"}), (name, mine.get(name))


if __name__ == "__main__":
    run_cases([test_every_family_of_prometheus_is_here, test_newer_families])
