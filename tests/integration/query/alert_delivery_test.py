#!/usr/bin/env python3
"""Alerts from rules to the real Alertmanager over HTTP: they arrive, they outlive an outage of storage, which raises an alert of its own, and they
are resolved when their condition is over."""

import json
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "suite"))
from harness import Process, Stack, fetch, free_port, peer, run_cases, wait_for  # noqa: E402

RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - record: condition
        expr: vector(LEVEL)
      - alert: On
        expr: condition > 0
        labels: {severity: page, text: "level {{ $value }} in {{ $externalLabels.region }}"}
        annotations: {summary: "{{ $value }}<&>"}
"""


class World:
    def __init__(self):
        self.port = free_port()
        # Alerts end four resend delays after they were last sent.
        self.stack = Stack(f"""
global: {{evaluation_interval: 1s, external_labels: {{region: eu}}}}
rule_files: [rules.yml]
alerting:
  alert_relabel_configs: [{{action: labeldrop, regex: dropped}}]
  alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{self.port}"]}}], path_prefix: /am/}}]
""", flags={"query": ["--rules.alert.resend-delay=1s", "--web.external-url=http://query.example/q"]})
        self.level(1)
        config = self.stack.write("am.yml", "route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n")
        self.theirs = Process([peer("prometheus-alertmanager"), f"--config.file={config}", f"--storage.path={self.stack.path('am')}",
                               f"--web.listen-address=127.0.0.1:{self.port}", "--web.route-prefix=/am", "--cluster.listen-address="],
                              self.stack.path("am.log"))
        self.stack.start("storage", "query", ready=False)
        self.stack.wait_ready("storage")
        wait_for("the API", lambda: fetch(f"{self.stack.url('query')}/q/-/ready")[0] == 200)

    def level(self, level):
        self.stack.write("rules.yml", RULES.replace("LEVEL", str(level)))

    def alerts(self):
        """{alertname: alert} of what is active at the Alertmanager."""
        status, body = fetch(f"http://127.0.0.1:{self.port}/am/api/v2/alerts")
        return {alert["labels"]["alertname"]: alert for alert in json.loads(body)} if status == 200 else {}

    def close(self):
        self.theirs.kill(signal.SIGTERM)
        for name, process in self.stack.processes.items():
            if process.alive():
                self.stack.kill(name, signal.SIGTERM)
        shutil.rmtree(self.stack.dir)


WORLD = None


def test_an_alert_arrives():
    wait_for("the alert", lambda: "On" in WORLD.alerts())
    alert = WORLD.alerts()["On"]
    assert alert["labels"] == {"alertname": "On", "region": "eu", "severity": "page", "text": "level 1 in eu"}, alert
    assert alert["annotations"] == {"summary": "1<&>"}, alert
    assert alert["generatorURL"] == "http://query.example/q/graph?g0.expr=condition+%3E+0&g0.tab=1", alert


def test_an_outage_of_storage_resolves_nothing_and_is_an_alert_itself():
    first = WORLD.alerts()["On"]["startsAt"]
    WORLD.stack.kill("storage")
    wait_for("the alert about storage", lambda: "NarthexStorageUnavailable" in WORLD.alerts())
    description = WORLD.alerts()["NarthexStorageUnavailable"]["annotations"]["description"]
    assert f"127.0.0.1:{WORLD.stack.grpc['storage']}" in description, description
    # Longer than an alert lives that is not sent again.
    ends = []
    for _ in range(8):
        alerts = WORLD.alerts()
        assert alerts["On"]["startsAt"] == first, alerts
        ends.append(alerts["On"]["endsAt"])
        wait_for("it to be sent again", lambda: WORLD.alerts()["On"]["endsAt"] > ends[-1])
    WORLD.stack.start("storage")
    wait_for("the end of the alert about storage", lambda: "NarthexStorageUnavailable" not in WORLD.alerts())
    assert WORLD.alerts()["On"]["startsAt"] == first


def test_an_alert_is_resolved():
    WORLD.level(0)
    WORLD.stack.processes["query"].process.send_signal(signal.SIGHUP)
    wait_for("the end of the alert", lambda: "On" not in WORLD.alerts())


def main():
    global WORLD
    if not peer("prometheus-alertmanager"):
        return 77
    WORLD = World()
    try:
        run_cases([test_an_alert_arrives, test_an_outage_of_storage_resolves_nothing_and_is_an_alert_itself, test_an_alert_is_resolved])
    finally:
        WORLD.close()


if __name__ == "__main__":
    sys.exit(main())
