#!/usr/bin/env python3
"""Remote write and remote read between us and the real Prometheus: it sends to us what it scrapes, and another one without data of its own
answers queries by reading from us. Both must say the same."""

import json
import os
import shutil
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, bin_dir, fetch, free_port, peer, run_cases, wait_for  # noqa: E402


class Target:
    """A page whose values depend on how often it was asked. Series come and go, values are of all kinds."""

    def __init__(self):
        owner = self
        self.scrapes = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.scrapes += 1
                body = owner.page(owner.scrapes).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def page(n):
        lines = ["# TYPE steps counter", f"steps_total {n}", f"special{{of=\"nan\"}} {'NaN' if n % 2 else n}",
                 f"special{{of=\"inf\"}} {'+Inf' if n % 3 else '-Inf'}", f"special{{of=\"tiny\"}} {n}e-300",
                 f"special{{of=\"ünïcode \\\"quoted\\\" \\\\ slash\"}} {n / 7}"]
        lines += [f'wide{{series="{i}", parity="{i % 2}"}} {i * n + (n % 5) / 3}' for i in range(60)]
        if n % 6 < 3:
            lines.append(f"comes_and_goes {n}")
        lines += [f'seconds_bucket{{le="{le}"}} {n * k}' for k, le in enumerate(("0.1", "1", "+Inf"), 1)]
        return "\n".join(lines) + "\n"

    def close(self):
        self.server.shutdown()


