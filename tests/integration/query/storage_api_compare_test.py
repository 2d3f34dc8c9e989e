#!/usr/bin/env python3
"""What query asks of storage beside samples (exemplars, status/tsdb, walreplay, the admin endpoints) against the real Prometheus: both get the
same remote writes and the same requests, and must say the same."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, Stack, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

FLAGS = ["--web.enable-admin-api"]


def varint(number):
    out = b""
    number &= (1 << 64) - 1
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, payload):
    if isinstance(payload, bytes):
        return varint(number << 3 | 2) + varint(len(payload)) + payload
    if isinstance(payload, float):
        return varint(number << 3 | 1) + struct.pack("<d", payload)
    return varint(number << 3) + varint(payload)


def labels(number, pairs):
    return b"".join(field(number, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


def series(name, pairs, samples, exemplars=()):
    body = labels(1, {"__name__": name, **pairs})
    body += b"".join(field(2, field(1, float(v)) + field(2, t)) for t, v in samples)
    return field(1, body + b"".join(field(3, labels(1, e) + field(2, float(v)) + field(3, t)) for t, v, e in exemplars))


def snappy(data):
    out = varint(len(data))
    for start in range(0, len(data), 60000):
        piece = data[start:start + 60000]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return out


class Pair:
    """Ours and theirs, fed alike."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="narthex-storage-api-")
        config = "global: {external_labels: {region: eu}}\nstorage: {exemplars: {max_exemplars: 1000}}\n"
        self.stack = Stack(config, flags={"storage": FLAGS, "query": FLAGS})
        with open(f"{self.dir}/prometheus.yml", "w") as f:
            f.write(config)
        self.port = free_port()
        self.start_theirs()
        self.stack.start("storage", "query")
        self.now = int(time.time()) // 60 * 60 * 1000 - 600_000

    def start_theirs(self):
        self.theirs = Process([peer("prometheus"), f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                               f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage",
                               "--web.console.templates=/none", "--web.console.libraries=/none", *FLAGS], f"{self.dir}/prometheus.log")
        wait_for("prometheus", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready", timeout=2)[0] == 200, 60)

    def write(self, *parts):
        body = snappy(b"".join(parts))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        for base in (self.stack.url("storage"), f"http://127.0.0.1:{self.port}"):
            status, answer = fetch(f"{base}/api/v1/write", data=body, method="POST", headers=headers, timeout=60)
            assert status == 204, (base, status, answer)

    def both(self, method, path, pairs=()):
        form = urllib.parse.urlencode(list(pairs))
        for base in (self.stack.url("query"), f"http://127.0.0.1:{self.port}"):
            url = f"{base}/api/v1/{path}"
            if method == "GET":
                yield fetch(f"{url}?{form}" if form else url, timeout=60)
            else:
                yield fetch(url, data=form, method=method, headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=60)

    def same(self, method, path, pairs=()):
        ours, theirs = self.both(method, path, pairs)
        assert ours[0] == theirs[0], (path, pairs, ours, theirs)
        if ours[1] != theirs[1]:
            # The order of keys counts, that of equal series does not.
            assert comparable(ours[1]) == comparable(theirs[1]), (path, pairs, ours, theirs)
        return ours

    def close(self):
        self.theirs.kill(signal.SIGTERM)
        for name in ("query", "storage"):
            self.stack.kill(name, signal.SIGTERM)
        shutil.rmtree(self.dir)
        shutil.rmtree(self.stack.dir)


def comparable(body):
    pairs = json.loads(body, object_pairs_hook=lambda members: [list(member) for member in members])
    for member in pairs:
        if member[0] == "error":
            member[1] = re.sub(r'^invalid parameter "[^"]*": ', "", member[1])
    return pairs


PAIR = None


def fill():
    """both take the same samples and exemplars"""
    now = PAIR.now
    parts = []
    for i in range(40):
        samples = [(now + k * 15_000, i * 10 + k) for k in range(20)]
        name = ("requests_total", "errors_total", "bytes")[i % 3 if i < 30 else 0]
        exemplars = [(now + k * 15_000 - 7, i + k / 4, {"trace_id": f"{i}-{k}"} if k % 2 else {}) for k in range(i % 4)]
        parts.append(series(name, {"i": str(i), "instance": f"host-{i % 7}", "zone": "a" * (1 + i % 3)}, samples, exemplars))
    # Exemplars with odd labels and values.
    parts.append(series("odd", {"x": '<&> "quoted" zwölf'}, [(now, 1), (now + 5, 2)],
                        [(now, 1e21, {"a": "<b>", "ü": "\\"}), (now + 1, -0.0, {"trace_id": "t"}), (now + 2, 1e-9, {}), (now + 3, 123456.789, {"b": "c"})]))
    PAIR.write(*parts)


def exemplars():
    """query_exemplars answers alike"""
    now = PAIR.now / 1000
    found = 0
    for query in ("requests_total", 'requests_total{i=~"1.*"}', "rate(errors_total[5m]) / on(i) bytes", "odd", '{instance="host-3"}', "nothing", "sum(bytes) + odd",
                  'requests_total{i!="3"} or requests_total'):
        for bounds in ((now - 100, now + 1000), (now + 10, now + 20.5), (now + 5000, now + 6000), (None, None)):
            pairs = [("query", query)] + [(k, v) for k, v in zip(("start", "end"), bounds) if v is not None]
            for method in ("GET", "POST"):
                answer = PAIR.same(method, "query_exemplars", pairs)
                found += answer[1].count("trace_id")
    assert found > 100, found
    for pairs in ([], [("query", "1")], [("query", "(")], [("query", "odd"), ("start", "5"), ("end", "3")], [("query", "odd"), ("start", "x")]):
        PAIR.same("GET", "query_exemplars", pairs)


def statistics():
    """status/tsdb counts alike"""
    ours, theirs = (json.loads(body)["data"] for _, body in PAIR.both("GET", "status/tsdb"))
    assert ours.pop("seriesGrowthByMetricName")[0]["name"] == "requests_total"
    assert list(ours) == list(theirs), (ours, theirs)
    assert ours["headStats"] == theirs["headStats"], (ours["headStats"], theirs["headStats"])
    for key in theirs:
        if key == "headStats":
            continue
        # Theirs leaves the order of equal counts, and which of them are shown, to chance.
        assert [entry["value"] for entry in ours[key]] == [entry["value"] for entry in theirs[key]], (key, ours[key], theirs[key])
        least = theirs[key][-1]["value"]
        named = [sorted((e["name"], e["value"]) for e in side[key] if e["value"] > least) for side in (ours, theirs)]
        assert named[0] == named[1], (key, named)
    limited = json.loads(fetch(f"{PAIR.stack.url('query')}/api/v1/status/tsdb?limit=2")[1])["data"]
    assert limited["seriesCountByMetricName"] == ours["seriesCountByMetricName"][:2], limited
    status, body = fetch(f"{PAIR.stack.url('query')}/api/v1/status/tsdb?limit=x")
    assert (status, json.loads(body)["error"]) == (400, "limit must be a positive number"), body


def status():
    """runtimeinfo and walreplay have the same members"""
    ours, theirs = (json.loads(body)["data"] for _, body in PAIR.both("GET", "status/runtimeinfo"))
    assert ours["storageRetention"] == theirs["storageRetention"] == "15d", (ours, theirs)
    assert ours["corruptionCount"] == theirs["corruptionCount"] == 0
    ours, theirs = (json.loads(body)["data"] for _, body in PAIR.both("GET", "status/walreplay"))
    assert list(ours) == list(theirs) == ["min", "max", "current"], (ours, theirs)
    assert ours["current"] == ours["max"], ours


def bad_admin_requests():
    """bad admin requests are refused alike"""
    for method, path, pairs in [
        ("POST", "admin/tsdb/delete_series", []), ("PUT", "admin/tsdb/delete_series", []), ("POST", "admin/tsdb/delete_series", [("match[]", "{")]),
        ("POST", "admin/tsdb/delete_series", [("match[]", "odd[5m]")]), ("POST", "admin/tsdb/delete_series", [("match[]", "odd"), ("start", "x")]),
        ("POST", "admin/tsdb/delete_series", [("match[]", "odd"), ("end", "x")]), ("POST", "admin/tsdb/snapshot", [("skip_head", "maybe")]),
    ]:
        assert PAIR.same(method, path, pairs)[0] == 400
    for path in ("delete_series", "snapshot", "clean_tombstones"):
        assert PAIR.same("GET", f"admin/tsdb/{path}")[0] == 405


def everything(at):
    form = [("query", '{__name__=~".+"}[30m]'), ("time", at)]
    ours, theirs = (sorted(json.loads(body)["data"]["result"], key=json.dumps) for _, body in PAIR.both("GET", "query", form))
    assert ours == theirs, (len(ours), len(theirs), ours[:2], theirs[:2])
    form = [("match[]", '{__name__=~".+"}'), ("start", at - 1800), ("end", at)]
    listed, expected = (sorted(json.loads(body)["data"], key=json.dumps) for _, body in PAIR.both("GET", "series", form))
    assert listed == expected, (len(listed), len(expected), [s for s in listed if s not in expected], [s for s in expected if s not in listed])
    return len(ours)


def deletes():
    """what is deleted is gone, here as there, also after a restart and a clean-up"""
    now = PAIR.now / 1000
    at = now + 400
    assert everything(at) == 41
    for pairs in ([("match[]", 'requests_total{i=~"3."}')], [("match[]", "bytes"), ("start", now + 30), ("end", now + 90.5)],
                  [("match[]", "odd"), ("match[]", 'errors_total{i="4"}'), ("end", now + 10)], [("match[]", "nothing")],
                  [("match[]", 'errors_total{i="7"}'), ("start", now + 100), ("end", now + 50)]):
        assert PAIR.same("POST", "admin/tsdb/delete_series", pairs)[0] == 204, pairs
        everything(at)
    assert PAIR.same("POST", "admin/tsdb/clean_tombstones")[0] == 204
    left = everything(at)
    assert left < 41, left
    # A later sample of a deleted series counts.
    PAIR.write(series("odd", {"x": '<&> "quoted" zwölf'}, [(PAIR.now + 20 * 15_000, 7)]))
    assert everything(at) == left + 1
    PAIR.stack.kill("storage", signal.SIGKILL)
    PAIR.theirs.kill(signal.SIGKILL)
    PAIR.start_theirs()
    PAIR.stack.start("storage")
    assert everything(at) == left + 1


def snapshots():
    """a snapshot has the name that it says, and blocks that promtool reads"""
    for pairs in ([], [("skip_head", "true")], [("skip_head", "0")]):
        for (code, body), data in zip(PAIR.both("POST", "admin/tsdb/snapshot", pairs), (PAIR.stack.path("storage"), f"{PAIR.dir}/data")):
            assert code == 200, (data, body)
            name = json.loads(body)["data"]["name"]
            assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name), name
            folder = os.path.join(data, "snapshots", name)
            blocks = sorted(os.listdir(folder))
            assert len(blocks) == (0 if ("skip_head", "true") in pairs else 1), (data, blocks)
            if blocks:
                listed = subprocess.run([peer("promtool"), "tsdb", "list", folder], capture_output=True, text=True, timeout=60)
                assert listed.returncode == 0 and blocks[0] in listed.stdout, (listed.stdout, listed.stderr)


def main():
    global PAIR
    if not peer("prometheus") or not peer("promtool"):
        return 77
    PAIR = Pair()
    try:
        run_cases([fill, exemplars, statistics, status, bad_admin_requests, deletes, snapshots])
    finally:
        PAIR.close()


if __name__ == "__main__":
    sys.exit(main())
