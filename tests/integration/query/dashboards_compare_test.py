#!/usr/bin/env python3
"""The query service over a storage node beside the real Prometheus, both on the same blocks: what dashboards and alerts ask, and random
queries from the grammar. The answers must be the same but for rounding, errors the same in status and type.

NARTHEX_SEED and NARTHEX_QUERIES make other and more random queries."""

import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
import dashboard_data  # noqa: E402
import dashboard_queries  # noqa: E402
import random_queries  # noqa: E402
from answers import difference  # noqa: E402
from harness import Process, Stack, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

START_MS, END_MS = dashboard_data.START_MS, dashboard_data.END_MS
INSTANTS = (START_MS + 7201500, START_MS + 9543500)
RANGES = ((START_MS + 7200500, START_MS + 9000500, 60000), (START_MS + 5400500, START_MS + 5700500, 7000))


class Both:
    """Prometheus, and our storage and query, on copies of one data directory."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="narthex-dashboards-")
        data = os.path.join(self.dir, "data")
        text = os.path.join(self.dir, "openmetrics")
        dashboard_data.write_openmetrics(text)
        run = subprocess.run([peer("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, data], capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        self.stack = Stack(flags={"storage": ["--storage.tsdb.retention.time=100y"]})
        shutil.copytree(data, self.stack.path("storage"))
        with open(os.path.join(self.dir, "prometheus.yml"), "w"):
            pass
        port = free_port()
        self.theirs = Process([peer("prometheus"), f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={data}",
                               "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}"], os.path.join(self.dir, "log"))
        self.stack.start("storage", "query")
        self.bases = (self.stack.url("query"), f"http://127.0.0.1:{port}")
        wait_for("Prometheus", lambda: fetch(f"{self.bases[1]}/-/ready")[0] == 200, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.theirs.kill()
        self.stack.__exit__(*error)
        shutil.rmtree(self.dir, ignore_errors=True)

    def ask(self, path, parameters):
        """[(status, answer) of ours, of theirs]."""
        query = urllib.parse.urlencode(parameters)
        answers = [fetch(f"{base}/api/v1/{path}?{query}", timeout=60) for base in self.bases]
        return [(status, json.loads(body)) for status, body in answers]

    def compare(self, expression, path, parameters):
        """(what differs or None, whether both were empty, whether both were errors)."""
        (status, ours), (their_status, theirs) = self.ask(path, {"query": expression, **parameters})
        if status != their_status or ours.get("errorType") != theirs.get("errorType"):
            return f"{status} {ours.get('errorType')} {ours.get('error')} / {their_status} {theirs.get('errorType')} {theirs.get('error')}", False, False
        if status != 200:
            return None, False, True
        return difference(expression, ours["data"], theirs["data"]), not theirs["data"]["result"], False

    def compare_all(self, requests, explained=lambda *_: None):
        """Fails when an answer differs for which explained(expression, what differs) has no reason. (answers, empty ones, errors, reasons)."""
        wrong, empty, errors, reasons = [], 0, 0, collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda request: self.compare(*request), requests)
            for (expression, path, parameters), (what, is_empty, is_error) in zip(requests, answers):
                empty += is_empty
                errors += is_error
                reason = explained(expression, what) if what else None
                if reason:
                    reasons[reason] += 1
                elif what:
                    wrong.append(f"{path} {parameters} {expression}\n    {what}")
        assert not wrong, f"{len(wrong)} of {len(requests)} answers differ:\n" + "\n".join(wrong[:40])
        return len(requests), empty, errors, reasons


def requests_of(expressions):
    return [(expression, *times) for expression in expressions for times in (
        *(("query", {"time": at / 1000}) for at in INSTANTS),
        *(("query_range", {"start": start / 1000, "end": end / 1000, "step": step / 1000}) for start, end, step in RANGES))]


def case_dashboards():
    """What dashboards and alerts ask is answered as by Prometheus"""
    expressions = dashboard_queries.expressions()
    assert len(expressions) >= 500, len(expressions)
    total, empty, errors, _ = both.compare_all(requests_of(expressions))
    print(f"{total} answers to {len(expressions)} expressions are the same; {empty} of them empty, {errors} errors")
    assert empty + errors < total / 4, "too many are empty: the comparison says little"


def case_random():
    """Random queries are answered as by Prometheus"""
    seed = int(os.environ.get("NARTHEX_SEED", "1"))
    count = int(os.environ.get("NARTHEX_QUERIES", "2000"))
    requests = []
    for n, expression in enumerate(random_queries.generate(seed, count)):
        start, end, step = RANGES[n // 2 % 2]
        requests.append((expression, "query", {"time": INSTANTS[n // 2 % 2] / 1000}) if n % 2 else
                        (expression, "query_range", {"start": start / 1000, "end": end / 1000, "step": step / 1000}))
    total, empty, errors, reasons = both.compare_all(requests, random_queries.explained)
    print(f"{total} random queries of seed {seed}: {empty} empty, {errors} errors; differences with a reason: {dict(reasons)}")
    assert empty + errors < total / 2, "too many are empty or errors: the comparison says little"
    assert sum(reasons.values()) <= total / 50, f"more differences with a reason than there should be: {dict(reasons)}"


if __name__ == "__main__":
    if not peer("prometheus") or not peer("promtool"):
        sys.exit(77)
    with Both() as both:
        run_cases([case_dashboards, case_random])
