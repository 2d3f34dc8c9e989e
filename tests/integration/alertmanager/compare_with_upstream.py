#!/usr/bin/env python3
"""Runs narthex-alertmanager beside Prometheus' own Alertmanager and compares what they say and send.

Usage: compare_with_upstream.py <narthex-alertmanager>

The same configuration and the same alerts for both: notifications must be equal but for what newer versions added, and so must
the API's answers and errors. Then ours is killed and started again, and each of the two starts on the data folder of the other:
nothing is told twice and no silence is lost. Exits 77 when prometheus-alertmanager or amtool is not installed, and 1 for that
where CI=true.
"""

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

DEADLINE_SECONDS = 30
EXTERNAL_URL = "http://alerts.example:9093"

CONFIG = """
global:
  resolve_timeout: 5m
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
  - matchers: [team="a"]
    receiver: quiet
    continue: true
  - matchers: ['team=~"a|b"', 'x!="1"']
    group_by: ['...']
  - match: {team: capped}
    receiver: capped.(x)
    group_by: [alertname, cluster]
receivers:
- name: hook
  webhook_configs:
  - url: http://127.0.0.1:PORT/hook
- name: quiet
  webhook_configs:
  - url: http://127.0.0.1:PORT/quiet
    send_resolved: false
- name: capped.(x)
  webhook_configs:
  - url: http://127.0.0.1:PORT/capped
    max_alerts: 1
- name: unused
  webhook_configs:
  - url: http://127.0.0.1:PORT/unused
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [alertname]
"""

JSON_TYPE = {"Content-Type": "application/json"}

# (method, path, body, headers) with answers that must be the same, status and body.
REQUESTS = [
    ("GET", "/api/v2/receivers", None, {}),
    ("GET", "/api/v2/alerts?filter=team%3Da&active=false", None, {}),
    ("GET", "/api/v2/alerts?receiver=%28", None, {}),
    ("GET", "/api/v2/alerts/groups?receiver=%28", None, {}),
    ("POST", "/api/v2/alerts", "[]", {"Content-Type": "text/plain"}),
    ("POST", "/api/v2/alerts", '[{"annotations":{}}]', JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{}}]', JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{"a":""}}]', JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{"a":"c"},"startsAt":"2026-01-02T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]',
     JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{"a":1}}]', JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{"a":"b"},"startsAt":"yesterday"}]', JSON_TYPE),
    ("POST", "/api/v2/alerts", "{}", JSON_TYPE),
    ("POST", "/api/v2/alerts", "", JSON_TYPE),
    ("POST", "/api/v2/alerts", "null", JSON_TYPE),
    ("POST", "/api/v2/alerts", '[{"labels":{"a":"b"},"generatorURL":"no url"}]', JSON_TYPE),
    ("POST", "/api/v2/status", "", JSON_TYPE),
    ("GET", "/api/v2/nope", None, {}),
    ("GET", "/api/v2/silences", None, {}),
    ("GET", "/api/v2/silence/zzz", None, {}),
    ("GET", "/api/v2/silence/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", None, {}),
    ("POST", "/api/v2/silences", '{"matchers":[],"startsAt":"2026-11-20T10:00:00Z","endsAt":"2099-01-01T00:00:00Z",'
     '"createdBy":"me","comment":"c"}', JSON_TYPE),
    ("POST", "/api/v2/silences", '{"matchers":[{"name":"a","value":"x"}],"startsAt":"2026-11-20T10:00:00Z",'
     '"endsAt":"2020-01-01T00:00:00Z"}', JSON_TYPE),
    ("POST", "/api/v2/silences", '{"matchers":[{"name":"a","value":"x","isRegex":false}],"startsAt":"2016-11-20T10:00:00Z",'
     '"endsAt":"2020-01-01T00:00:00Z","createdBy":"me","comment":""}', JSON_TYPE),
    ("POST", "/api/v2/silences", '{"matchers":[{"name":"a","value":"x","isRegex":false}],"startsAt":"2026-11-20T10:00:00Z",'
     '"endsAt":"2020-01-01T00:00:00Z","createdBy":"me","comment":""}', JSON_TYPE),
]
# Only the status: the texts are those of newer versions, or name the parser.
STATUS_ONLY = [
    ("DELETE", "/api/v2/alerts", None, {}),  # Names the methods in any order.
    ("GET", "/-/healthy", None, {}),
    ("GET", "/-/ready", None, {}),
    ("GET", "/api/v2/alerts?filter=bad", None, {}),
    ("POST", "/api/v2/alerts", "[", JSON_TYPE),
    ("POST", "/api/v2/silences", '{"matchers":[{"name":"a","value":"","isRegex":false}],"startsAt":"2026-11-20T10:00:00Z",'
     '"endsAt":"2099-01-01T00:00:00Z","createdBy":"me","comment":"c"}', JSON_TYPE),
    ("POST", "/api/v2/silences", '{"matchers":[{"name":"a","value":"(","isRegex":true}],"startsAt":"2026-11-20T10:00:00Z",'
     '"endsAt":"2099-01-01T00:00:00Z","createdBy":"me","comment":"c"}', JSON_TYPE),
    ("POST", "/api/v2/silences", '{"id":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","matchers":[{"name":"a","value":"x",'
     '"isRegex":false}],"startsAt":"2026-11-20T10:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"me","comment":""}',
     JSON_TYPE),
]

