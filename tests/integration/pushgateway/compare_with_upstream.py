#!/usr/bin/env python3
"""Sends the same requests to narthex-pushgateway and to Prometheus' own pushgateway and compares what they say.

Usage: compare_with_upstream.py <narthex-pushgateway>

Compares the status, the body and the headers a client acts on of every answer, then /metrics and /api/v1/metrics less what a
process says about itself. Exits 77 when prometheus-pushgateway is not installed, and 1 for that where CI=true.
"""

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

COMPARED_HEADERS = ["Location", "Allow", "Content-Type"]
OWN_FAMILIES = re.compile(r"^(go_|process_|pushgateway_|promhttp_|narthex_)")

CLASSES = (
    "# HELP c help of c\n# TYPE c counter\nc{x=\"1\"} 1\nc 2\n"
    "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 2.5\nh_count 3\n"
    "# TYPE hh histogram\nhh_bucket{z=\"b\",le=\"0.5\"} 1\nhh_sum{z=\"b\"} 1e7\n"
    "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{a=\"b\",quantile=\"0.99\"} NaN\ns_sum 3\ns_count 4\n"
    "u 1e100\nlow 0.00001\nint 123456789\nneg -Inf\n"
)

# What upstream says of these depends on the order of a hash map, so only the status and the beginning of the text are compared.
UNSTABLE = [
    ("POST", "/metrics/job/type", "# TYPE a counter\na 1\n", {}),
    ("POST", "/metrics/job/part", "# TYPE h counter\nh_count 1\n", {}),
    ("POST", "/metrics/job/part2", "x_count 1\n# TYPE x summary\nx{quantile=\"1\"} 1\n", {}),
    ("POST", "/metrics/job/type2", "c 1\n", {}),
    ("POST", "/metrics/job/type3", "# TYPE c histogram\nc_bucket{le=\"1\"} 1\n", {}),
    ("POST", "/metrics/job/many", "y{__a=\"1\"} 1\nz{__a=\"1\"} 1\n", {}),
]
UNSTABLE_TEXT = "pushed metrics are invalid or inconsistent with existing metrics: "