class Prometheus:
    def __init__(self, directory, name, config, *flags):
        self.port = free_port()
        path = os.path.join(directory, name + ".yml")
        with open(path, "w") as f:
            f.write(config)
        self.process = Process(
            [peer("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={os.path.join(directory, name)}",
             f"--web.listen-address=127.0.0.1:{self.port}", *flags], os.path.join(directory, name + ".log"))
        wait_for("Prometheus", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200, 60)

    def ask(self, path, **params):
        status, body = fetch(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(params, doseq=True)}", timeout=60)
        return status, json.loads(body)


class Storage:
    def __init__(self, directory, config=None):
        self.port, self.grpc = free_port(), free_port()
        command = [os.path.join(bin_dir(), "narthex-storage"), f"--storage.path={os.path.join(directory, 'ours')}",
                   f"--web.listen-address=127.0.0.1:{self.port}", f"--grpc.listen-address=127.0.0.1:{self.grpc}"]
        if config:
            path = os.path.join(directory, "ours.yml")
            with open(path, "w") as f:
                f.write(config)
            command.append(f"--config.file={path}")
        self.process = Process(command, os.path.join(directory, "ours.log"))
        wait_for("storage", lambda: fetch(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200, 60)

    def metric(self, name):
        for line in fetch(f"http://127.0.0.1:{self.port}/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0.0


def with_directory(case):
    def run():
        if peer("prometheus") is None:
            return
        directory = tempfile.mkdtemp(prefix="narthex-remote-")
        try:
            case(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    run.__name__, run.__doc__ = case.__name__, case.__doc__
    return run


QUERIES = ['{job="t"}[1h]', 'steps_total', 'wide{parity="1"}[1h]', 'special{of=~"n.*|t.+"}[1h]', 'special{of!="nan",of!~"i.*"}[1h]',
           'comes_and_goes[1h]', 'seconds_bucket{le="+Inf"}[1h]', '{__name__=~"w.*",series=~"1[0-9]"}[1h]', 'absent_metric', 'wide{series="none"}',
           'sum by (parity) (rate(wide[20s]))', 'topk(3, wide)', 'up{job="t"}[1h]']


def value_of(answer):
    assert answer["status"] == "success", answer
    result = answer["data"]["result"]
    return sorted((json.dumps(r["metric"], sort_keys=True), r.get("value"), r.get("values")) for r in result)


@with_directory
def what_prometheus_sends_is_what_another_reads(directory):
    """a real Prometheus writes to us what it scrapes; another one reads it from us and answers the same queries with the same samples"""
    target = Target()
    storage = Storage(directory)
    url = f"http://127.0.0.1:{storage.port}/api/v1"
    writer = Prometheus(directory, "writer", f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: t
  static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]
remote_write:
- url: {url}/write
  send_exemplars: true
  queue_config: {{batch_send_deadline: 200ms}}
""")
    reader = Prometheus(directory, "reader", f"""
remote_read:
- url: {url}/read
  read_recent: true
""")
    wait_for("scrapes", lambda: target.scrapes >= 24, 60)
    end = time.time() - 2
    wait_for("samples", lambda: storage.metric("narthex_storage_remote_write_samples_total") >= 70 * 20, 30)
    for query in QUERIES:
        theirs, ours = writer.ask("query", query=query, time=f"{end:.3f}"), reader.ask("query", query=query, time=f"{end:.3f}")
        assert theirs[0] == ours[0] == 200, (query, theirs, ours)
        expected, got = value_of(theirs[1]), value_of(ours[1])
        assert expected == got, (query, str(expected)[:800], str(got)[:800])
        if query.startswith("{job"):
            assert len(got) >= 70 and sum(len(r[2]) for r in got) > 1000, len(got)
    params = {"query": "rate(wide[5s])", "start": f"{end - 10:.3f}", "end": f"{end:.3f}", "step": "1"}
    theirs, ours = writer.ask("query_range", **params), reader.ask("query_range", **params)
    assert value_of(theirs[1]) == value_of(ours[1]) and len(value_of(ours[1])) == 60
    theirs, ours = writer.ask("labels"), reader.ask("labels")
    assert set(ours[1]["data"]) <= set(theirs[1]["data"])
    log = open(os.path.join(directory, "writer.log"), errors="replace").read()
    for word in ("non-recoverable error", "Failed to send batch", "server returned HTTP status"):
        assert word not in log, [line for line in log.splitlines() if word in line][:3]
    target.close()
    writer.process.kill()
    reader.process.kill()
    storage.process.kill(15)


@with_directory
def external_labels_belong_to_what_leaves(directory):
    """a reader sees the external labels of our configuration, may ask by them, and gets nothing for others"""
    target = Target()
    storage = Storage(directory, "global: {external_labels: {node: a, job: hidden}}\n")
    url = f"http://127.0.0.1:{storage.port}/api/v1"
    writer = Prometheus(directory, "writer", f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: t
  static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]
remote_write: [{{url: "{url}/write", queue_config: {{batch_send_deadline: 200ms}}}}]
""")
    reader = Prometheus(directory, "reader", f'remote_read: [{{url: "{url}/read", read_recent: true}}]\n')
    wait_for("samples", lambda: storage.metric("narthex_storage_remote_write_samples_total") >= 300, 60)
    time_of = f"{time.time():.3f}"
    got = value_of(reader.ask("query", query='steps_total{node="a"}', time=time_of)[1])
    assert len(got) == 1 and '"node": "a"' in got[0][0] and '"job": "t"' in got[0][0], got
    assert value_of(reader.ask("query", query='steps_total{node="b"}', time=time_of)[1]) == []
    for process in (writer.process, reader.process, storage.process):
        process.kill(15)
    target.close()


def uvarint(n):
    n &= (1 << 64) - 1
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return uvarint(field << 3) + uvarint(n)


def real(field, x):
    return uvarint(field << 3 | 1) + struct.pack("<d", x)


def message(field, body):
    return uvarint(field << 3 | 2) + uvarint(len(body)) + body


def series(labels, samples=()):
    body = b"".join(message(1, message(1, name.encode()) + message(2, value.encode())) for name, value in labels)
    return message(1, body + b"".join(message(2, real(1, value) + number(2, timestamp)) for timestamp, value in samples))


def snappy(data):
    """Literals only."""
    out = uvarint(len(data))
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return out


def post(url, body, headers=None):
    return fetch(url, data=body, method="POST", headers=headers or {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"})


RECEIVER = ("--web.enable-remote-write-receiver",)


@with_directory
def the_same_requests_get_the_same_answers(directory):
    """requests, good and bad, get the status that the real receiver gives, and leave the same samples"""
    storage = Storage(directory)
    theirs = Prometheus(directory, "theirs", "{}", *RECEIVER)
    reader = Prometheus(directory, "reader", f'remote_read: [{{url: "http://127.0.0.1:{storage.port}/api/v1/read", read_recent: true}}]\n', *RECEIVER)
    now = int(time.time() * 1000) - 60_000
    up = [("__name__", "up"), ("job", "x")]
    good = series(up, [(now, 1)])
    cases = [
        ("a sample", good), ("the same again", good), ("a newer one", series(up, [(now + 1000, 2)])),
        ("another value", series(up, [(now + 1000, 3)])), ("an older one", series(up, [(now, 9)])),
        ("good and bad", series([("__name__", "lost")], [(now, 1)]) + series(up, [(now - 1, 1)])),
        ("unsorted labels", series([("z", "1"), ("__name__", "unsorted"), ("a", "2")], [(now, 1)])),
        ("an empty value", series([("__name__", "empty"), ("a", "")], [(now, 1)])),
        ("no samples", series([("__name__", "none")])), ("nothing", b""),
        ("several samples", series([("__name__", "many")], [(now + i, i * 0.5) for i in range(300)])),
        ("metadata", message(3, number(1, 1) + message(2, b"up") + message(4, b"help"))),
        ("an unknown field", good.replace(b"up", b"uq") + message(99, b"x")),
        ("a cut message", good[:-3]), ("a wrong wire type", number(1, 5)),
    ]
    cases = [(name, snappy(body)) for name, body in cases] + [("no snappy", b"\xff\xff\xff\xff\xff")]
    for name, body in cases:
        ours, other = post(f"http://127.0.0.1:{storage.port}/api/v1/write", body), post(f"http://127.0.0.1:{theirs.port}/api/v1/write", body)
        assert ours[0] == other[0], (name, ours, other)
    query = '{__name__=~".+"}[5m]'
    end = f"{time.time():.3f}"
    expected, got = value_of(theirs.ask("query", query=query, time=end)[1]), value_of(reader.ask("query", query=query, time=end)[1])
    assert expected == got and len(got) == 5, (expected, got)
    for process in (theirs.process, reader.process, storage.process):
        process.kill(15)


@with_directory
def query_stands_in_for_its_storage(directory):
    """what is written to query's port is in its storage, and another Prometheus reads it from query"""
    target = Target()
    storage = Storage(directory)
    config = os.path.join(directory, "query.yml")
    with open(config, "w") as f:
        f.write("global: {external_labels: {node: q}}\n")
    port = free_port()
    query = Process([os.path.join(bin_dir(), "narthex-query"), f"--config.file={config}", f"--storage.endpoint=127.0.0.1:{storage.grpc}",
                     f"--web.listen-address=127.0.0.1:{port}"], os.path.join(directory, "query.log"))
    url = f"http://127.0.0.1:{port}/api/v1"
    wait_for("query", lambda: fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60)
    writer = Prometheus(directory, "writer", f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: t
  static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]
remote_write: [{{url: "{url}/write", queue_config: {{batch_send_deadline: 200ms}}}}]
""")
    reader = Prometheus(directory, "reader", f'remote_read: [{{url: "{url}/read", read_recent: true}}]\n')
    wait_for("samples", lambda: storage.metric("narthex_storage_remote_write_samples_total") >= 700, 60)
    end = time.time() - 2

    def samples(prometheus):
        answer = value_of(prometheus.ask("query", query='wide{parity="1"}[1h]', time=f"{end:.3f}")[1])
        return [values for _, _, values in answer]
    wait_for("the same answer", lambda: samples(reader) == samples(writer) and len(samples(reader)) == 30, 20)
    named = value_of(reader.ask("query", query='count by (node) (steps_total{node="q"})', time=f"{end:.3f}")[1])
    assert named[0][0] == '{"node": "q"}', named
    body = json.dumps({"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]}, "scopeMetrics": [
        {"metrics": [{"name": "over.otlp", "gauge": {"dataPoints": [{"timeUnixNano": f"{int(time.time())}000000000", "asInt": "7"}]}}]}]}]})
    status, answer = fetch(f"{url}/otlp/v1/metrics", data=body, headers={"Content-Type": "application/json"})
    assert (status, answer) == (200, "{}"), (status, answer)
    status, answer = fetch(f"{url}/query?query=over_otlp")
    assert json.loads(answer)["data"]["result"][0]["value"][1] == "7", answer
    storage.process.kill(15)
    status, answer = fetch(f"{url}/write", data=b"", method="POST", headers={"Content-Type": "application/x-protobuf"})
    assert status == 503, (status, answer)
    for process in (writer.process, reader.process, query):
        process.kill(15)
    target.close()


@with_directory
def a_sender_waits_for_us(directory):
    """what is written while we are down arrives when we are back, and a restart in the middle loses and doubles nothing"""
    target = Target()
    storage = Storage(directory)
    port = storage.port
    writer = Prometheus(directory, "writer", f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: t
  static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]
remote_write: [{{url: "http://127.0.0.1:{port}/api/v1/write", queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms}}}}]
""")
    wait_for("samples", lambda: storage.metric("narthex_storage_remote_write_samples_total") >= 300, 60)
    storage.process.kill(9)
    seen = target.scrapes
    wait_for("scrapes without us", lambda: target.scrapes >= seen + 6, 30)
    storage.process = Process(storage.process.command, os.path.join(directory, "ours2.log"))
    seen = target.scrapes
    wait_for("scrapes with us again", lambda: target.scrapes >= seen + 6, 30)
    end = time.time() - 2
    reader = Prometheus(directory, "reader", f'remote_read: [{{url: "http://127.0.0.1:{port}/api/v1/read", read_recent: true}}]\n')
    query = '{job="t",__name__!="scrape_duration_seconds"}[1h]'
    expected = value_of(writer.ask("query", query=query, time=f"{end:.3f}")[1])

    def same():
        return value_of(reader.ask("query", query=query, time=f"{end:.3f}")[1]) == expected
    wait_for("the same answer", same, 20)
    for process in (writer.process, reader.process, storage.process):
        process.kill(15)
    target.close()


if __name__ == "__main__":
    run_cases([what_prometheus_sends_is_what_another_reads, external_labels_belong_to_what_leaves,
               the_same_requests_get_the_same_answers, query_stands_in_for_its_storage, a_sender_waits_for_us])