checks = 0
failures = 0


def check(condition, what, detail=""):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        print(f"FAILED: {what}\n{detail}", flush=True)


def wait_for(condition, what):
    """Polls until the condition holds; says so and goes on when it never does."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    check(False, f"waited {DEADLINE_SECONDS} s for {what}")
    return False


class Sink:
    """A webhook's receiver that keeps what it is sent."""

    def __init__(self):
        self.received = []
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.received.append((self.path, body, self.headers["Content-Type"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Instance:
    """One Alertmanager with a folder, a sink and a port of its own."""

    def __init__(self, binary, folder, cluster_flag):
        self.binary = binary
        self.folder = folder
        self.cluster_flag = cluster_flag
        self.sink = Sink()
        self.port = free_port()
        self.process = None
        os.makedirs(folder, exist_ok=True)
        self.config = os.path.join(folder, "alertmanager.yml")
        self.write_config(CONFIG)

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text.replace("PORT", str(self.sink.port)))

    def start(self, binary=None, cluster_flag=None):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [binary or self.binary, f"--config.file={self.config}", f"--storage.path={self.folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", f"--web.external-url={EXTERNAL_URL}", cluster_flag or self.cluster_flag],
            stdout=log, stderr=log)
        wait_for(lambda: self.request("GET", "/-/ready")[0] == 200, f"{self.binary} to be ready")

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.wait(20)

    def request(self, method, path, body=None, headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers=headers or {},
                                         data=None if body is None else body.encode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""

    def post(self, alerts):
        status, body = self.request("POST", "/api/v2/alerts", json.dumps(alerts), JSON_TYPE)
        check(status == 200, f"{self.binary}: alerts refused", f"{status} {body}")

    def metric(self, name):
        for line in self.request("GET", "/metrics")[1].splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return None


def payload(body):
    """A notification without what versions after 0.25 added."""
    text = body.decode()
    text = re.sub(r'"notification_reason":"[^"]*",', "", text)
    return text.replace('"routeLabels":{},', "")


def by_group(sink):
    groups = {}
    for path, body, content_type in list(sink.received):
        check(content_type == "application/json", "content type of a notification", content_type)
        groups.setdefault((path, json.loads(body)["groupKey"]), []).append(payload(body))
    return groups


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.123456Z", time.gmtime(seconds))


def alert(labels, begin, end=None, annotations=None, url="http://rules/graph?g0.expr=a%3Eb&g0.tab=1"):
    made = {"labels": labels, "annotations": annotations or {}, "startsAt": iso(begin), "generatorURL": url}
    if end is not None:
        made["endsAt"] = iso(end)
    return made


def compare_notifications(ours, theirs):
    now = time.time()
    hour = now + 3600
    first = [
        alert({"alertname": "A", "team": "a", "severity": "critical", "job": "z"}, now, hour, {"s": "<x> & é", "t": "1"}),
        alert({"alertname": "A", "team": "b", "severity": "warning"}, now, hour),
        alert({"alertname": "B", "team": "c", "instance": "2"}, now, hour, {"t": "1"}),
        alert({"alertname": "B", "team": "c", "instance": "1"}, now, hour, {"t": "1"}),
        alert({"alertname": "C", "team": "capped", "cluster": "x", "i": "1"}, now, hour),
        alert({"alertname": "C", "team": "capped", "cluster": "x", "i": "2"}, now, hour),
        alert({"alertname": "quo\"te\\\n\u00e9", "x": "1"}, now, hour),
    ]
    for instance in (ours, theirs):
        instance.post(first)
    for instance in (ours, theirs):
        wait_for(lambda: len(instance.sink.received) >= 5, f"{instance.binary}: the first notifications")
    second = [
        alert({"alertname": "B", "team": "c", "instance": "3"}, now + 1, hour),
        alert({"alertname": "B", "team": "c", "instance": "1"}, now, now + 1, {"t": "1"}),
        alert({"alertname": "A", "team": "a", "severity": "critical", "job": "z"}, now, now + 1, {"s": "<x> & é", "t": "1"}),
    ]
    time.sleep(max(0, now + 2 - time.time()))
    for instance in (ours, theirs):
        instance.post(second)
    # B gets one more; A's resolve is told to the group of all labels and frees the inhibited one.
    for instance in (ours, theirs):
        wait_for(lambda: len(instance.sink.received) >= 8, f"{instance.binary}: the second notifications")
    mine, others = by_group(ours.sink), by_group(theirs.sink)
    check(sorted(mine) == sorted(others), "the notified groups", f"ours   {sorted(mine)}\ntheirs {sorted(others)}")
    for key in sorted(set(mine) & set(others)):
        check(mine[key] == others[key], f"notifications of {key}",
              "ours   " + "\n       ".join(mine[key]) + "\ntheirs " + "\n       ".join(others[key]))


def normal_alert(a):
    a = dict(a)
    a["status"] = {k: v for k, v in a["status"].items() if k != "mutedBy"}
    a.pop("updatedAt")
    return a


def compare_api(ours, theirs):
    for method, path, body, headers in REQUESTS:
        mine, other = (i.request(method, path, body, headers) for i in (ours, theirs))
        check(mine == other, f"{method} {path} {body or ''}", f"ours   {mine}\ntheirs {other}")
    for method, path, body, headers in STATUS_ONLY:
        mine, other = (i.request(method, path, body, headers)[0] for i in (ours, theirs))
        check(mine == other, f"status of {method} {path} {body or ''}", f"ours   {mine}\ntheirs {other}")
    mine, other = ([normal_alert(a) for a in json.loads(i.request("GET", "/api/v2/alerts")[1])] for i in (ours, theirs))
    check(mine == other, "GET /api/v2/alerts", f"ours   {mine}\ntheirs {other}")
    check(len(mine) >= 5, "there are alerts to compare", str(mine))
    for query in ["", "?silenced=false", "?inhibited=false", "?filter=team%3D%22c%22", "?receiver=hook"]:
        groups = []
        for instance in (ours, theirs):
            answer = json.loads(instance.request("GET", "/api/v2/alerts/groups" + query)[1])
            for group in answer:
                group["alerts"] = [normal_alert(a) for a in group["alerts"]]
            groups.append(answer)
        check(groups[0] == groups[1], f"GET /api/v2/alerts/groups{query}", f"ours   {groups[0]}\ntheirs {groups[1]}")
    status = [json.loads(i.request("GET", "/api/v2/status")[1]) for i in (ours, theirs)]
    check(sorted(status[0]) == sorted(status[1]) and status[0]["cluster"] == status[1]["cluster"] and
          sorted(status[0]["versionInfo"]) == sorted(status[1]["versionInfo"]), "GET /api/v2/status", str(status))
    # The configuration but for keys of newer versions and what they hide.
    newer = re.compile(r"^ *(slack_app_url|rocketchat_api_url|timeout|url):")
    texts = ["\n".join(line for line in s["config"]["original"].splitlines() if not newer.match(line)) for s in status]
    check(texts[0] == texts[1], "the printed configuration", f"ours\n{texts[0]}\ntheirs\n{texts[1]}")


def amtool(instance, *arguments):
    done = subprocess.run(["amtool", f"--alertmanager.url=http://127.0.0.1:{instance.port}", "--no-version-check", *arguments],
                          capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


def try_amtool(ours, theirs):
    for arguments in (["alert", "query", "-o", "extended"], ["alert", "query", "team=c"], ["alert", "query", "-i", "A"],
                      ["silence", "query"], ["cluster", "show"]):
        mine, other = amtool(ours, *arguments), amtool(theirs, *arguments)
        check(mine == other, f"amtool {' '.join(arguments)}", f"ours   {mine}\ntheirs {other}")
    code, text = amtool(ours, "silence", "add", "alertname=B", "-c", "test", "-a", "me", "-d", "1h")
    check(code == 0 and re.fullmatch(r"[0-9a-f-]{36}\n", text), "amtool silence add", text)
    silence = text.strip()
    code, text = amtool(ours, "silence", "query", "-q")
    check(text.strip() == silence, "amtool silence query", text)
    code, text = amtool(ours, "alert", "query", "-s")
    check(code == 0 and "B" in text, "amtool alert query -s", text)
    code, text = amtool(ours, "alert", "add", "alertname=added", "x=1", "--annotation=a=b")
    check(code == 0, "amtool alert add", text)
    code, text = amtool(ours, "alert", "query", "added")
    check(code == 0 and "added" in text, "amtool alert query added", text)
    done = subprocess.run(["amtool", "check-config", ours.config], capture_output=True, text=True, check=False)
    check(done.returncode == 0 and "SUCCESS" in done.stdout, "amtool check-config", done.stdout + done.stderr)
    return silence


def reload_and_bad_config(ours):
    good = open(ours.config, encoding="utf-8").read()
    ours.write_config(CONFIG.replace("group_wait: 1s", "group_wait: soon"))
    status, text = ours.request("POST", "/-/reload", "")
    check(status == 500 and "alertmanager.yml:7:" in text and "group_wait" in text, "reload of a bad file", f"{status} {text}")
    check(ours.metric("alertmanager_config_last_reload_successful") == 0, "metric after a bad reload")
    check(ours.request("GET", "/api/v2/receivers")[0] == 200, "the old configuration stays")
    with open(ours.config, "w", encoding="utf-8") as f:
        f.write(good + "- source_matchers: [a=b]\n  target_matchers: [c=d]\n")
    check(ours.request("POST", "/-/reload", "")[0] == 200, "reload of a good file")
    check(ours.metric("alertmanager_config_last_reload_successful") == 1, "metric after a good reload")
    check(ours.metric("alertmanager_inhibition_rules") == 2, "the new configuration runs")


def nothing_is_told_twice(instance, what, silence, restart):
    """Restarts, posts what fires again, and waits until its groups have asked the log: the sink must stay silent."""
    now = time.time()
    again = [alert({"alertname": "C", "team": "capped", "cluster": "x", "i": i}, now - 60, now + 3600) for i in ("1", "2")]
    restart()
    before = len(instance.sink.received)
    instance.post(again)
    wait_for(lambda: (instance.metric("alertmanager_nflog_queries_total") or 0) >= 1, f"{what}: a flush")
    time.sleep(0.5)
    told = instance.sink.received[before:]
    check(not told, f"{what}: told again", str(told))
    status, text = instance.request("GET", f"/api/v2/silence/{silence}")
    check(status == 200 and json.loads(text)["status"]["state"] == "active", f"{what}: the silence", text)


def main():
    upstream = shutil.which("prometheus-alertmanager")
    if upstream is None or shutil.which("amtool") is None:
        print("prometheus-alertmanager or amtool is not installed; nothing was compared")
        return 1 if os.environ.get("CI") == "true" else 77
    with tempfile.TemporaryDirectory() as folder:
        ours = Instance(sys.argv[1], os.path.join(folder, "ours"), "--grpc.listen-address=127.0.0.1:0")
        theirs = Instance(upstream, os.path.join(folder, "theirs"), "--cluster.listen-address=")
        try:
            ours.start()
            theirs.start()
            compare_notifications(ours, theirs)
            compare_api(ours, theirs)
            silence = try_amtool(ours, theirs)
            reload_and_bad_config(ours)

            def kill():
                ours.stop(signal.SIGKILL)
                ours.start()

            nothing_is_told_twice(ours, "after kill -9", silence, kill)

            def swap_out():
                ours.stop()
                ours.write_config(CONFIG)
                ours.start(upstream, "--cluster.listen-address=")

            nothing_is_told_twice(ours, "upstream on our folder", silence, swap_out)

            def swap_back():
                ours.stop()
                ours.start()

            nothing_is_told_twice(ours, "ours on upstream's folder", silence, swap_back)
            ours.stop()
            theirs.stop()
            check(ours.process.returncode == 0, "exit code after SIGTERM", str(ours.process.returncode))
        finally:
            for instance in (ours, theirs):
                if instance.process is not None and instance.process.poll() is None:
                    instance.process.kill()
                    instance.process.wait()
                if failures:
                    print(f"--- log of {instance.binary}")
                    print(open(os.path.join(instance.folder, "log"), encoding="utf-8").read()[-4000:])
    print(f"{checks - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