# (method, path, body, headers). The order matters: each request finds what those before it have left.
REQUESTS = [
    # Paths.
    ("PUT", "/metrics/job/j", "a 1\n", {}),
    ("PUT", "/metrics/job/", "", {}),
    ("PUT", "/metrics/job", "", {}),
    ("PUT", "/metrics//job/x", "", {}),
    ("PUT", "/metrics/job/x/y", "", {}),
    ("PUT", "/metrics/job/x/", "", {}),
    ("PUT", "/metrics/job/x/y/z/", "", {}),
    ("PUT", "/metrics/job/x/9y/z", "", {}),
    ("PUT", "/metrics/job/x/__y/z", "", {}),
    ("PUT", "/metrics/job/x/job/z", "", {}),
    ("PUT", "/metrics/job@base64/Zm9v", "", {}),
    ("PUT", "/metrics/job@base64/=", "", {}),
    ("PUT", "/metrics/job@base64/Zm9vYg", "", {}),
    ("PUT", "/metrics/job@base64/Zm9vYg==", "b64 1\n", {}),
    ("PUT", "/metrics/job/x/y@base64/Zm9v!", "", {}),
    ("PUT", "/metrics/job/x/y@base64/L3Zhci90bXA", "slash 1\n", {}),
    ("PUT", "/metrics/job/x/y@base64/8J-Ukg==", "emoji 1\n", {}),
    ("PUT", "/metrics/job/x/y@base64/=", "emptyvalue 1\n", {}),
    ("PUT", "/metrics/job/a%2Fb", "", {}),
    ("PUT", "/metrics/job/a%2Fb/c", "", {}),
    ("PUT", "/metrics/job/sp%20ace/l/100%25", "escaped 1\n", {}),
    ("PUT", "/metrics/job/twice/l/1/l/2", "twice 1\n", {}),
    ("PUT", "/metrics/job/q?ignored=1", "q 1\n", {}),
    ("PUT", "/metrics/jo/x", "", {}),
    ("PUT", "/metrics/other", "", {}),
    ("GET", "/metrics/job/x", "", {}),
    ("PATCH", "/metrics/job/x", "", {}),
    ("OPTIONS", "/metrics/job/x", "", {}),
    ("GET", "/nothing", "", {}),
    ("GET", "/-/healthy", "", {}),
    ("GET", "/-/ready", "", {}),
    ("GET", "/-/quit", "", {}),
    ("POST", "/-/quit", "", {}),
    ("DELETE", "/metrics/job/x", "", {}),
    ("DELETE", "/metrics/job/nobody", "", {}),
    ("DELETE", "/metrics/job/x/y", "", {}),
    ("DELETE", "/metrics/job@base64/Zm9v", "", {}),
    # Bodies that cannot be read.
    ("PUT", "/metrics/job/bad", "a 1", {}),
    ("PUT", "/metrics/job/bad", "9bad 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad foo\n", {}),
    ("PUT", "/metrics/job/bad", "bad\n", {}),
    ("PUT", "/metrics/job/bad", "bad{9=\"x\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=\"x} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=\"x\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=x} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a='x'} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=\"1\"b=\"2\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=\"1\",a=\"2\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{__name__=\"1\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad{a=\"\\q\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", b"bad{a=\"\xff\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "bad 1 12a\n", {}),
    ("PUT", "/metrics/job/bad", "bad 1 12 x\n", {}),
    ("PUT", "/metrics/job/bad", "bad 0x10\n", {}),
    ("PUT", "/metrics/job/bad", "bad 1_0\n", {}),
    ("PUT", "/metrics/job/bad", "good 1\n\n# just a comment\n#\nbad x\n", {}),
    ("PUT", "/metrics/job/bad", "# TYPE y foo\ny 1\n", {}),
    ("PUT", "/metrics/job/bad", "# HELP y a\n# HELP y b\ny 1\n", {}),
    ("PUT", "/metrics/job/bad", "# HELP y a\\q\ny 1\n", {}),
    ("PUT", "/metrics/job/bad", "# TYPE 9y gauge\ny 1\n", {}),
    ("PUT", "/metrics/job/bad", "y 1\n# TYPE y gauge\n", {}),
    ("PUT", "/metrics/job/bad", "# TYPE y summary\ny{quantile=\"abc\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "# TYPE y histogram\ny_bucket{le=\"abc\"} 1\n", {}),
    ("PUT", "/metrics/job/bad", "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\n# TYPE h_bucket counter\n", {}),
    # Bodies that can.
    ("PUT", "/metrics/job/j1/instance/a", CLASSES, {}),
    ("PUT", "/metrics/job/fmt", " \t f1 {  a = \"x\" , b=\"y\", } \t 1\n# HELP f2 a\\\\b\\nc\n# TYPE f2 GAUGE\nf2 +Inf\n", {}),
    ("PUT", "/metrics/job/fmt2", "f3 infinity\nf4 nan\nf5{a=\"é\\n\\\\\\\"\"} -0\n# TYPE f6 counter\n# HELP f7 \n", {}),
    ("PUT", "/metrics/job/apart", "# TYPE p gauge\np{i=\"1\"} 1\nother 1\np{i=\"2\"} 2\n", {}),
    ("PUT", "/metrics/job/override/l/group", "o{l=\"mine\",job=\"mine\",instance=\"mine\"} 1\n", {}),
    ("PUT", "/metrics/job/zip", gzip.compress(b"zipped 1\n"), {"Content-Encoding": "gzip"}),
    ("PUT", "/metrics/job/zip", b"this is not gzip at all", {"Content-Encoding": "gzip"}),
    ("PUT", "/metrics/job/zip2", "plain 1\n", {"Content-Type": "application/json"}),
    ("PUT", "/metrics/job/own", "push_time_seconds 1\n# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 5\n", {}),
    # Replacing and adding.
    ("PUT", "/metrics/job/r", "r1 1\nr2 1\n", {}),
    ("POST", "/metrics/job/r", "r2 2\nr3 2\n", {}),
    ("PUT", "/metrics/job/r2", "rr1 1\nrr2 1\n", {}),
    ("PUT", "/metrics/job/r2", "rr2 2\n", {}),
    ("PUT", "/metrics/job/r3", "rrr 1\n", {}),
    ("PUT", "/metrics/job/r3", "", {}),
    ("PUT", "/metrics/job/r4", "rrrr 1\n", {}),
    ("POST", "/metrics/job/r4", "", {}),
    ("POST", "/metrics/job/new", "n 1\n", {}),
    ("PUT", "/metrics/job/del", "d 1\n", {}),
    ("DELETE", "/metrics/job/del", "", {}),
    # What does not fit.
    ("PUT", "/metrics/job/ts", "t 1 123\n", {}),
    ("POST", "/metrics/job/dup", "# TYPE x gauge\nx{a=\"b\"} 1\nx{a=\"b\"} 2\n", {}),
    ("POST", "/metrics/job/label", "y{__a=\"1\"} 1\n", {}),
    ("POST", "/metrics/job/own2", "process_cpu_seconds_total{foo=\"b\"} 1\n", {}),
    ("POST", "/metrics/job/own3", "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1\n", {}),
    ("POST", "/metrics/job/esc", "y{__e=\"é\\n\\\"\"} 1e-7\n", {}),
    ("POST", "/metrics/job/hist", "# TYPE y histogram\ny_bucket{__a=\"1\",le=\"0.1\"} 1\ny_sum{__a=\"1\"} 2\ny_count{__a=\"1\"} 3\n", {}),
    ("POST", "/metrics/job/summ", "# TYPE y summary\ny{__a=\"1\",quantile=\"0.5\"} +Inf\ny_sum{__a=\"1\"} NaN\n", {}),
    ("PUT", "/metrics/job/type", "typed 1\n", {}),
    # Help of the older group, or of the process itself.
    ("PUT", "/metrics/job/own4", "# HELP process_open_fds pushed\n# TYPE process_open_fds gauge\nprocess_open_fds{pushed=\"1\"} 7\n", {}),
    # The API.
    ("POST", "/api/v1/status", "", {}),
    ("GET", "/api/v1/nothing", "", {}),
    ("OPTIONS", "/api/v1/status", "", {}),
    ("DELETE", "/api/v1/admin/wipe", "", {}),
    # Upstream 1.5 answers no further request of that method to job@base64 after one of these, so they come last.
    ("PUT", "/metrics/job@base64/Zm9v!", "", {}),
    ("POST", "/metrics/job@base64/Z", "", {}),
    ("DELETE", "/metrics/job@base64/AAA%2FAA", "", {}),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """One running pushgateway."""

    def __init__(self, name, command, folder):
        self.name = name
        self.port = free_port()
        self.log = open(os.path.join(folder, name + ".log"), "w+")
        arguments = [command, "--web.listen-address=127.0.0.1:%d" % self.port, "--web.enable-admin-api",
                     "--persistence.file=" + os.path.join(folder, name + ".data")]
        if name == "narthex":
            arguments.append("--grpc.listen-address=127.0.0.1:0")
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)

    def wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("GET", "/-/ready", "", {})[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        raise SystemExit("%s did not start:\n%s" % (self.name, self.log.read()))

    def ask(self, method, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "backslashreplace")
        compared = {name: answer.getheader(name) for name in COMPARED_HEADERS}
        if compared["Allow"]:  # Ours answers HEAD wherever it answers GET.
            compared["Allow"] = compared["Allow"].replace("HEAD, ", "")
        connection.close()
        return answer.status, text, compared

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.log.close()
        return code


def pushed_metrics(text):
    """The families of an exposition that were pushed, with the times of pushes as 0 or T."""
    kept = []
    for line in text.splitlines():
        name = line.split()[2] if line.startswith("#") else re.split(r"[ {]", line)[0]
        # Pushed into a family of the process itself: only that line is compared.
        if OWN_FAMILIES.match(name) and 'pushed="1"' not in line:
            continue
        if name.startswith("push_") and not line.startswith("#"):
            line = re.sub(r" [1-9][0-9.e+]*$", " T", line)
        kept.append(line)
    return kept


def normal_api(text):
    """/api/v1/metrics with times as T, and groups in one order."""
    text = re.sub(r'"time_stamp":"[^"]*"', '"time_stamp":"T"', text)
    text = re.sub(r'"value":"1\.[0-9]{6,}e\+09"', '"value":"T"', text)
    groups = json.loads(text)["data"]
    return sorted(json.dumps(group, sort_keys=False, ensure_ascii=False) for group in groups)


def main():
    upstream = shutil.which("prometheus-pushgateway")
    if upstream is None:
        print("prometheus-pushgateway is not installed: nothing to compare with")
        return 1 if os.environ.get("CI") == "true" else 77
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Gateway("narthex", sys.argv[1], folder)
        theirs = Gateway("upstream", upstream, folder)
        try:
            ours.wait()
            theirs.wait()
            for request in REQUESTS:
                wanted, got = theirs.ask(*request), ours.ask(*request)
                if wanted != got:
                    differences.append("%r\n  upstream: %r\n  narthex:  %r" % (request, wanted, got))
            for request in UNSTABLE:
                for gateway in (theirs, ours):
                    status, text, _ = gateway.ask(*request)
                    if status != 400 or not text.startswith(UNSTABLE_TEXT):
                        differences.append("%r\n  %s: %d %r" % (request, gateway.name, status, text))
            for path, normal in (("/metrics", pushed_metrics), ("/api/v1/metrics", normal_api)):
                wanted = normal(theirs.ask("GET", path, "", {})[1])
                got = normal(ours.ask("GET", path, "", {})[1])
                for line in wanted:
                    if line not in got:
                        differences.append("%s: only upstream: %s" % (path, line))
                for line in got:
                    if line not in wanted:
                        differences.append("%s: only narthex: %s" % (path, line))
                if not differences and wanted != got:
                    differences.append("%s: the same lines in another order" % path)
            for gateway in (theirs, ours):
                status = gateway.ask("PUT", "/api/v1/admin/wipe", "", {})
                if status[0] != 202:
                    differences.append("%s: wipe answered %r" % (gateway.name, status))
            if pushed_metrics(ours.ask("GET", "/metrics", "", {})[1]):
                differences.append("metrics are left after the wipe")
        finally:
            code = ours.stop()
            theirs.stop()
        if code != 0:
            differences.append("narthex-pushgateway ended with %d on SIGTERM" % code)
    for difference in differences:
        print(difference)
    asked = len(REQUESTS) + len(UNSTABLE)
    print("%d passed, %d failed" % (max(asked - len(differences), 0), len(differences)))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
