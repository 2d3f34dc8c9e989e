#!/usr/bin/env python3
"""The three journeys through the real binaries: samples to queries, an alert to a webhook, a push to a query; and what bad input gets."""

import json
import os
import signal
import subprocess
import threading
import time

from harness import Process, Server, Stack, bin_dir, fetch, free_port, peer, run_cases, wait_for

RULES = """
groups:
  - name: suite
    interval: 200ms
    rules:
      - record: job:suite_value:sum
        expr: sum by (job) (suite_value)
      - alert: SuiteValueHigh
        expr: suite_value > 5
        for: 400ms
        labels: {severity: page}
        annotations:
          summary: '{{ $labels.instance }} is at {{ $value | humanize }}'
"""


class Target:
    """A target with one gauge whose value a test sets."""

    def __init__(self):
        self.value = 1
        self.scrapes = 0
        self.server = Server(self.answer)
        self.address = self.server.address

    def answer(self, request):
        self.scrapes += 1
        body = f"# HELP suite_value A value.\n# TYPE suite_value gauge\nsuite_value {self.value}\n".encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/plain; version=0.0.4")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.close()


class Sink:
    """A webhook that keeps what it was sent."""

    def __init__(self):
        self.bodies = []
        self.server = Server(self.answer)
        self.url = f"http://{self.server.address}/"

    def answer(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.bodies.append(json.loads(body))
        request.send_response(200)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.close()


def config(*targets, extra="", rules=False):
    jobs = "".join(f"  - job_name: job{i}\n    static_configs: [{{targets: ['{t}']}}]\n" for i, t in enumerate(targets))
    return (f"global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n"
            f"{'rule_files: [rules.yml]' if rules else ''}\n{extra}scrape_configs:\n{jobs}")


def journeys():
    """a sample is scraped, stored and queried; an alert fires, is notified and resolves; a push is shown"""
    with Target() as target, Sink() as sink, Stack() as stack:
        stack.write("rules.yml", RULES)
        stack.write("prometheus.yml", config(target.address, f"127.0.0.1:{stack.ports['pushgateway']}", rules=True))
        stack.write("alertmanager.yml", f"""
route: {{receiver: sink, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 1h}}
receivers:
  - name: sink
    webhook_configs: [{{url: '{sink.url}', send_resolved: true}}]
""")
        stack.start("storage", "alertmanager", "pushgateway", "scraper", "query")
        wait_for("the sample", lambda: stack.value("suite_value") == 1)
        wait_for("the recorded series", lambda: stack.value("job:suite_value:sum") == 1)
        assert stack.value("up{job='job0'}") == 1
        series = stack.api("series", **{"match[]": "suite_value"})
        assert series == [{"__name__": "suite_value", "instance": target.address, "job": "job0"}], series
        assert "suite_value" in stack.api("label/__name__/values")
        assert stack.api("metadata", metric="suite_value") == {
            "suite_value": [{"type": "gauge", "help": "A value.", "unit": ""}]}
        active = stack.api("targets")["activeTargets"]
        assert {t["health"] for t in active} == {"up"} and len(active) == 2, active
        groups = stack.api("rules")["groups"]
        assert [r["type"] for r in groups[0]["rules"]] == ["recording", "alerting"], groups

        target.value = 12345
        firing = wait_for("the firing notification", lambda: [b for b in sink.bodies if b["status"] == "firing"])[0]
        assert firing["version"] == "4" and firing["receiver"] == "sink", firing
        alert = firing["alerts"][0]
        assert alert["labels"]["alertname"] == "SuiteValueHigh" and alert["labels"]["severity"] == "page", alert
        assert alert["annotations"]["summary"] == f"{target.address} is at 12.35k" or \
            alert["annotations"]["summary"] == f"{target.address} is at 12.34k", alert
        assert stack.value("ALERTS{alertstate='firing'}") == 1
        assert stack.api("alerts")["alerts"][0]["state"] == "firing"
        status, body = fetch(f"{stack.url('alertmanager')}/api/v2/alerts")
        assert status == 200 and json.loads(body)[0]["labels"]["alertname"] == "SuiteValueHigh", body
        target.value = 1
        wait_for("the resolved notification", lambda: any(b["status"] == "resolved" for b in sink.bodies))
        assert stack.api("alerts")["alerts"] == []

        push = f"{stack.url('pushgateway')}/metrics/job/batch/instance/x"
        assert fetch(push, "pushed_total 7\n", method="PUT")[0] in (200, 202)
        wait_for("the pushed sample", lambda: stack.value("pushed_total") == 7)
        stack.kill("pushgateway", signal.SIGTERM)
        stack.start("pushgateway")
        status, body = fetch(f"{stack.url('pushgateway')}/metrics")
        assert 'pushed_total{instance="x",job="batch"} 7' in body, body

        promtool = peer("promtool")
        if promtool:
            out = subprocess.run([promtool, "query", "instant", stack.url("query"), "suite_value"], capture_output=True, text=True)
            assert out.returncode == 0 and "suite_value{" in out.stdout, out
            out = subprocess.run([promtool, "query", "range", "--step=1s", stack.url("query"), "up"], capture_output=True, text=True)
            assert out.returncode == 0 and "up{" in out.stdout, out
            out = subprocess.run([promtool, "query", "labels", stack.url("query"), "job"], capture_output=True, text=True)
            assert out.returncode == 0 and "job0" in out.stdout, out


def reload():
    """a reload takes new targets, keeps the loops of old ones, and refuses a bad file with its place"""
    with Target() as one, Target() as two, Stack() as stack:
        stack.write("prometheus.yml", config(one.address))
        stack.start("storage", "scraper", "query")
        wait_for("the first target", lambda: stack.value("suite_value") == 1)
        stack.write("prometheus.yml", config(one.address, two.address))
        assert fetch(f"{stack.url('query')}/-/reload", b"", method="POST")[0] == 200
        wait_for("the second target", lambda: len(stack.query("suite_value")) == 2)
        stack.write("prometheus.yml", config(one.address) + "  - job_name: x\n    scrape_intervall: 1s\n")
        status, body = fetch(f"{stack.url('query')}/-/reload", b"", method="POST")
        assert status == 500 and "prometheus.yml:" in body and "scrape_intervall" in body, (status, body)
        status, body = fetch(f"{stack.url('scraper')}/-/reload", b"", method="POST")
        assert status == 500 and "scrape_intervall" in body, (status, body)
        metrics = fetch(f"{stack.url('scraper')}/metrics")[1]
        assert "prometheus_config_last_reload_successful 0" in metrics
        before = two.scrapes
        wait_for("the old configuration to stay", lambda: two.scrapes > before + 2)
        stack.write("prometheus.yml", config(one.address, two.address))
        stack.processes["scraper"].process.send_signal(signal.SIGHUP)
        wait_for("the good reload", lambda: "prometheus_config_last_reload_successful 1" in fetch(f"{stack.url('scraper')}/metrics")[1])
        # The loop of the first target went on: no gap of more than a few intervals in its samples.
        samples = stack.query(f"suite_value{{instance='{one.address}'}}[1m]")[0]["values"]
        gaps = [b[0] - a[0] for a, b in zip(samples, samples[1:])]
        assert max(gaps) < 1.5, max(gaps)


def bad_start():
    """an unknown flag, a bad file, a taken port and an unwritable folder are one clear line and exit code 1"""
    with Stack(config("127.0.0.1:1")) as stack:
        def ends(name, *flags, want):
            process = Process([*stack.command(name), *flags], stack.path("bad.log"))
            code = wait_for("the end", lambda: None if process.alive() else (process.process.returncode,), 30)[0]
            lines = [line for line in process.tail(30).splitlines() if line.startswith(f"narthex-{name}: ")]
            assert code == 1, (name, flags, code, process.tail())
            assert any(want in line for line in lines), (want, process.tail())
            os.unlink(stack.path("bad.log"))

        for name in stack.ports:
            ends(name, "--no-such-flag=1", want="unknown flag --no-such-flag")
        listener = Server(lambda request: None)
        for name in stack.ports:
            command = stack.command(name)
            taken = [c.replace(str(stack.ports[name]), str(listener.port)) for c in command]
            process = Process(taken, stack.path("bad.log"))
            wait_for("the end", lambda: not process.alive(), 30)
            assert process.process.returncode == 1, (name, process.tail())
            assert "address already in use" in process.tail() and str(listener.port) in process.tail(), process.tail()
            os.unlink(stack.path("bad.log"))
        listener.close()
        for name, flag in (("storage", "--storage.path=/proc/none"), ("scraper", "--spool.path=/proc/none"),
                           ("alertmanager", "--storage.path=/proc/none")):
            command = [c for c in stack.command(name) if not c.startswith(flag.split("=")[0])]
            process = Process([*command, flag], stack.path("bad.log"))
            wait_for("the end", lambda: not process.alive(), 30)
            assert process.process.returncode == 1 and "/proc/none" in process.tail(), (name, process.tail())
            os.unlink(stack.path("bad.log"))
        for name in ("storage", "scraper", "query"):
            stack.write("prometheus.yml", "global:\n  scrape_intervall: 1s\n")
            ends(name, want="prometheus.yml:2:")
        stack.write("alertmanager.yml", "route: {receiver: a}\nreceivers: [{name: b}]\n")
        ends("alertmanager", want="alertmanager.yml")


def later_sections():
    """a section whose function comes later is accepted, named in one warning and in a gauge"""
    extra = ("remote_write: [{url: 'http://127.0.0.1:1/write'}]\nremote_read: [{url: 'http://127.0.0.1:1/read'}]\n"
             "tracing: {endpoint: '127.0.0.1:1'}\n")
    with Stack(config("127.0.0.1:1", extra=extra)) as stack:
        stack.start("storage", "scraper", "query")
        for section, owner in (("remote_write", "storage"), ("remote_read", "query"), ("tracing", "query")):
            with open(stack.path(f"{owner}.log")) as f:
                warned = [line for line in f if section in line and "level=WARN" in line]
            assert len(warned) == 1, (section, owner, warned)
            metrics = fetch(f"{stack.url(owner)}/metrics")[1]
            assert any(section in line and line.endswith(" 1") for line in metrics.splitlines() if not line.startswith("#")), section


def storage_down():
    """queries answer 503 and name the endpoint while storage is away, and go on when it is back"""
    with Target() as target, Stack() as stack:
        stack.write("prometheus.yml", config(target.address))
        stack.start("storage", "scraper", "query")
        wait_for("the sample", lambda: stack.value("suite_value") == 1)
        stack.kill("storage")
        endpoint = f"127.0.0.1:{stack.grpc['storage']}"
        for path in ("query?query=up", "query_range?query=up&start=1&end=2&step=1", "labels", "series?match[]=up"):
            status, body = fetch(f"{stack.url('query')}/api/v1/{path}")
            answer = json.loads(body)
            assert (status, answer["status"], answer["errorType"]) == (503, "error", "unavailable"), (path, status, body)
            assert endpoint in answer["error"], body
        stack.start("storage")
        wait_for("queries to go on", lambda: stack.value("suite_value") == 1)


def others_go_on():
    """each process may be killed and the rest goes on"""
    with Target() as target, Stack() as stack:
        stack.write("prometheus.yml", config(target.address, f"127.0.0.1:{stack.ports['pushgateway']}"))
        names = ("storage", "alertmanager", "pushgateway", "scraper", "query")
        stack.start(*names)
        wait_for("the sample", lambda: stack.value("suite_value") == 1)
        for name in ("alertmanager", "pushgateway", "query", "scraper"):
            stack.kill(name)
            for other in names:
                if other != name:
                    assert stack.processes[other].alive() and fetch(f"{stack.url(other)}/-/ready")[0] == 200, (name, other)
            if name not in ("query", "scraper"):
                before = target.scrapes
                wait_for("scrapes to go on", lambda: target.scrapes > before + 2)
                assert stack.value("suite_value") == 1
            stack.start(name)
        before = target.scrapes
        wait_for("scrapes after all", lambda: target.scrapes > before + 2)
        newest = wait_for("a fresh sample", lambda: stack.query("timestamp(suite_value)"))[0]
        assert time.time() - float(newest["value"][1]) < 5, newest


def drain():
    """SIGTERM ends every process with exit code 0 within seconds"""
    with Target() as target, Stack() as stack:
        stack.write("prometheus.yml", config(target.address))
        names = ("storage", "alertmanager", "pushgateway", "scraper", "query")
        stack.start(*names)
        wait_for("the sample", lambda: stack.value("suite_value") == 1)
        for name in reversed(names):
            start = time.monotonic()
            assert stack.kill(name, signal.SIGTERM) == 0, (name, stack.processes[name].tail())
            assert time.monotonic() - start < 10, (name, time.monotonic() - start)


if __name__ == "__main__":
    run_cases([journeys, reload, bad_start, later_sections, storage_down, others_go_on, drain])
